"""The time that is left for the whole homework, told while its parts are trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from headstart.errors import Finding
from headstart.studies.wording import lasting
from headstart.training.listener import Listener, Row

_PAUSE = 60.0  # seconds between two lines about epochs


class Remaining:
    """A listener that adds the time left to what it forwards.

    What is left is the estimate of the parts that have not begun, and of the current part what its
    estimate leaves; a part that ends early or late corrects the whole when the next begins.

    Args:
        seconds: the estimate of each part, by name, in order.
        listener: receives the events of each training.
        tell: called with each line of progress.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        seconds: Mapping[str, float],
        listener: Listener,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting, self._listener, self._tell, self._clock = (
            dict(seconds),
            listener,
            tell,
            clock,
        )
        self._current, self._began, self._said = 0.0, clock(), clock()
        self._what = ""

    def part(self, *names: str, of: str = "") -> None:
        """Begin one part, or several that are run together; ``of`` describes them."""
        self._current = sum(self._waiting.pop(name, 0.0) for name in names)
        self._began = self._clock()
        self._tell(f"{', '.join(names)}{f', {of}' if of else ''}; {self.left()}")

    def left(self) -> str:
        """Return the time left, in words."""
        rest = max(0.0, self._current - (self._clock() - self._began))
        return f"about {lasting(rest + sum(self._waiting.values()))} left in all"

    def tell(self, line: str) -> None:
        """Tell a line about a finished run, and the time left."""
        self._said = self._clock()
        self._tell(f"{line}; {self.left()}")

    def begins(self, what: str) -> None:
        """Forward the event with the time left, which stands beside the bar."""
        self._what = what
        self._listener.begins(f"{what}; {self.left()}")

    def step(self, done: int, total: int) -> None:
        """Forward the event."""
        self._listener.step(done, total)

    def epoch(self, row: Row, timing: Row) -> None:
        """Forward the event; of slow epochs, tell each."""
        self._listener.epoch(row, timing)
        if self._clock() - self._said >= _PAUSE:
            loss = f"validation loss {row['validation_loss']:.4f}"
            self.tell(f"{self._what}: epoch {row['epoch']}, {loss}")

    def resumed(self, step: int, history: list[Row]) -> None:
        """Forward the event."""
        self._listener.resumed(step, history)

    def finding(self, finding: Finding) -> None:
        """Forward the event."""
        self._listener.finding(finding)
