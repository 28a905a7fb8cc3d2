"""``headstart.train``: one run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.config.begun import run_before
from headstart.config.option_values import Size
from headstart.config.options import PretextRecipeOption, RecipeOption, TrainOptions
from headstart.config.recipe_options import as_long_as
from headstart.config.records import RunConfig
from headstart.config.resolve import run_config
from headstart.errors import Finding
from headstart.records.run_records import SCORES
from headstart.runs.seen_starts import refuse_seen_starts
from headstart.studies.costs import NOTHING, Cost, cost_of_run
from headstart.studies.minutes import fitting_in, fitting_sentence
from headstart.studies.pace import RunPace, pace_of_run
from headstart.tasks.budgets import budget_too_large
from headstart.tasks.lookup import find_task
from headstart.tasks.pretext import colour_warnings, pictures_of
from headstart.training.listener import SILENT, Listener, ignore
from headstart.verbs.default_framing import tiles_where_thin
from headstart.verbs.default_network import about_run, network_of_run
from headstart.verbs.machine import on_this_machine

_FILES = ("curves.png", "predictions.png", "confusion.png", "README.md", "scores.json")


@dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Attributes:
        folder: the run's folder.
        config: every setting that decided the result.
        scores: the content of ``scores.json``.
        files: what a person looks at first.
        findings: warnings about the data.
        cost: with ``dry_run``, what the run would take; nothing was trained then, and there are no
            scores.
    """

    folder: Path
    config: RunConfig
    scores: dict[str, Any]
    files: tuple[Path, ...]
    findings: tuple[Finding, ...]
    cost: Cost | None = None


