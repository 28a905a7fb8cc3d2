"""Upper estimates of the cost of runs and studies; any training may stop early.

Times are measured on this machine over a few steps; see [`headstart.studies.step_time`][]. For a
finished study nothing is measured, and torch is not imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.config.records import SCRATCH, PretextConfig, RunConfig
from headstart.studies.cells import pretext_config, run_config
from headstart.studies.plan import Plan, expected_steps
from headstart.tasks.budgets import sizes_in_folds
from headstart.tasks.lookup import labelled_task
from headstart.tasks.pretext import PretextPictures, pictures_of


@dataclass(frozen=True)
class Cost:
    """The cost of the runs and pretexts left.

    Attributes:
        runs: number of runs.
        pretexts: number of pretexts.
        steps: optimizer steps of all runs.
        pretext_steps: optimizer steps of all pretexts.
        seconds: approximate time in seconds, one run at a time.
        size: approximate size on disk in bytes.
    """

    runs: int
    pretexts: int
    steps: int
    pretext_steps: int
    seconds: float
    size: int

    def times(self, count: int) -> Cost:
        """Return the cost of as many."""
        of_steps = self.steps * count, self.pretext_steps * count
        of_all = self.seconds * count, self.size * count
        return Cost(self.runs * count, self.pretexts * count, *of_steps, *of_all)


NOTHING = Cost(0, 0, 0, 0, 0.0, 0)
"""The cost of a finished study."""


def cost_of_run(config: RunConfig, dataset: Any = None) -> Cost:
    """Estimate the cost of one run that has not begun, or of all folds of a cross-validation.

    Args:
        config: configuration of the run.
        dataset: result of the task's ``open`` for ``config.data``; opened here by default.

    Raises:
        UsageError: there are too few pictures or groups for so many folds.
    """
    from headstart.studies.step_time import bytes_of_run, seconds_of_features, seconds_per_step

    task = labelled_task(config.task)
    dataset = task.open(Path(config.data)) if dataset is None else dataset
    sizes = task.sizes(dataset)
    if config.folds is not None:
        sizes = sizes_in_folds(task, dataset, config.folds)
    labels = config.labels or sizes.pictures["train"]
    pictures = labels + sizes.pictures["validation"] + sizes.pictures[config.score]
    if config.folds is not None:
        pictures = sizes.pictures["test"]  # all labelled pictures, once for each fold
    steps, seconds = 0, 0.0
    for training in reversed(task.trainings(config)):
        training_steps = training.recipe.total_steps(labels, sizes.pictures["train"])
        steps += training_steps
        seconds += training_steps * seconds_per_step(training, sizes.classes)
        seconds += seconds_of_features(training, sizes.classes, pictures)
    size = bytes_of_run(config, sizes.classes)
    folds = config.folds if config.folds is not None and config.fold is None else 1
    first = NOTHING
    if config.pretext is not None:
        of_dataset = pictures_of(dataset)
        first = cost_of_pretext(config.pretext, of_dataset)
        shared = config.folds is None or of_dataset.shared_by_folds
        first = first if shared else first.times(folds)
    return Cost(
        folds,
        first.pretexts,
        folds * steps,
        first.pretext_steps,
        folds * seconds + first.seconds,
        folds * size + first.size,
    )


def cost_of_pretext(config: PretextConfig, pictures: PretextPictures) -> Cost:
    """Estimate the cost of one pretext that has not begun."""
    from headstart.studies.step_time import bytes_of_run, seconds_per_step

    count = len(pictures.train)
    steps = config.recipe.total_steps(count, count)
    seconds = steps * seconds_per_step(config, 0)
    return Cost(0, 1, 0, steps, seconds, bytes_of_run(config, 0))


def cost_of_study(planned: Plan, pretexts: bool = True) -> Cost:
    """Estimate the cost of the runs and pretexts left in a study.

    Args:
        planned: plan of the study.
        pretexts: whether to count its pretexts; false if another study trains them.
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
        tune_cells = [cell for cell in planned.todo if cell.tune == tune]
        if tune_cells:
            run = run_config(config, tune_cells[0])
            step_seconds = seconds_per_step(run, sizes.classes)
            seconds += expected_steps(planned, tune)[0] * step_seconds
            networks = {(c.start, c.seed if c.start == SCRATCH else 0) for c in tune_cells}
            pictures = sum(cell.labels for cell in tune_cells) + held_out * len(networks)
            folds = config.folds or 1
            seconds += folds * seconds_of_features(run, sizes.classes, pictures)
            size += folds * len(tune_cells) * bytes_of_run(run, sizes.classes)
    if count:
        name, seed = next(iter(planned.folders))
        pretext = pretext_config(config, name, seed)
        seconds += pretext_steps * seconds_per_step(pretext, sizes.classes)
        size += count * bytes_of_run(pretext, sizes.classes)
    return Cost(len(planned.todo), count, steps, pretext_steps, seconds, size)
