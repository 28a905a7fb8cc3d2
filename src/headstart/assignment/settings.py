"""Settings of the homework: its scale, its parts and their folders.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.config.recipes import ASSIGNMENT_AUGMENTED

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
