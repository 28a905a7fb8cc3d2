"""Masks and overlays of pictures, from a finished run; and scores of masks in files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from headstart import figures, metrics
from headstart.data.decoded import read_labelled, resize_image
from headstart.data.files import merged
from headstart.data.folders import Dataset, Frame
from headstart.data.frame import read_frame
from headstart.data.label_map import LabelMap
from headstart.data.pictures import read_mask
from headstart.disk import disk_errors, write_atomic
from headstart.errors import DataError, Finding, UsageError
from headstart.segmenter import Segmenter, load_segmenter, pick_device
from headstart.tasks import segment

_BATCH = 8
_LEGIBLE = 320  # an overlay is enlarged by whole factors until it is this wide


def predict(
    segmenter: Segmenter,
    frames: Sequence[Frame],
    root: Path,
    out: Path,
    device: torch.device,
) -> None:
    """Writes a mask and an overlay of every picture.

    ``out/masks/<name>.png`` holds the dataset's grey levels at the picture's own size,
    ``out/overlays/<name>.png`` the classes over the picture, with a legend.

    Args:
        segmenter: the trained network.
        frames: the pictures.
        root: their folder, for messages; links that leave it are refused.
        out: where to; the same command again writes the same files.
        device: where to compute.

    Raises:
        UsageError: ``out`` holds what this would overwrite and did not come from these weights.
        DataError: pictures cannot be read; every one is named, after the others are written.
        DiskError: a file cannot be written.
    """
    _claim(out, segmenter.digest, frames)
    findings: list[Finding] = []
    for start in range(0, len(frames), _BATCH):
        pictures = []
        for frame in frames[start : start + _BATCH]:
            try:
                pictures.append((frame.name, read_frame(frame, root)))
            except DataError as e:
                findings.extend(e.findings)
        if pictures:
            _predict_some(segmenter, pictures, out, device)
    if findings:
        raise DataError(findings)


def _claim(out: Path, weights: str, frames: Sequence[Frame]) -> None:
    """Marks ``out`` as made by these weights of these pictures, or refuses what it holds.

    The mark comes first, so that a kill right after it leaves a folder that can be gone on with.
    """
    pictures = hashlib.sha256("\n".join(ascii(str(f.image)) for f in frames).encode())
    made_of = f"weights {weights}\npictures {pictures.hexdigest()}\n"
    mark = out / "made-of.txt"
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        there = [path for path in out.iterdir() if ".tmp-" not in path.name]
        if there and not (mark.exists() and mark.read_text() == made_of):
            message = f"{out} is not empty and was not made with these weights of these pictures"
            hint = "choose another --out: nothing is overwritten"
            raise UsageError(Finding("not-empty", "error", message, hint))
        write_atomic(mark, made_of)
        for name in ("masks", "overlays"):
            (out / name).mkdir(exist_ok=True)


def _predict_some(
    segmenter: Segmenter,
    pictures: Sequence[tuple[str, UInt8[np.ndarray, "_ _ 3"]]],
    out: Path,
    device: torch.device,
) -> None:
    maps = class_maps_of(segmenter, [image for _, image in pictures], device)
    for (name, image), indices in zip(pictures, maps, strict=True):
        mask = segmenter.label_map.to_greys(indices)
        write_atomic(out / "masks" / f"{name}.png", _png(mask))
        shown = overlay_with_legend(image, indices, segmenter.label_map.names)
        write_atomic(out / "overlays" / f"{name}.png", _png(shown))


def class_maps_of(
    segmenter: Segmenter, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], device: torch.device
) -> list[UInt8[np.ndarray, "_ _"]]:
    """The most probable class of each pixel, at each picture's own size."""
    inputs = [resize_image(image, segmenter.size).transpose(2, 0, 1) for image in pictures]
    sizes = [(image.shape[0], image.shape[1]) for image in pictures]
    maps = segment(segmenter.model, np.stack(inputs), sizes, device, segmenter.min_area)
    return [m.cpu().numpy() for m in maps]


