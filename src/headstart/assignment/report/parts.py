"""Part 1 as plain values: what was asked, what was set, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headstart.assignment.report import words
from headstart.assignment.report.results import Results, kept
from headstart.errors import printable
from headstart.models.unet import UNet
from headstart.report.read import Pretext, Run
from headstart.report.words import NONE, Entry, Table, duration, listed, number, plural
from headstart.training.config import SCRATCH, PretextConfig, RunConfig


@dataclass(frozen=True)
class Part:
    """What the assignment asks, expects and reports.

    Attributes:
        title: of the part.
        question: in a sentence.
        expected: above this.
        reported: the score.
        epochs: reported too; None for what goes beyond the assignment.
    """

    title: str
    question: str
    expected: float | None = None
    reported: float | None = None
    epochs: int | None = None


PARTS = {
    "a": Part(
        "From scratch",
        "Does a simplified U-Net, trained from scratch on the labelled frames, reach a Dice above "
        "0.5 on the test split?",
        0.5,
        0.5295,
        46,
    ),
    "b": Part(
        "Augmentation",
        "Does the same training with horizontal flips, vertical flips and rotations up to 30 "
        "degrees reach a Dice above 0.6?",
        0.6,
        0.5295,
        11,
    ),
    "c": Part(
        "Colorization",
        "Can the same network, with a head of three channels, learn to give grey frames their "
        "colours, without any label?",
        None,
        None,
        8,
    ),
    "d": Part(
        "From colorization",
        "Does the segmentation of (b), started from the weights of (c), do better than (b)?",
        None,
        0.6991,
        31,
    ),
}


@dataclass(frozen=True)
class Section:
    """One part of the report.

    Attributes:
        name: of the part, ``"1(a)"``.
        anchor: what links point at.
        title, question: as in [`Part`][headstart.assignment.report.parts.Part].
        answers: paragraphs.
        not_run: what it takes to run it; empty where it was run.
        scores: of the test split.
        figure: name of the figure.
        caption: what it shows.
        tables: after it.
        settings: the hyper-parameters.
        sheet: the run's picture that is shown.
        picture: how it is called in ``figures/``; empty where there is none.
        shows: what the picture shows.
        private: whether it shows frames of the dataset.
    """

    name: str
    anchor: str
    title: str
    question: str
    answers: tuple[str, ...]
    not_run: str = ""
    scores: Table | None = None
    figure: str = ""
    caption: str = ""
    tables: tuple[Table, ...] = ()
    settings: Table | None = None
    sheet: Path | None = None
    picture: str = ""
    shows: str = ""
    private: bool = False


LOSSES = "Training and validation loss per epoch."


def of_parts(results: Results) -> list[Section]:
    """The four parts, in their order."""
    found = []
    for letter, part in PARTS.items():
        ran: Run | Pretext = getattr(results, letter)
        config = results.configs[letter]
        sheet = "restorations" if letter == "c" else "predictions"
        found.append(
            Section(
                f"1({letter})",
                f"part-1{letter}",
                part.title,
                part.question,
                _answers(results, letter),
                scores=_scores(ran, part) if isinstance(ran, Run) else None,
                figure=f"1{letter}-losses",
                caption=LOSSES,
                settings=_settings(ran, config),
                sheet=ran.folder / f"{sheet}.png",
                picture=f"1{letter}-{sheet}",
                shows="What the network sees, what it makes of it, and what is true; validation "
                "pictures."
                if letter == "c"
                else "Best, typical and worst test frames: picture, truth, prediction.",
                private=True,
            )
        )
    return found


def _answers(results: Results, letter: str) -> tuple[str, ...]:
    if letter == "c":
        scores, leaks = results.c.scores, results.c.leaks
        learned = words.learned(scores["loss"], scores["trivial"]["loss"])
        if not leaks["compared_with"]:
            return (learned,)
        return learned, words.leaks(leaks["pictures"], len(leaks["copies"]), len(leaks["near"]))
    run: Run = getattr(results, letter)
    scores, expected = run.scores, PARTS[letter].expected
    own, trivial = scores["dice_assignment"], scores["trivial"]["dice_assignment"]
    beside = words.constant(own, trivial, printable(results.everywhere))
    told = f"The test Dice, as the assignment counts it, is {number(own)}. It is {beside}."
    if expected is not None:
        told = f"The test Dice, as the assignment counts it: {words.threshold(own, expected)}, "
        told += f"and {beside}."
    pooled = "Pooled over the foreground, which is what verdicts are made from, dice is "
    pooled += f"{number(scores['dice'])} ({number(scores['trivial']['dice'])} with one class "
    pooled += f"everywhere). {words.stray(scores['absent_fp_rate'])} "
    answers = [told, pooled + words.collapse(scores["collapsed"])]
    if letter == "b":
        answers.append(
            "The reported figures of (a) and (b), two different trainings, agree to the last "
            "digit, as they would of two networks that have collapsed to the same class."
        )
    if letter == "d":
        answers.append(words.single(results.b.scores["dice_assignment"], own))
    return tuple(answers)


def network(results: Results) -> str:
    """What all parts train."""
    config = results.configs["a"]
    assert isinstance(config, RunConfig) and config.width is not None
    levels = [str(config.width * 2**level) for level in range(4)]
    classes = len(results.a.frames.names)
    with torch.device("meta"):
        weights = sum(p.numel() for p in UNet(classes, config.width).parameters())
    return (
        f"A simplified U-Net of four levels with {listed(levels)} channels: at each two 3×3 "
        "convolutions, with batch norm and leaky ReLU 0.1; 2×2 max pooling on the way down; "
        "transposed 4×4 convolutions of stride 2, without bias, then ReLU, on the way up; skips "
        f"concatenated; a 1×1 head. For {classes} classes it has {weights:,} weights. Soft Dice "
        "loss and Dice score are written from scratch, the loss over one batch being"
    )


def _settings(part: Run | Pretext, config: RunConfig | PretextConfig) -> Table:
    """The hyper-parameters, in words."""
    recipe = config.recipe
    height, width = config.size
    pretext = isinstance(config, PretextConfig)
    where = f"{height} × {width}"
    if isinstance(part, Run):
        counted = part.environment["labels"]
        frames = f"{counted['train']} labelled to train, {counted['validation']} to validate"
    else:
        counted = part.environment["pictures"]
        frames = f"{counted['train']} without labels to train, {counted['validation']} to validate"
    start = "new weights"
    if isinstance(config, RunConfig) and config.start != SCRATCH:
        start = "the weights of (c), all but the head"
    rows: list[tuple[Entry, ...]] = [
        ("start", start),
        ("input", f"{where}, grey, in three equal channels" if pretext else f"{where}, RGB"),
        (
            "output",
            f"softmax over {len(part.frames.names)} classes"
            if isinstance(part, Run)
            else "three channels: the colours",
        ),
        ("loss", "mean squared error" if pretext else "soft Dice, background included"),
        ("optimizer", f"{recipe.optimizer.capitalize()}, learning rate {recipe.learning_rate:g}"),
        ("batch", str(recipe.batch)),
        ("schedule", words.schedule(recipe)),
        ("augmentation", words.augmentation(recipe)),
        ("epochs", words.epochs(len(part.history), recipe.epochs, kept(part), recipe.patience)),
        ("pictures", frames),
        ("seed", str(config.seed)),
        ("time", f"{duration(part.seconds)} on {config.device}"),
    ]
    return Table("Hyper-parameters.", ("setting", "value"), tuple(rows), left=(1,))


def _scores(run: Run, part: Part) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for name in ("dice_assignment", "dice", "absent_fp_rate"):
        reported: Entry = NONE
        if name == "dice_assignment":
            reported = str(part.reported)
            reported = (reported, f"expected > {part.expected}") if part.expected else reported
        trivial = number(run.scores["trivial"][name])
        rows.append((name, number(run.scores[name]), trivial, reported))
    caption = (
        f"Scores on {plural(run.scores['frames'], 'test frame')}; constant: the best that one "
        "class everywhere reaches."
    )
    return Table(caption, ("score", "here", "constant", "reported"), tuple(rows))


def record(results: Results) -> dict[str, Any]:
    """What is said of each part, for ``homework.json``."""
    parts: dict[str, Any] = {}
    for letter, part in PARTS.items():
        ran = getattr(results, letter)
        told: dict[str, Any] = {
            "epochs": len(ran.history),
            "kept": kept(ran),
            "reported_epochs": part.epochs,
        }
        if isinstance(ran, Run):
            names = ("dice_assignment", "dice", "absent_fp_rate")
            told |= {name: ran.scores[name] for name in (*names, "collapsed")}
            told["trivial"] = {name: ran.scores["trivial"][name] for name in names}
            told |= {"expected": part.expected, "reported": part.reported}
        else:
            told |= {name: ran.scores[name] for name in ("loss", "trivial")}
        parts[letter] = told
    return parts
