"""How a training is shown: a bar on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headstart.errors import Finding

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def say(text: str = "") -> None:
    """A line of talk, on stderr: stdout is for results. Where nobody can hear it, work goes on."""
    with contextlib.suppress(OSError):  # a log on a full disk, a terminal that is gone
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def _bar(parts: str) -> Progress:
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
        TextColumn(parts),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


class Display:
    """Listens to a training and shows it; see [`Listener`][headstart.training.fit.Listener]."""

    def __init__(self, label: str, epochs: bool = True) -> None:
        self._label = label
        self._epochs = epochs  # whether each gets a line
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._collapsed = 0

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
        """A line of its own."""
        self._line(text)

    def begins(self, what: str) -> None:
        if self._epochs:
            self._line(what)
        self._label, self._collapsed = what, 0
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
        self._collapsed = self._collapsed + 1 if row.get("validation_collapsed") else 0
        if self._collapsed in (3, 30):
            message = (
                f"for {self._collapsed} epochs the model has predicted one class everywhere on "
                "the validation split: it is collapsed so far"
            )
            self.warning(Finding("collapsed", "warning", message))

    def resumed(self, step: int, history: list[dict[str, Any]]) -> None:
        self._line(f"going on from step {step}, after {len(history)} epochs (checksum right)")

    def warning(self, finding: Finding) -> None:
        self._line(str(finding))


class Counting:
    """Shows how far something is that has a number of parts: a bar, or a line now and then."""

    def __init__(self, what: str, parts: str, seconds: float = 15.0) -> None:
        self._what, self._parts, self._pause = what, parts, seconds
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Counting:
        if sys.stderr.isatty():
            self._bar = _bar(self._parts)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, done: int, total: int | None) -> None:
        """So many are done; of about so many, where that is known."""
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task(self._what, total=total)
                self._began = time.monotonic()
            self._bar.update(self._task, completed=done)
            return
        now = time.monotonic()
        if now - self._said < self._pause:
            return
        self._said = now
        if total is None or done > total:
            say(f"{self._what}: {done:,} {self._parts}")
            return
        left = (now - self._began) / done * (total - done)
        remains = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
        say(f"{self._what}: {done:,} of {total:,} {self._parts}, about {remains} remain")