def _png(pixels: UInt8[np.ndarray, "h w *c"]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def overlay_with_legend(
    image: UInt8[np.ndarray, "h w 3"], classes: UInt8[np.ndarray, "h w"], names: Sequence[str]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The overlay, enlarged until legible, with the classes to be seen named below it."""
    factor = -(-_LEGIBLE // image.shape[1])
    picture = Image.fromarray(figures.overlay(image, classes))
    picture = picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )
    side = max(12, picture.width // 32)
    font = ImageFont.load_default(size=side)
    line = round(side * 1.5)
    seen = [int(k) for k in np.unique(classes) if k] or [0]
    places: list[tuple[int, int, int, str]] = []
    x, y = line // 2, line // 4
    for k in seen:
        label = names[k].replace("_", " ") if k else "background only"
        wide = round(font.getlength(label)) + 2 * line
        if places and x + wide > picture.width:
            x, y = line // 2, y + line
        places.append((x, y, k, label))
        x += wide
    sheet = Image.new("RGB", (picture.width, picture.height + y + line + line // 4), "white")
    sheet.paste(picture, (0, 0))
    draw = ImageDraw.Draw(sheet)
    for x, y, k, label in places:
        top = picture.height + y
        if k:
            box = (x, top + (line - side) // 2, x + side, top + (line + side) // 2)
            draw.rectangle(box, fill=figures.colour(k))
        draw.text((x + line, top + line // 2), label, fill="#222222", font=font, anchor="lm")
    return np.asarray(sheet)


def frames_of(dataset: Dataset, split: str) -> tuple[Frame, ...]:
    """The frames of a split.

    Raises:
        UsageError: the dataset has no such split, or it is empty.
    """
    frames = dataset.splits.get(split)
    if not frames:
        there = ", ".join(name for name, s in dataset.splits.items() if s)
        message = f"{dataset.root} has no split {split}; it has {there}"
        raise UsageError(Finding("no-such-split", "error", message))
    return frames


def evaluate_run(run: Path, dataset: Dataset, split: str, device: str = "auto") -> dict[str, Any]:
    """All scores of a finished run on a split, as in its ``scores.json``.

    Raises:
        DataError: the run is not finished, its classes are not the dataset's, or a frame cannot be
            read.
    """
    where = pick_device(device)
    segmenter = load_segmenter(run, where)
    if segmenter.label_map != dataset.label_map:
        message = (
            f"{run} was trained for {_classes(segmenter.label_map)}, "
            f"but {dataset.root} has {_classes(dataset.label_map)}"
        )
        raise DataError(Finding("other-classes", "error", message))
    frames = frames_of(dataset, split)
    maps: dict[str, UInt8[np.ndarray, "_ _"]] = {}
    for start in range(0, len(frames), _BATCH):
        some = frames[start : start + _BATCH]
        pictures = [read_frame(frame, dataset.root) for frame in some]
        found = class_maps_of(segmenter, pictures, where)
        maps |= {frame.name: m for frame, m in zip(some, found, strict=True)}
    return _scores(dataset, split, lambda frame: maps[frame.name])


def evaluate_masks(folder: Path, dataset: Dataset, split: str) -> dict[str, Any]:
    """All scores of the masks ``folder/<frame>.png`` on a split.

    Raises:
        DataError: a mask is missing, unreadable, of another size, or holds an unknown grey level;
            every one is named.
    """
    frames = frames_of(dataset, split)
    absent = tuple(f"{f.name}.png" for f in frames if not (folder / f"{f.name}.png").exists())
    if absent:
        message = f"{folder} has no mask for {len(absent)} of the {len(frames)} frames of {split}"
        hint = "expected one PNG a frame, with the frame's name, as predict writes them"
        raise DataError(Finding("mask-missing", "error", message, hint, absent))

    def prediction(frame: Frame) -> UInt8[np.ndarray, "h w"]:
        path = folder / f"{frame.name}.png"
        grey = read_mask(path, folder)
        unknown = dataset.label_map.unknown_levels(grey)
        if unknown:
            message = (
                f"a mask holds grey levels {unknown[:8]}, expected {_classes(dataset.label_map)}"
            )
            raise DataError(Finding("unknown-grey", "error", message, files=(str(path),)))
        return dataset.label_map.to_indices(grey)

    return _scores(dataset, split, prediction)


def _classes(label_map: LabelMap) -> str:
    return ", ".join(f"{n} ({g})" for n, g in zip(label_map.names, label_map.greys, strict=True))


def _scores(
    dataset: Dataset, split: str, prediction: Callable[[Frame], UInt8[np.ndarray, "h w"]]
) -> dict[str, Any]:
    names = dataset.label_map.names
    findings: list[Finding] = []
    counts = []
    for frame in frames_of(dataset, split):
        try:
            _, truth = read_labelled(frame, dataset.label_map, dataset.root)
            predicted = prediction(frame)
        except DataError as e:
            findings.extend(e.findings)
            continue
        if predicted.shape != truth.shape:
            message = (
                f"the mask is {predicted.shape[1]} wide and {predicted.shape[0]} high, "
                f"expected {truth.shape[1]} and {truth.shape[0]} as the truth"
            )
            findings.append(Finding("size-differs", "error", message, files=(frame.name,)))
            continue
        maps = [torch.from_numpy(m.astype(np.int64))[None] for m in (predicted, truth)]
        counts.append(metrics.count(maps[0], maps[1], len(names)).numpy())
    if findings:
        raise DataError(merged(findings))
    return {"split": split, **metrics.score(np.concatenate(counts), names)}
