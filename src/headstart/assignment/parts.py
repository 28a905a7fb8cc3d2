"""What the assignment's trainings are: its parts as configurations of runs and studies.

A homework's folder holds one of each::

    a/          1(a): from scratch, the recipe ``assignment``, seed 1
    steplr/     a study of ``scratch`` and ``colorization``, the recipe ``assignment-augmented``:
                its runs of seed 1 are 1(b) and 1(d), its colorization of seed 1 is 1(c)
    constant/   the same study without StepLR
    2a/         2(a): a classifier, all weights new, every weight trained
    2b/         2(b): the same from ImageNet, a new last layer trained and nothing else
    2b-whole/, 2b-staged/    beyond: from ImageNet, every weight trained; the last layer first
    2c/         a study of an entirely new dataset: started from 2a, from 2b, and from scratch
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from headstart.data.question import TaskName
from headstart.errors import DataError, Finding, UsageError
from headstart.tasks.lookup import labelled_task
from headstart.training.config import (
    IMAGENET,
    SCRATCH,
    RunConfig,
    StudyConfig,
    make_run_config,
    make_study_config,
)
from headstart.training.config_files import read_run_config, read_study_config
from headstart.training.recipes import (
    ASSIGNMENT,
    ASSIGNMENT_AUGMENTED,
    CLASSIFIER_ASSIGNMENT,
    CLASSIFIER_DEFAULT,
    PRETEXT_ASSIGNMENT,
    Training,
)

ScaleName = Literal["full", "small", "tiny"]


@dataclass(frozen=True)
class Scale:
    """How much is computed.

    Attributes:
        size: height and width of the pictures of part 1.
        width: channels of its network's first level.
        square: side of the pictures of part 2.
        budgets: of labels in 2(c); None: all there are.
        seeds: how many, unless somebody says otherwise.
        epochs: of part 1 and of 2(a) and 2(b), at most this many; None: as many as the assignment
            has.
        new_epochs: of 2(c), of which the assignment says nothing; None: the recipe's.
        labels: of 2(a) and 2(b); None: all.
    """

    size: tuple[int, int]
    width: int
    square: int
    budgets: tuple[int | None, ...] = (100, 500, None)
    seeds: int = 5
    epochs: int | None = None
    new_epochs: int | None = None
    labels: int | None = None


SCALES: dict[ScaleName, Scale] = {
    "full": Scale((256, 320), 32, 224),
    "small": Scale((64, 80), 16, 64, new_epochs=4, labels=3000),
    "tiny": Scale((32, 40), 4, 32, (100,), seeds=1, epochs=4, new_epochs=1, labels=200),
}
"""``full`` is the assignment's; ``tiny`` shows that the machinery works."""

CONSTANT = ASSIGNMENT_AUGMENTED.model_copy(
    update={"name": "assignment-augmented-constant", "schedule": "constant"}
)
"""Parts 1(b) and 1(d) without StepLR, everything else alike."""

CLASSIFIERS: Mapping[str, str] = {
    "2a": "all",
    "2b": "head",
    "2b-whole": "all",
    "2b-staged": "staged",
}
"""The trainings of part 2 on its first dataset, by folder: which layers train."""

NEW_DATA = "2c"
"""The folder of the study on new data."""

VGG16 = "vgg16"
"""The assignment's classifier."""


def called(folder: str) -> str:
    """A part of the second half, by its folder.

    >>> called("2a"), called("2b-whole"), called("2b-staged")
    ('2(a)', '2(b′)', '2(b″)')
    """
    letter, _, how = folder.removeprefix("2").partition("-")
    return f"2({letter}{_BEYOND[how]})"


_BEYOND = {"": "", "whole": "′", "staged": "″"}


@dataclass(frozen=True)
class Homework:
    """All that decides its result, apart from the data's content.

    Attributes:
        data: the dataset's folder, as it was given.
        scale: one of [`SCALES`][headstart.assignment.parts.SCALES].
        seeds: 1 to this many.
        device: ``"cpu"`` or ``"cuda"``.
        threads: CPU threads of a run.
        fashion_mnist: of part 2, the pictures with classes; None: no part 2.
        new_data: of 2(c), other pictures with classes; None: no 2(c).
        model: the classifier; None: ``vgg16``.
        weights: a file of its ImageNet weights; None: those that torchvision publishes.
    """

    data: str
    scale: ScaleName
    seeds: int
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    fashion_mnist: str | None = None
    new_data: str | None = None
    model: str | None = None
    weights: str | None = None


def part_a(homework: Homework) -> RunConfig:
    """1(a): from scratch, without augmentation."""
    recipe = _shortened(ASSIGNMENT, SCALES[homework.scale].epochs)
    return make_run_config(**_frames(homework), seed=1, recipe=recipe)


def with_steplr(homework: Homework) -> StudyConfig:
    """1(b), 1(c) and 1(d), for every seed."""
    return _study(homework, ASSIGNMENT_AUGMENTED)


def without_steplr(homework: Homework) -> StudyConfig:
    """The same with a constant learning rate; 1(c), where it starts, is as it was."""
    return _study(homework, CONSTANT)


def _study(homework: Homework, recipe: Training) -> StudyConfig:
    scale = SCALES[homework.scale]
    return make_study_config(
        **_frames(homework),
        starts=(SCRATCH, "colorization"),
        labels=(_labelled(homework.data, "segmentation"),),
        seeds=_seeds(homework),
        recipe=_shortened(recipe, scale.epochs),
        pretext_recipe=_shortened(PRETEXT_ASSIGNMENT, scale.epochs),
    )


