"""Scores of a finished run, or of masks in files, on a split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from headstart import metrics
from headstart.data.decoded import read_labelled
from headstart.data.files import merged
from headstart.data.folders import Dataset, Frame, frames_of
from headstart.data.frame import read_frame
from headstart.data.label_map import LabelMap
from headstart.data.pictures import read_mask
from headstart.errors import DataError, Finding
from headstart.predict import open_segmenter
from headstart.segmenter import class_maps_of

_BATCH = 8


def evaluate_run(run: Path, dataset: Dataset, split: str, device: str = "auto") -> dict[str, Any]:
    """All scores of a finished run on a split, as in its ``scores.json``.

    Raises:
        DataError: the run is not finished, its classes are not the dataset's, or a frame cannot be
            read.
    """
    segmenter = open_segmenter(run, device)
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
        found = class_maps_of(segmenter, pictures)
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
