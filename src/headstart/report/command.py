"""The command that makes a folder again, from its ``config.json``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, TypeVar

from headstart.training.config import PretextConfig, RunConfig, StudyConfig
from headstart.training.config_files import to_json
from headstart.training.recipes import (
    CLASSIFIER_RECIPES,
    ENCODER_PRETEXT_RECIPES,
    ENCODER_RECIPES,
    PRETEXT_RECIPES,
    RECIPES,
    Training,
)
from headstart.training.task_settings import UNET

_Recipe = TypeVar("_Recipe", bound=Training)


def again(config: StudyConfig | RunConfig | PretextConfig, name: str) -> tuple[str, dict[str, str]]:
    """The command, with every setting that decides the result.

    Args:
        config: of the folder.
        name: of the folder; the command is given beside it.

    Returns:
        The command; and recipes that have no name of their own, as files for ``name/report/``
        that the command names.

    >>> from headstart.training.config import make_study_config
    >>> config = make_study_config(data="my data", starts=["scratch"], labels=[30], seeds=[1, 2])
    >>> print(again(config, "S")[0])
    headstart study 'my data' --starts scratch --labels 30 --seeds 2 --recipe default \
--pretext-recipe default --size 256x320 --width 32 --device cpu --threads 1 --out S
    """
    files: dict[str, str] = {}
    encoder = config.model != UNET
    pretexts = ENCODER_PRETEXT_RECIPES if encoder else PRETEXT_RECIPES
    known: Mapping[str, Any] = ENCODER_RECIPES if encoder else RECIPES
    if config.task == "classification":
        known = CLASSIFIER_RECIPES
    if isinstance(config, StudyConfig):
        words = ["study", config.data, *_network(config), "--starts", ",".join(config.starts)]
        words += [] if config.against is None else ["--against", config.against]
        words += [] if config.tunes == ("all",) else ["--tunes", ",".join(config.tunes)]
        words += ["--labels", ",".join(map(str, config.labels)), "--seeds", _seeds(config.seeds)]
        words += _recipe("", config.recipe, known, name, files)
        if config.task == "segmentation":
            words += _recipe("pretext-", config.pretext_recipe, pretexts, name, files)
        words += [] if config.score == "test" else ["--score", config.score]
        leaks = config.drop_leaks
    elif isinstance(config, RunConfig):
        words = ["train", config.data, *_network(config), "--start", config.start]
        words += [] if config.tune == "all" else ["--tune", config.tune]
        words += ["--labels", str(config.labels or "all"), "--seed", str(config.seed)]
        if config.frames is not None:
            files["labels.txt"] = "".join(f"{frame}\n" for frame in config.frames)
            words[words.index("--labels") + 1] = f"{name}/report/labels.txt"
        words += _recipe("", config.recipe, known, name, files)
        if config.pretext is not None:
            words += _recipe("pretext-", config.pretext.recipe, pretexts, name, files)
        words += [] if config.score == "test" else ["--score", config.score]
        leaks = config.pretext is not None and config.pretext.drop_leaks
    else:
        words = ["pretrain", config.data, *_network(config)]
        words += ["--pretext", config.pretext, "--seed", str(config.seed)]
        words += _recipe("", config.recipe, pretexts, name, files)
        leaks = config.drop_leaks
    height, width = config.size
    words += ["--size", f"{height}x{width}"]
    words += [] if config.width is None else ["--width", str(config.width)]
    words += ["--drop-leaks"] if leaks else []
    words += ["--device", config.device, "--threads", str(config.threads), "--out", name]
    return shlex.join(["headstart", *words]), files


def _network(config: RunConfig | StudyConfig | PretextConfig) -> list[str]:
    """Task and network, where they are not the ones without saying so."""
    task = ["--task", config.task] if config.task == "classification" else []
    return task if config.model == UNET else [*task, "--model", config.model]


def _seeds(seeds: tuple[int, ...]) -> str:
    """How many, where they count from 1; else which, with a comma also behind a single one."""
    if seeds == tuple(range(1, len(seeds) + 1)):
        return str(len(seeds))
    return ",".join(map(str, seeds)) if len(seeds) > 1 else f"{seeds[0]},"


def _recipe(
    kind: str, recipe: _Recipe, known: Mapping[str, _Recipe], name: str, files: dict[str, str]
) -> list[str]:
    """The options for a recipe: a name, a name and a number of epochs, or a file."""
    for called, its in known.items():
        if its.model_copy(update={"epochs": recipe.epochs}) == recipe:
            longer = [f"--{kind}epochs", str(recipe.epochs)] if its != recipe else []
            return [f"--{kind}recipe", called, *longer]
    files[f"{kind}recipe.json"] = to_json(recipe)
    return [f"--{kind}recipe", f"{name}/report/{kind}recipe.json"]
