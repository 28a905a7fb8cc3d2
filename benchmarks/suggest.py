"""What suggested labels give against random ones, on a dataset whose training split has labels.

    python benchmarks/suggest.py DATA OUT --seeds 1,2,3,4,5 --result suggest.json

For each seed: a run from scratch on ``--labels`` frames; ``--more`` frames suggested by it, of the
rest of the training split, and as many drawn at random from the same pictures (what nearly equals a
labelled, validation or test frame may be picked by neither); a run from scratch on each, all else
the same. The scored split is read once a run. Runs resume, and finished ones are not run again.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from headstart.config.files import read_frame_names
from headstart.config.option_values import parse_size
from headstart.config.records import RunConfig
from headstart.data.decoded_frames import read_labelled
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.duplicates import NEAR, fingerprints, nearest
from headstart.data.pictures.frame import Frame
from headstart.inference.finished_run import read_finished_run
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.labelling.known_frames import known_of
from headstart.labelling.suggestion import look, suggest
from headstart.scores import overlap
from headstart.scores.counts import count
from headstart.scores.frames_csv import read_frames_csv
from headstart.scores.pooled import usable_classes
from headstart.seeding import generator
from headstart.studies import statistics as stats
from headstart.studies.several_runs import train_runs
from headstart.system.disk import write_json
from headstart.system.signals import Stopping
from headstart.tasks.budgets import LABELS
from headstart.training.listener import Silent

ARMS = ("suggested", "random")


def settings(asked: argparse.Namespace, seed: int, frames: tuple[str, ...] | None) -> RunConfig:
    """A run from scratch on the first labels, or on these frames."""
    return RunConfig.model_validate(
        {
            "schema": 1,
            "data": str(asked.data),
            "width": asked.width,
            "size": parse_size(asked.size),
            "threads": 1,
            "seed": seed,
            "score": asked.score,
            "labels": len(frames) if frames else asked.labels,
            "frames": frames,
        }
    )


def pool_of(data: Path, labelled: tuple[str, ...]) -> tuple[tuple[Frame, ...], list[Frame], Path]:
    """Labelled training frames; the others that may be picked; the dataset's folder."""
    dataset = open_dataset(data)
    train = dataset.splits["train"]
    first = tuple(f for f in train if f.name in labelled)
    rest = [replace(f, mask=None) for f in train if f.name not in labelled]
    taken = (*first, *dataset.splits["validation"], *dataset.splits["test"])
    with ThreadPoolExecutor() as threads:
        of, among = (fingerprints(frames, dataset.root, threads) for frames in (rest, taken))
    far = nearest(of, among)[1] > NEAR
    return first, [f for f, free in zip(rest, far, strict=True) if free], dataset.root


def arm(asked: argparse.Namespace, seed: int, way: str) -> RunConfig:
    """The settings of one more run: the first labels and those picked in this way."""
    torch.set_num_threads(1)
    base = asked.out / f"base-{seed}"
    first, pool, root = pool_of(asked.data, read_frame_names(base / LABELS))
    if way == "suggested":
        known = known_of(base)
        known = replace(known, labelled=known.learned)  # as if the others had no labels
        found = suggest(base, pool, root, asked.more, torch.device("cpu"), known)
        more = [s.frame.name for s in found.picked]
    else:
        drawn = generator(seed, "random labels").permutation(len(pool))[: asked.more]
        more = [pool[i].name for i in drawn]
    return settings(asked, seed, (*(f.name for f in first), *more))


