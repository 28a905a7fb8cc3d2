"""What a training will take, in lines of text, and what would halve it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headstart.config.task_settings import ENCODER_SIDE, UNET
from headstart.data.training_size import half_the_pixels
from headstart.reports.formatting import plural
from headstart.studies.wording import lasting

if TYPE_CHECKING:
    from headstart.config.records import PretextConfig, RunConfig
    from headstart.studies.costs import Cost


def forecast(config: RunConfig | PretextConfig, cost: Cost) -> Iterator[str]:
    """Yield what a training will take, and what would halve it."""
    height, width = config.size
    of_width = "" if config.width is None else f", width {config.width}"
    several = f" in {plural(cost.runs, 'fold')}" if cost.runs > 1 else ""
    steps = cost.steps or cost.pretext_steps
    pretexts = ""
    if cost.steps and cost.pretexts:
        pretexts = f", and {cost.pretext_steps} of {plural(cost.pretexts, 'pretext')}"
    at = "In tiles of" if config.framing == "tile" else "At"
    yield (
        f"{at} {height}x{width}{of_width}: {steps} steps of {config.recipe.batch} pictures{several}"
        f"{pretexts}; about {lasting(cost.seconds)} on this machine, {cost.size / 1e6:.0f} MB"
    )
    if cost.seconds < 120 or config.width is None:
        return
    half = steps // max(1, cost.runs) // 2
    half_size = half_the_pixels(config.size)
    tile = "--tile " if config.framing == "tile" else ""
    smaller = f", or {tile}--size {half_size[0]}x{half_size[1]}"
    if config.model != UNET and min(half_size) < ENCODER_SIDE:  # which few encoders take
        smaller = ""
    of_pretext = cost.pretext_steps // cost.pretexts // 2 if cost.pretexts and cost.steps else 0
    fewer = f" --pretext-steps {of_pretext}" if of_pretext else ""
    yield f"Half of that: --steps {half}{fewer}{smaller}"
