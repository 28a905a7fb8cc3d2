"""Recipes: the hyper-parameters of a training, as frozen values in and out of TOML and JSON.

A recipe says nothing about data, network or seed; those are in a run's configuration
([`headstart.training.config`][]).
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from headstart.data.augmentation import Augmentation
from headstart.errors import DataError, Finding, UsageError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Frozen(BaseModel):
    """A value that cannot change, made of known settings only."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Training(Frozen):
    """What every training has, whatever it is about.

    Attributes:
        name: what it is called in tables.
        optimizer: ``"adam"`` or ``"adamw"``.
        learning_rate: the highest.
        weight_decay: decoupled, for ``"adamw"``.
        batch: pictures a step.
        epochs: at most this many; what an epoch is says ``epoch``.
        epoch: ``"pass"``: one pass over the pictures, the last batch possibly smaller.
            ``"steps"``: as many full batches as the *whole* training split has, whatever the label
            budget, drawn from passes over the labelled pictures; so every budget gets the same
            number of optimizer steps and the same schedule.
        schedule: ``"constant"``; ``"step"``: times ``gamma`` every ``step_size`` epochs;
            ``"one-cycle"``: linear from 0 over the share ``warmup`` of all steps, then half a
            cosine to 0.
        patience: stop after this many epochs without a better ``choose``; null: never.
        choose: whose best epoch gives the weights, on validation.
        average: decay per step of the exponential moving average of the weights that is validated
            and kept; 0: the weights themselves.
        augmentation: see [`Augmentation`][headstart.data.augmentation.Augmentation].
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    optimizer: Literal["adam", "adamw"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    batch: Annotated[int, Field(ge=1, le=65536)]
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    epoch: Literal["pass", "steps"]
    schedule: Literal["constant", "step", "one-cycle"]
    step_size: Annotated[int, Field(ge=1)] = 10
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=1)] | None = None
    choose: Literal["loss", "dice", "accuracy"]
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    augmentation: Augmentation = Augmentation()


class Recipe(Training):
    """The hyper-parameters of a segmentation, beside those of every [`Training`][].

    Attributes:
        loss: ``"dice"`` (soft Dice alone) or ``"dice+cross-entropy"`` (their sum).
        absent: whether a class absent from a batch enters the soft Dice; see
            [`dice_loss`][headstart.training.losses.dice_loss].
        balance: how much more often frames with rare classes are drawn, 0 (all alike) to 1; see
            [`rarity_weights`][headstart.data.batches.rarity_weights].
        min_area: a foreground class that covers a smaller share of a frame is not predicted in it;
            see [`class_maps`][headstart.tasks.class_maps.class_maps].
        standardise: subtract mean and divide by standard deviation of the training pictures, per
            channel (else pictures are in ``[0, 1]``).
    """

    choose: Literal["loss", "dice"]
    loss: Literal["dice", "dice+cross-entropy"]
    absent: Literal["count", "skip"]
    balance: Annotated[float, Field(ge=0, le=1)] = 0.0
    min_area: Annotated[float, Field(ge=0, lt=1)] = 0.0
    standardise: bool = False


class ClassifierRecipe(Training):
    """The hyper-parameters of a classification, beside those of every [`Training`][].

    Attributes:
        head_learning_rate: the highest while the last layer trains alone (the tunings ``head`` and
            ``staged``), which stands more than a whole network.
        head_epochs: how many of those come first with the tuning ``staged``.
        smoothing: share of each label that is spread over all classes alike.

    ``augmentation`` rests while a part of the network is frozen: what that gives is computed once.
    """

    choose: Literal["loss", "accuracy"]
    head_learning_rate: Positive
    head_epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class PretextRecipe(Training):
    """The hyper-parameters of a pretext, beside those of every [`Training`][].

    What is taken away from the pictures, where the pretext takes it (see
    [`headstart.training.pretexts`][]):

    Attributes:
        noise: standard deviation of Gaussian noise, of pictures in ``[0, 1]``.
        hidden: share of the blocks that are hidden.
        block: their side, as a share of the picture's shorter side.
        standardise: as in [`Recipe`][].
    """

    choose: Literal["loss"] = "loss"
    noise: Annotated[float, Field(ge=0, le=1)] = 0.1
    hidden: Annotated[float, Field(ge=0, lt=1)] = 0.5
    block: Annotated[float, Field(gt=0, le=1)] = 0.125
    standardise: bool = False


_FLIPS_AND_ROTATION = Augmentation(flip_horizontal=True, flip_vertical=True, rotation=30.0)

_OF_THE_COURSE: dict[str, Any] = {
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

ASSIGNMENT = Recipe(**_OF_THE_COURSE, loss="dice", absent="count")
"""Part 1(a) of the assignment, to the letter: no augmentation."""

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
    balance=0.5,
    schedule="one-cycle",
    warmup=0.1,
    choose="dice",
    average=0.995,
    standardise=True,
    min_area=0.01,
    augmentation=Augmentation(
        rotation=10.0,
        scale=1.2,
        border="reflection",
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
    ),
)
"""Ours; tuned on the validation split of hw6: docs/decisions/0001-default-recipe.md."""

PRETEXT_ASSIGNMENT = PretextRecipe(**_OF_THE_COURSE)
"""Part 1(c): the hyper-parameters of the other parts; pictures as they are."""

PRETEXT_DEFAULT = PretextRecipe(
    name="default",
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=1e-4,
    batch=10,
    epochs=30,
    epoch="pass",
    schedule="one-cycle",
    warmup=0.1,
    average=0.995,
    standardise=True,
    augmentation=Augmentation(rotation=10.0, scale=1.2, border="reflection"),
)
"""Ours: the optimizer, schedule and movements of the recipe ``default``; colours are left alone,
because they are the answer."""

ENCODER_DEFAULT = DEFAULT.model_copy(update={"learning_rate": 3e-3, "standardise": False})
"""Of networks on a classifier's encoder, which standardise as ImageNet's weights expect:
docs/decisions/0020-encoders.md."""

ENCODER_PRETEXT_DEFAULT = PRETEXT_DEFAULT.model_copy(update={"standardise": False})
"""The same of pretexts."""

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
"""Part 2 of the assignment as plainly as the course means it: ten epochs, no augmentation."""

CLASSIFIER_DEFAULT = ClassifierRecipe(
    name="default",
    optimizer="adamw",
    learning_rate=3e-4,
    head_learning_rate=1e-3,
    weight_decay=1e-2,
    batch=64,
    epochs=10,
    head_epochs=5,
    epoch="steps",
    schedule="one-cycle",
    warmup=0.1,
    choose="accuracy",
    augmentation=Augmentation(flip_horizontal=True, rotation=10.0, scale=1.2, border="reflection"),
)
"""Ours; chosen on validation pictures: docs/decisions/0014-classifier-recipe.md."""

RECIPES = {r.name: r for r in (DEFAULT, ASSIGNMENT, ASSIGNMENT_AUGMENTED)}
CLASSIFIER_RECIPES = {r.name: r for r in (CLASSIFIER_DEFAULT, CLASSIFIER_ASSIGNMENT)}
PRETEXT_RECIPES = {r.name: r for r in (PRETEXT_DEFAULT, PRETEXT_ASSIGNMENT)}
ENCODER_RECIPES = RECIPES | {"default": ENCODER_DEFAULT}
ENCODER_PRETEXT_RECIPES = PRETEXT_RECIPES | {"default": ENCODER_PRETEXT_DEFAULT}

_TASKS = ("segmentation", "classification")  # which kind of recipe it is; no setting's name


def explain(error: ValidationError, where: str, known: Iterable[str]) -> list[Finding]:
    """What is wrong with some settings, a finding each; the nearest ``known`` one is named."""
    known = list(known)

    def one(name: str, message: str, kind: str) -> Finding:
        if kind not in ("extra_forbidden", "unexpected_keyword_argument"):
            message = message.removeprefix("Value error, ")  # pydantic's, of what we say ourselves
            said = ": ".join(part for part in (where, name, message) if part)
            return Finding("bad-setting", "error", said)
        near = difflib.get_close_matches(name.rsplit(".", 1)[-1], known, 1)
        hint = f"did you mean {near[0]}?" if near else ""
        return Finding("bad-setting", "error", f"{where}: there is no setting {name}", hint)

    def place(error: ErrorDetails) -> str:
        return ".".join(str(part) for part in error["loc"] if part not in _TASKS)

    return [one(place(e), e["msg"], e["type"]) for e in error.errors()]


def read_settings(path: Path) -> dict[str, Any]:
    """A TOML or JSON file of settings by name.

    Raises:
        DataError: it cannot be read, or is neither.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        parsed = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as e:
        raise DataError(Finding("unreadable", "error", f"{path}: {e.strerror}")) from None
    except (ValueError, RecursionError) as e:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise DataError(
            Finding("bad-setting", "error", f"{path} is not valid {kind}: {e}")
        ) from None
    if not isinstance(parsed, dict):
        raise DataError(Finding("bad-setting", "error", f"{path}: expected settings by name"))
    return parsed


