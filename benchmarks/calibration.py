"""Calibration of finished segmentations: sizes of the sample, seconds, and mirror images.

    python benchmarks/calibration.py RUN [RUN ...] --data DATA --out calibration.json

For each run: the temperature by the number of validation pixels that it is fitted on; the expected
calibration error and negative log likelihood of the test split with temperature 1 and with the
fitted one, by the number of pixels that are judged; the processor seconds that scoring the test
split takes, alone and together with calibration; and ``dice`` on validation with and without mirror
images (``--tta``).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.config.files import read_run_config
from headstart.data.decoded_frames import Decoded, decode
from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.inference.evaluation import evaluate_run
from headstart.inference.finished_run import read_finished_run
from headstart.inference.segmenter import Segmenter
from headstart.runs.records import environment
from headstart.scores.calibration import (
    BINS,
    bins_of,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from headstart.system.disk import write_json
from headstart.tasks.calibration import count_and_calibrate, sampled_pixels
from headstart.tasks.class_maps import count_maps, segment_decoded

FITTED_ON = (1 << 14, 1 << 16, 1 << 18, 1 << 21)
JUDGED_ON = (1 << 18, 1 << 20, 1 << 21)
CPU = torch.device("cpu")


def of_run(run: Path, dataset: Dataset, cache: Path) -> dict[str, Any]:
    """Return the measurements of one run."""
    config, finished = read_run_config(run / "config.json"), read_finished_run(run)
    network, ignore = Segmenter.network(finished), dataset.ignore
    args = (config.size, dataset.label_map, dataset.root, cache)
    validation, test = (
        decode(dataset.splits[s], *args, framing=config.framing) for s in ("validation", "test")
    )
    tile, classes, area = config.size, len(finished.facts.names), finished.facts.min_area
    fitted = {}
    for pixels in FITTED_ON:
        probs, truth = joined(network, validation, tile, ignore, pixels)
        fitted[str(len(truth))] = fit_temperature(probs, truth)[0]
    temperature = fit_temperature(*joined(network, validation, tile, ignore, 1 << 18))[0]
    judged = {}
    for pixels in JUDGED_ON:
        before, after = np.zeros((BINS, 4)), np.zeros((BINS, 4))
        for part in sampled_pixels(network, test, tile, CPU, ignore, pixels):
            before += bins_of(*part, 1.0)
            after += bins_of(*part, temperature)
        judged[str(int(before[:, 0].sum()))] = {
            f"{name}_{when}": round(float(of(bins) or 0.0), 6)
            for when, bins in (("before", before), ("after", after))
            for name, of in (("ece", expected_calibration_error), ("nll", negative_log_likelihood))
        }
    began = time.process_time()
    count_maps(segment_decoded(network, test, tile, CPU, area), test, classes, ignore)
    scored = time.process_time()
    of_test = (validation, test, "test", classes, area, tile, CPU, ignore)
    count_and_calibrate(network, *of_test)
    together = time.process_time()
    dice = {
        name: round(evaluate_run(run, dataset, "validation", "cpu", mirror)["dice"], 4)
        for name, mirror in (("plain", False), ("mirror", True))
    }
    return {
        "recipe": config.recipe.name,
        "steps": finished_steps(run),
        "size": list(config.size),
        "width": config.width,
        "seed": config.seed,
        "temperature_by_pixels": fitted,
        "temperature": temperature,
        "test_by_pixels": judged,
        "processor_seconds": {
            "scoring": round(scored - began, 2),
            "scoring_and_calibration": round(together - scored, 2),
        },
        "validation_dice": dice,
    }


def joined(
    network: torch.nn.Module,
    data: Decoded,
    tile: tuple[int, int],
    ignore: int | None,
    pixels: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities and true classes of a sample."""
    probs, truth = zip(*sampled_pixels(network, data, tile, CPU, ignore, pixels), strict=True)
    return np.concatenate(probs), np.concatenate(truth)


def finished_steps(run: Path) -> int:
    """Return the steps that a run trained for."""
    from headstart.records.run_records import read_metrics

    return int(read_metrics(run)[-1]["step"])


def main() -> None:
    """Measure the runs and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    fit_temperature(np.full((2, 2), 0.5, np.float32), np.array([0, 1]))  # loads SciPy
    dataset = open_dataset(options.data)
    cache = options.out.parent / "calibration-cache"
    rows = [of_run(run, dataset, cache) for run in options.runs]
    hardware = {k: v for k, v in environment("cpu").items() if k in ("cpu", "versions")}
    write_json(options.out, {"schema": 1, "hardware": hardware, "runs": rows})


if __name__ == "__main__":
    main()
