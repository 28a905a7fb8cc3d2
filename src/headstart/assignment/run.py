"""Run the parts of the assignment and write the report.

[`headstart.assignment.settings`][] lists the parts. Interrupted parts resume, and finished parts
are not trained again. A part whose data or weights are missing is reported as "not run".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from headstart.assignment.chosen import Chosen
from headstart.assignment.costs import WITHOUT_STEPLR, costs_of, forecast, time_of
from headstart.assignment.datasets import Datasets, open_datasets
from headstart.assignment.missing import not_run
from headstart.assignment.parts import (
    classifier_run,
    colorization_run,
    new_data_study,
    part_a,
    with_steplr,
    without_steplr,
)
from headstart.assignment.remaining import Remaining
from headstart.assignment.report.write import WrittenHomework, write_homework
from headstart.assignment.settings import (
    CLASSIFIERS,
    NEW_DATA,
    VGG16,
    Homework,
    folders_of,
    homework_command,
    part_name,
)
from headstart.assignment.sizes_file import FILE, write_chosen
from headstart.config.records import StudyConfig
from headstart.errors import DataError, Finding, InterruptedRun, UsageError
from headstart.records.vouching import CONFIG, parse_json
from headstart.runs.folder import strangers
from headstart.runs.run import train
from headstart.studies.backends import Backend
from headstart.studies.books import without_checkpoints
from headstart.studies.hours import Measured
from headstart.studies.several_runs import train_runs
from headstart.studies.study import study
from headstart.system.devices import CudaDevice
from headstart.system.disk import disk_errors, locked
from headstart.system.signals import Stopping
from headstart.tasks.pretext import pictures_of
from headstart.training.listener import Listener

_PARTS = ("a", "steplr", "constant", *CLASSIFIERS, NEW_DATA)
_STUDY = {"1b": "1(b)", "1c": "1(c)", "1d": "1(d)"}


def refuse_strangers(out: Path) -> None:
    """Refuse a folder that holds other files and no homework.

    Until a part has begun, a report or figures in the folder are somebody else's.
    """
    begun = (
        (out / FILE).exists()
        or any(any((out / part).rglob(CONFIG)) for part in _PARTS)
        or _is_ours(out / "homework.json")
    )
    if not begun and (files := strangers(out, (".lock", "claims", *_PARTS))):
        message = f"{out} is not empty and holds no homework"
        hint = "choose another --out"
        raise UsageError(Finding("not-a-homework", "error", message, hint, files))


def _is_ours(record: Path) -> bool:
    """Whether ``homework.json`` is a report's: of a homework of which no part could be run."""
    try:
        return set(parse_json(record.read_bytes(), record)) >= {"schema", "parts", "part2"}
    except (OSError, DataError, TypeError):
        return False


def do_homework(
    homework: Homework,
    out: Path,
    listener: Listener,
    tell: Callable[[str], None],
    jobs: int = 1,
    pictures: bool = True,
    chosen: Chosen | None = None,
    measured: Measured | None = None,
    devices: Sequence[CudaDevice] = (),
) -> WrittenHomework:
    """Run the unfinished parts of the assignment and write its report.

    Args:
        homework: the settings; finished parts are kept.
        out: the homework folder, created if missing.
        listener: receives the progress of each training, if only one runs at a time.
        tell: called with each line of progress.
        jobs: number of runs at a time.
        pictures: whether the report may show frames of the dataset.
        chosen: the sizes in the settings, if they were chosen for ``--hours``.
        measured: paces of this machine that were measured before.
        devices: what several jobs are spread over; none: they see what this process sees.

    Returns:
        The report files, and the content of ``homework.json``.

    Raises:
        HeadstartError: as for [`train`][headstart.runs.run.train] and
            [`study`][headstart.studies.study.study]; finished parts are kept.
    """
    refuse_strangers(out)
    datasets = open_datasets(homework)
    missing = not_run(homework, datasets, out)
    measured = Measured() if measured is None else measured
    by_part = costs_of(homework, datasets, missing, out, measured)
    for line in forecast(homework, datasets, by_part, jobs):
        tell(line)
    remaining = Remaining({n: time_of(n, c, jobs) for n, c in by_part.items()}, listener, tell)
    with locked(out), Stopping() as stopping:
        if chosen is not None:
            write_chosen(chosen, out)
        try:
            spread = (jobs, tuple(devices))
            for _ in _run_parts(homework, datasets, out, missing, remaining, spread, stopping):
                if stopping.asked():
                    finding = Finding("interrupted", "info", "stopped between two parts")
                    raise stopping.interrupted(finding)
        except InterruptedRun as stopped:
            hint = f"repeat the command to continue (headstart homework, --out {out})"
            finding = Finding("interrupted", "info", stopped.findings[0].message, hint)
            raise InterruptedRun(finding, stopped.exit_status - 128) from None
        tell("writing the report")
        command = homework_command(homework, out)
        groups = datasets.frames.test_groups
        return write_homework(out, command, pictures, missing, groups, _why(homework))


