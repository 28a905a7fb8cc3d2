"""Class maps as annotations: whoever reads them gets the class maps, pixel for pixel."""

from __future__ import annotations

import base64
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from headstart.data.layouts.recognise import layout_of, open_dataset
from headstart.data.pictures.frame import Polygon
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.shapes import polygon_mask
from headstart.errors import DataError
from headstart.inference.annotation_formats import (
    FILES_OF,
    AnnotatedPicture,
    compressed_counts,
    run_lengths,
)

NAMES = ("background", 'a "quoted" & <odd>: näme \U0001f600', "no", "vessel")
MAPS = st.lists(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.integers(0, len(NAMES) - 1),
    ),
    min_size=1,
    max_size=3,
)
Files = dict[str, str]


def written(form: str, maps: list[np.ndarray], names: tuple[str, ...] = NAMES) -> Files:
    pictures = (
        AnnotatedPicture(f"p {k}/a.b", f"p {k}/a.b.png", f"../../in/p {k}/a.b.png", indices)
        for k, indices in enumerate(maps)
    )
    return dict(FILES_OF[form](pictures, names))


def of_coco(files: Files, maps: list[np.ndarray]) -> list[np.ndarray]:
    """As pycocotools reads it."""
    from pycocotools import mask as coco_mask

    content = json.loads(files["annotations.json"])
    name_of = {category["id"]: category["name"] for category in content["categories"]}
    assert [image["file_name"] for image in content["images"]] == [
        f"p {k}/a.b.png" for k in range(len(maps))
    ]
    drawn = {i["id"]: np.zeros((i["height"], i["width"]), np.uint8) for i in content["images"]}
    for annotation in content["annotations"]:
        inside = coco_mask.decode(annotation["segmentation"]).astype(bool)
        assert annotation["iscrowd"] == 0 and annotation["area"] == inside.sum()
        assert annotation["bbox"] == coco_mask.toBbox(annotation["segmentation"]).tolist()
        drawn[annotation["image_id"]][inside] = NAMES.index(name_of[annotation["category_id"]])
    return list(drawn.values())


def of_labelme(files: Files, maps: list[np.ndarray]) -> list[np.ndarray]:
    """As labelme's own functions read masks; polygons by pixel centres."""
    drawn = []
    for k in range(len(maps)):
        content = json.loads(files[f"labelme/p {k}/a.b.json"])
        assert content["imagePath"] == f"../../in/p {k}/a.b.png"
        labels = np.zeros((content["imageHeight"], content["imageWidth"]), np.uint8)
        for shape in content["shapes"]:
            value = NAMES.index(shape["label"])
            if shape["shape_type"] == "mask":
                (x0, y0), (x1, y1) = (map(int, point) for point in shape["points"])
                with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as picture:
                    inside = np.asarray(picture).astype(bool)
                labels[y0 : y1 + 1, x0 : x1 + 1][inside] = value
            else:
                assert shape["shape_type"] == "polygon" and shape["mask"] is None
                labels[_polygon(shape["points"], labels.shape)] = value
        drawn.append(labels)
    return drawn


def of_yolo(files: Files, maps: list[np.ndarray]) -> list[np.ndarray]:
    names = yaml.safe_load(files["data.yaml"])["names"]
    assert names == dict(enumerate(NAMES[1:]))
    drawn = []
    for k, indices in enumerate(maps):
        height, width = indices.shape
        labels = np.zeros((height, width), np.uint8)
        for line in files[f"labels/p {k}/a.b.txt"].splitlines():
            number, *shares = line.split()
            numbers = np.array(shares, dtype=float).reshape(-1, 2)
            assert len(numbers) >= 4 and (numbers >= 0).all() and (numbers <= 1).all()
            labels[_polygon(numbers * (width, height), labels.shape)] = int(number) + 1
        drawn.append(labels)
    return drawn


def _polygon(points: object, size: tuple[int, ...]) -> np.ndarray:
    ring = tuple((float(x), float(y)) for x, y in points)  # type: ignore[attr-defined]
    return polygon_mask(Polygon(1, (ring,)), *size)


