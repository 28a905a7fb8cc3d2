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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from headstart.config.recipes import ASSIGNMENT_AUGMENTED
from headstart.errors import Finding, UsageError
from headstart.system.devices import DeviceName

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
        constant: whether 1(b) and 1(d) are also run without StepLR.
        extras: whether the tunings of 2(b) beyond the assignment are run.
        new_seeds: number of seeds of 2(c); ``None`` means that of part 1.
    """

    size: tuple[int, int]
    width: int
    square: int
    budgets: tuple[int | None, ...] = (100, 500, None)
    seeds: int = 5
    epochs: int | None = None
    new_epochs: int | None = None
    labels: int | None = None
    constant: bool = True
    extras: bool = True
    new_seeds: int | None = None


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

BEYOND = ("2b-whole", "2b-staged")
"""The folders of the tunings beyond the assignment."""

NEW_DATA = "2c"
"""The folder of the study on new data."""

VGG16 = "vgg16"
"""The classifier of the assignment."""

PARTS = ("1a", "1b", "1c", "1d", "2a", "2b", "2c")
"""The parts of the assignment, as ``--parts`` names them."""

NEEDS: Mapping[str, tuple[str, ...]] = {"1d": ("1b", "1c"), "2c": ("2a", "2b")}
"""What a part is compared with or starts from, which is run too."""


def parse_parts(option: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the parts that ``--parts`` names, in the assignment's order; by default all.

    >>> parse_parts("2a,1a"), parse_parts(None) == PARTS
    (('1a', '2a'), True)

    Raises:
        UsageError: a name is no part; the message has every wrong name and all valid ones.
    """
    if option is None:
        return PARTS
    names = option.split(",") if isinstance(option, str) else list(option)
    names = [name.strip() for name in names]
    wrong = [name for name in dict.fromkeys(names) if name not in PARTS]
    if wrong or not names:
        known = f"expected any of {', '.join(PARTS)}, with commas"
        message = f"--parts names {', '.join(map(repr, wrong)) or 'no part'}; {known}"
        raise UsageError(Finding("bad-setting", "error", message))
    return tuple(part for part in PARTS if part in names)


def with_needed(parts: Iterable[str]) -> tuple[str, ...]:
    """Return the parts with those that they need, in the assignment's order.

    >>> with_needed(["1d"]), with_needed(["2c", "1a"])
    (('1b', '1c', '1d'), ('1a', '2a', '2b', '2c'))
    """
    given = set(parts)
    needed = given.union(*(NEEDS.get(part, ()) for part in given))
    return tuple(part for part in PARTS if part in needed)


def part_of(folder: str) -> str:
    """Return the part that a folder of part 2 belongs to.

    >>> part_of("2b-whole")
    '2b'
    """
    return folder.partition("-")[0]


_MARKS = {"": "", "whole": "′", "staged": "″"}


def part_name(part: str) -> str:
    """Return how a part is written, from its name or, in part 2, from its folder.

    >>> part_name("1d"), part_name("2a"), part_name("2b-whole"), part_name("2b-staged")
    ('1(d)', '2(a)', '2(b′)', '2(b″)')
    """
    letter, _, tuning = part[1:].partition("-")
    return f"{part[0]}({letter}{_MARKS[tuning]})"


@dataclass(frozen=True)
class Homework:
    """All settings that affect the result, apart from the content of the data.

    Attributes:
        data: the dataset folder, as the user wrote it.
        scale: a name in [`SCALES`][headstart.assignment.settings.SCALES].
        seeds: number of seeds, counted from 1.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        threads: CPU threads per run.
        fashion_mnist: classification dataset for part 2; ``None`` skips part 2.
        new_data: classification dataset for 2(c); ``None`` skips 2(c).
        model: name of the classifier; ``None`` means ``vgg16``.
        weights: file with ImageNet weights of the classifier; ``None`` means those of torchvision.
        parts: names in [`PARTS`][headstart.assignment.settings.PARTS]: those that are run.
        chosen: sizes for ``hours``; ``None`` means those of ``scale``.
        hours: that the sizes were chosen for.
        left_out: parts, and folders beyond the assignment, that do not fit into ``hours``; each
            with what it would take.
    """

    data: str
    scale: ScaleName
    seeds: int
    device: DeviceName = "cpu"
    threads: int = 1
    fashion_mnist: str | None = None
    new_data: str | None = None
    model: str | None = None
    weights: str | None = None
    parts: tuple[str, ...] = PARTS
    chosen: ScaleSettings | None = None
    hours: float | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> ScaleSettings:
        """The amount of computation."""
        return SCALES[self.scale] if self.chosen is None else self.chosen


def folders_of(homework: Homework) -> tuple[str, ...]:
    """Return the folders of 2(a) and 2(b) that a homework runs."""
    return tuple(
        folder
        for folder in CLASSIFIERS
        if part_of(folder) in homework.parts and (folder not in BEYOND or homework.sizes.extras)
    )


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
    words += ["--scale", homework.scale]
    if homework.hours is None:
        words += ["--seeds", str(homework.seeds)]
    else:
        words += ["--hours", f"{homework.hours:g}"]
    words += ["--parts", ",".join(homework.parts)] if homework.parts != PARTS else []
    words += ["--device", homework.device, "--threads", str(homework.threads)]
    return shlex.join([*words, "--out", out.resolve().name])
