"""Class maps in the formats of annotation tools, to be corrected there.

Every function takes pictures one by one and yields the files to write: their paths, with ``/``
between folders, and their content. All formats are exact: whoever reads the file by the rules of
[`headstart.data.pictures.shapes`][] gets the class map, pixel for pixel. Background is what no
shape covers. Shapes are the components of a class map (see [`headstart.inference.outlines`][]).
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from headstart.errors import DataError, Finding
from headstart.inference.format_names import LABELME_FOLDER, YOLO_FOLDER, AnnotationFormat
from headstart.inference.outlines import Component, components, one_ring
from headstart.plots.overlay import colour

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture and its class map.

    Attributes:
        name: path of the picture below the input, without ending, with ``/`` between folders.
        file_name: the same with ending.
        beside: path from the folder of ``labelme/<name>.json`` to the picture.
        indices: class indices, at the size of the upright picture.
    """

    name: str
    file_name: str
    beside: str
    indices: UInt8[np.ndarray, "h w"]


Files = Iterator[tuple[str, str]]


def coco_files(pictures: Iterable[AnnotatedPicture], names: Sequence[str]) -> Files:
    """Yield ``annotations.json`` of COCO: one annotation a component, as compressed run lengths.

    Args:
        pictures: the pictures and their class maps.
        names: the classes, background first. The category of a class has its index as id.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for picture in pictures:
        height, width = picture.indices.shape
        image_id = len(images) + 1
        image = {"id": image_id, "file_name": picture.file_name, "height": height, "width": width}
        images.append(image)
        for component in components(picture.indices):
            rows, columns = component.inside.shape
            counts = compressed_counts(counts_in_picture(component, height, width))
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": component.class_index,
                "segmentation": {"size": [height, width], "counts": counts},
                "bbox": [component.left, component.top, columns, rows],
                "area": component.area,
                "iscrowd": 0,
            }
            annotations.append(annotation)
    categories = [{"id": k, "name": name, "supercategory": ""} for k, name in enumerate(names)][1:]
    content = {"images": images, "annotations": annotations, "categories": categories}
    yield "annotations.json", json.dumps(content) + "\n"


def labelme_files(pictures: Iterable[AnnotatedPicture], names: Sequence[str]) -> Files:
    """Yield a JSON file of labelme for each picture.

    A component is a polygon or, because labelme knows no holes, a mask if it has one.

    Args:
        pictures: the pictures and their class maps.
        names: the classes, background first.
    """
    for picture in pictures:
        height, width = picture.indices.shape
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [_labelme_shape(c, names) for c in components(picture.indices)],
            "imagePath": picture.beside,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        yield f"{LABELME_FOLDER}/{picture.name}.json", json.dumps(content, indent=2) + "\n"


def _labelme_shape(component: Component, names: Sequence[str]) -> dict[str, Any]:
    outline, *holes = component.rings
    rows, columns = component.inside.shape
    top, left = component.top, component.left
    corners = [(left, top), (left + columns - 1, top + rows - 1)]  # the last pixel's, not its edge
    return {
        "label": names[component.class_index],
        "points": [[float(x), float(y)] for x, y in (corners if holes else outline)],
        "group_id": None,
        "description": "",
        "shape_type": "mask" if holes else "polygon",
        "flags": {},
        "mask": _base64_png(component.inside) if holes else None,
    }


def _base64_png(inside: Bool[np.ndarray, "h w"]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(inside.astype(np.uint8) * 255).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def yolo_files(pictures: Iterable[AnnotatedPicture], names: Sequence[str]) -> Files:
    """Yield a text file of YOLO segmentation for each picture, and ``data.yaml``.

    A component is one outline. A straight line leads to each of its holes and back on the same way.

    Args:
        pictures: the pictures and their class maps.
        names: the classes, background first, which has no number in YOLO.
    """
    for picture in pictures:
        height, width = picture.indices.shape
        lines = []
        for component in components(picture.indices):
            ring = one_ring(component.rings)
            points = (f"{_share(x, width)} {_share(y, height)}" for x, y in ring)
            lines.append(f"{component.class_index - 1} {' '.join(points)}\n")
        yield f"{YOLO_FOLDER}/{picture.name}.txt", "".join(lines)
    classes = "".join(f"  {k}: {_yaml(name)}\n" for k, name in enumerate(names[1:]))
    yield "data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{classes}"


def _yaml(text: str) -> str:
    """Return a quoted string of ASCII; JSON's escapes of rare characters are not YAML's."""
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub("[^ -~]", lambda character: f"\\U{ord(character[0]):08x}", quoted)


def _share(value: int, side: int) -> str:
    """Return a coordinate as a share of the picture's side; off by less than 0.001 pixels."""
    return f"{value / side:.8f}".rstrip("0").rstrip(".")