def of_cvat(files: Files, maps: list[np.ndarray]) -> list[np.ndarray]:
    """As the reader of the layout reads it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in files.items():
            (root / name).write_text(text, encoding="utf-8")
        for k, indices in enumerate(maps):
            (root / f"images/p {k}").mkdir(parents=True)
            Image.new("RGB", indices.shape[::-1]).save(root / f"images/p {k}/a.b.png")
        assert layout_of(root) == "cvat"
        dataset = open_dataset(root)
        assert dataset.label_map.names == NAMES
        frames = {f.image: f for of_split in dataset.splits.values() for f in of_split}
        return [
            read_labelled(frames[root / f"images/p {k}/a.b.png"], dataset.label_map, root)[1]
            for k in range(len(maps))
        ]


READERS: dict[str, Callable[[Files, list[np.ndarray]], list[np.ndarray]]] = {
    "coco": of_coco, "labelme": of_labelme, "yolo": of_yolo, "cvat": of_cvat,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("form", READERS)
@settings(max_examples=40)
@given(MAPS)
def test_what_is_read_is_what_was_written(form: str, maps: list[np.ndarray]) -> None:
    # Three pictures, of which one shows all classes, are a dataset that the reader accepts.
    all_classes = np.array([range(len(NAMES)), range(len(NAMES))], dtype=np.uint8)
    maps = [all_classes, all_classes[::-1].T.copy(), *maps]
    files = written(form, maps)
    for text in files.values():
        text.encode()
    read = READERS[form](files, maps)
    assert len(read) == len(maps)
    for labels, indices in zip(read, maps, strict=True):
        assert np.array_equal(labels, indices)


def test_every_format_is_read_here() -> None:
    assert set(READERS) == set(FILES_OF)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_compressed_counts_are_those_of_pycocotools(inside: np.ndarray) -> None:
    from pycocotools import mask as coco_mask

    packed = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))["counts"].decode()
    assert compressed_counts(run_lengths(inside.ravel(order="F"))) == packed


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_long_runs_are_compressed() -> None:
    from pycocotools import mask as coco_mask

    inside = np.zeros((3000, 2000), np.uint8)
    inside[100:2900, 3] = inside[17, 1500] = inside[5:9, 1600:1900] = 1
    packed = coco_mask.encode(np.asfortranarray(inside))["counts"].decode()
    assert compressed_counts(run_lengths(inside.astype(bool).ravel(order="F"))) == packed


@pytest.mark.parametrize("name", ["a\x01", "b\udcff", "c\ufffe"])
def test_names_that_xml_cannot_hold(name: str) -> None:
    indices = np.ones((2, 2), np.uint8)
    picture = AnnotatedPicture(name, f"{name}.png", f"{name}.png", indices)
    with pytest.raises(DataError) as caught:
        dict(FILES_OF["cvat"]([picture], ("background", f"class {name}")))
    (finding,) = caught.value.findings
    assert finding.code == "not-in-xml" and finding.files == (f"class {name}", f"{name}.png")
    for form in ("coco", "labelme", "yolo"):  # names are escaped there
        files = dict(FILES_OF[form]([picture], ("background", f"class {name}")))
        for text in files.values():
            text.encode()


@pytest.mark.parametrize("form", FILES_OF)
def test_headstart_reads_its_own_annotations_beside_the_pictures(form: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, len(NAMES), (7, 9)).astype(np.uint8) for _ in range(8)]
    pictures = [
        AnnotatedPicture(f"{k}", f"{k}.png", f"../images/{k}.png", indices)
        for k, indices in enumerate(maps)
    ]
    for name, text in dict(FILES_OF[form](iter(pictures), NAMES)).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for k, indices in enumerate(maps):
        (tmp_path / "images").mkdir(exist_ok=True)
        colours = rng.integers(0, 256, (*indices.shape, 3), dtype=np.uint8)
        Image.fromarray(colours).save(tmp_path / f"images/{k}.png")
    assert layout_of(tmp_path) == form
    dataset = open_dataset(tmp_path)
    frames = {frame.image.stem: frame for part in dataset.splits.values() for frame in part}
    assert len(frames) == len(maps)
    for k, indices in enumerate(maps):
        _, labels = read_labelled(frames[f"{k}"], dataset.label_map, tmp_path)
        named = np.array(dataset.label_map.names)[labels]
        assert (named == np.array(NAMES)[indices]).all()
