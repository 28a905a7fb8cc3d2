"""The prefix that a wrapper has put before the names of a network's tensors.

DataParallel writes ``module.``, `torch.compile` ``_orig_mod.``, Lightning and many training scripts
the attribute that held the network: ``model.``, ``backbone.``, ``encoder.``. One constant prefix,
several nested ones included, is taken off if it explains the names of all tensors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from torch import Tensor

from headstart.errors import DataError, Finding

_SHOWN = 3
_LEAST = 0.5  # of a network's names; chance finds a few (every ResNet block has a conv1)


def wrapper_of(names: Collection[str], own: Collection[str]) -> str | None:
    """Return the prefix under which ``names`` hold most of a network's names.

    Returns:
        The prefix, empty where the names are the network's own; None where under no prefix at least
        half of the network's names are found.

    >>> wrapper_of(["module.a.weight", "module.b.weight", "step"], ["a.weight", "b.weight"])
    'module.'
    >>> wrapper_of(["c.weight"], ["a.weight", "b.weight"]) is None
    True
    """
    known, found = frozenset(own), Counter[str]()
    for name in names:
        parts = name.split(".")
        for k in range(len(parts)):
            if ".".join(parts[k:]) in known:
                found["".join(f"{part}." for part in parts[:k])] += 1
    prefix, count = max(found.items(), key=lambda item: (item[1], -len(item[0])), default=("", 0))
    return prefix if count >= _LEAST * max(1, len(known)) else None


def unwrapped(
    weights: Mapping[str, Tensor], own: Collection[str], start: str
) -> tuple[Mapping[str, Tensor], str]:
    """Return weights without the prefix of a wrapper, and the prefix; empty if there is none.

    Args:
        weights: tensors by name.
        own: the network's names, without those of its head.
        start: name of the start, for the error.

    Raises:
        DataError: most of the network's tensors have a prefix that others in the file lack.
    """
    prefix = wrapper_of(weights, own)
    if not prefix:
        return weights, ""
    others = sorted(name for name in weights if not name.startswith(prefix))
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        message = (
            f"the start {start} holds the network's tensors under {prefix}, and "
            f"{len(others)} tensors without this prefix: {', '.join(others[:_SHOWN])}{more}"
        )
        hint = f"save only the tensors whose names begin with {prefix}, with or without the prefix"
        raise DataError(Finding("wrapped-weights", "error", message, hint))
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items()}, prefix
