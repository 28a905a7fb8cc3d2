"""How much of each class lies in thin parts, at the pictures' own size and at smaller ones.

``python benchmarks/thin_objects.py DATA ... --json FILE``: the shares that decide whether whole
pictures would hide objects (docs/decisions/0049-default-tiles.md), and the seconds that it takes to
read the masks and to look at them at the default size.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from headstart.data.checks.thin_objects import hidden_objects, shrunk, some_masks, thin_share
from headstart.data.layouts.recognise import open_dataset
from headstart.data.training_size import LONGEST_ON_CPU, size_for

LONGEST = (512, 320, 224, 160, 128, 96, 64)


def main() -> None:
    """Print a line for each size, and write all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = [row for data in args.data for row in of_dataset(data)]
    for row in rows:
        print(json.dumps(row))
    if args.json:
        args.json.write_text(json.dumps({"schema": 1, "rows": rows}, indent=1) + "\n")


def of_dataset(data: Path) -> list[dict[str, Any]]:
    """Return the shares of a dataset at each size; None stands for the pictures' own."""
    dataset = open_dataset(data)
    frames, names = dataset.splits["train"], dataset.label_map.names
    began = time.perf_counter()
    default = size_for(frames, dataset.root, LONGEST_ON_CPU)
    if default is not None:
        hidden_objects(dataset)(default)
    seconds = round(time.perf_counter() - began, 2)
    masks = some_masks(dataset)
    sizes = dict.fromkeys([None, *(size_for(frames, dataset.root, n) for n in LONGEST)])
    rows = []
    for size in sizes:
        seen = masks if size is None else [shrunk(mask, size) for mask in masks]
        shares = {name: round(thin_share(seen, k), 2) for k, name in enumerate(names)}
        rows.append(
            {
                "data": data.name,
                "masks": len(masks),
                "size": size,
                "thin": shares,
                "seconds": seconds,
            }
        )
    return rows


if __name__ == "__main__":
    main()
