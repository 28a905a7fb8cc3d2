"""Starts that were trained on pictures which a cross-validation tests."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from headstart.config.files import holds_study, read_config
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.start_names import NAMED_STARTS
from headstart.data.layouts.dataset import Dataset
from headstart.errors import DataError, Finding, UsageError
from headstart.records.run_records import ENVIRONMENT, data_folder, read_environment
from headstart.records.vouching import CONFIG, holds_run
from headstart.tasks.pretext import PretextPictures, PretextTask, pictures_of


def refuse_seen_starts(
    config: RunConfig | StudyConfig, starts: Collection[str], dataset: Any
) -> None:
    """Refuse starts that headstart trained on labelled pictures of the dataset that is folded.

    Every labelled picture is a test picture of some fold. A pretext that saw none of them is
    accepted.

    Args:
        config: of a cross-validation, or of a study with folds.
        starts: its starts, or those that are still needed.
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
        saw = f"labelled pictures of {config.data}"
        if isinstance(before, PretextConfig) and isinstance(dataset, Dataset):
            pictures = pictures_of(dataset)
            if pictures.shared_by_folds:
                if _learned_from(pictures, before, _folder(Path(start))):
                    continue
                saw = f"other pictures than {config.data} has now, perhaps on labelled ones"
        message = f"the start {start} was trained on {saw}; folds test every labelled picture"
        hint = "name the pretext itself, which is then trained without the test pictures of a fold"
        findings.append(Finding("start-has-seen", "error", message, hint))
    if findings:
        raise UsageError(findings)


def _learned_from(pictures: PretextPictures, before: PretextConfig, run: Path) -> bool:
    """Whether a pretext learned from these pictures, and from no others."""
    if not (run / ENVIRONMENT).exists():
        return False
    recorded = read_environment(run).data
    now = PretextTask().hashes(pictures, before, run)
    return {name: recorded.get(name) for name in now} == now


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
