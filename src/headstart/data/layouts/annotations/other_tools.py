"""Annotation files that headstart does not read, so that its message can say why."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from headstart.data.files import shown
from headstart.data.layouts.annotations.json_heads import (
    deeper_json_files,
    first_files,
    head,
    json_files,
    looks_like_coco,
    looks_like_via,
)
from headstart.errors import Finding

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


def annotations_not_read(root: Path, *, deeper: bool = True) -> Finding | None:
    """Return the error of annotations that are not read: another tool's, or COCO's too deep.

    Args:
        root: a folder that no layout of annotations recognises.
        deeper: whether to look also for files that lie deeper than readers look.
    """
    tables = (root / name for name in first_files(root, (".csv",)))
    below = deeper_json_files(root) if deeper else ()
    of_tool = None
    for path in itertools.chain(json_files(root), tables, below):
        text = head(path, root)
        if looks_like_coco(text):
            return _too_deep(path, root)
        if of_tool is None and (tool := _tool_of(text)) is not None:
            of_tool = tool, path
    return None if of_tool is None else _of_tool(*of_tool, root)


def _tool_of(text: str) -> str | None:
    if looks_like_via(text):
        return _VIA
    return next((tool for tool, signs in _SIGNS if all(sign in text for sign in signs)), None)


def _of_tool(tool: str, path: Path, root: Path) -> Finding:
    file = shown(path, root)
    message = f"{file} is a file of {tool}, which is not read"
    hint = f"in that tool, export the annotations as COCO, and put that file {_place(root)}"
    return Finding("layout", "error", message, hint, (file,))


def _too_deep(path: Path, root: Path) -> Finding:
    file = shown(path, root)
    message = f"{file} is a file of COCO, but too deep in the folder to be read"
    return Finding("layout", "error", message, f"move it {_place(root)}", (file,))


def _place(root: Path) -> str:
    """Return where a file of COCO is found, wherever its pictures are."""
    return f"into {root}; if there are several, put each into the folder that holds its pictures"


def other_annotations(root: Path) -> Path | None:
    """Return a JSON file that seems to hold annotations, of whatever tool; None if none does."""
    paths = json_files(root)
    return next((path for path in paths if _ANNOTATES.search(head(path, root))), None)
