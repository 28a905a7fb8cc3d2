"""Classes of pictures, from a finished run of a classification or an ONNX file; and its scores."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from headstart.data.labelled_pictures import Labelled, read_labelled_pictures
from headstart.data.layouts.class_folders import ClassDataset
from headstart.data.layouts.folders import Frame
from headstart.data.pictures.frame import read_frame
from headstart.errors import DataError, Finding, UsageError
from headstart.inference.classifier import Classifier, not_above
from headstart.inference.onnx_metadata import is_onnx
from headstart.scores import classification as classification_scores
from headstart.system.disk import disk_errors, locked, write_atomic

_BATCH = 64


def open_classifier(run_or_onnx: Path, device: str = "auto") -> Classifier:
    """A trained classifier, from a run's folder or from the ONNX file of one.

    The file is run by ONNX Runtime and loads no torch.

    Raises:
        DataError: it is neither, is not finished, or knows no classes of pictures.
        UsageError: there is no such device.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if is_onnx(run_or_onnx):
        from headstart.inference.onnx_network import check_device, load_onnx_classifier

        check_device(device)
        return load_onnx_classifier(run_or_onnx)
    import torch

    from headstart.inference.torch_network import load_classifier
    from headstart.system.devices import pick_device

    return load_classifier(run_or_onnx, torch.device(pick_device(device)))


def classes_of_pictures(
    classifier: Classifier, frames: Sequence[Frame], root: Path
) -> Float[np.ndarray, "n k"]:
    """Probability of each class, for pictures in files.

    Args:
        classifier: the trained network.
        frames: the pictures.
        root: their folder, for messages; links that leave it are refused.

    Raises:
        DataError: pictures cannot be read; every one is named.
    """
    findings: list[Finding] = []
    parts = [classifier.probabilities([])]
    for start in range(0, len(frames), _BATCH):
        pictures = []
        for frame in frames[start : start + _BATCH]:
            try:
                pictures.append(not_above(read_frame(frame, root), classifier.size))
            except DataError as e:
                findings.extend(e.findings)
        parts.append(classifier.probabilities(pictures))
    if findings:
        raise DataError(findings)
    return np.concatenate(parts)


def classes_of_split(
    classifier: Classifier, dataset: ClassDataset, split: str
) -> tuple[Labelled, Float[np.ndarray, "n k"]]:
    """A split's pictures, and the probability of each class.

    Raises:
        UsageError: the dataset has no such split.
        DataError: pictures cannot be read; every one is named.
    """
    if split not in dataset.splits:
        message = f"{dataset.root} has no split {split}; it has {', '.join(dataset.splits)}"
        raise UsageError(Finding("no-such-split", "error", message))
    with tempfile.TemporaryDirectory() as cache:
        data = read_labelled_pictures(dataset, split, classifier.size, Path(cache))
        return data, classifier.probabilities(list(data.images))


def evaluate_classifier(
    run: Path, dataset: ClassDataset, split: str, device: str = "auto"
) -> dict[str, Any]:
    """All scores of a finished run on a split, as in its ``scores.json``.

    Raises:
        DataError: the run is not finished, its classes are not the dataset's, or a picture cannot
            be read.
        UsageError: the dataset has no such split.
    """
    classifier = open_classifier(run, device)
    if classifier.names != dataset.names:
        message = (
            f"{run} was trained for {', '.join(classifier.names)}, but {dataset.root} has "
            f"{', '.join(dataset.names)}"
        )
        raise DataError(Finding("other-classes", "error", message))
    data, probabilities = classes_of_split(classifier, dataset, split)
    matrix = classification_scores.confusion_matrix(
        data.labels, probabilities.argmax(1), len(dataset.names)
    )
    return {"split": split, **classification_scores.score(matrix, dataset.names)}


def write_classes(
    out: Path,
    names: Sequence[str],
    classes: Sequence[str],
    probabilities: Float[np.ndarray, "n k"],
) -> Path:
    """Writes ``out/classes.csv``: each picture, its most probable class, all probabilities.

    Args:
        out: the folder; made if need be.
        names: of the pictures.
        classes: names of the classes.
        probabilities: of each picture.

    Returns:
        The file.

    Raises:
        UsageError: there is such a file, and it says something else.
        LockedError: another process works there.
        DiskError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("picture", "class", "probability", *classes))
    for name, row in zip(names, probabilities, strict=True):
        best = int(row.argmax())
        writer.writerow((name, classes[best], f"{row[best]:.6f}", *(f"{p:.6f}" for p in row)))
    path = out / "classes.csv"
    with locked(out, sweeping=False), disk_errors(out):
        if path.exists() and path.read_text() != text.getvalue():
            message = f"{path} is there and was made from other weights or pictures"
            hint = "choose another --out: nothing is overwritten"
            raise UsageError(Finding("not-empty", "error", message, hint))
        write_atomic(path, text.getvalue())
    return path
