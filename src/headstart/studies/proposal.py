"""The study that is proposed for some hours: a pure function of what is known of data and machine.

docs/decisions/0037-hours.md says why each rule is what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headstart.config.start_names import IMAGENET, SCRATCH
from headstart.config.task_settings import ENCODER_SIDE
from headstart.data.checks.small_test import ENOUGH
from headstart.data.training_size import half_the_pixels
from headstart.scores.pooled import MIN_FRAMES
from headstart.studies import power
from headstart.studies.costs import Cost
from headstart.studies.statistics import MIN_SEEDS, Estimate
from headstart.studies.wording import called, lasting

NIGHT = 8.0
"""Hours of a study that says nothing about its size."""

FOLDS = (5, 3)
"""Numbers of folds where few pictures test: the first that can be made, and where time is short."""

_MORE_SEEDS = (10, 20)
_SMALLEST_SIDE, _SMALL_WIDTH = 64, 16
_FEWEST_STEPS = 1 / 3  # of the recipe's
# Mean squares of seeds, frames and the rest in committed studies, each start against the first: of
# docs/results/hw6/study and docs/results/encoder/study, five seeds on 50 frames; and of
# docs/results/few-labels/drive-hour, membrane-hour and membrane-hour-unet, five seeds on 40 and 30
# frames by folds.
_SURGICAL = (
    (0.0278, 0.0203, 0.0289), (0.1200, 0.0228, 0.0243), (0.1040, 0.0256, 0.0846),
    (0.2633, 0.0273, 0.0774), (0.0386, 0.0180, 0.0341), (0.2346, 0.0269, 0.0594),
    (0.1153, 0.0623, 0.0263), (0.0508, 0.0210, 0.0254), (0.0155, 0.0292, 0.0144),
    (0.0096, 0.0096, 0.0113),
)  # fmt: skip
_RETINA = ((0.000504, 0.000295, 0.000104),)
_CELLS = ((0.000005, 0.000004, 0.000003), (0.000023, 0.000029, 0.000002))


@dataclass(frozen=True)
class Design:
    """What a study trains.

    Attributes:
        starts: what is compared.
        folds: number of folds; None: the test split is scored.
        seeds: number of seeds.
        size: height and width.
        width: channels of a segmentation network's finest level; None: it has no such setting.
        steps: optimizer steps of a run; those of a pretext change in proportion.
        tiles: whether the size is that of tiles, else of whole pictures.
    """

    starts: tuple[str, ...]
    folds: int | None
    seeds: int
    size: tuple[int, int]
    width: int | None
    steps: int
    tiles: bool = False


@dataclass(frozen=True)
class Facts:
    """What the data, the machine and the options say.

    Attributes:
        design: options that are given, and defaults for the others.
        given: names of the fields of ``design`` that options give; they stay.
        why_starts: why these starts, in words.
        tested: number of test pictures, or of groups of them.
        units: the word for these.
        labelled: number of all labelled pictures, or of groups of them.
        folds: the ``FOLDS`` for which there are enough.
        comparisons: number of comparisons for each start beside the first: label budgets, tunings.
        on_frames: whether the score is ``dice`` over single frames, as on hw6.
        chosen_jobs: runs at a time that were chosen; 1: none were.
        encoder: whether the network has an encoder, which needs pictures of some size.
        tile: the largest size of tiles; None: these pictures are not cut into tiles.
        hides: function from a size to whether whole pictures of that size would hide objects.
        keeps_pretext: whether an option is about the pretext.
    """

    design: Design
    given: frozenset[str]
    why_starts: str
    tested: int
    units: str
    labelled: int
    folds: tuple[int, ...]
    comparisons: int = 1
    on_frames: bool = False
    chosen_jobs: int = 1
    encoder: bool = False
    tile: tuple[int, int] | None = None
    hides: Callable[[tuple[int, int]], bool] = lambda _size: False
    keeps_pretext: bool = False


@dataclass(frozen=True)
class Proposal:
    """A study for some hours.

    Attributes:
        design: what it trains.
        hours: that it was to fit into.
        seconds: that it takes on this machine, about.
        lines: each choice and the options that would change it; what it costs and could show.
    """

    design: Design
    hours: float
    seconds: float
    lines: tuple[str, ...]


def propose(facts: Facts, hours: float, cost: Callable[[Design], Cost]) -> Proposal:
    """Return the study that fits into some hours.

    Where time is short, pictures or tiles become smaller, then the network; then there is no
    pretext beside published weights, and there are fewer folds; then the training is shorter. Where
    there is plenty, there are more seeds. If nothing helps, it takes longer.

    Args:
        facts: what the data, the machine and the options say.
        hours: how long it may take.
        cost: function from a design to what it takes on this machine.
    """
    limit, given = 3600 * hours, facts.given
    first = facts.design
    if "folds" not in given and facts.tested < ENOUGH and facts.folds:
        first = replace(first, folds=facts.folds[0])
    design = first
    while cost(design).seconds > limit and (cheaper := _cheaper(design, facts)) is not None:
        design = cheaper
    if cost(design).seconds > limit and "steps" not in given:
        design = replace(design, steps=_steps_that_fit(design, limit, cost))
    if design == first and "seeds" not in given:
        for more in _MORE_SEEDS:
            if cost(replace(first, seeds=more)).seconds <= limit:
                design = replace(first, seeds=more)
    takes = cost(design)
    choices = [line for name, line in _choices(facts, design, hours) if name not in given]
    if facts.chosen_jobs > 1:
        at_once = f"{facts.chosen_jobs} runs at a time, one thread each"
        choices.append(f"jobs: {at_once}, which is faster than all threads for one (--jobs)")
    lines = (*choices, _cost(design, takes, limit, given), could_show(facts, design))
    return Proposal(design, hours, takes.seconds, lines)


def _cheaper(design: Design, facts: Facts) -> Design | None:
    """Return a design of smaller pictures, else of a smaller network, else of fewer runs.

    Where smaller pictures would hide objects, they are cut into tiles instead. None: there is none.
    """
    given = facts.given
    size, tiles = half_the_pixels(design.size), design.tiles
    if not tiles and facts.tile is not None and facts.hides(size):
        size, tiles = facts.tile, True
        while math.prod(size) >= math.prod(design.size) and _large_enough(size, facts):
            size = half_the_pixels(size)
    smaller = math.prod(size) < math.prod(design.size)
    if "size" not in given and smaller and _large_enough(size, facts):
        return replace(design, size=size, tiles=tiles)
    if "width" not in given and design.width is not None and design.width > _SMALL_WIDTH:
        return replace(design, width=_SMALL_WIDTH)
    published = tuple(start for start in design.starts if start in (SCRATCH, IMAGENET))
    fewer = len(design.starts) > len(published) > 1 and not facts.keeps_pretext
    if "starts" not in given and fewer:
        return replace(design, starts=published)
    if "folds" not in given and design.folds is not None and design.folds > facts.folds[-1]:
        return replace(design, folds=facts.folds[-1])
    return None


def _large_enough(size: tuple[int, int], facts: Facts) -> bool:
    return min(size) >= ENCODER_SIDE if facts.encoder else max(size) >= _SMALLEST_SIDE


def _steps_that_fit(design: Design, limit: float, cost: Callable[[Design], Cost]) -> int:
    """Return the most steps that fit, at least a third."""
    low = max(1, round(design.steps * _FEWEST_STEPS))
    high = design.steps  # does not fit
    while high - low > 1:
        middle = (low + high) // 2
        fits = cost(replace(design, steps=middle)).seconds <= limit
        low, high = (middle, high) if fits else (low, middle)
    return low


def _choices(facts: Facts, design: Design, hours: float) -> list[tuple[str, str]]:
    """Return each field of a design with a line about it."""
    before, few = facts.design, f"only {facts.tested} {facts.units}"
    fit = f"to fit {_hours(hours)}"
    starts, option = facts.why_starts, "--starts"
    if design.starts != before.starts:
        starts, option = f"without a pretext, {fit}", "--starts, --hours"
    if design.folds is not None:
        fewer, of_folds = "", "--folds"
        if design.folds != max(facts.folds, default=design.folds):
            fewer, of_folds = f", and not {facts.folds[0]}, {fit}", "--folds, --hours"
        folds = f"folds: {design.folds}, because the test split has {few}{fewer} ({of_folds})"
    elif facts.tested >= ENOUGH:
        folds = f"folds: none, as the test split has {facts.tested} {facts.units} (--folds)"
    else:
        folds = (
            f"folds: none: the test split has {few}, but folds would leave too few labelled "
            "pictures to train on (--folds)"
        )
    seeds = "the fewest that allow a verdict (--seeds)"
    if design.seeds > MIN_SEEDS:
        tried = f"{MIN_SEEDS}, {_MORE_SEEDS[0]} and {_MORE_SEEDS[1]}"
        seeds = f"the largest of {tried} that fits {_hours(hours)} (--seeds, --hours)"
    height, width = design.size
    size = "the default (--size)" if design.tiles else "the pictures' shape (--size)"
    if design.size != before.size:
        size = f"{fit} (--size, --hours)"
    if design.tiles != before.tiles:
        size = f"as smaller pictures would hide objects, {size}"
    of_tiles = "tiles of " if design.tiles else ""
    lines = [
        (
            "starts",
            f"starts: {', '.join(map(called, design.starts))}: {starts} ({option})",
        ),
        ("folds", folds),
        ("seeds", f"seeds: {design.seeds}, {seeds}"),
        ("size", f"size: {of_tiles}{height}x{width}, {size}"),
    ]
    if design.width is not None and design.width != before.width:
        lines.append(("width", f"width: {design.width}, {fit} (--width, --hours)"))
    elif design.width is not None:
        lines.append(("width", f"width: {design.width}, the default (--width)"))
    steps = "as the recipe says (--steps)"
    if design.steps != before.steps:
        steps = f"of the recipe's {before.steps:,} {fit} (--steps, --hours)"
    lines.append(("steps", f"steps: {design.steps:,} {steps}"))
    return lines


def _cost(design: Design, takes: Cost, limit: float, given: frozenset[str]) -> str:
    """Return how many runs there are and how long they take."""
    pretexts = f" and {takes.pretexts} pretexts" if takes.pretexts else ""
    folds = "" if design.folds is None else f" of {design.folds} folds each"
    line = f"cost: {takes.runs} runs{folds}{pretexts}, about {lasting(takes.seconds)}"
    over = takes.seconds - limit
    if over <= 0:
        return line
    left = "nothing else can be reduced"
    if takes.pretexts and "steps" in given:  # then the pretexts keep their own length
        left += ", except by --pretext-steps"
    return f"{line}, which is {lasting(over)} longer than --hours: {left}"


def could_show(facts: Facts, design: Design) -> str:
    """Return the smallest difference that a study could show, in a sentence.

    What seeds and frames of these data differ by is known when five seeds are finished. Before that
    committed studies on two kinds of pictures give an idea, where the score is the same.
    """
    what = "smallest difference that this study could show"
    known = "--dry-run estimates it after five finished seeds"
    units = facts.tested if design.folds is None else facts.labelled
    few = design.seeds < MIN_SEEDS or units < MIN_FRAMES
    if not facts.on_frames or len(design.starts) < 2 or few:
        return f"{what}: {known}"
    level = 1 - 0.05 / ((len(design.starts) - 1) * facts.comparisons)

    def likely(committed: Sequence[tuple[float, float, float]], frames: int) -> list[str]:
        estimates = [
            Estimate(0.0, 0.0, None, MIN_SEEDS, frames, squares, None) for squares in committed
        ]
        sizes = [power.smallest_difference(e, level, design.seeds, units) for e in estimates]
        found = [size for size in sizes if size is not None]
        return [_plain(size) for size in sorted({min(found), max(found)})]

    surgical, retina = likely(_SURGICAL, 50), likely(_RETINA, 40)
    cells = likely(_CELLS, 30)
    return (
        f"{what}: {' to '.join(surgical)} in dice, if its {units} frames differ as surgical ones "
        f"do, {retina[0]} as photographs of the retina do, and {' to '.join(cells)} as electron "
        f"micrographs do; for these data, {known}"
    )


def _plain(size: float) -> str:
    """Return a difference with two digits after the point, or one that is not 0.

    >>> _plain(0.1234), _plain(0.00072), _plain(0.0000004)
    ('0.12', '0.0007', '0.0000004')
    """
    digits = 2 if size >= 0.01 else -math.floor(math.log10(size))
    return f"{size:.{digits}f}"


def _hours(hours: float) -> str:
    return f"{hours:g} hour{'' if hours == 1 else 's'}"
