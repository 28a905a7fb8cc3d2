"""The study that is proposed for some hours: the order of sacrifices, and what is said of each."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.checks.small_test import ENOUGH
from headstart.studies.costs import Cost
from headstart.studies.proposal import Design, Facts, Proposal, could_show, propose

DESIGN = Design(("scratch", "colorization"), None, 5, (256, 320), 32, 2400)
FACTS = Facts(DESIGN, frozenset(), "because", 50, "frames", 400, (5, 3), on_frames=True)
PIXELS = 256 * 320
FULL = 10 * 2400.0  # seconds of DESIGN below


def cost(design: Design) -> Cost:
    """A second for each step at 256 x 320 and width 32; time is proportional to the work."""
    runs = len(design.starts) * design.seeds
    share = design.size[0] * design.size[1] / PIXELS
    share *= 1 if design.width is None else (design.width / 32) ** 2
    seconds = runs * (design.folds or 1) * design.steps * share
    return Cost(runs, design.seeds, 0, 0, seconds, 0)


def asked(seconds: float, facts: Facts = FACTS) -> Proposal:
    return propose(facts, seconds / 3600, cost)


def test_where_it_fits_nothing_is_sacrificed() -> None:
    proposal = asked(FULL)
    assert proposal.design == DESIGN and proposal.seconds == FULL
    options = ("--starts", "--folds", "--seeds", "--size", "--width", "--steps")
    for line, option in zip(proposal.lines, options, strict=False):
        assert option in line
    assert "10 runs and 5 pretexts, about 6.7 hours" in proposal.lines[6]
    assert len(proposal.lines) == 8 and "longer" not in proposal.lines[6]


@pytest.mark.parametrize(("hours", "seeds"), [(1.9, 5), (2, 10), (3.9, 10), (4, 20), (99, 20)])
def test_time_left_is_for_more_seeds(hours: float, seeds: int) -> None:
    assert asked(FULL * hours).design == replace(DESIGN, seeds=seeds)


def test_first_the_pictures_then_the_network_then_the_steps() -> None:
    sizes = [(192, 224), (128, 160), (96, 128), (64, 88), (48, 64)]
    for size in sizes:
        fits = cost(replace(DESIGN, size=size)).seconds
        assert asked(fits).design == replace(DESIGN, size=size)
    smallest = replace(DESIGN, size=(48, 64), width=16)
    fits = cost(smallest).seconds
    assert asked(fits).design == smallest, "not below 64 pixels"
    shorter = asked(fits / 2)
    assert shorter.design == replace(smallest, steps=1200)
    assert "1,200 of the recipe's 2,400" in "\n".join(shorter.lines)
    longer = asked(fits / 6)
    assert longer.design == replace(smallest, steps=800), "a third"
    assert longer.seconds == fits / 3 and "longer than --hours" in longer.lines[-2]


def test_where_smaller_pictures_would_hide_objects_they_are_cut_into_tiles() -> None:
    """From the smallest size that shows them, to tiles with fewer pixels, down to 64."""
    thin = replace(FACTS, tile=(128, 128), hides=lambda size: min(size) < 150)
    whole = cost(replace(DESIGN, size=(192, 224))).seconds
    assert asked(whole, thin).design == replace(DESIGN, size=(192, 224))
    for side in (128, 88, 64):
        tiles = replace(DESIGN, size=(side, side), tiles=True)
        proposal = asked(cost(tiles).seconds, thin)
        assert proposal.design == tiles
        (line,) = [line for line in proposal.lines if line.startswith("size: ")]
        assert f"tiles of {side}x{side}, as smaller pictures would hide objects, to fit" in line
    least = asked(1, thin).design
    assert (least.size, least.tiles, least.width) == ((64, 64), True, 16)
    encoder = asked(1, replace(thin, encoder=True)).design
    assert (encoder.size, encoder.tiles) == ((64, 64), True)
    small = replace(DESIGN, size=(96, 96))
    for facts in (
        replace(thin, design=small, given=frozenset({"size"})),
        replace(thin, design=small, tile=None, hides=lambda _: True),
    ):
        assert not asked(1, facts).design.tiles


def test_then_no_pretext_beside_published_weights_and_fewer_folds() -> None:
    three = replace(DESIGN, starts=("scratch", "colorization", "imagenet"), size=(64, 64), width=16)
    few = replace(FACTS, design=three, tested=ENOUGH - 1, encoder=True)
    two = replace(three, starts=("scratch", "imagenet"))
    for design in (replace(three, folds=5), replace(two, folds=5), replace(two, folds=3)):
        proposal = asked(cost(design).seconds, few)
        assert proposal.design == design
        said = "\n".join(proposal.lines)
        assert ("without a pretext, to fit" in said) == (design.starts == two.starts)
        assert ("and not 5, to fit" in said) == (design.folds == 3)
    assert asked(1, few).design == replace(two, folds=3, steps=800)
    assert asked(1, replace(few, folds=(5,))).design.folds == 5
    assert asked(1, replace(few, keeps_pretext=True)).design.starts == three.starts
    given = replace(few, given=frozenset({"starts", "folds"}))
    assert asked(1, given).design == replace(three, steps=800)


def test_few_test_pictures_are_answered_by_folds() -> None:
    few = replace(FACTS, tested=ENOUGH - 1)
    assert asked(5 * FULL, few).design == replace(DESIGN, folds=5)
    assert any("only 19 frames (--folds)" in line for line in asked(5 * FULL, few).lines)
    assert asked(FULL, replace(FACTS, tested=ENOUGH)).design.folds is None
    few_groups = replace(few, folds=(), units="groups", on_frames=False)
    assert asked(FULL, few_groups).design == DESIGN
    assert any("too few labelled pictures" in line for line in asked(FULL, few_groups).lines)


@settings(max_examples=30)
@given(
    hours=st.floats(1e-3, 1e4),
    tested=st.integers(0, 40),
    names=st.frozensets(st.sampled_from(["starts", "folds", "seeds", "size", "width", "steps"])),
    size=st.sampled_from([(256, 320), (64, 64), (32, 40), (512, 512), (30, 500)]),
)
def test_what_is_given_stays(
    hours: float, tested: int, names: frozenset[str], size: tuple[int, int]
) -> None:
    design = Design(("scratch", "chroma"), None, 7 if "seeds" in names else 5, size, 32, 900)
    facts = replace(FACTS, design=design, given=names, tested=tested)
    proposal = propose(facts, hours, cost)
    for name in names:
        assert getattr(proposal.design, name) == getattr(design, name)
        assert not any(line.startswith(f"{name}:") for line in proposal.lines)
    assert proposal.seconds == cost(proposal.design).seconds
    assert proposal.design.seeds >= 5 and 300 <= proposal.design.steps <= 900
    assert max(proposal.design.size) >= min(64, max(size))
    over = proposal.seconds > 3600 * hours
    assert over == any("longer than --hours" in line for line in proposal.lines)


def test_the_smallest_difference_shrinks_with_seeds_and_frames() -> None:
    def smallest(facts: Facts, design: Design) -> tuple[float, ...]:
        words = could_show(facts, design).split()
        return tuple(float(word) for word in words if word.startswith("0."))

    usual = smallest(FACTS, DESIGN)
    assert len(usual) == 5 and usual[3] < usual[4] < usual[2] < usual[0] < usual[1]
    for other in (
        smallest(FACTS, replace(DESIGN, seeds=20)),
        smallest(FACTS, replace(DESIGN, folds=5)),  # on 400 frames
    ):
        assert math.prod(other) < math.prod(usual)
    for unknown in (
        could_show(replace(FACTS, on_frames=False), DESIGN),
        could_show(FACTS, replace(DESIGN, seeds=4)),
    ):
        assert "after five finished seeds" in unknown and "0." not in unknown


def test_the_numbers_are_those_of_the_committed_studies() -> None:
    """With 50 frames and five seeds: as the planner says from the studies on hw6 themselves.

    With 30 and 40 frames, as the intervals of the studies of membrane and drive were: 0.0005 and
    0.0014, and 0.005 to each side.
    """
    assert "0.02 to 0.12 in dice, if its 50 frames differ" in could_show(FACTS, DESIGN)
    cells = could_show(replace(FACTS, tested=30), DESIGN)
    assert "and 0.0008 to 0.002 as electron micrographs" in cells
    assert "0.007 as photographs of the retina" in could_show(replace(FACTS, tested=40), DESIGN)
