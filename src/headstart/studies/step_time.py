"""Measured time of a training step and of a validation, before training begins; size of a run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from headstart.config.methods import Teacher
from headstart.config.records import PretextConfig, RunConfig
from headstart.tasks.class_maps import answer_of, each_class_map, frame_counts
from headstart.tasks.lookup import task_named
from headstart.tasks.window_sample import count_windows
from headstart.tasks.windows import class_map
from headstart.training.batch_source import Batches, BatchSource
from headstart.training.placement import in_bfloat16, layout, placed, synchronize
from headstart.training.semi_supervised import SemiSupervised
from headstart.training.step import make_optimizer, take_step

_WARM_UP, _TIMED = 1, 3
_LONGEST = (
    1024  # of the masks that are counted to measure it; larger ones take longer in proportion
)
_FIGURES = 1_500_000  # approximate bytes of curves, predictions and records

Config = RunConfig | PretextConfig


def _parts(config: Config, num_classes: int) -> tuple[nn.Module | None, nn.Module]:
    """Return the frozen part or None, and the trained part; for ``staged``, of the last stage."""
    task = task_named(config.task)
    network = placed(task.new_network(config, num_classes), torch.device(config.device))
    return task.parts(network, config)


def _timed(config: Config, step: Callable[[], None]) -> float:
    """Return the seconds per call, measured over three calls after a warm-up."""
    began, device = 0.0, torch.device(config.device)
    for count in range(_WARM_UP + _TIMED):
        if count == _WARM_UP:
            synchronize(device)
            began = time.perf_counter()
        step()
    synchronize(device)
    return (time.perf_counter() - began) / _TIMED


def _pictures(config: Config) -> Tensor:
    device = torch.device(config.device)
    count = config.recipe.batch * task_named(config.task).views(config)
    image = torch.rand(count, 3, *config.size, device=device)
    return image.contiguous(memory_format=layout(device))


def seconds_per_step(config: Config, num_classes: int) -> float:
    """Measure the seconds of a training step on random pictures.

    A step is what [`fit`][headstart.training.fit.fit] does: draw a batch, forward pass, backward
    pass, optimizer update. A run also validates after each epoch: see [`seconds_of_prediction`][].
    """
    torch.set_num_threads(config.threads)
    device = torch.device(config.device)
    frozen, rest = _parts(config, num_classes)
    recipe = config.recipe
    optimizer = make_optimizer(rest, recipe)
    inputs = _pictures(config)
    if frozen is not None:
        with torch.no_grad():
            inputs = frozen(inputs)
    labelled = Batches(
        names=("",) * len(inputs),
        weights=None,
        batch=lambda *_: (inputs, inputs),
        loss=lambda output, _: output.float().square().mean(),
        validation=lambda *_: {},
        half=in_bfloat16(config),
    )
    source: BatchSource = labelled
    if (teacher := recipe.taught_by()) is not None:
        source = _taught(labelled, teacher, inputs)
    not_finite = torch.zeros((), device=device)

    def step() -> None:
        take_step(
            rest, rest, source, recipe, optimizer, seed=0, step=0, steps=recipe.epochs,
            device=device, not_finite=not_finite,
        )  # fmt: skip

    return _timed(config, step)


def _taught(labelled: Batches, teacher: Teacher, inputs: Tensor) -> SemiSupervised:
    """Return a source that also shows random pictures without labels."""
    device, height, width = inputs.device, *inputs.shape[2:]
    pictures = torch.rand(teacher.batch, 3, height, width, device=device)
    pictures = pictures.contiguous(memory_format=layout(device))
    area = torch.zeros(teacher.batch, height, width, dtype=torch.uint8, device=device)
    both = pictures, area
    return SemiSupervised(labelled, lambda _: both, both, teacher, 1, 0)


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


def seconds_of_prediction(
    config: Config, num_classes: int, pictures: int, own_size: tuple[int, int] | None
) -> float:
    """Measure the seconds to predict so many pictures and to count the pixels of each class.

    A validation during training takes as long, unless it predicts a sample of their windows: see
    [`validated_share`][].

    Args:
        config: configuration of the training.
        num_classes: number of classes.
        pictures: of the split that is validated or scored.
        own_size: height and width of the masks, where the task has any; None: the network's answers
            are all that there is to compute.
    """
    if not pictures:
        return 0.0
    torch.set_num_threads(config.threads)
    frozen, rest = _parts(config, num_classes)
    rest.eval()
    if own_size is not None and config.framing == "tile":
        return pictures * _seconds_of_windows(config, rest, num_classes, own_size)
    inputs = _pictures(config)
    if frozen is not None:
        with torch.no_grad():
            inputs = frozen(inputs)

    @torch.no_grad()
    def predict() -> None:
        rest(inputs)

    seconds = _timed(config, predict) * pictures / config.recipe.batch
    if own_size is None:
        return seconds
    with torch.no_grad():
        logits = rest(inputs[:1])
    sample = _at_most(own_size, (_LONGEST, _LONGEST))
    min_area = config.recipe.least_area()
    truth = torch.zeros(sample, dtype=torch.uint8, device=logits.device)

    @torch.no_grad()
    def count() -> None:
        frame_counts(each_class_map(logits, [sample], min_area), [truth], num_classes)

    larger = own_size[0] * own_size[1] / (sample[0] * sample[1])
    return seconds + _timed(config, count) * pictures * larger


def validated_share(config: Config, pictures: int, own_size: tuple[int, int] | None) -> float:
    """Return the share of the validation pictures' windows that a validation predicts.

    1 without tiles. Arguments are those of [`seconds_of_prediction`][].
    """
    bound = config.recipe.most_windows()
    if bound is None or own_size is None or config.framing != "tile" or not pictures:
        return 1.0
    return min(1.0, bound / (pictures * count_windows([own_size], config.size)))


def _seconds_of_windows(
    config: Config, network: nn.Module, num_classes: int, own_size: tuple[int, int]
) -> float:
    """Return the seconds for one picture that is predicted by overlapping windows."""
    tile, device = config.size, torch.device(config.device)
    sample = _at_most(own_size, (4 * tile[0], 4 * tile[1]))
    picture = np.random.default_rng(0).integers(0, 256, (*sample, 3), np.uint8)
    truth = torch.zeros(sample, dtype=torch.uint8)
    min_area = config.recipe.least_area()

    answer = answer_of(network, device)

    def predict() -> None:
        classes = torch.from_numpy(class_map(picture, tile, answer, min_area))
        frame_counts([classes], [truth], num_classes)

    more = count_windows([own_size], tile) / count_windows([sample], tile)
    return _timed(config, predict) * more


def _at_most(size: tuple[int, int], most: tuple[int, int]) -> tuple[int, int]:
    return min(size[0], most[0]), min(size[1], most[1])


def bytes_of_run(config: Config, num_classes: int) -> int:
    """Estimate the size of a finished run in bytes, without cached pictures."""
    with torch.device("meta"):  # shapes only, without allocating weights
        network = task_named(config.task).new_network(config, num_classes)
    weights = sum(t.numel() for t in network.state_dict().values())
    return int(4 * weights + _FIGURES)
