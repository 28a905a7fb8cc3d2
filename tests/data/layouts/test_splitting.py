"""Splits that a folder lacks: validation drawn from training; the usual names of splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.layouts.frame_names import frame_names
from headstart.data.layouts.name_patterns import usual_split
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.layouts.splitting import NO_SPLIT, complete_splits, draw_validation
from headstart.data.pictures.frame import Frame


def search_of(**splits: list[Frame]) -> FrameSearch:
    search = FrameSearch(Path("nowhere"), "folders")
    search.splits = {name: tuple(frames) for name, frames in splits.items()}
    return search


def frame(name: str, group: str | None = None) -> Frame:
    return Frame(name, Path(f"{name}.png"), Path(f"{name}_mask.png"), group)


@given(st.permutations([f"f{k}" for k in range(40)]))
def test_the_choice_depends_on_names_alone(names: list[str]) -> None:
    search = search_of(train=[frame(name) for name in names])
    draw_validation(search)
    assert [len(search.splits[s]) for s in ("train", "validation")] == [34, 6]
    drawn = {f.name for f in search.splits["validation"]}
    again = search_of(train=[frame(f"f{k}") for k in range(40)])
    draw_validation(again)
    assert drawn == {f.name for f in again.splits["validation"]}
    assert drawn.isdisjoint(f.name for f in search.splits["train"])
    assert any("6 of the 40" in sentence for sentence in search.reading)


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=60))
def test_groups_stay_whole(groups: list[str]) -> None:
    search = search_of(train=[frame(f"f{k}", group) for k, group in enumerate(groups)])
    draw_validation(search)
    if len(set(groups)) == 1:
        assert [finding.code for finding in search.findings] == ["too-few-frames"]
        assert "validation" not in search.splits
        return
    train, validation = ({f.group for f in search.splits[name]} for name in ("train", "validation"))
    assert train and validation and train.isdisjoint(validation)
    assert sum(map(len, search.splits.values())) == len(groups)


@pytest.mark.parametrize("names", [("train", "validation"), ("test",), (NO_SPLIT,)])
def test_nothing_is_drawn_where_nothing_lacks(names: tuple[str, ...]) -> None:
    search = search_of(**{name: [frame(f"f{k}") for k in range(20)] for name in names})
    before = dict(search.splits)
    draw_validation(search)
    assert search.splits == before
    assert search.reading == []


def test_splits_without_frames_are_reported() -> None:
    search = search_of(train=[frame(f"f{k}") for k in range(4)])
    complete_splits(search)
    assert [(f.code, f.severity) for f in search.findings] == [("empty-split", "warning")]
    search = search_of(test=[frame("f")])
    complete_splits(search)
    assert [(f.code, f.severity) for f in search.findings] == [("empty-split", "error")] * 2
    search = search_of()
    complete_splits(search)
    assert [(f.code, f.severity) for f in search.findings] == [("empty-split", "error")]


def test_frames_outside_all_splits_are_refused() -> None:
    search = search_of(train=[frame("a")], **{NO_SPLIT: [frame("b")]})
    complete_splits(search)
    assert [f.code for f in search.findings] == ["frame-without-split"]


def test_the_usual_names_of_splits() -> None:
    names = ("Train", "training", "val", "VALID", "dev", "test", "testing", "default", "trainval",
             "2017", "", "contest", "val2017", "testing-1")  # fmt: skip
    assert [usual_split(name) for name in names] == [
        "train", "train", "validation", "validation", "validation", "test", "test", None, None,
        None, None, None, "validation", "test",
    ]  # fmt: skip


def test_names_of_frames_in_folders() -> None:
    search, root = search_of(), Path("root")
    paths = [root / "a/1.png", root / "b/2.png"]
    assert list(frame_names(search, paths, root).values()) == ["1", "2"]
    paths = [root / "a/1.png", root / "b/1.png"]
    assert list(frame_names(search, paths, root).values()) == ["a-1", "b-1"]
    assert search.findings == []
    paths = [root / "a/1.png", root / "a/1.jpg", root / "a-1.png", root / "b/1.png"]
    assert len(frame_names(search, paths, root)) == 2
    (finding,) = search.findings
    assert finding.code == "same-stem"
    assert len(finding.files) == 3
