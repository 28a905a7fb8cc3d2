"""Whose predictions a folder holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from headstart.data.pictures.frame import Frame
from headstart.errors import UsageError
from headstart.inference.output_folder import claimed_pictures


def write(out: Path, pictures: Path) -> None:
    frames = [Frame(name=f"{k}.png", image=pictures / f"{k}.png") for k in range(2)]
    with claimed_pictures(out, "w", frames, ["masks"]):
        for frame in frames:
            (out / "masks" / frame.name).write_bytes(b"")


def test_a_mark_that_is_no_text_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "made-of.txt").write_bytes("h\u00fcfte".encode("utf-16"))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageError, match="not-empty"):
        write(tmp_path, tmp_path / "photos")


def test_moved_with_their_pictures_predictions_are_still_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a" / "predictions", tmp_path / "a" / "photos")
    moved = (tmp_path / "a").rename(tmp_path / "b")
    write(moved / "predictions", moved / "photos")
    monkeypatch.chdir(moved)
    write(Path("predictions"), Path("photos"))  # written in another way
    for other in (tmp_path / "photos", Path("predictions")):
        with pytest.raises(UsageError, match="not-empty"):
            write(moved / "predictions", other)


def test_predictions_of_an_older_version_are_still_theirs(tmp_path: Path) -> None:
    out, photos = tmp_path / "predictions", tmp_path / "photos"
    write(out, photos)
    paths = "\n".join(ascii(str(photos / f"{k}.png")) for k in range(2))
    mark = f"weights w\npictures {hashlib.sha256(paths.encode()).hexdigest()}\n"
    (out / "made-of.txt").write_text(mark)
    write(out, photos)
    assert (out / "made-of.txt").read_text() != mark
    (out / "made-of.txt").write_text(mark)
    with pytest.raises(UsageError, match="not-empty"):
        write(out, tmp_path / "others")


def test_the_same_words_from_elsewhere_are_other_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "a")
    write(tmp_path / "predictions", Path("photos"))
    monkeypatch.chdir(tmp_path / "b")
    with pytest.raises(UsageError, match="not-empty"):
        write(tmp_path / "predictions", Path("photos"))
