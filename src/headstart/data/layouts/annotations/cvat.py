"""The layout ``cvat``: CVAT for images 1.1, XML files beside their pictures.

::

    annotations.xml                      or train.xml, val.xml, ... as Datumaro writes it
    images/<name>.jpg                    or the pictures in any other folder beside the file
    <task>/annotations.xml  <task>/images/<name>.jpg        several tasks, each a group

Polygons, boxes, ellipses and masks are drawn at the picture's size; areas with a higher ``z_order``
cover those with a lower one, later areas earlier ones. Shapes without area are left out. Subsets
called train, validation and test are the splits, or folders, if each picture lies in one; without
such, the tool splits the pictures. Other folders are groups. With several files in one folder, a
file's name is the subset of its pictures. A picture in the file without shapes shows only
background; a picture that no file mentions is unlabelled. Areas of a label called ``ignore`` are
ignored.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from headstart.data.files import natural_key, open_regular, shown
from headstart.data.label_map import LabelMap, label_map_of
from headstart.data.layouts.annotations.annotated_frames import folder_groups, split_of
from headstart.data.layouts.annotations.annotation_files import PicturesByName, no_pictures
from headstart.data.layouts.annotations.cvat_xml import Annotations, CvatPicture, read_annotations
from headstart.data.layouts.annotations.json_heads import every_file, first_files, subfolders
from headstart.data.layouts.dataset import SPLITS
from headstart.data.layouts.frame_names import frame_names
from headstart.data.layouts.label_files import classes_sentence, with_background
from headstart.data.layouts.name_patterns import usual_split
from headstart.data.layouts.pairing import FrameSearch, export_layout
from headstart.data.layouts.splitting import NO_SPLIT, complete_splits
from headstart.data.pictures.frame import Frame, RunLengths, Shape, Shapes
from headstart.data.pictures.reading import SUFFIXES
from headstart.errors import DataError

_FILE = "annotations.xml"
_HEAD = 1 << 14


def evidence(root: Path) -> Path | None:
    """Return CVAT's ``annotations.xml`` in a folder that has no masks of another layout.

    Other tools write files of this name, too; theirs do not begin with ``<annotations>``.
    """
    return next(_files(root), None)


def _files(root: Path, *, every: bool = False) -> Iterator[Path]:
    """Return ``annotations.xml``, else the XML files that begin as CVAT's, else those of tasks.

    Args:
        root: the dataset's folder.
        every: return all of them; else the first few, which show the format.
    """
    with_masks = any((root / split / "masks").is_dir() for split in (*SPLITS, "."))
    if with_masks or (root / "segmentation").is_dir():
        return
    names = every_file(root, (".xml",)) if every else first_files(root, (".xml",))
    if (root / _FILE).exists():
        names = [_FILE]
    elif not names:
        names = [f"{folder}/{_FILE}" for folder in subfolders(root, every=every)]
    yield from (root / name for name in names if _is_of_cvat(root / name, root))


def _is_of_cvat(path: Path, root: Path) -> bool:
    try:
        with open_regular(path, root) as file:
            return b"<annotations" in file.read(_HEAD)
    except DataError:
        return False


def _read_all(root: Path) -> tuple[Annotations, tuple[Path, ...]]:
    """Return the annotations of all files, and the files."""
    together, paths = Annotations(), tuple(_files(root, every=True))
    for path in paths:
        annotations = read_annotations(path, root)
        for picture in annotations.pictures if path.name != _FILE else ():
            picture.subset = picture.subset or path.stem
        together.labels += annotations.labels
        together.pictures += annotations.pictures
        together.without_area += annotations.without_area
    return together, paths


def _find(search: FrameSearch) -> LabelMap | None:
    root = search.root
    search.add_folders_not_entered()
    annotations, files = _read_all(root)
    source = ", ".join(shown(path, root) for path in files[:4])
    source += f" and {len(files) - 4} more files" if len(files) > 4 else ""
    labels = list(dict.fromkeys(annotations.labels))
    label_map = label_map_of(with_background(labels), source)
    levels: dict[str, int | None] = dict(zip(label_map.names, label_map.greys, strict=True))
    levels |= {"ignore": None} if "ignore" in labels else {}
    tasks = {path.parent: PicturesByName(_picture_folder(path.parent)) for path in files}
    if annotations.pictures and not PicturesByName(root).pictures:
        raise no_pictures(annotations.pictures[0].name, files[0], root)
    paths = _paths(search, annotations, tasks, source)
    _report_shapes(search, annotations, levels, files)
    areas = sum(len(picture.areas) for picture in annotations.pictures)
    search.reading.append(
        f"CVAT for images: {len(annotations.pictures)} pictures, found by the names in {source}; "
        f"{areas} polygons, boxes, ellipses and masks are drawn."
    )
    search.reading.append(classes_sentence(label_map, source))
    folder = _picture_folder(root) if root in tasks else root  # contains all pictures
    _fill_splits(search, annotations, paths, levels, folder)
    every_picture = {path for pictures in tasks.values() for path in pictures.pictures}
    without = sorted(every_picture - set(paths.values()))
    tested = "test" in search.splits
    others = [path for path in without if not (tested and split_of(search, path) == "test")]
    search.say_left_out(len(without) - len(others))
    if others:
        names = frame_names(search, others, folder)
        frames = [Frame(name, path) for path, name in names.items()]
        search.unlabelled["train"] = tuple(sorted(frames, key=lambda f: natural_key(f.name)))
        search.reading.append(
            f"{len(others)} pictures are not in {source}: they are unlabelled, for pre-training."
        )
    complete_splits(search)
    return label_map


LAYOUT = export_layout(
    name="cvat",
    arrangement="CVAT for images 1.1: annotations.xml and images/",
    evidence=evidence,
    find=_find,
)


def _paths(
    search: FrameSearch, annotations: Annotations, tasks: dict[Path, PicturesByName], source: str
) -> dict[int, Path]:
    """Return the file of each picture by its index; report pictures that are missing or twice.

    Args:
        search: gets the faults.
        annotations: of all files.
        tasks: the pictures of each folder that holds an annotation file.
        source: the annotation files, for messages.
    """
    paths: dict[int, Path] = {}
    missing = []
    for k, picture in enumerate(annotations.pictures):
        path = _file(picture, tasks[picture.file.parent])
        if path is None:
            missing.append(picture.file.parent / picture.name)
        else:
            paths[k] = path
    if missing:
        message = f"pictures that {source} annotates are missing, or several files have their names"
        hint = "export the task with its images, or copy them to images/"
        search.add_finding("annotated-picture-missing", "error", message, hint, missing)
    counts = Counter(paths.values())
    if twice := [path for path, count in counts.items() if count > 1]:
        message = f"several <image> elements of {source} mean the same picture"
        hint = "keep one of them; or add the picture that is missing under the same name"
        search.add_finding("picture-twice", "error", message, hint, twice)
    return paths


def _picture_folder(folder: Path) -> Path:
    """Return the folder of the pictures beside an annotation file."""
    return folder / "images" if (folder / "images").is_dir() else folder


def _file(picture: CvatPicture, pictures: PicturesByName) -> Path | None:
    name = f"{picture.subset}/{picture.name}" if picture.subset else picture.name
    # The frames of a video have no ending in the file, but their pictures have one.
    endings = [e for ending in SUFFIXES for e in (ending, ending.upper())]
    endings = ["", *endings] if not name.lower().endswith(SUFFIXES) else [""]
    paths = (pictures.find(name + ending) for ending in endings)
    return next((path for path in paths if path is not None), None)


def _report_shapes(
    search: FrameSearch,
    annotations: Annotations,
    levels: dict[str, int | None],
    files: tuple[Path, ...],
) -> None:
    """Report shapes that cannot be drawn, have no area, lie outside, or have an unknown class."""
    source = "the annotation file" if len(files) == 1 else "the annotation files"
    faults: dict[str, list[Path]] = defaultdict(list)
    counts: Counter[str] = Counter()
    undeclared: dict[str, list[Path]] = defaultdict(list)
    empty: list[Path] = []
    for picture in annotations.pictures:
        path = picture.file.parent / picture.name
        for fault, count in picture.faults.items():
            faults[fault].append(path)
            counts[fault] += count
        for label in {area.label for area in picture.areas if area.label not in levels}:
            undeclared[label].append(path)
        empty += [path for area in picture.areas if not _has_pixels(area.shape, picture.size)]
    for fault, paths in faults.items():
        message = fault + (f" ({counts[fault]} such shapes)" if counts[fault] > 1 else "")
        hint = f"correct or delete the shape in CVAT, and export again; it is in {source}"
        search.add_finding("bad-shape", "error", message, hint, paths)
    for label, paths in undeclared.items():
        message = f"shapes have the label {label[:80]!r}, which {source} does not declare"
        hint = "add the label to the task and export again, or correct the file's <labels>"
        search.add_finding("undeclared-label", "error", message, hint, paths)
    if empty:
        message = f"{len(empty)} shapes have no area, or lie outside their picture"
        hint = "nothing is drawn for them; delete them in CVAT if they are mistakes"
        search.add_finding("empty-shape", "warning", message, hint, list(dict.fromkeys(empty)))
    if annotations.without_area:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(annotations.without_area.items()))
        message = f"shapes that cover no area are left out: {kinds}"
        hint = "draw a polygon or a mask where pixels should have a class"
        search.add_finding("shapes-left-out", "warning", message, hint, files)
    if bare := [p.file.parent / p.name for p in annotations.pictures if not (p.areas or p.faults)]:
        message = f"{len(bare)} of {len(annotations.pictures)} pictures have no areas, so they "
        message += "are read as background everywhere"
        hint = f"take pictures that nobody has annotated yet out of {source}"
        search.add_finding("nothing-annotated", "warning", message, hint, bare)


def _has_pixels(shape: Shape, size: tuple[int, int]) -> bool:
    """Whether a shape has an area and its box meets the picture."""
    height, width = size
    if isinstance(shape, RunLengths):
        inside = shape.top < height and shape.left < width
        inside = inside and shape.top + shape.height > 0 and shape.left + shape.width > 0
        return inside and any(shape.counts[1::2])
    (ring,) = shape.rings
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    x0, y0 = ring[0]
    on_a_line = all(
        (x - x0) * (next_y - y0) == (next_x - x0) * (y - y0)
        for (x, y), (next_x, next_y) in itertools.pairwise(ring)
    )
    return max(xs) > 0 and max(ys) > 0 and min(xs) < width and min(ys) < height and not on_a_line


def _fill_splits(
    search: FrameSearch,
    annotations: Annotations,
    paths: dict[int, Path],
    levels: dict[str, int | None],
    folder: Path,
) -> None:
    """Put the frames into the splits that their subsets, or else all their folders, name."""
    subsets = {p.subset: usual_split(p.subset) for p in annotations.pictures}
    folders = {k: split_of(search, path) for k, path in paths.items()}
    by_subset = any(subsets.values())
    by_folder = not by_subset and all(folders.values()) and "train" in folders.values()
    by_split: dict[str, dict[Path, CvatPicture]] = defaultdict(dict)
    outside = []
    for k, path in paths.items():
        picture = annotations.pictures[k]
        split: str | None = subsets[picture.subset] if by_subset else NO_SPLIT
        split = folders[k] if by_folder else split
        if split is None:
            outside.append(path)
        else:
            by_split[split][path] = picture
    groups = _groups(search, by_split, several=len({p.file for p in annotations.pictures}) > 1)
    if outside:
        message = "annotated pictures of subsets that are no splits are left out"
        hint = "in CVAT, call the subsets Train, Validation and Test"
        search.add_finding("not-a-split", "warning", message, hint, outside)
    for split in (*SPLITS, NO_SPLIT):
        if split in by_split:
            names = frame_names(search, list(by_split[split]), folder)
            frames = [
                Frame(name, path, (_shapes(by_split[split][path], levels),), groups[path])
                for path, name in names.items()
            ]
            search.splits[split] = tuple(sorted(frames, key=lambda f: natural_key(f.name)))
    if by_subset or by_folder:
        counts = ", ".join(f"{len(frames)} {split}" for split, frames in search.splits.items())
        source = "CVAT's subsets" if by_subset else "those of the folders' names"
        search.reading.append(f"The splits are {source}: {counts}.")


def _groups(
    search: FrameSearch, by_split: Mapping[str, Mapping[Path, CvatPicture]], several: bool
) -> dict[Path, str | None]:
    """Return the groups of pictures, from their folders, and name them.

    Args:
        search: gets the sentence.
        by_split: the pictures.
        several: whether several tasks lie side by side. The folders of one task or project are
            groups only if they suffice for the splits that are to be drawn.
    """
    groups = folder_groups([path for part in by_split.values() for path in part], search.root)
    to_divide, needed = (by_split[NO_SPLIT], 3) if NO_SPLIT in by_split else ({}, 0)
    if "train" in by_split and "validation" not in by_split:
        to_divide, needed = by_split["train"], 2
    if not several and len({groups[path] for path in to_divide} - {None}) < needed:
        return dict.fromkeys(groups)
    if known := sorted({group for group in groups.values() if group}):
        search.reading.append(f"Groups: {len(known)}, from folders: {', '.join(known[:5])}.")
    return groups


def _shapes(picture: CvatPicture, levels: dict[str, int | None]) -> Shapes:
    areas = sorted(picture.areas, key=lambda area: area.z_order)
    shapes = tuple(
        replace(area.shape, grey=levels[area.label]) for area in areas if area.label in levels
    )
    return Shapes(picture.file, shapes, picture.size)
