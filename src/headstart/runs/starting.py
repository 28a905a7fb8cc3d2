"""Where a run's initial weights come from: read, fetched, or trained as a pretext first."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import DataError, Finding
from headstart.runs.folder import NAMED_STARTS
from headstart.tasks.interface import LabelledTask
from headstart.tasks.lookup import labelled_task
from headstart.tasks.pretext import leaks_of
from headstart.training.config import (
    IMAGENET,
    PRETEXT_NAMES,
    SCRATCH,
    SCRATCH_LONGER,
    PretextConfig,
    RunConfig,
    StudyConfig,
    weights_file,
)
from headstart.training.config_files import read_run_config

if TYPE_CHECKING:
    from headstart.training.starts import Source
else:
    Source = Any  # torch takes seconds to load, and only training needs it


def source_of(
    config: RunConfig | PretextConfig,
    pretext_run: Path,
    pretrain: Callable[[PretextConfig, Path], Any],
) -> Source | None:
    """The weights to start from; None for new ones.

    Args:
        config: of the run; a pretext itself starts from new weights.
        pretext_run: where the pretext of the start is, or will be, trained.
        pretrain: trains a pretext in a folder, or finds it finished there.

    Raises:
        DataError: the weights cannot be had.
    """
    if isinstance(config, PretextConfig) or config.start == SCRATCH:
        return None
    if config.pretext is None:
        return given_source(config.start, config.model)
    from headstart.training.starts import read_source

    pretrain(config.pretext, pretext_run)
    return read_source(pretext_run / "weights.safetensors", config.start)


def given_source(start: str, model: str) -> Source:
    """The weights of a start that need not be trained: published ones, a file's, a run's.

    Raises:
        DataError: the weights cannot be had.
    """
    from headstart.models.published import fetch_published
    from headstart.training.starts import read_source

    if start == IMAGENET:
        return read_source(fetch_published(model), IMAGENET)
    return read_source(weights_file(start), start)


def moved_start(config: RunConfig | PretextConfig, out: Path) -> dict[str, str]:
    """The hash of a start whose file is not where it was when the run in ``out`` began.

    A finished run does not ask for its start again while the path is the same.
    """
    if isinstance(config, PretextConfig) or config.start in NAMED_STARTS:
        return {}
    if config.start == read_run_config(out / "config.json").start:
        return {}
    return {"start": given_source(config.start, config.model).sha256}


def seen_by_start(config: RunConfig | PretextConfig, pretext_run: Path) -> dict[str, Any]:
    """For ``environment.json``: how many pictures of a pretext start are held out too."""
    if isinstance(config, PretextConfig) or config.start in (SCRATCH, IMAGENET):
        return {}
    folder = pretext_run if config.pretext else weights_file(config.start).parent
    seen = leaks_of(folder, Path(config.data))
    return {} if seen is None else {"start_pictures": seen}


def try_starts(starts: Collection[str], config: StudyConfig, num_classes: int) -> None:
    """Fetches published weights, and puts every start that needs no training into a new network.

    Args:
        starts: some of the study's.
        config: says which network.
        num_classes: what it tells apart.

    Raises:
        DataError: weights cannot be had, or are of another network; every such start is named.
    """
    task: LabelledTask = labelled_task(config.task)
    findings: list[Finding] = []
    for start in config.starts:
        if start not in starts or start in (SCRATCH, SCRATCH_LONGER, *PRETEXT_NAMES):
            continue
        try:
            task.try_start(given_source(start, config.model), config, num_classes)
        except DataError as e:
            findings += e.findings
    if findings:
        raise DataError(findings)
