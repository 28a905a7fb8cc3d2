"""Writes ``tests/fixtures/exports`` with the packages that people export with.

Each package has an environment of its own, because they do not agree on their dependencies::

    uv venv .exports-datumaro && uv pip install --python .exports-datumaro/bin/python datumaro
    .exports-datumaro/bin/python tests/data/layouts/annotations/make_real_exports.py datumaro

and so on for ``supervision``, ``labelme`` and ``label-studio-sdk``. ``truth`` needs none of them.
The README in the folder names the versions that wrote what lies there.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

EXPORTS = Path(__file__).parents[3] / "fixtures" / "exports"
COUNT, HEIGHT, WIDTH = 3, 24, 32
NAMES = ("tool", "vessel")  # levels 1 and 2 of the true masks

Ring = list[tuple[float, float]]


def objects(k: int) -> list[tuple[str, Ring]]:
    """Return the outlines of picture k; no two of them share a pixel."""
    tool = [(2.25, 2.75), (14.5, 1.25 + k), (11.75, 11.5), (5.5, 9.25)]
    vessel = [(17.0, 6.0), (29.75, 8.5 + k / 2), (27.25, 21.0), (19.5, 19.75 - k / 4)]
    return [("tool", tool), ("vessel", vessel)]


def inside(ring: Ring) -> np.ndarray:
    """Return the pixels whose centre lies in a polygon."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    odd = np.zeros((HEIGHT, WIDTH), bool)
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if y0 != y1:
            odd ^= ((y0 <= y) != (y1 <= y)) & (x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x)
    return odd


def picture(k: int) -> Image.Image:
    """Return a small picture that no other is like."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (30 * k, 200 - 25 * k, 90))
    ImageDraw.Draw(image).rectangle((k, k, 3 * k + 3, 2 * k + 5), fill=(250 - 20 * k, 40 * k, 10))
    return image


def pictures(folder: Path) -> list[Path]:
    """Write all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"frame{k}.png" for k in range(COUNT)]
    for k, path in enumerate(paths):
        picture(k).save(path)
    return paths


def truth(out: Path) -> None:
    """Write the masks that the exports were made from."""
    out.mkdir(parents=True, exist_ok=True)
    for k in range(COUNT):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for name, ring in objects(k):
            mask[inside(ring)] = 1 + NAMES.index(name)
        Image.fromarray(mask).save(out / f"frame{k}.png")


def datumaro(out: Path) -> None:
    """Write COCO (polygons, run lengths), CVAT and VOC as Datumaro exports them."""
    import datumaro as dm

    def dataset(masks: bool, subsets: tuple[str, ...]) -> Any:
        items = []
        for k in range(COUNT):
            shapes: list[Any] = []
            for name, ring in objects(k):
                group, label = len(shapes) + 1, NAMES.index(name)
                flat = [value for point in ring for value in point]
                shapes.append(
                    dm.Mask(inside(ring), label=label, group=group, id=group)
                    if masks
                    else dm.Polygon(flat, label=label, group=group, id=group)
                )
            media = dm.Image.from_numpy(np.asarray(picture(k))[..., ::-1], ext=".png")
            items.append(
                dm.DatasetItem(f"frame{k}", subset=subsets[k], media=media, annotations=shapes)
            )
        return dm.Dataset.from_iterable(items, categories=list(NAMES))

    def export(
        name: str, kind: str, masks: bool, subsets: tuple[str, ...] = ("default",) * 3, **more: Any
    ) -> None:
        more["image_ext"] = ".png"
        dataset(masks, subsets).export(str(out / name), kind, save_media=True, **more)

    export("coco-polygons", "coco_instances", masks=False)
    export("coco-runs", "coco_instances", masks=True, crop_covered=False, segmentation_mode="mask")
    export("cvat", "cvat", masks=False)
    export("cvat-splits", "cvat", masks=False, subsets=("train", "val", "test"))
    export("voc", "voc_segmentation", masks=True, label_map="source")


