"""Sheets that show a few scored pictures with their truth and the answers of several runs."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from headstart.config.files import read_run_config
from headstart.data.decoded_frames import Decoded, decode
from headstart.data.framing import resize_mask
from headstart.data.layouts.class_dataset import ClassDataset
from headstart.data.layouts.class_dataset import pooled as pooled_classes
from headstart.data.layouts.dataset import LABELLED, Dataset, pooled
from headstart.data.pictures.frame import read_frame
from headstart.errors import printable
from headstart.models.encoder_unet import make_segmenter
from headstart.plots.contact_sheet import Tile, contact_sheet, in_rows, overlay_thumbnail
from headstart.plots.contact_sheet import thumbnail as small
from headstart.plots.overlay import IGNORED
from headstart.records.vouching import CONFIG, read_record
from headstart.scores.frames_csv import FRAMES, read_answers, read_frames_csv
from headstart.scores.overlap import dice_of_frames
from headstart.tasks.class_maps import segment_decoded
from headstart.tasks.out_of_fold import folds_of
from headstart.tasks.together import loaded, min_area
from headstart.training.placement import device_here, placed

_T = TypeVar("_T")

_COLUMNS = 4
_SIDE = 180  # pixels of a picture's longer side: captions stay legible where a page is narrow


def masks_side_by_side(
    dataset: Dataset, arms: Mapping[str, Path], pictures: Mapping[str, str], cache: Path
) -> bytes:
    """Draw the class maps of runs that segment; see the task interface."""
    config = read_run_config(next(iter(arms.values())) / CONFIG)
    scored = config.score if config.folds is None else LABELLED
    split = (dataset if config.folds is None else pooled(dataset)).splits[scored]
    torch.set_num_threads(config.threads)  # as in the runs: else the last bits may differ
    frames = _named({frame.name: frame for frame in split}, pictures)
    args = (frames, config.size, dataset.label_map, dataset.root, cache)
    data = decode(*args, framing=config.framing)
    answers = {name: _maps(run, data, list(pictures), dataset) for name, run in arms.items()}
    rows, shown = [], set[int]()
    for i, (frame, heading) in enumerate(zip(frames, pictures.values(), strict=True)):
        image, truth = read_frame(frame, dataset.root), np.asarray(data.truth[i])
        cells = [_tile(image, None, "picture"), _tile(image, truth, "truth")]
        shown |= set(np.unique(truth).tolist())
        for name, of_arm in answers.items():
            found, dice = of_arm[i]
            found = np.where(truth == IGNORED, np.uint8(IGNORED), found)
            shown |= set(np.unique(found).tolist())
            score = "" if np.isnan(dice) else f"dice {dice:.3f}"
            cells.append(_tile(image, found, name, score))
        rows += in_rows(cells, _columns(len(cells)), heading)
    names = dataset.label_map.names
    return _png(contact_sheet(rows, sorted(shown - {0}), names, _SIDE))


def classes_side_by_side(
    dataset: ClassDataset, arms: Mapping[str, Path], pictures: Mapping[str, str]
) -> bytes:
    """Draw the answers of classifiers; see the task interface."""
    config = read_run_config(next(iter(arms.values())) / CONFIG)
    scored = config.score if config.folds is None else LABELLED
    split = (dataset if config.folds is None else pooled_classes(dataset)).splits[scored]
    places = _named({name: k for k, name in enumerate(split.names)}, pictures)
    answers = {
        name: {p: (t, a) for p, t, a in read_answers(read_record(run, FRAMES), run / FRAMES)}
        for name, run in arms.items()
    }
    cells = []
    for place, (picture, heading) in zip(places, pictures.items(), strict=True):
        if split.pixels is not None:
            image = np.repeat(split.pixels[place][..., None], 3, axis=2)
        else:
            image = read_frame(split.frames[place], dataset.root)
        lines = [heading, f"truth: {next(iter(answers.values()))[picture][0]}"]
        lines += [f"{name}: {of_arm[picture][1]}" for name, of_arm in answers.items()]
        cells.append(Tile(small(image, _SIDE), tuple(lines)))
    return _png(contact_sheet(in_rows(cells, _COLUMNS), (), dataset.names, _SIDE))


def _named(known: Mapping[str, _T], pictures: Mapping[str, str]) -> list[_T]:
    """Return what belongs to the names in ``frames.csv``, in which names are printable."""
    of_name = {printable(name): value for name, value in known.items()} | dict(known)
    return [of_name[name] for name in pictures]


def _maps(
    run: Path, data: Decoded, names: Sequence[str], dataset: Dataset
) -> list[tuple[UInt8[np.ndarray, "_ _"], float]]:
    """Return the class map of each picture, by the network that it was scored with, and its dice.

    In a cross-validation that is the network of the fold that tests it.
    """
    config = read_run_config(run / CONFIG)
    networks = [run] if config.folds is None else folds_of(run)
    device, maps = device_here(config.device), {}
    for folder in networks:
        counts = read_frames_csv(read_record(folder, FRAMES), folder / FRAMES)
        dice = dict(zip(counts.frames, dice_of_frames(counts.counts).tolist(), strict=True))
        tested = [i for i, name in enumerate(names) if name in dice]
        if not tested:
            continue
        assert config.width is not None
        fresh = make_segmenter(config.model, len(dataset.label_map.names), config.width)
        network = placed(loaded(fresh, folder), device)
        part, area = data.subset(tested), min_area(folder)
        found = segment_decoded(network, part, config.size, device, area)
        for i, classes in zip(tested, found, strict=True):
            maps[i] = classes.cpu().numpy(), dice[names[i]]
    return [maps[i] for i in range(len(names))]


def _tile(
    image: UInt8[np.ndarray, "h w 3"],
    classes: UInt8[np.ndarray, "h2 w2"] | None,
    *lines: str,
) -> Tile:
    if classes is None:
        return Tile(small(image, _SIDE), lines)
    return Tile(overlay_thumbnail(image, resize_mask(classes, image.shape[:2]), _SIDE), lines)


def _columns(cells: int) -> int:
    """Return so many columns, of at most four, that the last row is nearly full."""
    return min(range(min(cells, 3), min(cells, _COLUMNS) + 1), key=lambda n: (-cells % n, -n))


def _png(sheet: UInt8[np.ndarray, "h w 3"]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    return buffer.getvalue()
