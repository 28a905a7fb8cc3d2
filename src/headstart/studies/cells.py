"""The runs of a study (cells) and their configurations."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from headstart.config.methods import (
    SEMI_SUPERVISED,
    SUPERVISED,
    SUPERVISED_LONGER,
    Teacher,
    parted,
    start_of_arm,
)
from headstart.config.recipe_records import ClassifierRecipe, Recipe
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.start_names import PRETEXT_NAMES, SCRATCH, SCRATCH_LONGER
from headstart.config.task_settings import TASKS, task_of_recipe
from headstart.studies.wording import called


@dataclass(frozen=True)
class Cell:
    """One run of a study: a start, a tuning, a label budget and a seed."""

    start: str
    tune: str
    labels: int
    seed: int

    @property
    def run(self) -> str:
        """Path of the run's folder inside the study's folder."""
        tune = self.tune.replace(":", "")
        return f"runs/{_folder_name(self.start)}-{tune}-{self.labels}-{self.seed}"

    def __str__(self) -> str:
        tune = "" if self.tune == "all" else f", tune {self.tune}"
        return f"{called(self.start)}{tune}, {self.labels} labels, seed {self.seed}"


def _folder_name(start: str) -> str:
    """Return a start as part of a folder's name; a hash keeps different paths apart."""
    start, method = parted(start)
    suffix = "" if method == SUPERVISED else f"+{method}"
    if re.fullmatch(r"[a-z-]+", start):
        return f"{start}{suffix}"
    name = re.sub(r"[^A-Za-z0-9_]+", "_", Path(start).stem)[:40]
    return f"{name}_{hashlib.sha256(os.fsencode(start)).hexdigest()[:8]}{suffix}"


def cells(config: StudyConfig) -> list[Cell]:
    """Return all runs, ordered by seed, so that an interrupted study has complete seeds."""
    return [
        Cell(start, tune, labels, seed)
        for seed in config.seeds
        for labels in config.labels
        for tune in config.tunes
        for start in config.starts
    ]


def pretexts_of(config: StudyConfig) -> list[str]:
    """Return the pretexts that a study trains, in the order of its starts."""
    starts = dict.fromkeys(map(start_of_arm, config.starts))
    return [start for start in starts if start in PRETEXT_NAMES]


def pretext_config(
    config: StudyConfig, pretext: str, seed: int, fold: int | None = None
) -> PretextConfig:
    """Return the configuration of the pretext run for one seed.

    Args:
        config: configuration of the study.
        pretext: its name.
        seed: its seed.
        fold: the fold whose training pictures it learns from; None: all folds share its pictures.
    """
    return PretextConfig.model_validate(
        {
            "schema": 1,
            "data": config.data,
            "model": config.model,
            "width": config.width,
            "size": config.size,
            "framing": config.framing,
            "seed": seed,
            "device": config.device,
            "threads": config.threads,
            "precision": config.precision,
            "pretext": pretext,
            "drop_leaks": config.drop_leaks,
            "folds": config.folds,
            "fold": fold,
            "recipe": config.pretext_recipe,
        }
    )


def of_method(recipe: Recipe | ClassifierRecipe, method: str) -> Recipe | ClassifierRecipe:
    """Return the recipe of an arm's method.

    ``supervised-longer`` has as many more steps as the teacher of ``semi-supervised`` would show
    the network more pictures.
    """
    if not TASKS[task_of_recipe(recipe)].teacher:
        return recipe
    teacher = recipe.taught_by() or Teacher()
    if method == SEMI_SUPERVISED:
        return recipe.model_copy(update={"teacher": teacher})
    recipe = recipe.model_copy(update={"teacher": None})
    if method != SUPERVISED_LONGER:
        return recipe
    times = (recipe.batch + teacher.batch) / recipe.batch
    if recipe.steps is not None:
        return recipe.model_copy(update={"steps": round(times * recipe.steps)})
    return recipe.model_copy(update={"epochs": round(times * recipe.epochs)})


def run_config(
    config: StudyConfig, cell: Cell, longer: Recipe | ClassifierRecipe | None = None
) -> RunConfig:
    """Return the configuration of one run.

    Runs of the same budget, tuning and seed differ only in ``start`` and ``pretext``, and by the
    method in the recipe's ``teacher``; ``scratch-longer`` and ``supervised-longer`` also train for
    more steps.

    Args:
        config: configuration of the study.
        cell: the run.
        longer: the recipe of ``scratch-longer``; by default the study's.
    """
    start, method = parted(cell.start)
    recipe = of_method(longer or config.recipe, method)
    pretext = start in PRETEXT_NAMES
    return RunConfig.model_validate(
        {
            "schema": 1,
            "data": config.data,
            "task": config.task,
            "model": config.model,
            "start": SCRATCH if start == SCRATCH_LONGER else start,
            "pretext": pretext_config(config, start, cell.seed) if pretext else None,
            "tune": cell.tune,
            "width": config.width,
            "size": config.size,
            "framing": config.framing,
            "labels": cell.labels,
            "folds": config.folds,
            "seed": cell.seed,
            "score": config.score,
            "device": config.device,
            "threads": config.threads,
            "precision": config.precision,
            "recipe": recipe,
        }
    )
