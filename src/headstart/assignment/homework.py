"""The assignment as one command, on the engine of every other verb.

What is run, and where, says [`headstart.assignment.parts`][]; beside it stand ``homework.json``,
``report.html``, ``report.tex``, ``report.pdf`` and ``figures/``. Every part continues where it was
stopped, a finished one answers at once, and one whose data or weights are not there is "not run".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from headstart.assignment.parts import (
    CLASSIFIERS,
    NEW_DATA,
    VGG16,
    Homework,
    called,
    classifier,
    command,
    new_data,
    part_a,
    with_steplr,
    without_steplr,
)
from headstart.assignment.report.write import Written, write_homework
from headstart.errors import DataError, Finding, HeadstartError, InterruptedRun, UsageError
from headstart.models.classifiers import check_network, check_size, make_network
from headstart.models.published import fetch_published
from headstart.runs.folder import check_folder, strangers
from headstart.runs.run import train
from headstart.studies.costs import NOTHING, Cost, cost_of_run, cost_of_study
from headstart.studies.plan import plan, unbegun
from headstart.studies.study import study, without_checkpoints
from headstart.studies.workers import Work, working
from headstart.system.disk import disk_errors, locked
from headstart.system.signals import Stopping
from headstart.training.config import IMAGENET, RunConfig, weights_file
from headstart.training.listener import Listener
from headstart.training.starts import move, read_source

_OURS = (
    ".lock",
    "a",
    "steplr",
    "constant",
    *CLASSIFIERS,
    NEW_DATA,
    "figures",
    "homework.json",
    "report.html",
    "report.tex",
    "report.pdf",
)
_STUDIES = {"steplr": with_steplr, "constant": without_steplr}
_CHECKPOINT_SECONDS = 10.0


def _refuse_strangers(out: Path) -> None:
    if not (out / "a").exists() and (found := strangers(out, _OURS)):
        message = f"{out} is not empty and holds no homework"
        hint = "choose another --out"
        raise UsageError(Finding("not-a-homework", "error", message, hint, found))


def not_run(homework: Homework, out: Path, fetch: bool = True) -> dict[str, str]:
    """The parts that cannot be run, by folder, each with what it takes; a finished one never is.

    What is there is looked at now: a wrong folder or file should not be found after hours.

    Args:
        homework: all that decides the result.
        out: its folder.
        fetch: whether weights that are not there are downloaded, and checked by hash.

    Raises:
        HeadstartError: data or weights are there and at fault, or there is no such network.
    """
    to_do = [f for f in CLASSIFIERS if not (out / f / "scores.json").exists()]
    if homework.fashion_mnist is None:
        how = "give the folder with its four idx files as --fashion-mnist; the word fashion-mnist "
        return dict.fromkeys((*to_do, NEW_DATA), f"There are no data: {how}fetches them")
    try:
        config = classifier(homework, "2a")
    except DataError as e:
        why = _missing(e)
        if len(to_do) < len(CLASSIFIERS):
            raise  # what was run cannot be shown as not run
        return dict.fromkeys((*to_do, NEW_DATA), why)
    check_network(config.model)
    check_size(config.model, config.size)
    found: dict[str, list[str]] = {}
    if homework.new_data is None:
        how = "give a folder of pictures, one folder a class, as --new-data"
        found[NEW_DATA] = [f"There are no data: {how}"]
    else:
        new_data(homework, out)
    its = [folder for folder in to_do if folder != "2a"]
    if why := _no_weights(homework, config) if its and fetch else "":
        for folder in (*its, *([NEW_DATA] if "2b" in its else [])):
            found.setdefault(folder, []).append(why)
    return {folder: ". ".join(reasons) for folder, reasons in found.items()}


def _no_weights(homework: Homework, config: RunConfig) -> str:
    """Why there are no ImageNet weights, in words; empty where there are, and they fit."""
    try:
        if homework.weights is None:
            source = read_source(fetch_published(config.model), IMAGENET)
        else:
            source = read_source(weights_file(homework.weights), homework.weights)
    except HeadstartError as e:
        return _missing(e).replace("as --start", "as --weights")
    with torch.random.fork_rng(devices=[]):
        network, head = make_network(config.model, 2)
    move(network, source, (), f"{head.name}.", whole=True)
    return ""


def _missing(error: HeadstartError) -> str:
    """What could not be fetched, in words; any other error is raised again."""
    finding = error.findings[0]
    if finding.code not in ("no-network", "not-published"):
        raise error
    return f"{finding.message[0].upper()}{finding.message[1:]}; {finding.hint}"


def do_homework(
    homework: Homework,
    out: Path,
    listener: Listener,
    tell: Callable[[str], None],
    jobs: int = 1,
    pictures: bool = True,
) -> Written:
    """Runs what is missing of the assignment and writes its report.

    Args:
        homework: all that decides the result; what the folder already holds is kept.
        out: the homework's folder; made if need be.
        listener: told how each training goes, where one runs at a time.
        tell: told in words what is done.
        jobs: how many runs at a time.
        pictures: whether frames of the dataset may stand in the report.

    Returns:
        The report's files, and the content of ``homework.json``.

    Raises:
        HeadstartError: as [`train`][headstart.runs.run.train] and [`study`][headstart.studies.study.study];
            what is finished is kept.
    """
    _refuse_strangers(out)
    missing = not_run(homework, out)
    with locked(out), Stopping() as stopping:
        try:
            for _ in _parts(homework, out, missing, listener, tell, jobs, stopping):
                if stopping.signal is not None:
                    finding = Finding("interrupted", "info", "stopped between two parts")
                    raise InterruptedRun(finding, stopping.signal)
        except InterruptedRun as stopped:
            hint = f"the same command again continues (headstart homework, --out {out})"
            finding = Finding("interrupted", "info", stopped.findings[0].message, hint)
            raise InterruptedRun(finding, stopped.exit_status - 128) from None
        tell("writing the report")
        return write_homework(out, command(homework, out), pictures, missing)


def _parts(
    homework: Homework,
    out: Path,
    missing: dict[str, str],
    listener: Listener,
    tell: Callable[[str], None],
    jobs: int,
    stopping: Stopping,
) -> Iterator[None]:
    """Does one after the other."""
    tell("1(a): one run from scratch")
    scores = train(part_a(homework), out / "a", listener, cache=out / "steplr" / "cache")
    tell(f"1(a): dice_assignment {scores['dice_assignment']:.4f}")
    yield
    tell("1(b), 1(c) and 1(d), with StepLR")
    study(with_steplr(homework), out / "steplr", listener, tell, jobs)
    yield
    tell("1(b) and 1(d) without StepLR")
    share_starts(out)
    study(without_steplr(homework), out / "constant", listener, tell, jobs)
    yield
    works = [
        Work(
            folder,
            out / folder,
            functools.partial(classifier, homework, folder),
            out / "2a" / "cache",
            _CHECKPOINT_SECONDS,
        )
        for folder in CLASSIFIERS
        if folder not in missing
    ]
    if works:
        tell(f"2(a) and 2(b): {homework.model or VGG16} on pictures with a class")
    for work, scores in working(works, jobs, listener, stopping):
        without_checkpoints(work.out)
        trivial = scores["trivial"]["accuracy"]
        tell(f"{called(work.about)}: accuracy {scores['accuracy']:.4f} (constant {trivial:.4f})")
    yield
    if NEW_DATA not in missing:
        tell("2(c): an entirely new dataset")
        study(new_data(homework, out), out / NEW_DATA, listener, tell, jobs)
        yield
    for folder, why in missing.items():
        tell(f"{called(folder)}: not run. {why}")


def share_starts(out: Path) -> None:
    """Lets ``constant/`` find the starts of ``steplr/``, trained weights and decoded pictures.

    They are the same by content: the two studies differ in how they train on labels only.
    """
    with disk_errors(out / "constant"):
        (out / "constant").mkdir(exist_ok=True)
        for name in ("starts", "cache"):
            (out / "steplr" / name).mkdir(exist_ok=True)
            if not (out / "constant" / name).exists():
                (out / "constant" / name).symlink_to(Path("..", "steplr", name))


def costs(homework: Homework, out: Path) -> dict[str, Cost]:
    """What is to do, part by part, as far as it is known before weights are fetched.

    Writes nothing.

    Raises:
        HeadstartError: as [`do_homework`][headstart.assignment.homework.do_homework] would, where that is
            known before anything is made.
    """
    _refuse_strangers(out)
    missing = not_run(homework, out, fetch=False)
    found = {"1(a)": _cost(part_a(homework), out / "a")}
    steplr, constant = (plan(make(homework), out / name) for name, make in _STUDIES.items())
    found["1(b), (c), (d)"] = cost_of_study(steplr)
    found["without StepLR"] = cost_of_study(constant, pretexts=False)  # those of the other study
    for folder in CLASSIFIERS:
        if folder not in missing:
            found[called(folder)] = _cost(classifier(homework, folder), out / folder)
    if NEW_DATA not in missing:
        config = new_data(homework, out)
        begun = all((out / folder / "scores.json").exists() for folder in ("2a", "2b"))
        planned = plan(config, out / NEW_DATA) if begun else unbegun(config)
        found[called(NEW_DATA)] = cost_of_study(planned)
    return found


def _cost(config: RunConfig, out: Path) -> Cost:
    check_folder(config, out)
    return NOTHING if (out / "scores.json").exists() else cost_of_run(config)
