"""Scoring a trained segmenter: each split is predicted once, for scores, calibration, figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import nn

from headstart.config.recipe_records import Recipe
from headstart.config.records import RunConfig
from headstart.data.decoded_frames import Decoded
from headstart.data.framing import resize_image, resize_mask
from headstart.data.layouts.dataset import Dataset
from headstart.data.pictures.frame import read_frame
from headstart.plots import curves, sheets
from headstart.records.calibration import CALIBRATION, to_json
from headstart.scores import overlap
from headstart.scores import segmentation as segmentation_scores
from headstart.scores.frames_csv import frames_csv
from headstart.system.disk import write_atomic, write_json
from headstart.tasks.calibration import count_and_calibrate
from headstart.tasks.class_maps import segment_decoded
from headstart.training.fit import State

_ON_SHEET = 2_000_000  # pixels; pictures on a sheet are some 300 pixels wide
_KEPT = 1 << 27  # pixels of predicted classes; those of a larger split are not kept for the sheet


def write_scores(
    model: nn.Module,
    dataset: Dataset,
    validation: Decoded,
    data: Decoded,
    config: RunConfig,
    recipe: Recipe,
    out: Path,
    state: State,
) -> tuple[Int64[np.ndarray, "n k 3"], dict[str, Any]]:
    """Write ``frames.csv``, ``calibration.json``, and the figures of a trained network.

    Args:
        model: the trained network.
        dataset: its dataset, with the frames of the scored split.
        validation: decoded frames to fit the temperature on.
        data: those of the scored split.
        config: configuration of the run.
        recipe: its hyper-parameters, with the ``min_area`` that fits its frames.
        out: folder of the run.
        state: the final state of its training.

    Returns:
        The counts of each frame, and the scores.
    """
    names, device = dataset.label_map.names, torch.device(config.device)
    frames = dataset.splits[config.score]
    area, tile = recipe.min_area, config.size
    of_network = (len(names), area, tile, device, dataset.ignore, _KEPT)
    counts, record, kept = count_and_calibrate(model, validation, data, config.score, *of_network)
    write_json(out / CALIBRATION, to_json(record))
    scores = {"split": config.score, **segmentation_scores.score(counts, names)}
    write_atomic(out / "frames.csv", frames_csv(counts, data.names, names))
    assert state.best is not None
    title = f"{recipe.name} recipe, {Path(config.start).name}, seed {config.seed}"
    write_atomic(out / "curves.png", curves.curves(state.history, state.best["epoch"], title))
    chosen = sheets.choose_examples(overlap.dice_of_frames(counts))
    shown = data.subset([i for _, i in chosen])
    # pictures first: while a large one is decoded, its masks need not be in memory
    images = [_on_sheet(read_frame(frames[i], dataset.root)) for _, i in chosen]
    again = segment_decoded(model, shown, tile, device, area)  # runs only if it is asked
    maps = [kept[i] for _, i in chosen] if kept else again
    examples = [
        _example(f"{kind}: {frames[i].name}", image, truth, m.cpu().numpy())
        for (kind, i), image, truth, m in zip(chosen, images, shown.truth, maps, strict=True)
    ]
    sheet = sheets.predictions(examples, names, f"{config.score} frames")
    write_atomic(out / "predictions.png", sheet)
    return counts, scores


def _on_sheet(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return a picture no larger than a sheet shows it."""
    height, width = image.shape[:2]
    scale = min(1.0, (_ON_SHEET / (height * width)) ** 0.5)
    return resize_image(image, (max(1, round(height * scale)), max(1, round(width * scale))))


def _example(
    caption: str,
    image: UInt8[np.ndarray, "h w 3"],
    truth: UInt8[np.ndarray, "h2 w2"],
    prediction: UInt8[np.ndarray, "h2 w2"],
) -> sheets.Example:
    """Return a row of the sheet, with the masks at the picture's size."""
    height, width = image.shape[:2]
    masks = (resize_mask(mask, (height, width)) for mask in (truth, prediction))
    return sheets.Example(caption, image, *masks)
