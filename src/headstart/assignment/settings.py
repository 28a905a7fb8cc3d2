"""Settings of the runs and studies of the assignment.

The homework folder holds one folder for each run or study::

    a/          1(a): from scratch, recipe ``assignment``, seed 1
    steplr/     a study of ``scratch`` and ``colorization``, recipe ``assignment-augmented``. The
                runs with seed 1 are 1(b) and 1(d); the pretext with seed 1 is 1(c)
    constant/   the same study without StepLR
    2a/         2(a): a classifier from scratch, all weights trained
    2b/         2(b): the same network from ImageNet, only a new last layer trained
    2b-whole/   beyond the assignment: from ImageNet, all weights trained
    2b-staged/  beyond the assignment: from ImageNet, first the last layer, then all weights
    2c/         2(c): a study on an entirely new dataset, started from 2a, 2b and scratch
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from headstart.config.files import read_run_config, read_study_config
from headstart.config.recipes import (
    ASSIGNMENT,
    ASSIGNMENT_AUGMENTED,
    CLASSIFIER_ASSIGNMENT,
    CLASSIFIER_DEFAULT,
    PRETEXT_ASSIGNMENT,
    Training,
)
from headstart.config.records import (
    IMAGENET,
    SCRATCH,
    RunConfig,
    StudyConfig,
    make_run_config,
    make_study_config,
)
from headstart.data.task import TaskName
from headstart.errors import DataError, Finding, UsageError
from headstart.tasks.lookup import labelled_task

ScaleName = Literal["full", "small", "tiny"]


@dataclass(frozen=True)
class ScaleSettings:
    """The amount of computation.

    Attributes:
        size: height and width of the pictures of part 1.
        width: channels of the first level of the network in part 1.
        square: side length of the pictures in part 2.
        budgets: label budgets of 2(c); ``None`` means all labels.
        seeds: number of seeds, unless the user gives one.
        epochs: maximum epochs of part 1, 2(a) and 2(b); ``None`` means those of the assignment.
        new_epochs: epochs of 2(c), which the assignment leaves open; ``None`` means those of the
            recipe.
        labels: number of labels of 2(a) and 2(b); ``None`` means all.
    """

    size: tuple[int, int]
    width: int
    square: int
    budgets: tuple[int | None, ...] = (100, 500, None)
    seeds: int = 5
    epochs: int | None = None
    new_epochs: int | None = None
    labels: int | None = None


SCALES: dict[ScaleName, ScaleSettings] = {
    "full": ScaleSettings((256, 320), 32, 224),
    "small": ScaleSettings((64, 80), 16, 64, new_epochs=4, labels=3000),
    "tiny": ScaleSettings((32, 40), 4, 32, (100,), seeds=1, epochs=4, new_epochs=1, labels=200),
}
"""``full`` is the scale of the assignment; ``tiny`` is a quick check of the software."""

CONSTANT = ASSIGNMENT_AUGMENTED.model_copy(
    update={"name": "assignment-augmented-constant", "schedule": "constant"}
)
"""The recipe of 1(b) and 1(d) without StepLR, otherwise unchanged."""

CLASSIFIERS: Mapping[str, str] = {
    "2a": "all",
    "2b": "head",
    "2b-whole": "all",
    "2b-staged": "staged",
}
"""The trained layers of each run of part 2, by folder."""

NEW_DATA = "2c"
"""The folder of the study on new data."""

VGG16 = "vgg16"
"""The classifier of the assignment."""

_MARKS = {"": "", "whole": "′", "staged": "″"}


def part_name(folder: str) -> str:
    """Return the name of a part of part 2 from its folder.

    >>> part_name("2a"), part_name("2b-whole"), part_name("2b-staged")
    ('2(a)', '2(b′)', '2(b″)')
    """
    letter, _, tuning = folder.removeprefix("2").partition("-")
    return f"2({letter}{_MARKS[tuning]})"


@dataclass(frozen=True)
class Homework:
    """All settings that affect the result, apart from the content of the data.

    Attributes:
        data: the dataset folder, as the user wrote it.
        scale: a name in [`SCALES`][headstart.assignment.settings.SCALES].
        seeds: number of seeds, counted from 1.
        device: ``"cpu"`` or ``"cuda"``.
        threads: CPU threads per run.
        fashion_mnist: classification dataset for part 2; ``None`` skips part 2.
        new_data: classification dataset for 2(c); ``None`` skips 2(c).
        model: name of the classifier; ``None`` means ``vgg16``.
        weights: file with ImageNet weights of the classifier; ``None`` means those of torchvision.
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
    """Return the run of 1(a): from scratch, without augmentation."""
    recipe = _shortened(ASSIGNMENT, SCALES[homework.scale].epochs)
    return make_run_config(**_part1_settings(homework), seed=1, recipe=recipe)


def with_steplr(homework: Homework) -> StudyConfig:
    """Return the study of 1(b), 1(c) and 1(d), over all seeds."""
    return _part1_study(homework, ASSIGNMENT_AUGMENTED)


def without_steplr(homework: Homework) -> StudyConfig:
    """Return the study of 1(b) and 1(d) with a constant learning rate; 1(c) is unchanged."""
    return _part1_study(homework, CONSTANT)


