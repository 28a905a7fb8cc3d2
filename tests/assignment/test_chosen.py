"""Which sizes are chosen for some hours, on machines of known speed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headstart.assignment.chosen import SQUARES, Chosen, choose
from headstart.assignment.settings import BEYOND, PARTS, SCALES, Homework

FULL = Homework("hw6", "full", 5, fashion_mnist="f", new_data="n")


def hours_of(homework: Homework) -> float:
    """Hours on a machine where 1(a) at its own size takes one, and VGG16 at 32 x 32 four."""
    sizes, total = homework.sizes, 0.0
    (height, across), width = sizes.size, sizes.width
    run = height * across * width / (256 * 320 * 32)
    runs = {"1a": 1, "1b": homework.seeds, "1c": homework.seeds, "1d": homework.seeds}
    total += sum(count * run for part, count in runs.items() if part in homework.parts)
    if sizes.constant and "1b" in homework.parts:
        total += homework.seeds * run * (1 + ("1d" in homework.parts))
    vgg = 2 + 2 * (sizes.square / 32) ** 2
    labels = (sizes.labels or 60_000) / 60_000
    total += vgg * labels * (1 + 2 * sizes.extras) if "2a" in homework.parts else 0
    total += 0.2 * vgg * labels if "2b" in homework.parts else 0
    if "2c" in homework.parts:
        budgets, seeds = len(sizes.budgets), sizes.new_seeds or homework.seeds
        total += vgg * seeds * budgets * (sizes.new_epochs or 10) / 100
    return total


def chosen_for(hours: float, homework: Homework = FULL, **options: Any) -> Chosen:
    asked: list[Homework] = []

    def price(of: Homework) -> float:
        asked.append(of)
        return 3600 * hours_of(of)

    chosen = choose(homework, float(hours), price, **options)
    largest = max((of.sizes.square for of in asked if "2a" in of.parts), default=0)
    assert largest <= 2 * chosen.sizes.square, "a size was measured that cannot fit"
    return chosen


def parts_of(chosen: Chosen) -> Homework:
    parts = tuple(part for part in PARTS if part not in chosen.left_out)
    return replace(FULL, chosen=chosen.sizes, seeds=chosen.seeds, parts=parts)


@pytest.mark.parametrize("hours", [0.01, 0.1, 1, 3, 10, 30, 100, 300, 1000, 3000])
def test_everything_together_fits(hours: float) -> None:
    chosen = chosen_for(hours)
    assert hours_of(parts_of(chosen)) <= hours
    assert chosen.left_out.keys() <= set(BEYOND) or hours < 1


def test_with_plenty_of_hours_it_is_the_assignment() -> None:
    chosen = chosen_for(10_000)
    assert chosen.sizes == replace(SCALES["full"], new_seeds=5)
    assert (chosen.seeds, chosen.left_out) == (5, {})


def test_tunings_beyond_the_assignment_say_what_they_take() -> None:
    """On the machine of ``hours_of``, each takes as long as 2(a): ten hours at 64 x 64."""
    chosen = chosen_for(20, replace(FULL, parts=("2a", "2b")))
    assert chosen.sizes.square == 64 and chosen.left_out.keys() == set(BEYOND)
    assert chosen.left_out["2b-whole"] == (
        "Beyond the assignment, and does not fit into --hours 20: 2(b′) and 2(b″) would take about "
        "20.0 hours more on this machine"
    )


def test_more_hours_never_give_smaller_pictures() -> None:
    sizes = [chosen_for(hours).sizes for hours in (1, 3, 10, 30, 100, 300, 1000)]
    for name in ("size", "square"):
        values = [getattr(each, name) for each in sizes]
        assert values == sorted(values)
    assert sizes[0].size < sizes[-1].size and sizes[0].square < sizes[-1].square


def test_what_does_not_fit_takes_with_it_what_needs_it() -> None:
    chosen = chosen_for(0.002)
    assert {"2a", "2b", "2c"} <= chosen.left_out.keys()
    assert "at the smallest size it takes about" in chosen.left_out["2a"]
    assert "2(a)" in chosen.left_out["2c"]


def test_no_size_exceeds_that_of_the_scale_and_what_the_network_accepts() -> None:
    small = chosen_for(10_000, replace(FULL, scale="small"))
    assert replace(small.sizes, new_seeds=None) == SCALES["small"]
    assert chosen_for(100, squares=SQUARES[2:]).sizes.square >= 112


def test_parts_that_come_later_leave_the_others_as_they_are() -> None:
    first = chosen_for(2, replace(FULL, parts=("1a",)))
    assert first.groups == ("part 1",)
    both = chosen_for(20, before=first)
    assert both.groups == ("part 1", "2(a), 2(b)", "2(c)")
    for name in ("size", "width", "constant"):
        assert getattr(both.sizes, name) == getattr(first.sizes, name)
    assert chosen_for(500, before=both) == both


def test_seeds_come_back_before_pictures_grow() -> None:
    """What other parts leave over gives part 1 its seeds, and 2(c) never had to do without."""

    def price(of: Homework) -> float:
        sizes, seconds = of.sizes, 0.0
        height, across = sizes.size
        run = 2000 * (height * across * sizes.width) / (64 * 80 * 16)
        seconds += run * of.seeds if "1b" in of.parts else 0
        seconds += 10.0 * (sizes.new_seeds or of.seeds) if "2c" in of.parts else 0
        return seconds

    chosen = choose(FULL, 4.0, price)
    assert chosen.seeds >= 3 and chosen.sizes.constant
    assert chosen.sizes.new_seeds in (None, 5)
