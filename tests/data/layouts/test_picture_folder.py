"""Folders of pictures and clips are walked; what is passed over is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart.data.files import PREDICTIONS_MARK
from headstart.data.layouts.arranged_files import find_places
from headstart.data.layouts.picture_folder import (
    find_pictures,
    walk,
    with_flat_names,
)
from headstart.errors import DataError


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_a_flat_folder_has_its_pictures_by_stem(tmp_path: Path) -> None:
    make(tmp_path, "b.png", "a.JPG", "a.b.tif", "._a.png", "10.png", "9.png")
    names = [(frame.name, frame.image.name) for frame in find_pictures(tmp_path).frames]
    assert names == [
        ("10", "10.png"), ("9", "9.png"), ("a", "a.JPG"), ("a.b", "a.b.tif"), ("b", "b.png"),
    ]  # fmt: skip


def test_subfolders_are_walked_and_name_the_pictures(tmp_path: Path) -> None:
    make(tmp_path, "p1/x/a.png", "p1/a.png", "p2/a.jpg", "a.png", "p2/c.mp4", "b.mov")
    folder = walk(tmp_path)
    assert [frame.name for frame in folder.frames] == ["a", "p1/a", "p1/x/a", "p2/a"]
    assert [path.relative_to(tmp_path).as_posix() for path in folder.clips] == ["b.mov", "p2/c.mp4"]
    assert not folder.passed_over and folder.root == tmp_path


def test_what_is_passed_over_is_said(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "notes.txt", "p/notes.TXT", "p/list.csv", "p/README", "p/b.png")
    make(tmp_path, "Thumbs.db", "__MACOSX/a.png", ".cache/a.png", "p/.DS_Store")
    make(tmp_path, f"out/{PREDICTIONS_MARK}", "out/masks/a.png", "out/x/overlay.mp4")
    (tmp_path / "p" / "up").symlink_to(tmp_path, target_is_directory=True)
    folder = walk(tmp_path)
    assert [frame.name for frame in folder.frames] == ["a", "p/b"] and not folder.clips
    (finding,) = folder.passed_over
    assert (finding.code, finding.severity) == ("passed-over", "info")
    message = finding.message
    for fact in ("10 files", "4 neither", "2 .txt", "1 .csv", "1 no extension", "4 hidden"):
        assert fact in message, message
    assert "1 links to folders" in message and "1 folders of predictions" in message
    assert set(finding.files) >= {"out", "p/up", "p/README", "__MACOSX", ".cache"}


def test_predictions_are_used_if_they_are_asked_for(tmp_path: Path) -> None:
    make(tmp_path, f"out/{PREDICTIONS_MARK}", "out/images/a.png")
    assert [frame.name for frame in find_pictures(tmp_path / "out").frames] == ["images/a"]


def test_a_name_that_looks_like_an_option_is_a_name(tmp_path: Path) -> None:
    make(tmp_path, "-rf.png", "--out.jpg")
    assert [frame.name for frame in find_pictures(tmp_path).frames] == ["--out", "-rf"]


def test_pictures_whose_masks_would_collide(tmp_path: Path) -> None:
    make(tmp_path, "p/a.png", "p/a.jpg", "q/a.png")
    with pytest.raises(DataError) as caught:
        walk(tmp_path)
    (finding,) = caught.value.findings
    assert finding.code == "same-stem" and finding.files == ("p/a.jpg", "p/a.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any folder")
def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "closed/b.png")
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(DataError) as caught:
            walk(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert caught.value.findings[0].code == "unreadable-folder"
    assert "closed" in caught.value.findings[0].files[0]


@pytest.mark.parametrize(
    ("pictures", "names"),
    [
        (("p/a.png", "q/b.png", "c.png"), ["c", "a", "b"]),
        (("p/a.png", "q/a.png", "c.png"), ["c", "p-a", "q-a"]),
    ],
)
def test_names_for_one_folder(tmp_path: Path, pictures: tuple[str, ...], names: list[str]) -> None:
    make(tmp_path, *pictures)
    flat = with_flat_names(find_pictures(tmp_path).frames, tmp_path)
    assert [frame.name for frame in flat] == names
    assert [frame.image for frame in flat] == [f.image for f in find_pictures(tmp_path).frames]


def test_names_for_one_folder_that_collide(tmp_path: Path) -> None:
    make(tmp_path, "a-b/c.png", "a/b-c.png", "x/y.png", "z/y.png")
    with pytest.raises(DataError) as caught:
        with_flat_names(find_pictures(tmp_path).frames, tmp_path)
    (finding,) = caught.value.findings
    assert finding.code == "same-stem" and set(finding.files) == {"a-b/c.png", "a/b-c.png"}


def test_predictions_are_no_masks_of_a_dataset(tmp_path: Path) -> None:
    make(tmp_path, "p/1.png", "out/masks/p/1.png", "out/2.png", PREDICTIONS_MARK)
    assert {place.path.name for place in find_places(tmp_path)} == {"p", "out"}
    make(tmp_path, f"out/{PREDICTIONS_MARK}")
    assert [place.path for place in find_places(tmp_path)] == [tmp_path / "p"]


JUNK = (
    "Thumbs.db", "desktop.ini", ".DS_Store", "._1.png", ".ipynb_checkpoints/1.png",
    "__MACOSX/._1.png", "__MACOSX/2.jpg",
)  # fmt: skip


def test_junk_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.gif", "3.dcm", "4.TIF", *JUNK)
    (tmp_path / ".ipynb_checkpoints.png").mkdir()
    assert [frame.name for frame in find_pictures(tmp_path).frames] == ["1", "2", "3", "4"]


def test_a_folder_of_junk_has_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_pictures(make(tmp_path, *JUNK))
    assert caught.value.findings[0].code == "no-pictures"


def test_clips_are_passed_over_where_only_pictures_are_used(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b/c.mp4", "d.mov", "notes.txt")
    folder = find_pictures(tmp_path, "pictures are needed")
    assert [frame.name for frame in folder.frames] == ["a"] and not folder.clips
    others, clips = folder.passed_over
    assert "1 .txt" in others.message and clips.code == "passed-over"
    assert "2 clips, because pictures are needed" in clips.message
    assert clips.files == ("b/c.mp4", "d.mov")
