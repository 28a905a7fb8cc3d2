"""Where to compute."""

from __future__ import annotations

import torch

from headstart.errors import Finding, UsageError


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
