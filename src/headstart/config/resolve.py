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
from headstart.config.methods import METHODS, SUPERVISED, crossed, parted, spelt_once
from headstart.config.option_values import (
    AUTO,
    Listed,
    listed,
    parse_labels,
    parse_looks,
    parse_seeds,
    parse_size,
)
from headstart.config.options import Options, PretextOptions, StudyOptions, TrainOptions
from headstart.config.problems import Problems
from headstart.config.recipe_options import (
    begun_default,
    lasting,
    recipe_of_pretext,
    refuse_hours,
    refuse_minutes,
    refuse_of_pretext,
    refuse_other_recipe,
    run_recipe,
)
from headstart.config.recipe_records import PretextRecipe
from headstart.config.recipes import read_pretext_recipe
from headstart.config.records import (
    PretextConfig,
    RunConfig,
    StudyConfig,
    checked,
    make_pretext_config,
    make_run_config,
    make_study_config,
)
from headstart.config.start_files import network_of_start, weights_file
from headstart.config.start_names import IMAGENET, PRETEXT_NAMES, SCRATCH, is_published
from headstart.config.task_settings import ENCODER, SEGMENTATION, TASKS, UNET, TaskSettings
from headstart.data.framing import Framing
from headstart.data.task import TaskName, task_of
from headstart.errors import Finding, UsageError
from headstart.system.devices import DeviceName
from headstart.system.processor import available_threads

MARGIN = 0.02  # default of a study, in its score: a fiftieth of the way from nothing to all right

