"""A training that takes milliseconds: a small network fits lines."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.config.recipe_records import Training
from headstart.config.recipes import DEFAULT
from headstart.seeding import generator
from headstart.training.batch_source import Batches, BatchSource
from headstart.training.fit import State, fit
from tests.tiny_runs import Silent

CPU = torch.device("cpu")
COUNT, STEPS = 10, 3


def lines(nan_at: int | None = None) -> Batches:
    """Lines to be fitted, with noise that depends on the step and a score that comes and goes."""
    x = torch.from_numpy(generator(0, "x").random((COUNT, 4))).float()
    y = x.sum(1, keepdim=True)
    seen = {"step": 0}

    def batch(indices: np.ndarray, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        seen["step"] = step
        noise = torch.from_numpy(generator(0, "augment", step).random((len(indices), 4))).float()
        return x[indices] + 0.1 * noise, y[indices]

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        factor = math.nan if seen["step"] == nan_at else 1.0
        return nn.functional.mse_loss(output, target) * factor

    @torch.no_grad()
    def validate(model: nn.Module, stop) -> dict[str, float] | None:
        if stop():
            return None
        model.eval()
        value = nn.functional.mse_loss(model(x), y).item()
        return {"loss": value, "dice": 1 / (1 + value), "collapsed": False}

    return Batches(tuple(f"frame{i}" for i in range(COUNT)), None, batch, loss, validate)


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1)
    )


def short(base: Any = DEFAULT, **changes: object) -> Any:
    return base.model_copy(update={"batch": 4, "epochs": 5, "steps": None, **changes})


def fitted(
    folder: Path,
    recipe: Training,
    stop_at: int | None = None,
    source: BatchSource | None = None,
    listener: Silent | None = None,
    seconds: float = 1e9,
    steps: int | None = None,
) -> tuple[State, nn.Module]:
    model, listener, steps = small_model(), listener or Silent(), steps or recipe.epochs * STEPS
    state = fit(
        model, source or lines(), recipe, seed=1, steps=steps, device=CPU, folder=folder,
        stop=lambda: stop_at is not None and len(listener.steps) >= stop_at,
        listener=listener, checkpoint_seconds=seconds,
    )  # fmt: skip
    return state, model


def same(a: State, b: State) -> bool:
    assert a.best_weights is not None and b.best_weights is not None
    return (
        a.history == b.history
        and a.best == b.best
        and all(torch.equal(a.best_weights[k], b.best_weights[k]) for k in a.best_weights)
    )
