"""The configuration that new options build on: of ``--config``, or of a folder that was begun."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from headstart.config.files import read_config, read_run_config, read_study_config
from headstart.config.options import TrainOptions
from headstart.config.records import PretextConfig, RunConfig, StudyConfig

_Config = TypeVar("_Config")


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
