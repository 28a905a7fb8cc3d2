"""The contact sheet of ``headstart check``: shifted or inverted masks are seen at once."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image, PngImagePlugin

from headstart.data.checks.frame_facts import FrameFacts
from headstart.data.label_map import IGNORE
from headstart.data.layouts.class_dataset import ClassDataset, LabelledSplit
from headstart.data.layouts.dataset import Dataset
from headstart.data.pictures.frame import read_frame
from headstart.data.pictures.masks import read_labelled
from headstart.errors import Finding, UsageError
from headstart.plots.contact_sheet import (
    Row,
    Tile,
    contact_sheet,
    in_rows,
    overlay_thumbnail,
    thumbnail,
)
from headstart.system.disk import disk_errors, write_atomic

SHEET = "contact-sheet.png"

_FRAMES, _COLUMNS, _SIDE = 24, 6, 240
_CLASSES, _OF_A_CLASS, _SMALL = 60, 8, 120
_MADE_BY = "headstart check"  # stands in the file, which is then overwritten


def refuse_other_files(out: Path, root: Path) -> None:
    """Make sure that a folder may be written to: new, or empty but for an earlier sheet.

    Args:
        out: the folder.
        root: the dataset, in which a sheet would be taken for one of its pictures.

    Raises:
        UsageError: the folder holds something else, is a file, or lies in the dataset.
        DiskError: it cannot be listed.
    """
    with disk_errors(out):
        if out.resolve().is_relative_to(root.resolve()):
            message = (
                f"{out} lies in the dataset, where the contact sheet would be one more picture"
            )
            hint = "choose a folder outside the dataset"
            raise UsageError(Finding("bad-setting", "error", message, hint))
        if not out.exists():
            return
        names = (
            [path.name for path in out.iterdir() if f"{SHEET}.tmp-" not in path.name]
            if out.is_dir()
            else None
        )
        if names == [] or (names == [SHEET] and _is_sheet(out / SHEET)):
            return
    what = "is not a folder" if names is None else "holds other files"
    message = f"{out} {what}; check overwrites only its own contact sheet"
    raise UsageError(Finding("not-empty", "error", message, "choose a new folder for --out"))


def _is_sheet(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _MADE_BY.encode() in file.read(200)


def write_sheet(out: Path, pixels: UInt8[np.ndarray, "h w 3"]) -> Path:
    """Write the sheet into a folder, which is made if needed; return the file.

    Raises:
        DiskError: it cannot be written.
    """
    about = PngImagePlugin.PngInfo()
    about.add_text("Software", _MADE_BY)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", pnginfo=about)
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / SHEET, content.getvalue())
    return out / SHEET


def frames_sheet(
    dataset: Dataset, splits: Mapping[str, FrameFacts]
) -> UInt8[np.ndarray, "h w 3"] | None:
    """Return up to 24 frames with their masks over them, or None if no frame can be read.

    For each class, from the rarest to the most frequent, the frame is chosen that shows most of it,
    unless a chosen frame shows the class. The other places go evenly to the splits and, in a split,
    to its groups, far apart in their order. Only the chosen frames are decoded again.
    """
    readable = [(split, frame) for split, seen in splits.items() for frame in seen.frames]
    if not readable:
        return None
    parts = [(split, frame.group) for split, frame in readable]
    pixels = np.concatenate([seen.pixels for seen in splits.values()])
    chosen = chosen_frames(pixels, parts)
    cells = []
    ignores = False
    for split, frame in (readable[k] for k in chosen):
        image, classes = read_labelled(frame, dataset.label_map, dataset.root)
        ignores |= bool((classes == IGNORE).any())
        where = split if frame.group is None else f"{split}, {frame.group}"
        cells.append(Tile(overlay_thumbnail(image, classes, _SIDE), (frame.name, where)))
    names = dataset.label_map.names
    legend = [*range(1, len(names)), *([IGNORE] if ignores else [])]
    heading = f"{len(cells)} of {len(readable)} frames, first those that show rare classes"
    shown = (pixels > 0).any(0) & ~(pixels[chosen] > 0).any(0)
    if shown.any():
        left_out = ", ".join(names[k] for k in np.flatnonzero(shown))
        heading += f"; too many classes for one sheet, without {left_out}"
    return contact_sheet(in_rows(cells, _COLUMNS, heading), legend, names, _SIDE)


def chosen_frames(
    pixels: Int64[np.ndarray, "n k"], parts: list[tuple[str, str | None]], count: int = _FRAMES
) -> list[int]:
    """Choose frames for a sheet, as [`frames_sheet`][] says; the same for the same frames.

    Args:
        pixels: number of pixels by class.
        parts: split and group of each frame.
        count: number of frames to choose.

    Returns:
        Indices: first the frames chosen for a class, the rarest class first; then the others in
        order.
    """
    shares = pixels / np.maximum(pixels.sum(1, keepdims=True), 1)
    frames_with = (pixels > 0).sum(0)
    chosen: list[int] = []
    for k in np.argsort(frames_with, kind="stable").tolist():
        if frames_with[k] and not pixels[chosen, k].any() and len(chosen) < count:
            chosen.append(int(shares[:, k].argmax()))
    for_a_class = len(chosen)
    split_of = _numbered([split for split, _ in parts])
    part_of = _numbered(parts)
    place = np.arange(len(parts))
    # Distance in order from the nearest chosen frame of the same part.
    apart = np.full(len(parts), len(parts))
    for k in chosen:
        np.minimum(apart, np.abs(place - place[k]), out=apart, where=part_of == part_of[k])
    while len(chosen) < min(count, len(parts)):
        free = ~np.isin(place, chosen)
        for of in (split_of, part_of):
            taken = np.bincount(of[chosen], minlength=len(parts))[of]
            free &= taken == taken[free].min()
        best = int(np.where(free, apart, -1).argmax())
        np.minimum(apart, np.abs(place - best), out=apart, where=part_of == part_of[best])
        chosen.append(best)
    return chosen[:for_a_class] + sorted(chosen[for_a_class:])


def _numbered(values: list[str] | list[tuple[str, str | None]]) -> Int64[np.ndarray, "n"]:
    """Return for each value the number of distinct values before its first place."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def classes_sheet(
    dataset: ClassDataset, readable: Mapping[str, Mapping[int, int]]
) -> UInt8[np.ndarray, "h w 3"] | None:
    """Return a row of up to eight pictures for each class, or None if no picture can be read.

    The pictures come evenly from the splits. Of more than 60 classes, those with the fewest
    pictures are shown.

    Args:
        dataset: the dataset.
        readable: class index by the place of each readable picture, by split.
    """
    by_class: dict[int, dict[str, list[int]]] = {}
    for split, labels in readable.items():
        for place, label in labels.items():
            by_class.setdefault(label, {}).setdefault(split, []).append(place)
    if not by_class:
        return None
    sizes = {label: sum(map(len, places.values())) for label, places in by_class.items()}
    rare = sorted(sizes, key=lambda label: (sizes[label], label))[:_CLASSES]
    rows = []
    for label in sorted(rare):
        cells = tuple(
            Tile(
                thumbnail(_picture(dataset, dataset.splits[split], place), _SMALL),
                (Path(dataset.splits[split].names[place]).name, split),
            )
            for split, place in _spread(by_class[label])
        )
        rows.append(Row(cells, f"{dataset.names[label]}: {sizes[label]} pictures"))
    return contact_sheet(rows, (), dataset.names, _SMALL)


def _spread(places: Mapping[str, list[int]]) -> list[tuple[str, int]]:
    """Choose evenly from the splits, and evenly spaced within each."""
    counts = dict.fromkeys(places, 0)
    while sum(counts.values()) < min(_OF_A_CLASS, sum(map(len, places.values()))):
        free = [split for split in places if counts[split] < len(places[split])]
        counts[min(free, key=counts.__getitem__)] += 1
    return [
        (split, places[split][k * len(places[split]) // count])
        for split, count in counts.items()
        for k in range(count)
    ]


def _picture(
    dataset: ClassDataset, pictures: LabelledSplit, place: int
) -> UInt8[np.ndarray, "h w 3"]:
    if pictures.pixels is not None:
        return np.repeat(pictures.pixels[place][..., None], 3, axis=2)
    return read_frame(pictures.frames[place], dataset.root)
