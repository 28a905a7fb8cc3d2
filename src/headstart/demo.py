"""The main job on drawn pictures: a dataset from nothing, a training, masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from headstart.config import RunConfig
from headstart.data.folders import open_dataset
from headstart.data.synthetic import write_dataset
from headstart.fit import Listener
from headstart.predict import frames_of, predict
from headstart.recipes import DEFAULT
from headstart.run import train
from headstart.segmenter import load_segmenter

SIZE = (64, 80)
EPOCHS = 50


def demo(out: Path, threads: int, listener: Listener) -> dict[str, Any]:
    """Draws 100 labelled scenes, trains on them, scores 30 others and writes their masks.

    The scenes are drawn by a program: the scores say that the machinery works, nothing about
    surgery. What is already in ``out`` is kept, and what was begun is continued.

    Args:
        out: gets ``data/``, ``run/`` and ``predictions/``.
        threads: CPU threads.
        listener: told how the training goes.

    Returns:
        The scores of the run.

    Raises:
        HeadstartError: as [`train`][headstart.run.train]; ``out`` holds something else.
    """
    data, run, predictions = out / "data", out / "run", out / "predictions"
    if not data.exists():
        height, width = SIZE
        write_dataset(
            data, train=100, validation=20, test=30, unlabelled=0, height=height, width=width
        )
    recipe = DEFAULT.model_copy(update={"epochs": EPOCHS})
    config = RunConfig(
        schema=1, data=str(data), width=16, size=SIZE, threads=threads, recipe=recipe
    )
    scores = train(config, run, listener)
    dataset = open_dataset(data)
    cpu = torch.device("cpu")
    predict(load_segmenter(run, cpu), frames_of(dataset, "test"), data, predictions, cpu)
    return scores
