"""Whatever walks a folder for pictures says which files it passed over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headstart
from headstart.data.layouts.recognise import open_dataset
from tests.tiny_runs import Silent

TINY: dict[str, Any] = {"size": (16, 24), "width": 2, "epochs": 1, "threads": 1, "device": "cpu"}


def pretrain(_trained: Path, photos: Path, out: Path) -> str:
    heard = Silent()
    headstart.pretrain(photos, out=out, listener=heard, **TINY)
    return "\n".join(map(str, heard.warnings))


def suggest(trained: Path, photos: Path, out: Path) -> str:
    found = headstart.suggest(trained, photos, out=out, count=1, device="cpu")
    return "\n".join(map(str, found.findings))


def export(trained: Path, photos: Path, out: Path) -> str:
    """Up to the export itself, which takes long."""
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if "exporting" in line:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        headstart.export(trained, out=out / "m.onnx", pictures=photos, tell=tell)
    return "\n".join(lines)


@pytest.mark.parametrize("verb", [pretrain, suggest, export])
def test_files_and_clips(
    verb: Callable[[Path, Path, Path], str], trained: Path, drawn: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for k, frame in enumerate(open_dataset(drawn).splits["test"]):
        (photos / f"{k}.png").write_bytes(frame.image.read_bytes())
    (photos / "notes.txt").touch()
    (photos / "film.mp4").touch()
    (tmp_path / "out").mkdir()
    said = verb(trained, photos, tmp_path / "out")
    for words in ("passed over 1 files", "1 .txt", "passed over 1 clips", "film.mp4"):
        assert words in said
