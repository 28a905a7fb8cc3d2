"""What a long command would cost, before it is begun."""

from __future__ import annotations

import time

import torch

from headstart.config import PretextConfig, RunConfig
from headstart.fit import make_optimizer
from headstart.models.unet import UNet
from headstart.pretexts import PRETEXTS
from headstart.tasks import layout, low_precision, placed

_WARM_UP, _TIMED = 1, 3
_FIGURES = 1_500_000  # bytes of curves, predictions and records, about


def _model(config: RunConfig | PretextConfig, num_classes: int) -> UNet:
    if isinstance(config, PretextConfig):
        num_classes = PRETEXTS[config.pretext].channels
    return UNet(num_classes, config.width)


def seconds_per_step(config: RunConfig | PretextConfig, num_classes: int) -> float:
    """Of forward, backward and optimizer, timed now over three steps on made-up pictures.

    A run takes somewhat more: it also validates after each epoch.
    """
    torch.set_num_threads(config.threads)
    device = torch.device(config.device)
    model = placed(_model(config, num_classes), device)
    optimizer = make_optimizer(model, config.recipe)
    image = torch.rand(config.recipe.batch, 3, *config.size, device=device)
    image = image.contiguous(memory_format=layout(device))
    began = 0.0
    for step in range(_WARM_UP + _TIMED):
        if step == _WARM_UP:
            if device.type == "cuda":
                torch.cuda.synchronize()
            began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=low_precision(device)):
            model(image).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / _TIMED


def bytes_of_run(config: RunConfig | PretextConfig, num_classes: int) -> int:
    """Weights, figures and records of a finished run, without decoded pictures; about."""
    weights = sum(t.numel() for t in _model(config, num_classes).state_dict().values())
    return int(4 * weights + _FIGURES)
