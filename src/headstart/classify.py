"""Classes of pictures, from a finished run of a classification; and its scores on a split."""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from headstart import confusion
from headstart.checkpoint import load_weights
from headstart.data.classes import ClassDataset
from headstart.data.decoded import resize_image
from headstart.data.folders import Frame
from headstart.data.frame import read_frame
from headstart.data.labelled import Labelled, read_labelled_pictures
from headstart.disk import disk_errors, write_atomic
from headstart.errors import DataError, Finding, UsageError
from headstart.features import prepared
from headstart.models.classifiers import make_network
from headstart.tasks import placed

_BATCH = 64


@dataclass(frozen=True)
class Classifier:
    """A trained network with what it takes to use it.

    Attributes:
        network: maps pictures, prepared, to logits.
        size: height and width it was trained at, to which pictures are brought.
        names: of its classes.
        digest: SHA-256 of the weights file.
    """

    network: nn.Module
    size: tuple[int, int]
    names: tuple[str, ...]
    digest: str


def load_classifier(run: Path, device: torch.device) -> Classifier:
    """The network a finished run has trained.

    Raises:
        DataError: ``run`` is no finished run of a classification.
    """
    path = run / "weights.safetensors"
    if not path.exists():
        message = f"{run} holds no weights.safetensors; expected a finished run"
        hint = "give the same train command again: it continues"
        raise DataError(Finding("no-weights", "error", message, hint))
    weights, facts = load_weights(path)
    if facts.get("task") != "classification":
        message = f"{run} is of a {facts.get('task', 'segmentation')}, which knows no classes"
        raise DataError(Finding("no-classifier", "error", message))
    names = tuple(facts["names"])
    with torch.random.fork_rng(devices=[]):
        network, _ = make_network(facts["model"], len(names))
    network.load_state_dict(weights)
    height, width = facts["size"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Classifier(placed(network, device).eval(), (height, width), names, digest)


@torch.no_grad()
def _probabilities(
    classifier: Classifier, batches: Iterable[Float[Tensor, "b 3 h w"]]
) -> Float[np.ndarray, "n k"]:
    found = [classifier.network(batch).float().softmax(1).cpu() for batch in batches]
    whole = torch.cat([torch.zeros(0, len(classifier.names)), *found])
    probabilities: Float[np.ndarray, "n k"] = whole.numpy()
    return probabilities


def classes_of_pictures(
    classifier: Classifier, frames: Sequence[Frame], root: Path, device: torch.device
) -> Float[np.ndarray, "n k"]:
    """Probability of each class, for pictures in files.

    Args:
        classifier: the trained network.
        frames: the pictures.
        root: their folder, for messages; links that leave it are refused.
        device: where to compute.

    Raises:
        DataError: pictures cannot be read; every one is named.
    """
    findings: list[Finding] = []

    def one(frame: Frame) -> Float[Tensor, "1 3 h w"] | None:
        try:
            image = _not_above(read_frame(frame, root), classifier.size)
        except DataError as e:
            findings.extend(e.findings)
            return None
        batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))[None])
        return prepared(batch, classifier.size, device)

    def batches() -> Iterator[Float[Tensor, "b 3 h w"]]:
        for start in range(0, len(frames), _BATCH):
            some = [one(frame) for frame in frames[start : start + _BATCH]]
            if there := [picture for picture in some if picture is not None]:
                yield torch.cat(there)

    found = _probabilities(classifier, batches())
    if findings:
        raise DataError(findings)
    return found


def _not_above(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """As pictures are kept to be trained on: shrunk to ``size``, enlarged by the network only."""
    return resize_image(image, size) if any(np.array(image.shape[:2]) > size) else image


def classes_of_split(
    classifier: Classifier, dataset: ClassDataset, split: str, device: torch.device
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
        images = torch.from_numpy(np.ascontiguousarray(data.images))
        starts = range(0, len(images), _BATCH)
        parts = (prepared(images[i : i + _BATCH], classifier.size, device) for i in starts)
        return data, _probabilities(classifier, parts)


def evaluate_classifier(
    run: Path, dataset: ClassDataset, split: str, device: torch.device
) -> dict[str, Any]:
    """All scores of a finished run on a split, as in its ``scores.json``.

    Raises:
        DataError: the run is not finished, its classes are not the dataset's, or a picture cannot
            be read.
        UsageError: the dataset has no such split.
    """
    classifier = load_classifier(run, device)
    if classifier.names != dataset.names:
        message = (
            f"{run} was trained for {', '.join(classifier.names)}, but {dataset.root} has "
            f"{', '.join(dataset.names)}"
        )
        raise DataError(Finding("other-classes", "error", message))
    data, probabilities = classes_of_split(classifier, dataset, split, device)
    matrix = confusion.confusion_matrix(data.labels, probabilities.argmax(1), len(dataset.names))
    return {"split": split, **confusion.score(matrix, dataset.names)}


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
        DiskError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("picture", "class", "probability", *classes))
    for name, row in zip(names, probabilities, strict=True):
        best = int(row.argmax())
        writer.writerow((name, classes[best], f"{row[best]:.6f}", *(f"{p:.6f}" for p in row)))
    path = out / "classes.csv"
    with disk_errors(out):
        if path.exists() and path.read_text() != text.getvalue():
            message = f"{path} is there and was made from other weights or pictures"
            hint = "choose another --out: nothing is overwritten"
            raise UsageError(Finding("not-empty", "error", message, hint))
        out.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.getvalue())
    return path
