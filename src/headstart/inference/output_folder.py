"""A folder of predictions: only one process writes to it, and nothing else in it is overwritten."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from headstart.data.files import PREDICTIONS_MARK
from headstart.data.pictures.frame import Frame
from headstart.errors import Finding, UsageError
from headstart.system.disk import disk_errors, locked, sweep, write_atomic


@contextlib.contextmanager
def claimed(
    out: Path, weights: str, what: str, digest: str, older: str | None = None
) -> Iterator[None]:
    """Lock ``out`` and mark it as made with these weights from this input.

    The mark is written first, so that the same command can resume after a kill. A folder that is
    refused is not changed.

    Args:
        out: the folder; it is made if it does not exist.
        weights: SHA-256 of the weights.
        what: the kind of input, in one word.
        digest: SHA-256 of the input.
        older: the same as older versions computed it.

    Raises:
        UsageError: ``out`` holds something else.
        LockedError: another process is using ``out``.
        DiskError: it cannot be written.
    """
    made_of, older_mark = (f"weights {weights}\n{what} {d}\n" for d in (digest, older or digest))
    ours = (made_of, older_mark)
    _refuse_others(out, ours, what)
    with locked(out):
        _refuse_others(out, ours, what)  # another process may have written in the meantime
        write_atomic(out / PREDICTIONS_MARK, made_of)
        yield


def _refuse_others(out: Path, made_of: Sequence[str], what: str) -> None:
    with disk_errors(out):
        # A clip that could not be read to its end leaves nothing but the mark.
        ours = (PREDICTIONS_MARK, ".lock")
        files = out.exists() and [
            path
            for path in out.iterdir()
            if ".tmp-" not in path.name and path.name not in ours and not _of_clips(path)
        ]
        mark = out / PREDICTIONS_MARK
        if files and not (mark.exists() and mark.read_text(errors="replace") in made_of):
            these = "these pictures" if what == "pictures" else f"this {what}"
            message = f"{out} is not empty and was not made with these weights from {these}"
            hint = "choose another --out: nothing is overwritten"
            raise UsageError(Finding("not-empty", "error", message, hint))


def _of_clips(path: Path) -> bool:
    """Whether a folder holds only predictions of clips, each in a folder with a mark of its own."""
    if not path.is_dir():
        return False
    return (path / PREDICTIONS_MARK).exists() or (
        any(path.iterdir()) and all(map(_of_clips, path.iterdir()))
    )


@contextlib.contextmanager
def claimed_pictures(
    out: Path, weights: str, frames: Sequence[Frame], folders: Sequence[str]
) -> Iterator[None]:
    """Claim ``out`` as [`claimed`][] for pictures in files, and make ``folders`` in it.

    A frame's name may be a path; its folders are made in each of ``folders``. The pictures are
    known by where they lie as seen from ``out``, so that both can be moved together.

    Raises:
        UsageError, LockedError, DiskError: as [`claimed`][].
    """
    places = [os.path.relpath(frame.image, out) for frame in frames]
    digest, older = map(_digest, (places, [str(frame.image) for frame in frames]))
    with claimed(out, weights, "pictures", digest, older):
        with disk_errors(out):
            parents = sorted({Path(), *(Path(frame.name).parent for frame in frames)})
            for folder in (out / name / parent for name in folders for parent in parents):
                folder.mkdir(parents=True, exist_ok=True)
                sweep(folder)
        yield


def _digest(places: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(map(ascii, places)).encode()).hexdigest()
