"""The recipes with names, and how a recipe is read from TOML or JSON.

What a recipe is: [`headstart.config.recipe_records`][].
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from headstart.config.recipe_records import ClassifierRecipe, PretextRecipe, Recipe, Training
from headstart.data.augmentation import Augmentation
from headstart.data.settings_files import explain, read_settings
from headstart.errors import DataError, Finding, UsageError

_Recipe = TypeVar("_Recipe", bound=Training)

_FLIPS_AND_ROTATION = Augmentation(flip_horizontal=True, flip_vertical=True, rotation=30.0)

_ASSIGNMENT: dict[str, Any] = {
    "name": "assignment",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "batch": 10,
    "epochs": 200,
    "epoch": "pass",
    "schedule": "step",
    "step_size": 10,
    "gamma": 0.1,
    "patience": 4,
    "choose": "loss",
}

ASSIGNMENT = Recipe(**_ASSIGNMENT, loss="dice", absent="count")
"""Part 1(a) of the assignment: no augmentation."""

ASSIGNMENT_AUGMENTED = ASSIGNMENT.model_copy(
    update={"name": "assignment-augmented", "augmentation": _FLIPS_AND_ROTATION}
)
"""Parts 1(b) and 1(d): the same with flips and rotation up to 30 degrees."""

DEFAULT = Recipe(
    name="default",
    loss="dice+cross-entropy",
    absent="skip",
    optimizer="adamw",
    learning_rate=6e-3,
    weight_decay=1e-4,
    batch=5,
    epochs=40,
    epoch="steps",
    steps=4800,
    balance=0.5,
    schedule="one-cycle",
    warmup=0.1,
    choose="dice",
    average=0.995,
    standardise=True,
    min_area=0.01,
    adapt_min_area=True,
    validation_windows=320,
    augmentation=Augmentation(
        rotation=20.0,
        scale=1.4,
        border="reflection",
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
    ),
)
"""Tuned on a validation split: docs/decisions/0001-default-recipe.md."""

PRETEXT_ASSIGNMENT = PretextRecipe(**_ASSIGNMENT)
"""Part 1(c) of the assignment: the hyper-parameters of its other parts, no augmentation."""

PRETEXT_DEFAULT = PretextRecipe(
    name="default",
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=1e-4,
    batch=10,
    epochs=30,
    epoch="steps",
    steps=2400,
    schedule="one-cycle",
    warmup=0.1,
    average=0.995,
    standardise=True,
    augmentation=Augmentation(rotation=10.0, scale=1.2, border="reflection"),
)
"""The optimizer, schedule and geometric augmentation of the recipe ``default``. Colours stay as
they are: most pretexts predict them, and ``vicreg`` changes them itself."""

ENCODER_DEFAULT = DEFAULT.model_copy(update={"learning_rate": 3e-3, "standardise": False})
"""For networks with a classifier as encoder, which standardise as ImageNet's weights expect:
docs/decisions/0020-encoders.md."""

ENCODER_PRETEXT_DEFAULT = PRETEXT_DEFAULT.model_copy(update={"standardise": False})
"""The default pretext recipe for networks with a classifier as encoder."""

CLASSIFIER_ASSIGNMENT = ClassifierRecipe(
    name="assignment",
    optimizer="adam",
    learning_rate=1e-4,
    head_learning_rate=1e-3,
    batch=64,
    epochs=10,
    head_epochs=10,
    epoch="pass",
    schedule="constant",
    choose="loss",
)
"""Part 2 of the assignment: ten epochs, no augmentation."""

CLASSIFIER_DEFAULT = ClassifierRecipe(
    name="default",
    optimizer="adamw",
    learning_rate=3e-4,
    head_learning_rate=3e-3,
    weight_decay=1e-2,
    batch=32,
    epochs=10,
    head_epochs=5,
    epoch="steps",
    steps=1000,
    schedule="one-cycle",
    warmup=0.1,
    choose="accuracy",
    ties="last",
    augmentation=Augmentation(flip_horizontal=True, rotation=10.0, scale=1.2, border="reflection"),
)
"""Chosen on validation pictures: docs/decisions/0014-classifier-recipe.md."""

RECIPES = {r.name: r for r in (DEFAULT, ASSIGNMENT, ASSIGNMENT_AUGMENTED)}
CLASSIFIER_RECIPES = {r.name: r for r in (CLASSIFIER_DEFAULT, CLASSIFIER_ASSIGNMENT)}
PRETEXT_RECIPES = {r.name: r for r in (PRETEXT_DEFAULT, PRETEXT_ASSIGNMENT)}
ENCODER_RECIPES = RECIPES | {"default": ENCODER_DEFAULT}
ENCODER_PRETEXT_RECIPES = PRETEXT_RECIPES | {"default": ENCODER_PRETEXT_DEFAULT}


def read_recipe(name_or_path: str, encoder: bool = False) -> Recipe:
    """Return a recipe by its name, or from a TOML or JSON file.

    A file holds the fields of a recipe. With ``base = "default"`` all other fields, those of the
    augmentation too, come from that named recipe. Types are strict: neither ``"10"`` nor ``true``
    is 10.

    Args:
        name_or_path: the name or the file.
        encoder: whether the network has a classifier as its encoder.

    Raises:
        UsageError: there is neither such a recipe nor such a file.
        DataError: the file cannot be read or understood; every wrong setting is named.
    """
    return read_one_of(name_or_path, Recipe, ENCODER_RECIPES if encoder else RECIPES)


def read_classifier_recipe(name_or_path: str) -> ClassifierRecipe:
    """Return a classifier's recipe, read as [`read_recipe`][] does."""
    return read_one_of(name_or_path, ClassifierRecipe, CLASSIFIER_RECIPES)


