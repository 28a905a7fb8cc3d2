"""What a training will take, in lines of text, and what would halve it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headstart.reports.formatting import plural

if TYPE_CHECKING:
    from headstart.config.records import PretextConfig, RunConfig
    from headstart.studies.costs import Cost

_MULTIPLE, _OF_SMALL, _SMALL = 32, 8, 128  # as sizes are rounded by --size auto


def lasting(seconds: float) -> str:
    """Return a time as people say it.

    >>> lasting(20.0), lasting(1500.0), lasting(9000.0)
    ('1 minute', '25 minutes', '2.5 hours')
    """
    hours = seconds / 3600
    return f"{hours:.1f} hours" if hours >= 1 else plural(max(1, round(60 * hours)), "minute")


def half_the_pixels(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size of about half as many pixels.

    >>> half_the_pixels((256, 320)), half_the_pixels((64, 80))
    ((192, 224), (48, 56))
    """
    multiple = _MULTIPLE if max(size) > _SMALL else _OF_SMALL
    height, width = (max(multiple, round(side * 0.5**0.5 / multiple) * multiple) for side in size)
    return height, width


def forecast(config: RunConfig | PretextConfig, cost: Cost) -> Iterator[str]:
    """Yield what a training will take, and what would halve it."""
    height, width = config.size
    of_width = "" if config.width is None else f", width {config.width}"
    several = f" in {plural(cost.runs, 'fold')}" if cost.runs > 1 else ""
    steps = cost.steps or cost.pretext_steps
    pretexts = ""
    if cost.steps and cost.pretexts:
        pretexts = f", and {cost.pretext_steps} of {plural(cost.pretexts, 'pretext')}"
    yield (
        f"At {height}x{width}{of_width}: {steps} steps of {config.recipe.batch} pictures{several}"
        f"{pretexts}; about {lasting(cost.seconds)} on this machine, {cost.size / 1e6:.0f} MB"
    )
    if cost.seconds < 120 or config.width is None:
        return
    half = steps // max(1, cost.runs) // 2
    smaller = "x".join(map(str, half_the_pixels(config.size)))
    of_pretext = cost.pretext_steps // cost.pretexts // 2 if cost.pretexts and cost.steps else 0
    fewer = f" --pretext-steps {of_pretext}" if of_pretext else ""
    yield f"Half of that: --steps {half}{fewer}, or --size {smaller}"
