"""A trained network, with what it takes to use it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from headstart.checkpoint import load_weights
from headstart.data.label_map import LabelMap
from headstart.errors import DataError, Finding, UsageError
from headstart.models.unet import UNet
from headstart.tasks import placed


@dataclass(frozen=True)
class Segmenter:
    """A trained network with what it takes to use it.

    Attributes:
        model: maps pictures in ``[0, 1]`` to logits.
        size: height and width it was trained at, to which pictures are brought.
        label_map: its classes.
        min_area: see [`class_maps`][headstart.tasks.class_maps].
        digest: SHA-256 of the weights file.
    """

    model: UNet
    size: tuple[int, int]
    label_map: LabelMap
    min_area: float
    digest: str


def load_segmenter(run: Path, device: torch.device) -> Segmenter:
    """The network a finished run has trained.

    Raises:
        DataError: ``run`` is no finished run of a segmentation.
    """
    path = run / "weights.safetensors"
    if not run.is_dir():
        message = f"there is no run folder {run}"
        raise DataError(Finding("no-run", "error", message, "train one: headstart train DATA"))
    if not path.exists():
        message = f"{run} holds no weights.safetensors; expected a finished run"
        hint = "give the same train command again: it continues"
        raise DataError(Finding("no-weights", "error", message, hint))
    weights, facts = load_weights(path)
    if facts.get("task") == "pretext":
        message = f"{run} holds a pretext ({facts['pretext']}), which segments nothing"
        hint = f"train from it: headstart train DATA --start {run}"
        raise DataError(Finding("is-a-pretext", "error", message, hint))
    if facts.get("task") == "classification":
        message = f"{run} holds a classifier ({facts['model']}), which segments nothing"
        hint = "it can be used on pictures with a class"
        raise DataError(Finding("is-a-classifier", "error", message, hint))
    label_map = LabelMap(tuple(facts["names"]), tuple(facts["greys"]))
    model = UNet(len(label_map.names), facts["width"])
    model.load_state_dict(weights)
    model = placed(model, device).eval()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Segmenter(
        model, (facts["size"][0], facts["size"][1]), label_map, facts["min_area"], digest
    )


def pick_device(name: str) -> torch.device:
    """``"cpu"``, ``"cuda"``, or ``"auto"``: CUDA where there is a device.

    Raises:
        UsageError: another name, or CUDA where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        message = f"there is no device {name}; expected cpu, cuda or auto"
        raise UsageError(Finding("unknown-device", "error", message))
    if name == "cuda" and not torch.cuda.is_available():
        message = f"no CUDA device is available to torch {torch.__version__}"
        raise UsageError(Finding("no-cuda", "error", message, "use --device cpu"))
    cuda = name != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if cuda else "cpu")
