"""Signals that a loop asks about, so that it can save its work before it stops."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class Stopping:
    """Record SIGINT and SIGTERM inside the ``with`` block; a second SIGINT stops at once.

    Attributes:
        signal: the number of the last signal received; None before one came.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous_handlers[number] = signal.signal(number, self._record)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def _record(self, number: int, _: FrameType | None) -> None:
        if self.signal == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.signal = number

    def asked(self) -> bool:
        """Return whether a signal asked to stop."""
        return self.signal is not None
