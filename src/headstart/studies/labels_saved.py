"""Labels saved: the label budget at which a start reaches what another reaches with all labels.

Source: Fieller 1954 (interval of a crossing).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.scores.pooled import DICE, Counts, Groups, PooledScore
from headstart.studies import statistics as stats

_STEPS = 64  # points between two budgets at which a crossing is searched


@dataclass(frozen=True)
class LabelsSaved:
    """The label budget at which a start reaches the score that another has with all labels.

    In ``reaches``, ``low`` and ``high``, the value ``smallest`` means "at most ``smallest``", and
    ``None`` means "more than ``labels``". With too few seeds, ``low`` and ``high`` are ``None``.
    """

    labels: int  # the largest budget
    smallest: int  # the smallest budget
    reaches: float | None
    low: float | None
    high: float | None
    seeds: int
    level: float = stats.LEVEL  # of `low` and `high`


def labels_saved(
    start: Mapping[int, Counts],
    against: Counts,
    classes: Sequence[int],
    groups: Groups | None = None,
    score: PooledScore = DICE,
    level: float = stats.LEVEL,
) -> LabelsSaved:
    """Return the budget at which a start reaches the mean score that another has with all labels.

    Between budgets, scores are interpolated linearly in the logarithm of the budget; if the curve
    is not monotone, the first crossing counts. At each budget ``x``, the lead over the other start
    has a two-way interval. The interval of the crossing (Fieller) contains the budgets at which the
    lead may be 0: from the first ``x`` where the upper end of the lead's interval reaches 0 to the
    first where its lower end does.

    Args:
        start: the counts by budget.
        against: the counts of the other start at its largest budget, for the same seeds and frames.
        classes: as in [`mean_score`][headstart.studies.statistics.mean_score].
        groups: as in ``mean_score``.
        score: as in ``mean_score``.
        level: the level of the interval. At the level of the comparison with all labels, the
            interval ends below all labels exactly where that comparison says ``helps``, unless the
            lead falls again.

    Raises:
        ValueError: there are no budgets, or as in
            [`paired_difference`][headstart.studies.statistics.paired_difference].
    """
    budgets = sorted(start)
    if not budgets or budgets[0] < 1:
        raise ValueError(f"there must be budgets, each of 1 label or more; found {budgets}")
    leads = [
        stats.pseudo_differences(start[budget], against, classes, groups, score)
        for budget in budgets
    ]
    places = np.linspace(0, len(budgets) - 1, _STEPS * (len(budgets) - 1) + 1)
    tried = np.exp(np.interp(places, np.arange(len(budgets)), np.log(budgets)))
    tried[::_STEPS] = budgets
    estimates = []
    for place in places:
        left, right = math.floor(place), math.ceil(place)
        pairs = zip(leads[left], leads[right], strict=True)
        estimates.append(stats.two_way(*(a + (place - left) * (b - a) for a, b in pairs)))
    ends = [stats.interval(e, level) for e in estimates]
    return LabelsSaved(
        labels=budgets[-1],
        smallest=budgets[0],
        reaches=_crossing(tried.tolist(), [e.value for e in estimates]),
        low=_crossing(tried.tolist(), [high for _, high in ends]),
        high=_crossing(tried.tolist(), [low for low, _ in ends]),
        seeds=len(against),
        level=level,
    )


def _crossing(budgets: Sequence[float], leads: Sequence[float | None]) -> float | None:
    """Return the budget at which the lead first reaches 0, linear in the budget's logarithm."""
    known = [lead for lead in leads if lead is not None]  # all of them, or none with too few seeds
    i = next((i for i, lead in enumerate(known) if lead >= 0), None)
    if i is None or i == 0:
        return None if i is None else float(budgets[0])
    share = known[i - 1] / (known[i - 1] - known[i])
    return float(min(budgets[i - 1] * (budgets[i] / budgets[i - 1]) ** share, budgets[i]))