def train(
    data: Path | str,
    *,
    out: Path | str | None = None,
    task: Literal["segmentation", "classification"] | None = None,
    model: str | None = None,
    start: str | None = None,
    tune: str | None = None,
    recipe: RecipeOption | None = None,
    size: Size | None = None,
    tile: bool = False,
    squeeze: bool = False,
    width: int | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    method: str | None = None,
    labels: int | str | Path | None = None,
    folds: int | None = None,
    fold: int | None = None,
    seed: int | None = None,
    score: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: Literal["float32", "bfloat16"] | None = None,
    pretext_recipe: PretextRecipeOption | None = None,
    pretext_epochs: int | None = None,
    pretext_steps: int | None = None,
    drop_leaks: bool | None = None,
    config: Path | str | None = None,
    checkpoint_seconds: float = 10.0,
    fresh: bool = False,
    dry_run: bool = False,
    forecast: Callable[[RunConfig, Cost], None] | None = None,
    listener: Listener | None = None,
    tell: Callable[[str], None] | None = None,
) -> TrainResult:
    """Train a network on labelled pictures and score it once, as ``headstart train`` does.

    The same call resumes a run that was stopped; a finished run returns at once.

    Args:
        data: the dataset's folder.
        out: the run's folder; by default ``runs/NAME-OF-DATA``.
        task: what to learn; by default segmentation if the data have masks.
        model: ``"unet"``, or a classifier, torchvision's or ``timm/NAME``; for segmentation it
            becomes the encoder. By default that of the run that is the start; else
            ``"timm/tf_efficientnet_lite0"`` if the start is ``"imagenet"``, or if neither a start
            nor another recipe is given, its weights are on this machine and no side of the size is
            below 64; else ``"unet"``; for classification ``"resnet18"``.
        start: where the initial weights come from: ``"scratch"``, a pretext, ``"imagenet"``, a
            run's folder or a file of weights; by default ``"imagenet"`` where the network is not
            given either and becomes that encoder, else ``"scratch"``.
        tune: which layers to train: ``"all"``, ``"head"``, ``"last:N"`` or ``"staged"``. In a
            segmentation, ``"head"`` is everything but the encoder; the other two are for
            classifications only.
        recipe: a recipe: its name, its ``.toml`` or ``.json`` file, or a value.
        size: height and width to train at; by default, and with ``"auto"``, what fits the pictures:
            their median shape, the longer side at most 320 pixels on a CPU and 512 on a GPU.
        tile: train on tiles of that size, which are cut from the pictures at their own size. This
            is the default where smaller pictures would hide thin objects, unless ``size`` or
            ``squeeze`` is given.
        squeeze: resize pictures to that size whatever their shape, as older versions did, and pad
            none.
        width: channels of a segmentation network's finest level.
        epochs: the maximum number of epochs, each as long as a pass over the training split.
        steps: the number of optimizer steps; by default the recipe's.
        minutes: instead of ``epochs`` or ``steps``: as many optimizer steps as fit on this machine,
            those of a pretext included. A few are measured before a new run begins; ``config.json``
            records their number, which a run that has begun keeps.
        method: ``"supervised"``, the default, or ``"semi-supervised"``: learn from pictures without
            labels, too, where the average of the weights is sure of their classes.
        labels: how many labelled training frames to use, ``"all"``, or a ``.txt`` file with their
            names.
        folds: cross-validate: train so many networks, each of which is scored on the labelled
            pictures that it has not seen, so that each picture is a test picture once.
        fold: train only this one of the folds, from 1.
        seed: fixes folds, subset, order, augmentation and new weights.
        score: the split to score once, at the end: ``"test"`` or ``"validation"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        threads: CPU threads; by default all that are available.
        precision: of the products in training, ``"float32"`` or ``"bfloat16"``; by default bfloat16
            where it is faster.
        pretext_recipe: the recipe of a pretext that is the start.
        pretext_epochs: the maximum number of pretext epochs.
        pretext_steps: the number of optimizer steps of the pretext.
        drop_leaks: leave pictures that are also validation or test frames out of the pretext.
        config: a run's ``config.json``; the options given here override it.
        checkpoint_seconds: seconds between checkpoints.
        fresh: start beside ``out`` if it exists, and never overwrite.
        dry_run: train nothing; measure a few steps, and return what the run would take.
        forecast: hears the same before a new run begins; None: nothing is measured.
        listener: hears how the training goes, and warnings; None: nobody does.
        tell: hears how many steps fit into ``minutes``.

    Raises:
        HeadstartError: options or data are wrong, or as
            [`headstart.runs.run.train`][headstart.runs.run.train].
    """
    data = Path(data)
    folder = Path(out) if out is not None else Path("runs") / (data.resolve().name or "run")
    options = TrainOptions(
        task=task,
        model=model,
        start=start,
        tune=tune,
        recipe=recipe,
        size=size,
        tile=tile,
        squeeze=squeeze,
        width=width,
        epochs=epochs,
        steps=steps,
        minutes=minutes,
        method=method,
        labels=labels,
        folds=folds,
        fold=fold,
        seed=seed,
        score=score,
        device=device,
        threads=threads,
        precision=precision,
        pretext_recipe=pretext_recipe,
        pretext_epochs=pretext_epochs,
        pretext_steps=pretext_steps,
        drop_leaks=drop_leaks,
        config=None if config is None else Path(config),
    )
    # Everything that can be wrong with the options is said before torch takes seconds to load.
    before = run_before(options, None if fresh else folder)
    recorded = before.task if before and options.config is not None else None
    problem, open_data = find_task(data, options.task or recorded)
    chosen = run_config(options, data, before, problem.name)
    dataset = open_data()
    findings = problem.warnings(dataset)
    if chosen.pretext is not None:
        findings += colour_warnings(pictures_of(dataset), [chosen.start])
    hear = listener.finding if listener is not None else ignore
    for finding in (*problem.reading(dataset), *findings):
        hear(finding)

    asked = options
    fitting_size = functools.cache(functools.partial(problem.fitting_size, dataset))
    options, thin = tiles_where_thin(
        options, problem.name, fitting_size, problem.hidden_objects(dataset), before
    )
    options = network_of_run(options, problem.name, fitting_size, before)
    chosen = on_this_machine(
        run_config(options, data, before, problem.name), options, before, fitting_size
    )
    if before is None:
        defaults = (*about_run(asked, chosen), *thin)
        findings += defaults
        for finding in defaults:
            hear(finding)

    from headstart.runs.cross_validation import cross_validate, in_fold
    from headstart.runs.folder import check_folder, fresh_folder
    from headstart.runs.run import train as train_run

    if chosen.fold is not None:
        chosen = in_fold(chosen, dataset, chosen.fold)
        refuse_seen_starts(chosen, (chosen.start,), dataset)
    pace: RunPace | None = None
    available = problem.sizes(dataset).pictures.get("train", 0)
    if chosen.folds is None and chosen.labels is not None and chosen.labels > available:
        raise budget_too_large(chosen.labels, available)
    if minutes is not None:
        begun = before if options.config is None else _begun(folder, fresh)
        chosen, pace = _in_minutes(chosen, options, minutes, begun, dataset, tell or ignore)
    folder = fresh_folder(folder) if fresh else folder
    if dry_run:
        check_folder(chosen, folder)
        done = (folder / SCORES).exists()
        cost = NOTHING if done else cost_of_run(chosen, dataset, pace)
        return TrainResult(folder, chosen, {}, (), findings, cost)
    if forecast is not None and not (folder / "config.json").exists():
        forecast(chosen, cost_of_run(chosen, dataset, pace))
    run = train_run if chosen.folds is None or chosen.fold is not None else cross_validate
    scores = run(chosen, folder, listener or SILENT, checkpoint_seconds, dataset=dataset)
    files = tuple(folder / name for name in _FILES if (folder / name).exists())
    return TrainResult(folder, chosen, scores, files, findings)


def _begun(folder: Path, fresh: bool) -> RunConfig | None:
    return run_before(TrainOptions(), None if fresh else folder)


def _in_minutes(
    config: RunConfig,
    options: TrainOptions,
    minutes: float,
    begun: RunConfig | None,
    dataset: Any,
    tell: Callable[[str], None],
) -> tuple[RunConfig, RunPace | None]:
    """Return the run with the steps that fit, or that it was begun with, and the measured pace."""
    if begun is not None:
        tell(f"--minutes {minutes:g}: the run has begun and keeps its number of steps")
        return as_long_as(config, begun), None
    pace = pace_of_run(config, dataset)
    pretext_given = (options.pretext_steps, options.pretext_epochs) != (None, None)
    fitted = fitting_in(config, minutes, pace, pretext_given)
    tell(fitting_sentence(minutes, config, fitted, pace))
    return fitted, pace
