"""Answers to the questions of the assignment, in sentences generated from the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headstart.assignment.report.part1_records import (
    CONSTANT,
    STEPLR,
    Effect,
    Pair,
    scores_over_seeds,
)
from headstart.config.recipe_records import Training
from headstart.reports.formatting import listed, number, plural, signed
from headstart.studies.statistics import MIN_SEEDS, Comparison
from headstart.studies.wording import level_words, percent
from headstart.training.collapse import learned_nothing

_REPORTED_B, _REPORTED_D = 0.5295, 0.6991


def threshold(score: float, expected: float) -> str:
    """Return whether a score exceeds what the assignment expects.

    >>> threshold(0.612, 0.5), threshold(0.48, 0.5)
    ('0.612 is above the expected 0.5', '0.480 is not above the expected 0.5')
    """
    above = "above" if score > expected else "not above"
    return f"{_precise(score, expected)} is {above} the expected {expected:g}"


def constant(score: float, trivial: float, everywhere: str) -> str:
    """Return how a score compares with predicting one class everywhere.

    >>> constant(0.612, 0.7622, "tissue")
    'below the 0.762 of predicting tissue everywhere, which needs no network'
    """
    prediction = f"the {_precise(trivial, score)} of predicting {everywhere} everywhere"
    if score < trivial:
        return f"below {prediction}, which needs no network"
    return f"above {prediction}" if score > trivial else f"exactly {prediction}"


def _precise(value: float, other: float) -> str:
    """Format ``value`` with three decimals, or more if needed to distinguish it from ``other``."""
    for decimals in range(3, 9):
        if value == other or f"{value:.{decimals}f}" != f"{other:.{decimals}f}":
            return f"{value:.{decimals}f}"
    return repr(value)


def stray(rate: float | None) -> str:
    """Return how often a class is predicted in a frame without it.

    >>> stray(0.2432)
    'Stray pixels of an absent foreground class occur in 24 % of all pairs of a frame and an \
absent class.'
    """
    if rate is None:
        return "Every frame shows every class, so no class can be predicted where it is absent."
    if rate == 0:
        return "No class is predicted in a frame without it."
    share = f"{100 * rate:.2g} %" if rate < 0.1 else percent(rate)
    return (
        f"Stray pixels of an absent foreground class occur in {share} of all pairs of a frame and "
        "an absent class."
    )


def collapse(collapsed: bool, where: str = "everywhere") -> str:
    """Return whether the network predicts a single class.

    >>> collapse(True)
    'The network has collapsed: it predicts one class everywhere.'
    """
    if collapsed:
        return f"The network has collapsed: it predicts one class {where}."
    return "The network has not collapsed: it predicts more than one class."


def never_began(history: Sequence[dict[str, Any]], classes: int) -> str:
    """Return that a classifier has learned nothing in any epoch; empty if it has.

    >>> never_began([{"validation_loss": 2.3029, "validation_accuracy": 0.1}] * 3, 10)
    'It never began to learn: in each of 3 epochs its validation loss was that of guessing, \
ln(10) = 2.303.'
    """
    if not learned_nothing(history, {"loss": math.log(classes), "accuracy": 1 / classes}):
        return ""
    return (
        f"It never began to learn: in each of {plural(len(history), 'epoch')} its validation loss "
        f"was that of guessing, ln({classes}) = {math.log(classes):.3f}."
    )


def epochs(done: int, most: int, kept: int, patience: int | None) -> str:
    """Return how long a training took and why it ended.

    >>> epochs(31, 200, 27, 4)
    '31 of at most 200 (stopped after 4 epochs without a lower validation loss); kept epoch 27'
    >>> epochs(200, 200, 199, 4)
    '200, the maximum; kept epoch 199'
    """
    if done < most:
        stopped = f"stopped after {plural(patience or 0, 'epoch')} without a lower validation loss"
        return f"{done} of at most {most} ({stopped}); kept epoch {kept}"
    return f"{done}, the maximum; kept epoch {kept}"


def schedule(recipe: Training) -> str:
    """Return a description of the learning-rate schedule."""
    if recipe.schedule == "step":
        return f"StepLR: times {recipe.gamma:g} every {recipe.step_size} epochs"
    if recipe.schedule == "one-cycle":
        warmup = f"{100 * recipe.warmup:g} %"
        return f"one cycle: up over {warmup} of the steps, then down along half a cosine"
    return f"{recipe.schedule} learning rate"


def augmentation(recipe: Training) -> str:
    """Return a description of the augmentation."""
    chosen = recipe.augmentation
    parts = ["horizontal flip"] * chosen.flip_horizontal + ["vertical flip"] * chosen.flip_vertical
    parts += [f"rotation up to {chosen.rotation:g} degrees"] if chosen.rotation else []
    parts += [f"enlargement up to {chosen.scale:g}"] if chosen.scale != 1 else []
    parts += [
        f"{name} up to ±{100 * getattr(chosen, name):g} %"
        for name in ("brightness", "contrast", "saturation")
        if getattr(chosen, name)
    ]
    return listed(parts) or "none"


def learned(loss: float, trivial: float) -> str:
    """Return what colorization has learned.

    >>> learned(0.0012, 0.0311)
    'The validation loss is 0.0012. Returning the grey picture unchanged costs 0.0311, 25.9 times \
as much.'
    >>> learned(0.04, 0.0311)[-80:]
    'costs 0.0311, so the network has not even learned to leave the picture as it is.'
    """
    losses = (
        f"The validation loss is {loss:.4g}. Returning the grey picture unchanged costs "
        f"{trivial:.4g}"
    )
    if loss >= trivial:
        return f"{losses}, so the network has not even learned to leave the picture as it is."
    if loss == 0:
        return f"{losses}."
    return f"{losses}, {trivial / loss:.3g} times as much."


def leaks(pictures: int, copies: int, near: int) -> str:
    """Return how many unlabelled pictures are validation or test frames.

    >>> leaks(1634, 0, 12)
    'Of the 1634 unlabelled pictures, none is a copy of a validation or test frame and 12 are \
near-copies.'
    """
    of = f"Of the {plural(pictures, 'unlabelled picture')}, "
    if not copies and not near:
        return f"{of}none is a copy or near-copy of a validation or test frame."
    exact = "1 is a copy" if copies == 1 else f"{copies} are copies" if copies else "none is a copy"
    similar = "1 is a near-copy" if near == 1 else f"{near} are near-copies"
    return f"{of}{exact} of a validation or test frame{f' and {similar}' if near else ''}."


def single(b: float, d: float) -> str:
    """Return the comparison that the assignment asks for, of one run each.

    >>> single(0.82, 0.841)
    'The assignment compares two single runs: by its Dice, (d) scores 0.841 and (b) 0.820, a \
difference of +0.021 (reported: 0.6991 and 0.5295, +0.170).'
    """
    return (
        f"The assignment compares two single runs: by its Dice, (d) scores {number(d)} and (b) "
        f"{number(b)}, a difference of {signed(d - b)} (reported: {_REPORTED_D} and "
        f"{_REPORTED_B}, {signed(_REPORTED_D - _REPORTED_B)})."
    )


def _interval(c: Comparison) -> str:
    ends = f"{signed(c.low)} to {signed(c.high)}"
    return f"{level_words(c.level)} interval {ends}, {plural(c.seeds, 'seed')}"


def _effect(c: Comparison, change: str) -> str:
    """Return the effect of a change on dice, as far as its interval supports it."""
    if c.verdict == "too few seeds":
        return (
            f"there is no verdict from {plural(c.seeds, 'seed')} (it takes {MIN_SEEDS}); the "
            f"difference in dice so far is {signed(c.difference)}"
        )
    if c.verdict == "incomplete":
        return "there is no verdict, because runs failed"
    if c.verdict == "practically equal":
        return f"the two are practically equal (dice {signed(c.difference)}, {_interval(c)})"
    if c.verdict == "no difference shown":
        return (
            "no difference is shown, which does not mean equal (dice "
            f"{signed(c.difference)}, {_interval(c)})"
        )
    verb = "raises" if c.verdict == "helps" else "lowers"
    return f"{change} {verb} dice (dice {signed(c.difference)}, {_interval(c)})"


def headline(effects: Sequence[Effect], reason: str = "") -> str:
    """Return whether colorization makes a difference under each schedule.

    Args:
        effects: those of [`Part1`][headstart.assignment.report.part1_records.Part1].
        reason: why there are no effects.
    """
    if not effects:
        return f"No verdict on colorization: {reason}."
    verdicts = {e.given: e.comparison.verdict for e in effects if e.of == "colorization"}
    with_steplr = verdicts[STEPLR]
    without = verdicts.get(CONSTANT, with_steplr)
    if "too few seeds" in (with_steplr, without):
        seeds = plural(min(e.comparison.seeds for e in effects), "seed")
        return f"No verdict on colorization: {seeds}, and a verdict needs {MIN_SEEDS}."
    if "incomplete" in (with_steplr, without):
        return "No verdict on colorization: runs failed."
    statements = {
        "helps": "starting from colorization raises dice",
        "hurts": "starting from colorization lowers dice",
        "practically equal": "(b) and (d) are practically equal",
        "no difference shown": "no difference between (b) and (d) is shown",
    }
    if CONSTANT not in verdicts:
        return f"With StepLR, {statements[with_steplr]}."
    if with_steplr == without:
        return f"With StepLR and without it, {statements[with_steplr]}."
    return f"With StepLR, {statements[with_steplr]}; without it, {statements[without]}."


def of_colorization(effects: Sequence[Effect]) -> str:
    """Return the effect of colorization under each schedule."""
    comparisons = {e.given: e.comparison for e in effects if e.of == "colorization"}
    parts = {g: _effect(c, "starting from colorization") for g, c in comparisons.items()}
    sentences = " ".join(f"With {given}, {effect}." for given, effect in parts.items())
    verdicts = {c.verdict for c in comparisons.values()}
    if len(verdicts) > 1 and "too few seeds" not in verdicts:
        sentences += " Different verdicts are no evidence that the effects differ."
    return sentences


def of_schedule(effects: Sequence[Effect]) -> str:
    """Return the effect of leaving out StepLR on each start."""
    comparisons = {e.given: e.comparison for e in effects if e.of == "schedule"}
    parts = {given: _effect(c, "leaving out StepLR") for given, c in comparisons.items()}
    if not parts:
        return "(b) and (d) were not run without StepLR."
    return f"From scratch, {parts['scratch']}. From colorization, {parts['colorization']}."


def of_seeds(pairs: Sequence[Pair]) -> str:
    """Return how much the assignment's Dice varies between seeds."""
    score = "dice_assignment"
    pairs = tuple(pairs)
    if len(pairs) < 2:
        return "A single seed does not show how much of the difference is due to the seed."
    differences = [x for p in pairs if (x := p.difference(score)) is not None]
    b, d = scores_over_seeds(pairs, "b", score), scores_over_seeds(pairs, "d", score)
    ranges = (
        f"With StepLR and {plural(len(pairs), 'seed')}, by the assignment’s Dice (b) scores "
        f"{number(min(b))} to {number(max(b))} and (d) {number(min(d))} to {number(max(d))}; their "
        f"difference is {signed(min(differences))} to {signed(max(differences))}."
    )
    if min(differences) < 0 < max(differences):
        return f"{ranges} The seed decides which of the two scores higher."
    return ranges


