"""The device to compute on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.errors import Finding, UsageError

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> torch.device:
    """Return the device called ``"cpu"`` or ``"cuda"``; ``"auto"`` prefers CUDA.

    Raises:
        UsageError: the name is unknown, or CUDA is not available.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        message = f"there is no device {name}; expected cpu, cuda or auto"
        raise UsageError(Finding("unknown-device", "error", message))
    if name == "cuda" and not torch.cuda.is_available():
        message = f"no CUDA device is available to torch {torch.__version__}"
        raise UsageError(Finding("no-cuda", "error", message, "use --device cpu"))
    use_cuda = name != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_cuda else "cpu")
