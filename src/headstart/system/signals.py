"""Signals that a loop asks about, so that it can save its work before it stops.

One object owns the signals of a process. Whoever asks inside the ``with`` block of another asks the
same object, so a signal that arrives while a run is scored also stops the study around it.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from headstart.errors import Finding, InterruptedRun

_owner: Stopping | None = None


class Stopping:
    """Record SIGINT and SIGTERM inside the ``with`` block, whose value is the signals' owner.

    A second SIGINT is handled as before the block: by default it raises ``KeyboardInterrupt``.

    Args:
        also: other signals that ask to stop.

    Attributes:
        signal: the number of the last signal received; None before one came.

    Example:
        >>> with Stopping() as outer, Stopping() as inner:
        ...     outer is inner, inner.asked()
        (True, False)
    """

    def __init__(self, *also: signal.Signals) -> None:
        self.signal: int | None = None
        self._numbers = (signal.SIGINT, signal.SIGTERM, *also)
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        global _owner  # noqa: PLW0603 - there is one set of signals in a process
        if _owner is not None:
            return _owner
        # Known before the first is replaced: a signal may arrive right after.
        self._previous_handlers = {n: signal.getsignal(n) for n in self._numbers}
        for number in self._previous_handlers:
            signal.signal(number, self._record)  # in another thread: ValueError, nothing is owned
        _owner = self
        return self

    def __exit__(self, *_: object) -> None:
        global _owner  # noqa: PLW0603
        if _owner is not self:
            return
        _owner = None
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def _record(self, number: int, frame: FrameType | None) -> None:
        before = self._previous_handlers[number]
        if self.signal == signal.SIGINT == number:
            if before == signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            elif callable(before):
                before(number, frame)
        self.signal = number

    def asked(self) -> bool:
        """Return whether a signal asked to stop."""
        return self.signal is not None

    def interrupted(self, finding: Finding) -> InterruptedRun:
        """Return the error of work that stopped because a signal asked, with its exit status."""
        assert self.signal is not None
        return InterruptedRun(finding, self.signal)
