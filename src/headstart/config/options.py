"""The options of ``train``, ``study`` and ``pretrain``, as the command line and Python give them.

[`headstart.config.resolve`][] makes configurations of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.config.option_values import Listed, Size
from headstart.config.recipe_records import ClassifierRecipe, PretextRecipe, Recipe
from headstart.data.task import TaskName

RecipeOption = str | Path | Recipe | ClassifierRecipe
"""A recipe by its name, in a ``.toml`` or ``.json`` file, or as a value."""

PretextRecipeOption = str | Path | PretextRecipe
"""A pretext's recipe, given as a [`RecipeOption`][]."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of every training; ``None``: not given.

    Attributes:
        model: ``"unet"``, or a classifier: torchvision's, or ``timm/NAME``.
        size: height and width to train at.
        tile: train on tiles of that size, cut from the pictures at their own size.
        squeeze: resize pictures to that size whatever their shape, and pad none.
        width: channels of a segmentation network's finest level.
        epochs: the maximum number of epochs.
        steps: the number of optimizer steps.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        threads: CPU threads of a run.
        precision: ``"float32"`` or ``"bfloat16"``.
    """

    model: str | None = None
    size: Size | None = None
    tile: bool = False
    squeeze: bool = False
    width: int | None = None
    epochs: int | None = None
    steps: int | None = None
    device: str = "auto"
    threads: int | None = None
    precision: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrainOptions(Options):
    """The options of ``train``; ``None``: not given.

    Attributes:
        task: ``"segmentation"`` or ``"classification"``.
        start: where the initial weights come from.
        tune: which layers train.
        recipe: a recipe's name, its file, or the recipe itself.
        method: ``"supervised"``, or ``"semi-supervised"``: from pictures without labels, too.
        minutes: train for as many optimizer steps as fit; found in [`headstart.studies.minutes`][].
        labels: a number of labelled frames, ``"all"``, or a ``.txt`` file that names them.
        folds: number of folds of a cross-validation.
        fold: the only one to train.
        seed: fixes folds, subset, order, augmentation and new weights.
        score: the split that is scored at the end.
        pretext_recipe, pretext_epochs, pretext_steps, drop_leaks: for a start that is a pretext.
        config: a run's ``config.json``, whose settings count where no option says otherwise.
    """

    task: TaskName | None = None
    start: str | None = None
    tune: str | None = None
    recipe: RecipeOption | None = None
    method: str | None = None
    minutes: float | None = None
    labels: int | str | Path | None = None
    folds: int | None = None
    fold: int | None = None
    seed: int | None = None
    score: str | None = None
    pretext_recipe: PretextRecipeOption | None = None
    pretext_epochs: int | None = None
    pretext_steps: int | None = None
    drop_leaks: bool | None = None
    config: Path | None = None


@dataclass(frozen=True, kw_only=True)
class StudyOptions(Options):
    """The options of ``study``; ``None``: not given.

    Attributes:
        task, score: as in [`TrainOptions`][].
        starts, tunes, labels, seeds: what is crossed.
        methods: crossed with the starts; see [`headstart.config.methods`][].
        against: the start that the others are compared with.
        folds, recipe, pretext_recipe, pretext_epochs, pretext_steps, drop_leaks: as in
            [`TrainOptions`][].
        margin: the smallest difference in the score that matters.
        looks: the numbers of seeds at which the study is compared.
        jobs: runs at a time, which share the threads.
        hours: how long it may take; what is not given is chosen in [`headstart.studies.hours`][].
    """

    task: TaskName | None = None
    starts: Listed | None = None
    methods: Listed | None = None
    against: str | None = None
    tunes: Listed | None = None
    labels: int | str | Sequence[int | str] | None = None
    seeds: int | str | Sequence[int] | None = None
    folds: int | None = None
    recipe: RecipeOption | None = None
    pretext_recipe: PretextRecipeOption | None = None
    pretext_epochs: int | None = None
    pretext_steps: int | None = None
    score: str | None = None
    drop_leaks: bool = False
    margin: float | None = None
    looks: int | str | Sequence[int] | None = None
    jobs: int = 1
    hours: float | None = None


@dataclass(frozen=True, kw_only=True)
class PretextOptions(Options):
    """The options of ``pretrain``; ``None``: not given.

    Attributes:
        pretext: what the network has to restore.
        recipe: a pretext recipe's name, its file, or the recipe itself.
        seed: fixes order, augmentation, what is hidden, and new weights.
        drop_leaks: leave out copies and near-duplicates of validation and test frames.
    """

    pretext: str = "colorization"
    recipe: PretextRecipeOption | None = None
    seed: int | None = None
    drop_leaks: bool = False
