"""How a training is shown: a bar on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headstart.errors import Finding

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def say(text: str = "") -> None:
    """A line of talk, on stderr: stdout is for results."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


class Display:
    """Listens to a training and shows it; see [`Listener`][headstart.fit.Listener]."""

    def __init__(self, label: str, epochs: bool = True) -> None:
        self._label = label
        self._epochs = epochs  # whether each gets a line
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._collapsed = 0

    def __enter__(self) -> Display:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("steps"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
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
