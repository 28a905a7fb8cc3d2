"""The network of a segmentation whose options name neither a network nor a start.

Where published weights are on the machine, it is an encoder that starts from them, because that
scores higher: docs/decisions/0047-default-network.md. Elsewhere it stays the U-Net from scratch.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace

from headstart.config.options import Options, RecipeOption, StudyOptions, TrainOptions
from headstart.config.records import IMAGENET, SCRATCH, RunConfig, StudyConfig
from headstart.config.task_settings import ENCODER
from headstart.errors import Finding

_SMALLEST_SIDE = 64  # below it the encoder's coarsest features are a single pixel


def network_of_run(
    options: TrainOptions, config: RunConfig, before: RunConfig | None
) -> tuple[TrainOptions, Finding] | None:
    """Return the options of a run with the encoder and its start, and a line about them.

    Args:
        options: what they name stays.
        config: what they give without this function, on this machine.
        before: the configuration of a folder that was begun, which keeps its network.

    Returns:
        None: the options stay as they are.
    """
    given = (options.start, options.pretext_recipe, options.pretext_epochs, options.pretext_steps)
    if options.config is not None or given != (None, None, None, None):
        return None
    if not _open(options, options.recipe, config):
        return None
    at_hand = (before.model, before.start) == (ENCODER, IMAGENET) if before else encoder_at_hand()
    changed = replace(options, model=ENCODER, start=IMAGENET)
    return (changed, _line("--model unet trains the U-Net from scratch")) if at_hand else None


def network_of_study(
    options: StudyOptions, config: StudyConfig, proposes: bool
) -> tuple[StudyOptions, Finding] | None:
    """Return the same for a new study, which then compares the published weights with scratch.

    ``proposes``: its starts are chosen later, in [`headstart.studies.hours`][].
    """
    given = (options.starts, options.pretext_recipe, options.pretext_epochs, options.pretext_steps)
    if given != (None, None, None, None) or options.drop_leaks:
        return None
    if not _open(options, options.recipe, config) or not encoder_at_hand():
        return None
    starts = None if proposes else f"{SCRATCH},{IMAGENET}"
    line = _line("--model unet compares starts of the U-Net, and so does --starts without imagenet")
    return replace(options, model=ENCODER, starts=starts), line


def _open(options: Options, recipe: RecipeOption | None, config: RunConfig | StudyConfig) -> bool:
    """Return whether no option asks for the U-Net, or for pictures too small for the encoder."""
    if config.task != "segmentation" or options.model is not None:
        return False
    return recipe in (None, "default") and min(config.size) >= _SMALLEST_SIDE


def encoder_at_hand() -> bool:
    """Return whether the encoder and its published weights are on this machine."""
    if importlib.util.find_spec("timm") is None:
        return False
    from headstart.models.published import at_hand  # loads torch

    return at_hand(ENCODER)


def _line(hint: str) -> Finding:
    message = f"the network is {ENCODER}, and its start ImageNet's weights, which are at hand"
    return Finding("default-network", "info", message, hint)
