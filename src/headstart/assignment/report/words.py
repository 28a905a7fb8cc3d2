"""The assignment's questions, answered in words made from the numbers: no more than they say."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.assignment.report.results import CONSTANT, STEPLR, Effect, Pair, values
from headstart.report.words import listed, number, plural, signed
from headstart.studies.statistics import MIN_SEEDS, Comparison
from headstart.training.recipes import Training

_REPORTED = {"b": 0.5295, "d": 0.6991}


def threshold(score: float, expected: float) -> str:
    """Whether a score is what the assignment expects.

    >>> threshold(0.612, 0.5), threshold(0.48, 0.5)
    ('0.612 is above the expected 0.5', '0.480 is not above the expected 0.5')
    """
    above = "above" if score > expected else "not above"
    return f"{_precise(score, expected)} is {above} the expected {expected:g}"


def constant(score: float, trivial: float, everywhere: str) -> str:
    """A score beside that of one class everywhere.

    >>> constant(0.612, 0.7622, "tissue")
    'below the 0.762 that predicting tissue everywhere scores: by this score no network at all \
is better'
    """
    where = f"the {_precise(trivial, score)} that predicting {everywhere} everywhere scores"
    if score < trivial:
        return f"below {where}: by this score no network at all is better"
    return f"above {where}" if score > trivial else f"exactly {where}"


def _precise(value: float, other: float) -> str:
    """Three decimals, or more where two values that differ would look the same."""
    for decimals in range(3, 9):
        if value == other or f"{value:.{decimals}f}" != f"{other:.{decimals}f}":
            return f"{value:.{decimals}f}"
    return repr(value)


def stray(rate: float | None) -> str:
    """What Dice forgives.

    >>> stray(0.2432)
    'Of the pairs of a frame and a foreground class that is absent from it, 24 % have stray \
pixels of the class.'
    """
    if rate is None:
        return "Every frame holds every class: none can be predicted where it is not."
    if rate == 0:
        return "No class is predicted in a frame that does not hold it."
    return (
        "Of the pairs of a frame and a foreground class that is absent from it, "
        f"{100 * rate:.2g} % have stray pixels of the class."
    )


def collapse(collapsed: bool, where: str = "everywhere") -> str:
    """Whether the network predicts one class everywhere.

    >>> collapse(True)
    'The network has collapsed: it predicts one class everywhere.'
    """
    if collapsed:
        return f"The network has collapsed: it predicts one class {where}."
    return "The network has not collapsed: it predicts more than one class."


def epochs(done: int, most: int, kept: int, patience: int | None) -> str:
    """How long a training went, and why it ended.

    >>> epochs(31, 200, 27, 4)
    '31 of at most 200 (stopped after 4 epochs without a lower validation loss); epoch 27 kept'
    >>> epochs(200, 200, 199, 4)
    '200, as many as there may be; epoch 199 kept'
    """
    if done < most:
        stopped = f"stopped after {plural(patience or 0, 'epoch')} without a lower validation loss"
        return f"{done} of at most {most} ({stopped}); epoch {kept} kept"
    return f"{done}, as many as there may be; epoch {kept} kept"


def schedule(recipe: Training) -> str:
    """How the learning rate goes."""
    if recipe.schedule == "step":
        return f"StepLR: times {recipe.gamma:g} every {recipe.step_size} epochs"
    if recipe.schedule == "one-cycle":
        return f"one cycle: up over {100 * recipe.warmup:g} % of the steps, then down a half cosine"
    return f"{recipe.schedule} learning rate"


def augmentation(recipe: Training) -> str:
    """How training pictures are changed."""
    its = recipe.augmentation
    parts = ["horizontal flip"] * its.flip_horizontal + ["vertical flip"] * its.flip_vertical
    parts += [f"rotation up to {its.rotation:g} degrees"] if its.rotation else []
    parts += [f"enlargement up to {its.scale:g}"] if its.scale != 1 else []
    parts += [
        f"{name} up to ±{100 * getattr(its, name):g} %"
        for name in ("brightness", "contrast", "saturation")
        if getattr(its, name)
    ]
    return listed(parts) or "none"


def learned(loss: float, trivial: float) -> str:
    """What colorization has come to.

    >>> learned(0.0012, 0.0311)
    'The validation loss is 0.0012; handing back the grey picture, unchanged, costs 0.0311, \
25.9 times as much.'
    >>> learned(0.04, 0.0311)[-68:]
    'costs 0.0311: the network has not even learned to leave it as it is.'
    """
    told = f"The validation loss is {loss:.4g}; handing back the grey picture, unchanged, costs "
    if loss >= trivial:
        return f"{told}{trivial:.4g}: the network has not even learned to leave it as it is."
    if loss == 0:
        return f"{told}{trivial:.4g}."
    return f"{told}{trivial:.4g}, {trivial / loss:.3g} times as much."


def leaks(pictures: int, same: int, near: int) -> str:
    """Whether the pictures without labels hold frames that (d) is judged by.

    >>> leaks(1634, 0, 12)
    'Of the 1634 pictures without labels, none is a validation or test frame, pixel by pixel, but \
12 nearly are.'
    """
    of = f"Of the {plural(pictures, 'picture')} without labels, "
    if not same and not near:
        return f"{of}none is, exactly or nearly, a validation or test frame."
    exactly = f"{same or 'none'} {'is a' if same < 2 else 'are'} validation or test "
    exactly += f"{'frame' if same < 2 else 'frames'}, pixel by pixel"
    more = f"{near} nearly {'is' if near == 1 else 'are'}"
    if not same:
        return f"{of}{exactly}, but {more}."
    return f"{of}{exactly}" + (f", and {more}." if near else ".")


def single(b: float, d: float) -> str:
    """What the assignment's own comparison sees: one run each.

    >>> single(0.82, 0.841)
    'The assignment compares two single runs: (d) scores 0.841 and (b) 0.820 by its Dice, a \
difference of +0.021 (reported: 0.6991 and 0.5295, +0.170).'
    """
    reported = _REPORTED["d"] - _REPORTED["b"]
    return (
        f"The assignment compares two single runs: (d) scores {number(d)} and (b) {number(b)} by "
        f"its Dice, a difference of {signed(d - b)} (reported: {_REPORTED['d']} and "
        f"{_REPORTED['b']}, {signed(reported)})."
    )


def _interval(c: Comparison) -> str:
    ends = f"{signed(c.low)} to {signed(c.high)}"
    return f"{100 * c.level:.3g} % interval {ends}, {plural(c.seeds, 'seed')}"


def _effect(c: Comparison, raises: str, lowers: str) -> str:
    """One effect, as far as its interval goes."""
    if c.verdict == "too few seeds":
        return (
            f"no verdict is possible with {plural(c.seeds, 'seed')} (it takes {MIN_SEEDS}); the "
            f"difference in dice so far is {signed(c.difference)}"
        )
    if c.verdict == "no difference shown":
        return (
            "no difference is shown, which is not the same as equal (dice "
            f"{signed(c.difference)}, {_interval(c)})"
        )
    verb = raises if c.verdict == "helps" else lowers
    return f"{verb} (dice {signed(c.difference)}, {_interval(c)})"


def headline(effects: Sequence[Effect], reason: str = "") -> str:
    """What is said first: whether colorization makes a difference, under either schedule.

    Args:
        effects: as [`Results`][headstart.assignment.report.results.Results] has them.
        reason: why there are none.
    """
    if not effects:
        return f"No verdict on colorization: {reason}."
    verdicts = {e.given: e.told.verdict for e in effects if e.of == "colorization"}
    first, second = verdicts[STEPLR], verdicts[CONSTANT]
    if "too few seeds" in (first, second):
        seeds = min(e.told.seeds for e in effects)
        return (
            f"No verdict on colorization: {plural(seeds, 'seed')}, and a verdict needs {MIN_SEEDS}."
        )
    said = {
        "helps": "starting from colorization raises dice",
        "hurts": "starting from colorization lowers dice",
        "no difference shown": "no difference between (b) and (d) is shown",
    }
    if first == second:
        return f"With StepLR and without it, {said[first]}."
    return f"With StepLR, {said[first]}; without it, {said[second]}."


def of_colorization(effects: Sequence[Effect]) -> str:
    """Its effect under either schedule."""
    told = {e.given: e.told for e in effects if e.of == "colorization"}
    raises, lowers = (f"starting from colorization {verb} dice" for verb in ("raises", "lowers"))
    parts = {given: _effect(c, raises, lowers) for given, c in told.items()}
    words = f"With StepLR, {parts[STEPLR]}. With a constant learning rate, {parts[CONSTANT]}."
    verdicts = {c.verdict for c in told.values()}
    if len(verdicts) > 1 and "too few seeds" not in verdicts:
        words += " That the verdicts differ is no evidence that the effects do."
    return words


def of_schedule(effects: Sequence[Effect]) -> str:
    """The effect of leaving StepLR out, on either start."""
    told = {e.given: e.told for e in effects if e.of == "schedule"}
    raises, lowers = (f"leaving StepLR out {verb} dice" for verb in ("raises", "lowers"))
    parts = {given: _effect(c, raises, lowers) for given, c in told.items()}
    return f"From scratch, {parts['scratch']}. From colorization, {parts['colorization']}."


def of_seeds(pairs: Sequence[Pair]) -> str:
    """How far the assignment's score moves when nothing but the seed changes."""
    score = "dice_assignment"
    own = tuple(pairs)
    if len(own) < 2:
        return "One seed: how much of the difference is the seed’s cannot be told from it."
    differences = [x for p in own if (x := p.difference(score)) is not None]
    b, d = values(own, "b", score), values(own, "d", score)
    words = (
        f"With StepLR and {plural(len(own), 'seed')}, everything else alike, (b) scores "
        f"{number(min(b))} to {number(max(b))} and (d) {number(min(d))} to {number(max(d))} by the "
        f"assignment’s Dice, and their difference is {signed(min(differences))} to "
        f"{signed(max(differences))}."
    )
    if min(differences) < 0 < max(differences):
        return f"{words} The seed decides which of the two comes out above the other."
    return words


