"""Starts: from where the initial weights come, and what of them moved.

Weights move by name and shape. What moved, what was adapted, what stayed fresh and what was not
used is told; a start that moves nothing, or that belongs to another network, is an error.

The head moves only where it means the same: from a segmentation into the same classes, or from a
file that does not say what it is. The standardisation of pictures (the network's ``mean`` and
``std``) is the recipe's and never moves: starts that are compared see the same pictures.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from headstart.errors import DataError, Finding
from headstart.models.classifiers import versioned
from headstart.models.encoder_unet import EncoderUNet, beside_encoder
from headstart.models.unet import UNet

_NOT_WEIGHTS = ("mean", "std")
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_SHOWN = 3
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")


@dataclass(frozen=True)
class Source:
    """Weights from somewhere.

    Attributes:
        name: how they are called in messages and tables.
        weights: by name, on the CPU.
        classes: names of the classes its head tells apart; empty for a pretext, None where the
            file does not say.
        sha256: of the file.
    """

    name: str
    weights: dict[str, Tensor]
    classes: tuple[str, ...] | None
    sha256: str


@dataclass(frozen=True)
class Moved:
    """What became of a source's weights; names of tensors, in the network's order or sorted.

    Attributes:
        name: of the source.
        weights_sha256: of its file; None for ``scratch``.
        moved: taken over as they are.
        adapted: taken over in another shape (a first layer for grey pictures into one for colour).
        fresh: new, as from scratch.
        unused: in the source, without a place here.
    """

    name: str
    weights_sha256: str | None = None
    moved: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As an object, the names as lists."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def __str__(self) -> str:
        if self.weights_sha256 is None:
            return "start: scratch, all weights are new"
        parts = [f"{len(self.moved)} tensors moved"]
        for word, names in (("adapted", self.adapted), ("fresh", self.fresh)):
            if names:
                parts.append(f"{len(names)} {word} ({_few(names)})")
        if self.unused:
            parts.append(f"{len(self.unused)} unused ({_few(self.unused)})")
        return f"start: {self.name}: {', '.join(parts)}"


def _few(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def read_source(path: Path, name: str) -> Source:
    """Weights from a safetensors file, or from a ``.pth`` or ``.pt`` file that holds weights only.

    Raises:
        DataError: the file cannot be read, or holds anything but tensors by name.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe may hang, a device never end
            raise OSError(0, "a pipe or a device, expected a file of weights")
        content = path.read_bytes()
    except OSError as e:
        message = f"the start {path}: {e.strerror}"
        raise DataError(Finding("no-weights", "error", message)) from None
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix in (".pth", ".pt"):
        return Source(name, _read_pickled(content, path), None, digest)
    try:
        weights = load_safetensors(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError):
        message = f"the start {path} is damaged, or no safetensors file"
        hint = "expected .safetensors, or .pth or .pt with weights only"
        raise DataError(Finding("bad-weights", "error", message, hint)) from None
    return Source(name, _plain_names(weights), _classes(header, path), digest)


def _classes(header: dict[str, Any], path: Path) -> tuple[str, ...] | None:
    """What the head of weights in a safetensors file tells apart, by the file's header."""
    if (ours := header.get("__metadata__", {}).get("headstart")) is None:
        return None
    try:
        return tuple(map(str, json.loads(ours).get("names", ())))
    except (ValueError, TypeError, AttributeError):
        message = f"what the start {path} says of its classes, under headstart, is not understood"
        raise DataError(Finding("bad-weights", "error", message, "save it anew")) from None


def _read_pickled(content: bytes, path: Path) -> dict[str, Tensor]:
    hint = "save it as safetensors, or with torch.save(model.state_dict(), path)"
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is refused anyway
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as e:  # unpickling raises nearly everything on nearly random bytes
        message = f"the start {path} cannot be read as weights only: {_reason(e)}"
        raise DataError(Finding("bad-weights", "error", message, hint)) from None
    for wrapper in _WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    tensors = isinstance(found, dict) and all(
        isinstance(k, str) and isinstance(v, Tensor) and _plain(v) for k, v in found.items()
    )
    if not tensors or not found:
        message = f"the start {path} holds no tensors by name, dense and of real numbers"
        raise DataError(Finding("bad-weights", "error", message, hint))
    return _plain_names(found)


def _reason(error: Exception) -> str:
    """Why a file is no weights; torch's own words advise to run what it holds."""
    words = str(error).strip()
    if found := re.search(r"GLOBAL ([\w.]+)", words):
        return f"it holds {found[1]}, which is no tensor"
    if "TorchScript" in words:
        return "it is a TorchScript archive"
    if words.startswith("Weights only load failed"):
        return "it holds other things than tensors"
    return words.splitlines()[0][:120] if words else type(error).__name__


def _plain(tensor: Tensor) -> bool:
    """Whether its values are there, every one, and real."""
    dense = tensor.layout is torch.strided and tensor.device.type == "cpu"
    return dense and not (tensor.is_quantized or tensor.is_complex())


def _plain_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what DataParallel puts before every name; DenseNet's old names as they are now."""
    weights = {_OLD_DENSENET.sub(r"\1\2", name): t for name, t in weights.items()}
    if weights and all(name.startswith("module.") for name in weights):
        return {name.removeprefix("module."): t for name, t in weights.items()}
    return weights


