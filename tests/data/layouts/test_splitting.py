"""Splits that a folder lacks: validation drawn from training; the usual names of splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.layouts.frame_names import frame_names, with_unique_names
from headstart.data.layouts.name_patterns import usual_split
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.layouts.recognise import open_dataset
from headstart.data.layouts.splitting import (
    NO_SPLIT,
    assign_groups,
    complete_splits,
    draw_validation,
)
from headstart.data.pictures.frame import Frame
from headstart.errors import DataError
from tests.data.layouts.test_people import levels, picture, save


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


def test_copies_that_roboflow_made_of_one_picture_stay_together() -> None:
    names = [f"{k}_png.rf.{k * 10 + copy:032x}" for k in range(10) for copy in range(3)]
    search = search_of(**{NO_SPLIT: [frame(name) for name in names]})
    complete_splits(search)
    seen = {s: {f.name.partition("_")[0] for f in frames} for s, frames in search.splits.items()}
    assert [len(search.splits[s]) for s in ("train", "validation", "test")] == [21, 6, 3]
    assert not seen["train"] & seen["validation"] and not seen["train"] & seen["test"]
    assert any("Groups: 10," in sentence for sentence in search.reading)


def test_pictures_without_copies_and_groups_that_are_known_stay_as_they_are() -> None:
    search = search_of(train=[frame(f"{k}.rf.{k:032x}") for k in range(9)])
    assign_groups(search)
    assert {f.group for f in search.splits["train"]} == {None}
    search = search_of(train=[frame(f"0.rf.{k:032x}", group="patient") for k in range(9)])
    assign_groups(search)
    assert {f.group for f in search.splits["train"]} == {"patient"} and not search.reading


def test_too_few_groups_are_named_and_their_frames_are_kept() -> None:
    search = search_of(**{NO_SPLIT: [frame(f"f{k}", "ab"[k % 2]) for k in range(20)]})
    complete_splits(search)
    (finding,) = search.findings
    assert finding.code == "too-few-frames" and finding.message.endswith("the groups are a, b")
    assert "stem,group" in finding.hint and len(search.splits["train"]) == 20


@pytest.mark.parametrize("names", [("train", "validation"), ("test",), (NO_SPLIT,)])
def test_nothing_is_drawn_where_nothing_lacks(names: tuple[str, ...]) -> None:
    search = search_of(**{name: [frame(f"f{k}") for k in range(20)] for name in names})
    before = dict(search.splits)
    draw_validation(search)
    assert search.splits == before
    assert search.reading == []


def test_splits_without_frames_are_reported() -> None:
    search = search_of(**{s: [frame(f"f{k}") for k in range(4)] for s in ("train", "validation")})
    complete_splits(search)
    assert [(f.code, f.severity) for f in search.findings] == [("empty-split", "warning")]
    search = search_of(train=[frame(f"f{k}") for k in range(4)])  # that is all there is to split
    complete_splits(search)
    assert [f.code for f in search.findings] == ["split-by-tool"] and len(search.splits) == 3
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


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("a/image.png", "b/image.png"), ["a", "b"]),
        (("a/image.png", "image.png", "a/b/image.png"), ["a_image", "image", "a_b_image"]),
        (("a/image.png", "a/b/image.png", "1.png"), ["image", "b_image", "1"]),
    ],
)
def test_unique_names_of_frames(paths: tuple[str, ...], names: list[str]) -> None:
    frames = [Frame(Path(path).stem, Path("root", path)) for path in paths]
    assert [frame.name for frame in with_unique_names(frames, Path("root"))] == names


NESTED = [("p1", 1), ("p1", 2), ("p2", 1), ("p2", 3)] + [("p3", k) for k in range(4, 10)]


def nested(root: Path, stems: list[str]) -> Path:
    """Patients whose pictures share stems, each with a group of its own in groups.csv."""
    for patient, k in NESTED:
        save(root / f"{patient}/us/{k}.png", picture(k))
        save(root / f"{patient}/seg/{k}.png", levels(k))
    lines = [f"{stem},video {k // 2}" for k, stem in enumerate(stems)]
    (root / "groups.csv").write_text("\n".join(["stem,group", *lines]))
    return root


def spelt(how: str) -> list[str]:
    shared = {1}
    return [how.format(p=p, k=k, name=f"{p}_{k}" if k in shared else str(k)) for p, k in NESTED]


@pytest.mark.parametrize(
    "how", ["{name}", "{p}/us/{k}", "{p}/us/{k}.png", "{p}\\us\\{k}", "./{p}/us/{k}"]
)
def test_every_spelling_of_a_stem_works(how: str, tmp_path: Path) -> None:
    dataset = open_dataset(nested(tmp_path, spelt(how)))
    groups = {f.image: f.group for part in dataset.splits.values() for f in part}
    assert groups == {
        tmp_path / f"{p}/us/{k}.png": f"video {place // 2}" for place, (p, k) in enumerate(NESTED)
    }
    said = [sentence for sentence in dataset.reading if sentence.startswith("Groups")]
    assert said == ["Groups: 5, from groups.csv"]


def test_a_groups_csv_without_lines_takes_the_groups_of_folders_away(tmp_path: Path) -> None:
    for k in range(10):
        for kind, pixels in (("us", picture(k)), ("seg", levels(k))):
            save(tmp_path / f"p{k % 2}/{kind}/{k}.png", pixels)
    with pytest.raises(DataError, match=r"groups\.csv that holds only the line stem,group"):
        open_dataset(tmp_path)
    (tmp_path / "groups.csv").write_text("stem,group\n")
    dataset = open_dataset(tmp_path)
    frames = [frame for split in dataset.splits.values() for frame in split]
    assert len(frames) == 10 and {frame.group for frame in frames} == {None}
    said = [sentence for sentence in dataset.reading if sentence.startswith("Groups")]
    assert said == ["Groups: none, because groups.csv lists none"]


def test_a_stem_of_a_folder_with_splits_needs_its_split_only_where_it_is_shared(
    tmp_path: Path,
) -> None:
    for k, split in enumerate(["train"] * 4 + ["validation", "test"]):
        save(tmp_path / f"{split}/images/{k % 5}.png", picture(k))
        save(tmp_path / f"{split}/masks/{k % 5}.png", levels(k))
    lines = ["stem,group", "train/0,a", "1,a", "train/images/2,b", "3.png,b", "4,c", "test/0,d"]
    (tmp_path / "groups.csv").write_text("\n".join(lines))
    dataset = open_dataset(tmp_path)
    assert [f.group for f in dataset.splits["train"]] == ["a", "a", "b", "b"]
    assert [f.group for f in (*dataset.splits["validation"], *dataset.splits["test"])] == ["c", "d"]
    (tmp_path / "groups.csv").write_text("\n".join(lines).replace("train/0", "0"))
    with pytest.raises(DataError) as refused:
        open_dataset(tmp_path)
    (finding,) = refused.value.findings
    assert finding.files == ("train/images/0.png", "test/images/0.png")
    assert "train/0, test/0" in finding.hint


def test_the_stems_that_messages_list_work(tmp_path: Path) -> None:
    stems = spelt("{name}")
    with pytest.raises(DataError) as refused:
        open_dataset(nested(tmp_path, [*stems[:2], "17", *stems[3:4]]))
    (finding,) = refused.value.findings
    assert finding.code == "groups" and "7 of 10" in finding.message
    listed = finding.hint.split("are ")[1].removesuffix(", ...").split(", ")
    assert len(listed) == 5
    lines = [*stems[:2], *stems[3:4], *listed, *stems[8:]]
    assert open_dataset(nested(tmp_path, lines)).splits
    (tmp_path / "groups.csv").write_text("stem,group\n1,a\n")
    with pytest.raises(DataError, match="p1_1, p2_1"):
        open_dataset(tmp_path)


def test_two_groups_of_one_picture(tmp_path: Path) -> None:
    stems = spelt("{name}")
    nested(tmp_path, [*stems, "p1/us/2.png"])
    with pytest.raises(DataError, match="two groups") as refused:
        open_dataset(tmp_path)
    assert refused.value.findings[0].files == ("p1/us/2.png",)