def ranks(asked: argparse.Namespace, seed: int) -> float:
    """Rank correlation of uncertainty and of how wrong the first run is, on what it never saw.

    How wrong: 1 minus the Dice of a frame, over the foreground classes in truth or prediction;
    frames without any are left out.
    """
    base = asked.out / f"base-{seed}"
    dataset = open_dataset(asked.data)
    learned = set(read_frame_names(base / LABELS))
    rest = [f for f in dataset.splits["train"] if f.name not in learned]
    segmenter, wrong = open_segmenter(base, "cpu"), []
    for frame in rest:
        image, truth = read_labelled(frame, dataset.label_map, dataset.root)
        (found,) = class_maps_of(segmenter, [image])
        maps = (torch.from_numpy(m.astype(np.int64))[None] for m in (found, truth))
        counts = count(*maps, len(dataset.label_map.names)).numpy()
        wrong.append(1 - overlap.dice_of_frames(counts)[0])
    run = read_finished_run(base)
    network = Segmenter.network(run)
    unsure = look(network, run.size, rest, dataset.root, torch.device("cpu")).uncertainty
    there = ~np.isnan(wrong)
    return float(spearmanr(unsure[there], np.array(wrong)[there]).statistic)


def compared(asked: argparse.Namespace) -> dict[str, Any]:
    """Scores of all runs, and the differences with their intervals."""
    ways = ("base", *ARMS)
    runs = {
        way: [
            read_frames_csv(
                (asked.out / f"{way}-{s}" / "frames.csv").read_bytes(),
                asked.out / f"{way}-{s}" / "frames.csv",
            ).counts
            for s in asked.seeds
        ]
        for way in ways
    }
    usable = usable_classes(runs["base"][0])
    asked_for = (("suggested", "random"), ("suggested", "base"), ("random", "base"))
    told = stats.holm(
        [
            stats.paired_difference(np.stack(runs[a]), np.stack(runs[b]), usable.classes)
            for a, b in asked_for
        ]
    )
    dataset = open_dataset(asked.data)
    records = []
    for way in ways:
        for seed in asked.seeds:
            out = asked.out / f"{way}-{seed}"
            scores = json.loads((out / "scores.json").read_bytes())
            frames = read_frame_names(out / LABELS)
            records.append({"way": way, "seed": seed, "frames": frames, "scores": scores})
    names = dataset.label_map.names
    return {
        "schema": 1,
        "benchmark": "suggest",
        "settings": {
            "labels": asked.labels,
            "more": asked.more,
            "size": asked.size,
            "width": asked.width,
            "score": asked.score,
            "seeds": asked.seeds,
        },
        "hardware": json.loads(
            (asked.out / f"base-{asked.seeds[0]}" / "environment.json").read_bytes()
        ),
        "classes": [names[k] for k in usable.classes],
        "left_out": [names[k] for k in usable.left_out],
        "means": {
            way: {
                score: fmean(r["scores"][score] for r in records if r["way"] == way)
                for score in ("dice", "dice_frame", "dice_assignment")
            }
            for way in ways
        },
        "comparisons": [
            {"way": a, "against": b, **asdict(c)} for (a, b), c in zip(asked_for, told, strict=True)
        ],
        "rank_correlation": {seed: ranks(asked, seed) for seed in asked.seeds},
        "records": records,
    }


def main() -> None:
    """Runs what is missing, compares, writes the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--labels", type=int, default=30)
    parser.add_argument("--more", type=int, default=30)
    parser.add_argument("--size", default="64x80")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--score", default="test", choices=("test", "validation"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--result", type=Path, required=True)
    asked = parser.parse_args()
    asked.seeds = [int(seed) for seed in asked.seeds.split(",")]
    bases = {f"base-{seed}": (seed, None) for seed in asked.seeds}
    arms = {f"{way}-{seed}": (seed, way) for seed in asked.seeds for way in ARMS}
    with Stopping() as stopping:
        for names in (bases, arms):  # the labels of an arm are those that a base suggests
            if stopping.asked():
                break
            runs = {
                name: settings(asked, seed, None) if way is None else arm(asked, seed, way)
                for name, (seed, way) in names.items()
            }
            place = (asked.out / "cache", asked.jobs, Silent(), stopping, print)
            for name, scores in train_runs(asked.out, runs, {n: n for n in runs}, *place):
                print(f"{name}: dice {scores['dice']:.4f}", flush=True)
        if stopping.signal is None:
            write_json(asked.result, compared(asked))


if __name__ == "__main__":
    main()
