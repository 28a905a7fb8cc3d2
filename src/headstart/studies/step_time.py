"""Measured time of a training step, and estimated size of a run, before training begins."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from headstart.config.records import PretextConfig, RunConfig
from headstart.tasks.lookup import task_named
from headstart.training.fit import make_optimizer
from headstart.training.placement import in_bfloat16, layout, placed

_WARM_UP, _TIMED = 1, 3
_FIGURES = 1_500_000  # approximate bytes of curves, predictions and records

Config = RunConfig | PretextConfig


def _parts(config: Config, num_classes: int) -> tuple[nn.Module | None, nn.Module]:
    """Return the frozen part or None, and the trained part; for ``staged``, of the last stage."""
    task = task_named(config.task)
    network = placed(task.new_network(config, num_classes), torch.device(config.device))
    return task.parts(network, config)


def _timed(config: Config, step: Callable[[], None]) -> float:
    """Return the seconds per call, measured over three calls after a warm-up."""
    began = 0.0
    for count in range(_WARM_UP + _TIMED):
        if count == _WARM_UP:
            if config.device == "cuda":
                torch.cuda.synchronize()
            began = time.perf_counter()
        step()
    if config.device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / _TIMED


def _pictures(config: Config) -> Tensor:
    device = torch.device(config.device)
    image = torch.rand(config.recipe.batch, 3, *config.size, device=device)
    return image.contiguous(memory_format=layout(device))


def seconds_per_step(config: Config, num_classes: int) -> float:
    """Measure the seconds of a training step on random pictures.

    A step is forward pass, backward pass and optimizer update. A run takes somewhat longer, as it
    also validates after each epoch.
    """
    torch.set_num_threads(config.threads)
    device = torch.device(config.device)
    frozen, rest = _parts(config, num_classes)
    optimizer = make_optimizer(rest, config.recipe)
    inputs = _pictures(config)
    if frozen is not None:
        with torch.no_grad():
            inputs = frozen(inputs)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16(config)):
            rest(inputs).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return _timed(config, step)


def seconds_of_features(config: Config, num_classes: int, pictures: int) -> float:
    """Estimate the seconds to run the frozen layers on the pictures; 0 if no layer is frozen."""
    torch.set_num_threads(config.threads)
    frozen, _ = _parts(config, num_classes)
    if frozen is None:
        return 0.0
    inputs, features = _pictures(config), frozen

    @torch.no_grad()
    def step() -> None:
        features(inputs)

    return _timed(config, step) * pictures / config.recipe.batch


def bytes_of_run(config: Config, num_classes: int) -> int:
    """Estimate the size of a finished run in bytes, without cached pictures."""
    with torch.device("meta"):  # shapes only, without allocating weights
        network = task_named(config.task).new_network(config, num_classes)
    weights = sum(t.numel() for t in network.state_dict().values())
    return int(4 * weights + _FIGURES)
