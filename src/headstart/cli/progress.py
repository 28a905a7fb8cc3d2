"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headstart.errors import Finding

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from headstart.config.records import PretextConfig, RunConfig
    from headstart.studies.costs import Cost


def say(text: str = "") -> None:
    """Print a line on stderr (stdout is for results); if that fails, the work goes on."""
    with contextlib.suppress(OSError):  # a log on a full disk, a terminal that is closed
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def _bar(unit: str) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


class Display:
    """Shows a training: a [`Listener`][headstart.training.fit.Listener].

    Args:
        label: the bar's, until a training says what it is.
        epochs: whether each epoch gets a line.
    """

    def __init__(self, label: str, epochs: bool = True) -> None:
        self._label = label
        self._epochs = epochs
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Display:
        if sys.stderr.isatty():
            self._bar = _bar("steps")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            say(text)

    def tell(self, text: str) -> None:
        """Print a line."""
        self._line(text)

    def forecast(self, config: RunConfig | PretextConfig, cost: Cost) -> None:
        """Print what the training will take."""
        from headstart.cli.forecast import forecast

        for line in forecast(config, cost):
            self._line(line)

    def begins(self, what: str) -> None:
        if self._epochs:
            self._line(what)
        self._label = what
        if self._bar is not None and self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None

    def step(self, done: int, total: int) -> None:
        if self._bar is None:
            return
        if self._task is None:
            self._task = self._bar.add_task(self._label, total=total)
        self._bar.update(self._task, completed=done)

    def epoch(self, row: dict[str, Any], timing: dict[str, Any]) -> None:
        seconds = timing["train_seconds"] + timing["validation_seconds"]
        if not self._epochs:
            return
        dice = f"dice {row['validation_dice']:.4f}  " if "validation_dice" in row else ""
        self._line(
            f"epoch {row['epoch']:3d}  training loss {row['train_loss']:.4f}  validation loss "
            f"{row['validation_loss']:.4f}  {dice}{seconds:.1f} s"
        )

    def resumed(self, step: int, history: list[dict[str, Any]]) -> None:
        self._line(f"Resuming from step {step}, after {len(history)} epochs (checkpoint verified)")

    def finding(self, finding: Finding) -> None:
        self._line(str(finding))


class Counting:
    """Shows how many parts of something are done: a bar on a terminal, else a line now and then.

    Args:
        label: what is worked on.
        unit: of the parts, in the plural.
        seconds: between two lines.
    """

    def __init__(self, label: str, unit: str, seconds: float = 15.0) -> None:
        self._label, self._unit, self._pause = label, unit, seconds
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._first: tuple[float, int] | None = None  # when the first step came, and how many
        self._said = time.monotonic()

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, done: int, total: int | None) -> None:
        """Show how many are done, of about how many where that is known."""
        if sys.stderr.isatty():
            self._draw(done, total)
        else:
            self._say(done, total)

    def _draw(self, done: int, total: int | None) -> None:
        if self._bar is None or self._task is None:
            self._bar = _bar(self._unit)
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=total)
        self._bar.update(self._task, completed=done)

    def _say(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self._first is None:  # what was loaded before it says nothing about the pace
            self._first = (now, done)
        if now - self._said < self._pause:
            return
        self._said = now
        began, done_then = self._first
        if total is None or not done_then < done <= total:
            say(f"{self._label}: {done:,} {self._unit}")
            return
        left = (now - began) / (done - done_then) * (total - done)
        remaining = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
        say(f"{self._label}: {done:,} of {total:,} {self._unit}, about {remaining} left")
