"""Device, memory format and precision of pictures and weights."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from headstart.config.records import PretextConfig, RunConfig
from headstart.system.devices import moved

AnyModel = TypeVar("AnyModel", bound=nn.Module)


def layout(device: torch.device) -> torch.memory_format:
    """Return the memory format: channels last on a GPU or a CPU with AVX-512.

    On a CPU with AVX-512, channels last is over a quarter faster. On one without, it is no faster
    at 64 x 80 and a fifth slower at 256 x 320 (docs/results/README.md, Speed).
    """
    wide = device.type == "cuda" or torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.channels_last if wide else torch.contiguous_format


def placed(model: AnyModel, device: torch.device) -> AnyModel:
    """Move a model to the device, in the device's [`layout`][]."""
    return model.to(device, memory_format=layout(device))  # type: ignore[call-overload,no-any-return]


def to_input(images: UInt8[Tensor, "b c h w"], device: torch.device) -> Float[Tensor, "b c h w"]:
    """Move pictures to the device as floats in ``[0, 1]``, in the device's [`layout`][]."""
    return moved(images, device).to(torch.float32, memory_format=layout(device)).div_(255)


def resident(data: Tensor, device: torch.device) -> Tensor:
    """Move data to the device if they fit into a quarter of its free memory.

    Larger data stay in main memory or memory-mapped.
    """
    if device.type != "cuda":
        return data
    free, _ = torch.cuda.mem_get_info(device)
    return data.to(device) if data.nbytes <= free // 4 else data


def rows(data: Tensor, indices: Int64[np.ndarray, "b"]) -> Tensor:
    """Return ``data[indices]`` on the data's device, without waiting for the device."""
    return data[moved(torch.from_numpy(indices), data.device)]


def exact(device: torch.device) -> torch.dtype:
    """Return the type of sums over batches: float64; float32 on Apple's GPUs, which lack it."""
    return torch.float32 if device.type == "mps" else torch.float64


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def device_here(name: str) -> torch.device:
    """Return the device of a run's configuration, or the CPU if this machine does not have it.

    For predictions with networks that a cluster trained: the login node may have no GPU.
    """
    is_here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    return torch.device(name if is_here[name] else "cpu")


def in_bfloat16(config: RunConfig | PretextConfig) -> bool:
    """Return whether a run trains in bfloat16."""
    if config.precision is None:  # of an older version
        return low_precision(torch.device(config.device))
    return config.precision == "bfloat16"


def low_precision(device: torch.device) -> bool:
    """Return whether a device is a GPU that multiplies bfloat16 without emulation."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
