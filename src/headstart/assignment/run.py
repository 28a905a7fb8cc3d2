"""Run the parts of the assignment and write the report.

[`headstart.assignment.settings`][] lists the parts. Interrupted parts resume, and finished parts
are not trained again. A part whose data or weights are missing is reported as "not run".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from headstart.assignment.datasets import Datasets, Opened, is_missing, open_datasets
from headstart.assignment.parts import (
    classifier_run,
    new_data_study,
    part_a,
    with_steplr,
    without_steplr,
)
from headstart.assignment.report.write import WrittenHomework, write_homework
from headstart.assignment.settings import (
    CLASSIFIERS,
    NEW_DATA,
    VGG16,
    Homework,
    homework_command,
    part_name,
)
from headstart.config.records import IMAGENET, RunConfig, weights_file
from headstart.errors import Finding, HeadstartError, InterruptedRun, UsageError
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
_CHECKPOINT_SECONDS = 10.0


def _refuse_strangers(out: Path) -> None:
    """Refuse a folder that holds other files and no homework."""
    if not (out / "a").exists() and (files := strangers(out, _OURS)):
        message = f"{out} is not empty and holds no homework"
        hint = "choose another --out"
        raise UsageError(Finding("not-a-homework", "error", message, hint, files))


def not_run(
    homework: Homework, datasets: Datasets, out: Path, fetch: bool = True
) -> dict[str, str]:
    """Return the folders of the parts that cannot run, each with the reason.

    Weights are checked first, so that a wrong path does not fail after hours of training.

    Args:
        homework: the settings.
        datasets: its datasets.
        out: the homework folder.
        fetch: whether to download published weights that are missing.

    Raises:
        HeadstartError: weights exist but are faulty, or the network does not exist.
    """
    unfinished = [f for f in CLASSIFIERS if not (out / f / "scores.json").exists()]
    if homework.fashion_mnist is None:
        reason = (
            "No data: give the folder with Fashion-MNIST's four idx files as --fashion-mnist, or "
            "the word fashion-mnist to download them"
        )
        return dict.fromkeys((*unfinished, NEW_DATA), reason)
    if datasets.pictures is None:
        assert datasets.download_error is not None
        if len(unfinished) < len(CLASSIFIERS):
            raise datasets.download_error  # a finished part must not appear as not run
        return dict.fromkeys((*unfinished, NEW_DATA), _sentence(datasets.download_error))
    config = classifier_run(homework, "2a", datasets.pictures, out)
    check_network(config.model)
    check_size(config.model, config.size)
    reasons: dict[str, list[str]] = {}
    if datasets.new_pictures is None:
        reasons[NEW_DATA] = [
            "No data: give a folder of pictures as --new-data, with one folder for each class"
        ]
    else:
        new_data_study(homework, datasets.new_pictures, out)
    from_imagenet = [folder for folder in unfinished if folder != "2a"]
    if from_imagenet and fetch and (reason := _missing_weights(homework, config)):
        for folder in (*from_imagenet, *([NEW_DATA] if "2b" in from_imagenet else [])):
            reasons.setdefault(folder, []).append(reason)
    return {folder: ". ".join(each) for folder, each in reasons.items()}


def _missing_weights(homework: Homework, config: RunConfig) -> str:
    """Return why the ImageNet weights are missing; empty if they exist and fit the network."""
    try:
        if homework.weights is None:
            source = read_source(fetch_published(config.model), IMAGENET)
        else:
            source = read_source(weights_file(homework.weights), homework.weights)
    except HeadstartError as e:
        if not is_missing(e):
            raise
        return _sentence(e).replace("--start", "--weights")
    with torch.random.fork_rng(devices=[]):
        network, head = make_network(config.model, 2)
    move(network, source, (), f"{head.name}.", whole=True)
    return ""


def _sentence(error: HeadstartError) -> str:
    finding = error.findings[0]
    return f"{finding.message[0].upper()}{finding.message[1:]}; {finding.hint}"


def do_homework(
    homework: Homework,
    out: Path,
    listener: Listener,
    tell: Callable[[str], None],
    jobs: int = 1,
    pictures: bool = True,
) -> WrittenHomework:
    """Run the unfinished parts of the assignment and write its report.

    Args:
        homework: the settings; finished parts are kept.
        out: the homework folder, created if missing.
        listener: receives the progress of each training, if only one runs at a time.
        tell: called with each line of progress.
        jobs: number of runs at a time.
        pictures: whether the report may show frames of the dataset.

    Returns:
        The report files, and the content of ``homework.json``.

    Raises:
        HeadstartError: as for [`train`][headstart.runs.run.train] and
            [`study`][headstart.studies.study.study]; finished parts are kept.
    """
    _refuse_strangers(out)
    datasets = open_datasets(homework)
    missing = not_run(homework, datasets, out)
    with locked(out), Stopping() as stopping:
        try:
            for _ in _run_parts(homework, datasets, out, missing, listener, tell, jobs, stopping):
                if stopping.asked():
                    finding = Finding("interrupted", "info", "stopped between two parts")
                    raise stopping.interrupted(finding)
        except InterruptedRun as stopped:
            hint = f"repeat the command to continue (headstart homework, --out {out})"
            finding = Finding("interrupted", "info", stopped.findings[0].message, hint)
            raise InterruptedRun(finding, stopped.exit_status - 128) from None
        tell("writing the report")
        command = homework_command(homework, out)
        return write_homework(out, command, pictures, missing, datasets.frames.test_groups)


def _run_parts(
    homework: Homework,
    datasets: Datasets,
    out: Path,
    missing: dict[str, str],
    listener: Listener,
    tell: Callable[[str], None],
    jobs: int,
    stopping: Stopping,
) -> Iterator[None]:
    """Run the parts in order; yield after each part."""
    frames, pictures, new_pictures = datasets.frames, datasets.pictures, datasets.new_pictures
    tell("1(a): a run from scratch")
    cache = out / "steplr" / "cache"
    config = part_a(homework)
    scores = train(config, out / "a", listener, cache=cache, dataset=frames.dataset)
    tell(f"1(a): dice_assignment {scores['dice_assignment']:.4f}")
    yield
    tell("1(b), 1(c) and 1(d), with StepLR")
    steplr = with_steplr(homework, frames)
    study(steplr, out / "steplr", listener, tell, jobs, dataset=frames.dataset)
    yield
    tell("1(b) and 1(d) without StepLR")
    share_starts(out)
    constant = without_steplr(homework, frames)
    study(constant, out / "constant", listener, tell, jobs, dataset=frames.dataset)
    yield
    works = [
        Work(
            folder,
            out / folder,
            functools.partial(classifier_run, homework, folder, pictures, out),
            out / "2a" / "cache",
            _CHECKPOINT_SECONDS,
            dataset=pictures.dataset,
        )
        for folder in CLASSIFIERS
        if pictures is not None and folder not in missing
    ]
    if works:
        tell(f"2(a) and 2(b): {homework.model or VGG16} on {homework.fashion_mnist}")
    for work, scores in working(works, jobs, listener, stopping):
        without_checkpoints(work.out)
        accuracy, trivial = scores["accuracy"], scores["trivial"]["accuracy"]
        tell(f"{part_name(work.about)}: accuracy {accuracy:.4f} (constant {trivial:.4f})")
    yield
    if new_pictures is not None and NEW_DATA not in missing:
        tell("2(c): an entirely new dataset")
        new_data = new_data_study(homework, new_pictures, out)
        study(new_data, out / NEW_DATA, listener, tell, jobs, dataset=new_pictures.dataset)
        yield
    for folder, reason in missing.items():
        tell(f"{part_name(folder)}: not run. {reason}")


def share_starts(out: Path) -> None:
    """Let ``constant/`` use the pretext runs and the decoded pictures of ``steplr/``.

    Both studies pre-train identically; they differ only in training on labels.
    """
    with disk_errors(out / "constant"):
        (out / "constant").mkdir(exist_ok=True)
        for name in ("starts", "cache"):
            (out / "steplr" / name).mkdir(exist_ok=True)
            if not (out / "constant" / name).exists():
                (out / "constant" / name).symlink_to(Path("..", "steplr", name))


def costs(homework: Homework, out: Path) -> dict[str, Cost]:
    """Estimate the cost of the unfinished parts, without downloading anything.

    Writes nothing.

    Raises:
        HeadstartError: as for [`do_homework`][headstart.assignment.run.do_homework], if the error
            shows before anything runs.
    """
    _refuse_strangers(out)
    datasets = open_datasets(homework)
    missing = not_run(homework, datasets, out, fetch=False)
    frames = datasets.frames
    by_part = {"1(a)": _cost(part_a(homework), out / "a", frames)}
    steplr = plan(with_steplr(homework, frames), out / "steplr", frames.dataset)
    constant = plan(without_steplr(homework, frames), out / "constant", frames.dataset)
    by_part["1(b), (c), (d)"] = cost_of_study(steplr)
    by_part["without StepLR"] = cost_of_study(constant, pretexts=False)  # steplr/ has them
    for folder in CLASSIFIERS:
        if datasets.pictures is not None and folder not in missing:
            config = classifier_run(homework, folder, datasets.pictures, out)
            by_part[part_name(folder)] = _cost(config, out / folder, datasets.pictures)
    if datasets.new_pictures is not None and NEW_DATA not in missing:
        study_config = new_data_study(homework, datasets.new_pictures, out)
        begun = all((out / folder / "scores.json").exists() for folder in ("2a", "2b"))
        dataset = datasets.new_pictures.dataset
        planned = (
            plan(study_config, out / NEW_DATA, dataset) if begun else unbegun(study_config, dataset)
        )
        by_part[part_name(NEW_DATA)] = cost_of_study(planned)
    return by_part


def _cost(config: RunConfig, out: Path, data: Opened) -> Cost:
    check_folder(config, out)
    return NOTHING if (out / "scores.json").exists() else cost_of_run(config, data.dataset)
