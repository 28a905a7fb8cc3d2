"""A study's folder made from one trained run: its frames, with counts and losses made up."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from headstart.config.files import read_run_config, to_json
from headstart.config.records import StudyConfig
from headstart.config.start_names import PRETEXT_NAMES
from headstart.scores import segmentation as segmentation_scores
from headstart.scores.counts import constant_counts
from headstart.scores.frames_csv import frames_csv
from headstart.seeding import generator
from headstart.studies.verdicts import compare

GAIN = {"colorization": 0.35, "masked-colorization": 0.55}  # of what scratch loses


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_lines(path: Path, rows: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_study(
    template: Path,
    out: Path,
    *,
    starts: Sequence[str] = ("scratch", "colorization"),
    labels: Sequence[int] = (30, 300),
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    names: Sequence[str] | None = None,
    collapsed: Sequence[tuple[str, int, int]] = (),
    data: str | None = None,
    held: Mapping[int, int] | None = None,
) -> Path:
    """Writes a study's folder.

    Args:
        template: a finished run.
        out: the study's folder.
        starts, labels, seeds: crossed.
        names: other names for the classes.
        collapsed: start, labels and seed of runs that predict background everywhere.
        data: another place of the data.
        held: classes, and how many frames may hold them.
    """
    config = json.loads((template / "config.json").read_text())
    config["data"] = data or config["data"]
    counts, frames, own_names = _read_counts(template / "frames.csv")
    counts = np.stack([counts[..., 0] + counts[..., 2], *np.zeros((2, *counts.shape[:2]), int)], -1)
    names = tuple(names or own_names)
    counts = np.concatenate([counts] * 4)  # enough frames for a verdict
    frames = tuple(f"{frame}-{i}" for i in range(4) for frame in frames)
    for k, most in (held or {}).items():
        beyond = np.flatnonzero(counts[:, k, 0])[most:]
        counts[beyond, 0] += counts[beyond, k]
        counts[beyond, k] = 0
    history = [json.loads(x) for x in (template / "metrics.jsonl").read_text().splitlines()]
    timing = [json.loads(x) for x in (template / "timing.jsonl").read_text().splitlines()]
    environment = json.loads((template / "environment.json").read_text())
    shared = {
        k: config[k]
        for k in ("data", "task", "model", "width", "size", "score", "device", "threads")
    }
    pretexts = [s for s in starts if s in PRETEXT_NAMES]
    out.mkdir(parents=True)
    study = StudyConfig.model_validate(
        {**shared, "schema": 1, "starts": starts, "labels": labels, "seeds": seeds,
         "recipe": config["recipe"]}
    )  # fmt: skip
    (out / "config.json").write_text(to_json(study))
    recipe = json.loads(to_json(study))["pretext_recipe"]
    for name, seed in product(pretexts, seeds):
        base = {k: shared[k] for k in ("data", "model", "width", "size", "device", "threads")}
        pretext = {"schema": 1, **base, "seed": seed, "task": "pretext", "pretext": name,
                   "drop_leaks": False, "recipe": recipe}  # fmt: skip
        _pretext(out / "starts" / f"{name}-{seed}-0a1b2c3d", pretext, environment, template)
    records, ledger = [], []
    for start, budget, seed in product(starts, labels, seeds):
        run = f"runs/{re.sub(r'[^a-z-]', '_', start)}-all-{budget}-{seed}"
        folder = out / run
        folder.mkdir(parents=True)
        rng = generator(seed, "made", start, budget)
        loss = 0.7 * (labels[0] / budget) ** 0.5 * (1 - GAIN.get(start, 0)) * rng.uniform(0.8, 1.2)
        worse = _worsen(counts, 0.05 + loss, generator(seed, "made frames"))
        if (start, budget, seed) in collapsed:
            worse = constant_counts(counts[..., 0] + counts[..., 2], 0)
        scores = {"split": "test", **segmentation_scores.score(worse, names)}
        write_json(folder / "scores.json", scores)
        (folder / "frames.csv").write_text(frames_csv(worse, frames, names))
        own = {**config, "start": start, "labels": budget, "seed": seed}
        if start in PRETEXT_NAMES:
            own["pretext"] = {**pretext, "pretext": start, "seed": seed}
        write_json(folder / "config.json", own)
        read_run_config(folder / "config.json")
        write_json(folder / "environment.json", {
            **environment, "start": _moved(start, seed),
            "labels": {"train": budget, "validation": environment["labels"]["validation"]},
        })  # fmt: skip
        write_lines(folder / "metrics.jsonl", [
            {**row, "train_loss": row["train_loss"] * (1 - loss / 3) * noise,
             "validation_loss": row["validation_loss"] * (1 + loss) / noise}
            for row, noise in zip(history, rng.uniform(0.97, 1.03, len(history)), strict=True)
        ])  # fmt: skip
        write_lines(folder / "timing.jsonl", timing)
        shutil.copy(template / "predictions.png", folder / "predictions.png")
        key = {"start": start, "tune": "all", "labels": budget, "seed": seed}
        records.append({**key, "run": run, "scores": scores})
        hashes = {
            f"{name}_sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest()
            for name, file in (("frames", "frames.csv"), ("scores", "scores.json"))
        }
        steps = history[-1]["step"]
        ledger.append({"run": run, **key, **hashes, "steps": steps, "seconds": 12.5})
    write_lines(out / "ledger.jsonl", ledger)
    compared = compare(records, out, study, None)
    write_json(out / "study.json", {"schema": 1, "records": records, **compared})
    return out


def _read_counts(path: Path) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    with path.open(newline="") as f:
        rows = list(csv.DictReader(f))
    names = tuple(dict.fromkeys(row["class"] for row in rows))
    counts = np.array([[int(row[c]) for c in ("TP", "FP", "FN")] for row in rows])
    frames = tuple(row["frame"] for row in rows[:: len(names)])
    return counts.reshape(-1, len(names), 3), frames, names


def _worsen(counts: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Of perfect counts: that share of the foreground is missed, more or less of it by frame."""
    worse = counts.copy()
    lost = counts[:, 1:, 0] * np.clip(share * rng.uniform(0.3, 1.7, counts[:, 1:, 0].shape), 0, 1)
    lost = lost.astype(np.int64)
    worse[:, 1:, 0] -= lost
    worse[:, 1:, 2] += lost
    worse[:, 0, 1] += lost.sum(1)
    return worse


