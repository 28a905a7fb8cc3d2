"""The weights of a finished run and what they say about themselves, whatever the task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import DataError, Finding


@dataclass(frozen=True)
class FinishedRun:
    """The content of a run's ``weights.safetensors``.

    Attributes:
        folder: the run's folder.
        weights: the state of the network, on the CPU.
        facts: the metadata that were written with the weights.
        digest: SHA-256 of the file.
    """

    folder: Path
    weights: Mapping[str, Any]
    facts: Mapping[str, Any]
    digest: str

    @property
    def task(self) -> str:
        """The name of the task; the first runs segmented and did not record it."""
        return str(self.facts.get("task", "segmentation"))

    @property
    def network_name(self) -> str:
        """The name of the network, or of the pretext."""
        return str(self.facts.get("pretext", self.facts.get("model")))

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in the order of the network's output."""
        return tuple(self.facts["names"])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width at which the network was trained."""
        height, width = self.facts["size"]
        return height, width


def read_finished_run(folder: Path) -> FinishedRun:
    """Return the weights of a finished run; loads torch.

    Raises:
        DataError: there is no such run, it is not finished, or its weights are damaged.
    """
    path = folder / "weights.safetensors"
    if not folder.is_dir():
        message = f"there is no run folder {folder}"
        raise DataError(Finding("no-run", "error", message, "train one: headstart train DATA"))
    if not path.exists():
        message = f"{folder} holds no weights.safetensors; expected a finished run"
        hint = "give the same train command again: it resumes"
        raise DataError(Finding("no-weights", "error", message, hint))
    from headstart.training.checkpoint import load_weights

    weights, facts = load_weights(path)
    return FinishedRun(folder, weights, facts, hashlib.sha256(path.read_bytes()).hexdigest())
