"""What a verb calls where nobody listens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.training.fit import Listener


def listener_or_silent(listener: Listener | None) -> Listener:
    """Return the listener, or one that ignores everything."""
    from headstart.studies.workers import Silent

    return listener or Silent()


def ignore(*_values: object) -> None:
    """Ignore a line, or a step."""
