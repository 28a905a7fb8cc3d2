"""Several trained networks scored as one: by the mean of their probabilities.

Of cross-validations, which trained on all labelled pictures, each picture is predicted by the
networks that have not seen it, one of each seed: see [`headstart.tasks.out_of_fold`][].
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from headstart.config.records import RunConfig
from headstart.data.decoded_frames import decode
from headstart.data.files import natural_key
from headstart.data.labelled_pictures import Labelled, read_labelled_pictures
from headstart.data.layouts.class_dataset import ClassDataset
from headstart.data.layouts.class_dataset import pooled as pooled_classes
from headstart.data.layouts.dataset import LABELLED, Dataset, pooled
from headstart.models.averaged import Averaged
from headstart.models.classifiers import make_network, normalisation, versioned
from headstart.models.encoder_unet import make_segmenter
from headstart.records.calibration import CALIBRATION, to_json
from headstart.records.run_records import WEIGHTS
from headstart.scores import classification as classification_scores
from headstart.scores import segmentation as segmentation_scores
from headstart.scores.frames_csv import FRAMES, answers_csv, frames_csv
from headstart.system.disk import write_atomic, write_json
from headstart.tasks.calibration import (
    Judged,
    calibration,
    count_and_calibrate,
    pixel_sample,
)
from headstart.tasks.class_maps import count_maps, segment_decoded
from headstart.tasks.lookup import labelled_task
from headstart.tasks.out_of_fold import folds_of, temperature_of_folds, unseen_by
from headstart.training.checkpoint import load_weights
from headstart.training.features import prepared
from headstart.training.placement import device_here, placed

_BATCH = 64


def segment_together(
    config: RunConfig, dataset: Dataset, runs: Sequence[Path], cache: Path, out: Path
) -> dict[str, Any]:
    """Write the ``frames.csv`` of runs that segment, on their scored split; return the scores.

    Also writes ``calibration.json``, with one temperature for the mean of their probabilities: it
    is fitted on validation; of cross-validations, it is the geometric mean of those of all folds.

    Args:
        config: configuration of one of the runs, which differ in their seed alone.
        dataset: the dataset.
        runs: folders of the finished runs.
        cache: folder for decoded pictures.
        out: folder that the file is written to.

    Raises:
        DataError: weights are missing or damaged, or pictures cannot be read.
    """
    names, width = dataset.label_map.names, config.width
    assert width is not None
    torch.set_num_threads(config.threads)  # as in the runs: else the last bits may differ
    device = device_here(config.device)
    if config.folds is not None:
        return _segment_out_of_fold(config, dataset, runs, cache, out)
    together = _averaged([make_segmenter(config.model, len(names), width) for _ in runs], runs)
    frames, label_map = dataset.splits[config.score], dataset.label_map
    args = (frames, config.size, label_map, dataset.root, cache)
    data = decode(*args, framing=config.framing)
    network, area = placed(together, device), min(map(min_area, runs))
    held_out = (dataset.splits["validation"], config.size, label_map, dataset.root, cache)
    validation = decode(*held_out, framing=config.framing)
    of_data = (validation, data, config.score, len(names), area, config.size, device)
    counts, record, _ = count_and_calibrate(network, *of_data, dataset.ignore)
    write_json(out / CALIBRATION, to_json(record))
    write_atomic(out / FRAMES, frames_csv(counts, data.names, names))
    return {"split": config.score, **segmentation_scores.score(counts, names)}


@torch.no_grad()
def _segment_out_of_fold(
    config: RunConfig, dataset: Dataset, runs: Sequence[Path], cache: Path, out: Path
) -> dict[str, Any]:
    names, width, device = dataset.label_map.names, config.width, device_here(config.device)
    assert width is not None
    args = (pooled(dataset).splits[LABELLED], config.size, dataset.label_map, dataset.root, cache)
    data = decode(*args, framing=config.framing)
    unseen, folds = unseen_by(labelled_task(config.task), runs), _folds(runs)
    areas = {fold: min_area(fold) for fold in folds}
    networks = {
        fold: placed(loaded(make_segmenter(config.model, len(names), width), fold), device)
        for fold in folds
    }
    judged, pixels_of = _judged(folds), pixel_sample(data, dataset.ignore)
    counts = np.zeros((len(data.names), len(names), 3), dtype=np.int64)
    for members, indices in unseen.grouped(data.names):

        def seen(
            frame: int, rows: slice, probs: Tensor, indices: Sequence[int] = tuple(indices)
        ) -> None:
            if judged is not None:
                judged.add(*pixels_of(indices[frame], rows, probs))

        network = Averaged([networks[fold] for fold in members]).eval()
        part, area = data.subset(indices), min(areas[fold] for fold in members)
        maps = segment_decoded(network, part, config.size, device, area, seen)
        counts[indices] = count_maps(maps, part, len(names), dataset.ignore)
    if judged is not None:
        write_json(out / CALIBRATION, to_json(judged.record(config.score)))
    write_atomic(out / FRAMES, frames_csv(counts, data.names, names))
    return {"split": config.score, **segmentation_scores.score(counts, names)}


@torch.no_grad()
def classify_together(
    config: RunConfig, dataset: ClassDataset, runs: Sequence[Path], cache: Path, out: Path
) -> dict[str, Any]:
    """Write the files of classifiers, as [`segment_together`][] does; return the scores.

    Arguments and errors are those of [`segment_together`][].
    """
    names, device = dataset.names, device_here(config.device)
    torch.set_num_threads(config.threads)
    if config.folds is not None:
        return _classify_out_of_fold(config, dataset, runs, cache, out)
    networks = [make_network(config.model, len(names))[0] for _ in runs]
    network = placed(_averaged(networks, runs), device)

    def read(split: str) -> tuple[Labelled, Tensor]:
        data = read_labelled_pictures(dataset, split, config.size, cache)
        return data, _logits(network, torch.from_numpy(data.images.copy()), config)

    (data, logits), (validation, of_validation) = map(read, (config.score, "validation"))
    predicted = logits.argmax(1).numpy()
    pairs = ((of_validation, validation), (logits, data))
    held_out, on_scored = ([(z.softmax(1).numpy(), d.labels)] for z, d in pairs)
    write_json(out / CALIBRATION, to_json(calibration(held_out, on_scored, config.score)))
    write_atomic(out / FRAMES, answers_csv(data.labels, predicted, data.names, names))
    matrix = classification_scores.confusion_matrix(data.labels, predicted, len(names))
    return {"split": config.score, **classification_scores.score(matrix, names)}


@torch.no_grad()
def _classify_out_of_fold(
    config: RunConfig, dataset: ClassDataset, runs: Sequence[Path], cache: Path, out: Path
) -> dict[str, Any]:
    names, device, folds = dataset.names, device_here(config.device), _folds(runs)
    data = read_labelled_pictures(pooled_classes(dataset), LABELLED, config.size, cache)
    images = torch.from_numpy(data.images.copy())
    unseen = unseen_by(labelled_task(config.task), runs)
    networks = {
        fold: placed(loaded(make_network(config.model, len(names))[0], fold), device)
        for fold in folds
    }
    logits = torch.zeros(len(images), len(names))
    for members, indices in unseen.grouped(data.names):
        network = Averaged([networks[fold] for fold in members]).eval()
        logits[indices] = _logits(network, images[indices], config)
    if (judged := _judged(folds)) is not None:
        judged.add(logits.softmax(1).numpy(), data.labels)
        write_json(out / CALIBRATION, to_json(judged.record(config.score)))
    order = sorted(range(len(images)), key=lambda i: (natural_key(data.names[i]), data.names[i]))
    truth, predicted = data.labels[order], logits.argmax(1).numpy()[order]
    in_order = tuple(data.names[i] for i in order)
    write_atomic(out / FRAMES, answers_csv(truth, predicted, in_order, names))
    matrix = classification_scores.confusion_matrix(truth, predicted, len(names))
    return {"split": config.score, **classification_scores.score(matrix, names)}


def _logits(network: nn.Module, images: Tensor, config: RunConfig) -> Float32[Tensor, "n k"]:
    parts = (images[i : i + _BATCH] for i in range(0, len(images), _BATCH))
    device, expected = device_here(config.device), normalisation(config.model)
    batches = (prepared(part, config.size, device, expected=expected) for part in parts)
    return torch.cat([network(batch).cpu() for batch in batches])


def _folds(runs: Sequence[Path]) -> list[Path]:
    return [fold for run in runs for fold in folds_of(run)]


def _judged(folds: Sequence[Path]) -> Judged | None:
    """Return the temperature of networks that no picture is new to together, with empty bins."""
    found = temperature_of_folds(folds)
    reason = "geometric mean over the folds of all seeds, each fitted on its validation pictures"
    return None if found is None else Judged(found[0], reason, found[1])


def min_area(run: Path) -> float:
    """Return the least area that a run was trained with, which depends on its labelled frames."""
    _, facts, _ = load_weights(run / WEIGHTS)
    return float(facts.get("min_area", 0.0))  # older versions recorded none


def _averaged(networks: Sequence[nn.Module], runs: Sequence[Path]) -> nn.Module:
    """Return networks with the weights of these runs as one, in evaluation mode."""
    return Averaged(map(loaded, networks, runs)).eval()


def loaded(network: nn.Module, run: Path) -> nn.Module:
    """Return a network with the weights of a run, in evaluation mode."""
    weights, _, _ = load_weights(run / WEIGHTS)
    network.load_state_dict(versioned(network, weights))
    return network.eval()
