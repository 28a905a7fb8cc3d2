"""Configurations in files: written as JSON, read again, compared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from headstart.config.records import (
    NOT_A_PATH,
    SETTING_NAMES,
    PretextConfig,
    RunConfig,
    StudyConfig,
)
from headstart.data.settings_files import explain
from headstart.errors import DataError, Finding
from headstart.records.vouching import damaged, parse_json, read_record, sealed, unsealed

_Config = TypeVar("_Config", RunConfig, PretextConfig, StudyConfig)


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
    if _is_pretext(settings):
        return _validated(PretextConfig, settings, path)
    return _validated(RunConfig, settings, path)


def read_pretext_config(path: Path) -> PretextConfig:
    """Return the configuration in the ``config.json`` of a pretext.

    Raises:
        DataError: the file cannot be read or understood, or is not a pretext's.
    """
    settings = _settings(path)
    if not _is_pretext(settings):
        raise damaged(path, "expected the settings of a pretext")
    return _validated(PretextConfig, settings, path)


def _validated(kind: type[_Config], settings: dict[str, Any], path: Path) -> _Config:
    """Return settings of a record as a configuration.

    Raises:
        DataError: settings are unknown or out of range, or a path is none.
    """
    try:
        return kind.model_validate(settings)
    except ValidationError as e:
        wrong = [error for error in e.errors() if error["type"] == NOT_A_PATH]
        if wrong:
            name = ".".join(map(str, wrong[0]["loc"]))
            raise damaged(path, f"{name}: {wrong[0]['msg']}") from None
        raise DataError(explain(e, str(path), SETTING_NAMES)) from None


def holds_study(path: Path) -> bool:
    """Return whether a ``config.json`` is a study's rather than a run's.

    Raises:
        DataError: the file cannot be read, or is damaged.
    """
    return "starts" in _settings(path)


def holds_pretext(path: Path) -> bool:
    """Return whether a ``config.json`` is a pretext's.

    Raises:
        DataError: the file cannot be read, or is damaged.
    """
    return _is_pretext(_settings(path))


def _is_pretext(settings: dict[str, Any]) -> bool:
    return settings.get("task") == "pretext"


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
    return _validated(StudyConfig, _settings(path), path)


def frame_names_text(names: Iterable[str]) -> bytes:
    r"""Return names of frames as the content of a text file, one a line.

    A name that a line cannot hold, such as one with a line break, is written as ``/`` and a JSON
    string. No other name begins with ``/``, because names come from names of files.

    >>> frame_names_text(["a", "b\nc"])
    b'a\n/"b\\nc"\n'
    """
    lines = (name if _fits_a_line(name) else f"/{json.dumps(name)}" for name in names)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _fits_a_line(name: str) -> bool:
    odd = "\n" in name or name.endswith("\r") or name.startswith("\ufeff")
    return bool(name.strip()) and not odd


def read_frame_names(path: Path) -> tuple[str, ...]:
    """Return names of frames from a text file, one a line; empty lines are skipped.

    A line of ``/`` and a JSON string is a name as [`frame_names_text`][] writes it.

    Raises:
        DataError: the file cannot be read, names no frame, or names one twice.
    """
    try:
        # Names of files may hold any bytes; only a line feed ends one.
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        lines = [line.removesuffix("\r") for line in content.split("\n")]
    except OSError as e:
        raise DataError(Finding("unreadable", "error", f"{path}: {e.strerror}")) from None
    names = tuple(_name_in(line) for line in lines if line.strip())
    repeated = tuple(sorted(name for name, count in Counter(names).items() if count > 1))
    if not names or repeated:
        fault = "names frames twice" if repeated else "names no frame"
        hint = "expected the names of training frames, one a line"
        raise DataError(Finding("bad-labels", "error", f"{path} {fault}", hint, repeated))
    return names


def _name_in(line: str) -> str:
    if line.startswith('/"'):
        try:
            name = json.loads(line[1:])
        except ValueError:
            return line
        if isinstance(name, str):
            return name
    return line
