"""The dataset behind a report: its faults, its groups, and leaks from pretext pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from headstart.config.files import read_run_config
from headstart.config.records import RunConfig
from headstart.data.layouts.dataset import LABELLED
from headstart.errors import DataError, Finding, printable
from headstart.records.run_records import LeakRecord, data_folder, looked_for
from headstart.records.vouching import CONFIG
from headstart.reports.formatting import listed, plural
from headstart.reports.records import Records, RunRecord
from headstart.studies.counts_of_runs import numbered_groups
from headstart.tasks.lookup import labelled_task, task_named

_GROUPS = {
    "no-groups": "The dataset does not say which video or patient a {unit} comes from. Without "
    "groups, the scores say nothing about new patients.",
    "some-groups": "The dataset does not say which video or patient some {units} come from, so the "
    "scores say nothing about new patients.",
    "group-across-splits": "Some videos or patients are in more than one split: the scores are too "
    "optimistic for new patients.",
}


@dataclass(frozen=True)
class DataCheck:
    """The result of checking the dataset again.

    Attributes:
        missing: why the dataset could not be checked, in words; empty where it could.
        findings: the findings of ``headstart check``.
        groups: the video or patient of each scored frame, as numbers; None where it is not known.
        grouped: whether the dataset says of any frame which video or patient it comes from; None
            where it could not be read.
    """

    missing: str
    findings: tuple[Finding, ...]
    groups: Int64[np.ndarray, " n"] | None
    grouped: bool | None = None


def check_data(records: Records) -> DataCheck:
    """Check the dataset again, if it is still where the settings say.

    Raises:
        DataError: the ``config.json`` of the run whose data are compared is damaged.
    """
    run = records.runs[0].folder if records.runs else records.pretexts[0].folder
    root = data_folder(run, records.config.data)
    measures = task_named(records.config.task).measures
    if not root.is_dir():
        where = printable(looked_for(run, records.config.data))
        missing = f"The data were not at {where} when this report was written."
        return DataCheck(missing, (), None)
    config = _config_of(records)  # a damaged record is no finding about the data
    try:
        dataset = measures.open_to_check(root)
        if config is not None and _other_data(records.runs[0], config, dataset):
            where = printable(str(root))
            missing = f"The data at {where} are not those that these scores were taken on."
            return DataCheck(missing, (), None)
        report = measures.check(dataset)
    except DataError as error:
        if measures.any_folder:
            missing = "The pictures are in a plain folder; there is no dataset to check."
            return DataCheck(missing, (), None)
        return DataCheck("", error.findings, None)
    if config is not None and config.folds is not None:
        task = labelled_task(config.task)
        known = task.groups(task.pooled(dataset), LABELLED)
        grouped = any(group is not None for group in known)
        return DataCheck("", report.findings, numbered_groups(known), grouped)
    grouped = any(g is not None for of_split in report.groups.values() for g in of_split.values())
    return DataCheck("", report.findings, _scored_groups(records, report.groups), grouped)


def _config_of(records: Records) -> RunConfig | None:
    """Return the settings of the first run; None for a pretext, or a run copied without them."""
    path = records.runs[0].folder / CONFIG if records.runs else None
    return read_run_config(path) if path is not None and path.exists() else None


def _other_data(run: RunRecord, config: RunConfig, dataset: Any) -> bool:
    """Whether the frames that a run was scored on, or the meaning of their labels, are others."""
    before = run.environment.data
    try:
        now = labelled_task(config.task).hashes(dataset, config, run.folder)
    except DataError:  # the check names every file that cannot be read
        return False
    scored = config.score if config.folds is None else LABELLED
    return any(before[name] != now[name] for name in (scored, "label map") if name in before)


def _scored_groups(
    records: Records, groups: Mapping[str, Mapping[str, str | None]]
) -> Int64[np.ndarray, " n"] | None:
    """Return the groups of the scored frames, if the dataset still has these frames."""
    if not groups or not records.runs:
        return None
    run = records.runs[0]
    groups_by_frame = groups.get(run.scores["split"], {})
    if [printable(name) for name in groups_by_frame] != list(run.frames.frames):
        return None
    return numbered_groups(list(groups_by_frame.values()))


def data_section(records: Records, data: DataCheck) -> dict[str, Any]:
    """Return what the page says about the data.

    Returns:
        ``missing``; ``groups``: sentences about videos and patients; ``findings`` of the check;
        ``leaks``: unlabelled pictures that are also validation or test frames.
    """
    in_folds = records.config.crossed is not None  # then the test split does not matter
    findings = (f for f in data.findings if not (in_folds and f.code == "small-test-split"))
    return {
        "missing": data.missing,
        "groups": _group_sentences(records, data),
        "findings": [_finding(finding) for finding in findings],
        "leaks": _leaks(records),
    }


def groups_of_verdicts(records: Records) -> int | None:
    """Return the number of groups that a study's verdicts are about; None for frames, or a run."""
    summary = records.study.summary if records.study else None
    return summary.get("groups") if summary else None


