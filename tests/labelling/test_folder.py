"""A folder to label from: a dataset to be corrected, which nothing overwrites."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from headstart.data.checks.segmentation import check_dataset
from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, UsageError
from headstart.inference.opening import open_segmenter
from headstart.labelling.folder import contact_sheet, write_suggestions
from headstart.labelling.suggestion import Suggestion, suggest

CPU = torch.device("cpu")


@pytest.fixture
def picked(trained: Path, drawn: Path) -> tuple[Suggestion, ...]:
    return suggest(trained, open_dataset(drawn).unlabelled["train"], drawn, 3, CPU).picked


def test_what_is_written_is_a_dataset(
    trained: Path, drawn: Path, picked: tuple[Suggestion, ...], tmp_path: Path
) -> None:
    out, segmenter = tmp_path / "out", open_segmenter(trained, "cpu")
    write_suggestions(segmenter, picked, drawn, out)
    rows = list(csv.DictReader((out / "suggestions.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [s.frame.name for s in picked]
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert json.loads((out / "mapping.json").read_text())["Drawn_Tissue"] == 0
    for s in picked:
        image = next((out / "images").glob(f"{s.frame.name}.*"))
        assert image.read_bytes() == s.frame.image.read_bytes()
        with Image.open(out / "masks" / f"{s.frame.name}.png") as mask:
            assert mask.size == (40, 32)
            levels = set(np.unique(np.asarray(mask)).tolist())
        assert levels <= set(segmenter.label_map.greys)
    assert not [f for f in check_dataset(out).findings if f.code == "unknown-grey"]


def test_corrected_masks_are_not_written_again(
    trained: Path, drawn: Path, picked: tuple[Suggestion, ...], tmp_path: Path
) -> None:
    out, segmenter = tmp_path / "out", open_segmenter(trained, "cpu")
    write_suggestions(segmenter, picked, drawn, out)
    mask = out / "masks" / f"{picked[0].frame.name}.png"
    mask.write_bytes(b"corrected by hand")
    write_suggestions(segmenter, picked, drawn, out)
    assert mask.read_bytes() == b"corrected by hand"
    with pytest.raises(UsageError, match=re.escape(str(out))) as caught:
        write_suggestions(segmenter, picked[:1], drawn, out)
    assert caught.value.findings[0].code == "not-empty"


def test_a_kill_on_the_way_is_gone_on_with(
    trained: Path, drawn: Path, picked: tuple[Suggestion, ...], tmp_path: Path
) -> None:
    out, segmenter = tmp_path / "out", open_segmenter(trained, "cpu")
    write_suggestions(segmenter, picked, drawn, out)
    (out / "suggestions.csv").unlink()  # written last
    (out / "masks" / f"{picked[1].frame.name}.png").unlink()
    write_suggestions(segmenter, picked, drawn, out)
    assert (out / "masks" / f"{picked[1].frame.name}.png").exists()
    assert (out / "suggestions.csv").exists()


def test_a_turned_picture_is_written_as_it_is_seen(trained: Path, tmp_path: Path) -> None:
    """Its mask is drawn on the upright picture; so it must be upright in every labelling tool."""
    source = tmp_path / "in"
    source.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(pixels).save(source / "a.jpg", exif=exif)
    turned = Suggestion(find_pictures(source).frames[0], 0.1, 0.1, (1.0,))
    out = tmp_path / "out"
    write_suggestions(open_segmenter(trained, "cpu"), [turned], source, out)
    with Image.open(out / "images/a.png") as image, Image.open(out / "masks/a.png") as mask:
        assert image.size == mask.size == (20, 30)


def test_annotations_are_of_the_masks_as_they_are(
    trained: Path, drawn: Path, picked: tuple[Suggestion, ...], tmp_path: Path
) -> None:
    out, segmenter = tmp_path / "out", open_segmenter(trained, "cpu")
    assert write_suggestions(segmenter, picked, drawn, out) == ()
    corrected = np.full((32, 40), segmenter.label_map.greys[0], np.uint8)
    corrected[3:9, 4:8] = segmenter.label_map.greys[2]
    name = picked[1].frame.name
    Image.fromarray(corrected).save(out / "masks" / f"{name}.png")
    assert write_suggestions(segmenter, picked, drawn, out, "cvat") == (out / "annotations.xml",)
    root = ElementTree.parse(out / "annotations.xml").getroot()
    pictures = {image.get("name"): image for image in root.iter("image")}
    assert set(pictures) == {path.name for path in (out / "images").iterdir()}
    (image,) = (image for file, image in pictures.items() if Path(file or "").stem == name)
    (mask,) = image
    box = [mask.get(side) for side in ("label", "left", "top", "width", "height", "rle")]
    assert box == [segmenter.label_map.names[2], "4", "3", "4", "6", "0, 24"]
    assert write_suggestions(segmenter, picked, drawn, out, "cvat") == (out / "annotations.xml",)

    corrected[0, 0] = 1  # the level of no class
    assert 1 not in segmenter.label_map.greys
    Image.fromarray(corrected).save(out / "masks" / f"{name}.png")
    with pytest.raises(DataError) as caught:
        write_suggestions(segmenter, picked, drawn, out, "coco")
    (finding,) = caught.value.findings
    assert finding.code == "unknown-grey" and finding.files == (f"masks/{name}.png",)

    Image.fromarray(corrected[1:]).save(out / "masks" / f"{name}.png")
    with pytest.raises(DataError) as caught:
        write_suggestions(segmenter, picked, drawn, out, "coco")
    (finding,) = caught.value.findings
    assert finding.code == "size-differs" and finding.files == (f"masks/{name}.png",)
    assert not (out / "annotations.json").exists()


def test_labelme_finds_the_written_pictures(
    trained: Path, drawn: Path, picked: tuple[Suggestion, ...], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_suggestions(open_segmenter(trained, "cpu"), picked, drawn, out, "labelme")
    files = list((out / "labelme").iterdir())
    assert {path.stem for path in files} == {s.frame.name for s in picked}
    for path in files:
        picture = (path.parent / json.loads(path.read_text())["imagePath"]).resolve()
        assert picture.parent == (out / "images").resolve() and picture.is_file()


@pytest.mark.parametrize("count", [1, 5, 7])
def test_the_sheet_holds_all(picked: tuple[Suggestion, ...], count: int) -> None:
    frame = replace(picked[0].frame, name="a\x1b[31m-very-long-name-" + 60 * "x")
    suggestions = [replace(picked[0], frame=frame)] * count
    thumbnails = [np.full((180, 240, 3), 7, np.uint8)] * count
    names = ("ground", *(f"a_rather_long_instrument_name_{k}" for k in range(1, 15)))
    sheet = contact_sheet(suggestions, thumbnails, names)
    assert ((sheet == 7).all(-1)).sum() == count * 180 * 240
    assert (sheet[:, -1] == 255).all() and (sheet[-1] == 255).all()
