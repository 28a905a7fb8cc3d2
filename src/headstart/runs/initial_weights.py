"""A run's initial weights: read from a file, fetched, or trained by a pretext first."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.config.files import read_run_config
from headstart.config.methods import start_of_arm
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.start_files import weights_file
from headstart.config.start_names import (
    IMAGENET,
    NAMED_STARTS,
    PRETEXT_NAMES,
    SCRATCH,
    SCRATCH_LONGER,
    is_published,
)
from headstart.data.layouts.dataset import Dataset
from headstart.errors import DataError, Finding
from headstart.tasks.interface import LabelledTask
from headstart.tasks.lookup import labelled_task
from headstart.tasks.pretext import leaks_of

if TYPE_CHECKING:
    from headstart.training.starts import Source
else:
    Source = Any  # torch takes seconds to load, and only training needs it


def source_of(
    config: RunConfig | PretextConfig,
    pretext_run: Path,
    pretrain: Callable[[PretextConfig, Path], Any],
) -> Source | None:
    """Return the weights that a run starts from; None if all weights are new.

    Args:
        config: configuration of the run.
        pretext_run: folder of the pretext that the run starts from.
        pretrain: function that trains a pretext in a folder unless it is finished there.

    Raises:
        DataError: the weights cannot be read or fetched.
    """
    if config.start == SCRATCH:
        return None
    if (pretext := config.start_pretext) is None:
        return given_source(config.start, config.model)
    from headstart.training.starts import read_source

    pretrain(pretext, pretext_run)
    return read_source(pretext_run / "weights.safetensors", config.start)


def given_source(start: str, model: str) -> Source:
    """Return the weights of a start that needs no training: published, in a file, or of a run.

    Raises:
        DataError: the weights cannot be read or fetched.
    """
    from headstart.training.starts import read_published, read_source

    if start == IMAGENET:
        return read_published(model)
    return read_source(weights_file(start), start)


def moved_start(config: RunConfig | PretextConfig, out: Path) -> dict[str, str]:
    """Return the hash of a start whose path differs from the one in the run's ``config.json``.

    Empty if the path is the same: a finished run does not read its start again.
    """
    if config.start in NAMED_STARTS:
        return {}
    if config.start == read_run_config(out / "config.json").start:
        return {}
    return {"start": given_source(config.start, config.model).sha256}


def seen_by_start(
    config: RunConfig | PretextConfig, pretext_run: Path, dataset: Any
) -> dict[str, Any]:
    """Return for ``environment.json`` how many pretext pictures are also held out."""
    if config.start in (SCRATCH, IMAGENET):
        return {}
    folder = pretext_run if config.start_pretext else weights_file(config.start).parent
    opened = dataset if config.folds is not None and isinstance(dataset, Dataset) else None
    leaks = leaks_of(folder, Path(config.data), opened)
    return {} if leaks is None else {"start_pictures": leaks}


def try_starts(starts: Collection[str], config: StudyConfig, num_classes: int) -> None:
    """Check that every start which needs no training fits the network; fetches published weights.

    Args:
        starts: starts to check, out of those of the study.
        config: configuration of the study.
        num_classes: number of classes.

    Raises:
        DataError: weights cannot be read or fetched, or belong to another network; lists every such
            start.
    """
    task: LabelledTask = labelled_task(config.task)
    findings: list[Finding] = []
    needed = [start for start in map(start_of_arm, config.starts) if start in starts]
    for start in dict.fromkeys(IMAGENET if is_published(s) else s for s in needed):
        if start in (SCRATCH, SCRATCH_LONGER, *PRETEXT_NAMES):
            continue
        try:
            task.try_start(given_source(start, config.model), config, num_classes)
        except DataError as e:
            findings += e.findings
    if findings:
        raise DataError(findings)
