"""What each part of a homework takes on this machine, said before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from headstart.assignment.datasets import Datasets, Opened, open_datasets
from headstart.assignment.missing import not_run
from headstart.assignment.parts import (
    classifier_run,
    colorization_run,
    new_data_study,
    part_a,
    with_steplr,
    without_steplr,
)
from headstart.assignment.settings import (
    NEW_DATA,
    VGG16,
    Homework,
    folders_of,
    part_name,
)
from headstart.config.recipes import ASSIGNMENT
from headstart.config.records import RunConfig, StudyConfig
from headstart.config.start_names import SCRATCH
from headstart.reports.formatting import plural
from headstart.runs.folder import check_folder
from headstart.studies.costs import NOTHING, Cost, cost_of_pretext, cost_of_run, cost_of_study
from headstart.studies.hours import Measured
from headstart.studies.minutes import BESIDE
from headstart.studies.pace import pace_of_run
from headstart.studies.plan import Plan, plan, unbegun
from headstart.studies.wording import lasting
from headstart.tasks.pretext import pictures_of

WITHOUT_STEPLR = "1(b), 1(d) without StepLR"

USUAL_EPOCHS = 46
"""Epochs that times of part 1 are for: early stopping ends its trainings, and no training that the
assignment reports took longer."""


def costs(homework: Homework, out: Path) -> dict[str, Cost]:
    """Estimate the cost of the unfinished parts, without downloading anything.

    Writes nothing.

    Raises:
        HeadstartError: as for [`do_homework`][headstart.assignment.run.do_homework], if the error
            shows before anything runs.
    """
    datasets = open_datasets(homework)
    missing = not_run(homework, datasets, out, fetch=False)
    return costs_of(homework, datasets, missing, out, Measured())


def costs_of(
    homework: Homework,
    datasets: Datasets,
    missing: Mapping[str, str],
    out: Path | None,
    measured: Measured,
) -> dict[str, Cost]:
    """Estimate what is left of each part: at most so many steps, and the usual time.

    Args:
        homework: the settings.
        datasets: its datasets.
        missing: parts that are not run, as [`not_run`][headstart.assignment.missing.not_run] says.
        out: the homework folder; None: nothing has begun.
        measured: paces; gets those that are measured.
    """
    part1 = _costs_of_part1(homework, datasets.frames, out, measured)
    epochs = homework.sizes.epochs or ASSIGNMENT.epochs
    share = min(1.0, USUAL_EPOCHS / epochs)
    by_part = {n: replace(c, seconds=c.seconds * share) for n, c in part1.items()}
    for folder in folders_of(homework):
        if datasets.pictures is not None and folder not in missing:
            config = classifier_run(homework, folder, datasets.pictures, out or Path())
            path = None if out is None else out / folder
            by_part[part_name(folder)] = _cost(config, path, datasets.pictures, measured)
    chosen = NEW_DATA in homework.parts and NEW_DATA not in missing
    if datasets.new_pictures is not None and chosen:
        study = new_data_study(homework, datasets.new_pictures, out or Path())
        begun = all((out or Path("?")).joinpath(f, "scores.json").exists() for f in ("2a", "2b"))
        path = out / NEW_DATA if out is not None and begun else None
        planned = _planned(study, path, datasets.new_pictures)
        by_part[part_name(NEW_DATA)] = _cost_of_study(planned, True, measured)
    beside = {n: BESIDE * (c.runs + c.pretexts) for n, c in by_part.items()}
    return {n: replace(c, seconds=c.seconds + beside[n]) for n, c in by_part.items()}


def _costs_of_part1(
    homework: Homework, frames: Opened, out: Path | None, measured: Measured
) -> dict[str, Cost]:
    chosen, by_part = set(homework.parts), {}
    if "1a" in chosen:
        path = None if out is None else out / "a"
        by_part["1(a)"] = _cost(part_a(homework), path, frames, measured)
    if chosen & {"1b", "1d"}:
        path = None if out is None else out / "steplr"
        planned = _planned(with_steplr(homework, frames), path, frames)
        b, d = (tuple(c for c in planned.todo if (c.start == SCRATCH) == s) for s in (True, False))
        by_part["1(b)"] = _cost_of_study(replace(planned, todo=b), False, measured)
        if "1d" in chosen:
            with_c = _cost_of_study(replace(planned, todo=d), True, measured)
            of_d = _cost_of_study(replace(planned, todo=d), False, measured)
            by_part["1(c)"] = Cost(
                0,
                with_c.pretexts,
                0,
                with_c.pretext_steps,
                with_c.seconds - of_d.seconds,
                with_c.size - of_d.size,
            )
            by_part["1(d)"] = of_d
    if "1c" in chosen and "1d" not in chosen:
        by_part["1(c)"] = _cost_of_colorization(homework, frames, out)
    if chosen & {"1b", "1d"} and homework.sizes.constant:
        path = None if out is None else out / "constant"
        planned = _planned(without_steplr(homework, frames), path, frames)
        by_part[WITHOUT_STEPLR] = _cost_of_study(planned, False, measured)  # steplr/ has pretexts
    order = ("1(a)", "1(b)", "1(c)", "1(d)", WITHOUT_STEPLR)
    return {name: by_part[name] for name in order if name in by_part}


def _cost_of_colorization(homework: Homework, frames: Opened, out: Path | None) -> Cost:
    config, folder = colorization_run(homework, frames, out or Path("?"))
    if out is not None and (folder / "scores.json").exists():
        return NOTHING
    return cost_of_pretext(config, pictures_of(frames.dataset))


def _planned(config: StudyConfig, out: Path | None, data: Opened) -> Plan:
    return unbegun(config, data.dataset) if out is None else plan(config, out, data.dataset)


def _cost_of_study(planned: Plan, pretexts: bool, measured: Measured) -> Cost:
    return cost_of_study(planned, pretexts, measured.of_run, measured.of_pretext)


def _cost(config: RunConfig, out: Path | None, data: Opened, measured: Measured) -> Cost:
    if out is not None:
        check_folder(config, out)
        if (out / "scores.json").exists():
            return NOTHING
    pace = pace_of_run(config, data.dataset, measured.of_run, measured.of_pretext)
    return cost_of_run(config, data.dataset, pace)


def time_of(part: str, cost: Cost, jobs: int) -> float:
    """Return the seconds of a part with so many runs at a time; 1(a) is one run."""
    return cost.elapsed(1 if part == "1(a)" else jobs)


def forecast(
    homework: Homework, datasets: Datasets, by_part: Mapping[str, Cost], jobs: int
) -> list[str]:
    """Return a line for each part: its size, its number of runs and its time; then the whole."""
    lines = []
    for part, cost in by_part.items():
        count = cost.runs + cost.pretexts
        size = size_of(part, homework, datasets)
        takes = f"{plural(count, 'run')}, about {lasting(time_of(part, cost, jobs))}"
        lines.append(f"{part}: {size}; {takes if count else 'done'}")
    total = sum(time_of(part, cost, jobs) for part, cost in by_part.items())
    if total:
        early = ""
        if any(part.startswith("1") for part in by_part) and homework.sizes.epochs is None:
            early = (
                f"; trainings of part 1 are counted with {USUAL_EPOCHS} epochs, of at most "
                f"{ASSIGNMENT.epochs}: they stop early"
            )
        lines.append(f"All parts: about {lasting(total)} on this machine{early}")
    return lines


def size_of(part: str, homework: Homework, datasets: Datasets) -> str:
    """Return the size of a part in words: pictures, network, labels."""
    sizes = homework.sizes
    if part.startswith("1"):
        height, width = sizes.size
        pictures = f", {plural(datasets.frames.training_pictures, 'labelled picture')}"
        pictures = "" if part == "1(c)" else pictures
        return f"{height} x {width}, width {sizes.width}{pictures}"
    model, square = homework.model or VGG16, f"{sizes.square} x {sizes.square}"
    if part == part_name(NEW_DATA):
        return f"{model} at {square}"
    assert datasets.pictures is not None
    available = datasets.pictures.training_pictures
    labels = min(sizes.labels or available, available)
    return f"{model} at {square}, {plural(labels, 'labelled picture')}"
