"""Several trained networks scored as one: by the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.config.records import RunConfig
from headstart.data.decoded_frames import decode
from headstart.data.labelled_pictures import Labelled, read_labelled_pictures
from headstart.data.layouts.class_dataset import ClassDataset
from headstart.data.layouts.dataset import Dataset
from headstart.models.averaged import Averaged
from headstart.models.classifiers import make_network, versioned
from headstart.models.encoder_unet import make_segmenter
from headstart.records.calibration import CALIBRATION, to_json
from headstart.records.run_records import WEIGHTS
from headstart.scores import classification as classification_scores
from headstart.scores import segmentation as segmentation_scores
from headstart.scores.frames_csv import FRAMES, answers_csv, frames_csv
from headstart.system.disk import write_atomic, write_json
from headstart.tasks.calibration import calibration, count_and_calibrate
from headstart.training.checkpoint import load_weights
from headstart.training.features import prepared
from headstart.training.placement import placed

_BATCH = 64


def segment_together(
    config: RunConfig, dataset: Dataset, runs: Sequence[Path], cache: Path, out: Path
) -> dict[str, Any]:
    """Write the ``frames.csv`` of runs that segment, on their scored split; return the scores.

    Also writes ``calibration.json``, with one temperature for the mean of their probabilities.

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
    device = torch.device(config.device)
    together = _averaged([make_segmenter(config.model, len(names), width) for _ in runs], runs)
    frames, label_map = dataset.splits[config.score], dataset.label_map
    args = (frames, config.size, label_map, dataset.root, cache)
    data = decode(*args, framing=config.framing)
    network, area = placed(together, device), min(map(_min_area, runs))
    held_out = (dataset.splits["validation"], config.size, label_map, dataset.root, cache)
    validation = decode(*held_out, framing=config.framing)
    of_data = (validation, data, config.score, len(names), area, config.size, device)
    counts, record, _ = count_and_calibrate(network, *of_data, dataset.ignore)
    write_json(out / CALIBRATION, to_json(record))
    write_atomic(out / FRAMES, frames_csv(counts, data.names, names))
    return {"split": config.score, **segmentation_scores.score(counts, names)}


@torch.no_grad()
def classify_together(
    config: RunConfig, dataset: ClassDataset, runs: Sequence[Path], cache: Path, out: Path
) -> dict[str, Any]:
    """Write the files of classifiers, as [`segment_together`][] does; return the scores.

    Arguments and errors are those of [`segment_together`][].
    """
    names, device = dataset.names, torch.device(config.device)
    torch.set_num_threads(config.threads)
    networks = [make_network(config.model, len(names))[0] for _ in runs]
    network = placed(_averaged(networks, runs), device)

    def read(split: str) -> tuple[Labelled, Tensor]:
        data = read_labelled_pictures(dataset, split, config.size, cache)
        images = torch.from_numpy(data.images.copy())
        parts = (images[i : i + _BATCH] for i in range(0, len(images), _BATCH))
        answers = [network(prepared(part, config.size, device)).cpu() for part in parts]
        return data, torch.cat(answers)

    (data, logits), (validation, of_validation) = map(read, (config.score, "validation"))
    predicted = logits.argmax(1).numpy()
    pairs = ((of_validation, validation), (logits, data))
    held_out, on_scored = ([(z.softmax(1).numpy(), d.labels)] for z, d in pairs)
    write_json(out / CALIBRATION, to_json(calibration(held_out, on_scored, config.score)))
    write_atomic(out / FRAMES, answers_csv(data.labels, predicted, data.names, names))
    matrix = classification_scores.confusion_matrix(data.labels, predicted, len(names))
    return {"split": config.score, **classification_scores.score(matrix, names)}


def _min_area(run: Path) -> float:
    """Return the least area that a run was trained with, which depends on its labelled frames."""
    _, facts, _ = load_weights(run / WEIGHTS)
    return float(facts.get("min_area", 0.0))  # older versions recorded none


def _averaged(networks: Sequence[nn.Module], runs: Sequence[Path]) -> nn.Module:
    """Return networks with the weights of these runs as one, in evaluation mode."""
    for network, run in zip(networks, runs, strict=True):
        weights, _, _ = load_weights(run / WEIGHTS)
        network.load_state_dict(versioned(network, weights))
    return Averaged(networks).eval()
