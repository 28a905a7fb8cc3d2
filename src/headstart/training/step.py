"""One optimizer step: its pictures, its learning rate, forward and backward pass, and update."""

from __future__ import annotations

import inspect
import math

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from headstart.config.recipe_records import Training
from headstart.data.batches import batch_indices
from headstart.seeding import key
from headstart.training.batch_source import BatchSource


def learning_rate(recipe: Training, step: int, steps: int) -> float:
    """Return the learning rate of one step.

    Args:
        recipe: schedule and base learning rate.
        step: number of steps before this one.
        steps: number of steps of all epochs.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule == "step":
        epochs = step * recipe.epochs // steps
        return recipe.learning_rate * recipe.gamma ** (epochs // recipe.step_size)
    rise = recipe.warmup * steps
    if step < rise:
        return recipe.learning_rate * (step + 1) / (rise + 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


class _Uncompiled(torch.optim.Optimizer):
    """The methods of Adam and AdamW without what tells torch's compiler to pass over them.

    Telling it loads it, which takes a second or more, and nothing is compiled here.
    torchvision and timm load it themselves.
    """

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class _Adam(_Uncompiled, torch.optim.Adam):
    """Adam."""


class _AdamW(_Uncompiled, torch.optim.AdamW):
    """AdamW."""


def make_optimizer(model: nn.Module, recipe: Training) -> torch.optim.Optimizer:
    """Return a fused Adam or AdamW over the weights that require gradients."""
    weights = [p for p in model.parameters() if p.requires_grad]
    kind = _AdamW if recipe.optimizer == "adamw" else _Adam
    return kind(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


def indices_of(
    source: BatchSource, recipe: Training, seed: int, step: int, steps: int
) -> Int64[np.ndarray, "b"]:
    """Return the pictures of one step, as indices into ``source.names``."""
    an_epoch = steps // recipe.epochs  # matters only where an epoch is a pass
    args = (seed, len(source.names), recipe.batch, step, an_epoch, recipe.epoch, source.weights)
    return batch_indices(*args)


def take_step(
    model: nn.Module,
    averaged: nn.Module,
    source: BatchSource,
    recipe: Training,
    optimizer: torch.optim.Optimizer,
    *,
    seed: int,
    step: int,
    steps: int,
    device: torch.device,
    not_finite: Float[Tensor, ""],
) -> tuple[Float[Tensor, ""], int]:
    """Take one optimizer step; return its loss and the number of pictures.

    Args:
        model: network on ``device``, in training mode.
        averaged: see [`BatchSource.step`][headstart.training.batch_source.BatchSource.step].
        source: batches and their losses.
        recipe: hyper-parameters.
        optimizer: of the model's weights.
        seed: seed of the order of pictures and of dropout.
        step: number of steps before this one.
        steps: number of steps of all epochs.
        device: device to train on.
        not_finite: set to 1 if the loss or a gradient is not finite.
    """
    indices = indices_of(source, recipe, seed, step, steps)
    _seed(key(seed, "step", step), device)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(recipe, step, steps)
    loss = source.step(model, averaged, indices, step)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    not_finite.logical_or_(~torch.isfinite(loss + norm))
    # Apple's fused optimizer ignores found_inf (https://github.com/pytorch/pytorch/pull/186360)
    if device.type != "mps" or not not_finite.item():
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach(), len(indices)


def _seed(number: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of the device.

    ``torch.manual_seed`` formats a stack trace for each kind of device that is not in use, which
    takes longer than a step on cached features.
    """
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)
