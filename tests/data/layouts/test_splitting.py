"""Names of splits, and the splits that a folder of annotations lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.layouts.pairing import FrameSearch
from headstart.data.layouts.splitting import (
    NO_SPLIT,
    complete_splits,
    draw_validation,
    split_named,
)
from headstart.data.pictures.frame import Frame


def search(root: Path, **counts: int) -> FrameSearch:
    """Frames by split; ``none`` stands for those of no split."""
    made = FrameSearch(root, "folders")
    for split, count in counts.items():
        frames = tuple(Frame(f"{split}{k}", root / f"{split}{k}.png", None) for k in range(count))
        made.splits[NO_SPLIT if split == "none" else split] = frames
    return made


def sizes(made: FrameSearch) -> dict[str, int]:
    return {split: len(frames) for split, frames in made.splits.items()}


def codes(made: FrameSearch) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in made.findings]


@pytest.mark.parametrize(
    ("name", "split"),
    [("train", "train"), ("Training", "train"), ("train_2017", "train"), ("val2017", "validation"),
     ("valid", "validation"), ("dev", "validation"), ("TEST", "test"), ("testing-1", "test"),
     ("images", None), ("2017", None), ("", None), ("trainer", None), ("contest", None)],
)  # fmt: skip
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_named(name) == split


def test_fifteen_of_a_hundred_are_drawn_whatever_the_order(tmp_path: Path) -> None:
    made = search(tmp_path, train=85)
    draw_validation(made)
    assert sizes(made) == {"train": 72, "validation": 13}
    names = {frame.name for frame in made.splits["validation"]}
    assert not names & {frame.name for frame in made.splits["train"]}
    turned = search(tmp_path, train=85)
    turned.splits["train"] = turned.splits["train"][::-1]
    draw_validation(turned)
    assert {frame.name for frame in turned.splits["validation"]} == names
    assert codes(made) == [("split-by-tool", "info")] and "drawn" in made.reading[0]


@pytest.mark.parametrize("counts", [{"train": 9, "validation": 2}, {"test": 4}, {}])
def test_nothing_is_drawn_without_need(tmp_path: Path, counts: dict[str, int]) -> None:
    made = search(tmp_path, **counts)
    draw_validation(made)
    assert sizes(made) == counts and not made.findings


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"none": 2}, [("too-few-frames", "error")]),
        ({"none": 20}, [("split-by-tool", "info")]),
        ({"train": 2, "test": 3}, [("too-few-frames", "error")]),
        ({"train": 9}, [("split-by-tool", "info"), ("empty-split", "warning")]),
        ({"validation": 3, "test": 3}, [("empty-split", "error")]),
        ({"train": 9, "validation": 3, "test": 3}, []),
        ({"train": 9, "validation": 3, "test": 3, "none": 1}, [("frame-without-split", "error")]),
    ],
)
def test_what_is_missing_is_made_or_reported(
    tmp_path: Path, counts: dict[str, int], expected: list[tuple[str, str]]
) -> None:
    made = search(tmp_path, **counts)
    complete_splits(made, "folders")
    assert codes(made) == expected
