"""The training loop, which can stop at any step and resume exactly.

All randomness is a function of seed, epoch and step (see `seeding`), so a checkpoint needs only the
weights, the optimizer, running sums and the history of epochs. A run that is killed at any moment
and resumed ends with the same bits, on a CPU with the same number of threads.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from headstart.config.recipe_records import Training
from headstart.errors import DataError, Finding
from headstart.training.batch_source import BatchSource
from headstart.training.checkpoint import load_checkpoint, save_checkpoint
from headstart.training.listener import Listener, Row, ignore
from headstart.training.placement import exact
from headstart.training.step import indices_of, learning_rate, make_optimizer, take_step

Weights = dict[str, Tensor]

_POLL = 50  # steps between reads of the NaN flag on a GPU, each of which waits for the GPU


@dataclass
class State:
    """The state of a training, saved in every checkpoint.

    Attributes:
        loss_sum: sum of the losses since the epoch began.
        step: number of optimizer steps done.
        seen: number of pictures in ``loss_sum``.
        history: a row per finished epoch, as in ``metrics.jsonl``.
        best: the row of the best epoch so far.
        best_weights: weights of the best epoch.
    """

    loss_sum: Tensor
    step: int = 0
    seen: int = 0
    history: list[Row] = field(default_factory=list)
    best: Row | None = None
    best_weights: Weights | None = None


def epoch_end(recipe: Training, epoch: int, steps: int) -> int:
    """Return the number of steps before the end of an epoch; epochs differ by at most one step.

    >>> from headstart.config.recipes import DEFAULT
    >>> recipe = DEFAULT.model_copy(update={"epochs": 4})
    >>> [epoch_end(recipe, epoch, 10) for epoch in (1, 2, 3, 4)]
    [3, 5, 8, 10]
    """
    return -(-epoch * steps // recipe.epochs)


def _numbers(model: nn.Module) -> list[Tensor]:
    """Return the weights and running statistics, which training changes in place."""
    return [t for t in model.state_dict().values() if t.is_floating_point()]


@torch.no_grad()
def _average(old: list[Tensor], new: list[Tensor], decay: float, step: int) -> None:
    """Update the exponential moving average; the first steps average over fewer steps."""
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(old, new, 1 - decay)


def _ended(state: State, recipe: Training) -> bool:
    """Return whether all epochs are done, or ``patience`` epochs brought no improvement."""
    done = len(state.history)
    if done >= recipe.epochs:
        return True
    since_best = done - state.best["epoch"] if state.best else done
    return recipe.patience is not None and done > 0 and since_best >= recipe.patience


def _better(row: Row, best: Row | None, recipe: Training) -> bool:
    if best is None:
        return True
    name = f"validation_{recipe.choose}"
    if row[name] == best[name]:
        return recipe.takes_last()
    return bool(row[name] < best[name] if recipe.choose == "loss" else row[name] > best[name])


def fit(
    model: nn.Module,
    source: BatchSource,
    recipe: Training,
    *,
    seed: int,
    steps: int,
    device: torch.device,
    folder: Path,
    stop: Callable[[], bool],
    listener: Listener,
    checkpoint_seconds: float = 10.0,
    before_saving: Callable[[], None] = ignore,
) -> State:
    """Train ``model`` in place, resuming from the newest valid checkpoint in ``folder``.

    Args:
        model: network on ``device``, with its initial weights.
        source: batches and their losses.
        recipe: hyper-parameters.
        seed: seed of the order of pictures and of dropout.
        steps: optimizer steps of all epochs together.
        device: device to train on.
        folder: folder for checkpoints.
        stop: called before each step and validation batch; when it returns true, the state is saved
            and returned.
        listener: receives progress events.
        checkpoint_seconds: least seconds between checkpoints; longer if writing takes more than a
            fiftieth of the time. 0 saves after every step.
        before_saving: called before each checkpoint; what it raises ends the training unsaved.

    Returns:
        The final state, with the best weights in ``best_weights``.
        [`finished`][headstart.training.fit.finished] tells whether training ended or was stopped.

    Raises:
        DataError: the loss or a gradient is NaN or infinite (that step changes no weight); or every
            checkpoint is damaged.
        DiskError: a checkpoint cannot be written.
    """
    optimizer = make_optimizer(model, recipe)
    averaged = copy.deepcopy(model).eval() if recipe.average else model
    state = _resume(folder, model, averaged, optimizer, device, listener)
    not_finite = torch.zeros((), device=device)  # at 1, the fused optimizer skips every step
    optimizer.found_inf, optimizer.grad_scale = not_finite, None  # type: ignore[attr-defined]
    numbers, averages = _numbers(model), _numbers(averaged)
    last_saved = time.monotonic()
    pause = checkpoint_seconds

    while not _ended(state, recipe):
        began, first = time.perf_counter(), state.step
        model.train()
        end = epoch_end(recipe, len(state.history) + 1, steps)
        while state.step < end and not stop():
            loss, drawn = take_step(
                model, averaged, source, recipe, optimizer, seed=seed, step=state.step, steps=steps,
                device=device, not_finite=not_finite,
            )  # fmt: skip
            state.loss_sum += loss * drawn
            state.step, state.seen = state.step + 1, state.seen + drawn
            if recipe.average:
                _average(averages, numbers, recipe.average, state.step)
            listener.step(state.step, steps)
            due = time.monotonic() - last_saved > pause
            at_end = state.step == end
            if device.type == "cpu" or due or at_end or state.step % _POLL == 0:
                _check_finite(not_finite, source, recipe, state, seed, steps)
            if due:
                began_saving = time.monotonic()
                before_saving()
                last_saved = _save(folder, state, model, averaged, optimizer)
                if checkpoint_seconds:  # spend at most a fiftieth of the time on saving
                    pause = max(checkpoint_seconds, 50 * (last_saved - began_saving))
        trained = time.perf_counter()
        scores = None if stop() else source.validate(averaged, stop)
        if scores is None:
            _check_finite(not_finite, source, recipe, state, seed, steps)
            before_saving()
            _save(folder, state, model, averaged, optimizer)
            return state
        row = {
            "epoch": len(state.history) + 1,
            "step": state.step,
            "learning_rate": learning_rate(recipe, state.step - 1, steps),
            "train_loss": state.loss_sum.item() / state.seen,
            **{f"validation_{name}": value for name, value in scores.items()},
        }
        timing = {
            "epoch": row["epoch"],
            "steps": state.step - first,
            "train_seconds": trained - began,
            "validation_seconds": time.perf_counter() - trained,
        }
        if _better(row, state.best, recipe):
            state.best = row
            state.best_weights = {k: v.clone() for k, v in averaged.state_dict().items()}
        state.history.append(row)
        state.loss_sum, state.seen = torch.zeros_like(state.loss_sum), 0
        listener.epoch(row, timing)
    before_saving()
    _save(folder, state, model, averaged, optimizer)
    return state


def finished(state: State, recipe: Training) -> bool:
    """Return whether a training ended by its own rules rather than by a signal."""
    return _ended(state, recipe)


def _save(
    folder: Path,
    state: State,
    model: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> float:
    content = {
        "model": model.state_dict(),
        "averaged": averaged.state_dict() if averaged is not model else None,
        "optimizer": optimizer.state_dict(),
        **vars(state),
    }
    save_checkpoint(folder, state.step, content, {"epochs": len(state.history)})
    return time.monotonic()


def _resume(
    folder: Path,
    model: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    listener: Listener,
) -> State:
    content, damaged = load_checkpoint(folder)
    for finding in damaged:
        listener.finding(finding)
    if content is None:
        return State(torch.zeros((), dtype=exact(device), device=device))
    model.load_state_dict(content.pop("model"))
    average = content.pop("averaged")
    if average is not None:
        averaged.load_state_dict(average)
    optimizer.load_state_dict(content.pop("optimizer"))
    content["loss_sum"] = content["loss_sum"].to(device, exact(device))
    state = State(**content)
    listener.resumed(state.step, state.history)
    return state


def _check_finite(
    not_finite: Tensor, source: BatchSource, recipe: Training, state: State, seed: int, steps: int
) -> None:
    if not not_finite.item():
        return
    exact = not_finite.device.type == "cpu"
    last = state.step - 1
    where = f"step {last}" if exact else f"one of the {_POLL} steps up to {last}"
    indices = indices_of(source, recipe, seed, last, steps)
    message = (
        f"the loss or a gradient became NaN or infinite at {where} (learning rate "
        f"{learning_rate(recipe, last, steps):.3g}); no weight was changed or saved from there on"
    )
    hint = "set a lower learning rate in your own recipe, and start again with --fresh"
    files = tuple(source.names[i] for i in indices) if exact else ()
    raise DataError(Finding("not-finite", "error", message, hint, files))
