"""The layout ``coco``: pictures, and their annotations in COCO's JSON.

::

    annotations/instances_train2017.json  annotations/instances_val2017.json  train2017/  val2017/
    train/_annotations.coco.json  valid/_annotations.coco.json      as Roboflow exports
    train/annotations.json  train/images/                     or    annotations.json  images/
    task_1/annotations/instances_default.json  task_1/images/  task_2/...    as CVAT exports tasks

A file's split is the one that its folder or its name means, else the one that the pictures' folders
name. Polygons, run lengths and compressed run lengths are read; a polygon may be one flat list.
Later annotations cover earlier ones. The classes are the categories in the order of their ids;
where these differ between files, in that of their lowest ids, then of their names. A picture that a
file lists without annotations shows only background.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.files import natural_key, shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.annotations.annotated_frames import (
    Annotated,
    background_only,
    classes_of,
    count_of,
    report_two_splits,
    report_unfound,
    say_classes,
    set_frames,
    split_of,
)
from headstart.data.layouts.annotations.annotation_files import (
    PicturesByName,
    bad_annotations,
    no_pictures,
    read_json,
)
from headstart.data.layouts.annotations.annotation_shapes import (
    MAX_POINTS,
    ShapePlace,
    ShapeReader,
    picture_size,
)
from headstart.data.layouts.annotations.coco_runs import decode_counts
from headstart.data.layouts.annotations.json_heads import head, json_files, looks_like_coco
from headstart.data.layouts.name_patterns import usual_split
from headstart.data.layouts.pairing import FrameSearch, export_layout
from headstart.data.layouts.splitting import NO_SPLIT
from headstart.data.pictures.frame import RunLengths, Shape, Shapes

_OTHER_TASKS = ("captions", "image_info", "panoptic")
_EXPORT = "export again from the annotation tool, as COCO with segmentation"


def evidence(root: Path) -> Path | None:
    """Return the first JSON file of COCO among the first ones of a folder."""
    return next((p for p in json_files(root) if looks_like_coco(head(p, root))), None)


@dataclass(frozen=True)
class _File:
    """One annotation file.

    Attributes:
        path: the file.
        split: the split that its name or folder means, or ``NO_SPLIT``.
        images: the entries of its pictures by id.
        annotations: its annotations by the id of their picture, in order.
        categories: names of its categories by id.
        groups: name and supercategory of its categories.
    """

    path: Path
    split: str
    images: dict[int | str, dict[str, Any]]
    annotations: dict[int | str, list[dict[str, Any]]]
    categories: dict[int, str]
    groups: set[tuple[str, str]]


def _find(search: FrameSearch) -> LabelMap:
    root = search.root
    search.add_folders_not_entered()
    reader = ShapeReader(search)
    files = [_read_file(path, reader) for path in _chosen(search)]
    unused = _supercategories(files)
    for name in sorted(unused):
        search.reading.append(f"the category {name} is left out: it only groups the others")
    category_ids = sorted({(number, name) for f in files for number, name in f.categories.items()})
    names = dict.fromkeys(name for _, name in category_ids if name not in unused)
    label_map = classes_of(tuple(names), files[0].path, root)
    greys = dict(zip(label_map.names, label_map.greys, strict=True))
    annotated: Annotated = defaultdict(dict)
    unfound: dict[Path, list[str]] = defaultdict(list)
    find_pictures = _PictureFinder(root)
    named = ((str(image["file_name"]), f.path) for f in files for image in f.images.values())
    if not find_pictures.all.pictures and (first := next(named, None)):
        raise no_pictures(*first, root)
    for file in files:
        grey_of = {
            number: greys[name] for number, name in file.categories.items() if name not in unused
        }
        for key, image in file.images.items():
            name = str(image["file_name"])
            path = find_pictures.find(file, name)
            if path is None:
                unfound[file.path].append(name)
                continue
            split = file.split or split_of(search, path)
            if path in annotated[split]:
                (before,) = annotated[split][path]
                message = f"{name[:200]} is listed twice"
                hint = "keep one entry for each picture, and of several exports only the last"
                both = dict.fromkeys((before.path, file.path))
                reader.add_finding("bad-annotations", "error", message, hint, both)
                continue
            if other := next((of for of, known in annotated.items() if path in known), None):
                report_two_splits(reader, path, (other, split))
                continue
            size = picture_size(_whole(image.get("height")), _whole(image.get("width")))
            shapes = _shapes(reader, file, file.annotations.get(key, ()), grey_of, size, name)
            sizes = {(s.height, s.width) for s in shapes if isinstance(s, RunLengths)}
            if len(sizes) > 1:
                place = ShapePlace(file.path, f"image {name[:200]}", None)
                reader.refuse(place, "its run lengths are for several sizes of the picture")
            size = size or next(iter(sizes), None)
            annotated[split][path] = (Shapes(file.path, tuple(shapes), size),)
    report_unfound(reader, find_pictures.all, unfound)
    background_only(reader, annotated, "COCO")
    reader.report()
    listed = ", ".join(shown(file.path, root) for file in files[:4])
    listed += f" and {len(files) - 4} more" if len(files) > 4 else ""
    search.reading.append(f"COCO annotations: {count_of(annotated)}, from {listed}")
    search.reading.append("each picture is the file that file_name names")
    ids = {number for number, name in category_ids if name not in unused}
    one_each = len(ids) == len(names) == sum(name not in unused for _, name in category_ids)
    differ = "by lowest id, then by name, because the files' ids differ"
    order = "by id" if one_each or len(files) == 1 else differ
    say_classes(search, label_map, f"the categories, {order}")
    unlabelled = _unlisted(search, annotated, find_pictures)
    set_frames(search, annotated, "the names of files and folders", unlabelled)
    return label_map


LAYOUT = export_layout(
    name="coco",
    arrangement="annotations/instances_train.json in COCO's format beside the pictures",
    evidence=evidence,
    find=_find,
)


def _chosen(search: FrameSearch) -> list[Path]:
    """Return the annotation files to read; of several for one purpose those of instances."""
    root = search.root
    paths = [p for p in json_files(root, every=True) if looks_like_coco(head(p, root))]
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        by_folder[path.parent].append(path)
    chosen = []
    for in_folder in by_folder.values():
        instances = [path for path in in_folder if path.name.startswith("instances")]
        others = [path for path in in_folder if not path.name.startswith(_OTHER_TASKS)]
        chosen += instances or others
    if unused := [shown(path, search.root) for path in paths if path not in chosen]:
        search.reading.append(f"annotations of other tasks are not read: {', '.join(unused)}")
    if not chosen:
        message = "the file holds captions or panoptic annotations, not outlines of objects"
        raise bad_annotations(message, "add the file instances_*.json", paths[0], search.root)
    return sorted(chosen, key=lambda path: natural_key(str(path)))


def _read_file(path: Path, reader: ShapeReader) -> _File:
    root = reader.search.root
    content = read_json(path, root)

    def entries(key: str) -> list[dict[str, Any]]:
        values = content.get(key) if isinstance(content, dict) else None
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise bad_annotations(f"{key} is not a list of objects", _EXPORT, path, root)
        return values

    def refuse(what: str, problem: str) -> None:
        reader.refuse(ShapePlace(path, what, None), problem)

    categories: dict[int, str] = {}
    groups = set()
    for entry in entries("categories"):
        number, name = entry.get("id"), entry.get("name")
        if type(number) is not int or not isinstance(name, str) or number in categories:
            refuse(f"category {str(name)[:60]}", "its id is not a whole number of its own")
        else:
            categories[number] = name
            groups.add((name, str(entry.get("supercategory") or "none")))
    images: dict[int | str, dict[str, Any]] = {}
    for entry in entries("images"):
        key, name = entry.get("id"), entry.get("file_name")
        if not isinstance(key, (int, str)) or not isinstance(name, str) or key in images:
            refuse(
                f"image {str(name)[:200]}", "its id is missing or not its own, or it has no name"
            )
        else:
            images[key] = entry
    annotations: dict[int | str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries("annotations"):
        key, number = _image_key(entry.get("image_id"), images), entry.get("category_id")
        what = f"annotation {str(entry.get('id'))[:40]}"
        if not isinstance(key, (int, str)) or key not in images:
            refuse(what, f"it belongs to image {str(key)[:40]}, which the file does not list")
        elif type(number) is not int or number not in categories:
            message = f"{what} has the category {str(number)[:40]}, which is not declared"
            hint = "add it to categories, or correct the annotation"
            reader.add_finding("undeclared-class", "error", message, hint, [path])
        else:
            annotations[key].append(entry)
    return _File(path, _split(path, root), images, annotations, categories, groups)


def _image_key(key: Any, images: dict[int | str, dict[str, Any]]) -> Any:
    """Return the id of an image as its own entry writes it: VIA writes 1 there, and "1" here."""
    if isinstance(key, str) and key not in images and key.isdecimal() and len(key) < 19:
        return int(key)
    return key


def _whole(value: object) -> object:
    """Return a number of pixels as some tools write it: 640.0, or "640".

    >>> _whole("640"), _whole(640.0), _whole(None)
    (640, 640, None)
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isdecimal() and len(value) < 9:
        return int(value)
    return value


