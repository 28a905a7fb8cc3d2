"""The device to compute on, and the precision to train in."""

from __future__ import annotations

from typing import Literal

from headstart.errors import Finding, UsageError
from headstart.system.processor import multiplies_bfloat16

DeviceName = Literal["cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]


def pick_precision(device: DeviceName, segments: bool) -> Precision:
    """Return the precision to train in: bfloat16 where it was measured to be faster.

    That is on GPUs that multiply it and, for networks that segment, on CPUs that do (AVX-512 BF16,
    AMX). The choice follows from what the hardware says it has, never from a timing, so that a run
    can be repeated.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        segments: whether the network is a U-Net, with an encoder or without; classifiers were not
            measured on CPUs.
    """
    if device == "cpu":
        return "bfloat16" if segments and multiplies_bfloat16() else "float32"
    import torch

    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float32"


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