def read_pretext_recipe(name_or_path: str, encoder: bool = False) -> PretextRecipe:
    """Return a pretext's recipe, read as [`read_recipe`][] does."""
    named = ENCODER_PRETEXT_RECIPES if encoder else PRETEXT_RECIPES
    return read_one_of(name_or_path, PretextRecipe, named)


def read_one_of(name_or_path: str, kind: type[_Recipe], named: Mapping[str, _Recipe]) -> _Recipe:
    """Return one of some named recipes, or a recipe of that kind from a file.

    Raises:
        UsageError, DataError: as [`read_recipe`][].
    """
    if name_or_path in named:
        return named[name_or_path]
    path = Path(name_or_path)
    if path.suffix not in (".toml", ".json"):
        near = difflib.get_close_matches(name_or_path, named, 1)
        message = f"there is no recipe {name_or_path}; expected one of {', '.join(named)}"
        hint = f"did you mean {near[0]}? " if near else ""
        hint += "a recipe of your own is a .toml or .json file"
        raise UsageError(Finding("unknown-recipe", "error", message, hint))
    settings = read_settings(path)
    base = settings.pop("base", None)
    if base is not None:
        if str(base) not in named:
            message = f"{path}: base names no recipe: {base}"
            hint = f"expected one of {', '.join(named)}"
            raise DataError(Finding("unknown-recipe", "error", message, hint))
        inherited = named[str(base)].model_dump()
        if "steps" not in settings and not settings.keys().isdisjoint(("epochs", "epoch")):
            inherited["steps"] = None  # as with --epochs
        if isinstance(changes := settings.get("augmentation"), dict):
            settings["augmentation"] = {**inherited["augmentation"], **changes}
        settings = {**inherited, "name": path.stem, **settings}
    try:
        return kind.model_validate_json(json.dumps(settings, default=str), strict=True)
    except ValidationError as e:
        known = [*kind.model_fields, *Augmentation.__annotations__]
        raise DataError(explain(e, str(path), known)) from None
