"""Masks in TIFF files that store white as zero, which are read as they look, not as stored.

ImageJ's *Analyze Particles* makes masks with an inverting lookup table: objects are stored as 255
and shown black. Readers disagree about such a file: image programs and headstart show it, so that
an object is 0; ImageJ's own commands and numerical libraries take the stored number.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from headstart.data.files import open_regular, shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.classes_to_paste import MAPPING, to_paste
from headstart.data.pictures.tiff import WHITE_IS_ZERO, read_directory
from headstart.errors import DataError, Finding

_ENDINGS = (".tif", ".tiff")
_KEEP_NUMBERS = (
    "in ImageJ choose Image > Lookup Tables > Grays, which keeps the stored numbers, and save again"
)


def inverted_masks(masks: Sequence[Path], root: Path, label_map: LabelMap) -> list[Finding]:
    """Return what to say of masks that store white as zero, with at least eight bits.

    Args:
        masks: mask files; only TIFF files are opened, and of these only the directory is read.
        root: the dataset's folder.
        label_map: the classes.

    Returns:
        An error if some masks store white as zero and others do not: the same object then has two
        levels. A warning if all do, and the darkest level is the background. Nothing if the
        background is a brighter level: somebody has seen to it.
    """
    files = [path for path in masks if path.suffix.lower() in _ENDINGS]
    if not files or label_map.colours:
        return []
    with ThreadPoolExecutor() as pool:
        stored = list(pool.map(lambda path: _white_is_zero(path, root), files))
    inverted = [path for path, white in zip(files, stored, strict=True) if white]
    if not inverted:
        return []
    names = tuple(shown(path, root) for path in inverted[:3])
    kind = "TIFF files that store white as zero, as ImageJ writes with an inverting lookup table"
    if len(inverted) < len(masks):
        message = f"{len(inverted)} of {len(masks)} masks are {kind}; the others do not"
        hint = (
            "an object may be 0 in one mask and 255 in another: look at both kinds, and save all "
            f"masks alike; {_KEEP_NUMBERS}"
        )
        return [Finding("inverted-masks", "error", message, hint, names)]
    if label_map.greys[0] != min(label_map.greys):
        return []
    message = (
        f"the masks are {kind}: headstart reads them as they look, so that dark parts are "
        f"{label_map.names[0]}"
    )
    hint = f"look at the sheet of check --out DIR; if the objects are dark there, {_KEEP_NUMBERS}"
    if len(label_map.greys) == 2:
        dark, bright = label_map.greys
        classes = {label_map.names[0]: bright, label_map.names[1]: dark}
        hint += f"; or {to_paste(classes, MAPPING)}"
    return [Finding("inverted-masks", "warning", message, hint, names)]


def _white_is_zero(path: Path, root: Path) -> bool:
    try:
        with open_regular(path, root) as file:
            directory = read_directory(file, shown(path, root), 0)
    except (DataError, OSError):  # whoever decodes it says what is wrong with it
        return False
    return directory.photometric == WHITE_IS_ZERO and min(directory.bits) >= 8
