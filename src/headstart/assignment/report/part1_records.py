"""The records of part 1, and the effects of colorization and of the schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Int64

from headstart.config.files import read_run_config
from headstart.config.records import PretextConfig, RunConfig
from headstart.config.start_names import SCRATCH
from headstart.errors import DataError, Finding
from headstart.records.vouching import STUDY
from headstart.reports.arms import spread
from headstart.reports.records import PretextRecord, Records, RunRecord, read_records
from headstart.scores.counts import constant_counts
from headstart.scores.overlap import dice_assignment
from headstart.studies import statistics as stats
from headstart.studies.counts_of_runs import numbered_groups, of_seeds
from headstart.studies.wording import read_comparison

SEED = 1
"""The seed of the assignment's own runs."""

STEPLR, CONSTANT = "StepLR", "a constant learning rate"


@dataclass(frozen=True)
class Effect:
    """The difference that one change makes, over seeds and frames.

    Attributes:
        of: what was changed, ``"colorization"`` or ``"schedule"``.
        given: what was held fixed: a schedule, or a start.
        comparison: the difference in ``dice`` with its interval.
    """

    of: str
    given: str
    comparison: stats.Comparison


@dataclass(frozen=True)
class Pair:
    """The runs (b) and (d) of one schedule and seed."""

    schedule: str
    seed: int
    b: RunRecord
    d: RunRecord

    def difference(self, score: str) -> float | None:
        """Return (d) minus (b); ``None`` if either lacks the score."""
        b, d = self.b.scores[score], self.d.scores[score]
        return None if b is None or d is None else float(d - b)


@dataclass(frozen=True)
class Part1:
    """All records that the report of part 1 uses.

    Attributes:
        runs: the runs of (a), (b) and (d) with the seed of the assignment, by letter, as far as
            they were run.
        run_configs: the settings of ``runs``.
        colorization: the pretext run (c) with the seed of the assignment; None if it was not run.
        colorization_config: the settings of (c).
        pairs: (b) and (d), by schedule, then by seed.
        effects: of colorization under each schedule, then of the schedule on each start.
        no_effects: why ``effects`` is empty.
        pretexts: the runs of (c) of all seeds.
        steplr: the records of the study with StepLR; None if it was not run.
        not_run: why the other parts were not run, by letter.
        data: the dataset folder.
        grouped: whether the dataset says which video or patient a test frame comes from.
        best_constant: the class whose constant prediction scores highest by the assignment's Dice.
    """

    runs: Mapping[str, RunRecord]
    run_configs: Mapping[str, RunConfig]
    colorization: PretextRecord | None
    colorization_config: PretextConfig | None
    pairs: tuple[Pair, ...]
    effects: tuple[Effect, ...]
    no_effects: str
    pretexts: tuple[PretextRecord, ...]
    steplr: Records | None
    data: str
    grouped: bool
    best_constant: str
    not_run: Mapping[str, str]

    def pairs_of(self, schedule: str) -> tuple[Pair, ...]:
        """Return the pairs of one schedule."""
        return tuple(pair for pair in self.pairs if pair.schedule == schedule)

    @property
    def trivial(self) -> dict[str, float | None]:
        """Each score of the best constant prediction."""
        values: dict[str, float | None] = self.any_run.scores["trivial"]
        return values

    @property
    def any_run(self) -> RunRecord:
        """The first of the runs, for what is the same in all."""
        return next(iter(self.runs.values()))

    @property
    def any_config(self) -> RunConfig | PretextConfig | None:
        """The settings of the first of the runs, or of (c); None if nothing was run."""
        return next(iter(self.run_configs.values()), self.colorization_config)


def read_part1(
    out: Path,
    test_groups: Sequence[str | None],
    not_run: Mapping[str, str] = MappingProxyType({}),
    data: str = "",
) -> Part1:
    """Read the records of part 1 from a homework folder.

    Args:
        out: the homework folder.
        test_groups: video or patient of each test frame; None if unknown.
        not_run: parts that were not run, each with the reason.
        data: the dataset folder, for when no part was run.

    Raises:
        DataError: a part that is not in ``not_run`` is not finished, or a record is damaged.
    """
    runs: dict[str, RunRecord] = {}
    if "1a" not in not_run:
        (runs["a"],) = read_records(out / "a").runs
    of_study = [letter for letter in "bd" if f"1{letter}" not in not_run]
    steplr = read_records(out / "steplr") if of_study else None
    has_constant = (out / "constant" / STUDY).exists() and steplr is not None
    constant = read_records(out / "constant") if has_constant else None
    groups = numbered_groups(test_groups)
    pairs = tuple(
        pair
        for records, schedule in ((steplr, STEPLR), (constant, CONSTANT))
        for pair in (() if records is None else _pairs(records, schedule))
    )
    starts = {"b": SCRATCH, "d": "colorization"}
    colorization = None
    try:
        for letter in of_study:
            assert steplr is not None
            of_letter = (starts[letter], SEED)
            runs[letter] = next(r for r in steplr.runs if (r.start, r.seed) == of_letter)
        pretexts = _pretexts(out / "steplr")
        if "1c" not in not_run:
            colorization = next(p for p in pretexts if p.seed == SEED)
    except StopIteration:
        message = f"{out / 'steplr'} lacks its runs of seed {SEED}"
        raise DataError(Finding("unfinished", "error", message)) from None
    colorization_config = None
    if colorization is not None:
        colorization_config = read_records(colorization.folder).pretext
        assert colorization_config is not None
    configs = {letter: read_run_config(run.folder / "config.json") for letter, run in runs.items()}
    effects, reason = _effects_or_reason(steplr, constant, pairs, groups)
    return Part1(
        runs,
        configs,
        colorization,
        colorization_config,
        pairs,
        effects,
        reason,
        pretexts,
        steplr,
        next((config.data for config in configs.values()), data),
        groups is not None,
        _best_constant(next(iter(runs.values()))) if runs else "",
        {part[1:]: why for part, why in not_run.items() if part.startswith("1")},
    )


