"""What a split lacks, and what to do about it."""

from __future__ import annotations

import pytest

from headstart.data.checks.absent_classes import absent_classes, rare_in_test

TRAIN, TEST = {"ground": 8, "tool": 3, "clip": 0}, {"ground": 2, "tool": 0, "clip": 0}


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_the_hint_fits(drawn: bool, grouped: bool) -> None:
    shows = {"train": TRAIN, "test": TEST}
    never, finding = absent_classes(shows, grouped=grouped, drawn=drawn)
    assert never.code == "class-never-drawn" and never.message.endswith(": clip")
    assert finding.message == "test has no tool (frames with it: 3 in train)"
    assert "has no score" in finding.hint and "is not learned" not in finding.hint
    assert ("whole groups" in finding.hint) == grouped
    assert ("[split] in dataset.toml" in finding.hint) == drawn


def test_a_class_without_any_pixel_needs_no_other_split() -> None:
    shows = {"train": {"ground": 0, "tool": 3, "clip": 0}}
    (finding,) = absent_classes(shows, grouped=False, drawn=True)
    assert finding.code == "class-never-drawn" and "ground" not in finding.message


def test_nothing_is_said_where_nothing_is_missing() -> None:
    assert (
        absent_classes({"train": {"tool": 3}, "test": {"tool": 1}}, grouped=False, drawn=True) == []
    )
    assert absent_classes({}, grouped=False, drawn=True) == []
    assert rare_in_test({"tool": 5, "clip": 0}, 9) == []


def test_a_small_test_split_is_called_small() -> None:
    assert "only 2 test frames" in rare_in_test({"tool": 2, "clip": 1}, 2)[0].message
    assert "fewer than 5 of the 9" in rare_in_test({"tool": 7, "clip": 1}, 9)[0].message
