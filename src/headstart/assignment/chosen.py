"""Sizes for ``--hours``: the largest that fit, from the assignment's own down.

The hyper-parameters of the assignment stay as they are. Part 1, 2(a) with 2(b), and 2(c) share the
hours; what one leaves goes to the next. A size is measured only after the next smaller one fits,
so that measuring takes a small part of the hours. What does not fit at any size is left out, with
what it would take. docs/decisions/0038-homework-hours.md says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

from headstart.assignment.settings import (
    BEYOND,
    NEW_DATA,
    SCALES,
    Homework,
    ScaleSettings,
)
from headstart.studies.wording import lasting

GROUPS: dict[str, tuple[str, ...]] = {
    "part 1": ("size", "width", "constant"),
    "2(a), 2(b)": ("square", "labels", "extras"),
    "2(c)": ("budgets", "new_epochs", "new_seeds"),
}
"""What shares the hours, and the sizes of each."""

_SHARES = {"part 1": 4, "2(a), 2(b)": 4, "2(c)": 2}
_USED = 0.9  # of the hours: the rest is for reading, figures and what the estimates miss
_FRAMES = ((64, 80), 16), ((128, 160), 16), ((128, 160), 32), ((192, 240), 32), ((256, 320), 32)
_SMALLEST_FRAMES = (32, 40), 8
SQUARES = 32, 64, 112, 224
"""Sides of the pictures of part 2 that are tried."""

_LABELS = 30_000, 12_000, 6_000, 3_000, 1_000, 500
_SEEDS = 3  # before pictures become smaller

Price = Callable[[Homework], float]
"""Seconds that the parts of a homework take on this machine."""


@dataclass(frozen=True)
class Chosen:
    """Sizes that were chosen.

    Attributes:
        hours: that they were chosen for.
        sizes: the sizes; of groups that were not chosen, those of the scale.
        seeds: number of seeds of part 1.
        groups: names in [`GROUPS`][headstart.assignment.chosen.GROUPS] that they were chosen for.
        left_out: parts that do not fit, and folders of tunings beyond the assignment; each with
            what it would take.
    """

    hours: float
    sizes: ScaleSettings
    seeds: int
    groups: tuple[str, ...]
    left_out: dict[str, str]


def group_of(part: str) -> str:
    """Return the group of a part.

    >>> group_of("1c"), group_of("2b"), group_of("2c")
    ('part 1', '2(a), 2(b)', '2(c)')
    """
    if part.startswith("1"):
        return "part 1"
    return "2(c)" if part == NEW_DATA else "2(a), 2(b)"


def choose(
    homework: Homework,
    hours: float,
    price: Price,
    squares: Sequence[int] = SQUARES,
    before: Chosen | None = None,
) -> Chosen:
    """Return the largest sizes with which the parts of a homework fit into some hours.

    Args:
        homework: the settings; no size becomes larger than that of its scale.
        hours: how long everything together may take.
        price: function from a homework to the seconds of its parts.
        squares: sides of square pictures that the classifier accepts, in increasing order.
        before: what was chosen earlier; its groups keep their sizes.
    """
    sizes = SCALES[homework.scale] if before is None else before.sizes
    seeds = homework.seeds if before is None else before.seeds
    fixed = () if before is None else before.groups
    parts = {g: tuple(p for p in homework.parts if group_of(p) == g) for g in GROUPS}
    open_groups = [g for g, of_group in parts.items() if of_group and g not in fixed]
    of_before = {} if before is None else before.left_out
    left_out = {p: why for p, why in of_before.items() if group_of(p) not in open_groups}
    if before is not None and not open_groups:
        return before
    free, total = 3600 * hours * _USED, sum(_SHARES[g] for g in open_groups)
    limits = {g: free * _SHARES[g] / total for g in open_groups}
    now, over = replace(homework, chosen=sizes, seeds=seeds), 0.0
    spent: dict[str, float] = {}
    args = (homework.seeds, price, squares, hours)
    for group in open_groups:
        if group == "2(c)" and {"2a", "2b"} & left_out.keys():
            left_out[NEW_DATA] = "It starts from 2(a) and 2(b), which do not fit"
            continue
        limit = limits[group] + over
        now, seconds, out = _fitting(now, group, parts[group], limit, *args)
        left_out |= out
        spent[group], over = seconds, limit - seconds
    if "part 1" in open_groups and over > 0:  # what the later ones left
        limit = spent["part 1"] + over
        now, _, out = _fitting(now, "part 1", parts["part 1"], limit, *args)
        left_out = {p: why for p, why in left_out.items() if group_of(p) != "part 1"} | out
    assert now.chosen is not None
    of_part2 = parts["2(a), 2(b)"]
    if "2(a), 2(b)" in open_groups and "2b" in of_part2 and not left_out.keys() & {"2a", "2b"}:
        left_out |= _beyond(now, of_part2, price, hours)
    some_fit = [g for g in open_groups if not left_out.keys() >= set(parts[g])]
    groups = tuple(g for g in GROUPS if g in fixed or g in some_fit)
    return Chosen(hours, now.chosen, now.seeds, groups, left_out)


def _fitting(
    homework: Homework,
    group: str,
    parts: tuple[str, ...],
    limit: float,
    seeds: int,
    price: Price,
    squares: Sequence[int],
    hours: float,
) -> tuple[Homework, float, dict[str, str]]:
    """Return the homework with sizes of one group that fit, their seconds, and what is left out.

    ``seeds`` are those that were asked for; the homework may have fewer already.
    """
    best: tuple[Homework, float] | None = None
    for variants in _steps(homework, group, seeds, squares):
        costs = ((variant, price(replace(variant, parts=parts))) for variant in variants)
        fits = next(((variant, cost) for variant, cost in costs if cost <= limit), None)
        if fits is None:
            break  # larger ones take longer
        best = fits
    if best is not None:
        return (*best, {})
    reduced = homework
    for reduced in _reductions(homework, group, seeds, squares):
        if (cost := price(replace(reduced, parts=parts))) <= limit:
            return reduced, cost, {}
    left_out: dict[str, str] = {}
    kept = parts
    while kept:  # the last parts first: they need those before
        takes = price(replace(reduced, parts=kept))
        if takes <= limit:
            return reduced, takes, left_out
        alone = takes - price(replace(reduced, parts=kept[:-1])) if kept[:-1] else takes
        left_out[kept[-1]] = (
            f"It does not fit into --hours {hours:g}: at the smallest size it takes about "
            f"{lasting(alone)} on this machine"
        )
        kept = kept[:-1]
    return reduced, 0.0, left_out


def _beyond(
    homework: Homework, parts: tuple[str, ...], price: Price, hours: float
) -> dict[str, str]:
    """Return the tunings beyond the assignment that do not fit, with what they would take."""
    if homework.sizes.extras or not SCALES[homework.scale].extras:
        return {}
    without = replace(homework, parts=parts)
    takes = price(_with(without, extras=True)) - price(without)
    reason = (
        f"Beyond the assignment, and does not fit into --hours {hours:g}: 2(b′) and 2(b″) would "
        f"take about {lasting(takes)} more on this machine"
    )
    return dict.fromkeys(BEYOND, reason)


def _steps(
    homework: Homework, group: str, seeds: int, squares: Sequence[int]
) -> Iterator[tuple[Homework, ...]]:
    """Yield sizes from the smallest to the scale's own, each with variants from the longest."""
    largest = SCALES[homework.scale]
    if group == "part 1":
        constant, counts = largest.constant, dict.fromkeys((seeds, min(_SEEDS, seeds)))
        for size, width in _frames(largest):
            own = {"size": size, "width": width, "constant": constant}
            yield tuple(_with(homework, n, **own) for n in counts)
    elif group == "2(a), 2(b)":
        for square in _squares(largest, squares):
            yield tuple(_with(homework, square=square, extras=extras) for extras in (True, False))
    else:
        counts = dict.fromkeys((seeds, min(_SEEDS, seeds)))
        yield tuple(_with(homework, new_seeds=n) for n in counts)


