"""The command that makes a folder again, from its ``config.json``."""

from __future__ import annotations

import shlex
from pathlib import Path

from headstart.config.files import frame_names_text, to_json
from headstart.config.recipe_records import Training
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.task_settings import UNET
from headstart.reports.records import Records
from headstart.tasks.lookup import task_named
from headstart.tasks.measures import Measures

Files = dict[str, str | bytes]
Command = tuple[str, Files]
"""A command, and files it names: recipes and label lists, by their names in the report's folder."""


def reproduce_command(records: Records, out: Path) -> Command:
    """Return the command with every setting that decides the result of the records' folder.

    Args:
        records: of the folder.
        out: the folder that the report is written to, with the files that the command names.
    """
    name, files_in = records.folder.resolve().name, f"{out.resolve().name}/report"
    if records.study is not None:
        return study_command(records.study.config, name, files_in)
    if records.run is not None:
        return run_command(records.run, name, files_in)
    assert records.pretext is not None
    return pretext_command(records.pretext, name, files_in)


def study_command(config: StudyConfig, name: str, files_in: str) -> Command:
    """Return the command of a study whose folder has this name.

    ``files_in`` is the folder of the files that the command names.

    >>> from headstart.config.records import make_study_config
    >>> config = make_study_config(data="my data", starts=["scratch"], labels=[30], seeds=[1, 2])
    >>> print(study_command(config, "S", "S/report")[0])
    headstart study 'my data' --model unet --starts scratch --labels 30 --seeds 2 --recipe default \
--pretext-recipe default --size 256x320 --width 32 --squeeze --device cpu --threads 1 \
--precision float32 --out S
    """
    files: Files = {}
    measures = task_named(config.task).measures
    words = ["study", config.data, *_network(config), "--starts", ",".join(config.starts)]
    words += [] if config.against is None else ["--against", config.against]
    words += [] if config.tunes == ("all",) else ["--tunes", ",".join(config.tunes)]
    words += ["--labels", ",".join(map(str, config.labels)), "--seeds", _seeds(config.seeds)]
    words += [] if config.folds is None else ["--folds", str(config.folds)]
    words += _recipe("", config.recipe, measures, config.model, files_in, files)
    if measures.pretext_recipe:
        pretext = task_named("pretext").measures
        words += _recipe("pretext-", config.pretext_recipe, pretext, config.model, files_in, files)
    words += [] if config.score == "test" else ["--score", config.score]
    words += [] if config.margin is None else ["--margin", str(config.margin)]
    return _command(words, config, config.drop_leaks, name), files


def run_command(config: RunConfig, name: str, files_in: str) -> Command:
    """Return the command of a run whose folder has this name."""
    files: Files = {}
    labels = str(config.labels or "all")
    if config.frames is not None:
        files["labels.txt"] = frame_names_text(config.frames)
        labels = f"{files_in}/labels.txt"
    words = ["train", config.data, *_network(config), "--start", config.start]
    words += [] if config.tune == "all" else ["--tune", config.tune]
    words += ["--labels", labels, "--seed", str(config.seed)]
    words += [] if config.folds is None else ["--folds", str(config.folds)]
    words += [] if config.fold is None else ["--fold", str(config.fold)]
    words += _recipe(
        "", config.recipe, task_named(config.task).measures, config.model, files_in, files
    )
    drop_leaks = False
    if config.pretext is not None:
        drop_leaks, recipe = config.pretext.drop_leaks, config.pretext.recipe
        words += _recipe(
            "pretext-", recipe, task_named("pretext").measures, config.model, files_in, files
        )
    words += [] if config.score == "test" else ["--score", config.score]
    return _command(words, config, drop_leaks, name), files


def pretext_command(config: PretextConfig, name: str, files_in: str) -> Command:
    """Return the command of a pretext run whose folder has this name."""
    files: Files = {}
    words = ["pretrain", config.data, *_network(config)]
    words += ["--pretext", config.pretext, "--seed", str(config.seed)]
    words += _recipe(
        "", config.recipe, task_named(config.task).measures, config.model, files_in, files
    )
    return _command(words, config, config.drop_leaks, name), files


def _command(
    words: list[str], config: StudyConfig | RunConfig | PretextConfig, drop_leaks: bool, name: str
) -> str:
    """Return the whole command, with the options that all verbs share at its end."""
    height, width = config.size
    size = ["--size", f"{height}x{width}"]
    size += [] if config.width is None else ["--width", str(config.width)]
    default = task_named(config.task).measures.framing
    size += [] if config.framing == default else [f"--{config.framing}"]
    leaks = ["--drop-leaks"] if drop_leaks else []
    machine = ["--device", config.device, "--threads", str(config.threads)]
    precision = config.precision or ("float32" if config.device == "cpu" else None)
    machine += [] if precision is None else ["--precision", precision]
    return shlex.join(["headstart", *words, *size, *leaks, *machine, "--out", name])


def _network(config: RunConfig | StudyConfig | PretextConfig) -> list[str]:
    """Return the options for task, where it is not the default, and network."""
    return [*task_named(config.task).measures.options, "--model", config.model]


def _seeds(seeds: tuple[int, ...]) -> str:
    """Return the number of seeds if they count from 1, else the seeds; a comma marks one seed.

    >>> _seeds((1, 2, 3)), _seeds((2, 7)), _seeds((4,))
    ('3', '2,7', '4,')
    """
    if seeds == tuple(range(1, len(seeds) + 1)):
        return str(len(seeds))
    return ",".join(map(str, seeds)) if len(seeds) > 1 else f"{seeds[0]},"


def _recipe(
    kind: str, recipe: Training, measures: Measures, model: str, files_in: str, files: Files
) -> list[str]:
    """Return the options for a recipe: its name, its name and a length, or a file."""
    known = measures.recipes if model == UNET else measures.encoder_recipes
    for known_name, candidate in known.items():
        named = [f"--{kind}recipe", known_name]
        if candidate == recipe:
            return named
        if candidate.with_epochs(recipe.epochs) == recipe:
            return [*named, f"--{kind}epochs", str(recipe.epochs)]
        if recipe.steps is not None and candidate.with_steps(recipe.steps) == recipe:
            return [*named, f"--{kind}steps", str(recipe.steps)]
    files[f"{kind}recipe.json"] = to_json(recipe)
    return [f"--{kind}recipe", f"{files_in}/{kind}recipe.json"]