def move(
    model: nn.Module,
    source: Source,
    classes: tuple[str, ...],
    head: str | tuple[str, ...] = "head.",
    whole: bool = False,
) -> Moved:
    """Puts a source's weights into ``model``, by name and shape.

    Args:
        model: with new weights; changed in place.
        source: where the weights come from.
        classes: what the model's head tells apart.
        head: how the names of its tensors begin; or of several parts that are no part of what
            moves.
        whole: every tensor outside the head must have its counterpart, as in published weights.

    Returns:
        What moved.

    Raises:
        DataError: nothing moves, tensors of one name differ in shape outside the head, or, with
            ``whole``, some have no counterpart; or values are not finite. The first few are named.
            The model is then as it was.
    """
    own = {n: t for n, t in model.state_dict().items() if n not in _NOT_WEIGHTS}
    same_head = source.classes is None or source.classes == classes
    head_fits = same_head and all(
        name in source.weights and source.weights[name].shape == tensor.shape
        for name, tensor in own.items()
        if name.startswith(head)
    )
    report = Moved(source.name, source.sha256)
    taken: dict[str, Tensor] = {}
    wrong, missing = [], []
    for name, tensor in own.items():
        given = source.weights.get(name)
        if given is None or (name.startswith(head) and not head_fits):
            report = replace(report, fresh=(*report.fresh, name))
            if not name.startswith(head) and not name.endswith(_COUNTER):
                missing.append(name)
        elif given.shape == tensor.shape:
            taken[name] = given
            report = replace(report, moved=(*report.moved, name))
        elif _of_grey(name, given, tensor):
            taken[name] = given.expand_as(tensor) / tensor.shape[1]
            report = replace(report, adapted=(*report.adapted, name))
        else:
            wrong.append(f"{name} {tuple(given.shape)}, expected {tuple(tensor.shape)}")
    # sorted, for a safetensors file gives its tensors in another order each time
    unused = tuple(sorted(n for n in source.weights if n not in taken and n not in _NOT_WEIGHTS))
    fits = any(n.endswith("weight") for n in taken)
    if whole and fits:
        heads = (head,) if isinstance(head, str) else head
        strange = [n for n in unused if not n.startswith((*heads, *_AUXILIARY))]
        wrong += [f"{name} is missing" for name in missing]
        wrong += [f"{name} has no place here" for name in strange if name not in own]
    if wrong:
        rest = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        message = (
            f"the start {source.name} is of another network: {'; '.join(wrong[:_SHOWN])}{rest}"
        )
        hint = "train with the --width and --model that the start was made with, or make it anew"
        raise DataError(Finding("shapes-differ", "error", message, hint))
    if not fits:
        there, here = sorted(source.weights)[:_SHOWN], list(own)[:_SHOWN]
        message = f"nothing of the start {source.name} fits: it holds {there}, expected {here}"
        hint = (
            "the names of its tensors must be those of this network: give the --model it was made "
            "with, which a segmentation takes as its encoder"
        )
        raise DataError(Finding("nothing-moved", "error", message, hint))
    fitting = {n: t.to(own[n].dtype) for n, t in taken.items()}
    if spoiled := [n for n, t in fitting.items() if not t.isfinite().all()]:
        message = f"the start {source.name} holds infinite values or NaN, in {_few(spoiled)}"
        hint = "its own training went astray: give weights from before that"
        raise DataError(Finding("bad-weights", "error", message, hint))
    model.load_state_dict(versioned(model, fitting), strict=False)
    return replace(report, unused=unused)


def start_of(model: UNet | EncoderUNet, source: Source, classes: tuple[str, ...]) -> Moved:
    """Puts a source's weights into a network for segmentation.

    They are those of such a network; or, where it has a classifier as its encoder, the classifier's
    own, in torchvision's names: then the encoder takes all of them but the classifier's head.

    Args:
        model: with new weights; changed in place.
        source: where the weights come from.
        classes: what the model's head tells apart.

    Raises:
        DataError: as [`move`][].
    """
    if not isinstance(model, EncoderUNet):
        return move(model, source, classes)
    if any(name.startswith(_ENCODER) for name in source.weights):
        # Whole: networks of one family have parts of the same names and shapes.
        return move(model, source, classes, whole=True)
    its = move(model.encoder, source, (), beside_encoder(model.name), whole=True)
    moved, adapted, fresh = (
        tuple(_ENCODER + name for name in names) for names in (its.moved, its.adapted, its.fresh)
    )
    new = (n for n in model.state_dict() if not n.startswith((_ENCODER, *_NOT_WEIGHTS)))
    return replace(its, moved=moved, adapted=adapted, fresh=(*fresh, *new))


_ENCODER = "encoder."
_COUNTER = "num_batches_tracked"  # which old files of weights lack, and nothing depends on
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")  # heads of Inception that help to train it, no more


def _of_grey(name: str, given: Tensor, tensor: Tensor) -> bool:
    """Whether it is a first layer for grey pictures, where one for colour is wanted."""
    return name == "encoder.0.0.weight" and given.shape == (
        tensor.shape[0],
        1,
        *tensor.shape[2:],
    )
