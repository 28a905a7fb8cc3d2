"""Scores of a finished run, or of masks in files, on a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from headstart.data.decoded_frames import read_labelled
from headstart.data.files import merged
from headstart.data.label_map import LabelMap
from headstart.data.layouts.folders import Dataset, Frame, frames_of
from headstart.data.pictures.reading import read_mask
from headstart.errors import DataError, Finding
from headstart.inference.masks import open_segmenter
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.scores import segmentation as segmentation_scores
from headstart.scores.counts import count

_BATCH = 8


def evaluate_run(run: Path, dataset: Dataset, split: str, device: str = "auto") -> dict[str, Any]:
    """All scores of a finished run on a split, as in its ``scores.json``.

    Raises:
        DataError: the run is not finished, its classes are not the dataset's, or frames cannot be
            read; every one is named.
    """
    segmenter = open_segmenter(run, device)
    if segmenter.label_map != dataset.label_map:
        message = (
            f"{run} was trained for {_classes(segmenter.label_map)}, "
            f"but {dataset.root} has {_classes(dataset.label_map)}"
        )
        raise DataError(Finding("other-classes", "error", message))
    frames, names = frames_of(dataset, split), dataset.label_map.names
    findings: list[Finding] = []
    # Made at once: small arrays that stay would lie between the large ones that come and go.
    counts = np.zeros((len(frames), len(names), 3), dtype=np.int64)
    for start in range(0, len(frames), _BATCH):
        part = slice(start, start + _BATCH)
        findings += _count_some(segmenter, frames[part], dataset, counts[part])
    if findings:
        raise DataError(merged(findings))
    return {"split": split, **segmentation_scores.score(counts, names)}


def _count_some(
    segmenter: Segmenter,
    frames: Sequence[Frame],
    dataset: Dataset,
    counts: Int64[np.ndarray, "b k 3"],
) -> list[Finding]:
    """Fills ``counts`` with TP, FP and FN by frame and class; gives why frames cannot be read."""
    findings: list[Finding] = []
    pictures, truths = [], []
    for frame in frames:
        try:
            picture, truth = read_labelled(frame, dataset.label_map, dataset.root)
        except DataError as e:
            findings.extend(e.findings)
            continue
        pictures.append(picture)
        truths.append(truth)
    if not findings:
        maps = class_maps_of(segmenter, pictures)
        for row, predicted, truth in zip(counts, maps, truths, strict=True):
            row[:] = _count(predicted, truth, len(row))
    return findings


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

    findings: list[Finding] = []
    counts = []
    for frame in frames:
        try:
            _, truth = read_labelled(frame, dataset.label_map, dataset.root)
            predicted = _read_prediction(folder, frame, dataset.label_map, truth.shape)
        except DataError as e:
            findings.extend(e.findings)
            continue
        counts.append(_count(predicted, truth, len(dataset.label_map.names)))
    if findings:
        raise DataError(merged(findings))
    return {"split": split, **segmentation_scores.score(np.stack(counts), dataset.label_map.names)}


def _read_prediction(
    folder: Path, frame: Frame, label_map: LabelMap, size: tuple[int, ...]
) -> UInt8[np.ndarray, "h w"]:
    path = folder / f"{frame.name}.png"
    grey = read_mask(path, folder)
    unknown = label_map.unknown_levels(grey)
    if unknown:
        message = f"a mask holds grey levels {unknown[:8]}, expected {_classes(label_map)}"
        raise DataError(Finding("unknown-grey", "error", message, files=(str(path),)))
    if grey.shape != size:
        message = (
            f"the mask is {grey.shape[1]} wide and {grey.shape[0]} high, "
            f"expected {size[1]} and {size[0]} as the truth"
        )
        raise DataError(Finding("size-differs", "error", message, files=(frame.name,)))
    return label_map.to_indices(grey)


def _classes(label_map: LabelMap) -> str:
    return ", ".join(f"{n} ({g})" for n, g in zip(label_map.names, label_map.greys, strict=True))


def _count(
    predicted: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"], num_classes: int
) -> Int64[np.ndarray, "k 3"]:
    """TP, FP and FN by class, of one frame."""
    maps = [torch.from_numpy(m.astype(np.int64))[None] for m in (predicted, truth)]
    counts: Int64[np.ndarray, "k 3"] = count(maps[0], maps[1], num_classes)[0].numpy()
    return counts
