"""What a homework's folder holds, as plain records; the effects that answer its question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from headstart.data.layouts.folders import open_dataset
from headstart.errors import DataError, Finding
from headstart.report.read import Pretext, Records, Run, read_records
from headstart.report.summary import spread
from headstart.scores.counts import constant_counts
from headstart.scores.overlap import dice_assignment
from headstart.studies import statistics as stats
from headstart.studies.verdicts import numbered_groups, of_seeds
from headstart.training.config import PretextConfig, RunConfig, StudyConfig
from headstart.training.config_files import read_config

SEED = 1
"""The seed whose runs are the assignment's own."""

STEPLR, CONSTANT = "StepLR", "a constant learning rate"


@dataclass(frozen=True)
class Effect:
    """One thing changed, all else alike, over seeds and frames.

    Attributes:
        of: what was changed, ``"colorization"`` or ``"schedule"``.
        given: what was held: the schedule, or the start.
        told: the difference in ``dice``, with its interval.
    """

    of: str
    given: str
    told: stats.Comparison


@dataclass(frozen=True)
class Pair:
    """(b) and (d) of one schedule and seed."""

    schedule: str
    seed: int
    b: Run
    d: Run

    def difference(self, score: str) -> float | None:
        """By how much (d) is above (b); None where one of them has no such score."""
        b, d = self.b.scores[score], self.d.scores[score]
        return None if b is None or d is None else float(d - b)


@dataclass(frozen=True)
class Results:
    """All that the report of part 1 is made from.

    Attributes:
        a, b, c, d: the assignment's own runs.
        pairs: (b) and (d) by schedule, then by seed.
        effects: of colorization under either schedule, then of the schedule on either start.
        no_effects: why there are none, in words; empty where there are.
        steplr: the records of the study that (b), (c) and (d) are of.
        grouped: whether it is known which video or patient a test frame comes from.
        configs: of ``a`` to ``d``, by letter.
        everywhere: the class that is the best constant prediction by the assignment's score.
    """

    a: Run
    b: Run
    c: Pretext
    d: Run
    pairs: tuple[Pair, ...]
    effects: tuple[Effect, ...]
    no_effects: str
    steplr: Records
    grouped: bool
    configs: Mapping[str, RunConfig | PretextConfig]
    everywhere: str

    def of(self, schedule: str) -> tuple[Pair, ...]:
        """The pairs of one schedule."""
        return tuple(pair for pair in self.pairs if pair.schedule == schedule)


def read_results(out: Path) -> Results:
    """Everything the report needs.

    Raises:
        DataError: a part is not finished, or a record is damaged.
    """
    (a,) = read_records(out / "a").runs
    steplr, constant = (read_records(out / name) for name in ("steplr", "constant"))
    config = steplr.config
    assert isinstance(config, StudyConfig)
    scored = open_dataset(Path(config.data)).splits[config.score]
    groups = numbered_groups([frame.group for frame in scored])
    pairs = (*_pairs(steplr, STEPLR), *_pairs(constant, CONSTANT))
    try:
        own = next(p for p in pairs if (p.schedule, p.seed) == (STEPLR, SEED))
        c = next(p for p in steplr.pretexts if p.seed == SEED)
    except StopIteration:
        message = f"{out / 'steplr'} lacks its runs of seed {SEED}"
        raise DataError(Finding("unfinished", "error", message)) from None
    reason = ((steplr.study or {}).get("classes") or {}).get("reason", "")
    effects = () if reason else _effects(steplr, constant, pairs, groups)
    parts: dict[str, Run | Pretext] = {"a": a, "b": own.b, "c": c, "d": own.d}
    configs = {letter: read_config(part.folder / "config.json") for letter, part in parts.items()}
    return Results(
        a,
        own.b,
        c,
        own.d,
        pairs,
        effects,
        reason,
        steplr,
        groups is not None,
        configs,
        _best_constant(own.b),
    )


def _pairs(records: Records, schedule: str) -> tuple[Pair, ...]:
    runs = {(run.start, run.seed): run for run in records.runs}
    return tuple(
        Pair(schedule, seed, runs["scratch", seed], runs["colorization", seed])
        for seed in sorted({run.seed for run in records.runs})
        if ("scratch", seed) in runs and ("colorization", seed) in runs
    )


def _effects(
    steplr: Records,
    constant: Records,
    pairs: tuple[Pair, ...],
    groups: Int64[np.ndarray, " n"] | None,
) -> tuple[Effect, ...]:
    """Of colorization as the studies have them, of the schedule by the same method."""
    found = []
    for schedule, records in ((STEPLR, steplr), (CONSTANT, constant)):
        assert records.study is not None
        (c,) = records.study["comparisons"]
        fields = {name: c[name] for name in stats.Comparison.__dataclass_fields__}
        found.append(Effect("colorization", schedule, stats.Comparison(**fields)))
    assert steplr.study is not None
    classes = steplr.study["classes"]["classes"]
    by_schedule = {s: {p.seed: p for p in pairs if p.schedule == s} for s in (STEPLR, CONSTANT)}
    seeds = sorted(by_schedule[STEPLR].keys() & by_schedule[CONSTANT].keys())
    for start in ("scratch", "colorization"):
        counts = {}
        for schedule, its in by_schedule.items():
            runs = {seed: pair.b if start == "scratch" else pair.d for seed, pair in its.items()}
            counts[schedule] = of_seeds({s: r.frames.counts for s, r in runs.items()}, seeds)
        estimate = stats.paired_difference(counts[CONSTANT], counts[STEPLR], classes, groups)
        found.append(Effect("schedule", start, stats.holm([estimate])[0]))
    return tuple(found)


def _best_constant(run: Run) -> str:
    """Which class, predicted everywhere, scores highest as the assignment counts."""
    pixels = run.frames.counts[..., 0] + run.frames.counts[..., 2]
    scores = [dice_assignment(constant_counts(pixels, k)) or 0.0 for k in range(pixels.shape[1])]
    return run.frames.names[int(np.argmax(scores))]


def kept(part: Run | Pretext) -> int:
    """The epoch whose weights were kept: that of the lowest validation loss."""
    return int(min(part.history, key=lambda row: row["validation_loss"])["epoch"])


def to_json(
    results: Results, parts: Mapping[str, Any], answers: list[str], part2: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of ``homework.json``: no path, no time, the same whenever it is made again.

    Args:
        results: as read.
        parts: what is said of each of the four, by letter.
        answers: in words.
        part2: what is said of it, by folder.
    """

    def shown(run: Run) -> dict[str, Any]:
        names = ("dice", "dice_assignment", "absent_fp_rate", "collapsed")
        return {name: run.scores[name] for name in names}

    return {
        "schema": 1,
        "parts": dict(parts),
        "seeds": [
            {"schedule": p.schedule, "seed": p.seed, "b": shown(p.b), "d": shown(p.d)}
            for p in results.pairs
        ],
        "comparisons": [
            {"of": e.of, "given": e.given, "metric": "dice", **vars(e.told)}
            for e in results.effects
        ],
        "answers": answers,
        "part2": dict(part2),
    }


def values(pairs: tuple[Pair, ...], letter: str, score: str) -> tuple[float, ...]:
    """One score of (b) or (d) over seeds; those that have none are left out."""
    found = spread([getattr(pair, letter).scores[score] for pair in pairs])
    return found.values if found else ()