AnyRecipe = TypeVar("AnyRecipe", bound=Training)


def read_recipe(name_or_path: str, encoder: bool = False) -> Recipe:
    """A recipe by its name, or from a TOML or JSON file.

    A file holds a recipe's fields; ``base = "default"`` takes all others, those of the augmentation
    among them, from a named recipe. Numbers are numbers there: neither ``"10"`` nor ``true`` is 10.

    Args:
        name_or_path: which.
        encoder: of a network on a classifier's encoder.

    Raises:
        UsageError: there is neither such a recipe nor such a file.
        DataError: the file cannot be read or understood; every wrong setting is named.
    """
    return _read(name_or_path, Recipe, ENCODER_RECIPES if encoder else RECIPES)


def read_classifier_recipe(name_or_path: str) -> ClassifierRecipe:
    """As [`read_recipe`][], for classifications."""
    return _read(name_or_path, ClassifierRecipe, CLASSIFIER_RECIPES)


def read_pretext_recipe(name_or_path: str, encoder: bool = False) -> PretextRecipe:
    """As [`read_recipe`][], for pretexts."""
    named = ENCODER_PRETEXT_RECIPES if encoder else PRETEXT_RECIPES
    return _read(name_or_path, PretextRecipe, named)


def _read(name_or_path: str, kind: type[AnyRecipe], named: dict[str, AnyRecipe]) -> AnyRecipe:
    if name_or_path in named:
        return named[name_or_path]
    path = Path(name_or_path)
    if path.suffix not in (".toml", ".json"):
        near = difflib.get_close_matches(name_or_path, named, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        message = f"there is no recipe {name_or_path}; expected one of {', '.join(named)}"
        hint += "a recipe of your own is a .toml or .json file"
        raise UsageError(Finding("unknown-recipe", "error", message, hint))
    settings = read_settings(path)
    base = settings.pop("base", None)
    if base is not None:
        if str(base) not in named:
            message = f"{path}: there is no recipe {base} to be the base"
            hint = f"one of {', '.join(named)}"
            raise DataError(Finding("unknown-recipe", "error", message, hint))
        inherited = named[str(base)].model_dump()
        if isinstance(changes := settings.get("augmentation"), dict):
            settings["augmentation"] = {**inherited["augmentation"], **changes}
        settings = {**inherited, "name": path.stem, **settings}
    try:
        return kind.model_validate_json(json.dumps(settings, default=str), strict=True)
    except ValidationError as e:
        known = [*kind.model_fields, *Augmentation.__annotations__]
        raise DataError(explain(e, str(path), known)) from None
