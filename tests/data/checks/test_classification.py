"""A check of pictures with classes reports counts, the trivial accuracy and every kind of fault."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from headstart.cli.check import check
from headstart.cli.describe import print_report
from headstart.data.checks import small_test
from headstart.data.checks.classification import ClassReport, ClassSplit, check_classes
from headstart.errors import DataError, Finding
from tests.data.pictures_of_classes import folders, four_files, idx, labels, picture, save

app = Typer(pretty_exceptions_enable=False)
app.command()(check)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes with 50 and 60 training pictures, a tenth for validation; no faults."""
    return folders(tmp_path / "data", train={"cat": 50, "dog": 60}, test={"cat": 6, "dog": 5})


@pytest.fixture(autouse=True)
def _small_tests_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test splits here are small; tests/data/checks/test_small_test.py is about that."""
    monkeypatch.setattr(small_test, "ENOUGH", 0)


def codes(report: ClassReport) -> dict[str, Finding]:
    by_code = {finding.code: finding for finding in report.findings}
    assert len(by_code) == len(report.findings), "one finding per kind"
    assert all(finding.message and finding.hint for finding in by_code.values())
    return by_code


def test_describes_sound_folders(root: Path) -> None:
    report = check_classes(root)
    assert report.ok and report.findings == ()
    assert (report.layout, report.classes) == ("classes", ("cat", "dog"))
    assert report.splits == {
        "train": ClassSplit(99, 8, 10, {"cat": 45, "dog": 54}, "dog", 54 / 99),
        "validation": ClassSplit(11, 8, 10, {"cat": 5, "dog": 6}, "dog", 6 / 11),
        "test": ClassSplit(11, 8, 10, {"cat": 6, "dog": 5}, "cat", 6 / 11),
    }


def test_describes_sound_idx_files(tmp_path: Path) -> None:
    report = check_classes(four_files(tmp_path))
    assert report.layout == "idx" and report.classes == ("0", "1", "2", "3")
    assert report.splits["train"].classes == {"0": 9, "1": 9, "2": 9, "3": 9}
    assert (report.splits["test"].height, report.splits["test"].width) == (6, 5)
    assert report.splits["test"].trivial_accuracy == 0.25
    assert set(codes(report)) == {"few-pictures"}  # one of each validates, two of each test


def test_pictures_that_are_nearly_opaque_are_named(root: Path) -> None:
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[0, 0] = 0
    save(np.dstack([picture(900, 40, 60), alpha]), root / "train" / "cat" / "0.png")
    finding = codes(check_classes(root))["nearly-opaque"]
    assert finding.severity == "info"
    (file,) = finding.files
    assert file.endswith("train/cat/0.png")


def test_json_is_of_schema_1(root: Path) -> None:
    save(picture(0), root / "train" / "dog" / "again.png")  # cat/0.png
    described = json.loads(json.dumps(check_classes(root).to_json()))
    assert set(described) == {
        "schema", "layout", "reading", "classes", "splits", "sheet", "findings"
    }  # fmt: skip
    assert (described["schema"], described["layout"]) == (1, "classes")
    assert described["classes"] == [{"name": "cat"}, {"name": "dog"}]
    assert described["splits"]["test"] == {
        "pictures": 11, "height": 8, "width": 10, "classes": {"cat": 6, "dog": 5},
        "trivial": {"accuracy": 6 / 11, "class": "cat"},
    }  # fmt: skip
    assert {"copies-in-several-classes"} <= {f["code"] for f in described["findings"]}
    assert all(set(f) == {"code", "severity", "message", "files"} for f in described["findings"])


def test_every_unreadable_file_is_named_and_the_rest_is_described(root: Path) -> None:
    bad = ["train/cat/0.png", "train/cat/7.png", "train/dog/3.png", "test/dog/0.png"]
    for path in bad:
        (root / path).write_bytes(b"<html>")
    (root / "test/cat/2.png").write_bytes(b"")
    report = check_classes(root)
    assert not report.ok
    by_code = codes(report)
    assert set(by_code) == {"not-a-picture", "empty-file"}
    assert sorted(by_code["not-a-picture"].files) == sorted(bad)
    assert by_code["empty-file"].files == ("test/cat/2.png",)
    assert report.splits["test"].classes == {"cat": 6, "dog": 5}
    assert report.splits["test"].height == 8


def test_nothing_readable_in_a_split(root: Path) -> None:
    for path in (root / "test").rglob("*.png"):
        path.write_bytes(b"")
    split = check_classes(root).splits["test"]
    assert (split.pictures, split.height, split.width) == (11, None, None)


def test_classes_of_few_pictures(tmp_path: Path) -> None:
    root = folders(
        tmp_path,
        train={"a": 5, "b": 4, "c": 9},
        validation={"a": 5, "b": 5},
        test={"a": 4, "b": 5},
    )
    by_code = codes(check_classes(root))
    assert set(by_code) == {"few-pictures", "class-absent"}
    assert {f.severity for f in by_code.values()} == {"warning"}
    assert "train: b (4); test: a (4)" in by_code["few-pictures"].message
    message = by_code["class-absent"].message
    assert "validation has no c; test has no c" in message and "train" not in message


def test_many_classes_are_not_all_listed(tmp_path: Path) -> None:
    report = check_classes(folders(tmp_path, train={f"c{k}": 3 for k in range(9)}))
    by_code = codes(report)
    assert set(by_code) == {"empty-split", "few-pictures"}
    assert by_code["empty-split"].severity == "warning" and "test" in by_code["empty-split"].message
    assert "c0 (2), c1 (2), c2 (2), c3 (2), c4 (2) and 4 more; v" in by_code["few-pictures"].message


def test_copies_across_splits(root: Path) -> None:
    (root / "validation").mkdir()
    for k, name in enumerate(("cat", "dog")):
        for n in range(5):
            save(picture(1000 + 10 * k + n), root / "validation" / name / f"{n}.png")
    shutil.copy(root / "train/cat/3.png", root / "test/cat/1.png")
    save(picture(4), root / "test/cat/2.bmp")  # the pixels of train/cat/4.png
    shutil.copy(root / "validation/dog/0.png", root / "test/dog/0.png")
    shutil.copy(root / "train/cat/3.png", root / "train/cat/again.png")  # within a split
    by_code = codes(check_classes(root))
    assert set(by_code) == {"copies-across-splits"}
    finding = by_code["copies-across-splits"]
    assert finding.severity == "warning"
    assert "2 of 12 test pictures in train (test/cat/1.png: train/cat/3.png)" in finding.message
    assert "1 of 12 test pictures in validation" in finding.message
    assert finding.files == ("test/cat/1.png", "test/cat/2.bmp", "test/dog/0.png")


def smooth(level: int) -> np.ndarray:
    return np.full((8, 10, 3), level, np.uint8)


def test_near_copies_across_splits(root: Path) -> None:
    save(smooth(100), root / "train/cat/near.png")
    save(smooth(104), root / "test/cat/4.png")
    save(smooth(106), root / "test/dog/4.png")  # 6 from train: not near
    save(picture(0), root / "test/cat/5.png")  # an exact copy, reported as such
    report = check_classes(root)
    finding = codes(report)["near-duplicates"]
    assert finding.severity == "warning" and finding.files == ("test/cat/4.png",)
    assert "1 of 11 test pictures in train (test/cat/4.png: train/cat/near.png)" in finding.message
    assert "validation" not in finding.message
    assert codes(report)["copies-across-splits"].files == ("test/cat/5.png",)


def test_near_copies_are_not_sought_among_too_many(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(smooth(100), root / "train/cat/near.png")
    save(smooth(104), root / "test/cat/4.png")
    monkeypatch.setattr("headstart.data.checks.classification._NEARLY", 100)
    by_code = codes(check_classes(root))
    assert set(by_code) == {"near-duplicates-unknown"}
    assert by_code["near-duplicates-unknown"].severity == "info"


def test_the_same_picture_in_several_classes(root: Path) -> None:
    shutil.copy(root / "train/cat/3.png", root / "train/dog/x.png")
    shutil.copy(root / "test/cat/0.png", root / "test/dog/y.png")
    finding = codes(check_classes(root))["copies-in-several-classes"]
    assert finding.severity == "warning" and finding.message.startswith("2 ")
    assert "test/cat/0.png (cat) and test/dog/y.png (dog)" in finding.message
    assert set(finding.files) == {"train/cat/3.png", "train/dog/x.png",
                               "test/cat/0.png", "test/dog/y.png"}  # fmt: skip


def test_copies_among_idx_files(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 6, 5), dtype=np.uint8)
    pixels[13] = pixels[12]  # of class 0 and of class 1
    root = four_files(tmp_path, train_images=idx(2051, pixels), test_labels=labels([3] * 8),
                      test_images=idx(2051, pixels[[3, 7, 11, 15, 19, 23, 27, 31]]))  # fmt: skip
    by_code = codes(check_classes(root))
    assert "/00012 (0) and " in by_code["copies-in-several-classes"].message
    across = by_code["copies-across-splits"]
    assert set(across.files) >= {f"test/{k:05}" for k in range(8)}
    assert "test has no 0, 1, 2" in by_code["class-absent"].message


def test_the_same_bytes_in_another_shape_are_no_copy(tmp_path: Path) -> None:
    root = four_files(tmp_path, train_images=idx(2051, np.zeros((40, 6, 5), np.uint8)),
                      test_images=idx(2051, np.zeros((8, 5, 6), np.uint8)))  # fmt: skip
    by_code = codes(check_classes(root))
    assert not any(file.startswith("test/") for file in by_code["copies-across-splits"].files)
    assert by_code["several-sizes"].severity == "info"
    assert "5 x 6 (40 pictures), 6 x 5 (8 pictures)" in by_code["several-sizes"].message


def test_several_sizes(root: Path) -> None:
    save(picture(1, 9, 12), root / "train/cat/1.png")
    report = check_classes(root)
    assert set(codes(report)) == {"several-sizes"} and report.ok
    assert "10 x 8 (120 pictures), 12 x 9 (1 pictures)" in codes(report)["several-sizes"].message
    sizes = {(split.height, split.width) for split in report.splits.values()}
    assert sizes == {(None, None), (8, 10)}


def test_what_was_passed_over_is_among_the_findings(root: Path) -> None:
    (root / "train" / "notes.txt").write_text("cats")
    assert set(codes(check_classes(root))) == {"passed-over"}


def test_findings_come_by_severity(root: Path) -> None:
    (root / "train/cat/0.png").write_bytes(b"")
    save(picture(1, 9, 12), root / "train/cat/1.png")
    (root / "train" / "notes.txt").write_text("cats")
    severities = [finding.severity for finding in check_classes(root).findings]
    assert severities == ["error", "warning", "info"]


def test_what_cannot_be_looked_at_is_raised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="layout"):
        check_classes(tmp_path)
    with pytest.raises(DataError, match="too-few-classes"):
        check_classes(folders(tmp_path, train={"cat": 3}))


# The command


def test_the_command_describes_classes(root: Path) -> None:
    done = CliRunner().invoke(app, [str(root)])
    assert done.exit_code == 0 and "No problems found" in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["train", "99", "10", "x", "8", "0.5455", "dog"] in lines
    assert ["dog", "54", "6", "5"] in lines
    (root / "test/cat/2.png").write_bytes(b"")
    done = CliRunner().invoke(app, [str(root), "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["findings"][0]["files"] == ["test/cat/2.png"]


def test_tables_fit_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = "a class whose name\x1b[31m is very much longer than a column"
    counts = {long: 1_200_000, "b": 3}
    split = ClassSplit(1_200_003, 1024, 1280, counts, long, 1_200_000 / 1_200_003)
    names = ("train", "validation", "test")
    report = ClassReport("classes", tuple(counts), dict.fromkeys(names, split), ())
    print_report(report)
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "1280 x 1024" in shown and shown.count("1200000") == 3
    assert "\x1b" not in shown
