"""The same scored pictures side by side for all arms of a study, one sheet for each budget.

``side-by-side/LABELS.png`` shows, of the run with the median score of each arm, the answers to six
pictures: two on which the arm with the highest mean score is furthest ahead of the others, two on
which it is furthest behind, and two typical ones. ``LABELS.json`` says which runs and pictures they
are. They are written when a study finishes, and again when seeds or arms are added.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from headstart.records.run_records import Record, checked
from headstart.records.vouching import damaged, parse_json, read_record, sealed, unsealed
from headstart.studies.ensembles import has_weights
from headstart.studies.ledger import Ledger
from headstart.studies.plan import Plan
from headstart.studies.wording import called
from headstart.system.disk import disk_errors, json_text, write_atomic
from headstart.tasks.interface import LabelledTask
from headstart.tasks.lookup import labelled_task

SIDE_BY_SIDE = "side-by-side"
AHEAD, BEHIND, TYPICAL = "furthest ahead", "furthest behind", "typical"
_EACH = 2  # pictures of each kind


class _Arm(Record):
    name: str
    run: str
    frames_sha256: str


class _Picture(Record):
    name: str
    why: str


class _Sheet(Record):
    labels: int
    arms: list[_Arm]
    pictures: list[_Picture]
    picture_sha256: str


@dataclass(frozen=True)
class Sheet:
    """A sheet of pictures side by side.

    Attributes:
        labels: its budget.
        arms: names of the arms, the best first, each with the run that stands for it.
        pictures: names of the pictures, each with the reason why it is shown.
        png: the sheet.
    """

    labels: int
    arms: tuple[tuple[str, str], ...]
    pictures: tuple[tuple[str, str], ...]
    png: bytes


def write_side_by_side(planned: Plan, out: Path, ledger: Ledger, stop: Callable[[], bool]) -> None:
    """Draw the sheet of each budget that has none, or one of other runs.

    A budget is left out while an arm has no finished run, or none with its weights.

    Args:
        planned: plan of the study.
        out: folder of the study.
        ledger: its finished runs.
        stop: asked before each sheet.

    Raises:
        DataError, DiskError: as their names say.
    """
    config, task = planned.config, labelled_task(planned.config.task)
    for labels in config.labels:
        arms = _median_runs(planned, out, ledger, labels, task)
        names = [{"name": name, **_identity(line)} for name, line in arms.items()]
        if stop() or len(arms) < len(config.starts) * len(config.tunes) or len(arms) < 2:
            continue
        if not all(has_weights(out / line["run"], config.folds) for line in arms.values()):
            continue
        record = out / SIDE_BY_SIDE / f"{labels}.json"
        drawn = record.exists() and record.with_suffix(".png").exists()
        if drawn and _read(record)["arms"] == names:
            continue
        counts = [task.read_counts(out / line["run"]) for line in arms.values()]
        scores = np.stack([task.score.of_frames(each.counts) for each in counts])
        leader = next(iter(arms))
        why = {AHEAD: f"{leader} is {AHEAD}", BEHIND: f"{leader} is {BEHIND}", TYPICAL: TYPICAL}
        chosen = [(counts[0].frames[i], why[kind]) for kind, i in choose(scores)]
        if not chosen:
            continue
        runs = {name: out / line["run"] for name, line in arms.items()}
        headings = {name: f"{name}: {reason}" for name, reason in chosen}
        png = task.side_by_side(planned.dataset, runs, headings, out / "cache")
        with disk_errors(record.parent):
            record.parent.mkdir(exist_ok=True)
        content = {
            "labels": labels,
            "arms": names,
            "pictures": [{"name": name, "why": reason} for name, reason in chosen],
            "picture_sha256": hashlib.sha256(png).hexdigest(),
        }
        record.unlink(missing_ok=True)  # or it would name another picture, if this is killed
        write_atomic(record.with_suffix(".png"), png)
        write_atomic(record, json_text(sealed(content)))


def choose(scores: Float64[np.ndarray, "a n"]) -> list[tuple[str, int]]:
    """Choose pictures that show where arms differ, for and against the first, and typical ones.

    Args:
        scores: of each arm, the best first, on each picture; NaN where nothing is there to find
            and nothing was found. If another arm found something there, that counts as 1.

    Returns:
        The kind and the index of each picture; each picture at most once.

    >>> choose(np.array([[0.9, 0.2, 0.7, 0.6, 0.5, 0.5], [0.1, 0.8, 0.6, 0.7, 0.5, 0.5]]))
    ... # doctest: +NORMALIZE_WHITESPACE
    [('furthest ahead', 0), ('furthest ahead', 2), ('furthest behind', 1), ('furthest behind', 3),
     ('typical', 4), ('typical', 5)]
    """
    seen = np.flatnonzero(~np.isnan(scores).all(0))
    if not len(seen):
        return []
    known = np.nan_to_num(scores[:, seen], nan=1.0)
    lead = known[0] - known[1:].mean(0)
    order = [int(i) for i in np.argsort(-lead, kind="stable")]
    ahead = [i for i in order if lead[i] > 0][:_EACH]
    behind = [i for i in reversed(order) if lead[i] < 0][:_EACH]
    level = np.abs(known.mean(0) - np.median(known.mean(0))) + np.abs(lead - np.median(lead))
    rest = [int(i) for i in np.argsort(level, kind="stable") if i not in (*ahead, *behind)]
    kinds = ((AHEAD, ahead), (BEHIND, behind), (TYPICAL, rest[:_EACH]))
    return [(kind, int(seen[i])) for kind, chosen in kinds for i in chosen]


def read_sheets(out: Path, labels: Sequence[int]) -> list[Sheet]:
    """Return the sheets of a study, in the order of these budgets.

    Raises:
        DataError: a record is damaged, or a picture is not the one that was drawn.
    """
    sheets = []
    for budget in labels:
        path = out / SIDE_BY_SIDE / f"{budget}.json"
        picture = path.with_suffix(".png")
        if not path.exists() or not picture.exists():
            continue
        record = _Sheet.model_validate(_read(path))
        png = picture.read_bytes()
        if hashlib.sha256(png).hexdigest() != record.picture_sha256:
            raise damaged(picture, f"it is not the picture that {path.name} names")
        arms = tuple((arm.name, arm.run) for arm in record.arms)
        pictures = tuple((each.name, each.why) for each in record.pictures)
        sheets.append(Sheet(record.labels, arms, pictures, png))
    return sheets


def _read(path: Path) -> dict[str, Any]:
    content = unsealed(parse_json(read_record(path.parent, path.name), path), path)
    checked(content, _Sheet, path)
    return content


def _median_runs(
    planned: Plan, out: Path, ledger: Ledger, labels: int, task: LabelledTask
) -> dict[str, dict[str, Any]]:
    """Return the ledger's line of each arm's median run by the arm's name, the best arm first."""
    several, starts = len(planned.config.tunes) > 1, planned.config.starts
    alike = Counter(map(called, starts))  # files in different folders may share a name
    arms = []
    for start, tune in product(starts, planned.config.tunes):
        key = {"start": start, "tune": tune, "labels": labels}
        lines = [line for line in ledger.values() if {k: line[k] for k in key} == key]
        if not lines:
            continue
        scores = {
            line["run"]: task.read_scores(out / line["run"])[task.score.name] or 0.0
            for line in lines
        }
        lines.sort(key=lambda line: (scores[line["run"]], line["seed"]))
        name = called(start) if alike[called(start)] == 1 else start
        name += f", tune {tune}" if several else ""
        mean = sum(scores.values()) / len(scores)
        arms.append((mean, name, lines[(len(lines) - 1) // 2]))
    return {name: line for _, name, line in sorted(arms, key=lambda arm: -arm[0])}


def _identity(line: dict[str, Any]) -> dict[str, str]:
    return {"run": line["run"], "frames_sha256": line["frames_sha256"]}
