"""From options to a frozen configuration: the command line and Python's verbs share it.

Where an option is not given (``None``), its value comes from, in this order: the file of
``--config``; for size, threads, device and a recipe ``default`` that a version has changed since,
the folder that was begun; the defaults of the task and its network. The size that fits the pictures
is found later, when these are opened. All that is wrong with the options is said at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from headstart.config.files import read_frame_names
from headstart.config.option_values import AUTO, listed, parse_labels, parse_seeds, parse_size
from headstart.config.options import Options, PretextOptions, StudyOptions, TrainOptions
from headstart.config.problems import Problems
from headstart.config.recipes import (
    MOST_STEPS,
    ClassifierRecipe,
    PretextRecipe,
    Recipe,
    Training,
    read_pretext_recipe,
)
from headstart.config.records import (
    IMAGENET,
    PRETEXT_NAMES,
    SCRATCH,
    PretextConfig,
    RunConfig,
    StudyConfig,
    checked,
    make_pretext_config,
    make_run_config,
    make_study_config,
    weights_file,
)
from headstart.config.task_settings import SEGMENTATION, TASKS, UNET, TaskSettings
from headstart.data.task import TaskName, task_of
from headstart.errors import Finding, UsageError
from headstart.system.devices import DeviceName
from headstart.system.processor import available_threads

MARGIN = 0.02
"""The default margin of a study, in its score: a fiftieth of the way from nothing to all right."""

_Value = TypeVar("_Value")
_Recipe = TypeVar("_Recipe", bound=Training)


def run_config(
    options: TrainOptions,
    data: Path | str,
    before: RunConfig | None = None,
    of_data: TaskName | None = None,
) -> RunConfig:
    """Return the configuration of one run, on the device ``"cpu"`` or that of ``before``.

    Args:
        options: of ``train``.
        data: the dataset's folder.
        before: what [`run_before`][headstart.config.begun.run_before] returned.
        of_data: the task that the dataset is for, if it was recognised before.

    Raises:
        UsageError, DataError: options are wrong, or a file they name; every one is named.
    """
    problems = Problems()
    file = before if options.config is not None else None
    # A finished run needs the file of its start no more.
    begun_from = before.start if before and file is None else None
    task = options.task or (file.task if file else of_data or task_of(Path(data)))
    settings = TASKS[task]
    shared = _shared(options, file or settings, before, available_threads(), problems)
    if options.config is not None and file is not None and options.recipe is None:
        problems.note(_refuse_other_recipe, options.config, file.model, shared.model, settings)
    recipe = _run_recipe(options, file, before, settings, shared.model, problems)
    labels, frames = problems.value_of(_labels, (None, None), options.labels, file)
    start = options.start or (file.start if file else SCRATCH)
    of_file = file.pretext if file and file.start == start else None
    pretext_recipe = None
    if start in PRETEXT_NAMES and settings.pretexts:
        begun = before.pretext if before else None
        pretext_recipe = _recipe_of_pretext(options, recipe, shared.model, of_file, begun, problems)
    elif start not in (SCRATCH, IMAGENET, *PRETEXT_NAMES) and start != begun_from:
        problems.note(weights_file, start)
    config = problems.value_of(
        make_run_config,
        None,
        data=str(data),
        task=task,
        model=shared.model,
        width=shared.width,
        size=shared.size,
        device=shared.device,
        threads=shared.threads,
        precision=_option_or(options.precision, before.precision if before else None),
        tune=_option_or(options.tune, file.tune if file else "all"),
        recipe=recipe,
        labels=labels,
        frames=frames,
        folds=_option_or(options.folds, file.folds if file else None),
        fold=_option_or(options.fold, file.fold if file and options.folds is None else None),
        seed=_option_or(options.seed, file.seed if file else 0),
        score=_option_or(options.score, file.score if file else "test"),
    )
    problems.raise_all()
    assert config is not None
    pretext = None
    if pretext_recipe is not None:
        drop_leaks = _option_or(options.drop_leaks, of_file.drop_leaks if of_file else False)
        pretext = _pretext_of_run(config, start, pretext_recipe, drop_leaks)
    return checked(RunConfig, config.model_copy(update={"start": start, "pretext": pretext}))


def _pretext_of_run(
    config: RunConfig, pretext: str, recipe: PretextRecipe, drop_leaks: bool
) -> PretextConfig:
    """Return the pretext that a run starts from, on the run's network, machine and seed."""
    settings = {
        "data": config.data,
        "model": config.model,
        "width": config.width,
        "size": config.size,
        "seed": config.seed,
        "device": config.device,
        "threads": config.threads,
        "precision": config.precision,
        "pretext": pretext,
        "drop_leaks": drop_leaks,
        "recipe": recipe,
    }
    return checked(PretextConfig, settings, "command line: pretext")


