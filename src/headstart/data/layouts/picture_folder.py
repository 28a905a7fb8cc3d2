"""A folder of pictures without labels, or one picture."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from headstart.data.files import is_junk
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import SUFFIXES
from headstart.errors import DataError, Finding


def find_pictures(source: Path, or_else: str = "") -> tuple[Frame, ...]:
    """Return ``source`` if it is a picture, or the pictures directly in it, sorted by name.

    Args:
        source: A picture, or a folder.
        or_else: What else the caller accepts, for the hint if there are no pictures.

    Raises:
        DataError: There is no picture, or two pictures share a stem (so would their masks).
    """
    if source.is_dir():
        paths = sorted(
            p for p in source.iterdir() if p.suffix.lower() in SUFFIXES and not is_junk(p.name)
        )
    else:
        paths = [source] if source.exists() else []
    if not paths:
        message = f"{source} is neither a picture nor a folder with pictures"
        hint = f"expected files ending in {', '.join(SUFFIXES)}, in the folder itself, not below it"
        hint += f"; {or_else}" if or_else else ""
        raise DataError(Finding("no-pictures", "error", message, hint))
    counts = Counter(p.stem for p in paths)
    same_stem = tuple(p.name for p in paths if counts[p.stem] > 1)
    if same_stem:
        message = "pictures share a name up to their ending, so their masks would too"
        raise DataError(Finding("same-stem", "error", message, "rename one of them", same_stem))
    return tuple(Frame(p.stem, p) for p in paths)
