"""The contents of the page before a picture is given: the run's settings, scores and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.config.files import holds_study, read_run_config
from headstart.config.records import RunConfig
from headstart.data.files import read_file
from headstart.errors import DataError, Finding, UsageError, printable
from headstart.inference.opening import kind_at
from headstart.inference.segmenter import Segmenter
from headstart.plots.overlay import colour
from headstart.records.vouching import CONFIG, holds_run
from headstart.reports.arms import arms_of
from headstart.reports.formatting import duration, plural
from headstart.reports.records import read_records
from headstart.reports.sentences import opening
from headstart.studies.wording import called
from headstart.studies.wording import sentences as sentences_of
from headstart.tasks.segmentation import MEASURES

_SHEETS = ("curves.png", "predictions.png")
_SHEET_BYTES = 20_000_000


@dataclass(frozen=True)
class About:
    """The records of a run that belong to a network.

    Attributes:
        name: the name to show.
        run: the run's folder; ``None`` for a file without one.
        config: the run's configuration; ``None`` for a file without a run.
        sheets: the run's figures by file name.
        together: whether the networks of a study predict together.
    """

    name: str
    run: Path | None
    config: RunConfig | None
    sheets: Mapping[str, bytes]
    together: bool = False


def find_about(run_or_onnx: Path) -> About:
    """Return the folder, settings and figures of a run, as far as they exist.

    Raises:
        UsageError: the run is a classification.
        DataError: its ``config.json`` is damaged, or the run is a pretext.
    """
    run = run_or_onnx.parent if run_or_onnx.is_file() else run_or_onnx
    name = printable(run_or_onnx.resolve().name)
    if not (run / CONFIG).exists() or not holds_run(run):
        return About(name, None, None, {})
    if holds_study(run / CONFIG):
        return About(name, None, None, {}, together=True)
    config = read_run_config(run / CONFIG)
    if not kind_at(run).predicts_masks:
        message = f"{run} is a classifier ({config.model}); serve shows segmentations only"
        hint = f"use headstart predict {run} PICTURES --out DIR"
        raise UsageError(Finding("is-a-classifier", "error", message, hint))
    existing = [sheet for sheet in _SHEETS if (run / sheet).exists()]
    sheets = {sheet: read_file(run / sheet, run, _SHEET_BYTES) for sheet in existing}
    return About(printable(run.resolve().name), run, config, sheets)


def facts(about: About, segmenter: Segmenter) -> dict[str, Any]:
    """Return everything that the page shows before a picture is given.

    Returns:
        ``name``; ``line``: a description in one line; ``classes``: name and colour of each class,
        with no colour for background; ``min_area``; ``about``: pairs of a name and a value;
        ``sheets``; ``worth``: see [`worth`][headstart.serve.facts.worth].
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
    """Return the run's scores and verdicts.

    Returns:
        ``missing``: why there are none, or empty; then ``told``: the verdict on this run;
        ``study``: the verdict of its study, or ``None``; ``split`` and ``frames``; ``scores``, each
        with the best constant prediction's; ``classes``: the scores by class.
    """
    if about.run is None:
        reason = (
            "The file is not in its run's folder, so its scores are not known. To see them, keep "
            "the file beside the run's config.json and scores.json."
        )
        if about.together:
            reason = "Networks of a study predict together. Its report shows how they score."
        return {"missing": reason}
    try:
        records = read_records(about.run)
        sentences = opening(records, arms_of(records))["sentences"]
    except DataError as error:
        return {"missing": f"The run's scores cannot be read: {_first(error)}."}
    run = records.runs[0]
    scores = run.scores
    return {
        "missing": "",
        "told": sentences,
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
            for name, meaning in MEASURES.meanings
        ],
        "classes": [
            {
                "name": printable(name),
                "frames": row["frames"],
                **{score: row[score] for score in MEASURES.by_class},
                "reason": row.get("reason", ""),
            }
            for name, row in scores["classes"].items()
        ],
    }


def _first(error: DataError) -> str:
    return printable(error.findings[0].message)


def _study(run: Path) -> dict[str, Any] | None:
    """Return the verdict of the study whose run this is (``STUDY/runs/RUN``), or None."""
    run = run.resolve()
    folder = run.parent.parent
    if run.parent.name != "runs" or not (folder / "config.json").exists():
        return None
    try:
        records = read_records(folder)
        if records.study is None:
            return None
        study_opening = opening(records, arms_of(records))
    except DataError as error:
        reason = f"The study cannot be read: {_first(error)}."
        return {"name": printable(folder.name), "missing": reason}
    summary = records.study.summary
    sentences = sentences_of(summary) if summary else []
    return {
        "name": printable(folder.name),
        "missing": "",
        "told": study_opening["sentences"],
        "compared": study_opening["compared"],
        "saved": study_opening["saved"],
        "notes": study_opening["notes"],
        "sentences": [printable(sentence) for sentence in sentences],
    }


def _line(about: About, segmenter: Segmenter) -> str:
    classes = len(segmenter.label_map.names)
    at = "in tiles of" if segmenter.framing == "tile" else "at"
    size = f"{at} {segmenter.size[0]} × {segmenter.size[1]}"
    config = about.config
    if config is None:
        return f"Segmentation into {classes} classes {size} pixels."
    labels = "all labels" if config.labels is None else plural(config.labels, "label")
    network = f"{config.model} of width {config.width} {size}"
    return (
        f"Segmentation into {classes} classes: {network}, {labels}, "
        f"start {printable(called(config.start))}, seed {config.seed}."
    )


def _about(about: About, segmenter: Segmenter) -> list[tuple[str, str]]:
    """Return pairs of a name and a value: network, recipe, start, labels, seed, data."""
    size = f"{segmenter.size[0]} × {segmenter.size[1]}"
    classes = f"{len(segmenter.label_map.names)}, background included"
    sizes = "Tiles" if segmenter.framing == "tile" else "Input size"
    pairs = [("Classes", classes), (sizes, f"{size} pixels (height × width)")]
    if about.config is not None:
        config = about.config
        pairs = [
            ("Network", f"{config.model}, width {config.width}"),
            *pairs,
            ("Start", printable(called(config.start))),
            ("Recipe", f"{config.recipe.name}, {config.recipe.epochs} epochs"),
            ("Labels", "all" if config.labels is None else str(config.labels)),
            ("Seed", str(config.seed)),
            ("Dataset", printable(Path(config.data).name or config.data)),
        ]
        pairs += _history(about)
    if segmenter.min_area:
        rule = f"classes on less than {100 * segmenter.min_area:g} % of a picture are left out"
        pairs.append(("Small areas", rule))
    if segmenter.temperature != 1:
        rule = f"calibrated on validation frames, temperature {segmenter.temperature:.2f}"
        pairs.append(("Probabilities", rule))
    return [*pairs, ("SHA-256", segmenter.digest)]


def _history(about: About) -> list[tuple[str, str]]:
    """Return how long the training took and where it ran; nothing without its records."""
    if about.run is None:
        return []
    try:
        run = read_records(about.run).runs[0]
        labels = run.labelled
        return [
            ("Labelled frames", f"{labels.train} to train, {labels.validation} to validate"),
            ("Training", f"{plural(len(run.history), 'epoch')}, {duration(run.seconds)}"),
            ("Machine", printable(str(run.environment.gpu or run.environment.cpu))),
            ("PyTorch", printable(str(run.environment.versions["torch"]))),
        ]
    except (DataError, KeyError):
        return []