def classifier(homework: Homework, folder: str) -> RunConfig:
    """One of [`CLASSIFIERS`][headstart.assignment.parts.CLASSIFIERS]: of 2(a), 2(b) and beyond."""
    scale = SCALES[homework.scale]
    assert homework.fashion_mnist is not None
    whole = _labelled(homework.fashion_mnist, "classification")
    recipe = _shortened(CLASSIFIER_ASSIGNMENT, scale.epochs)
    labels = scale.labels if scale.labels is not None and scale.labels < whole else None
    return make_run_config(
        **_classified(homework, homework.fashion_mnist),
        start=SCRATCH if folder == "2a" else homework.weights or IMAGENET,
        tune=CLASSIFIERS[folder],
        labels=labels,
        seed=1,
        recipe={**recipe, "head_epochs": recipe["epochs"]},
    )


def new_data(homework: Homework, out: Path) -> StudyConfig:
    """2(c): which network is the better start for new data, that of 2(a) or that of 2(b)?

    ImageNet's own weights are the same start as 2(b), whose last layer does not move.

    Args:
        homework: which.
        out: its folder, which holds both.
    """
    scale = SCALES[homework.scale]
    assert homework.new_data is not None
    whole = _labelled(homework.new_data, "classification")
    scratch_trained, of_imagenet = _networks(out)
    return make_study_config(
        **_classified(homework, homework.new_data),
        starts=(scratch_trained, of_imagenet, SCRATCH),
        against=scratch_trained,
        tunes=("all", "head"),
        labels=sorted({min(budget or whole, whole) for budget in scale.budgets}),
        seeds=_seeds(homework),
        recipe=_shortened(CLASSIFIER_DEFAULT, scale.new_epochs),
    )


def _networks(out: Path) -> tuple[str, str]:
    """Where 2(a) and 2(b) are, as the study knows them: a folder that was moved is the same one."""
    here = str(out / "2a"), str(out / "2b")
    if not (begun := out / NEW_DATA / "config.json").exists():
        return here
    known = {Path(start).name: start for start in read_study_config(begun).starts}
    return known.get("2a", here[0]), known.get("2b", here[1])


def _seeds(homework: Homework) -> tuple[int, ...]:
    return tuple(range(1, homework.seeds + 1))


def _machine(homework: Homework) -> dict[str, Any]:
    return {"schema": 1, "device": homework.device, "threads": homework.threads}


def _frames(homework: Homework) -> dict[str, Any]:
    """What trainings of part 1 have in common."""
    scale = SCALES[homework.scale]
    its = {"data": homework.data, "size": scale.size, "width": scale.width}
    return {**_machine(homework), **its}


def _classified(homework: Homework, data: str) -> dict[str, Any]:
    """What trainings of part 2 have in common."""
    side = SCALES[homework.scale].square
    its = {"task": "classification", "model": homework.model or VGG16, "width": None}
    return {**_machine(homework), **its, "data": data, "size": (side, side)}


def _shortened(recipe: Training, epochs: int | None) -> dict[str, Any]:
    return {**recipe.model_dump(), "epochs": epochs or recipe.epochs}


def _labelled(data: str, name: TaskName) -> int:
    """How many labelled training pictures there are."""
    task = labelled_task(name)
    if count := task.sizes(task.open(Path(data))).pictures["train"]:
        return count
    raise DataError(Finding("empty-split", "error", f"{data} has no labelled pictures for train"))


def command(homework: Homework, out: Path) -> str:
    """The command that makes a homework's folder again.

    >>> command(Homework("hw 6", "full", 5), Path("somewhere/hand-in"))
    "headstart homework --data 'hw 6' --scale full --seeds 5 --device cpu --threads 1 --out hand-in"
    """
    words = ["headstart", "homework", "--data", homework.data]
    if homework.fashion_mnist is not None:
        words += ["--fashion-mnist", homework.fashion_mnist, "--model", homework.model or VGG16]
        words += ["--new-data", homework.new_data] if homework.new_data is not None else []
        words += ["--weights", homework.weights] if homework.weights is not None else []
    words += ["--scale", homework.scale, "--seeds", str(homework.seeds)]
    words += ["--device", homework.device, "--threads", str(homework.threads)]
    return shlex.join([*words, "--out", out.resolve().name])


def begun_with(out: Path) -> RunConfig | None:
    """What part 1(a) of a folder was begun with; None where nothing was."""
    path = out / "a" / "config.json"
    return read_run_config(path) if path.exists() else None


def with_what_is_there(homework: Homework, out: Path) -> Homework:
    """The same with the part 2 that a folder was begun with, where this one has none.

    A report that is made again thus never loses a part that was run.

    Raises:
        UsageError: the folder was begun with another network.
    """
    found: dict[str, Any] = {}
    if (its := out / "2a" / "config.json").exists():
        run = read_run_config(its)
        if homework.model not in (None, run.model):
            message = f"{out} was begun with {run.model}, not with {homework.model}"
            hint = "choose another --out"
            raise UsageError(Finding("settings-differ", "error", message, hint))
        found = {"fashion_mnist": homework.fashion_mnist or run.data, "model": run.model}
    if (its := out / "2b" / "config.json").exists() and homework.weights is None:
        start = read_run_config(its).start
        found |= {} if start == IMAGENET else {"weights": start}
    if (its := out / NEW_DATA / "config.json").exists() and homework.new_data is None:
        found["new_data"] = read_study_config(its).data
    return replace(homework, **found)
