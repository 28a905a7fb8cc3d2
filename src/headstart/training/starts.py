"""Starts: read initial weights, and copy them into a network.

Tensors are copied by name and shape. The result lists which tensors were copied, adapted, left new
or not used; a start of which nothing fits, or that belongs to another network, is an error.

The head is copied only if it predicts the same classes, or if the file does not name its classes.
The network's ``mean`` and ``std``, which standardise pictures, are never copied: they belong to the
recipe, so that all starts of a study see the same inputs.
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

from headstart.config.start_names import IMAGENET
from headstart.errors import DataError, Finding
from headstart.models.classifiers import versioned
from headstart.models.encoder_unet import EncoderUNet, beside_encoder
from headstart.models.packaged_weights import packaged_file, with_timm_names
from headstart.models.published import fetch_published
from headstart.models.unet import UNet
from headstart.records.run_records import WEIGHTS
from headstart.records.vouching import content_of, holds_run, read_record
from headstart.training.wrappers import unwrapped, wrapper_of

_NOT_WEIGHTS = ("mean", "std")
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_SHOWN = 3
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")


@dataclass(frozen=True)
class Source:
    """Weights that a network can start from.

    Attributes:
        name: name of the start in messages and tables.
        weights: tensors on the CPU, by name.
        classes: class names of the head; empty for a pretext, None if the file does not name them.
        sha256: hash of the file.
    """

    name: str
    weights: dict[str, Tensor]
    classes: tuple[str, ...] | None
    sha256: str


@dataclass(frozen=True)
class Moved:
    """The tensors copied from a source to a network, by name.

    Attributes:
        name: name of the source.
        weights_sha256: hash of its file; None for ``scratch``.
        moved: tensors copied unchanged, in the network's order.
        adapted: tensors copied in another shape (a first layer for grey pictures into one for
            colour), in the network's order.
        fresh: tensors of the network that stay new, in the network's order.
        unused: tensors of the source that were not copied, sorted.
        prefix: of a wrapper, taken off the names of the source; empty if there was none.
    """

    name: str
    weights_sha256: str | None = None
    moved: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    prefix: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a dict, with names as lists; without an empty prefix."""
        content = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return content if self.prefix else {k: v for k, v in content.items() if k != "prefix"}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a user should know about the names in the source."""
        if not self.prefix:
            return ()
        message = f"the prefix {self.prefix} was taken off the tensors' names in {self.name}"
        return (Finding("prefix-taken-off", "info", message),)

    def __str__(self) -> str:
        if self.weights_sha256 is None:
            return "start: scratch, all weights new"
        parts = [f"{len(self.moved)} tensors copied"]
        kinds = (("adapted", self.adapted), ("new", self.fresh), ("unused", self.unused))
        parts += [f"{len(names)} {kind} ({_few(names)})" for kind, names in kinds if names]
        return f"start: {self.name}: {', '.join(parts)}"


def _few(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def read_source(path: Path, name: str) -> Source:
    """Read weights from a safetensors file, or a ``.pth``, ``.pt`` or ``.ckpt`` of weights only.

    Args:
        path: the file.
        name: name of the start in messages and tables.

    Raises:
        DataError: the file cannot be read, is a run's and not the one in its manifest, or holds
            anything but named tensors.
    """
    if not path.is_file():  # reading a pipe or a device might never end
        odd = "not a regular file, expected a file of weights" if path.exists() else "no such file"
        raise DataError(Finding("no-weights", "error", f"the start {path}: {odd}"))
    of_run = path.name == WEIGHTS and holds_run(path.parent)
    content = read_record(path.parent, path.name) if of_run else content_of(path)
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix in (".pth", ".pt", ".ckpt"):
        return Source(name, _read_pickled(content, path), None, digest)
    try:
        weights = load_safetensors(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError):
        message = f"the start {path} is damaged, or is not a safetensors file"
        hint = "give a .safetensors file, or a .pth, .pt or .ckpt file with weights only"
        raise DataError(Finding("bad-weights", "error", message, hint)) from None
    return Source(name, _present_names(weights), _classes(header, path), digest)


def read_published(network: str) -> Source:
    """Read the published ImageNet weights of a network, under the names of its own tensors.

    Raises:
        MissingExtraError, UsageError, DataError: as
            [`headstart.models.published.fetch_published`][].
    """
    source = read_source(fetch_published(network), IMAGENET)
    if packaged_file(network) is not None:  # then that is the file
        return replace(source, weights=with_timm_names(source.weights, network))
    return source


def _classes(header: dict[str, Any], path: Path) -> tuple[str, ...] | None:
    """Return the class names of the head from a safetensors header; None if it has none."""
    if (facts := header.get("__metadata__", {}).get("headstart")) is None:
        return None
    try:
        return tuple(map(str, json.loads(facts).get("names", ())))
    except (ValueError, TypeError, AttributeError):
        message = f"the headstart metadata of the start {path} cannot be read"
        hint = "save the weights again, with or without this metadata"
        raise DataError(Finding("bad-weights", "error", message, hint)) from None


def _read_pickled(content: bytes, path: Path) -> dict[str, Tensor]:
    hint = "save the weights as safetensors, or with torch.save(model.state_dict(), path)"
    try:
        with warnings.catch_warnings(action="ignore"):  # about files that are refused anyway
            content_read = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as e:  # unpickling damaged bytes can raise any exception
        message = f"the start {path} is not a file of weights only: {_reason(e)}"
        raise DataError(Finding("bad-weights", "error", message, hint)) from None
    for wrapper in _WRAPPERS:
        if isinstance(content_read, dict) and isinstance(content_read.get(wrapper), dict):
            content_read = content_read[wrapper]
    only_tensors = isinstance(content_read, dict) and all(
        isinstance(k, str) and isinstance(v, Tensor) and _plain(v) for k, v in content_read.items()
    )
    if not only_tensors or not content_read:
        message = f"the start {path} does not hold named tensors, dense and of real numbers"
        raise DataError(Finding("bad-weights", "error", message, hint))
    return _present_names(content_read)


def _reason(error: Exception) -> str:
    """Say why a file is refused; torch's own message suggests running untrusted code."""
    words = str(error).strip()
    if match := re.search(r"GLOBAL ([\w.]+)", words):
        return f"it holds {match[1]}, which is not a tensor"
    if "TorchScript" in words:
        return "it is a TorchScript archive"
    if words.startswith("Weights only load failed"):
        return "it holds objects other than tensors"
    return words.splitlines()[0][:120] if words else type(error).__name__


