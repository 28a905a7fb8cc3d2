"""Part 2 as plain values: two classifiers, and which of them is the better start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from headstart.assignment.parts import CLASSIFIERS, NEW_DATA, called
from headstart.assignment.report import figures, new_data, words
from headstart.assignment.report.parts import LOSSES, Part, Section
from headstart.assignment.report.results import kept
from headstart.data.layouts.idx import CLASSES
from headstart.errors import printable
from headstart.models.classifiers import outline
from headstart.models.tuning import trained_weights
from headstart.report.read import Records, Row, Run, read_records
from headstart.report.words import NONE, Entry, Table, duration, number, plural
from headstart.training.config import SCRATCH, RunConfig
from headstart.training.config_files import read_run_config
from headstart.training.recipes import ClassifierRecipe

PARTS = {
    "2a": Part(
        "All weights random",
        "Does a VGG16 whose weights are all random reach an accuracy above 85 % on the test "
        "pictures?",
        0.85,
        0.9089,
        10,
    ),
    "2b": Part(
        "ImageNet, a new last layer",
        "Does a VGG16 with ImageNet’s weights, everything frozen but a new last layer, reach an "
        "accuracy above 60 %?",
        0.60,
        0.8562,
        10,
    ),
    "2b-whole": Part(
        "ImageNet, trained whole",
        "Beyond the assignment: (a) trains every weight and (b) one layer, which compares two "
        "tunings with two starts at once. What do ImageNet’s weights reach where every weight is "
        "trained, as in (a)?",
    ),
    "2b-staged": Part(
        "ImageNet, in two stages",
        "Beyond the assignment: and where the new last layer is trained first, then every weight?",
    ),
}


@dataclass(frozen=True)
class Transfer:
    """All that the report of part 2 is made from.

    Attributes:
        runs: of 2(a), 2(b) and beyond, by folder.
        configs: theirs.
        new: the study of 2(c); None where it was not run.
        not_run: what it takes to run the others, by folder.
    """

    runs: Mapping[str, Run]
    configs: Mapping[str, RunConfig]
    new: Records | None
    not_run: Mapping[str, str]


def read_transfer(out: Path, not_run: Mapping[str, str]) -> Transfer:
    """Everything the report needs.

    Raises:
        DataError: a part that is not among ``not_run`` is not finished, or a record is damaged.
    """
    there = [folder for folder in CLASSIFIERS if folder not in not_run]
    return Transfer(
        {folder: read_records(out / folder).runs[0] for folder in there},
        {folder: read_run_config(out / folder / "config.json") for folder in there},
        None if NEW_DATA in not_run else read_records(out / NEW_DATA),
        not_run,
    )


def summary(its: Transfer) -> Table:
    """All parts in one table."""
    rows: list[tuple[Entry, ...]] = []
    for folder, part in PARTS.items():
        score: Entry = "not run"
        if folder in its.runs:
            run = its.runs[folder]
            done = f"{_epochs(its, folder)} epochs"
            done += ", collapsed" if run.scores["collapsed"] else ""
            score = number(run.scores["accuracy"]), done
        expected = f"> {part.expected}" if part.expected else NONE
        reported: Entry = NONE
        if part.reported:
            reported = str(part.reported), f"{part.epochs} epochs"
        rows.append((f"{called(folder)} {_small(part.title)}", score, expected, reported))
    if its.runs:
        some = next(iter(its.runs.values()))
        rows.append(
            ("the most frequent class", number(some.scores["trivial"]["accuracy"]), NONE, NONE)
        )
    caption = "Test accuracy, and epochs, beside what was reported."
    return Table(caption, ("part", "accuracy", "expected", "reported"), tuple(rows))


def _epochs(its: Transfer, folder: str) -> int:
    """Of all stages together."""
    recipe, done = its.configs[folder].recipe, len(its.runs[folder].history)
    assert isinstance(recipe, ClassifierRecipe)
    return done + (recipe.head_epochs if its.configs[folder].tune == "staged" else 0)


def _before(model: str) -> str:
    """What stands before a new last layer where the network did not end in one."""
    names = [type(module).__name__ for module in outline(model, 2).modules()]
    return " after pooling and standardisation" if "Standardise" in names else ""


def _small(title: str) -> str:
    return title if title.startswith("ImageNet") else title[0].lower() + title[1:]


def of_parts(its: Transfer) -> list[Section]:
    """2(a), 2(b) and what goes beyond, then 2(c)."""
    found = []
    for folder, part in PARTS.items():
        about = (called(folder), f"part-{folder}", part.title, part.question)
        if folder not in its.runs:
            found.append(Section(*about, (), not_run=its.not_run[folder]))
            continue
        run = its.runs[folder]
        found.append(
            Section(
                *about,
                _answers(its, folder),
                scores=_scores(run, part),
                figure=f"{folder}-losses",
                caption=f"{LOSSES[:-1]} of the second stage." if folder == "2b-staged" else LOSSES,
                settings=_settings(its, folder),
                sheet=run.folder / "confusion.png",
                picture=f"{folder}-confusion",
                shows="Of the test pictures of each class, the share taken for each class.",
            )
        )
    return [*found, new_data.section(its.new, its.runs.get("2b"), its.not_run.get(NEW_DATA, ""))]


def _answers(its: Transfer, folder: str) -> tuple[str, ...]:
    part, scores = PARTS[folder], its.runs[folder].scores
    own, trivial = scores["accuracy"], scores["trivial"]["accuracy"]
    told = f"The test accuracy is {number(own)}"
    if part.expected is not None:
        told = f"The test accuracy: {words.threshold(own, part.expected)}"
    if part.reported is not None:
        told += f" (reported: {part.reported})"
    told += f"; naming the most frequent class every time gets {number(trivial)}. "
    answers = [told + words.collapse(scores["collapsed"], "every time")]
    if folder == "2b-whole" and "2a" in its.runs:
        a = its.runs["2a"].scores["accuracy"]
        answers.append(
            f"Trained in the same way, new weights (a) reach {number(a)} and ImageNet’s "
            f"{number(own)}. These are single runs: another seed would give other numbers."
        )
    return tuple(answers)


def _scores(run: Run, part: Part) -> Table:
    reported: Entry = NONE
    if part.reported is not None:
        reported = str(part.reported), f"expected > {part.expected}"
    accuracy, trivial = (number(x["accuracy"]) for x in (run.scores, run.scores["trivial"]))
    rows: list[tuple[Entry, ...]] = [
        ("accuracy", accuracy, trivial, reported),
        ("macro_f1", number(run.scores["macro_f1"]), NONE, NONE),
    ]
    classes = run.scores["classes"].items()
    known = [(name, x["recall"]) for name, x in classes if x["recall"] is not None]
    if known:
        name, worst = min(known, key=lambda pair: pair[1])
        rows.append((f"recall, worst class ({printable(name)})", number(worst), NONE, NONE))
    caption = (
        f"Scores on {plural(run.scores['pictures'], 'test picture')}; constant: the most frequent "
        "class every time."
    )
    return Table(caption, ("score", "here", "constant", "reported"), tuple(rows))


def _settings(its: Transfer, folder: str) -> Table:
    """The hyper-parameters, in words."""
    run, config = its.runs[folder], its.configs[folder]
    recipe = config.recipe
    assert isinstance(recipe, ClassifierRecipe)
    network = outline(config.model, len(run.scores["classes"]))
    sizes = {name: weight.numel() for name, weight in network.named_parameters()}
    trained = trained_weights(network, config.tune)
    count = sum(size for name, size in sizes.items() if name in trained)
    start = "new weights"
    if config.start != SCRATCH:
        start = "ImageNet’s weights, all but the last layer"
    rate = recipe.head_learning_rate if config.tune == "head" else recipe.learning_rate
    learning = f"{recipe.optimizer.capitalize()}, learning rate {rate:g}"
    epochs = words.epochs(len(run.history), recipe.epochs, kept(run), recipe.patience)
    if config.tune == "staged":
        learning += f" (the last layer alone: {recipe.head_learning_rate:g})"
        epochs = f"{recipe.head_epochs} of the last layer, then {epochs}"
    labels = run.environment["labels"]
    height, width = config.size
    rows: list[tuple[Entry, ...]] = [
        ("network", f"torchvision’s {config.model}, with a new last layer{_before(config.model)}"),
        ("start", start),
        ("trained", f"{count:,} of {sum(sizes.values()):,} weights"),
        ("input", f"{height} × {width}, three channels, ImageNet’s mean and deviation"),
        ("output", f"softmax over {len(run.scores['classes'])} classes"),
        ("loss", "cross-entropy"),
        ("optimizer", learning),
        ("batch", str(recipe.batch)),
        ("schedule", words.schedule(recipe)),
        ("augmentation", words.augmentation(recipe)),
        ("epochs", epochs),
        (
            "pictures",
            f"{labels['train']} labelled to train, {labels['validation']} to validate",
        ),
        ("seed", str(config.seed)),
        ("time", f"{duration(run.seconds)} on {config.device}"),
    ]
    return Table("Hyper-parameters.", ("setting", "value"), tuple(rows), left=(1,))


def draw(its: Transfer) -> dict[str, Figure]:
    """The figures, by name."""
    drawn = {
        f"{folder}-losses": figures.losses(run.history, kept(run), "cross-entropy")
        for folder, run in its.runs.items()
    }
    if its.new is not None:
        drawn["2c-labels"] = new_data.draw(its.new)
    return drawn


def deviations(its: Transfer) -> list[str]:
    """Where this is not the assignment's part 2."""
    if "2a" not in its.configs:
        return []
    config, run = its.configs["2a"], its.runs["2a"]
    found = []
    if config.model != "vgg16":
        found.append(f"the classifier is {config.model} (there VGG16)")
    if tuple(run.scores["classes"]) != CLASSES:
        found.append("the pictures are not Fashion-MNIST, of which the reported figures are")
    if config.labels is not None:
        found.append(f"it learns from {run.labels} labelled pictures (there all)")
    if config.size != (224, 224):
        found.append(f"pictures with a class are {config.size[0]} × {config.size[1]}")
    return found


