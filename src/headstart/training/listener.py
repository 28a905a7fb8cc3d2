"""Listeners for the progress of a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from headstart.errors import Finding

Row = dict[str, Any]


@runtime_checkable
class Listener(Protocol):
    """Receives the events of a training."""

    def begins(self, what: str) -> None:
        """A training begins; ``what`` describes it."""

    def step(self, done: int, total: int) -> None:
        """A step is done; ``total`` is the number of steps without early stopping."""

    def epoch(self, row: Row, timing: Row) -> None:
        """An epoch is done, with its rows for ``metrics.jsonl`` and ``timing.jsonl``."""

    def resumed(self, step: int, history: list[Row]) -> None:
        """The training resumes from a checkpoint at ``step``, after the epochs in ``history``."""

    def finding(self, finding: Finding) -> None:
        """A finding that does not stop the training: a warning, or how the data are read."""


class Silent:
    """A listener that ignores all events."""

    def begins(self, what: str) -> None:
        """Ignore the event."""

    def step(self, done: int, total: int) -> None:
        """Ignore the event."""

    def epoch(self, row: Row, timing: Row) -> None:
        """Ignore the event."""

    def resumed(self, step: int, history: list[Row]) -> None:
        """Ignore the event."""

    def finding(self, finding: Finding) -> None:
        """Ignore the event."""


class After:
    """A listener that forwards all events, and calls a function after each epoch.

    Args:
        listener: hears the events.
        epoch: the function.
    """

    def __init__(self, listener: Listener, epoch: Callable[[], None]) -> None:
        self._listener, self._epoch = listener, epoch
        self.begins, self.step = listener.begins, listener.step
        self.resumed, self.finding = listener.resumed, listener.finding

    def epoch(self, row: Row, timing: Row) -> None:
        """Forward the event, and call the function."""
        self._listener.epoch(row, timing)
        self._epoch()


SILENT: Listener = Silent()
"""The listener that ignores all events."""


def ignore(*_values: object) -> None:
    """Ignore a line, or a step."""
