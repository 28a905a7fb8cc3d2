"""Upper estimates of the cost of runs and studies; any training may stop early.

Times are measured on this machine over a few steps; see [`headstart.studies.pace`][]. For a
finished study nothing is measured, and torch is not imported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from headstart.config.methods import SEMI_SUPERVISED, parted
from headstart.config.records import PretextConfig, RunConfig
from headstart.config.start_names import SCRATCH
from headstart.studies.cells import pretext_config, run_config
from headstart.studies.pace import (
    OfPretext,
    OfRun,
    Pace,
    RunPace,
    own_size_of,
    pace_of,
    pace_of_pretext,
    pace_of_run,
)
from headstart.studies.plan import Plan, expected_steps, steps_of
from headstart.tasks.lookup import labelled_task
from headstart.tasks.pretext import PretextPictures


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

    def elapsed(self, jobs: int) -> float:
        """Return the seconds until all is done where so many train at a time: wave by wave.

        >>> Cost(15, 0, 1, 0, 15 * 60.0, 0).elapsed(32), Cost(10, 0, 1, 0, 600.0, 0).elapsed(4)
        (60.0, 180.0)
        """
        return math.ceil(self.runs / jobs) * self.seconds / self.runs if self.runs else self.seconds


NOTHING = Cost(0, 0, 0, 0, 0.0, 0)
"""The cost of a finished study."""


def cost_of_run(config: RunConfig, dataset: Any = None, pace: RunPace | None = None) -> Cost:
    """Estimate the cost of one run that has not begun, or of all folds of a cross-validation.

    Args:
        config: configuration of the run.
        dataset: result of the task's ``open`` for ``config.data``; opened here by default.
        pace: of the run, measured here by default.

    Raises:
        UsageError: there are too few pictures or groups for so many folds.
    """
    from headstart.studies.step_time import bytes_of_run

    if pace is None:
        opened = labelled_task(config.task).open(Path(config.data)) if dataset is None else dataset
        pace = pace_of_run(config, opened)
    steps, pretext_steps = pace.steps(config)
    size = pace.folds * bytes_of_run(config, pace.sizes.classes)
    if config.pretext is not None:
        size += pace.pretexts * bytes_of_run(config.pretext, 0)
    return Cost(
        pace.folds,
        pace.pretexts,
        pace.folds * steps,
        pace.pretexts * pretext_steps,
        pace.seconds(config),
        size,
    )


def cost_of_pretext(config: PretextConfig, pictures: PretextPictures) -> Cost:
    """Estimate the cost of one pretext that has not begun."""
    from headstart.studies.step_time import bytes_of_run

    count = len(pictures.train)
    steps = config.recipe.total_steps(count, count)
    seconds = pace_of_pretext(config, pictures).seconds(steps, config.recipe.epochs)
    return Cost(0, 1, 0, steps, seconds, bytes_of_run(config, 0))


def cost_of_study(
    planned: Plan,
    pretexts: bool = True,
    of_run: OfRun = pace_of,
    of_pretext: OfPretext = pace_of_pretext,
    timed: bool = True,
) -> Cost:
    """Estimate the cost of the runs and pretexts left in a study.

    Args:
        planned: plan of the study.
        pretexts: whether to count its pretexts; false if another study trains them.
        of_run: function that returns the pace of a run; by default it measures it.
        of_pretext: the same of a pretext.
        timed: whether this machine can time the runs; if not, the seconds are not a number.
    """
    if not timed:
        unknown = Pace(math.nan, math.nan, math.nan, math.nan)
        of_run, of_pretext = (lambda *_: unknown), (lambda *_: unknown)
    if not planned.todo:
        return NOTHING
    from headstart.studies.step_time import bytes_of_run

    config, sizes = planned.config, planned.sizes
    held_out = sizes.pictures["validation"] + sizes.pictures[config.score]
    task = labelled_task(config.task)
    own_size = own_size_of(task, planned.dataset)
    steps, pretext_steps, count = expected_steps(planned)
    if not pretexts:
        pretext_steps = count = 0
    seconds, size, folds = 0.0, 0, config.folds or 1
    for tune, taught in product(config.tunes, (False, True)):  # whose steps take equally long
        alike = [
            cell
            for cell in planned.todo
            if cell.tune == tune and (parted(cell.start)[1] == SEMI_SUPERVISED) == taught
        ]
        if alike:
            run = run_config(config, alike[0])
            pace = of_run(run, sizes, own_size)
            # epochs of scratch-longer are as long as the others
            epochs = run.recipe.epochs / max(1, steps_of(planned, alike[0]))
            of_alike = expected_steps(planned, alike)[0]
            seconds += of_alike * pace.step + of_alike * epochs * pace.validation
            seconds += folds * len(alike) * pace.score
            networks = {(c.start, c.seed if c.start == SCRATCH else 0) for c in alike}
            pictures = sum(cell.labels for cell in alike) + held_out * len(networks)
            seconds += folds * pictures * pace.feature
            size += folds * len(alike) * bytes_of_run(run, sizes.classes)
    if count and planned.pictures is not None:
        name, seed = next(iter(planned.folders))
        pretext = pretext_config(config, name, seed)
        pace = of_pretext(pretext, planned.pictures)
        seconds += pretext_steps * pace.step
        seconds += count * (pretext.recipe.epochs * pace.validation + pace.score)
        size += count * bytes_of_run(pretext, sizes.classes)
    return Cost(len(planned.todo), count, steps, pretext_steps, seconds, size)
