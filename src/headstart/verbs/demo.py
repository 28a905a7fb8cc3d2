"""From nothing to a verdict on drawn pictures: a dataset, a small study, masks, a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.folders import frames_of, open_dataset
from headstart.inference.masks import predict
from headstart.inference.torch_network import load_segmenter
from headstart.report.write import write_report
from headstart.studies.cells import Cell
from headstart.studies.study import study
from headstart.training.config import StudyConfig
from headstart.training.listener import Listener
from headstart.training.recipes import DEFAULT, PRETEXT_DEFAULT

SCENES = {"train": 60, "validation": 20, "test": 30, "unlabelled": 100}
SIZE = (64, 80)
WIDTH = 8
LABELS = 30
SEEDS = (1, 2, 3, 4, 5)  # as many as a verdict needs
EPOCHS, PRETEXT_EPOCHS = 32, 10
MOST_JOBS = 4


def demo(out: Path, cores: int, listener: Listener, tell: Callable[[str], None]) -> dict[str, Any]:
    """Draws 210 scenes, compares two starts for 30 labels, writes masks of the 30 test scenes.

    The scenes are drawn by a program: the scores say that the machinery works, nothing about
    surgery. What is already in ``out`` is kept, and what was begun is continued.

    Args:
        out: gets ``drawn-scenes/``, ``study/`` and ``predictions/``.
        cores: CPU cores; as many runs at a time, of one thread each, for networks this small
            gain little from a second thread. What comes out does not depend on it.
        listener: told how the trainings go.
        tell: told in words what is done.

    Returns:
        The content of ``study.json``.

    Raises:
        HeadstartError: as [`study`][headstart.studies.study.study]; ``out`` holds something else.
    """
    data, folder, predictions = out / "drawn-scenes", out / "study", out / "predictions"
    if not data.exists():
        height, width = SIZE
        write_dataset(data, **SCENES, height=height, width=width)
    config = StudyConfig.model_validate(
        {
            "schema": 1,
            "data": str(data),
            "starts": ("scratch", "colorization"),
            "labels": (LABELS,),
            "seeds": SEEDS,
            "width": WIDTH,
            "size": SIZE,
            "threads": 1,
            "recipe": DEFAULT.model_copy(update={"epochs": EPOCHS}),
            "pretext_recipe": PRETEXT_DEFAULT.model_copy(update={"epochs": PRETEXT_EPOCHS}),
        }
    )
    found = study(config, folder, listener, tell, jobs=min(cores, MOST_JOBS))
    cpu = torch.device("cpu")
    segmenter = load_segmenter(folder / Cell("colorization", "all", LABELS, SEEDS[0]).run, cpu)
    predict(segmenter, frames_of(open_dataset(data), "test"), data, predictions)
    write_report(folder)
    return found
