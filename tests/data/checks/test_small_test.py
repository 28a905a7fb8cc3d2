"""Where a test split is too small for a verdict, folds are recommended."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.checks.classification import check_classes
from headstart.data.checks.segmentation import check_dataset
from headstart.data.checks.small_test import ENOUGH, small_test_split
from headstart.data.folds import smallest_splits


@pytest.mark.parametrize(
    ("groups", "units"),
    [
        ([None] * 6, "6 frames"),
        ([None], "1 frame,"),
        (["a"] * 30, "1 group,"),
        (["a"] * 10 + ["b"] * 10, "2 groups"),
        ([None] * (ENOUGH - 1), f"{ENOUGH - 1} frames"),
    ],
)
def test_few_frames_or_groups(groups: list[str | None], units: str) -> None:
    (finding,) = small_test_split(groups, [*groups, *map(str, range(40 - len(groups)))])
    assert units in finding.message and "--folds 5" in finding.hint


@pytest.mark.parametrize("groups", [[], [None] * ENOUGH, [str(i) for i in range(ENOUGH)]])
def test_enough_or_none(groups: list[str | None]) -> None:
    assert small_test_split(groups, groups) == []


def test_no_more_folds_than_groups_are_recommended() -> None:
    three = ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    (finding,) = small_test_split(["a"] * 10, three)
    assert "--folds 3: each of the 30 labelled frames" in finding.hint
    assert "3 times as long" in finding.hint
    assert smallest_splits(three, 3)["test"], "as many folds can be made"
    (finding,) = small_test_split(["a"] * 10, three[:20])
    assert finding.hint == "label more groups: there are 2, too few for --folds"


def test_check_says_so(drawn: Path, coloured: Path) -> None:
    for report, things in (
        (check_dataset(drawn), "only 5 frames"),
        (check_classes(coloured), "only 18 pictures"),
    ):
        (finding,) = (f for f in report.findings if f.code == "small-test-split")
        assert things in finding.message
