"""What every reader of masks does at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.label_map import LabelMap
from headstart.data.layouts.pairing import FrameSearch, read_frames


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (("background", "Tool", "tool "), ["'Tool' and 'tool '"]),
        (("background", " b", "a", "A", "B"), ["' b' and 'B'", "'a' and 'A'"]),
        (("background", "tool", "tools"), []),
    ],
)
def test_classes_that_differ_only_in_capitals_or_spaces_are_a_warning(
    tmp_path: Path, names: tuple[str, ...], alike: list[str]
) -> None:
    label_map = LabelMap(names, tuple(range(len(names))))
    dataset = read_frames(FrameSearch(tmp_path, ""), "coco", lambda search: label_map)
    found = [f for f in dataset.findings if f.code == "classes-alike"]
    assert [f.severity for f in found] == ["warning"] * bool(alike)
    assert all(pair in found[0].message for pair in alike)
