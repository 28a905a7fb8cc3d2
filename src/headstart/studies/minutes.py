"""As many optimizer steps as fit into some minutes; the schedule is complete, as with ``--steps``.

A run with a pretext shares the minutes with it, in the proportion of the steps that their recipes
would take.
"""

from __future__ import annotations

from headstart.config.recipe_options import with_lengths
from headstart.config.recipe_records import MOST_STEPS
from headstart.config.records import RunConfig
from headstart.studies.pace import RunPace
from headstart.studies.wording import lasting

BESIDE = 10.0
"""Seconds of a run that are not measured: reading pictures, checkpoints, figures."""

VALIDATING = 0.25
"""The largest share of the minutes for validations: where these are slow, epochs become fewer."""


def fitting_in(
    config: RunConfig, minutes: float, pace: RunPace, pretext_given: bool = False
) -> RunConfig:
    """Return a run with as many steps as fit into the minutes, at least one.

    Args:
        config: configuration of the run, with the recipe's number of steps.
        minutes: for the run, its pretext and all its folds together.
        pace: of the run.
        pretext_given: whether the pretext's length stays as it is.
    """
    of_run, of_pretext = pace.steps(config)
    seconds = 60 * minutes - BESIDE * pace.folds
    once = pace.folds * sum(training.validation for training in pace.trainings)
    once += pace.pretexts * pace.pretext.validation if pace.pretext and not pretext_given else 0
    most_epochs = max(1, int(min(MOST_STEPS, VALIDATING * seconds / max(once, 1e-9))))

    def with_steps(steps: int) -> RunConfig:
        share = max(1, round(steps * of_pretext / of_run))
        pretext = None if pretext_given else min(share, MOST_STEPS)
        return with_lengths(config, steps, pretext, most_epochs)

    low, high = 1, MOST_STEPS + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = pace.seconds(with_steps(middle)) <= seconds
        low, high = (middle, high) if fits else (low, middle)
    return with_steps(low)


def fitting_sentence(minutes: float, before: RunConfig, after: RunConfig, pace: RunPace) -> str:
    """Return how many steps a run takes, and how many its recipe would."""
    (recipe, of_recipe), (steps, of_pretext) = pace.steps(before), pace.steps(after)
    plan = f"{steps:,} step{'' if steps == 1 else 's'}"
    plan += f" in each of {pace.folds} folds" if pace.folds > 1 else ""
    usual = f"{recipe:,}"
    if of_pretext:
        plan += f", and {of_pretext:,} of the pretext"
        usual += f", and {of_recipe:,}"
    takes = pace.seconds(after) + BESIDE * pace.folds
    more = f"; this takes about {lasting(takes)}, the least possible" if steps == 1 else ""
    return f"--minutes {minutes:g}: {plan} (the recipe: {usual}){more}"