def cvat_files(pictures: Iterable[AnnotatedPicture], names: Sequence[str]) -> Files:
    """Yield ``annotations.xml`` of CVAT for images 1.1: one mask a component.

    Args:
        pictures: the pictures and their class maps.
        names: the classes, background first.

    Raises:
        DataError: names hold characters that XML cannot; all are named.
    """
    labels = [
        f"<label><name>{_xml(name)}</name><color>#{bytes(colour(k)).hex()}</color>"
        "<attributes></attributes></label>\n"
        for k, name in enumerate(names)
        if k > 0
    ]
    lines, faulty = [], [name for name in names if _NOT_IN_XML.search(name)]
    for number, picture in enumerate(pictures):
        if _NOT_IN_XML.search(picture.file_name):
            faulty.append(picture.file_name)
            continue
        height, width = picture.indices.shape
        name = quoteattr(picture.file_name)
        lines.append(f'<image id="{number}" name={name} width="{width}" height="{height}">\n')
        lines += [_cvat_mask(c, names) for c in components(picture.indices)]
        lines.append("</image>\n")
    if faulty:
        message = "names hold control characters, or bytes that are no text, which XML cannot hold"
        hint = "rename them, or choose another --format"
        raise DataError(Finding("not-in-xml", "error", message, hint, tuple(faulty)))
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    meta = f"<meta><task><labels>\n{''.join(labels)}</labels></task></meta>\n"
    yield "annotations.xml", f"{head}{meta}{''.join(lines)}</annotations>\n"


def _cvat_mask(component: Component, names: Sequence[str]) -> str:
    rows, columns = component.inside.shape
    counts = ", ".join(map(str, run_lengths(component.inside.ravel())))
    return (
        f'<mask label={quoteattr(names[component.class_index])} source="auto" occluded="0" '
        f'rle="{counts}" left="{component.left}" top="{component.top}" width="{columns}" '
        f'height="{rows}" z_order="0"></mask>\n'
    )


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FILES_OF: dict[AnnotationFormat, Callable[[Iterable[AnnotatedPicture], Sequence[str]], Files]] = {
    "coco": coco_files,
    "labelme": labelme_files,
    "yolo": yolo_files,
    "cvat": cvat_files,
}
"""The function of each format."""


def run_lengths(values: Bool[np.ndarray, " n"]) -> list[int]:
    """Return the lengths of runs of equal values, first of ``False``, which may be 0.

    >>> run_lengths(np.array([True, True, False]))
    [0, 2, 1]
    """
    edges = np.flatnonzero(np.diff(values, prepend=False))
    return [int(count) for count in np.diff(edges, prepend=0, append=len(values))]


def counts_in_picture(component: Component, height: int, width: int) -> list[int]:
    """Return the run lengths of a component down the columns of its picture, as in COCO."""
    columns, rows = np.nonzero(component.inside.T)
    at = (columns + component.left) * height + rows + component.top
    breaks = np.flatnonzero(np.diff(at) != 1)
    firsts, ends = at[np.r_[0, breaks + 1]], at[np.r_[breaks, len(at) - 1]] + 1
    edges = np.stack([firsts, ends], axis=1).ravel()
    counts = [int(count) for count in np.diff(edges, prepend=0, append=height * width)]
    return counts[:-1] if counts[-1] == 0 else counts


def compressed_counts(counts: Sequence[int]) -> str:
    """Return run lengths as the string that pycocotools packs.

    From the fourth on, a run is written as its difference to the run two before it: in groups of
    five bits, lowest first; a sixth bit says that more follow, and 48 is added to each group.

    >>> compressed_counts([5, 2, 2, 2, 5])
    '52203'
    """
    characters = []
    for k, count in enumerate(counts):
        rest = count - counts[k - 2] if k > 2 else count
        more = True
        while more:
            group = rest & 31
            rest >>= 5
            more = rest != (-1 if group & 16 else 0)
            characters.append(chr(48 + (group | 32 if more else group)))
    return "".join(characters)
