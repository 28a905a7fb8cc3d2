"""The pictures of a folder without labels; what operating systems leave behind is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.layouts.picture_folder import find_pictures
from headstart.errors import DataError

JUNK = (
    "Thumbs.db", "desktop.ini", ".DS_Store", "._1.png", ".ipynb_checkpoints/1.png",
    "__MACOSX/._1.png", "__MACOSX/2.jpg",
)  # fmt: skip


def made(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def test_junk_is_passed_over(tmp_path: Path) -> None:
    made(tmp_path, ("1.png", "2.gif", "3.dcm", "4.TIF", *JUNK))
    (tmp_path / ".ipynb_checkpoints.png").mkdir()
    assert [frame.name for frame in find_pictures(tmp_path)] == ["1", "2", "3", "4"]


def test_a_folder_of_junk_has_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_pictures(made(tmp_path, JUNK))
    assert caught.value.findings[0].code == "no-pictures"