def _pretexts(study: Path) -> tuple[PretextRecord, ...]:
    """Return the finished runs of (c), by seed."""
    folders = sorted((study / "starts").glob("colorization-*/scores.json"))
    found = [pretext for path in folders for pretext in read_records(path.parent).pretexts]
    return tuple(sorted(found, key=lambda pretext: pretext.seed))


def _effects_or_reason(
    steplr: Records | None,
    constant: Records | None,
    pairs: tuple[Pair, ...],
    groups: Int64[np.ndarray, " n"] | None,
) -> tuple[tuple[Effect, ...], str]:
    """Return the effects, or why there are none."""
    if steplr is None or not any(pair.schedule == STEPLR for pair in pairs):
        return (), "(b) and (d) were not both run"
    reason = (_summary(steplr).get("classes") or {}).get("reason", "")
    return (() if reason else _effects(steplr, constant, pairs, groups)), reason


def _pairs(records: Records, schedule: str) -> tuple[Pair, ...]:
    runs = {(run.start, run.seed): run for run in records.runs}
    return tuple(
        Pair(schedule, seed, runs[SCRATCH, seed], runs["colorization", seed])
        for seed in sorted({run.seed for run in records.runs})
        if (SCRATCH, seed) in runs and ("colorization", seed) in runs
    )


def _effects(
    steplr: Records,
    constant: Records | None,
    pairs: tuple[Pair, ...],
    groups: Int64[np.ndarray, " n"] | None,
) -> tuple[Effect, ...]:
    """Return the effects of colorization from the studies, and those of the schedule likewise."""
    effects = []
    for schedule, records in ((STEPLR, steplr), (CONSTANT, constant)):
        if records is not None and any(pair.schedule == schedule for pair in pairs):
            (row,) = _summary(records)["comparisons"]
            effects.append(Effect("colorization", schedule, read_comparison(row)))
    if len(effects) < 2:
        return tuple(effects)
    classes = _summary(steplr)["classes"]["classes"]
    by_schedule = {s: {p.seed: p for p in pairs if p.schedule == s} for s in (STEPLR, CONSTANT)}
    seeds = sorted(by_schedule[STEPLR].keys() & by_schedule[CONSTANT].keys())
    for start in (SCRATCH, "colorization"):
        counts = {}
        for schedule, by_seed in by_schedule.items():
            runs = {seed: pair.b if start == SCRATCH else pair.d for seed, pair in by_seed.items()}
            counts[schedule] = of_seeds({s: r.frames.counts for s, r in runs.items()}, seeds)
        estimate = stats.paired_difference(counts[CONSTANT], counts[STEPLR], classes, groups)
        effects.append(Effect("schedule", start, stats.holm([estimate])[0]))
    return tuple(effects)


def _summary(records: Records) -> dict[str, Any]:
    assert records.study is not None and records.study.summary is not None
    return records.study.summary


def _best_constant(run: RunRecord) -> str:
    pixels = run.frames.counts[..., 0] + run.frames.counts[..., 2]
    scores = [dice_assignment(constant_counts(pixels, k)) or 0.0 for k in range(pixels.shape[1])]
    return run.frames.names[int(np.argmax(scores))]


def kept_epoch(record: RunRecord | PretextRecord) -> int:
    """Return the epoch whose weights were kept, which has the lowest validation loss."""
    return int(min(record.history, key=lambda row: row["validation_loss"])["epoch"])


def scores_over_seeds(pairs: tuple[Pair, ...], letter: str, score: str) -> tuple[float, ...]:
    """Return one score of (b) or (d) for each seed that has one."""
    values = spread([getattr(pair, letter).scores[score] for pair in pairs])
    return values.values if values else ()


def part1_json(part1: Part1) -> dict[str, Any]:
    """Return what ``homework.json`` records of all seeds: scores, and differences with intervals.

    It contains no path and no time, so that it can be reproduced exactly.
    """
    names = ("dice", "dice_assignment", "absent_fp_rate", "collapsed")
    return {
        "seeds": [
            {
                "schedule": pair.schedule,
                "seed": pair.seed,
                "b": {name: pair.b.scores[name] for name in names},
                "d": {name: pair.d.scores[name] for name in names},
            }
            for pair in part1.pairs
        ],
        "comparisons": [
            {"of": e.of, "given": e.given, "metric": "dice", **vars(e.comparison)}
            for e in part1.effects
        ],
    }