def _why(homework: Homework) -> str:
    """Return why sizes differ from the assignment's, for the report."""
    if homework.hours is not None:
        return f"the largest that fits --hours {homework.hours:g}, as measured on this machine"
    return f"--scale {homework.scale} --seeds {homework.seeds}"


def _run_parts(
    homework: Homework,
    datasets: Datasets,
    out: Path,
    missing: dict[str, str],
    listener: Remaining,
    spread: tuple[int, tuple[CudaDevice, ...]],
    stopping: Stopping,
) -> Iterator[None]:
    """Run the chosen parts in order; yield after each part."""
    frames, pictures, new_pictures = datasets.frames, datasets.pictures, datasets.new_pictures
    chosen, tell, (jobs, devices) = set(homework.parts), listener.tell, spread
    spread_over = Backend(devices=devices)

    def run_study(config: StudyConfig, name: str, dataset: Any) -> None:
        study(
            config,
            out / name,
            listener,
            tell,
            jobs,
            dataset=dataset,
            backend=spread_over,
        )

    cache = out / "steplr" / "cache"
    if "1a" in chosen:
        listener.part("1(a)")
        config = part_a(homework)
        scores = train(config, out / "a", listener, cache=cache, dataset=frames.dataset)
        tell(f"1(a): dice_assignment {scores['dice_assignment']:.4f}")
        yield
    if "1c" in chosen and "1d" not in chosen:
        listener.part("1(c)")
        pretext, pretext_run = colorization_run(homework, frames, out)
        with disk_errors(pretext_run):
            pretext_run.parent.mkdir(parents=True, exist_ok=True)
        unlabelled = pictures_of(frames.dataset)
        scores = train(pretext, pretext_run, listener, cache=cache, dataset=unlabelled)
        tell(f"1(c): loss {scores['loss']:.5f} (trivial {scores['trivial']['loss']:.5f})")
        yield
    if chosen & {"1b", "1d"}:
        listener.part(*(name for part, name in _STUDY.items() if part in chosen), of="with StepLR")
        steplr = with_steplr(homework, frames)
        run_study(steplr, "steplr", frames.dataset)
        yield
    if chosen & {"1b", "1d"} and homework.sizes.constant:
        listener.part(WITHOUT_STEPLR)
        share_starts(out)
        constant = without_steplr(homework, frames)
        run_study(constant, "constant", frames.dataset)
        yield
    folders = [f for f in folders_of(homework) if pictures is not None and f not in missing]
    if pictures is not None and folders:
        about = {folder: part_name(folder) for folder in folders}
        of = f"{homework.model or VGG16} on {homework.fashion_mnist}"
        listener.part(*about.values(), of=of)
        configs = {f: classifier_run(homework, f, pictures, out) for f in folders}
        place = (out / "2a" / "cache", jobs, listener, stopping, tell, pictures.dataset, devices)
        for folder, scores in train_runs(out, configs, about, *place):
            without_checkpoints(out / folder)
            accuracy, trivial = scores["accuracy"], scores["trivial"]["accuracy"]
            tell(f"{about[folder]}: accuracy {accuracy:.4f} (constant {trivial:.4f})")
    yield
    if new_pictures is not None and NEW_DATA in chosen and NEW_DATA not in missing:
        listener.part(part_name(NEW_DATA), of="an entirely new dataset")
        new_data = new_data_study(homework, new_pictures, out)
        run_study(new_data, NEW_DATA, new_pictures.dataset)
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
