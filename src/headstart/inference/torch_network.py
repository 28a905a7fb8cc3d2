"""The network of a finished run, run by PyTorch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from headstart.data.label_map import LabelMap
from headstart.errors import DataError, Finding
from headstart.inference.classifier import Classifier, Small
from headstart.inference.segmenter import Pictures, Segmenter, Sizes
from headstart.models.classifiers import make_network, versioned
from headstart.models.encoder_unet import EncoderUNet, make_segmenter
from headstart.models.unet import UNet
from headstart.tasks.class_maps import segment
from headstart.training.checkpoint import load_weights
from headstart.training.features import prepared
from headstart.training.placement import placed, to_input

BATCH = 8
_BATCH_OF_CLASSES = 64


@dataclass(frozen=True)
class Trained:
    """The network of a finished run.

    Attributes:
        model: maps pictures in ``[0, 1]`` to logits; on the CPU.
        name: of the network.
        size: height and width it was trained at.
        label_map: its classes.
        min_area: see [`class_maps`][headstart.tasks.class_maps.class_maps].
        digest: SHA-256 of the file of weights.
    """

    model: UNet | EncoderUNet
    name: str
    size: tuple[int, int]
    label_map: LabelMap
    min_area: float
    digest: str


@dataclass(frozen=True)
class TrainedClassifier:
    """The network of a finished run of a classification.

    Attributes:
        network: maps pictures, prepared, to logits; on the CPU.
        model: its name.
        size: height and width it was trained at.
        names: of its classes.
        digest: SHA-256 of the file of weights.
    """

    network: nn.Module
    model: str
    size: tuple[int, int]
    names: tuple[str, ...]
    digest: str


def _read(run: Path) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Weights of a finished run, the facts written with them, and their SHA-256."""
    path = run / "weights.safetensors"
    if not run.is_dir():
        message = f"there is no run folder {run}"
        raise DataError(Finding("no-run", "error", message, "train one: headstart train DATA"))
    if not path.exists():
        message = f"{run} holds no weights.safetensors; expected a finished run"
        hint = "give the same train command again: it continues"
        raise DataError(Finding("no-weights", "error", message, hint))
    weights, facts = load_weights(path)
    return weights, facts, hashlib.sha256(path.read_bytes()).hexdigest()


def load_trained(run: Path) -> Trained:
    """The network a finished run has trained.

    Raises:
        DataError: ``run`` is no finished run of a segmentation.
    """
    weights, facts, digest = _read(run)
    if facts.get("task") == "pretext":
        message = f"{run} holds a pretext ({facts['pretext']}), which segments nothing"
        hint = f"train from it: headstart train DATA --start {run}"
        raise DataError(Finding("is-a-pretext", "error", message, hint))
    if facts.get("task") == "classification":
        message = f"{run} holds a classifier ({facts['model']}), which segments nothing"
        hint = "it can be used on pictures with a class"
        raise DataError(Finding("is-a-classifier", "error", message, hint))
    label_map = LabelMap(tuple(facts["names"]), tuple(facts["greys"]))
    with torch.random.fork_rng(devices=[]):
        model = make_segmenter(facts["model"], len(label_map.names), facts["width"])
    model.load_state_dict(weights)
    size = (facts["size"][0], facts["size"][1])
    return Trained(model.eval(), facts["model"], size, label_map, facts["min_area"], digest)


def load_trained_classifier(run: Path) -> TrainedClassifier:
    """The network a finished run of a classification has trained.

    Raises:
        DataError: ``run`` is no finished run of a classification.
    """
    weights, facts, digest = _read(run)
    if facts.get("task") != "classification":
        message = f"{run} is of a {facts.get('task', 'segmentation')}, which knows no classes"
        raise DataError(Finding("no-classifier", "error", message))
    names = tuple(facts["names"])
    with torch.random.fork_rng(devices=[]):
        network, _ = make_network(facts["model"], len(names))
    network.load_state_dict(versioned(network, weights))
    size = (facts["size"][0], facts["size"][1])
    return TrainedClassifier(network.eval(), facts["model"], size, names, digest)


def load_segmenter(run: Path, device: torch.device) -> Segmenter:
    """The same, ready for use on a device.

    Raises:
        DataError: as [`load_trained`][].
    """
    its = load_trained(run)
    model = placed(its.model, device)

    @torch.no_grad()
    def probabilities(images: Pictures) -> Float32[np.ndarray, "n k h w"]:
        batches = (torch.from_numpy(images[i : i + BATCH]) for i in range(0, len(images), BATCH))
        found = [model(to_input(batch, device)).float().softmax(1).cpu() for batch in batches]
        return torch.cat(found).numpy()

    def maps(images: Pictures, sizes: Sizes) -> list[UInt8[np.ndarray, "_ _"]]:
        found = segment(model, images, sizes, device, its.min_area, BATCH)
        return [m.cpu().numpy() for m in found]

    return Segmenter(its.size, its.label_map, its.min_area, its.digest, probabilities, maps)


def load_classifier(run: Path, device: torch.device) -> Classifier:
    """The same of a classification.

    Raises:
        DataError: as [`load_trained_classifier`][].
    """
    its = load_trained_classifier(run)
    network = placed(its.network, device)

    def batch(pictures: Small) -> Float[Tensor, "b 3 h w"]:
        if len({picture.shape for picture in pictures}) == 1:
            return prepared(torch.from_numpy(np.stack(pictures)), its.size, device)
        alone = (torch.from_numpy(picture[None]) for picture in pictures)
        return torch.cat([prepared(picture, its.size, device) for picture in alone])

    @torch.no_grad()
    def probabilities(pictures: Small) -> Float32[np.ndarray, "n k"]:
        starts = range(0, len(pictures), _BATCH_OF_CLASSES)
        batches = (batch(pictures[i : i + _BATCH_OF_CLASSES]) for i in starts)
        found = [network(images).float().softmax(1).cpu() for images in batches]
        return torch.cat([torch.zeros(0, len(its.names)), *found]).numpy()

    return Classifier(its.size, its.names, its.digest, probabilities)
