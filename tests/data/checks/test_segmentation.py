from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from headstart.cli.check import check
from headstart.cli.describe import print_report
from headstart.data.checks.segmentation import (
    Report,
    SplitReport,
    UnlabelledReport,
    _groups,
    check_dataset,
)
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, Finding
from headstart.scores.segmentation import trivial_scores
from headstart.verbs.check import check as checked

GREYS = {"tissue": 0, "forceps": 32, "scissors": 64}
app = Typer(pretty_exceptions_enable=False)
app.command()(check)


def picture(seed: int, height: int = 16, width: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(array: np.ndarray, path: Path, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six training, two validation and two test frames; every class in every frame."""
    root = tmp_path / "data"
    mask = np.zeros((16, 20), np.uint8)
    mask[:4, :10], mask[8:, 15:] = 32, 64
    for split, names in (("train", range(6)), ("validation", range(6, 8)), ("test", range(8, 10))):
        for k in names:
            save(picture(k), root / split / "images" / f"{k}.png")
            save(mask, root / split / "masks" / f"{k}.png")
    (root / "mapping.json").write_text(json.dumps(GREYS))
    return root


def codes(report: Report) -> dict[str, Finding]:
    by_code = {finding.code: finding for finding in report.findings}
    assert len(by_code) == len(report.findings), "one finding per kind"
    return by_code


def test_describes_a_sound_dataset(data: Path) -> None:
    report = check_dataset(data)
    assert report.ok
    assert set(codes(report)) == {"few-test-frames", "no-groups", "small-test-split"}
    described = report.to_json()
    pixels = np.array([[240, 40, 40]] * 6)
    trivial = trivial_scores(pixels)
    assert described == {
        "schema": 1,
        "layout": "plain",
        "reading": [
            "Pictures and masks: 10, such as train/images/0.png and train/masks/0.png",
            "Splits: 6 train, 2 validation, 2 test",
            "Classes: tissue, forceps, scissors (from mapping.json)",
        ],
        "classes": [{"name": name, "grey": grey} for name, grey in GREYS.items()],
        "splits": {
            name: {
                "frames": count,
                "height": 16,
                "width": 20,
                "pixels": {"tissue": 0.75, "forceps": 0.125, "scissors": 0.125},
                "frames_with": dict.fromkeys(GREYS, count),
                "trivial": {n: trivial[n] for n in ("dice", "dice_frame", "dice_assignment")},
            }
            for name, count in (("train", 6), ("validation", 2), ("test", 2))
        },
        "unlabelled": {},
        "sheet": None,
        "findings": [finding.to_json() for finding in report.findings],
    }
    assert json.loads(json.dumps(described)) == described


def test_a_training_split_without_masks_is_checked_too(data: Path) -> None:
    for path in (data / "train/masks").iterdir():
        path.unlink()
    save(picture(7), data / "unlabelled/u.png")
    (finding,) = [f for f in checked(data).findings if f.severity == "error"]
    assert finding.code == "no-masks"


def broken_mask(data: Path) -> None:
    path = data / "train/masks/0.png"
    path.write_bytes(path.read_bytes()[:-30])


def unknown_greys(data: Path) -> None:
    for name, level in (("0", 31), ("1", 200), ("2", 31)):
        save(np.full((16, 20), level, np.uint8), data / f"train/masks/{name}.png")


def jpeg_mask(data: Path) -> None:
    path = data / "test/masks/8.png"
    Image.open(path).save(path.with_suffix(".jpg"))
    path.unlink()


def other_size(data: Path) -> None:
    save(np.zeros((20, 16), np.uint8), data / "train/masks/4.png")


def html_image(data: Path) -> None:
    (data / "train/images/0.png").write_text("<html>not found</html>")


def image_and_mask(data: Path) -> None:
    html_image(data)
    (data / "train/masks/0.png").write_bytes(b"")
    unknown_greys(data)
    (data / "train/masks/0.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (broken_mask, {"damaged-picture": ("train/masks/0.png",)}),
        (unknown_greys, {"unknown-grey": tuple(f"train/masks/{k}.png" for k in range(3))}),
        (jpeg_mask, {"lossy-mask": ("test/masks/8.jpg",)}),
        (other_size, {"size-differs": ("train/masks/4.png",)}),
        (html_image, {"not-a-picture": ("train/images/0.png",)}),
        (
            image_and_mask,
            {
                "not-a-picture": ("train/images/0.png",),
                "empty-file": ("train/masks/0.png",),
                "unknown-grey": ("train/masks/1.png", "train/masks/2.png"),
            },
        ),
    ],
)
def test_errors_are_listed_and_end_with_one(data: Path, harm, expected: dict) -> None:
    harm(data)
    report = check_dataset(data)
    errors = {f.code: f.files for f in report.findings if f.severity == "error"}
    assert errors == expected
    assert not report.ok
    assert report.splits["train"].frames == 6  # unreadable frames count too
    result = CliRunner().invoke(app, [str(data)])
    assert result.exit_code == 1
    for code, files in expected.items():
        assert f"error[{code}]" in result.stdout
        assert files[0] in result.stdout


def test_unknown_greys_are_named_with_their_files(data: Path) -> None:
    unknown_greys(data)
    message = codes(check_dataset(data))["unknown-grey"].message
    assert "31" in message
    assert "200" in message
    assert "train/masks/1.png" in message


def test_a_split_without_a_readable_frame(data: Path) -> None:
    for path in (data / "test" / "images").iterdir():
        path.write_bytes(b"")
    report = check_dataset(data)
    test = report.splits["test"]
    assert (test.frames, test.height, test.pixels["tissue"]) == (2, None, None)
    assert set(test.trivial.values()) == {None}
    assert "class-absent" not in codes(report)
    assert CliRunner().invoke(app, [str(data)]).exit_code == 1


def test_classes_that_are_absent_or_rare(data: Path) -> None:
    save(np.zeros((16, 20), np.uint8), data / "test/masks/8.png")
    save(np.full((16, 20), 32, np.uint8), data / "test/masks/9.png")
    by_code = codes(check_dataset(data))
    assert "test has no scissors (frames with it: " in by_code["class-absent"].message
    assert "train has no" not in by_code["class-absent"].message
    assert by_code["few-test-frames"].message.endswith("tissue (1), forceps (1)")


def test_a_class_that_no_split_shows_is_told_apart_from_one_that_a_split_lacks(data: Path) -> None:
    for path in data.glob("*/masks/*.png"):
        mask = np.asarray(Image.open(path))
        save(np.where(mask == GREYS["scissors"], 0, mask), path)
    by_code = codes(check_dataset(data))
    never = by_code["class-never-drawn"]
    assert never.severity == "warning" and never.message.endswith(": scissors")
    assert "categories" in never.hint and "class-absent" not in by_code


def test_copies_and_near_copies_across_splits(data: Path) -> None:
    smooth = np.tile(np.linspace(40, 200, 20, dtype=np.uint8)[:, None], (16, 1, 3))
    save(picture(0), data / "test/images/8.png")
    save(smooth, data / "train/images/1.png")
    save(smooth + np.uint8(4), data / "validation/images/6.png")
    save(smooth + np.uint8(7), data / "test/images/9.png")
    by_code = codes(check_dataset(data))
    assert by_code["copies-across-splits"].files == ("test/images/8.png",)
    assert "(test/images/8.png: train/images/0.png)" in by_code["copies-across-splits"].message
    near = by_code["near-duplicates"]
    assert near.files == ("validation/images/6.png", "test/images/9.png")
    assert "1 of 2 validation frames in train" in near.message
    assert "1 of 2 test frames in validation" in near.message  # 3 levels apart; 7 from train


def test_copies_within_a_split(data: Path) -> None:
    save(picture(0), data / "train/images/3.png")
    finding = codes(check_dataset(data))["copies-within-split"]
    assert finding.files == ("train/images/3.png",)


def test_what_pretraining_sees(data: Path) -> None:
    for k in (0, 3, 8):
        save(picture(k), data / "unlabelled" / f"{k}.png")
    save(picture(77, 32, 32), data / "unlabelled" / "77.png")
    report = check_dataset(data)
    by_code = codes(report)
    assert by_code["train-in-unlabelled"].severity == "info"
    assert by_code["train-in-unlabelled"].files == ("train/images/0.png", "train/images/3.png")
    assert by_code["copies-across-splits"].severity == "warning"
    assert by_code["copies-across-splits"].files == ("test/images/8.png",)
    assert "20 x 16 (13 pictures), 32 x 32 (1 pictures)" in by_code["several-sizes"].message
    assert report.to_json()["unlabelled"] == {"train": {"frames": 4, "height": None, "width": None}}


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_outlines_on_an_image_turned_by_exif(tmp_path: Path, orientation: int) -> None:
    """A file that gives the size of the image as it is shown says that its outlines follow it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = (20, 16) if orientation == 6 else (16, 20)
    images, annotations = [], []
    for k in range(6):
        save(picture(k), tmp_path / f"{k}.png", exif=exif)
        images.append({"id": k, "file_name": f"{k}.png", "height": shown[0], "width": shown[1]})
        outline = [[2, 2, 9, 2, 9, 9, 2, 9]]
        annotations.append({"id": k, "image_id": k, "category_id": 1, "segmentation": outline})
    text = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "a.json").write_text(json.dumps(text))
    found = codes(check_dataset(tmp_path)).get("exif-orientation")
    assert (found is not None and found.severity == "warning") == (orientation == 3)


def test_image_turned_by_exif(data: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    save(picture(0), data / "train/images/0.png", exif=exif)
    finding = codes(check_dataset(data))["exif-orientation"]
    assert (finding.severity, finding.files) == ("warning", ("train/images/0.png",))
    exif[0x0112] = 6
    save(picture(0), data / "train/images/0.png", exif=exif)
    finding = codes(check_dataset(data))["exif-orientation"]  # the mask has the stored size
    assert (finding.severity, finding.files) == ("info", ("train/images/0.png",))
    with Image.open(data / "train/masks/0.png") as mask:
        save(np.asarray(mask), data / "train/masks/0.png", exif=exif)
    assert "exif-orientation" not in codes(check_dataset(data))


def test_picture_that_is_nearly_opaque(data: Path) -> None:
    size = (40, 60)
    alpha = np.full(size, 255, np.uint8)
    alpha[0, 0] = 0
    save(np.dstack([picture(0, *size), alpha]), data / "train/images/0.png")
    save(np.zeros(size, np.uint8), data / "train/masks/0.png")
    finding = codes(check_dataset(data))["nearly-opaque"]
    assert (finding.severity, finding.files) == ("info", ("train/images/0.png",))
    assert "0.042%" in finding.message


def test_groups(data: Path) -> None:
    stems = [f"{p.parent.parent.name}/{p.stem}" for p in data.glob("*/images/*")]
    lines = [f"{stem},patient {int(stem.split('/')[1]) // 5}" for stem in stems]
    (data / "groups.csv").write_text("\n".join(["stem,group", *lines]))
    by_code = codes(check_dataset(data))
    assert "no-groups" not in by_code
    message = by_code["group-across-splits"].message
    assert "patient 1 (train, validation, test)" in message
    assert "patient 0" not in message


def test_no_dataset_to_look_at(data: Path) -> None:
    shutil.rmtree(data / "train")
    with pytest.raises(DataError) as caught:
        check_dataset(data)
    assert caught.value.exit_status == 65


def test_json_is_one_object_and_nothing_else(data: Path) -> None:
    result = CliRunner().invoke(app, [str(data), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["schema"] == 1
    assert result.stdout.count("\n") == 1


def test_tables_fit_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("Monopolar_Curved_Scissors", "[red]", "n" * 100)
    split = SplitReport(
        frames=12345,
        height=1080,
        width=1920,
        pixels=dict.fromkeys(names, 0.8564),
        frames_with=dict.fromkeys(names, 12345),
        trivial=dict.fromkeys(("dice", "dice_frame", "dice_assignment"), 0.7706),
    )
    report = Report(
        layout="assignment",
        classes={name: 32 * i for i, name in enumerate(names)},
        splits=dict.fromkeys(("train", "validation", "test"), split),
        unlabelled={"validation": UnlabelledReport(1584, None, None)},
        findings=(),
    )
    print_report(report)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for shown in ("dice_assignment", "unlabelled validation", "1920 x 1080", "85.64%", *names[:2]):
        assert shown in text
    assert text.count("n" * 16) >= 4  # long names are broken, not cut
    assert "…" not in text
    assert "No problems found" in text


def test_torch_is_not_imported() -> None:
    modules = "headstart.data.checks.segmentation, headstart.cli.describe"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_assignments_own_data(real: Path) -> None:
    described = check_dataset(real).to_json()
    splits = described["splits"]
    assert [s["frames"] for s in splits.values()] == [300, 50, 50]
    assert {(s["height"], s["width"]) for s in splits.values()} == {(256, 320)}
    assert len(described["classes"]) == 8
    trivial = [round(s["trivial"]["dice_assignment"], 4) for s in splits.values()]
    assert trivial == [0.7706, 0.7816, 0.7622]
    assert list(splits["train"]["frames_with"].values()) == [300, 66, 149, 138, 49, 8, 22, 95]
    by_code = {finding["code"]: finding for finding in described["findings"]}
    assert all(finding["severity"] != "error" for finding in by_code.values())
    assert {"label-map-commas", "class-absent", "near-duplicates", "no-groups"} <= set(by_code)
    assert len(by_code["train-in-unlabelled"]["files"]) == 300
    assert "6 of 50 test frames in unlabelled" in by_code["near-duplicates"]["message"]


def test_groups_of_some_frames_alone(data: Path) -> None:
    dataset = open_dataset(data)
    known = tuple(replace(f, group="patient") for f in dataset.splits["train"])
    partly = replace(dataset, splits={**dataset.splits, "train": known})
    (finding,) = _groups(partly)
    assert finding.code == "some-groups" and " of test" in finding.message
    assert " of train" not in finding.message
