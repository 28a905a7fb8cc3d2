"""``headstart.demo``: drawn pictures, a small study, masks and a report, in minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.config.begun import study_before
from headstart.config.recipes import (
    DEFAULT,
    ENCODER_DEFAULT,
    ENCODER_PRETEXT_DEFAULT,
    PRETEXT_DEFAULT,
)
from headstart.config.records import StudyConfig
from headstart.config.resolve import MARGIN
from headstart.config.start_names import IMAGENET, SCRATCH
from headstart.config.task_settings import ENCODER, UNET
from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.system.processor import available_threads
from headstart.training.listener import SILENT, Listener, ignore
from headstart.verbs.default_network import encoder_at_hand

SCENES = {"train": 60, "validation": 20, "test": 30, "unlabelled": 100}
SIZE = (64, 80)
WIDTH = 8
LABELS = 30
SEEDS = (1, 2, 3, 4, 5)  # as many as a verdict needs
EPOCHS, PRETEXT_EPOCHS = 32, 10
MOST_JOBS = 4


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes:
        folder: all of it.
        study: the content of ``study.json``.
        report: the page with the verdict.
        predictions: the folder of masks and overlays.
    """

    folder: Path
    study: dict[str, Any]
    report: Path
    predictions: Path


def demo(
    *,
    out: Path | str = "demo",
    listener: Listener | None = None,
    tell: Callable[[str], None] | None = None,
) -> DemoResult:
    """Draw 210 scenes, compare starts on them, write masks and a report.

    The starts are ``scratch``, ``colorization`` and ``imagenet``, of an encoder; without its
    published weights on the machine, the first two, of the U-Net. Everything that ``out`` already
    holds is kept, and a demo that was stopped resumes. The scenes are drawn by a program: the
    scores show that the machinery works, and say nothing about real pictures.

    Args:
        out: gets ``drawn-scenes/``, ``study/`` and ``predictions/``.
        listener: hears how each training goes.
        tell: hears a line for each run that is finished.

    Raises:
        HeadstartError: as [`study`][headstart.studies.study.study]; or ``out`` holds something
            else.
    """
    from headstart.inference.masks import predict
    from headstart.inference.opening import open_segmenter
    from headstart.reports.write import write_report
    from headstart.studies.cells import Cell
    from headstart.studies.study import study

    folder = Path(out)
    data, study_folder, predictions = (
        folder / name for name in ("drawn-scenes", "study", "predictions")
    )
    if not data.exists():
        height, width = SIZE
        write_dataset(data, **SCENES, height=height, width=width)
    before = study_before(study_folder)  # which may have been moved
    config = _study_of(data, encoder_at_hand()) if before is None else before
    config = config.model_copy(update={"data": str(data)})
    # One thread a run: networks this small gain little from a second one.
    jobs = min(available_threads(), MOST_JOBS)
    record = study(config, study_folder, listener or SILENT, tell or ignore, jobs=jobs)
    run = study_folder / Cell(config.starts[-1], "all", LABELS, SEEDS[0]).run
    segmenter = open_segmenter(run, "cpu")
    predict(segmenter, frames_of(open_dataset(data), "test"), data, predictions)
    page = write_report(study_folder)[0]
    return DemoResult(folder, record, page, predictions)


def _study_of(data: Path, published: bool) -> StudyConfig:
    """Return the study; ``published``: with an encoder, whose weights are on this machine."""
    recipe, pretext_recipe = DEFAULT, PRETEXT_DEFAULT
    if published:
        recipe, pretext_recipe = ENCODER_DEFAULT, ENCODER_PRETEXT_DEFAULT
    return StudyConfig(
        schema=1,
        data=str(data),
        model=ENCODER if published else UNET,
        starts=(SCRATCH, "colorization", IMAGENET) if published else (SCRATCH, "colorization"),
        labels=(LABELS,),
        seeds=SEEDS,
        width=WIDTH,
        size=SIZE,
        threads=1,
        recipe=recipe.with_epochs(EPOCHS),
        pretext_recipe=pretext_recipe.with_epochs(PRETEXT_EPOCHS),
        margin=MARGIN,
    )
