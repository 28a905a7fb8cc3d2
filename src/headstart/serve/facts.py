"""What is known about a run beside its weights: what the page says at once, and its second tab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.files import read_file
from headstart.errors import DataError, Finding, UsageError, printable
from headstart.inference.segmenter import Segmenter
from headstart.plots.overlay import colour
from headstart.report.arms import arms_of
from headstart.report.formatting import duration, plural
from headstart.report.measures import SEGMENTATION
from headstart.report.records import read_json, read_records
from headstart.report.sentences import opening
from headstart.studies.verdicts import called
from headstart.studies.verdicts import sentences as sentences_of
from headstart.training.config import RunConfig, read_config

_SHEETS = ("curves.png", "predictions.png")
_SHEET_BYTES = 20_000_000


@dataclass(frozen=True)
class About:
    """What stands beside a network's weights.

    Attributes:
        name: what it is called.
        run: its run's folder; ``None``: it is a file without one.
        config: the run's settings.
        sheets: the run's figures, by the name of their file.
    """

    name: str
    run: Path | None
    config: RunConfig | None
    sheets: Mapping[str, bytes]


def find_about(run_or_onnx: Path) -> About:
    """The run's folder, settings and figures, as far as they are there.

    Raises:
        UsageError: it is a classifier.
        DataError: its ``config.json`` is damaged, or that of a pretext.
    """
    run = run_or_onnx.parent if run_or_onnx.is_file() else run_or_onnx
    name = printable(run_or_onnx.resolve().name)
    if not (run / "config.json").exists() or "starts" in read_json(run / "config.json"):
        return About(name, None, None, {})
    config = read_config(run / "config.json")
    if config.task == "classification":
        message = f"{run} holds a classifier ({config.model}); the page shows segmentations so far"
        hint = f"headstart predict {run} PICTURES --out DIR writes the classes of pictures"
        raise UsageError(Finding("is-a-classifier", "error", message, hint))
    if not isinstance(config, RunConfig):
        message = f"{run} holds a pretext ({config.pretext}), which segments nothing"
        hint = f"train from it: headstart train DATA --start {run}"
        raise DataError(Finding("is-a-pretext", "error", message, hint))
    there = [sheet for sheet in _SHEETS if (run / sheet).exists()]
    sheets = {sheet: read_file(run / sheet, run, _SHEET_BYTES) for sheet in there}
    return About(printable(run.resolve().name), run, config, sheets)


def facts(about: About, segmenter: Segmenter) -> dict[str, Any]:
    """All that the page says before a picture is given.

    Returns:
        ``name``; ``line``: what it is in one line; ``classes``: name and colour of each, background
        without one; ``min_area``; ``about``: pairs of a word and a value; ``sheets``; ``worth``:
        see [`worth`][headstart.serve.facts.worth].
    """
    names = segmenter.label_map.names
    return {
        "name": about.name,
        "line": _line(about, segmenter),
        "classes": [
            {"name": printable(name), "colour": list(colour(k)) if k else None}
            for k, name in enumerate(names)
        ],
        "min_area": segmenter.min_area,
        "about": _about(about, segmenter),
        "sheets": list(about.sheets),
        "worth": worth(about),
    }


def worth(about: About) -> dict[str, Any]:
    """What the run's scores say, as far as it left any.

    Returns:
        ``missing``: why there are none, or empty; then ``told``, the verdict on this run;
        ``study``, that of the study it belongs to, or ``None``; ``split`` and ``frames``;
        ``scores``, each beside the best constant prediction's; ``classes``.
    """
    if about.run is None:
        why = (
            "This is a file without its run's folder: what it scored is not known here. Beside "
            "the run's config.json and scores.json it would stand on this page."
        )
        return {"missing": why}
    try:
        records = read_records(about.run)
        told = opening(records, arms_of(records))["sentences"]
    except DataError as error:
        return {"missing": f"The run's scores cannot be read: {_first(error)}."}
    run = records.runs[0]
    scores = run.scores
    return {
        "missing": "",
        "told": told,
        "study": _study(about.run),
        "split": scores["split"],
        "frames": scores["frames"],
        "scores": [
            {
                "name": name,
                "value": scores[name],
                "trivial": scores["trivial"].get(name),
                "meaning": f"{meaning.rstrip('.')}.",
            }
            for name, meaning in SEGMENTATION.meanings
        ],
        "classes": [
            {
                "name": printable(name),
                "frames": its["frames"],
                **{score: its[score] for score in SEGMENTATION.by_class},
                "reason": its.get("reason", ""),
            }
            for name, its in scores["classes"].items()
        ],
    }


def _first(error: DataError) -> str:
    return printable(error.findings[0].message)


def _study(run: Path) -> dict[str, Any] | None:
    """The verdict of the study that a run is part of: ``STUDY/runs/RUN``."""
    here = run.resolve()
    folder = here.parent.parent
    if here.parent.name != "runs" or not (folder / "config.json").exists():
        return None
    try:
        records = read_records(folder)
        if records.study is None:
            return None
        found = opening(records, arms_of(records))
    except DataError as error:
        return {"name": printable(folder.name), "missing": f"It cannot be read: {_first(error)}."}
    summary = records.study.summary
    sentences = sentences_of(summary) if summary else []
    return {
        "name": printable(folder.name),
        "missing": "",
        "told": found["sentences"],
        "compared": found["compared"],
        "saved": found["saved"],
        "notes": found["notes"],
        "sentences": [printable(sentence) for sentence in sentences],
    }


def _line(about: About, segmenter: Segmenter) -> str:
    classes = len(segmenter.label_map.names)
    size = f"{segmenter.size[0]} × {segmenter.size[1]}"
    config = about.config
    if config is None:
        return f"Segmentation into {classes} classes, a network for {size}."
    labels = "all labels" if config.labels is None else plural(config.labels, "label")
    network = f"{config.model} of width {config.width} at {size}"
    return (
        f"Segmentation into {classes} classes: {network}, {labels}, "
        f"start {printable(called(config.start))}, seed {config.seed}."
    )


def _about(about: About, segmenter: Segmenter) -> list[tuple[str, str]]:
    """Pairs of a word and a value: network, recipe, start, labels, seed, data."""
    size = f"{segmenter.size[0]} × {segmenter.size[1]}"
    classes = f"{len(segmenter.label_map.names)}, background included"
    told = [("Classes", classes), ("Works at", f"{size} pixels (height × width)")]
    if about.config is not None:
        config = about.config
        told = [
            ("Network", f"{config.model}, width {config.width}"),
            *told,
            ("Start", printable(called(config.start))),
            ("Recipe", f"{config.recipe.name}, {config.recipe.epochs} epochs"),
            ("Labels", "all" if config.labels is None else str(config.labels)),
            ("Seed", str(config.seed)),
            ("Dataset", printable(Path(config.data).name or config.data)),
        ]
        told += _history(about)
    if segmenter.min_area:
        share = f"classes on less than {100 * segmenter.min_area:g} % of a picture are left out"
        told.append(("Small areas", share))
    return [*told, ("SHA-256", segmenter.digest)]


def _history(about: About) -> list[tuple[str, str]]:
    """What the training took and where; nothing where its records are not there."""
    if about.run is None:
        return []
    try:
        run = read_records(about.run).runs[0]
        labels = run.environment["labels"]
        return [
            ("Labelled frames", f"{labels['train']} to train, {labels['validation']} to validate"),
            ("Training", f"{plural(len(run.history), 'epoch')}, {duration(run.seconds)}"),
            ("Machine", printable(str(run.environment["gpu"] or run.environment["cpu"]))),
            ("PyTorch", printable(str(run.environment["versions"]["torch"]))),
        ]
    except (DataError, KeyError):
        return []
