"""The configuration that new options build on: of ``--config``, or of a folder that was begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from headstart.config.files import read_config, read_run_config, read_study_config
from headstart.config.methods import start_of_arm
from headstart.config.option_values import listed
from headstart.config.options import StudyOptions, TrainOptions
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.start_names import is_published
from headstart.config.task_settings import UNET
from headstart.errors import Finding, UsageError

_Config = TypeVar("_Config")
_AS_BEGUN = (
    "model", "width", "folds", "starts", "against", "tunes", "labels", "score", "pretext_recipe",
)  # fmt: skip


def run_before(options: TrainOptions, out: Path | None) -> RunConfig | None:
    """Return the configuration that options build on: of ``--config``, else of a begun run.

    Args:
        options: of ``train``.
        out: the run's folder; None: it is a new one.

    Raises:
        DataError: the file cannot be read, or is a pretext's.
    """
    if options.config is not None:
        return read_run_config(options.config)
    return _begun(out, read_run_config)


def study_before(out: Path) -> StudyConfig | None:
    """Return what a study was begun with; None where there is none."""
    return _begun(out, read_study_config)


def options_as_begun(options: StudyOptions, before: StudyConfig) -> StudyOptions:
    """Return the options with those that are not given as the study was begun.

    Its size, threads, precision, margin and looks stay where configurations are resolved.

    Raises:
        UsageError: a start needs published weights, and the study was begun with the U-Net.
    """
    if options.task not in (None, before.task) or options.model not in (None, before.model):
        return options  # which is refused, with every difference
    asked = () if options.starts is None else listed(options.starts)
    published = [start for start in asked if is_published(start_of_arm(start))]
    if before.model == UNET and published:
        message = (
            f"the study was begun with the network {UNET}, which has no published weights, and "
            f"--starts names {', '.join(published)}"
        )
        hint = "choose another --out: a new study with that start trains an encoder"
        raise UsageError(Finding("settings-differ", "error", message, hint))
    kept: dict[str, Any] = {
        name: getattr(before, name) for name in _AS_BEGUN if getattr(options, name) is None
    }
    if options.seeds is None:
        kept["seeds"] = before.seeds
    kept["drop_leaks"] = options.drop_leaks or before.drop_leaks
    if (options.recipe, options.epochs, options.steps) == (None, None, None):
        kept["recipe"] = before.recipe
    if (options.pretext_epochs, options.pretext_steps) != (None, None):
        kept.pop("pretext_recipe", None)
    return replace(options, **kept)


def pretext_before(out: Path | None) -> RunConfig | PretextConfig | None:
    """Return what a run's folder was begun with; None where there is none."""
    return _begun(out, read_config)


def _begun(out: Path | None, read: Callable[[Path], _Config]) -> _Config | None:
    path = None if out is None else out / "config.json"
    return read(path) if path is not None and path.exists() else None


def device_name(option: str, before: RunConfig | PretextConfig | StudyConfig | None) -> str:
    """Return the device that was asked for: where it is "auto", that of the configuration before.

    >>> device_name("cuda", None), device_name("auto", None)
    ('cuda', 'auto')
    """
    return before.device if option == "auto" and before is not None else option
