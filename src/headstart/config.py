"""Recipes and run configurations: frozen values, in and out of TOML and JSON.

A *recipe* holds the hyper-parameters of a training and nothing about data, network or seed. A *run
configuration* holds all that decides a run's result; written as ``config.json`` it is enough to
make the run again.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headstart.data.augmentation import Augmentation
from headstart.errors import DataError, Finding, UsageError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = tuple[Annotated[int, Field(ge=8, le=8192)], Annotated[int, Field(ge=8, le=8192)]]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Recipe(_Frozen):
    """The hyper-parameters of one training.

    Attributes:
        name: what it is called in tables.
        loss: ``"dice"`` (soft Dice alone) or ``"dice+cross-entropy"`` (their sum).
        absent: whether a class absent from a batch enters the soft Dice; see
            [`dice_loss`][headstart.losses.dice_loss].
        optimizer: ``"adam"`` or ``"adamw"``.
        learning_rate: the highest.
        weight_decay: decoupled, for ``"adamw"``.
        batch: pictures a step.
        epochs: at most this many; what an epoch is says ``epoch``.
        epoch: ``"pass"``: one pass over the labelled pictures, the last batch possibly smaller.
            ``"steps"``: as many full batches as the *whole* training split has, whatever the label
            budget, drawn from passes over the labelled pictures; so every budget gets the same
            number of optimizer steps and the same schedule.
        balance: how much more often frames with rare classes are drawn, 0 (all alike) to 1; see
            [`rarity_weights`][headstart.data.batches.rarity_weights].
        schedule: ``"constant"``; ``"step"``: times ``gamma`` every ``step_size`` epochs;
            ``"one-cycle"``: linear from 0 over the share ``warmup`` of all steps, then half a
            cosine to 0.
        patience: stop after this many epochs without a better ``choose``; null: never.
        choose: whose best epoch gives the weights, on the validation split.
        average: decay per step of the exponential moving average of the weights that is validated
            and kept; 0: the weights themselves.
        standardise: subtract mean and divide by standard deviation of the training pictures, per
            channel (else pictures are in ``[0, 1]``).
        min_area: a foreground class that covers a smaller share of a frame is not predicted in it;
            see [`class_maps`][headstart.tasks.class_maps].
        augmentation: see [`Augmentation`][headstart.data.augmentation.Augmentation].
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    loss: Literal["dice", "dice+cross-entropy"]
    absent: Literal["count", "skip"]
    optimizer: Literal["adam", "adamw"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    batch: Annotated[int, Field(ge=1, le=65536)]
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    epoch: Literal["pass", "steps"]
    balance: Annotated[float, Field(ge=0, le=1)] = 0.0
    schedule: Literal["constant", "step", "one-cycle"]
    step_size: Annotated[int, Field(ge=1)] = 10
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=1)] | None = None
    choose: Literal["loss", "dice"]
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    standardise: bool = False
    min_area: Annotated[float, Field(ge=0, lt=1)] = 0.0
    augmentation: Augmentation = Augmentation()


_FLIPS_AND_ROTATION = Augmentation(flip_horizontal=True, flip_vertical=True, rotation=30.0)

ASSIGNMENT = Recipe(
    name="assignment",
    loss="dice",
    absent="count",
    optimizer="adam",
    learning_rate=1e-3,
    batch=10,
    epochs=200,
    epoch="pass",
    schedule="step",
    step_size=10,
    gamma=0.1,
    patience=4,
    choose="loss",
)
"""Part 1(a) of the assignment, to the letter: no augmentation."""

ASSIGNMENT_AUGMENTED = ASSIGNMENT.model_copy(
    update={"name": "assignment-augmented", "augmentation": _FLIPS_AND_ROTATION}
)
"""Part 1(b): the same with flips and rotation up to 30 degrees."""

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

RECIPES = {r.name: r for r in (DEFAULT, ASSIGNMENT, ASSIGNMENT_AUGMENTED)}


class RunConfig(_Frozen):
    """All that decides the result of one run, apart from the data's content.

    Attributes:
        data: the dataset's folder, as it was given.
        task, model, start, tune: as on the command line.
        width: channels of the network's first level.
        size: height and width, in pixels, the pictures are trained at.
        labels: how many labelled training frames; null: all.
        seed: fixes subset, order, augmentation and new weights.
        score: the split that is scored once, at the end.
        device: ``"cpu"`` or ``"cuda"``.
        threads: CPU threads; sums in other order differ in the last bits.
        recipe: the hyper-parameters, in full.
    """

    schema_: Literal[1] = Field(1, alias="schema")
    data: str
    task: Literal["segmentation"] = "segmentation"
    model: Literal["unet"] = "unet"
    start: Literal["scratch"] = "scratch"
    tune: Literal["all"] = "all"
    width: Annotated[int, Field(ge=1, le=1024)] = 32
    size: Size = (256, 320)
    labels: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    score: Literal["test", "validation"] = "test"
    device: Literal["cpu", "cuda"] = "cpu"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    recipe: Recipe = DEFAULT

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def to_json(config: BaseModel) -> str:
    """The whole value, defaults included, as indented JSON with a final newline."""
    return json.dumps(config.model_dump(by_alias=True), indent=2) + "\n"


