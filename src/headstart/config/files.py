"""Configurations in files: written as JSON, read again, compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from headstart.config.records import SETTING_NAMES, PretextConfig, RunConfig, StudyConfig
from headstart.data.settings_files import explain
from headstart.errors import DataError, Finding
from headstart.records.vouching import parse_json, read_record, sealed, unsealed


def to_json(config: BaseModel) -> str:
    """Return all settings, defaults included, as indented JSON with a final newline."""
    return json.dumps(config.model_dump(by_alias=True), indent=2) + "\n"


def study_to_json(config: StudyConfig) -> str:
    """Return the settings as `to_json` does, with the hash of their content.

    A study's ``config.json`` changes while the study grows, so no manifest can vouch for it.
    """
    return json.dumps(sealed(config.model_dump(by_alias=True)), indent=2) + "\n"


def differences(old: BaseModel, new: BaseModel) -> list[str]:
    """Return a line ``name: old -> new`` for each setting that differs; nested names have dots.

    >>> from headstart.config.recipes import DEFAULT
    >>> differences(DEFAULT, DEFAULT.model_copy(update={"batch": 8}))
    ['batch: 5 -> 8']
    """

    def flat(value: Any, prefix: str = "") -> dict[str, Any]:
        if not isinstance(value, dict):
            return {prefix: value}
        parts = [flat(v, f"{prefix}.{k}" if prefix else k) for k, v in value.items()]
        return {k: v for part in parts for k, v in part.items()}

    a, b = (flat(c.model_dump(by_alias=True)) for c in (old, new))
    return [f"{k}: {a.get(k)} -> {b.get(k)}" for k in {**a, **b} if a.get(k) != b.get(k)]


def read_config(path: Path) -> RunConfig | PretextConfig:
    """Return the configuration in the ``config.json`` of a run or a pretext.

    Raises:
        DataError: the file cannot be read or understood.
    """
    settings = _settings(path)
    kind = PretextConfig if settings.get("task") == "pretext" else RunConfig
    try:
        return kind.model_validate(settings)
    except ValidationError as e:
        raise DataError(explain(e, str(path), SETTING_NAMES)) from None


def holds_study(path: Path) -> bool:
    """Return whether a ``config.json`` is a study's rather than a run's.

    Raises:
        DataError: the file cannot be read, or is damaged.
    """
    return "starts" in _settings(path)


def _settings(path: Path) -> dict[str, Any]:
    return unsealed(parse_json(read_record(path.parent, path.name), path), path)


def read_run_config(path: Path) -> RunConfig:
    """Return the configuration in the ``config.json`` of a run that learns from labels.

    Raises:
        DataError: the file cannot be read or understood, or is a pretext's.
    """
    config = read_config(path)
    if isinstance(config, RunConfig):
        return config
    message = f"{path.parent} holds a pretext ({config.pretext}), not a run that learns from labels"
    hint = f"start a training from it: headstart train DATA --start {path.parent}"
    raise DataError(Finding("is-a-pretext", "error", message, hint))


def read_study_config(path: Path) -> StudyConfig:
    """Return the configuration in a study's ``config.json``.

    Raises:
        DataError: the file cannot be read or understood.
    """
    try:
        return StudyConfig.model_validate(_settings(path))
    except ValidationError as e:
        raise DataError(explain(e, str(path), SETTING_NAMES)) from None


def read_frame_names(path: Path) -> tuple[str, ...]:
    """Return names of frames from a text file, one a line; empty lines are skipped.

    Raises:
        DataError: the file cannot be read, names no frame, or names one twice.
    """
    try:
        # Names of files may hold any bytes; only a line feed ends one.
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        lines = [line.removesuffix("\r") for line in content.split("\n")]
    except OSError as e:
        raise DataError(Finding("unreadable", "error", f"{path}: {e.strerror}")) from None
    names = tuple(line for line in lines if line.strip())
    repeated = tuple(sorted({name for name in names if names.count(name) > 1}))
    if not names or repeated:
        fault = "names frames twice" if repeated else "names no frame"
        hint = "expected the names of training frames, one a line"
        raise DataError(Finding("bad-labels", "error", f"{path} {fault}", hint, repeated))
    return names
