"""Starts that were trained on pictures which a cross-validation tests."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from headstart.config.files import holds_study, read_config
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.errors import DataError, Finding, UsageError
from headstart.records.run_records import data_folder
from headstart.records.vouching import CONFIG, holds_run
from headstart.runs.folder import NAMED_STARTS
from headstart.tasks.interface import LabelledTask
from headstart.tasks.pretext import pictures_of


def refuse_seen_starts(
    config: RunConfig | StudyConfig, starts: Collection[str], task: LabelledTask, dataset: Any
) -> None:
    """Refuse starts that headstart trained on labelled pictures of the dataset that is folded.

    Every labelled picture is a test picture of some fold. A pretext that saw none of them is
    accepted.

    Args:
        config: of a cross-validation, or of a study with folds.
        starts: its starts, or those that are still needed.
        task: its task.
        dataset: result of the task's ``open``.

    Raises:
        UsageError: a start has seen test pictures; every such start is named.
    """
    data = Path(config.data).resolve()
    findings = []
    for start in starts:
        before = None if start in NAMED_STARTS else _settings(Path(start))
        if before is None or data_folder(_folder(Path(start)), before.data).resolve() != data:
            continue
        if isinstance(before, PretextConfig) and pictures_of(dataset).shared_by_folds:
            continue
        message = f"the start {start} was trained on labelled pictures of {config.data}, which the "
        message += f"folds of a {task.name} test"
        hint = "name the pretext itself, which is then trained without the test pictures of a fold"
        findings.append(Finding("start-has-seen", "error", message, hint))
    if findings:
        raise UsageError(findings)


def _folder(start: Path) -> Path:
    return start if start.is_dir() else start.parent


def _settings(start: Path) -> RunConfig | PretextConfig | None:
    """Return the configuration of the run whose weights a start is; None for other files."""
    folder = _folder(start)
    if not (folder / CONFIG).exists() or not holds_run(folder):
        return None
    try:
        return None if holds_study(folder / CONFIG) else read_config(folder / CONFIG)
    except DataError:  # whoever reads the start says what is wrong with it
        return None
