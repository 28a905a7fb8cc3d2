"""Signals as a question, so that what is under way can be saved or taken away."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class Stopping:
    """Turns SIGINT and SIGTERM into a question the loop asks; a second SIGINT ends at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.signal == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.signal = number

    def asked(self) -> bool:
        """Whether a signal came."""
        return self.signal is not None
