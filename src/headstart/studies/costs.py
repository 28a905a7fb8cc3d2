"""What runs and studies would cost, at most: every training may stop early."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headstart.data.batches import steps_per_epoch
from headstart.data.question import sizes_of
from headstart.studies.plan import Plan, expected_steps, pretext_config, run_config
from headstart.studies.step_time import bytes_of_run, seconds_of_features, seconds_per_step
from headstart.training.config import SCRATCH, RunConfig
from headstart.training.recipes import ClassifierRecipe


@dataclass(frozen=True)
class Cost:
    """Of what is still to do.

    Attributes:
        runs, pretexts: how many.
        steps, pretext_steps: of all of them.
        seconds: about, one after the other; timed now, on this machine.
        size: about, in bytes.
    """

    runs: int
    pretexts: int
    steps: int
    pretext_steps: int
    seconds: float
    size: int


NOTHING = Cost(0, 0, 0, 0, 0.0, 0)


def cost_of_run(config: RunConfig) -> Cost:
    """Of one run that is not begun."""
    its = sizes_of(Path(config.data), config.task)
    recipe = config.recipe
    labels = config.labels or its.pictures["train"]
    passes = its.pictures["train"] if recipe.epoch == "steps" else labels
    each = steps_per_epoch(passes, recipe.batch)
    stages = [(config, recipe.epochs * each)]
    if config.tune == "staged":
        assert isinstance(recipe, ClassifierRecipe)
        head = config.model_copy(update={"tune": "head"})
        stages.append((head, recipe.head_epochs * each))
    scored = labels + its.pictures["validation"] + its.pictures[config.score]
    seconds = 0.0
    for stage, steps in stages:
        seconds += steps * seconds_per_step(stage, its.classes)
        if config.task == "classification":
            seconds += seconds_of_features(stage, its.classes, scored)
    steps = sum(count for _, count in stages)
    return Cost(1, 0, steps, 0, seconds, bytes_of_run(config, its.classes))


def cost_of_study(planned: Plan, pretexts: bool = True) -> Cost:
    """Of what is to do of a study.

    Args:
        planned: the study.
        pretexts: whether its pretexts are to be trained for it, and not for another study.
    """
    config = planned.config
    its = sizes_of(Path(config.data), config.task)
    held_out = its.pictures["validation"] + its.pictures[config.score]
    steps, pretext_steps, count = expected_steps(planned)
    if not pretexts:
        pretext_steps = count = 0
    seconds, size = 0.0, 0
    for tune in config.tunes:
        mine = [cell for cell in planned.todo if cell.tune == tune]
        if mine:
            one = run_config(config, mine[0])
            seconds += expected_steps(planned, tune)[0] * seconds_per_step(one, its.classes)
            if config.task == "classification":
                networks = {(c.start, c.seed if c.start == SCRATCH else 0) for c in mine}
                pictures = sum(cell.labels for cell in mine) + held_out * len(networks)
                seconds += seconds_of_features(one, its.classes, pictures)
            size += len(mine) * bytes_of_run(one, its.classes)
    if count:
        name, seed = next(iter(planned.folders))
        begin = pretext_config(config, name, seed)
        seconds += pretext_steps * seconds_per_step(begin, its.classes)
        size += count * bytes_of_run(begin, its.classes)
    return Cost(len(planned.todo), count, steps, pretext_steps, seconds, size)
