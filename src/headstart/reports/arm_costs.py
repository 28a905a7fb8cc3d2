"""Which arm of a study is probably the best, and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.config.methods import parted
from headstart.config.records import StudyConfig
from headstart.config.start_names import views
from headstart.errors import printable
from headstart.reports.arms import Arm, Point, noun, point, verdict_classes
from headstart.reports.data_check import DataCheck, groups_are_lost
from headstart.reports.formatting import NONE, Entry, Table, duration, listed, number, plural
from headstart.reports.records import Records
from headstart.reports.sentences import left_out_of_verdicts
from headstart.studies.cells import of_method
from headstart.studies.wording import percent
from headstart.tasks.lookup import labelled_task, task_named

_CLEAR = 0.95  # a chance from which an arm is called the best


@dataclass(frozen=True)
class ArmCost:
    """The score and the cost of one arm.

    Attributes:
        arm: the arm.
        point: its score in the verdict.
        pictures: that a network sees in training, those of its pretext included; mean over seeds.
        seconds: of training and validation, those of its pretext included; mean over seeds.
        chance: that the arm is the best of its budget; None with too few seeds.
    """

    arm: Arm
    point: Point
    pictures: float
    seconds: float
    chance: float | None


def arm_costs(records: Records, arms: Sequence[Arm], data: DataCheck) -> list[ArmCost]:
    """Return the arms of a study by budget, the best first; none without a verdict's classes.

    Args:
        records: the records of a study.
        arms: its arms.
        data: the result of checking the dataset, for the groups of the scored frames.
    """
    usable = verdict_classes(records)
    if records.study is None or usable is None or len(arms) < 2:
        return []
    config, pooled = records.study.config, labelled_task(records.config.task).score
    summary = records.study.summary or {}
    chances = {
        (row["start"], row["tune"], row["labels"]): row["chance"] for row in summary.get("best", [])
    }
    rows = []
    for arm in arms:
        start, tune = arm.runs[0].start, arm.runs[0].tune
        pictures, seconds = _of_pretext(records, config, start)
        pictures += _pictures_of_runs(arm, config)
        seconds += sum(run.seconds for run in arm.runs) / len(arm.runs)
        known = not groups_are_lost(records, data)
        of_arm = point(arm, usable.classes, data.groups, pooled, with_interval=known)
        chance = chances.get((start, tune, arm.labels))
        rows.append(ArmCost(arm, of_arm, pictures, seconds, chance))
    return sorted(rows, key=lambda row: (row.arm.labels, -row.point.mean))


def _pictures_of_runs(arm: Arm, config: StudyConfig) -> float:
    """Return the pictures that a run of an arm shows its network, mean over the seeds."""
    recipe = of_method(config.recipe, parted(arm.runs[0].start)[1])
    teacher = recipe.taught_by()
    batch = recipe.batch + (teacher.batch if teacher is not None else 0)
    steps = sum(run.history[-1]["step"] for run in arm.runs) / len(arm.runs)
    return float(steps * batch * (config.folds or 1))


def _of_pretext(records: Records, config: StudyConfig, start: str) -> tuple[float, float]:
    """Return pictures and seconds of a start's pretext, mean over the seeds; 0 without one."""
    pretexts = [p for p in records.pretexts if p.pretext == parted(start)[0]]
    if not pretexts:
        return 0.0, 0.0
    seeds = len({p.seed for p in pretexts})  # with folds, a seed may have several
    steps = sum(p.scores["steps"] for p in pretexts) / seeds
    pictures = steps * config.pretext_recipe.batch * views(pretexts[0].pretext)
    return pictures, sum(p.seconds for p in pretexts) / seeds


def best_section(records: Records, rows: Sequence[ArmCost]) -> dict[str, Any] | None:
    """Return the arms in the order of their scores; None where there is nothing to order.

    Returns:
        ``table``; ``sentences``: the arm that is probably the best with each budget.
    """
    if not rows:
        return None
    kind = noun(records)
    measures = task_named(records.config.task).measures
    headline = measures.headline
    body: list[tuple[Entry, ...]] = []
    for i, row in enumerate(rows):
        if i == 0 or row.arm.labels != rows[i - 1].arm.labels:
            body.append((plural(row.arm.labels, "label"),))
        chance = NONE if row.chance is None else percent(row.chance)
        seen = f"{_rounded(row.pictures):,}".replace(",", "\u202f")
        cells = (number(row.point.mean), chance, seen, duration(row.seconds))
        body.append((printable(row.arm.name), *cells))
    with_pretext = ", its pretext included" if records.pretexts else ""
    caption = (
        f"The {kind}s in the order of their mean {headline}, the probability that each is the best "
        f"with so many labels, and the cost of one seed{with_pretext}: pictures shown to the "
        "network, and time."
    )
    if left_out := left_out_of_verdicts(records):
        caption += f" {left_out}"
    head = (kind, headline, "best", "pictures", "time")
    told = [words.replace(" %", "\u00a0%") for words in _probably(rows, kind)]
    return {"table": Table(caption, head, tuple(body)), "sentences": told}


def _probably(rows: Sequence[ArmCost], kind: str) -> list[str]:
    told = []
    for labels in dict.fromkeys(row.arm.labels for row in rows):
        known = [(row.chance, row) for row in rows if row.arm.labels == labels]
        ordered = sorted(((c, row) for c, row in known if c is not None), key=lambda x: -x[0])
        if not ordered:
            continue
        chance, first = ordered[0]
        name, words = printable(first.arm.name), f"With {plural(labels, 'label')}, "
        if chance >= _CLEAR:
            told.append(
                f"{words}{name} is the best {kind} with a probability of {percent(chance)}."
            )
            continue
        likely = [f"{printable(row.arm.name)} ({percent(c)})" for c, row in ordered if c >= 0.05]
        told.append(f"{words}the best {kind} is not settled: {listed(likely)}.")
    return told


def _rounded(value: float) -> int:
    """Return a number with three digits, and zeros behind them."""
    return int(float(f"{value:.3g}"))