def _reductions(
    homework: Homework, group: str, seeds: int, squares: Sequence[int]
) -> Iterator[Homework]:
    """Yield what is tried at the smallest size, until it fits: less and less."""
    largest = SCALES[homework.scale]
    if group == "part 1":
        size, width = _frames(largest)[0]
        yield _with(homework, 1, size=size, width=width)
        yield _with(homework, 1, size=size, width=width, constant=False)
        (height, across), width = min(_SMALLEST_FRAMES, (size, width))
        yield _with(homework, 1, size=(height, across), width=width, constant=False)
    elif group == "2(a), 2(b)":
        square = _squares(largest, squares)[0]
        most = largest.labels
        yield _with(homework, square=square, extras=False)
        for labels in _LABELS:
            if most is None or labels < most:
                yield _with(homework, square=square, extras=False, labels=labels)
    else:
        few, budgets = min(_SEEDS, seeds), largest.budgets
        for epochs in (4, 1):
            if largest.new_epochs is None or epochs < largest.new_epochs:
                yield _with(homework, new_seeds=few, new_epochs=epochs)
        yield _with(homework, new_seeds=few, new_epochs=1, budgets=budgets[:2])
        yield _with(homework, new_seeds=1, new_epochs=1, budgets=budgets[:1])


def _frames(largest: ScaleSettings) -> list[tuple[tuple[int, int], int]]:
    smaller = [each for each in _FRAMES if each[0] <= largest.size and each[1] <= largest.width]
    own = (largest.size, largest.width)
    return smaller if own in smaller else [*smaller, own]


def _squares(largest: ScaleSettings, squares: Sequence[int]) -> list[int]:
    return [square for square in squares if square <= largest.square] or [largest.square]


def _with(homework: Homework, seeds: int | None = None, **changed: object) -> Homework:
    assert homework.chosen is not None
    known = {field.name for field in fields(ScaleSettings)}
    assert known.issuperset(changed)
    sizes = replace(homework.chosen, **changed)  # type: ignore[arg-type]
    return replace(homework, chosen=sizes, seeds=homework.seeds if seeds is None else seeds)
