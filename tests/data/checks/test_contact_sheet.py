"""The sheet of a check: every class is on it, all splits and groups are, nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from headstart.cli.check import check as command
from headstart.data.checks import contact_sheet
from headstart.data.checks.contact_sheet import SHEET, chosen_frames
from headstart.errors import UsageError
from headstart.plots.overlay import colour
from headstart.verbs.check import check
from tests.data.pictures_of_classes import four_files

app = Typer(pretty_exceptions_enable=False)
app.command()(command)


@given(st.integers(1, 60), st.integers(2, 9), st.integers(0, 999), st.integers(9, 24))
def test_every_class_is_shown_the_rarest_first(n: int, k: int, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 50, (n, k)) * (rng.random((n, k)) < rng.random(k) ** 3)
    parts = [(f"split {i % 3}", None) for i in range(n)]
    chosen = chosen_frames(pixels, parts, count)
    assert len(set(chosen)) == len(chosen) == min(n, count)
    assert chosen == chosen_frames(pixels, parts, count)
    assert ((pixels[chosen] > 0).any(0) == (pixels > 0).any(0)).all()
    frames_with = (pixels > 0).sum(0)
    if frames_with.any():
        rarest = min(range(k), key=lambda c: (frames_with[c] or n + 1, c))
        shares = pixels[:, rarest] / np.maximum(pixels.sum(1), 1)
        assert chosen[0] == shares.argmax()


def test_the_other_places_go_evenly_to_splits_and_groups() -> None:
    parts = [("train", f"patient {i // 30}") for i in range(90)]
    parts += [("test", "patient 3")] * 20 + [("validation", None)] * 2
    chosen = chosen_frames(np.ones((len(parts), 1), np.int64), parts, 24)
    taken = [parts[k] for k in chosen]
    assert [sum(s == split for s, _ in taken) for split in ("train", "test", "validation")] == [
        11, 11, 2
    ]  # fmt: skip
    assert sorted(taken.count(("train", f"patient {g}")) for g in range(3)) == [3, 4, 4]
    in_test = np.array(sorted(k for k in chosen if parts[k][0] == "test")) - 90
    assert {0, 19} <= set(in_test.tolist()) and np.diff(in_test).max() <= 4


def save(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Thirty black training frames, two others of each split; "rare" is in frame 17 alone."""
    root = tmp_path / "data"
    mask = np.zeros((40, 50), np.uint8)
    mask[10:20, 10:30] = 100
    for split, names in (("train", range(30)), ("validation", (30, 31)), ("test", (32, 33))):
        for k in names:
            save(np.zeros((40, 50, 3), np.uint8), root / split / "images" / f"{k}.png")
            save(mask, root / split / "masks" / f"{k}.png")
    mask[30:38, 30:48] = 200
    save(mask, root / "train/masks/17.png")
    levels = {"ground": 0, "usual": 100, "rare": 200, "ignore": 255}
    (root / "mapping.json").write_text(json.dumps(levels))
    return root


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_the_rarest_class_is_in_the_first_picture(data: Path, tmp_path: Path) -> None:
    report = check(data, out=tmp_path / "new" / "sheet")
    assert report.sheet == tmp_path / "new" / "sheet" / SHEET
    assert report.to_json()["sheet"] == str(report.sheet)
    sheet = opened(report.sheet)
    above_legend = (sheet == colour(2)).all(-1)
    above_legend[-60:] = False
    rows, columns = np.nonzero(above_legend)
    assert len(rows) and columns.max() < 12 + 240 and rows.max() < 12 + 21 + 4 + 192
    usual = (sheet == colour(1)).all(-1)
    assert usual[:, -252:].any()  # the sixth column


def test_only_the_chosen_frames_are_decoded_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counting(frame, *rest):
        read.append(frame)
        return original(frame, *rest)

    original = contact_sheet.read_labelled
    monkeypatch.setattr(contact_sheet, "read_labelled", counting)
    check(data, out=tmp_path / "sheet")
    assert len(read) == 24


def test_ignored_pixels_and_groups_are_named(data: Path, tmp_path: Path, monkeypatch) -> None:
    """Both are on the sheet as text, so the sheet's parts are looked at."""
    mask = np.zeros((40, 50), np.uint8)
    mask[:20], mask[20:] = 200, 255
    save(mask, data / "train/masks/17.png")
    stems = [f"{p.parents[1].name}/{p.stem}" for p in data.glob("*/images/*")]
    lines = [f"{stem},patient {int(stem.split('/')[1]) % 4}" for stem in stems]
    (data / "groups.csv").write_text("\n".join(["stem,group", *lines]))
    drawn = []

    def looking(rows, classes, names, side):
        drawn.append((rows, list(classes)))
        return original(rows, classes, names, side)

    original = contact_sheet.contact_sheet
    monkeypatch.setattr(contact_sheet, "contact_sheet", looking)
    check(data, out=tmp_path / "sheet")
    ((rows, classes),) = drawn
    assert classes == [1, 2, 255]
    lines_below = [cell.lines for row in rows for cell in row.cells]
    assert lines_below[0] == ("17", "train, patient 1")
    assert {"test, patient 0", "test, patient 1"} <= {where for _, where in lines_below}
    assert "24 of 34 frames" in rows[0].heading


