"""``frames.csv``: everything needed to recompute the scores of a run.

For a segmentation, the counts per frame and class; for a classification, the true and the
predicted class of each picture.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from headstart.errors import DataError, Finding
from headstart.system.spreadsheets import csv_text, text_of

FRAMES = "frames.csv"
"""Name of the file in a run's folder."""
_HEADER = ["frame", "class", "TP", "FP", "FN"]
_ANSWERS = ["frame", "truth", "predicted"]


@dataclass(frozen=True)
class FrameCounts:
    """The content of a ``frames.csv``.

    Attributes:
        frames: frame names.
        names: class names, background first.
        counts: what the task's score is computed from; see [`headstart.scores.pooled`][].
    """

    frames: tuple[str, ...]
    names: tuple[str, ...]
    counts: Int64[np.ndarray, "n k m"]


def frames_csv(
    counts: Int64[np.ndarray, "n k 3"], frames: tuple[str, ...], names: tuple[str, ...]
) -> str:
    """Return CSV text: a header ``frame,class,TP,FP,FN``, then one line per frame and class."""
    rows = (
        [frame, name, *c]
        for frame, per_class in zip(frames, counts.tolist(), strict=True)
        for name, c in zip(names, per_class, strict=True)
    )
    return csv_text([_HEADER, *rows])


def read_frames_csv(content: bytes, path: Path) -> FrameCounts:
    """Read the content of a file written by [`frames_csv`][]; ``path`` is for messages.

    Raises:
        DataError: the file is damaged.
    """
    try:
        header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
        names = tuple(row[1] for row in rows if row[0] == rows[0][0])
        frames = tuple(row[0] for row in rows[:: len(names)])
        counts = np.array([row[2:] for row in rows], dtype=np.int64)
        counts = counts.reshape(len(frames), len(names), 3)
        expected = [(f, n) for f in frames for n in names]
        named = [(row[0], row[1]) for row in rows]
        if header != _HEADER or named != expected or (counts < 0).any():
            raise ValueError
    except (ValueError, OverflowError, IndexError, csv.Error):
        message = f"{path} is damaged: expected one line {','.join(_HEADER)} per frame and class"
        hint = "restore the file from a copy, or delete the run folder and train again"
        raise DataError(Finding("bad-frames", "error", message, hint)) from None
    return FrameCounts(tuple(map(text_of, frames)), tuple(map(text_of, names)), counts)


def answers_csv(
    truth: Int64[np.ndarray, " n"],
    predicted: Int64[np.ndarray, " n"],
    frames: tuple[str, ...],
    names: tuple[str, ...],
) -> str:
    """Return CSV text: a header ``frame,truth,predicted``, then one line per picture."""
    pairs = zip(frames, truth.tolist(), predicted.tolist(), strict=True)
    return csv_text([_ANSWERS, *([f, names[t], names[p]] for f, t, p in pairs)])


def read_answers(content: bytes, path: Path) -> list[tuple[str, str, str]]:
    """Return picture, true and predicted class of each line that [`answers_csv`][] wrote.

    ``path`` is for messages.

    Raises:
        DataError: the file is damaged.
    """
    try:
        header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
        if header != _ANSWERS or not rows or any(len(row) != len(_ANSWERS) for row in rows):
            raise ValueError
    except (ValueError, csv.Error):
        message = f"{path} is damaged: expected one line {','.join(_ANSWERS)} per picture"
        hint = "restore the file from a copy, or delete the run folder and train again"
        raise DataError(Finding("bad-frames", "error", message, hint)) from None
    return [(text_of(frame), text_of(true), text_of(answer)) for frame, true, answer in rows]


def read_answers_csv(content: bytes, path: Path) -> FrameCounts:
    """Read a file written by [`answers_csv`][] as counts ``(n, 1, 2)``: correct, wrong.

    Raises:
        DataError: as [`read_answers`][].
    """
    rows = read_answers(content, path)
    correct = np.array([truth == predicted for _, truth, predicted in rows])
    counts = np.stack([correct, ~correct], axis=1)[:, None].astype(np.int64)
    return FrameCounts(tuple(row[0] for row in rows), ("all",), counts)
