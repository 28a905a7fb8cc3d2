"""Whether windows leave seams: errors beside their borders, and there with the windows elsewhere.

``python benchmarks/seams.py RUN DATA --out seams.json``: segments the test split with a run that
was trained with ``--tile``: as it does, with all windows moved by three eighths of a tile, and with
other overlaps. If borders do not matter, pixels within two of a border (of the first) are wrong as
often in both: the same pixels, with and without a border beside them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from headstart.data.label_map import IGNORE
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.inference.mask_scores import count_pixels
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.runs.records import environment
from headstart.scores import overlap
from headstart.tasks import windows
from headstart.tasks.windows import window_starts

_OVERLAPS = (0.5, 0.25, 0.0)
_NEAR = 2  # pixels from a border


def beside_borders(size: tuple[int, int], tile: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Return which pixels lie within two pixels of a window's border inside the picture."""
    near = np.zeros(size, bool)
    for axis in (0, 1):
        for start in window_starts(size[axis], tile[axis]):
            for border in (start, start + tile[axis]):
                if 0 < border < size[axis]:
                    near.swapaxes(0, axis)[max(0, border - _NEAR) : border + _NEAR] = True
    return near


def moved_map(
    segmenter: Segmenter, picture: UInt8[np.ndarray, "h w 3"]
) -> UInt8[np.ndarray, "_ _"]:
    """Return the class map by windows that begin elsewhere: before a mirrored edge is cut off."""
    by = [3 * side // 8 for side in segmenter.size]
    wider = np.pad(picture, [(by[0], 0), (by[1], 0), (0, 0)], mode="symmetric")
    return class_maps_of(segmenter, [wider])[0][by[0] :, by[1] :]


def measure(run: Path, data: Path) -> dict[str, Any]:
    """Return error rates beside borders and elsewhere."""
    segmenter, dataset = open_segmenter(run, "cpu"), open_dataset(data)
    wrong, pixels = np.zeros((2, 2), dtype=np.int64), np.zeros(2, dtype=np.int64)
    for frame in dataset.splits["test"]:
        picture, truth = read_labelled(frame, dataset.label_map, dataset.root)
        near = beside_borders((truth.shape[0], truth.shape[1]), segmenter.size)
        counted = truth != IGNORE
        maps = class_maps_of(segmenter, [picture])[0], moved_map(segmenter, picture)
        for where, part in enumerate((near & counted, ~near & counted)):
            pixels[where] += int(part.sum())
            for which, predicted in enumerate(maps):
                wrong[which, where] += int((predicted != truth)[part].sum())
    rates = wrong / pixels
    return {
        "frames": len(dataset.splits["test"]),
        "tile": segmenter.size,
        "pixels": {"beside": int(pixels[0]), "elsewhere": int(pixels[1])},
        "error": {"beside": rates[0, 0], "elsewhere": rates[0, 1]},
        "error_of_moved_windows": {"beside": rates[1, 0], "elsewhere": rates[1, 1]},
        "beside_to_same_pixels_inside": rates[0, 0] / rates[1, 0],
    }


def by_overlap(run: Path, data: Path) -> dict[str, float]:
    """Return ``dice`` on the test split with tiles that overlap by other shares."""
    segmenter, dataset = open_segmenter(run, "cpu"), open_dataset(data)
    scores, usual = {}, windows.window_starts
    for share in _OVERLAPS:

        def starts(length: int, window: int, share: float = share) -> list[int]:
            steps = -(-max(0, length - window) // max(1, window - int(share * window)))
            return (
                [round(i * (length - window) / steps) for i in range(steps + 1)] if steps else [0]
            )

        windows.window_starts = starts
        counts = []
        for frame in dataset.splits["test"]:
            picture, truth = read_labelled(frame, dataset.label_map, dataset.root)
            predicted = class_maps_of(segmenter, [picture])[0]
            counts.append(count_pixels(predicted, truth, len(dataset.label_map.names)))
        scores[f"{share:g}"] = float(overlap.dice(np.stack(counts)) or 0.0)
    windows.window_starts = usual
    return scores


def main() -> None:
    """Read the options, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result = {"schema": 1, **measure(options.run, options.data)}
    result["dice_by_overlap"] = by_overlap(options.run, options.data)
    result["cpu"] = environment("cpu")["cpu"]
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
