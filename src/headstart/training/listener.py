"""Who is told how a training goes."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from headstart.errors import Finding

Row = dict[str, Any]


@runtime_checkable
class Listener(Protocol):
    """Told of every step and epoch of a training."""

    def begins(self, what: str) -> None:
        """A training begins; ``what`` says which, in words."""

    def step(self, done: int, total: int) -> None:
        """A step is done, of ``total`` unless the training stops early."""

    def epoch(self, row: Row, timing: Row) -> None:
        """An epoch is done: its lines of ``metrics.jsonl`` and ``timing.jsonl``."""

    def resumed(self, step: int, history: list[Row]) -> None:
        """The training resumes from a checkpoint, with these epochs done."""

    def warning(self, finding: Finding) -> None:
        """Something to know that does not stop the training."""


class Silent:
    """A listener that says nothing."""

    def begins(self, what: str) -> None:
        """Nothing."""

    def step(self, done: int, total: int) -> None:
        """Nothing."""

    def epoch(self, row: Row, timing: Row) -> None:
        """Nothing."""

    def resumed(self, step: int, history: list[Row]) -> None:
        """Nothing."""

    def warning(self, finding: Finding) -> None:
        """Nothing."""


SILENT: Listener = Silent()


def ignore(*_values: object) -> None:
    """Ignore a line, or a step."""