def study_config(
    options: StudyOptions,
    data: Path | str,
    task: TaskName,
    training_pictures: int,
    before: StudyConfig | None = None,
) -> StudyConfig:
    """Return the configuration of a study, on the device ``"cpu"`` or that of ``before``.

    Args:
        options: of ``study``.
        data: the dataset's folder.
        task: the task of its runs.
        training_pictures: how many labelled training pictures there are (of folds, the fewest), for
            the budget "all".
        before: what [`study_before`][headstart.config.begun.study_before] returned.

    Raises:
        UsageError, DataError: options are wrong, or a file they name; every one is named.
    """
    problems = Problems()
    settings = TASKS[task]
    threads = max(1, available_threads() // options.jobs)
    shared = _shared(options, settings, before, threads, problems)
    recipe = _run_recipe(options, None, before, settings, shared.model, problems)
    # Without pretexts the model says nothing about their recipe.
    pretext_network = shared.model if settings.pretexts else UNET
    pretext_recipe = _recipe_of_pretext(options, recipe, pretext_network, None, before, problems)
    starts = problems.value_of(listed, None, options.starts or settings.starts)
    config = problems.value_of(
        make_study_config,
        None,
        data=str(data),
        task=task,
        model=shared.model,
        width=shared.width,
        size=shared.size,
        device=shared.device,
        threads=shared.threads,
        precision=_option_or(options.precision, before.precision if before else None),
        starts=starts or settings.starts,
        against=options.against if starts else None,
        tunes=problems.value_of(listed, ("all",), options.tunes),
        labels=problems.value_of(_budgets, (1,), options.labels, training_pictures),
        seeds=problems.value_of(parse_seeds, (1,), options.seeds),
        folds=options.folds,
        recipe=recipe,
        pretext_recipe=pretext_recipe,
        score=options.score,
        drop_leaks=options.drop_leaks,
        margin=_option_or(options.margin, before.margin if before else MARGIN),
    )
    problems.raise_all()
    assert config is not None
    return config


def pretext_config(
    options: PretextOptions,
    data: Path | str,
    before: RunConfig | PretextConfig | None = None,
) -> PretextConfig:
    """Return the configuration of a pretext, on the device ``"cpu"`` or that of ``before``.

    Args:
        options: of ``pretrain``.
        data: a dataset, or a folder of pictures.
        before: what [`pretext_before`][headstart.config.begun.pretext_before] returned.

    Raises:
        UsageError, DataError: options are wrong, or a file they name; every one is named.
    """
    problems = Problems()
    shared = _shared(options, SEGMENTATION, before, available_threads(), problems)
    encoder = shared.model != UNET
    default = read_pretext_recipe("default", encoder)
    if isinstance(before, PretextConfig):
        default = _begun_default(before.recipe, default)
    recipe = default if options.recipe is None else options.recipe
    if isinstance(recipe, str | Path):
        recipe = problems.value_of(read_pretext_recipe, default, str(recipe), encoder)
    config = problems.value_of(
        make_pretext_config,
        None,
        data=str(data),
        model=shared.model,
        width=shared.width,
        size=shared.size,
        device=shared.device,
        threads=shared.threads,
        precision=_option_or(options.precision, before.precision if before else None),
        seed=_option_or(options.seed, 0),
        pretext=options.pretext,
        drop_leaks=options.drop_leaks,
        recipe=problems.value_of(_lasting, recipe, recipe, options.epochs, options.steps),
    )
    problems.raise_all()
    assert config is not None
    return config


@dataclass(frozen=True)
class _Shared:
    """The settings of every training."""

    model: str
    width: int | None
    size: tuple[int, int]
    threads: int
    device: DeviceName


def _shared(
    options: Options,
    defaults: RunConfig | TaskSettings[Any],
    before: RunConfig | PretextConfig | StudyConfig | None,
    threads: int,
    problems: Problems,
) -> _Shared:
    """Return the options where they are given, else the defaults.

    Args:
        options: of any verb that trains.
        defaults: for network and size.
        before: for threads, device and size.
        threads: for a new folder.
        problems: gets what is wrong.
    """
    size = before.size if before else defaults.size
    if options.size not in (None, AUTO):
        size = problems.value_of(parse_size, size, options.size)
    return _Shared(
        model=_option_or(options.model, defaults.model),
        width=_option_or(options.width, defaults.width),
        size=size,
        threads=_option_or(options.threads, before.threads if before else threads),
        device=before.device if before else "cpu",
    )


def _run_recipe(
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
        default = _begun_default(before.recipe, default)

    def chosen() -> Recipe | ClassifierRecipe:
        if isinstance(options.recipe, str | Path):
            return settings.read_recipe(str(options.recipe), model)
        return _option_or(options.recipe, default)

    recipe = problems.value_of(chosen, default)
    return problems.value_of(_lasting, recipe, recipe, options.epochs, options.steps)


def _recipe_of_pretext(
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
        default = _begun_default(begun, default)
    chosen = default if options.pretext_recipe is None else options.pretext_recipe
    if isinstance(chosen, str | Path):
        chosen = problems.value_of(read_pretext_recipe, default, str(chosen), encoder)
    epochs, steps = options.pretext_epochs, options.pretext_steps
    return problems.value_of(_lasting, chosen, chosen, epochs, steps, "pretext-")


def _lasting(recipe: _Recipe, epochs: int | None, steps: int | None, prefix: str = "") -> _Recipe:
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


def _begun_default(begun: _Recipe, default: _Recipe) -> _Recipe:
    """Return the recipe ``default`` for a folder: that of the version that began it."""
    if begun.name != default.name:
        return default
    length = {"epochs": default.epochs, "steps": default.steps}
    changed = begun.model_copy(update=length) != default
    counted_passes = begun.steps is None and begun.epochs == default.epochs
    return begun if changed or counted_passes else default


def _refuse_other_recipe(path: Path, before: str, model: str, settings: TaskSettings[Any]) -> None:
    """Refuse the recipe of ``--config`` for a network that has other named recipes.

    Raises:
        UsageError: one of the two networks is the U-Net, the other has an encoder.
    """
    if settings.recipes_for(before) is not settings.recipes_for(model):
        message = f"the recipe in {path} is for {before}, and --model is {model}"
        hint = "name a recipe for that network, for example --recipe default"
        raise UsageError(Finding("bad-setting", "error", message, hint))


def _labels(
    option: int | str | Path | None, file: RunConfig | None
) -> tuple[int | None, tuple[str, ...] | None]:
    """Return how many labelled frames to use, and their names where a file gives them."""
    if option is None:
        return (file.labels, file.frames) if file else (None, None)
    text = str(option)
    if text.endswith(".txt"):
        names = read_frame_names(Path(text))
        return len(names), names
    return parse_labels(text), None


def _budgets(option: int | str | Sequence[int | str], training_pictures: int) -> tuple[int, ...]:
    """Return label budgets in order; ``"all"`` is the number of training pictures."""
    several = option if isinstance(option, str) else _texts(option)
    return tuple(sorted({parse_labels(n) or training_pictures for n in listed(several)}))


def _texts(option: int | Sequence[int | str]) -> list[str]:
    return [str(option)] if isinstance(option, int) else [str(n) for n in option]


def _option_or(option: _Value | None, otherwise: _Value) -> _Value:
    return otherwise if option is None else option