def test_a_sheet_is_written_again_and_nothing_else_is(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet"
    out.mkdir()
    first = check(data, out=out).sheet.read_bytes()
    (out / SHEET).write_bytes(first[:200])
    assert check(data, out=out).sheet.read_bytes() == first

    (out / "notes.txt").write_text("mine")
    (out / SHEET).write_bytes(first[:200])
    with pytest.raises(UsageError, match="not-empty"):
        check(data, out=out)
    assert (out / SHEET).read_bytes() == first[:200]
    (out / "notes.txt").unlink()
    Image.new("RGB", (3, 3)).save(out / SHEET)  # of somebody else
    with pytest.raises(UsageError, match="not-empty"):
        check(data, out=out)
    with pytest.raises(UsageError, match="is not a folder"):
        check(data, out=out / SHEET)
    with pytest.raises(UsageError, match="lies in the dataset"):
        check(data, out=data / "sheet")
    assert not (data / "sheet").exists()


def test_faulty_frames_are_not_on_the_sheet(data: Path, tmp_path: Path) -> None:
    for path in data.glob("*/masks/*"):
        if path.stem not in ("3", "17"):
            path.write_bytes(b"")
    report = check(data, out=tmp_path / "sheet")
    assert not report.ok and opened(report.sheet).shape[1] == 2 * 252 + 12
    for path in data.glob("*/masks/*"):
        path.write_bytes(b"")
    report = check(data, out=tmp_path / "other")
    assert report.sheet is None and not (tmp_path / "other").exists()


def test_the_command_says_where_the_sheet_is_before_the_findings(
    data: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, [str(data), "--out", str(tmp_path / "sheet")])
    assert result.exit_code == 0
    text = result.stdout
    places = [
        text.index(part)
        for part in ("Pictures and masks: 34", "by class", f"Contact sheet: {tmp_path}", "info[")
    ]
    assert places == sorted(places)
    assert "Contact sheet" not in CliRunner().invoke(app, [str(data)]).stdout


def test_pictures_of_any_size(data: Path, tmp_path: Path) -> None:
    for k, size in enumerate(((3000, 2), (1, 1), (2, 3000), (700, 900))):
        save(np.zeros((*size, 3), np.uint8), data / f"train/images/{k}.png")
        save(np.zeros(size, np.uint8), data / f"train/masks/{k}.png")
    assert check(data, out=tmp_path / "sheet").sheet.is_file()


def test_class_folders_get_a_row_for_each_class(coloured: Path, tmp_path: Path) -> None:
    report = check(coloured, out=tmp_path / "sheet")
    sheet = opened(report.sheet).astype(int)
    for k in range(3):  # rows of red, green and blue pictures, from above
        others = sheet[..., [c for c in range(3) if c != k]].max(-1)
        rows, columns = np.nonzero(sheet[..., k] > others + 80)
        assert len(sheet) * k // 3 <= rows.min() and rows.max() < len(sheet) * (k + 1) // 3
        assert columns.min() < 140 and columns.max() > 900
    assert report.to_json()["sheet"] == str(report.sheet)


def test_the_pictures_of_idx_files(tmp_path: Path) -> None:
    root = four_files(tmp_path / "data")
    sheet = opened(check(root, out=tmp_path / "sheet").sheet)
    assert sheet.ndim == 3 and sheet.std() > 10


def test_of_many_classes_the_rarest_are_shown(
    coloured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_sheet, "_CLASSES", 2)
    for path in (coloured / "train" / "bee").iterdir():
        save(opened(path), tmp_path / "few/bee" / path.name)
    for name in ("ape", "cat"):
        for path in sorted((coloured / "train" / name).iterdir())[: 4 if name == "ape" else 3]:
            save(opened(path), tmp_path / "few" / name / path.name)
    sheet = opened(check(tmp_path / "few", out=tmp_path / "sheet").sheet).astype(int)
    assert not (sheet[..., 1] > sheet[..., [0, 2]].max(-1) + 80).any()  # no bee
    assert (sheet[..., 0] > sheet[..., 1:].max(-1) + 80).any()
