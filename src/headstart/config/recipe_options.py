"""The recipe that options ask for: of a run, and of the pretext that it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from headstart.config.methods import SEMI_SUPERVISED, SUPERVISED, Teacher, no_average
from headstart.config.options import StudyOptions, TrainOptions
from headstart.config.problems import Problems
from headstart.config.recipe_records import (
    MOST_STEPS,
    ClassifierRecipe,
    PretextRecipe,
    Recipe,
    Training,
)
from headstart.config.recipes import read_pretext_recipe
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.task_settings import TASKS, UNET, TaskSettings, task_of_recipe
from headstart.errors import Finding, UsageError

MOST_MINUTES = 60 * 24 * 365
_Recipe = TypeVar("_Recipe", bound=Training)


def run_recipe(
    options: TrainOptions | StudyOptions,
    file: RunConfig | None,
    before: RunConfig | StudyConfig | None,
    settings: TaskSettings[Recipe] | TaskSettings[ClassifierRecipe],
    model: str,
    problems: Problems,
) -> Recipe | ClassifierRecipe:
    """Return the recipe that is asked for, else that of ``--config``, else the default."""
    default: Recipe | ClassifierRecipe = settings.recipes_for(model)["default"]
    if file is not None:
        default = file.recipe
    elif before is not None and isinstance(before.recipe, settings.recipe):
        default = begun_default(before.recipe, default)

    def chosen() -> Recipe | ClassifierRecipe:
        if isinstance(options.recipe, str | Path):
            return settings.read_recipe(str(options.recipe), model)
        return default if options.recipe is None else options.recipe

    recipe = problems.value_of(chosen, default)
    recipe = problems.value_of(lasting, recipe, recipe, options.epochs, options.steps)
    if isinstance(options, TrainOptions):
        recipe = problems.value_of(with_method, recipe, recipe, options.method)
    return recipe if before is None else _as_begun(recipe, before.recipe)


def _as_begun(
    recipe: Recipe | ClassifierRecipe, begun: Recipe | ClassifierRecipe
) -> Recipe | ClassifierRecipe:
    """Return the recipe of a folder that an older version began, if only newer settings differ.

    Such a folder neither adapts ``min_area`` nor samples the windows that validate.
    """
    if isinstance(begun, Recipe):
        newer = {name: getattr(begun, name) for name in ("adapt_min_area", "validation_windows")}
        return begun if recipe.model_copy(update=newer) == begun else recipe
    return recipe


def recipe_of_pretext(
    options: TrainOptions | StudyOptions,
    recipe: Recipe | ClassifierRecipe,
    model: str,
    of_file: PretextConfig | None,
    before: PretextConfig | StudyConfig | None,
    problems: Problems,
) -> PretextRecipe:
    """Return the pretext recipe that is asked for, else that of ``--config``, else a matching one.

    The recipe ``assignment`` matches those of the assignment, ``default`` all others.
    """
    encoder = model != UNET
    matching = "assignment" if recipe.name.startswith("assignment") else "default"
    default = of_file.recipe if of_file else read_pretext_recipe(matching, encoder)
    if before is not None and of_file is None:
        begun = before.recipe if isinstance(before, PretextConfig) else before.pretext_recipe
        default = begun_default(begun, default)
    chosen = default if options.pretext_recipe is None else options.pretext_recipe
    if isinstance(chosen, str | Path):
        chosen = problems.value_of(read_pretext_recipe, default, str(chosen), encoder)
    epochs, steps = options.pretext_epochs, options.pretext_steps
    return problems.value_of(lasting, chosen, chosen, epochs, steps, "pretext-")


def with_method(recipe: Recipe | ClassifierRecipe, method: str | None) -> Any:
    """Return a recipe that learns as asked for; None: as the recipe says.

    Raises:
        UsageError: the method is unknown, or not for this recipe.
    """
    if method is None:
        return recipe
    if method not in (SUPERVISED, SEMI_SUPERVISED):
        message = f"there is no method {method}; expected {SUPERVISED} or {SEMI_SUPERVISED}"
        raise UsageError(Finding("bad-setting", "error", message))
    if method == SUPERVISED:
        return recipe.model_copy(update={"teacher": None}) if recipe.taught_by() else recipe
    if not TASKS[task_of_recipe(recipe)].teacher:
        message, hint = "--method semi-supervised is for segmentations", "leave it out"
        raise UsageError(Finding("bad-setting", "error", message, hint))
    if not recipe.average:
        why, hint = no_average(recipe.name)
        message = f"--method semi-supervised: {why}"
        raise UsageError(Finding("bad-setting", "error", message, hint))
    return recipe if recipe.taught_by() else recipe.model_copy(update={"teacher": Teacher()})


def lasting(recipe: _Recipe, epochs: int | None, steps: int | None, prefix: str = "") -> _Recipe:
    """Return a recipe that lasts as long as asked for.

    Raises:
        UsageError: both lengths are given, or one is less than 1.
    """
    if epochs is not None and steps is not None:
        message = f"--{prefix}epochs and --{prefix}steps are both given; expected one of them"
        raise UsageError(Finding("bad-setting", "error", message))
    if steps is not None and not 1 <= steps <= MOST_STEPS:
        message = f"--{prefix}steps is {steps}; expected 1 to {MOST_STEPS}"
        raise UsageError(Finding("bad-setting", "error", message))
    if steps is not None:
        return recipe.with_steps(steps)
    return recipe if epochs is None else recipe.with_epochs(epochs)


def refuse_of_pretext(options: TrainOptions, start: str) -> None:
    """Refuse options of a pretext for a start that is none.

    Raises:
        UsageError: names them.
    """
    given = {
        "--pretext-recipe": options.pretext_recipe is not None,
        "--pretext-epochs": options.pretext_epochs is not None,
        "--pretext-steps": options.pretext_steps is not None,
        "--drop-leaks": bool(options.drop_leaks),
    }
    if named := ", ".join(option for option, is_given in given.items() if is_given):
        message = f"{named}: only for a start that is a pretext; the start is {start}"
        hint = "leave it out, or choose a pretext, such as --start colorization"
        raise UsageError(Finding("bad-setting", "error", message, hint))


def refuse_minutes(options: TrainOptions) -> None:
    """Refuse a number of minutes that is none, or is given beside another length.

    Raises:
        UsageError: names every one.
    """
    if options.minutes is None:
        return
    findings = []
    if not 0 < options.minutes <= MOST_MINUTES:
        message = f"--minutes is {options.minutes:g}; expected more than 0, at most {MOST_MINUTES}"
        findings.append(Finding("bad-setting", "error", message))
    for name in ("epochs", "steps"):
        if getattr(options, name) is not None:
            message = f"--minutes and --{name} are both given; expected one of them"
            findings.append(Finding("bad-setting", "error", message))
    if findings:
        raise UsageError(findings)


def refuse_hours(options: StudyOptions) -> None:
    """Refuse a number of hours that is none.

    Raises:
        UsageError: it is not positive, or too large.
    """
    if options.hours is not None and not 0 < options.hours <= MOST_MINUTES / 60:
        message = (
            f"--hours is {options.hours:g}; expected more than 0, at most {MOST_MINUTES // 60}"
        )
        raise UsageError(Finding("bad-setting", "error", message))


def with_lengths(
    config: RunConfig, steps: int, pretext_steps: int | None, most_epochs: int
) -> RunConfig:
    """Return a run with other numbers of optimizer steps, in no more than so many epochs.

    Without ``pretext_steps`` its pretext stays as it is.
    """
    changed: dict[str, Any] = {"recipe": _with_steps(config.recipe, steps, most_epochs)}
    if config.pretext is not None and pretext_steps is not None:
        recipe = _with_steps(config.pretext.recipe, pretext_steps, most_epochs)
        changed["pretext"] = config.pretext.model_copy(update={"recipe": recipe})
    return config.model_copy(update=changed)


def _with_steps(recipe: _Recipe, steps: int, most_epochs: int) -> _Recipe:
    longer = recipe.with_steps(steps)
    return longer.in_epochs(min(longer.epochs, most_epochs))


def as_long_as(config: RunConfig, begun: RunConfig) -> RunConfig:
    """Return a run that lasts as long as the one that its folder was begun with."""
    changed: dict[str, Any] = {"recipe": _as_long_as(config.recipe, begun.recipe)}
    if config.pretext is not None and begun.pretext is not None:
        recipe = _as_long_as(config.pretext.recipe, begun.pretext.recipe)
        changed["pretext"] = config.pretext.model_copy(update={"recipe": recipe})
    return config.model_copy(update=changed)


def _as_long_as(recipe: _Recipe, begun: Training) -> _Recipe:
    names = ("epochs", "epoch", "steps", "head_epochs")
    both = (name for name in names if hasattr(recipe, name) and hasattr(begun, name))
    length = {name: getattr(begun, name) for name in both}
    return recipe.model_copy(update=length)


def begun_default(begun: _Recipe, default: _Recipe) -> _Recipe:
    """Return the recipe ``default`` for a folder: that of the version that began it."""
    if begun.name != default.name:
        return default
    length = {"epochs": default.epochs, "steps": default.steps}
    changed = begun.model_copy(update=length) != default
    counted_passes = begun.steps is None and begun.epochs == default.epochs
    return begun if changed or counted_passes else default


def refuse_other_recipe(path: Path, before: str, model: str, settings: TaskSettings[Any]) -> None:
    """Refuse the recipe of ``--config`` for a network that has other named recipes.

    Raises:
        UsageError: one of the two networks is the U-Net, the other has an encoder.
    """
    if settings.recipes_for(before) is not settings.recipes_for(model):
        message = f"the recipe in {path} is for {before}, and --model is {model}"
        hint = "name a recipe for that network, for example --recipe default"
        raise UsageError(Finding("bad-setting", "error", message, hint))
