"""``headstart.demo``: drawn pictures, a small study, masks and a report, in minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.config.recipes import DEFAULT, PRETEXT_DEFAULT
from headstart.config.records import StudyConfig
from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.system.processor import available_threads
from headstart.training.listener import SILENT, Listener, ignore

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
    """Draw 210 scenes, compare two starts on them, write masks and a report.

    Everything that ``out`` already holds is kept, and a demo that was stopped resumes. The scenes
    are drawn by a program: the scores show that the machinery works, and say nothing about real
    pictures.

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
    config = StudyConfig(
        schema=1,
        data=str(data),
        starts=("scratch", "colorization"),
        labels=(LABELS,),
        seeds=SEEDS,
        width=WIDTH,
        size=SIZE,
        threads=1,
        recipe=DEFAULT.with_epochs(EPOCHS),
        pretext_recipe=PRETEXT_DEFAULT.with_epochs(PRETEXT_EPOCHS),
    )
    # One thread a run: networks this small gain little from a second one.
    jobs = min(available_threads(), MOST_JOBS)
    record = study(config, study_folder, listener or SILENT, tell or ignore, jobs=jobs)
    run = study_folder / Cell("colorization", "all", LABELS, SEEDS[0]).run
    segmenter = open_segmenter(run, "cpu")
    predict(segmenter, frames_of(open_dataset(data), "test"), data, predictions)
    page = write_report(study_folder)[0]
    return DemoResult(folder, record, page, predictions)
