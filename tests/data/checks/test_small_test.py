"""Where a test split is too small for a verdict, folds are recommended."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.checks.classification import check_classes
from headstart.data.checks.segmentation import check_dataset
from headstart.data.checks.small_test import ENOUGH, small_test_split


@pytest.mark.parametrize(
    ("groups", "units"),
    [
        ([None] * 6, "6 frames"),
        ([None], "1 frame,"),
        (["a"] * 30, "1 group,"),
        (["a"] * 30 + ["b"] * 30, "2 groups"),
        ([None] * (ENOUGH - 1), f"{ENOUGH - 1} frames"),
    ],
)
def test_few_frames_or_groups(groups: list[str | None], units: str) -> None:
    (finding,) = small_test_split(groups, 40)
    assert units in finding.message and "--folds 5" in finding.hint and "40" in finding.hint


@pytest.mark.parametrize("groups", [[], [None] * ENOUGH, [str(i) for i in range(ENOUGH)]])
def test_enough_or_none(groups: list[str | None]) -> None:
    assert small_test_split(groups, 40) == []


def test_check_says_so(drawn: Path, coloured: Path) -> None:
    for report, things in (
        (check_dataset(drawn), "only 5 frames"),
        (check_classes(coloured), "only 18 pictures"),
    ):
        (finding,) = (f for f in report.findings if f.code == "small-test-split")
        assert things in finding.message
