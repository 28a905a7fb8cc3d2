"""``study.json``: the finished runs of a study, their comparisons, and labels saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from headstart.records.run_records import Record, checked
from headstart.records.vouching import STUDY, parse_json, read_record, sealed, unsealed
from headstart.system.disk import json_text, write_json


class _Row(Record):
    start: str
    tune: str


class _Run(_Row):
    run: str
    labels: int
    seed: int
    scores: dict[str, Any]


class _Compared(_Row):
    against: str
    labels: int
    metric: str
    difference: float
    low: float | None
    high: float | None
    level: float
    among: int
    seeds: int
    verdict: str
    margin: float | None = None
    better_on_another_seed: float | None = None
    seeds_needed: int | None = None
    frames_needed: int | None = None


class _Saved(_Row):
    against: str
    labels: int
    smallest: int
    reaches: float | None
    low: float | None
    high: float | None
    seeds: int
    level: float | None = None


class _Together(_Row):
    labels: int
    seeds: int
    scores: dict[str, Any]
    difference: float
    low: float | None
    high: float | None


class _Best(_Row):
    labels: int
    score: float
    chance: float


class _Look(Record):
    number: int
    seeds: list[int]
    planned: int
    needed: int
    most: int | None
    error: float
    total: float


class _Summary(Record):
    model_config = ConfigDict(extra="forbid")  # such as a damaged name of the record's own hash

    schema_: int = Field(alias="schema")
    records: list[_Run]
    classes: dict[str, Any] | None
    groups: int | None = None
    comparisons: list[_Compared]
    labels_saved: list[_Saved]
    look: _Look | None = None
    best: list[_Best] = Field(default_factory=list)
    together: list[_Together] = Field(default_factory=list)


def write_summary(out: Path, summary: dict[str, Any]) -> None:
    """Write ``study.json`` with the hash of its content.

    Raises:
        DiskError: it cannot be written.
    """
    write_json(out / STUDY, sealed(summary))


def is_written(out: Path, summary: dict[str, Any]) -> bool:
    """Return whether ``study.json`` holds this summary, byte for byte."""
    path = out / STUDY
    return path.is_file() and path.read_bytes() == json_text(sealed(summary)).encode()


def read_summary(out: Path) -> dict[str, Any]:
    """Return the content of ``study.json``.

    Raises:
        DataError: it is missing or damaged.
    """
    path = out / STUDY
    summary = unsealed(parse_json(read_record(out, STUDY), path), path)
    checked(summary, _Summary, path)
    return summary
