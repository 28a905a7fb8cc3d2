"""The arms of a study: runs grouped by start, tuning and label budget, and scores over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Int64

from headstart.config.methods import SUPERVISED, parted
from headstart.errors import DataError, Finding
from headstart.reports.records import Records, RunRecord
from headstart.scores.counts import constant_counts
from headstart.scores.pooled import PooledScore, Usable, pooled_dice
from headstart.studies.statistics import interval, mean_score
from headstart.studies.wording import called
from headstart.tasks.measures import Measures


@dataclass(frozen=True)
class Spread:
    """One score over seeds.

    Attributes:
        mean: mean of ``values``.
        low: the lowest value.
        high: the highest value.
        sd: standard deviation; None for a single value.
        values: the score of each seed that has one.
    """

    mean: float
    low: float
    high: float
    sd: float | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Arm:
    """The runs of one start and tuning with one label budget.

    Attributes:
        line: index of its line, and so of its colour, in the figures.
        name: its start, and its tuning where the study compares several.
        labels: its label budget.
        runs: one for each seed.
    """

    line: int
    name: str
    labels: int
    runs: tuple[RunRecord, ...]

    def spread(self, score: str) -> Spread | None:
        """Return one score over seeds; None where no run has it."""
        return spread([run.scores[score] for run in self.runs])

    def spread_of_class(self, name: str, score: str) -> Spread | None:
        """Return one score of one class over seeds; None where no run has it."""
        return spread([run.scores["classes"][name][score] for run in self.runs])

    @property
    def collapsed(self) -> int:
        """Number of runs that predict one class everywhere."""
        return sum(bool(run.scores["collapsed"]) for run in self.runs)

    def median(self, score: str) -> RunRecord:
        """Return the run with the median score; the lower of two in the middle."""
        order = sorted(self.runs, key=lambda run: (run.scores[score] or 0.0, run.seed))
        return order[(len(order) - 1) // 2]


def spread(values: Sequence[float | None]) -> Spread | None:
    """Return mean, range and deviation of the values that are not None; None if all are.

    >>> spread([0.5, None, 0.7]).low
    0.5
    """
    known = tuple(v for v in values if v is not None)
    if not known:
        return None
    mean = math.fsum(known) / len(known)
    squares = math.fsum((v - mean) ** 2 for v in known)
    sd = math.sqrt(squares / (len(known) - 1)) if len(known) > 1 else None
    return Spread(mean, min(known), max(known), sd, known)


def line_names(records: Records) -> list[str]:
    """Return the name of each line in the figures, in the order of the study."""
    if records.study is None:
        return [called(run.start) for run in records.runs]
    config = records.study.config
    several = len(config.tunes) > 1
    pairs = product(map(called, config.starts), config.tunes)
    return [f"{start}, tune {tune}" if several else start for start, tune in pairs]


def noun(records: Records) -> str:
    """Return what a study compares: ``"start"``, or ``"arm"`` if methods or tunings differ, too."""
    if records.study is None:
        return "start"
    config = records.study.config
    methods = any(parted(start)[1] != SUPERVISED for start in config.starts)
    return "arm" if methods or len(config.tunes) > 1 else "start"


def arms_of(records: Records) -> list[Arm]:
    """Return the arms with a finished run, ordered by budget, then by line."""
    names = line_names(records)
    if records.study is None:
        return [Arm(0, names[0], run.labels, (run,)) for run in records.runs]
    config = records.study.config
    arms = []
    for labels, (line, (start, tune)) in product(
        config.labels, enumerate(product(config.starts, config.tunes))
    ):
        key = (start, tune, labels)
        runs = tuple(run for run in records.runs if (run.start, run.tune, run.labels) == key)
        if runs:
            arms.append(Arm(line, names[line], labels, runs))
    return arms


def verdict_classes(records: Records) -> Usable | None:
    """Return the classes whose mean the verdict is about; None where there is no verdict yet."""
    summary = records.study.summary if records.study else None
    classes = summary.get("classes") if summary else None
    if not classes or "reason" in classes:
        return None
    if records.runs[0].frames.counts.shape[1] == 1:  # which old studies call class 1
        return Usable(classes=(0,), left_out=(), fallback=False)
    return Usable(tuple(classes["classes"]), tuple(classes["left_out"]), classes["fallback"])


def trivial_score(run: RunRecord, classes: Sequence[int], measures: Measures) -> float:
    """Return the verdict's score of the best constant prediction.

    Args:
        run: any run of the study; all have the same truth.
        classes: the classes in the verdict's mean.
        measures: of the task.
    """
    if not measures.class_mean:
        return float(run.scores["trivial"][measures.headline])
    counts = run.frames.counts
    pixels = counts[..., 0] + counts[..., 2]
    constant = (constant_counts(pixels, c).sum(0) for c in range(pixels.shape[1]))
    return max(float(pooled_dice(each[list(classes)])) for each in constant)


@dataclass(frozen=True)
class Point:
    """The verdict's score of one arm.

    Attributes:
        labels: label budget.
        mean: over the seeds.
        low: lower end of the 95 % interval over seeds and frames; None with too few seeds.
        high: upper end of the interval.
        seeds: the score of each seed.
    """

    labels: int
    mean: float
    low: float | None
    high: float | None
    seeds: tuple[float, ...]


def point(
    arm: Arm,
    classes: Sequence[int],
    groups: Int64[np.ndarray, " n"] | None,
    score: PooledScore,
    with_interval: bool = True,
) -> Point:
    """Return an arm's mean score over ``classes``, with its interval unless that is not wanted.

    Raises:
        DataError: the runs were not scored on the same frames.
    """
    try:
        counts = np.stack([run.frames.counts for run in arm.runs])
        estimate = mean_score(counts, classes, groups, score)
    except ValueError as e:
        message = (
            f"the runs of {arm.name} with {arm.labels} labels were scored on different frames: {e}"
        )
        raise DataError(Finding("bad-record", "error", message)) from None
    low, high = interval(estimate) if with_interval else (None, None)
    each = tuple(mean_score(one[None], classes, groups, score).value for one in counts)
    return Point(arm.labels, estimate.value, low, high, each)
