"""Looks at a study: after how many seeds it is compared, and what each look may get wrong.

Whoever adds seeds until a verdict appears will get one, true or not. So the numbers of seeds at
which a study is compared are planned before its first run (``--looks 5,10,20``). Each of ``K``
planned looks has an equal share of the 5 %: the chance that any of its verdicts is wrong is at most
``0.05 / K``. So over all looks it is at most 5 %, however alike the looks are (Bonferroni). Between
two looks the comparisons stay those of the look before.

A study without a plan has one look, which may use all 5 %. If seeds are added after its report was
there, look ``j`` has the share ``0.05 / j``, and the chance of a wrong verdict in any look is at
most ``0.05 * (1 + 1/2 + ... + 1/j)``: more than 5 %, and the report says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.config.records import StudyConfig
from headstart.studies.statistics import LEVEL, MIN_SEEDS


@dataclass(frozen=True)
class Look:
    """One look at a study.

    Attributes:
        number: which one, from 1.
        seeds: the numbers of seeds at all looks so far, and at those that are planned.
        planned: how many looks were planned; 0: none.
        needed: seeds that its verdicts need.
        most: seeds that it compares at most; None: all.
        error: the largest chance that any of its verdicts is wrong.
        total: the largest chance that any verdict of any look is wrong.
    """

    number: int
    seeds: tuple[int, ...]
    planned: int
    needed: int
    most: int | None
    error: float
    total: float


def look_at(config: StudyConfig, complete: int) -> Look:
    """Return the look that a study is at.

    Args:
        config: configuration of the study.
        complete: how many of its seeds are finished.

    >>> settings = {"schema": 1, "data": "d", "starts": ["scratch"], "labels": [30]}
    >>> few = StudyConfig.model_validate({**settings, "seeds": range(5), "looks": [5, 10]})
    >>> look = look_at(few, complete=7)
    >>> look.number, look.most, round(look.error, 6)
    (1, 5, 0.025)
    """
    error, looks = 1 - LEVEL, config.looks or ()
    reached = [n for n in looks if n <= complete]
    if looks and len(config.seeds) <= looks[-1]:
        of_look = error / len(looks)
        needed = max(MIN_SEEDS, looks[0])
        return Look(max(1, len(reached)), looks, len(looks), needed, _last(reached), of_look, error)
    earlier = (*looks, *(n for n in config.seen if not looks or n > looks[-1]))
    number = len(earlier) + 1
    later = range(max(1, len(looks)) + 1, number + 1)  # each has less than the one before
    total = error * (1 + sum(1 / j for j in later))
    seeds = (*earlier, len(config.seeds))
    return Look(number, seeds, len(looks), MIN_SEEDS, None, error / number, total)


def error_with_more_seeds(config: StudyConfig, complete: int) -> float:
    """Return the error of the next look: of the seeds left, or of seeds that are added."""
    look = look_at(config, complete)
    more_is_planned = bool(config.looks) and len(config.seeds) < look.seeds[-1]
    if complete < len(config.seeds) or more_is_planned:
        return look_at(config, len(config.seeds)).error
    return (1 - LEVEL) / (len(look.seeds) + 1)


def at_a_look(config: StudyConfig, seeds: int | None) -> int | None:
    """Return the number of seeds of the first planned look that has as many.

    >>> settings = {"schema": 1, "data": "d", "starts": ["scratch"], "labels": [30], "seeds": [1]}
    >>> planned = StudyConfig.model_validate({**settings, "looks": [5, 10]})
    >>> at_a_look(planned, 7), at_a_look(planned, 12)
    (10, 12)
    """
    later = [n for n in config.looks or () if seeds is not None and n >= seeds]
    return later[0] if later else seeds


def look_sentence(look: dict[str, Any] | None) -> str:
    """Return what the looks of a ``study.json`` mean for its verdicts; "" for a single look.

    >>> from dataclasses import asdict
    >>> settings = {"schema": 1, "data": "d", "starts": ["scratch"], "labels": [30]}
    >>> seen = StudyConfig.model_validate({**settings, "seeds": range(10), "seen": [5]})
    >>> print(look_sentence(asdict(look_at(seen, 10))))  # doctest: +NORMALIZE_WHITESPACE
    Seeds were added after the starts had been compared at 5 seeds, so this is look 2. Any of its
    verdicts is wrong in at most 2.5 % of such studies; with all looks together, a verdict is wrong
    in up to 7.5 %, instead of 5 %. Plan the looks of the next study (--looks).
    """
    if look is None:
        return ""
    *before, _ = map(str, look["seeds"])
    own, total = (f"{100 * look[name]:.2g} %" for name in ("error", "total"))
    if look["number"] <= look["planned"]:
        seeds = ", ".join(map(str, look["seeds"]))
        return (
            f"This is look {look['number']} of {look['planned']}, planned at {seeds} seeds. Any "
            f"of its verdicts is wrong in at most {own} of such studies; over all looks, {total}."
        )
    return (
        f"Seeds were added after the starts had been compared at {' and '.join(before)} seeds, so "
        f"this is look {look['number']}. Any of its verdicts is wrong in at most {own} of such "
        f"studies; with all looks together, a verdict is wrong in up to {total}, instead of 5 %. "
        "Plan the looks of the next study (--looks)."
    )


def _last(reached: list[int]) -> int | None:
    return reached[-1] if reached else None


def seen_by(before: StudyConfig, now: StudyConfig, finished: bool) -> tuple[int, ...]:
    """Return the numbers of seeds at which a study was seen before seeds were added unplanned.

    Args:
        before: the configuration in the study's folder.
        now: the configuration after it has grown.
        finished: whether the study was finished before, and its comparisons written.
    """
    had, has = len(before.seeds), len(now.seeds)
    by_plan = before.looks is not None and has <= before.looks[-1]
    if by_plan or has == had or had < MIN_SEEDS or not finished:
        return before.seen
    return tuple(dict.fromkeys((*before.seen, had)))
