"""The sections 1(a) to 1(d): question, answers, scores, figure and hyper-parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headstart.assignment.report import answers
from headstart.assignment.report.part1_records import Part1, kept_epoch
from headstart.config.records import PretextConfig, RunConfig
from headstart.config.start_names import SCRATCH
from headstart.errors import printable
from headstart.models.unet import UNet
from headstart.reports.formatting import NONE, Entry, Table, duration, listed, number, plural
from headstart.reports.records import PretextRecord, RunRecord

Rows = list[tuple[Entry, ...]]


@dataclass(frozen=True)
class Part:
    """What the assignment asks, expects and reports.

    Attributes:
        title: title of the part.
        question: the question in a sentence.
        expected: the score to exceed.
        reported: the score the assignment's author reports.
        epochs: the epochs the author reports; ``None`` for parts beyond the assignment.
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
        "Can the same network, with a head of three channels, learn to colour grey frames without "
        "any label?",
        None,
        None,
        8,
    ),
    "d": Part(
        "From colorization",
        "Does the segmentation of (b) improve when it starts from the weights of (c)?",
        None,
        0.6991,
        31,
    ),
}


@dataclass(frozen=True)
class Section:
    """One part of the report.

    Attributes:
        name: name of the part, such as ``"1(a)"``.
        anchor: target of links.
        title: title of the part.
        question: what the assignment asks.
        answers: paragraphs.
        not_run: what is missing to run the part; empty if it was run.
        scores: scores on the test split.
        figure: name of the figure.
        caption: caption of the figure.
        tables: further tables.
        settings: the hyper-parameters.
        sheet: figure of the predictions of the run.
        picture: name of ``sheet`` in ``figures/``; empty if there is none.
        picture_caption: caption of the sheet.
        private: whether the sheet shows frames of the dataset.
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
    picture_caption: str = ""
    private: bool = False


LOSSES = "Training and validation loss per epoch."


def part1_sections(part1: Part1) -> list[Section]:
    """Return the sections of 1(a) to 1(d)."""
    return [_section(part1, letter) for letter in PARTS]


def _section(part1: Part1, letter: str) -> Section:
    if letter == "c" and part1.colorization is not None:
        return _colorization_section(part1, part1.colorization)
    if letter in part1.runs:
        return _segmentation_section(part1, letter)
    part, reason = PARTS[letter], part1.not_run[letter]
    opening = (f"1({letter})", f"part-1{letter}", part.title, part.question)
    return Section(*opening, (), not_run=reason)


def _segmentation_section(part1: Part1, letter: str) -> Section:
    part, run = PARTS[letter], part1.runs[letter]
    return Section(
        f"1({letter})",
        f"part-1{letter}",
        part.title,
        part.question,
        _segmentation_answers(part1, letter),
        scores=_scores(run, part),
        figure=f"1{letter}-losses",
        caption=LOSSES,
        settings=_segmentation_settings(run, part1.run_configs[letter]),
        sheet=run.folder / "predictions.png",
        picture=f"1{letter}-predictions",
        picture_caption="Best, typical and worst test frames: picture, truth, prediction.",
        private=True,
    )


def _colorization_section(part1: Part1, pretext: PretextRecord) -> Section:
    part = PARTS["c"]
    return Section(
        "1(c)",
        "part-1c",
        part.title,
        part.question,
        _colorization_answers(pretext),
        figure="1c-losses",
        caption=LOSSES,
        settings=_colorization_settings(part1, pretext),
        sheet=pretext.folder / "restorations.png",
        picture="1c-restorations",
        picture_caption="Input, output and truth on validation pictures.",
        private=True,
    )


def _segmentation_answers(part1: Part1, letter: str) -> tuple[str, ...]:
    scores, expected = part1.runs[letter].scores, PARTS[letter].expected
    dice, trivial = scores["dice_assignment"], scores["trivial"]["dice_assignment"]
    against_constant = answers.constant(dice, trivial, printable(part1.best_constant))
    by_assignment = (
        f"The test Dice by the assignment’s definition is {number(dice)}. It is {against_constant}."
    )
    if expected is not None:
        by_assignment = (
            f"The test Dice by the assignment’s definition: {answers.threshold(dice, expected)}, "
            f"and {against_constant}."
        )
    pooled = (
        "The pooled foreground Dice, on which verdicts are based, is "
        f"{number(scores['dice'])} (one class everywhere: {number(scores['trivial']['dice'])}). "
        f"{answers.stray(scores['absent_fp_rate'])} {answers.collapse(scores['collapsed'])}"
    )
    paragraphs = [by_assignment, pooled]
    if letter == "b":
        paragraphs.append(
            "The reported scores of (a) and (b) agree to the last digit although the runs "
            "differ. Two networks that both collapsed to the same class would do that."
        )
    if letter == "d" and "b" in part1.runs:
        paragraphs.append(answers.single(part1.runs["b"].scores["dice_assignment"], dice))
    return tuple(paragraphs)


def _colorization_answers(pretext: PretextRecord) -> tuple[str, ...]:
    scores, leaks = pretext.scores, pretext.leaks
    learned = answers.learned(scores["loss"], scores["trivial"]["loss"])
    if not leaks.compared_with:
        return (learned,)
    return learned, answers.leaks(leaks.pictures, len(leaks.copies), len(leaks.near))


def network(part1: Part1) -> str:
    """Return a description of the network, and the start of the description of its loss."""
    if not part1.runs:
        return ""
    width = next(iter(part1.run_configs.values())).width
    assert width is not None
    levels = [str(width * 2**level) for level in range(4)]
    classes = len(part1.any_run.frames.names)
    with torch.device("meta"):
        weights = sum(p.numel() for p in UNet(classes, width).parameters())
    return (
        f"A simplified U-Net with four levels of {listed(levels)} channels. Each level has two 3×3 "
        "convolutions with batch norm and leaky ReLU 0.1. The way down uses 2×2 max pooling, the "
        "way up transposed 4×4 convolutions of stride 2 without bias, followed by ReLU. Skips are "
        f"concatenated, and a 1×1 head follows. For {classes} classes the network has {weights:,} "
        "weights. Soft Dice loss and Dice score are written from scratch. The loss of a batch is"
    )


def _segmentation_settings(run: RunRecord, config: RunConfig) -> Table:
    labels, recipe = run.labelled, config.recipe
    start = "new weights" if config.start == SCRATCH else "weights of (c), all but the head"
    size = f"{config.size[0]} × {config.size[1]}"
    epochs = answers.epochs(len(run.history), recipe.epochs, kept_epoch(run), recipe.patience)
    rows: Rows = [
        ("start", start),
        ("input", f"{size}, RGB"),
        ("output", f"softmax over {len(run.frames.names)} classes"),
        ("loss", "soft Dice, background included"),
        *_training_rows(config),
        ("epochs", epochs),
        ("pictures", f"{labels.train} labelled for training, {labels.validation} for "
         "validation"),
        ("seed", str(config.seed)),
        ("time", f"{duration(run.seconds)} on {config.device}"),
    ]  # fmt: skip
    return Table("Hyper-parameters.", ("setting", "value"), tuple(rows), left=(1,))


def _colorization_settings(part1: Part1, pretext: PretextRecord) -> Table:
    config = part1.colorization_config
    assert config is not None
    pictures, recipe = pretext.environment.pictures or {}, config.recipe
    size = f"{config.size[0]} × {config.size[1]}"
    kept = kept_epoch(pretext)
    rows: Rows = [
        ("start", "new weights"),
        ("input", f"{size}, grey, repeated to three channels"),
        ("output", "three channels: the colours"),
        ("loss", "mean squared error"),
        *_training_rows(config),
        ("epochs", answers.epochs(len(pretext.history), recipe.epochs, kept, recipe.patience)),
        ("pictures", f"{pictures['train']} unlabelled for training, {pictures['validation']} for "
         "validation"),
        ("seed", str(config.seed)),
        ("time", f"{duration(pretext.seconds)} on {config.device}"),
    ]  # fmt: skip
    return Table("Hyper-parameters.", ("setting", "value"), tuple(rows), left=(1,))


def _training_rows(config: RunConfig | PretextConfig) -> Rows:
    recipe = config.recipe
    return [
        ("optimizer", f"{recipe.optimizer.capitalize()}, learning rate {recipe.learning_rate:g}"),
        ("batch", str(recipe.batch)),
        ("schedule", answers.schedule(recipe)),
        ("augmentation", answers.augmentation(recipe)),
    ]


def _scores(run: RunRecord, part: Part) -> Table:
    rows: Rows = []
    for name in ("dice_assignment", "dice", "absent_fp_rate"):
        reported: Entry = NONE
        if name == "dice_assignment":
            reported = str(part.reported)
            reported = (reported, f"expected > {part.expected}") if part.expected else reported
        trivial = number(run.scores["trivial"][name])
        rows.append((name, number(run.scores[name]), trivial, reported))
    caption = (
        f"Scores on {plural(run.scores['frames'], 'test frame')}; constant: the best prediction of "
        "one class everywhere."
    )
    return Table(caption, ("score", "here", "constant", "reported"), tuple(rows))


def parts_json(part1: Part1) -> dict[str, Any]:
    """Return what ``homework.json`` records of each part, by letter."""
    names = ("dice_assignment", "dice", "absent_fp_rate")
    by_letter: dict[str, Any] = {}
    for letter, part in PARTS.items():
        record = part1.colorization if letter == "c" else part1.runs.get(letter)
        if record is None:
            by_letter[letter] = {"not_run": part1.not_run[letter]}
            continue
        scores = record.scores
        by_letter[letter] = {
            "epochs": len(record.history),
            "kept": kept_epoch(record),
            "reported_epochs": part.epochs,
        }
        if letter == "c":
            by_letter[letter] |= {name: scores[name] for name in ("loss", "trivial")}
        else:
            by_letter[letter] |= {name: scores[name] for name in (*names, "collapsed")}
            by_letter[letter] |= {
                "trivial": {name: scores["trivial"][name] for name in names},
                "expected": part.expected,
                "reported": part.reported,
            }
    return by_letter