def _moved(start: str, seed: int) -> dict[str, Any]:
    if start not in PRETEXT_NAMES:
        return {"name": start, "weights_sha256": None, "moved": [], "adapted": [], "fresh": [],
                "unused": []}  # fmt: skip
    moved = [f"encoder.{i}.{j}.{p}" for i in range(4) for j in (0, 1) for p in ("weight", "bias")]
    return {"name": start, "weights_sha256": f"{seed}" * 64, "moved": moved, "adapted": [],
            "fresh": ["head.weight", "head.bias"], "unused": []}  # fmt: skip


def _pretext(folder: Path, config: dict[str, Any], environment: dict, template: Path) -> None:
    folder.mkdir(parents=True)
    rng = generator(config["seed"], "pretext", config["pretext"])
    epochs = np.arange(1, 31)
    losses = 0.004 + 0.02 * np.exp(-epochs / 5) * rng.uniform(0.9, 1.1, 30)
    write_json(folder / "config.json", config)
    write_json(folder / "environment.json", {**environment, "source": "the unlabelled pictures",
               "pictures": {"train": 1584, "validation": 50}})  # fmt: skip
    rows = [
        {"epoch": e, "step": e * 159, "train_loss": x, "validation_loss": x * 1.1}
        for e, x in zip(epochs.tolist(), losses.tolist(), strict=True)
    ]
    write_lines(folder / "metrics.jsonl", rows)
    spent = {"train_seconds": 6.1, "validation_seconds": 0.4, "steps": 159}
    write_lines(folder / "timing.jsonl", [{"epoch": int(e), **spent} for e in epochs])
    write_json(folder / "scores.json", {
        "split": "validation", "pictures": 50, "loss": rows[-1]["validation_loss"],
        "trivial": {"loss": 0.0311}, "epoch": 30, "steps": 4770,
    })  # fmt: skip
    write_json(folder / "leaks.json", {
        "compared_with": ["validation", "test"], "pictures": 1634,
        "copies": ["colorization/train_cor/3/3_input.jpg"],
        "near": ["colorization/train_cor/7/7_input.jpg", "colorization/train_cor/9/9_input.jpg"],
        "dropped": False,
    })  # fmt: skip
    shutil.copy(template / "predictions.png", folder / "restorations.png")
