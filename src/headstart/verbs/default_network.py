"""The network of a segmentation whose options name neither a network nor a start.

Where published weights are on the machine, it is an encoder that starts from them, because that
scored as high or far higher: docs/decisions/0047-default-network.md. Elsewhere it stays the U-Net
from scratch.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace

from headstart.config.methods import start_of_arm
from headstart.config.option_values import AUTO, parse_size
from headstart.config.options import Options, RecipeOption, StudyOptions, TrainOptions
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.start_names import IMAGENET, SCRATCH, is_published
from headstart.config.task_settings import ENCODER, ENCODER_SIDE, TASKS, UNET
from headstart.data.task import TaskName
from headstart.errors import Finding, UsageError
from headstart.verbs.machine import FittingSize, size_that_fits


def network_of_run(
    options: TrainOptions, task: TaskName, fitting_size: FittingSize, before: RunConfig | None
) -> TrainOptions:
    """Return the options of a run with the encoder and its start, if that is its default.

    Args:
        options: what they name stays.
        task: the run's.
        fitting_size: for pictures whose size no option gives.
        before: the configuration of a folder that was begun, which keeps its network.
    """
    of_pretext = (options.pretext_recipe, options.pretext_epochs, options.pretext_steps)
    if options.config is not None or (options.model, options.start) != (None, None):
        return options
    if before is not None:
        default = (before.model, before.start) == (ENCODER, IMAGENET)
    else:
        frozen = TASKS[task].unet and options.tune == "head"  # so from published weights
        suits = of_pretext == (None, None, None) and _suits(
            options, options.recipe, task, fitting_size
        )
        default = frozen or suits
    return replace(options, model=ENCODER, start=IMAGENET) if default else options


def encoder_for_study(options: StudyOptions, task: TaskName, fitting_size: FittingSize) -> bool:
    """Return whether the encoder is the default network of a new study."""
    of_pretext = (options.pretext_recipe, options.pretext_epochs, options.pretext_steps)
    given = (options.model, options.starts, *of_pretext)
    if given != (None, None, None, None, None) or options.drop_leaks:
        return False
    against = SCRATCH if options.against is None else start_of_arm(options.against)
    if against not in (SCRATCH, IMAGENET):  # a pretext of the U-Net's study
        return False
    return _suits(options, options.recipe, task, fitting_size)


def _suits(
    options: Options, recipe: RecipeOption | None, task: TaskName, fitting_size: FittingSize
) -> bool:
    """Return whether the encoder suits recipe and pictures, and its weights are at hand."""
    if not TASKS[task].unet or recipe not in (None, "default"):
        return False
    try:
        size = (
            size_that_fits(options.tile, "cpu", fitting_size, TASKS[task].size)
            if options.size in (None, AUTO)
            else parse_size(options.size)
        )
    except UsageError:  # which is said with all that is wrong with the options
        return False
    return min(size) >= ENCODER_SIDE and encoder_at_hand()


def encoder_at_hand() -> bool:
    """Return whether the encoder and its published weights are on this machine."""
    if importlib.util.find_spec("timm") is None:
        return False
    from headstart.models.published import at_hand  # loads torch

    return at_hand(ENCODER)


def about_run(asked: TrainOptions, config: RunConfig) -> tuple[Finding, ...]:
    """Return a line about the network of a new run, if no option names it.

    Args:
        asked: the options, as they were given.
        config: what they became.
    """
    if asked.model is not None or asked.config is not None:
        return ()
    own = TASKS[config.task].names_another(asked.recipe)  # the assignment's, which are the U-Net's
    if config.model == UNET and asked.start is None and not own:
        message = f"the network is the U-Net ({UNET}), and all its weights are new"
        hint = "--start imagenet trains a U-Net with an encoder from ImageNet's weights"
        return (Finding("default-network", "info", message, hint),)
    if config.model != ENCODER or not is_published(config.start):
        return ()
    first = "training" if config.start == IMAGENET else "the pretext"
    return (_line(f"the network is {ENCODER}, and {first} starts from ImageNet's weights"),)


def about_pretext(model: str | None, config: PretextConfig) -> tuple[Finding, ...]:
    """Return the same about a new pretext."""
    if (model, config.model) != (None, ENCODER) or not is_published(config.pretext):
        return ()
    return (_line(f"the network is {ENCODER}, and the pretext starts from ImageNet's weights"),)


def about_study(model: str | None, config: StudyConfig) -> tuple[Finding, ...]:
    """Return the same about a new study."""
    if (model, config.model) != (None, ENCODER):
        return ()
    return (_line(f"every start trains the same network, {ENCODER}"),)


def _line(message: str) -> Finding:
    hint = "--model names another network; unet, the U-Net, has no published weights"
    return Finding("default-network", "info", message, hint)
