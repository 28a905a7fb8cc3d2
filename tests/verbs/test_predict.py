"""Folders are walked and keep their tree; masks become annotations of tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, UsageError
from headstart.verbs.predict import PredictResult, predict
from tests.clips import make_clip

FORMATS = {
    "coco": {"annotations.json"},
    "labelme": {"labelme"},
    "yolo": {"data.yaml", "labels"},
    "cvat": {"annotations.xml"},
}


@pytest.fixture
def photos(drawn: Path, tmp_path: Path) -> Path:
    """The drawn test pictures, in subfolders."""
    folder = tmp_path / "photos"
    for k, frame in enumerate(open_dataset(drawn).splits["test"]):
        (folder / f"p{k % 2}").mkdir(parents=True, exist_ok=True)
        (folder / f"p{k % 2}" / f"{k}.png").write_bytes(frame.image.read_bytes())
    (folder / "notes.txt").touch()
    return folder


def run_on(trained: Path, source: Path, out: Path, **options: object) -> PredictResult:
    return predict(trained, source, out=out, device="cpu", **options)  # type: ignore[arg-type]


def tree(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_keeps_its_tree(trained: Path, photos: Path, tmp_path: Path) -> None:
    out = photos / "out"  # even there, its masks are not predicted again
    for _ in range(2):
        result = run_on(trained, photos, out)
        assert result.pictures == 5
        expected = {"p0/0.png", "p0/2.png", "p0/4.png", "p1/1.png", "p1/3.png"}
        assert tree(out / "masks") == tree(out / "overlays") == expected
    assert {finding.code for finding in result.findings} == {"passed-over"}
    assert result.to_json()["findings"][0]["severity"] == "info"
    alone = run_on(trained, photos / "p1", tmp_path / "alone")
    for name in ("1.png", "3.png"):
        mask = (tmp_path / "alone/masks" / name).read_bytes()
        assert mask == (out / "masks/p1" / name).read_bytes()
    assert alone.findings == ()


def test_clips_in_a_folder(trained: Path, photos: Path, tmp_path: Path) -> None:
    make_clip(photos / "p0" / "a.mp4", range(3))
    make_clip(photos / "b.mov", range(2))
    out = tmp_path / "out"
    result = run_on(trained, photos, out, masks=True, format="coco")
    assert result.pictures == 5 and result.annotations == (out / "annotations.json",)
    assert [clip.folder for clip in result.clips] == [out / "b", out / "p0/a"]
    assert [clip["frames"] for clip in result.to_json()["clips"]] == [2, 3]
    assert len(tree(out / "p0/a/masks")) == 3 and (out / "b/overlay.mp4").is_file()
    alone = run_on(trained, photos / "b.mov", tmp_path / "alone", masks=True)
    assert alone.clip is not None
    for name in tree(tmp_path / "alone/masks"):
        same = (out / "b/masks" / name).read_bytes()
        assert same == (tmp_path / "alone/masks" / name).read_bytes()
    assert run_on(trained, photos, out, masks=True).pictures == 5  # the same again


def test_a_folder_of_clips_only(trained: Path, tmp_path: Path) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    make_clip(clips / "a.mp4", range(2))
    with pytest.raises(UsageError) as caught:
        run_on(trained, clips, out, format="coco")
    assert caught.value.findings[0].code == "format-of-pictures" and not out.exists()
    result = run_on(trained, clips, out)
    assert result.pictures == 0 and result.masks is None and len(result.clips) == 1


def test_others_are_done_before_faults_are_raised(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "p0" / "bad.png").write_bytes(b"<html>")
    (photos / "a.mp4").write_bytes(b"<html>")
    make_clip(photos / "b.mp4", range(2))
    out = tmp_path / "out"
    with pytest.raises(DataError) as caught:
        run_on(trained, photos, out, format="coco")
    named = " ".join(file for finding in caught.value.findings for file in finding.files)
    assert "bad.png" in named and "a.mp4" in named
    assert len(tree(out / "masks")) == 5 and (out / "b/overlay.mp4").is_file()
    # A file without one picture would not be replaced by the complete one.
    assert "annotations-left-out" in {finding.code for finding in caught.value.findings}
    assert not (out / "annotations.json").exists()
    (photos / "p0" / "bad.png").write_bytes((photos / "p0" / "0.png").read_bytes())
    (photos / "a.mp4").unlink()
    run_on(trained, photos, out, format="coco")
    images = json.loads((out / "annotations.json").read_text())["images"]
    assert {image["file_name"] for image in images} >= {"p0/bad.png", "p1/1.png"}


@pytest.mark.parametrize(
    ("names", "faulty"),
    [
        (("a.mp4", "a.mov", "b.mp4"), {"a.mp4", "a.mov"}),
        (("masks.mp4", "b.mp4"), {"masks.mp4"}),
        (("a.mp4", "a/b.mp4"), {"a/b.mp4"}),
    ],
)
def test_clips_whose_files_would_collide(
    trained: Path, tmp_path: Path, names: tuple[str, ...], faulty: set[str]
) -> None:
    for name in names:
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / name).touch()
    with pytest.raises(DataError) as caught:
        run_on(trained, tmp_path / "clips", tmp_path / "out")
    (finding,) = caught.value.findings
    assert finding.code == "same-stem" and set(finding.files) == faulty
    assert not (tmp_path / "out").exists()


def test_masks_of_a_dataset_are_not_taken_for_pictures(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        run_on(trained, drawn, tmp_path / "out")
    assert caught.value.findings[0].code == "needs-split"
    assert "--split" in caught.value.findings[0].hint and not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", FORMATS)
def test_annotations_beside_the_masks(
    trained: Path, photos: Path, tmp_path: Path, form: str
) -> None:
    out = tmp_path / "out"
    run_on(trained, photos, out)
    result = run_on(trained, photos, out, format=form)
    assert {path.name for path in result.annotations} == FORMATS[form]
    assert result.to_json()["annotations"] == [str(path) for path in result.annotations]
    before = {name: (out / name).read_bytes() for name in tree(out)}
    run_on(trained, photos, out, format=form)
    assert before == {name: (out / name).read_bytes() for name in tree(out)}


def test_corrected_masks_are_kept(trained: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run_on(trained, photos, out)
    assert first.masks is not None
    corrected, untouched = first.masks / "p0/2.png", first.masks / "p1/1.png"
    before = untouched.read_bytes()
    with Image.open(corrected) as mask:
        pixels = np.asarray(mask).copy()
        pixels[0, 0] = 255 - pixels[0, 0]
        Image.fromarray(pixels).save(corrected)
    with Image.open(untouched) as mask:
        mask.save(untouched, compress_level=0)  # the same pixels in other bytes
    of_user = corrected.read_bytes()
    with pytest.raises(UsageError) as caught:
        run_on(trained, photos, out, format="coco")
    finding, passed_over = caught.value.findings
    assert passed_over.code == "passed-over"
    assert finding.code == "masks-differ" and finding.files == ("masks/p0/2.png",)
    assert corrected.read_bytes() == of_user and untouched.read_bytes() == before
    assert not (out / "annotations.json").exists()


def test_clips_are_predicted_beside_masks_that_are_kept(trained: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "mixed", tmp_path / "out"
    source.mkdir()
    Image.new("RGB", (40, 32)).save(source / "a.png")
    run_on(trained, source, out)
    Image.new("L", (40, 32), 32).save(out / "masks/a.png")
    make_clip(source / "b.mp4", range(2))
    (source / "notes.txt").touch()
    with pytest.raises(UsageError) as caught:
        run_on(trained, source, out)
    assert [f.code for f in caught.value.findings] == ["masks-differ", "passed-over"]
    assert (out / "b/overlay.mp4").is_file()


def test_a_link_to_a_picture_is_followed(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    Image.new("RGB", (40, 32)).save(tmp_path / "far/a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "far/a.png")
    run_on(trained, tmp_path / "link.png", tmp_path / "out")
    assert tree(tmp_path / "out/masks") == {"link.png"}


def test_a_description_of_a_dataset_needs_a_split(trained: Path, drawn: Path) -> None:
    file = drawn.parent / "dataset.toml"
    file.write_text(f'root = "{drawn.name}"\nlayout = "assignment"\n')
    with pytest.raises(UsageError, match="needs-split"):
        run_on(trained, file, drawn.parent / "out")


def test_pictures_are_predicted_once_they_are_repaired_beside_a_clip_that_was(
    trained: Path, tmp_path: Path
) -> None:
    source = tmp_path / "mixed"
    source.mkdir()
    (source / "a.png").write_text("no picture")
    (source / "sub").mkdir()
    make_clip(source / "sub/clip.mp4", range(2))
    with pytest.raises(DataError):
        run_on(trained, source, tmp_path / "out")
    assert (tmp_path / "out/sub/clip/areas.csv").is_file()
    Image.new("RGB", (40, 32)).save(source / "a.png")
    result = run_on(trained, source, tmp_path / "out")
    assert result.pictures == 1 and len(result.clips) == 1


def test_corrected_annotations_are_kept(trained: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_on(trained, photos, out, format="labelme")
    (out / "labelme/p0/2.json").write_text("corrected")
    (out / "labelme/p1/1.json").unlink()
    with pytest.raises(UsageError) as caught:
        run_on(trained, photos, out, format="labelme")
    finding, _ = caught.value.findings
    assert finding.code == "annotations-differ" and finding.files == ("labelme/p0/2.json",)
    assert (out / "labelme/p0/2.json").read_text() == "corrected"
    assert (out / "labelme/p1/1.json").is_file()


def test_labelme_finds_the_pictures(trained: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_on(trained, photos, out, format="labelme")
    for path in (out / "labelme").rglob("*.json"):
        picture = path.parent / json.loads(path.read_text())["imagePath"]
        assert picture.resolve() == (photos / path.parent.name / f"{path.stem}.png").resolve()


def test_a_split_becomes_a_dataset_of_the_tool(trained: Path, drawn: Path, tmp_path: Path) -> None:
    """And what is read from it is what was predicted."""
    out = tmp_path / "out"
    result = run_on(trained, drawn, out, split="test", format="cvat")
    assert result.pictures == 5 and result.masks is not None
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "annotations.xml").write_bytes((out / "annotations.xml").read_bytes())
    frames = open_dataset(drawn).splits["test"]
    pictures = {frame.image.name: frame for frame in frames}
    for name, frame in pictures.items():
        (data / "images" / name).write_bytes(frame.image.read_bytes())
    read = open_dataset(data)
    label_map = open_dataset(drawn).label_map
    of_tool = [frame for of_split in read.splits.values() for frame in of_split]
    assert len(of_tool) == 5
    for frame in of_tool:
        _, labels = read_labelled(frame, read.label_map, data)
        name = pictures[frame.image.name].name
        mask = np.asarray(Image.open(result.masks / f"{name}.png"))
        theirs = np.array([read.label_map.names.index(n) for n in label_map.names[1:]])
        assert np.array_equal(labels, np.r_[0, theirs][label_map.to_indices(mask)])


def test_a_turned_picture_is_annotated_upright(trained: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    run_on(trained, tmp_path / "a.jpg", tmp_path / "out", format="coco")
    (image,) = json.loads((tmp_path / "out/annotations.json").read_text())["images"]
    assert (image["file_name"], image["height"], image["width"]) == ("a.jpg", 30, 20)


def test_a_clip_has_no_annotations(trained: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", range(2))
    with pytest.raises(UsageError) as caught:
        run_on(trained, clip, tmp_path / "out", format="coco")
    assert caught.value.findings[0].code == "format-of-pictures"
    assert not (tmp_path / "out").exists()


def test_a_classifier_walks_but_has_no_annotations(coloured: Path, tmp_path: Path) -> None:
    from headstart.config.records import make_run_config
    from tests.tiny_runs import CLASSIFIER

    config = make_run_config(schema=1, data=str(coloured), threads=1, **CLASSIFIER)
    (tmp_path / "config.json").write_text(config.model_dump_json(by_alias=True))
    with pytest.raises(UsageError) as caught:
        run_on(tmp_path, coloured, tmp_path / "out", format="yolo")
    assert caught.value.findings[0].code == "format-of-pictures"


def test_a_prediction_of_nothing_leaves_nothing(trained: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError):
        run_on(trained, photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_long_names_and_temporary_files_of_killed_commands(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "p0/0.png").rename(photos / "p0" / f"{'x' * 251}.png")
    out = tmp_path / "out"
    run_on(trained, photos, out, format="yolo")
    assert (out / "masks/p0" / f"{'x' * 251}.png").exists()
    for folder in ("masks/p0", "labels/p0"):
        assert (out / folder).is_dir()
        (out / folder / "a.tmp-999999999").touch()
    run_on(trained, photos, out, format="yolo")
    assert not [path for path in tree(out) if ".tmp-" in path]
