"""What runs and studies would cost, at most: every training may stop early.

Times are measured now, on this machine, over a few steps; see [`headstart.studies.step_time`][].
Where nothing is left to do, nothing is measured and no torch is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.batches import steps_per_epoch
from headstart.studies.plan import Plan, expected_steps, pretext_config, run_config
from headstart.tasks.lookup import labelled_task
from headstart.training.config import SCRATCH, RunConfig


@dataclass(frozen=True)
class Cost:
    """The cost of what is left to do.

    Attributes:
        runs, pretexts: how many.
        steps, pretext_steps: optimizer steps of all of them.
        seconds: about, one after the other.
        size: about, in bytes.
    """

    runs: int
    pretexts: int
    steps: int
    pretext_steps: int
    seconds: float
    size: int


NOTHING = Cost(0, 0, 0, 0, 0.0, 0)


def cost_of_run(config: RunConfig, dataset: Any = None) -> Cost:
    """The cost of one run that has not begun.

    Args:
        config: of the run.
        dataset: what the task's ``open`` gave for ``config.data``; by default it is opened here.
    """
    from headstart.studies.step_time import bytes_of_run, seconds_of_features, seconds_per_step

    task = labelled_task(config.task)
    sizes = task.sizes(task.open(Path(config.data)) if dataset is None else dataset)
    recipe = config.recipe
    labels = config.labels or sizes.pictures["train"]
    pictures_a_pass = sizes.pictures["train"] if recipe.epoch == "steps" else labels
    steps_an_epoch = steps_per_epoch(pictures_a_pass, recipe.batch)
    used = labels + sizes.pictures["validation"] + sizes.pictures[config.score]
    steps, seconds = 0, 0.0
    for training, epochs in reversed(task.trainings(config)):
        steps += epochs * steps_an_epoch
        seconds += epochs * steps_an_epoch * seconds_per_step(training, sizes.classes)
        seconds += seconds_of_features(training, sizes.classes, used)
    return Cost(1, 0, steps, 0, seconds, bytes_of_run(config, sizes.classes))


def cost_of_study(planned: Plan, pretexts: bool = True) -> Cost:
    """The cost of what is left of a study.

    Args:
        planned: the study.
        pretexts: whether its pretexts are trained for it, and not for another study.
    """
    if not planned.todo:
        return NOTHING
    from headstart.studies.step_time import bytes_of_run, seconds_of_features, seconds_per_step

    config, sizes = planned.config, planned.sizes
    held_out = sizes.pictures["validation"] + sizes.pictures[config.score]
    steps, pretext_steps, count = expected_steps(planned)
    if not pretexts:
        pretext_steps = count = 0
    seconds, size = 0.0, 0
    for tune in config.tunes:
        of_tune = [cell for cell in planned.todo if cell.tune == tune]
        if of_tune:
            one = run_config(config, of_tune[0])
            each = seconds_per_step(one, sizes.classes)
            seconds += expected_steps(planned, tune)[0] * each
            networks = {(c.start, c.seed if c.start == SCRATCH else 0) for c in of_tune}
            pictures = sum(cell.labels for cell in of_tune) + held_out * len(networks)
            seconds += seconds_of_features(one, sizes.classes, pictures)
            size += len(of_tune) * bytes_of_run(one, sizes.classes)
    if count:
        name, seed = next(iter(planned.folders))
        pretext = pretext_config(config, name, seed)
        seconds += pretext_steps * seconds_per_step(pretext, sizes.classes)
        size += count * bytes_of_run(pretext, sizes.classes)
    return Cost(len(planned.todo), count, steps, pretext_steps, seconds, size)
