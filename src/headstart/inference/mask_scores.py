"""Scores of class maps against the masks of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from headstart.data.files import merged
from headstart.data.label_map import IGNORE
from headstart.data.layouts.dataset import Dataset, frames_of
from headstart.data.pictures.frame import Frame, read_by
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, Finding
from headstart.inference.segmenter import Segmenter, brought, maps_of
from headstart.scores import segmentation as segmentation_scores
from headstart.scores.counts import count


def score_class_maps(segmenter: Segmenter, dataset: Dataset, split: str) -> dict[str, Any]:
    """Return all scores of predicted class maps on a split.

    Args:
        segmenter: the trained network.
        dataset: has the classes that it predicts.
        split: the name of a split.

    Raises:
        UsageError: there is no such split.
        DataError: frames cannot be read; all of them are named.
    """
    names = dataset.label_map.names
    frames = read_by(frames_of(dataset, split), dataset.root, segmenter.rules)
    findings: list[Finding] = []
    # Allocated once: small arrays that stay would lie between large ones that come and go.
    counts = np.zeros((len(frames), len(names), 3), dtype=np.int64)
    for start in range(0, len(frames), segmenter.batch):
        part = slice(start, start + segmenter.batch)
        findings += _count_batch(segmenter, frames[part], dataset, counts[part])
    if findings:
        raise DataError(merged(findings))
    return {"split": split, **segmentation_scores.score(counts, names)}


def _count_batch(
    segmenter: Segmenter,
    frames: Sequence[Frame],
    dataset: Dataset,
    counts: Int64[np.ndarray, "b k 3"],
) -> list[Finding]:
    """Fill ``counts`` with TP, FP and FN by frame and class; return why frames cannot be read."""
    findings: list[Finding] = []
    small, truths = [], []
    for frame in frames:
        try:
            picture, truth = read_labelled(frame, dataset.label_map, dataset.root)
        except DataError as e:
            findings.extend(e.findings)
            continue
        small.append(brought(segmenter, picture))
        truths.append(truth)
    if not findings:
        sizes = [(truth.shape[0], truth.shape[1]) for truth in truths]
        maps = maps_of(segmenter.of(frames[0].name), small, sizes)
        for row, predicted, truth in zip(counts, maps, truths, strict=True):
            row[:] = count_pixels(predicted, truth, len(row))
    return findings


def count_pixels(
    predicted: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"], num_classes: int
) -> Int64[np.ndarray, "k 3"]:
    """Return TP, FP and FN pixels of one frame by class, without ignored pixels; loads torch."""
    import torch

    maps = [torch.from_numpy(np.array(m))[None] for m in (predicted, truth)]
    counts: Int64[np.ndarray, "k 3"] = count(maps[0], maps[1], num_classes, IGNORE)[0].numpy()
    return counts