def groups_are_lost(records: Records, data: DataCheck) -> bool:
    """Whether a study's verdicts are about groups of frames that the dataset no longer shows."""
    return groups_of_verdicts(records) is not None and data.groups is None


def _group_sentences(records: Records, data: DataCheck) -> list[str]:
    if not records.runs:
        return []
    crossed = records.config.crossed is not None
    measures = task_named(records.config.task).measures
    unit, units = measures.unit, measures.units
    words = {code: text.format(unit=unit, units=units) for code, text in _GROUPS.items()}
    if groups_are_lost(records, data):
        return [
            f"The verdicts are about {groups_of_verdicts(records)} videos or patients. Which "
            f"{unit} comes from which cannot be read here, so scores of single arms have no "
            "intervals, and this report does not know whether the splits keep videos or patients "
            "apart."
        ]
    if data.grouped is None:
        return [
            "This report does not know whether the splits keep videos or patients apart. Without "
            "groups, the scores say nothing about new patients."
        ]
    if not data.grouped:
        return [words["no-groups"]]
    codes = [f.code for f in data.findings if f.code in _GROUPS]
    if crossed:  # folds do not follow the splits of the dataset
        codes = [code for code in codes if code != "group-across-splits"]
    sentences = [words[code] for code in codes]
    if crossed:
        sentences.append(f"The {units} of a video or patient are all in one fold.")
    return sentences or ["No video or patient is in more than one split."]


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity,
        "code": finding.code,
        "message": printable(finding.message),
        "hint": printable(finding.hint),
        "files": [printable(f) for f in finding.files],
    }


def _leaks(records: Records) -> list[dict[str, Any]]:
    """Return the leaks of each set of pretext pictures, with the pretexts that used the set."""
    by_content: dict[LeakRecord, list[str]] = {}
    for pretext in records.pretexts:
        by_content.setdefault(pretext.leaks, []).append(pretext.pretext)
    sections = []
    for leaks, pretexts in by_content.items():
        copies, near = leaks.copies, leaks.near
        files = [*(f"{printable(f)} (identical)" for f in copies), *map(printable, near)]
        sections.append(
            {
                "pretexts": listed(list(dict.fromkeys(pretexts))),
                "words": _leak_sentences(leaks, len(copies), len(near)),
                "files": files,
            }
        )
    return sections


def _leak_sentences(leaks: LeakRecord, copies: int, near: int) -> str:
    pictures = f"{plural(leaks.pictures, 'unlabelled picture')}. "
    if not leaks.compared_with:
        return f"{pictures}The folder has no labelled frames to compare them with."
    if not copies and not near:
        return f"{pictures}None is a copy or near-copy of a validation or test frame."
    counts = f"Copies of validation or test frames: {copies} identical, {near} near-identical. "
    if leaks.dropped:
        return f"{pictures}{counts}They were left out of pre-training."
    return (
        f"{pictures}{counts}They were not left out (--drop-leaks does that), so pre-training has "
        "seen frames that the scores are taken on."
    )
