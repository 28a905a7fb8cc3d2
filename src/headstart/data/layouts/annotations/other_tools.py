"""Annotation files that headstart does not read, so that its message can name their tool."""

from __future__ import annotations

import re
from pathlib import Path

from headstart.data.layouts.annotations.json_heads import (
    first_files,
    head,
    json_files,
    looks_like_via,
)

_VIA = "the VGG Image Annotator (VIA)"

# What the head of a file holds, all of one tuple; no other format has these together.
_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (_VIA, ("filename,", "region_shape_attributes")),
    ("Supervisely", ('"classTitle"',)),
    ("Supervisely", ('"classId"', '"objects"', '"tags"')),
    ("V7 Darwin", ('"schema_ref"', "darwin")),
    ("V7 Darwin", ('"dataset"', '"image"', '"annotations"', '"polygon"', '"path"')),
    ("Labelbox", ('"data_row"', '"projects"')),
    ("Labelbox", ('"Labeled Data"', '"Label"')),
    ("SuperAnnotate", ('"metadata"', '"instances"', '"className"')),
    ("VoTT", ('"asset"', '"regions"', '"tags"')),
)
_ANNOTATES = re.compile(
    r'"(annotations?|bbox|geometry|instances|objects|points|polygons?|regions|segmentations?|'
    r'shapes)"'
)


def other_tool(root: Path) -> tuple[str, Path] | None:
    """Return the tool whose files a folder holds, and one of them; None if none is known."""
    tables = (root / name for name in first_files(root, (".csv",)))
    for path in (*json_files(root), *tables):
        text = head(path, root)
        if looks_like_via(text):
            return _VIA, path
        for tool, signs in _SIGNS:
            if all(sign in text for sign in signs):
                return tool, path
    return None


def other_annotations(root: Path) -> Path | None:
    """Return a JSON file that seems to hold annotations, of whatever tool; None if none does."""
    paths = json_files(root)
    return next((path for path in paths if _ANNOTATES.search(head(path, root))), None)