def differences(old: BaseModel, new: BaseModel) -> list[str]:
    """Lines ``name: old -> new`` for each setting that differs, nested names with dots.

    >>> differences(ASSIGNMENT, ASSIGNMENT.model_copy(update={"batch": 8}))
    ['batch: 10 -> 8']
    """

    def flat(value: Any, prefix: str = "") -> dict[str, Any]:
        if not isinstance(value, dict):
            return {prefix: value}
        parts = [flat(v, f"{prefix}.{k}" if prefix else k) for k, v in value.items()]
        return {k: v for part in parts for k, v in part.items()}

    a, b = (flat(c.model_dump(by_alias=True)) for c in (old, new))
    return [f"{k}: {a.get(k)} -> {b.get(k)}" for k in {**a, **b} if a.get(k) != b.get(k)]


def _explain(error: ValidationError, where: str) -> list[Finding]:
    def one(name: str, message: str, kind: str) -> Finding:
        if kind not in ("extra_forbidden", "unexpected_keyword_argument"):
            return Finding("bad-setting", "error", f"{where}: {name}: {message}")
        known = [*Recipe.model_fields, *RunConfig.model_fields, *Augmentation.__annotations__]
        near = difflib.get_close_matches(name.rsplit(".", 1)[-1], known, 1)
        hint = f"did you mean {near[0]}?" if near else ""
        return Finding("bad-setting", "error", f"{where}: there is no setting {name}", hint)

    return [one(".".join(map(str, e["loc"])), e["msg"], e["type"]) for e in error.errors()]


def _read_settings(path: Path) -> dict[str, Any]:
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


def read_recipe(name_or_path: str) -> Recipe:
    """A recipe by its name, or from a TOML or JSON file.

    A file holds a recipe's fields; ``base = "default"`` takes all others, those of the augmentation
    among them, from a named recipe. Numbers are numbers there: neither ``"10"`` nor ``true`` is 10.

    Raises:
        UsageError: there is neither such a recipe nor such a file.
        DataError: the file cannot be read or understood; every wrong setting is named.
    """
    if name_or_path in RECIPES:
        return RECIPES[name_or_path]
    path = Path(name_or_path)
    if path.suffix not in (".toml", ".json"):
        near = difflib.get_close_matches(name_or_path, RECIPES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        message = f"there is no recipe {name_or_path}; expected one of {', '.join(RECIPES)}"
        hint += "a recipe of your own is a .toml or .json file"
        raise UsageError(Finding("unknown-recipe", "error", message, hint))
    settings = _read_settings(path)
    base = settings.pop("base", None)
    if base is not None:
        if str(base) not in RECIPES:
            message = f"{path}: there is no recipe {base} to be the base"
            hint = f"one of {', '.join(RECIPES)}"
            raise DataError(Finding("unknown-recipe", "error", message, hint))
        inherited = RECIPES[str(base)].model_dump()
        if isinstance(changes := settings.get("augmentation"), dict):
            settings["augmentation"] = {**inherited["augmentation"], **changes}
        settings = {**inherited, "name": path.stem, **settings}
    try:
        return Recipe.model_validate_json(json.dumps(settings, default=str), strict=True)
    except ValidationError as e:
        raise DataError(_explain(e, str(path))) from None


def read_run_config(path: Path) -> RunConfig:
    """A run's ``config.json``.

    Raises:
        DataError: it cannot be read or understood.
    """
    try:
        return RunConfig.model_validate(_read_settings(path))
    except ValidationError as e:
        raise DataError(_explain(e, str(path))) from None


def make_run_config(**settings: Any) -> RunConfig:
    """A configuration from values of the command line.

    Raises:
        UsageError: a value is out of its range; every one is named.
    """
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as e:
        raise UsageError(_explain(e, "command line")) from None


def parse_size(text: str) -> tuple[int, int]:
    """``"64x80"`` (height by width) or ``"128"`` (square) as ``(height, width)``.

    Raises:
        UsageError: it is neither.

    >>> parse_size("64x80"), parse_size("128")
    ((64, 80), (128, 128))
    """
    match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text, re.ASCII)
    height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not (8 <= height <= 8192 and 8 <= width <= 8192):
        message = f"size {text} is not understood; expected HEIGHTxWIDTH or one number, 8 to 8192"
        raise UsageError(Finding("bad-size", "error", message, "for example --size 64x80"))
    return height, width


def available_threads() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parse_labels(text: str) -> int | None:
    """``"30"`` as 30, ``"all"`` as None.

    Raises:
        UsageError: it is neither.
    """
    if text == "all":
        return None
    if re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII):
        return int(text)
    message = f"--labels {text} is not understood; expected a number from 1, or all"
    raise UsageError(Finding("bad-labels", "error", message))
