"""Scores of a finished run, or of masks in files, on a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from headstart.config.files import read_config
from headstart.data.files import listing, merged
from headstart.data.label_map import IGNORE, LabelMap
from headstart.data.layouts.dataset import Dataset, frames_of
from headstart.data.layouts.pairing import composed
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, Finding, UsageError
from headstart.inference.mask_files import class_map, unknown_values, values_in
from headstart.inference.mask_scores import count_pixels
from headstart.inference.members import members_of
from headstart.inference.onnx_file import is_onnx
from headstart.inference.opening import kind_for, open_for_split
from headstart.records.vouching import CONFIG, holds_run
from headstart.scores import segmentation as segmentation_scores
from headstart.tasks.lookup import labelled_task
from headstart.tasks.out_of_fold import are_theirs, changed_since, unseen_by


def evaluate_run(
    run: Path, dataset: Any, split: str, device: str = "auto", mirror: bool = False
) -> dict[str, Any]:
    """Return all scores of a finished run on a split, as in its ``scores.json``.

    Args:
        run: the run's folder, or its ONNX file. Of a cross-validation, or of a study with folds,
            each labelled picture of their own dataset is predicted by the networks that have not
            seen it, one of each seed.
        dataset: what opening a dataset of any task gave.
        split: the name of a split.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        mirror: score the mean probability of each picture and of its mirror image; the scores then
            have the entry ``tta``.

    Raises:
        DataError: the run is not finished or of another task, its classes are not the dataset's, or
            pictures cannot be read; all of them are named.
        UsageError: there is no such split or device; or the run is a single fold of this dataset,
            or the ONNX file of folds.
    """
    return evaluated(run, dataset, split, device, mirror)[0]


def evaluated(
    run: Path, dataset: Any, split: str, device: str = "auto", mirror: bool = False
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Return what [`evaluate_run`][] does, and which networks predict together, if several do."""
    seen = _refuse_seen(run, dataset, split)
    predictor, findings = open_for_split(run, dataset, split, device, mirror)
    scores = predictor.evaluate(dataset, split)
    return {**scores, **({"tta": "mirror"} if mirror else {})}, (*seen, *findings)


def _refuse_seen(run: Path, dataset: Any, split: str) -> tuple[Finding, ...]:
    """Refuse to score networks of folds on pictures that they may have seen.

    Returns:
        A warning if the pictures have the names of those that folds were dealt from.

    Raises:
        UsageError: the run is one fold, or one file of several, and the dataset is theirs.
    """
    folder = run.parent if is_onnx(run) else run
    if not (folder / CONFIG).exists() or not holds_run(folder):
        return ()
    members = members_of(folder)
    if members is not None and not is_onnx(run):
        return ()  # each picture is predicted by those that have not seen it
    fold = members.runs[0] if members else folder
    config = read_config(fold / CONFIG)
    if config.folds is None:
        return ()
    if kind_for(dataset).task != config.task:  # opening the run says so
        return ()
    task = labelled_task(config.task)
    if are_theirs(task, fold, dataset):
        message = (
            f"{run} was trained in folds of these labelled pictures: whichever split is scored, "
            "it has seen some of its pictures in training"
        )
        hint = (
            "give the cross-validation or the study: each picture is then predicted by the "
            "networks that have not seen it"
        )
        raise UsageError(Finding("seen-in-training", "error", message, hint))
    if split not in dataset.splits or not (fold.parent / CONFIG).exists():
        return ()
    hint = "give the cross-validation or the study; or train again"
    try:
        unseen = unseen_by(task, [fold.parent], dataset.splits)
    except DataError:  # other folds are not finished
        return ()
    return changed_since(task, unseen, dataset, split, hint)


def evaluate_masks(folder: Path, dataset: Dataset, split: str) -> dict[str, Any]:
    """Return all scores of the masks ``folder/<frame>.png`` on a split.

    Raises:
        DataError: masks are missing, unreadable, of another size, or hold an unknown grey level;
            all of them are named.
        UsageError: there is no such split.
    """
    frames = frames_of(dataset, split)
    masks = _masks_of(folder, frames)
    if absent := tuple(f"{f.name}.png" for f in frames if f.name not in masks):
        message = f"{folder} has no mask for {len(absent)} of the {len(frames)} frames of {split}"
        hint = "expected one PNG per frame, with the frame's name, as predict writes them"
        raise DataError(Finding("mask-missing", "error", message, hint, absent))

    findings: list[Finding] = []
    counts = []
    for frame in frames:
        try:
            _, truth = read_labelled(frame, dataset.label_map, dataset.root)
            predicted = _read_prediction(masks[frame.name], folder, frame, dataset.label_map, truth)
        except DataError as e:
            findings.extend(e.findings)
            continue
        counts.append(count_pixels(predicted, truth, len(dataset.label_map.names)))
    if findings:
        raise DataError(merged(findings))
    return {"split": split, **segmentation_scores.score(np.stack(counts), dataset.label_map.names)}


def _masks_of(folder: Path, frames: Sequence[Frame]) -> dict[str, Path]:
    """Return the mask of each frame that has one; accents may be composed or decomposed."""
    names: dict[str, str] = {}
    for name in listing(folder, folder):
        names.setdefault(composed(name), name)
    masks = {}
    for frame in frames:
        name = f"{frame.name}.png"
        if (exact := folder / name).exists():
            masks[frame.name] = exact
        elif composed(name) in names:
            masks[frame.name] = folder / names[composed(name)]
    return masks


def _read_prediction(
    path: Path,
    folder: Path,
    frame: Frame,
    label_map: LabelMap,
    truth: UInt8[np.ndarray, "h w"],
) -> UInt8[np.ndarray, "h w"]:
    """Return predicted classes; what is predicted where the truth is ignored has no effect."""
    values, known = values_in(path, folder, label_map, truth != IGNORE)
    size = truth.shape
    if values.shape == size:
        values = np.where(truth == IGNORE, next(iter(known)), values)
    if unknown := np.setdiff1d(values, [*known]).tolist():
        raise unknown_values(unknown, label_map, str(path))
    if values.shape != size:
        message = (
            f"the mask is {values.shape[0]} x {values.shape[1]} (height x width), "
            f"expected {size[0]} x {size[1]} as the true mask"
        )
        raise DataError(Finding("size-differs", "error", message, files=(frame.name,)))
    return class_map(values, known)
