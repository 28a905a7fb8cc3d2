"""Records brought together: what one start reaches with one number of labels, over its seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Int64

from headstart.errors import DataError, Finding
from headstart.report.read import Records, Run
from headstart.scores.counts import constant_counts
from headstart.scores.pooled import PooledScore, Usable, pooled_dice
from headstart.studies.statistics import interval, mean_score
from headstart.studies.verdicts import called
from headstart.training.config import StudyConfig


@dataclass(frozen=True)
class Spread:
    """One score over seeds.

    Attributes:
        mean: of the seeds that have it.
        low, high: the lowest and the highest of them.
        sd: their standard deviation; ``None`` of one.
        values: theirs.
    """

    mean: float
    low: float
    high: float
    sd: float | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Cell:
    """The runs of one start and tuning with one number of labels.

    Attributes:
        line: which line of the figures, and which colour, is its.
        name: of start, and of the tuning where a study has several.
        labels: how many.
        runs: one for each seed.
    """

    line: int
    name: str
    labels: int
    runs: tuple[Run, ...]

    def spread(self, score: str) -> Spread | None:
        """One of the eight scores; ``None`` where no run has it."""
        return spread([run.scores[score] for run in self.runs])

    def spread_of_class(self, name: str, score: str) -> Spread | None:
        """``dice``, ``iou``, ``precision`` or ``recall`` of one class."""
        return spread([run.scores["classes"][name][score] for run in self.runs])

    @property
    def collapsed(self) -> int:
        """How many of its runs predict one class everywhere."""
        return sum(bool(run.scores["collapsed"]) for run in self.runs)

    def median(self, score: str) -> Run:
        """The run with the median of a score; of two in the middle the lower."""
        order = sorted(self.runs, key=lambda run: (run.scores[score] or 0.0, run.seed))
        return order[(len(order) - 1) // 2]


def spread(values: Sequence[float | None]) -> Spread | None:
    """Of the values that are there; ``None`` where there is none.

    >>> spread([0.5, None, 0.7]).low
    0.5
    """
    there = tuple(v for v in values if v is not None)
    if not there:
        return None
    mean = math.fsum(there) / len(there)
    squares = math.fsum((v - mean) ** 2 for v in there)
    sd = math.sqrt(squares / (len(there) - 1)) if len(there) > 1 else None
    return Spread(mean, min(there), max(there), sd, there)


def line_names(records: Records) -> list[str]:
    """What is compared, in the order of the study."""
    config = records.config
    if not isinstance(config, StudyConfig):
        return [called(run.start) for run in records.runs]
    several = len(config.tunes) > 1
    pairs = product(map(called, config.starts), config.tunes)
    return [f"{start}, tune {tune}" if several else start for start, tune in pairs]


def cells(records: Records) -> list[Cell]:
    """Budget by budget, line by line; those without a finished run are left out."""
    names = line_names(records)
    config = records.config
    if not isinstance(config, StudyConfig):
        return [Cell(0, names[0], run.labels, (run,)) for run in records.runs]
    found = []
    for labels, (line, (start, tune)) in product(
        config.labels, enumerate(product(config.starts, config.tunes))
    ):
        key = (start, tune, labels)
        runs = tuple(run for run in records.runs if (run.start, run.tune, run.labels) == key)
        if runs:
            found.append(Cell(line, names[line], labels, runs))
    return found


def verdict_classes(records: Records) -> Usable | None:
    """The classes the verdict's mean is over; None where the study has (as yet) no verdict."""
    found = records.study.get("classes") if records.study else None
    if not found or "reason" in found:
        return None
    if records.runs[0].frames.counts.shape[1] == 1:  # which old studies call class 1
        return Usable(classes=(0,), left_out=(), fallback=False)
    return Usable(tuple(found["classes"]), tuple(found["left_out"]), found["fallback"])


def trivial_score(run: Run, classes: Sequence[int]) -> float:
    """What the best constant prediction reaches, of the verdict's score.

    Args:
        run: any; the truth is the same in all.
        classes: that the mean is over.
    """
    if "accuracy" in run.scores:
        return float(run.scores["trivial"]["accuracy"])
    counts = run.frames.counts
    pixels = counts[..., 0] + counts[..., 2]
    constant = (constant_counts(pixels, c).sum(0) for c in range(pixels.shape[1]))
    return max(float(pooled_dice(each[list(classes)])) for each in constant)


@dataclass(frozen=True)
class Point:
    """What one start reaches with one number of labels, by the verdict's score.

    Attributes:
        labels: how many.
        mean: over the seeds.
        low, high: of the 95 % interval over seeds and frames; ``None`` with too few seeds.
        seeds: each seed's own.
    """

    labels: int
    mean: float
    low: float | None
    high: float | None
    seeds: tuple[float, ...]


def point(
    cell: Cell,
    classes: Sequence[int],
    groups: Int64[np.ndarray, " n"] | None,
    score: PooledScore,
) -> Point:
    """The dice over ``classes``, with its interval.

    Raises:
        DataError: the runs were not scored on the same frames.
    """
    try:
        counts = np.stack([run.frames.counts for run in cell.runs])
        estimate = mean_score(counts, classes, groups, score)
    except ValueError as e:
        message = f"the runs of {cell.name} with {cell.labels} labels do not fit together: {e}"
        raise DataError(Finding("bad-record", "error", message)) from None
    low, high = interval(estimate)
    each = tuple(mean_score(one[None], classes, groups, score).value for one in counts)
    return Point(cell.labels, estimate.value, low, high, each)
