"""The frames of a run's dataset that need no labels: they have some, or are held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headstart.config.files import read_frame_names, read_run_config
from headstart.config.records import RunConfig
from headstart.data.layouts.dataset import LABELLED, Dataset, pooled
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import Frame
from headstart.errors import DataError, Finding
from headstart.records.run_records import data_folder, looked_for, read_environment
from headstart.runs.records import refuse_changed_data
from headstart.tasks.budgets import LABELS
from headstart.tasks.segmentation import Segmentation


@dataclass(frozen=True)
class KnownFrames:
    """The frames of a run's dataset.

    Attributes:
        learned: frames that the run was trained on; what they show is covered.
        labelled: all training frames with labels, including those outside the run's label budget.
        held_out: validation and test frames.
        root: the folder of the dataset.
        findings: warnings about what could not be found out.
    """

    learned: tuple[Frame, ...]
    labelled: tuple[Frame, ...]
    held_out: tuple[Frame, ...]
    root: Path
    findings: tuple[Finding, ...] = ()


def known_of(run: Path) -> KnownFrames:
    """Return the labelled and held-out frames of a run, as far as its dataset still exists."""
    config = read_run_config(run / "config.json")
    data = data_folder(run, config.data)
    try:
        dataset = open_dataset(data)
    except DataError as e:
        message = (
            f"cannot tell which pictures have labels or are test frames of {run}: "
            f"{e.findings[0].message}"
        )
        if not data.exists():
            message += f"; the dataset is not at {looked_for(run, config.data)}"
        hint = "such pictures may be suggested: move the dataset back"
        return KnownFrames((), (), (), data, (_unknown(message, hint),))
    labelled = dataset.splits.get("train", ())
    held_out = tuple(f for s in ("validation", "test") for f in dataset.splits.get(s, ()))
    if config.fold is not None:  # drawn from all labelled frames, none of which needs labels
        labelled, held_out = pooled(dataset).splits[LABELLED], ()
    findings, learned = [], labelled
    if config.labels is not None or config.fold is not None:
        try:
            names = read_frame_names(run / LABELS)
        except DataError as e:
            names = ()
            message = f"cannot tell which frames {run} learned from: {e.findings[0].message}"
            findings.append(_unknown(message, "suggestions may resemble these frames"))
        learned = tuple(f for f in labelled if f.name in set(names))
        if len(learned) < len(names):
            missing = len(names) - len(learned)
            message = f"{missing} frames that {run} learned from are no longer in {data}"
            findings.append(_unknown(message, "its splits may have changed since"))
    findings += _changed(run, config, dataset)
    return KnownFrames(learned, labelled, held_out, dataset.root, tuple(findings))


def _changed(run: Path, config: RunConfig, dataset: Dataset) -> list[Finding]:
    """Return a warning if the frames of a run are not those it was trained on."""
    hint = "suggestions may be frames that it learned from or was scored on: restore the dataset"
    try:
        before = read_environment(run).data
        now = Segmentation().hashes(dataset, config, run)
    except DataError as e:
        why = e.findings[0].message
        message = f"cannot tell whether the dataset of {run} has changed since training: {why}"
        return [_unknown(message, hint)]
    try:
        refuse_changed_data(run, before, now)
    except DataError as e:  # new labels are a change, too, and no reason to refuse
        return [Finding("data-changed", "warning", e.findings[0].message, hint)]
    return []


def _unknown(message: str, hint: str) -> Finding:
    return Finding("labels-unknown", "warning", message, hint)
