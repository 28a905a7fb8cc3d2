"""The device to compute on."""

from __future__ import annotations

from typing import Literal

from headstart.errors import Finding, UsageError

DeviceName = Literal["cpu", "cuda"]


def pick_device(name: str) -> DeviceName:
    """Return the device called ``"cpu"`` or ``"cuda"``; ``"auto"`` prefers CUDA.

    torch is loaded only to look for CUDA: ``"cpu"`` is answered without it.

    Raises:
        UsageError: the name is unknown, or CUDA is not available.
    """
    if name not in ("auto", "cpu", "cuda"):
        message = f"there is no device {name}; expected cpu, cuda or auto"
        raise UsageError(Finding("unknown-device", "error", message))
    if name == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        message = f"no CUDA device is available to torch {torch.__version__}"
        raise UsageError(Finding("no-cuda", "error", message, "use --device cpu"))
    return "cpu"
