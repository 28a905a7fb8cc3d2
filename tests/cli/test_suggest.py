"""``headstart suggest``, and training on named frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.command import headstart
from tests.cli.test_main import TINY


def test_suggest_and_label(trained: Path, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "to-label"
    done = headstart(
        "suggest", trained, drawn, "--count", 3, "--out", out, "--device", "cpu", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [s["rank"] for s in found["suggestions"]] == [1, 2, 3] and found["schema"] == 1
    assert str(out) in done.stderr and (out / "sheet.png").exists()
    assert headstart("check", out).returncode == 0


def test_a_folder_is_walked_and_annotated(trained: Path, tmp_path: Path) -> None:
    photos, out, rng = tmp_path / "photos", tmp_path / "out", np.random.default_rng(0)
    for k in range(5):
        (photos / f"p{k}").mkdir(parents=True)
        pixels = rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"p{k}" / "a.png")
    (photos / "notes.txt").touch()
    device = ("--device", "cpu", "--json")
    done = headstart("suggest", trained, photos, "--out", out, "--format", "coco", *device)
    assert done.returncode == 0, done.stderr
    assert "info[passed-over]" in done.stderr and "1 .txt" in done.stderr
    result = json.loads(done.stdout)
    assert result["annotations"] == [str(out / "annotations.json")]
    images = json.loads((out / "annotations.json").read_text())["images"]
    named = {image["file_name"] for image in images}
    assert named == {path.name for path in (out / "images").iterdir()} and len(named) > 0
    assert all(Path(name).stem in {f"p{k}-a" for k in range(5)} for name in named)

    predicted = tmp_path / "predicted"
    done = headstart("predict", trained, photos, "--out", predicted, "--format", "yolo", *device)
    assert done.returncode == 0, done.stderr
    assert "info[passed-over]" in done.stderr and str(predicted / "data.yaml") in done.stderr
    assert json.loads(done.stdout)["pictures"] == 5 == len(list(predicted.glob("labels/*/a.txt")))


def test_what_cannot_be_meant(trained: Path, drawn: Path, tmp_path: Path) -> None:
    weights = trained / "weights.safetensors"
    done = headstart("suggest", weights, drawn)
    assert done.returncode == 2 and "error[not-a-run]" in done.stderr
    assert str(weights) in done.stderr
    done = headstart("suggest", trained, tmp_path)
    assert done.returncode == 65 and "error[no-pictures]" in done.stderr
    assert str(tmp_path) in done.stderr and "--split" not in done.stderr
    done = headstart("predict", trained, tmp_path, "--out", tmp_path / "out")  # which has it
    assert done.returncode == 65 and "error[no-pictures]" in done.stderr
    assert "--split" in done.stderr
    done = headstart("suggest", tmp_path / "none", drawn)
    assert done.returncode == 65 and "error[" in done.stderr and "none" in done.stderr


def test_training_on_named_frames(drawn: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("\ufeff3\n\n7\n1\n", encoding="utf-8")
    out = tmp_path / "run"
    done = headstart("train", drawn, "--labels", chosen, "--out", out, *TINY)
    assert done.returncode == 0, done.stderr
    assert (out / "labels.txt").read_text() == "1\n3\n7\n"
    again = headstart("train", drawn, "--config", out / "config.json", "--out", out)
    assert again.returncode == 0, again.stderr
    told = headstart("report", out)
    assert told.returncode == 0, told.stderr
    assert (out / "report" / "labels.txt").read_text() == "3\n7\n1\n"
    assert "report/labels.txt" in (out / "report.html").read_text()


def test_frames_that_there_are_not(drawn: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    for text, status, facts in (
        ("1\nnobody\nnothing\n", 65, ("nobody", "nothing")),
        ("", 65, ("error[bad-labels]", "chosen.txt")),
        ("1\n1\n", 65, ("error[bad-labels]", "chosen.txt", "\n  1\n")),
    ):
        chosen.write_text(text)
        done = headstart("train", drawn, "--labels", chosen, "--out", tmp_path / "run", *TINY)
        assert done.returncode == status, done.stderr
        assert all(fact in done.stderr for fact in facts), done.stderr
    done = headstart("train", drawn, "--labels", tmp_path / "none.txt", *TINY)
    assert done.returncode == 65 and "error[unreadable]" in done.stderr
    assert "none.txt" in done.stderr