def record(its: Transfer) -> dict[str, Any]:
    """What is said of each part, for ``homework.json``."""
    told: dict[str, Row] = {}
    for folder, part in PARTS.items():
        if folder not in its.runs:
            told[folder] = {"not_run": its.not_run[folder]}
            continue
        run = its.runs[folder]
        names = ("accuracy", "macro_f1", "collapsed", "trivial")
        told[folder] = {
            "epochs": _epochs(its, folder),
            "kept": kept(run),
            **{name: run.scores[name] for name in names},
            "expected": part.expected,
            "reported": part.reported,
            "reported_epochs": part.epochs,
        }
    missing = {"not_run": its.not_run.get(NEW_DATA)}
    told[NEW_DATA] = missing if its.new is None else new_data.record(its.new)
    return told


def answers(its: Transfer) -> list[str]:
    """In a line each."""
    told = []
    for folder in PARTS:
        if folder in its.runs:
            told.append(f"{called(folder)}: {_answers(its, folder)[0]}")
        else:
            told.append(f"{called(folder)}: not run. {its.not_run[folder]}")
    if its.new is None:
        return [*told, f"{called(NEW_DATA)}: not run. {its.not_run[NEW_DATA]}"]
    return [*told, *(f"{called(NEW_DATA)}: {line}" for line in new_data.preferred(its.new))]
