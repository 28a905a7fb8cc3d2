"""What is to be said of the dataset itself, where it is still there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from headstart.data.checks.classification import check_classes
from headstart.data.checks.segmentation import check_dataset
from headstart.data.layouts.folders import open_dataset
from headstart.errors import DataError, Finding, printable
from headstart.report.read import Records
from headstart.studies.verdicts import numbered_groups
from headstart.training.config import PretextConfig


@dataclass(frozen=True)
class Seen:
    """What a look at the dataset gave.

    Attributes:
        missing: why it could not be looked at, in words; empty where it could.
        findings: of ``headstart check``.
        groups: which video or patient each scored frame comes from; None where it is not known.
    """

    missing: str
    findings: tuple[Finding, ...]
    groups: Int64[np.ndarray, " n"] | None


def look(records: Records) -> Seen:
    """Checks the dataset again, if it is where the configuration says."""
    root = Path(records.config.data)
    if not root.is_dir():
        return Seen(f"The data were not at {printable(str(root))} when this was written.", (), None)
    try:
        if records.config.task == "classification":
            return Seen("", check_classes(root).findings, None)
        findings = check_dataset(root).findings
        groups = _groups(records)
    except DataError as error:
        if isinstance(records.config, PretextConfig):  # any folder of pictures will do for one
            return Seen("The pictures are in a folder that is no dataset.", (), None)
        return Seen("", error.findings, None)
    return Seen("", findings, groups)


def _groups(records: Records) -> Int64[np.ndarray, " n"] | None:
    if isinstance(records.config, PretextConfig):
        return None
    frames = open_dataset(Path(records.config.data)).splits.get(records.config.score, ())
    scored = records.runs[0].frames.frames
    if [printable(frame.name) for frame in frames] != list(scored):
        return None
    return numbered_groups([frame.group for frame in frames])