def of_metric(pairs: Sequence[Pair], trivial: float | None) -> str:
    """Return whether both scores agree, and how the Dice compares with a constant."""
    sentences = []
    names = {"dice_assignment": "the assignment’s Dice", "dice": "the pooled foreground Dice"}
    for schedule in (STEPLR, CONSTANT):
        counts = []
        for score, name in names.items():
            differences = [
                x
                for p in pairs
                if p.schedule == schedule and (x := p.difference(score)) is not None
            ]
            if differences:
                mean = signed(sum(differences) / len(differences))
                higher = f"{sum(x > 0 for x in differences)} of {plural(len(differences), 'seed')}"
                counts.append(f"{higher} by {name} ({mean} on average)")
        if counts:
            sentences.append(f"With {schedule}, (d) is above (b) in {' and in '.join(counts)}.")
    runs = [run for pair in pairs for run in (pair.b, pair.d)]
    if trivial is not None:
        below = sum(run.scores["dice_assignment"] < trivial for run in runs)
        verb = "scores" if below < 2 else "score"
        sentences.append(
            f"Of the {plural(len(runs), 'run')} of (b) and (d), {below or 'none'} {verb} less by "
            f"the assignment’s Dice than one class everywhere ({number(trivial)})."
        )
    return " ".join(sentences)


def of_collapse(pairs: Sequence[Pair]) -> str:
    """Return how many runs predict one class everywhere."""
    runs = [run for pair in pairs for run in (pair.b, pair.d)]
    collapsed = sum(bool(run.scores["collapsed"]) for run in runs)
    if not collapsed:
        return f"Of these {plural(len(runs), 'run')}, none has collapsed."
    return f"Of these {plural(len(runs), 'run')}, {collapsed} collapsed to one class everywhere."