def _supercategories(files: list[_File]) -> set[str]:
    """Return the unused categories that only name the group of others, as Roboflow adds them."""
    used = {
        file.categories[annotation["category_id"]]
        for file in files
        for annotations in file.annotations.values()
        for annotation in annotations
    }
    groups = {group for file in files for _, group in file.groups}
    return {
        name
        for file in files
        for name, group in file.groups
        if name not in used and name in groups and group == "none"
    }


def _split(path: Path, root: Path) -> str:
    """Return the split that the folders or the words of a file's name mean."""
    folders = path.relative_to(root).parts[:-1]
    words = re.split(r"[-_. ]", path.stem)
    for names in (folders, words):
        meant = {split for name in names if (split := usual_split(name))}
        if len(meant) == 1:
            return meant.pop()
    return NO_SPLIT


class _PictureFinder:
    """Finds the pictures that annotation files name, first in the folders of a file's split."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.all = PicturesByName(root)
        self._pictures = set(self.all.pictures)
        self._folders: dict[Path, PicturesByName] = {root: self.all}
        parents = {parent for p in self.all.pictures for parent in p.parents if parent != root}
        self._parents = sorted(parent for parent in parents if parent.is_relative_to(root))

    def find(self, file: _File, name: str) -> Path | None:
        """Return the picture; None if there is none, or several fit."""
        for folder in self._candidates(file):
            if (exact := folder / name) in self._pictures:
                return exact
            if folder not in self._folders:
                self._folders[folder] = PicturesByName(folder)
            path = self._folders[folder].find(name)
            if path is not None:
                return path
        exact = self.root / name
        path = exact if exact in self._pictures else self.all.find(name)
        if path is None or not file.split:
            return path
        named = {usual_split(part) for part in path.relative_to(self.root).parts[:-1]} - {None}
        return path if named <= {file.split} else None

    def _candidates(self, file: _File) -> Iterable[Path]:
        if file.path.parent != self.root:
            yield file.path.parent
            if file.path.parent.parent != self.root:
                yield file.path.parent.parent
        stem = file.path.stem.removeprefix("instances_")
        yield from (folder for folder in self._parents if folder.name == stem)
        if file.split:
            yield from (f for f in self._parents if usual_split(f.name) == file.split)


def _shapes(
    reader: ShapeReader,
    file: _File,
    annotations: Iterable[dict[str, Any]],
    grey_of: dict[int, int],
    size: tuple[int, int] | None,
    name: str,
) -> list[Shape]:
    """Return the shapes of a picture."""
    shapes: list[Shape] = []
    for annotation in annotations:
        grey = grey_of[annotation["category_id"]]
        place = ShapePlace(file.path, f"annotation {annotation.get('id')} of {name[:200]}", size)
        outline = annotation.get("segmentation")
        if not outline:
            message = f"{place.what} is a box without an outline; a box is not a mask"
            hint = "label outlines, or export as COCO with segmentation"
            reader.add_finding("boxes-not-masks", "error", message, hint, [file.path])
        elif isinstance(outline, list):
            # the VGG Image Annotator writes a polygon without the list around it
            flat = not any(isinstance(part, list) for part in outline)
            for numbers in [outline] if flat else outline:
                if not isinstance(numbers, list) or len(numbers) % 2:
                    reader.refuse(place, "a polygon is not a list of x and y in turns")
                    continue
                points = list(zip(numbers[::2], numbers[1::2], strict=True))
                polygon = reader.polygon(points, grey, place)
                shapes += [polygon] if polygon else []
        else:
            shapes += _runs(reader, outline, grey, place)
    return shapes


def _runs(reader: ShapeReader, outline: Any, grey: int, place: ShapePlace) -> list[Shape]:
    """Return the mask of run lengths, as a list, or compressed as text."""
    size, counts = None, None
    if isinstance(outline, dict):
        size, counts = outline.get("size"), outline.get("counts")
    known = picture_size(*size) if isinstance(size, list) and len(size) == 2 else None
    if known is None or not isinstance(counts, (list, str)):
        reader.refuse(place, "its segmentation is neither polygons nor run lengths with a size")
        return []
    if isinstance(counts, str):
        try:
            counts = decode_counts(counts, MAX_POINTS)
        except ValueError as error:
            reader.refuse(place, str(error))
            return []
    shape = reader.run_lengths(counts, known, grey, place)
    return [shape] if shape else []


def _unlisted(
    search: FrameSearch, annotated: Annotated, finder: _PictureFinder
) -> list[tuple[str, Path]]:
    """Return the pictures in a folder ``unlabelled``; report others that no file lists."""
    listed = {path for pictures in annotated.values() for path in pictures}
    unlisted = [path for path in finder.all.pictures if path not in listed]
    first_folders = {path: path.relative_to(search.root).parts[0].lower() for path in unlisted}
    unlabelled = [path for path in unlisted if first_folders[path].startswith("unlabel")]
    if others := [path for path in unlisted if not first_folders[path].startswith("unlabel")]:
        message = f"{len(others)} pictures are listed in no annotation file and are not used"
        hint = "add them to an annotation file, or move them to the folder unlabelled"
        search.add_finding("passed-over", "warning", message, hint, others)
    return [("train", path) for path in unlabelled]