_Value = TypeVar("_Value")
AnyConfig = RunConfig | PretextConfig | StudyConfig


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
    start = options.start or (file.start if file else SCRATCH)
    model = before.model if before and start == begun_from else None
    model = options.model or model or _model(options, file or settings, [start], [options.tune])
    shared = _shared(options, model, file or settings, before, available_threads(), problems)
    if options.config is not None and file is not None and options.recipe is None:
        problems.note(refuse_other_recipe, options.config, file.model, shared.model, settings)
    problems.note(refuse_minutes, options)
    recipe = run_recipe(options, file, before, settings, shared.model, problems)
    labels, frames = problems.value_of(_labels, (None, None), options.labels, file)
    of_file = file.pretext if file and file.start == start else None
    pretext_recipe = None
    if start in PRETEXT_NAMES and settings.pretexts:
        begun = before.pretext if before else None
        pretext_recipe = recipe_of_pretext(options, recipe, shared.model, of_file, begun, problems)
    elif start not in (SCRATCH, IMAGENET, *PRETEXT_NAMES) and start != begun_from:
        problems.note(weights_file, start)
    if start not in PRETEXT_NAMES:
        problems.note(refuse_of_pretext, options, start)
    config = problems.value_of(
        make_run_config,
        None,
        data=str(data),
        task=task,
        model=shared.model,
        width=shared.width,
        size=shared.size,
        framing=shared.framing,
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
        "framing": config.framing,
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
    starts = problems.value_of(listed, None, options.starts or settings.starts)
    starts = spelt_once(starts or (), before.starts if before else ())
    tunes = problems.value_of(listed, ("all",), _option_or(options.tunes, "all"))
    model = _model(options, settings, [parted(start)[0] for start in starts or ()], tunes)
    shared = _shared(options, model, settings, before, threads, problems)
    recipe = run_recipe(options, None, before, settings, shared.model, problems)
    # Without pretexts the model says nothing about their recipe.
    pretext_network = shared.model if settings.pretexts else UNET
    pretext_recipe = recipe_of_pretext(options, recipe, pretext_network, None, before, problems)
    problems.note(refuse_hours, options)
    methods = problems.value_of(_methods, (SUPERVISED,), options.methods)
    if options.methods:
        starts = crossed(starts or settings.starts, methods)
    against = options.against and spelt_once([options.against], starts)[0]
    had = before.looks if before else None
    looks = problems.value_of(parse_looks, None, _option_or(options.looks, had))
    config = problems.value_of(
        make_study_config,
        None,
        data=str(data),
        task=task,
        model=shared.model,
        width=shared.width,
        size=shared.size,
        framing=shared.framing,
        device=shared.device,
        threads=shared.threads,
        precision=_option_or(options.precision, before.precision if before else None),
        starts=starts or settings.starts,
        against=against if starts else None,
        tunes=tunes,
        labels=problems.value_of(_budgets, (1,), options.labels, training_pictures),
        seeds=problems.value_of(parse_seeds, (1,), options.seeds, looks),
        folds=options.folds,
        recipe=recipe,
        pretext_recipe=pretext_recipe,
        score=_option_or(options.score, "test"),
        drop_leaks=options.drop_leaks,
        margin=_option_or(options.margin, before.margin if before else MARGIN),
        looks=looks,
    )
    problems.raise_all()
    assert config is not None
    return config


def _methods(value: Listed | None) -> tuple[str, ...]:
    methods = listed(value or SUPERVISED)
    if unknown := [method for method in methods if method not in METHODS]:
        message = f"there is no method {unknown[0]}; expected some of {', '.join(METHODS)}"
        raise UsageError(Finding("bad-setting", "error", message))
    return methods


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
    own = SEGMENTATION.names_another(options.recipe)
    encoder_starts = is_published(options.pretext) and not own
    model = _option_or(options.model, ENCODER if encoder_starts else SEGMENTATION.model)
    shared = _shared(options, model, SEGMENTATION, before, available_threads(), problems)
    encoder = shared.model != UNET
    default = read_pretext_recipe("default", encoder)
    if isinstance(before, PretextConfig):
        default = begun_default(before.recipe, default)
    given = default if options.recipe is None else options.recipe
    recipe = (
        problems.value_of(read_pretext_recipe, default, str(given), encoder)
        if isinstance(given, str | Path)
        else given
    )
    config = problems.value_of(
        make_pretext_config,
        None,
        data=str(data),
        model=shared.model,
        width=shared.width,
        size=shared.size,
        framing=shared.framing,
        device=shared.device,
        threads=shared.threads,
        precision=_option_or(options.precision, before.precision if before else None),
        seed=_option_or(options.seed, 0),
        pretext=options.pretext,
        drop_leaks=options.drop_leaks,
        recipe=problems.value_of(lasting, recipe, recipe, options.epochs, options.steps),
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
    framing: Framing
    threads: int
    device: DeviceName


def _model(
    options: TrainOptions | StudyOptions,
    defaults: RunConfig | TaskSettings[Any],
    starts: Sequence[str],
    tunes: Sequence[str | None],
) -> str:
    """Return the network: of the options, else of a run that is a start, else the default.

    With published weights as a start, or an encoder that stays frozen, the default of a
    segmentation is a network that has some.
    """
    if options.model is not None:
        return options.model
    if not isinstance(defaults, TaskSettings) or defaults.model != UNET:
        return defaults.model
    of_runs = (network_of_start(start) for start in starts)
    if (model := next((model for model in of_runs if model is not None), None)) is not None:
        return model
    encoder = any(map(is_published, starts)) or "head" in tunes
    return ENCODER if encoder and not defaults.names_another(options.recipe) else UNET


def _shared(
    options: Options,
    model: str,
    defaults: RunConfig | TaskSettings[Any],
    before: AnyConfig | None,
    threads: int,
    problems: Problems,
) -> _Shared:
    """Return the options where they are given, else the defaults.

    Args:
        options: of any verb that trains.
        model: the network.
        defaults: for width and size.
        before: for threads, device and size.
        threads: for a new folder.
        problems: gets what is wrong.
    """
    size = before.size if before else defaults.size
    if options.size not in (None, AUTO):
        size = problems.value_of(parse_size, size, options.size)
    return _Shared(
        model=model,
        width=_option_or(options.width, defaults.width),
        size=size,
        framing=problems.value_of(_framing, "squeeze", options, defaults, before),
        threads=_option_or(options.threads, before.threads if before else threads),
        device=before.device if before else "cpu",
    )


def _framing(
    options: Options, defaults: RunConfig | TaskSettings[Any], before: AnyConfig | None
) -> Framing:
    """Return what the options say, else that of the folder or file, else the default."""
    default = defaults.framing if isinstance(defaults, RunConfig) else defaults.framings[0]
    if options.tile and options.squeeze:
        message = "--tile and --squeeze are both given; expected one of them"
        raise UsageError(Finding("bad-setting", "error", message))
    if options.tile or options.squeeze:
        return "tile" if options.tile else "squeeze"
    return before.framing if before else default


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


def _budgets(
    option: int | str | Sequence[int | str] | None, training_pictures: int
) -> tuple[int, ...]:
    """Return label budgets in order; ``"all"`` is the number of training pictures."""
    option = "all" if option is None else option
    several = option if isinstance(option, str) else _texts(option)
    return tuple(sorted({parse_labels(n) or training_pictures for n in listed(several)}))


def _texts(option: int | Sequence[int | str]) -> list[str]:
    return [str(option)] if isinstance(option, int) else [str(n) for n in option]


def _option_or(option: _Value | None, otherwise: _Value) -> _Value:
    return otherwise if option is None else option