def _plain(tensor: Tensor) -> bool:
    """Return whether a tensor is dense, in memory, and of real numbers."""
    dense = tensor.layout is torch.strided and tensor.device.type == "cpu"
    return dense and not (tensor.is_quantized or tensor.is_complex())


def _present_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert the names of an old DenseNet."""
    return {_OLD_DENSENET.sub(r"\1\2", name): t for name, t in weights.items()}


def move(
    model: nn.Module,
    source: Source,
    classes: tuple[str, ...],
    head: str | tuple[str, ...] = "head.",
    whole: bool = False,
) -> Moved:
    """Copy a source's weights into ``model``, by name and shape.

    The prefix of a wrapper is taken off first, see [`headstart.training.wrappers`][].

    Args:
        model: network with new weights; changed in place.
        source: the weights.
        classes: class names of the model's head.
        head: prefix, or prefixes, of the tensors that are copied only if all of them fit.
        whole: whether every other tensor must have a counterpart, as in published weights.

    Returns:
        The tensors copied.

    Raises:
        DataError: no tensor fits, a tensor outside the head has another shape, a value is not
            finite, the source's names have a prefix that others lack, or, with ``whole``, a tensor
            has no counterpart. The model is unchanged.
    """
    own = {n: t for n, t in model.state_dict().items() if n not in _NOT_WEIGHTS}
    beside_head = [name for name in own if not name.startswith(head)]
    weights, prefix = unwrapped(source.weights, beside_head, source.name)
    source = replace(source, weights=dict(weights))
    same_head = source.classes is None or source.classes == classes
    head_fits = same_head and all(
        name in source.weights and source.weights[name].shape == tensor.shape
        for name, tensor in own.items()
        if name.startswith(head)
    )
    report = Moved(source.name, source.sha256, prefix=prefix)
    taken: dict[str, Tensor] = {}
    wrong, missing = [], []
    for name, tensor in own.items():
        counterpart = source.weights.get(name)
        if counterpart is None or (name.startswith(head) and not head_fits):
            report = replace(report, fresh=(*report.fresh, name))
            if not name.startswith(head) and not name.endswith(_COUNTER):
                missing.append(name)
        elif counterpart.shape == tensor.shape:
            taken[name] = counterpart
            report = replace(report, moved=(*report.moved, name))
        elif _is_grey_layer(name, counterpart, tensor):
            taken[name] = counterpart.expand_as(tensor) / tensor.shape[1]
            report = replace(report, adapted=(*report.adapted, name))
        else:
            wrong.append(f"{name} {tuple(counterpart.shape)}, expected {tuple(tensor.shape)}")
    # sorted, as safetensors returns tensors in an order that varies
    unused = tuple(sorted(n for n in source.weights if n not in taken and n not in _NOT_WEIGHTS))
    fits = any(n.endswith("weight") for n in taken)
    if whole and fits:
        heads = (head,) if isinstance(head, str) else head
        surplus = [n for n in unused if not n.startswith((*heads, *_AUXILIARY))]
        wrong += [f"{name} is missing" for name in missing]
        wrong += [f"{name} is not in this network" for name in surplus if name not in own]
    if wrong:
        rest = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        message = (
            f"the start {source.name} belongs to another network: {'; '.join(wrong[:_SHOWN])}{rest}"
        )
        hint = "use the --model and --width that the start was trained with"
        raise DataError(Finding("shapes-differ", "error", message, hint))
    if not fits:
        names, expected = sorted(source.weights)[:_SHOWN], list(own)[:_SHOWN]
        message = (
            f"no tensor of the start {source.name} fits this network: it holds {names}, expected "
            f"{expected}"
        )
        hint = (
            "use the --model that the start was trained with; a segmentation takes a classifier as "
            "its encoder"
        )
        raise DataError(Finding("nothing-moved", "error", message, hint))
    fitting = {n: t.to(own[n].dtype) for n, t in taken.items()}
    if spoiled := [n for n, t in fitting.items() if not t.isfinite().all()]:
        message = f"the start {source.name} holds NaN or infinite values, in {_few(spoiled)}"
        hint = "its training diverged: use weights from before that"
        raise DataError(Finding("bad-weights", "error", message, hint))
    model.load_state_dict(versioned(model, fitting), strict=False)
    return replace(report, unused=unused)


def start_of(model: UNet | EncoderUNet, source: Source, classes: tuple[str, ...]) -> Moved:
    """Copy a source's weights into a segmentation network.

    The source is a segmentation network or, for a network with an encoder, the classifier that
    serves as the encoder, with its library's names; then all but the classifier's head is copied.

    Args:
        model: network with new weights; changed in place.
        source: the weights.
        classes: class names of the model's head.

    Raises:
        DataError: as [`move`][].
    """
    if not isinstance(model, EncoderUNet):
        return move(model, source, classes)
    decoder = [n for n in model.state_dict() if not n.startswith((_ENCODER, *_NOT_WEIGHTS))]
    if wrapper_of(source.weights, decoder) is not None:
        # whole: other networks of the family share some names and shapes
        return move(model, source, classes, whole=True)
    report = move(model.encoder, source, (), beside_encoder(model.name), whole=True)
    moved, adapted, fresh = (
        tuple(_ENCODER + name for name in names)
        for names in (report.moved, report.adapted, report.fresh)
    )
    return replace(report, moved=moved, adapted=adapted, fresh=(*fresh, *decoder))


_ENCODER = "encoder."
_COUNTER = "num_batches_tracked"  # missing in old files, and without effect
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")  # Inception's auxiliary heads, used in training only


def _is_grey_layer(name: str, counterpart: Tensor, tensor: Tensor) -> bool:
    """Return whether the counterpart of a first layer for colour is one for grey pictures."""
    return name == "encoder.0.0.weight" and counterpart.shape == (
        tensor.shape[0],
        1,
        *tensor.shape[2:],
    )