def of_metric(pairs: Sequence[Pair], trivial: float | None) -> str:
    """Whether the two scores tell the same story, and what the assignment's is worth."""
    sentences = []
    for schedule in (STEPLR, CONSTANT):
        mine = [p for p in pairs if p.schedule == schedule]
        said = []
        for score, called in (
            ("dice_assignment", "the assignment’s Dice"),
            ("dice", "dice pooled over foreground"),
        ):
            found = [x for p in mine if (x := p.difference(score)) is not None]
            if found:
                mean = signed(sum(found) / len(found))
                above = sum(x > 0 for x in found)
                said.append(
                    f"{above} of {plural(len(found), 'seed')} by {called} ({mean} on average)"
                )
        if said:
            sentences.append(f"With {schedule}, (d) is above (b) in {' and in '.join(said)}.")
    runs = [run for pair in pairs for run in (pair.b, pair.d)]
    if trivial is not None:
        below = sum(run.scores["dice_assignment"] < trivial for run in runs)
        sentences.append(
            f"Of the {plural(len(runs), 'run')} of (b) and (d), {below or 'none'} "
            f"{'scores' if below < 2 else 'score'} less by the assignment’s Dice than one class "
            f"everywhere ({number(trivial)})."
        )
    return " ".join(sentences)


def of_collapse(pairs: Sequence[Pair]) -> str:
    """How many of the runs predict one class everywhere."""
    runs = [run for pair in pairs for run in (pair.b, pair.d)]
    collapsed = sum(bool(run.scores["collapsed"]) for run in runs)
    if not collapsed:
        return f"Of these {plural(len(runs), 'run')} none has collapsed."
    return f"Of these {plural(len(runs), 'run')} {collapsed} collapsed to one class everywhere."
