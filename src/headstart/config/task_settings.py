"""What configurations of each task may hold, and their defaults: one record a task.

A new task is a new line in ``TASKS``; nobody else asks
which task it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from headstart.config.recipe_records import ClassifierRecipe, Recipe
from headstart.config.recipes import CLASSIFIER_RECIPES, ENCODER_RECIPES, RECIPES, read_one_of
from headstart.data.framing import Framing
from headstart.data.task import TaskName

UNET = "unet"
"""The network that has no published weights; any other is a classifier, torchvision's or timm's."""
TIMM = "timm/"
"""What the names of timm's networks begin with."""

ENCODER = "timm/tf_efficientnet_lite0"
"""The encoder of a segmentation that starts from published weights and names no network."""
ENCODER_SIDE = 64
"""The shortest side of pictures for it: below, its coarsest features are a single pixel."""

_Recipe = TypeVar("_Recipe", Recipe, ClassifierRecipe)


@dataclass(frozen=True)
class TaskSettings(Generic[_Recipe]):
    """What the configurations of one task may hold, and their defaults.

    Attributes:
        model: the default network.
        unet: whether the network may be the U-Net; otherwise it is a classifier.
        width: the default number of channels of the network's finest level; None: networks of
            this task have no width.
        size: the default height and width of the pictures.
        recipe: the class of its recipes.
        own_setting: a setting that only its recipes have.
        recipes: recipes by name.
        encoder_recipes: recipes by name, where the network has a classifier as its encoder or is
            one.
        starts: the starts that a study compares by default.
        tunes: which layers may train. A segmentation's ``"head"`` is all but its encoder.
        pretexts: whether a pretext may be the start.
        teacher: whether pictures without labels may be learned from during training.
        named_frames: whether the labelled frames may be given by name.
        framings: how pictures may become pictures of the training size; the first is the default.
    """

    model: str
    unet: bool
    width: int | None
    size: tuple[int, int]
    recipe: type[_Recipe]
    own_setting: str
    recipes: Mapping[str, _Recipe]
    encoder_recipes: Mapping[str, _Recipe]
    starts: tuple[str, ...]
    tunes: tuple[str, ...]
    pretexts: bool
    teacher: bool
    named_frames: bool
    framings: tuple[Framing, ...]

    def recipes_for(self, model: str) -> Mapping[str, _Recipe]:
        """Return the named recipes for a network."""
        return self.recipes if model == UNET else self.encoder_recipes

    def names_another(self, recipe: object) -> bool:
        """Return whether a recipe, or its name, is a named one other than ``default``."""
        return getattr(recipe, "name", recipe) in [*self.recipes.keys() - {"default"}]

    def read_recipe(self, name_or_path: str, model: str) -> _Recipe:
        """Return a recipe for a network, by its name or from a file.

        Raises:
            UsageError: there is neither such a recipe nor such a file.
            DataError: the file cannot be read or understood.
        """
        return read_one_of(name_or_path, self.recipe, self.recipes_for(model))


SEGMENTATION = TaskSettings(
    model=UNET,
    unet=True,
    width=32,
    size=(256, 320),
    recipe=Recipe,
    own_setting="loss",
    recipes=RECIPES,
    encoder_recipes=ENCODER_RECIPES,
    starts=("scratch", "colorization"),
    tunes=("all", "head"),
    pretexts=True,
    teacher=True,
    named_frames=True,
    framings=("pad", "tile", "squeeze"),
)

CLASSIFICATION = TaskSettings(
    model="resnet18",
    unet=False,
    width=None,
    size=(224, 224),
    recipe=ClassifierRecipe,
    own_setting="head_learning_rate",
    recipes=CLASSIFIER_RECIPES,
    encoder_recipes=CLASSIFIER_RECIPES,
    starts=("scratch", "imagenet"),
    tunes=("all", "head", "last:N", "staged"),
    pretexts=False,
    teacher=False,
    named_frames=False,
    framings=("squeeze",),
)

TASKS: Mapping[TaskName, TaskSettings[Recipe] | TaskSettings[ClassifierRecipe]] = {
    "classification": CLASSIFICATION,
    "segmentation": SEGMENTATION,
}


def task_of_recipe(value: object) -> TaskName:
    """Return the task of a recipe, or of a recipe's settings by name.

    Settings that belong to no task's recipes count as a segmentation's, so that each of them is
    named as an error.
    """
    for task, settings in TASKS.items():
        if isinstance(value, settings.recipe):
            return task
        if isinstance(value, dict) and settings.own_setting in value:
            return task
    return "segmentation"