def _part1_study(homework: Homework, recipe: Training) -> StudyConfig:
    scale = SCALES[homework.scale]
    return make_study_config(
        **_part1_settings(homework),
        starts=(SCRATCH, "colorization"),
        labels=(_labelled(homework.data, "segmentation"),),
        seeds=_seeds(homework),
        recipe=_shortened(recipe, scale.epochs),
        pretext_recipe=_shortened(PRETEXT_ASSIGNMENT, scale.epochs),
    )


def classifier_run(homework: Homework, folder: str) -> RunConfig:
    """Return a run of part 2.

    Args:
        homework: the settings.
        folder: a folder in [`CLASSIFIERS`][headstart.assignment.settings.CLASSIFIERS].
    """
    scale = SCALES[homework.scale]
    assert homework.fashion_mnist is not None
    available = _labelled(homework.fashion_mnist, "classification")
    recipe = _shortened(CLASSIFIER_ASSIGNMENT, scale.epochs)
    labels = scale.labels if scale.labels is not None and scale.labels < available else None
    return make_run_config(
        **_part2_settings(homework, homework.fashion_mnist),
        start=SCRATCH if folder == "2a" else homework.weights or IMAGENET,
        tune=CLASSIFIERS[folder],
        labels=labels,
        seed=1,
        recipe={**recipe, "head_epochs": recipe["epochs"]},
    )


def new_data_study(homework: Homework, out: Path) -> StudyConfig:
    """Return the study of 2(c), which starts from 2(a), from 2(b) and from scratch.

    Starting from 2(b) equals starting from ImageNet: 2(b) trained only its last layer, and the new
    classes replace that layer.

    Args:
        homework: the settings.
        out: the homework folder, which holds 2(a) and 2(b).
    """
    scale = SCALES[homework.scale]
    assert homework.new_data is not None
    available = _labelled(homework.new_data, "classification")
    from_scratch, from_imagenet = _networks(out)
    return make_study_config(
        **_part2_settings(homework, homework.new_data),
        starts=(from_scratch, from_imagenet, SCRATCH),
        against=from_scratch,
        tunes=("all", "head"),
        labels=sorted({min(budget or available, available) for budget in scale.budgets}),
        seeds=_seeds(homework),
        recipe=_shortened(CLASSIFIER_DEFAULT, scale.new_epochs),
    )


def _networks(out: Path) -> tuple[str, str]:
    """Return the folders of 2(a) and 2(b) as the study names them.

    A study keeps the names from its start, so that a moved homework can resume.
    """
    expected = str(out / "2a"), str(out / "2b")
    path = out / NEW_DATA / "config.json"
    if not path.exists():
        return expected
    recorded = {Path(start).name: start for start in read_study_config(path).starts}
    return recorded.get("2a", expected[0]), recorded.get("2b", expected[1])


def _seeds(homework: Homework) -> tuple[int, ...]:
    return tuple(range(1, homework.seeds + 1))


def _part1_settings(homework: Homework) -> dict[str, Any]:
    scale = SCALES[homework.scale]
    data = {"data": homework.data, "size": scale.size, "width": scale.width}
    return {**_machine_settings(homework), **data}


def _part2_settings(homework: Homework, data: str) -> dict[str, Any]:
    side = SCALES[homework.scale].square
    network = {"task": "classification", "model": homework.model or VGG16, "width": None}
    return {**_machine_settings(homework), **network, "data": data, "size": (side, side)}


def _machine_settings(homework: Homework) -> dict[str, Any]:
    return {"schema": 1, "device": homework.device, "threads": homework.threads}


def _shortened(recipe: Training, epochs: int | None) -> dict[str, Any]:
    return {**recipe.model_dump(), "epochs": epochs or recipe.epochs}


def _labelled(data: str, name: TaskName) -> int:
    """Return the number of labelled training pictures."""
    task = labelled_task(name)
    if count := task.sizes(task.open(Path(data))).pictures["train"]:
        return count
    message = f"{data} has no labelled training pictures"
    raise DataError(Finding("empty-split", "error", message))


def homework_command(homework: Homework, out: Path) -> str:
    """Return the command that reproduces a homework folder.

    >>> homework_command(Homework("hw 6", "full", 5), Path("somewhere/hand-in"))
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


def recorded_part_a(out: Path) -> RunConfig | None:
    """Return the recorded settings of 1(a); ``None`` if 1(a) has not started."""
    path = out / "a" / "config.json"
    return read_run_config(path) if path.exists() else None


def with_recorded_part2(homework: Homework, out: Path) -> Homework:
    """Return the homework with missing settings of part 2 filled in from its folder.

    The report therefore keeps all finished parts when it is written again.

    Raises:
        UsageError: the folder was started with another network.
    """
    recorded: dict[str, Any] = {}
    if (path := out / "2a" / "config.json").exists():
        run = read_run_config(path)
        if homework.model not in (None, run.model):
            message = f"{out} was started with {run.model}, not with {homework.model}"
            hint = "choose another --out"
            raise UsageError(Finding("settings-differ", "error", message, hint))
        recorded = {"fashion_mnist": homework.fashion_mnist or run.data, "model": run.model}
    if (path := out / "2b" / "config.json").exists() and homework.weights is None:
        start = read_run_config(path).start
        recorded |= {} if start == IMAGENET else {"weights": start}
    if (path := out / NEW_DATA / "config.json").exists() and homework.new_data is None:
        recorded["new_data"] = read_study_config(path).data
    return replace(homework, **recorded)