def supervision(out: Path) -> None:
    """Write COCO, YOLO and labelme as supervision saves its datasets of masks."""
    import supervision as sv

    paths = pictures(out / "all")
    detections = {}
    for k, path in enumerate(paths):
        shapes = objects(k)
        masks = np.stack([inside(ring) for _, ring in shapes])
        detections[str(path)] = sv.Detections(
            xyxy=sv.mask_to_xyxy(masks), mask=masks,
            class_id=np.array([NAMES.index(name) for name, _ in shapes]),
        )  # fmt: skip
    saved = sv.DetectionDataset(list(NAMES), [str(path) for path in paths], detections)
    saved.as_coco(str(out / "coco" / "images"), str(out / "coco" / "annotations.json"))
    saved.as_yolo(
        str(out / "yolo" / "images"), str(out / "yolo" / "labels"), str(out / "yolo" / "data.yaml")
    )
    saved.as_labelme(str(out / "labelme"), str(out / "labelme"))
    shutil.rmtree(out / "all")


def labelme(out: Path) -> None:
    """Write polygons and masks as labelme saves them."""
    from labelme._label_file import write_label_file
    from labelme.utils import img_arr_to_b64

    for folder in ("polygons", "masks"):
        for k, path in enumerate(pictures(out / folder)):
            shapes = []
            for name, ring in objects(k):
                shape = {"label": name, "points": [list(point) for point in ring],
                         "group_id": None, "description": "", "shape_type": "polygon",
                         "flags": {}, "mask": None}  # fmt: skip
                if folder == "masks":
                    mask = inside(ring)
                    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                    shape["shape_type"] = "mask"
                    shape["mask"] = img_arr_to_b64(box.astype(np.uint8))
                    corners = ((columns[0], rows[0]), (columns[-1], rows[-1]))
                    shape["points"] = [[float(x), float(y)] for x, y in corners]
                shapes.append(shape)
            write_label_file(
                str(path.with_suffix(".json")), shapes=shapes, image_path=path.name,
                image_height=HEIGHT, image_width=WIDTH, image_data=path.read_bytes(),
            )  # fmt: skip


def label_studio_sdk(out: Path) -> None:
    """Write tasks of polygons and brushes, and what the SDK's converter makes of them."""
    from label_studio_sdk.converter import Converter, brush
    from label_studio_sdk.converter.converter import Format

    def config(control: str) -> str:
        labels = "".join(f'<Label value="{name}"/>' for name in NAMES)
        return (
            f'<View><Image name="image" value="$image"/><{control} name="tag" toName="image">'
            f"{labels}</{control}></View>"
        )

    def tasks(kind: str) -> list[dict[str, Any]]:
        made = []
        for k in range(COUNT):
            results = []
            for number, (name, ring) in enumerate(objects(k)):
                percent = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in ring]
                value: dict[str, Any] = {"points": percent, "closed": True}
                if kind == "brush":
                    mask = inside(ring).astype(np.uint8) * 255
                    value = {"format": "rle", "rle": brush.mask2rle(mask)}
                value[f"{kind}labels"] = [name]
                results.append(
                    {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0,
                     "value": value, "id": f"r{k}{number}", "from_name": "tag",
                     "to_name": "image", "type": f"{kind}labels", "origin": "manual"}
                )  # fmt: skip
            annotation = {"id": 100 + k, "completed_by": 1, "result": results,
                          "was_cancelled": False}  # fmt: skip
            image = f"/data/upload/1/0a1b2c3d-frame{k}.png"
            made.append({"id": k + 1, "annotations": [annotation], "data": {"image": image}})
        return made

    for kind, control in (("polygon", "PolygonLabels"), ("brush", "BrushLabels")):
        folder = out / f"json-{kind}"
        pictures(folder / "images")
        export = folder / "project-1.json"
        export.write_text(json.dumps(tasks(kind)))
        converter = Converter(config(control), None, download_resources=False)
        formats = {"polygon": (Format.COCO, Format.YOLO), "brush": (Format.BRUSH_TO_COCO,)}
        for form in formats[kind]:
            name = form.name.lower().replace("_", "-")
            target = out / name
            target.mkdir(parents=True)
            converter.convert(str(export), str(target), form, is_dir=False)
            for k, path in enumerate(pictures(target / "images")):
                path.rename(path.with_name(f"0a1b2c3d-frame{k}.png"))
        if kind == "brush":
            target = out / "json-and-png"
            pictures(target / "images")
            shutil.copy(export, target)
            converter.convert(str(export), str(target), Format.BRUSH_TO_PNG, is_dir=False)


if __name__ == "__main__":
    writers = {"truth": truth, "datumaro": datumaro, "supervision": supervision,
               "labelme": labelme, "label-studio-sdk": label_studio_sdk}  # fmt: skip
    for tool in sys.argv[1:]:
        shutil.rmtree(EXPORTS / tool, ignore_errors=True)
        writers[tool](EXPORTS / tool)
