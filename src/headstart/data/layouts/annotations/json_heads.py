"""Which JSON files a folder holds, and what their first bytes show of their format.

Recognising a format looks at a few files. Reading it lists every file.
"""

from __future__ import annotations

import heapq
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from headstart.data.files import is_junk, natural_key, open_regular
from headstart.data.layouts.name_patterns import usual_split
from headstart.errors import DataError, Finding

_HEAD = 1 << 16
_FOLDERS = 256  # subfolders of one folder that are looked into to recognise a format
_FILES = 12  # files of one folder that are opened for it
_MOST_NAMES = 1_000_000  # in the folders whose files are all listed
_DEPTH = 6  # folders above a JSON file that lies beside its picture
_FILES_BELOW = 2  # files of one deeper folder that are opened
_OPENED_BELOW = 64  # files of all deeper folders that are opened
_NAMES_BELOW = 50_000  # names in deeper folders that are read
_HOLDERS = ("annotations", "annotation", "labels", "label", "json", "jsons", "images", "data")


def head(path: Path, root: Path) -> str:
    """Return the first 64 KiB of a file as text; empty if it cannot be opened."""
    try:
        with open_regular(path, root, 1 << 62) as file:
            return file.read(_HEAD).decode("utf-8-sig", "replace").lstrip()
    except (DataError, OSError):
        return ""


def json_files(root: Path, *, every: bool = False) -> Iterator[Path]:
    """Return JSON files of a folder and the folders in it, in natural order.

    Folders named like a split, or as annotation tools name theirs, are looked into one level
    deeper; in all others only folders named as tools name theirs are. A folder with a
    ``mapping.json`` has none: it is one of the layouts of masks.

    Args:
        root: the folder.
        every: return every file, as reading a format needs; else the first few files of the first
            few hundred folders, which show the format.

    Raises:
        DataError: there are more than a million names, and ``every`` file is asked for.
    """
    if (root / "mapping.json").exists():
        return
    read = 0
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        names, folders, count = _names(folder, every=every)
        read += count
        if every and read > _MOST_NAMES:
            raise _too_many_names(root)
        yield from (folder / name for name in names)
        if depth < 2:
            enters_all = depth == 0 or bool(usual_split(folder.name)) or _is_holder(folder.name)
            deeper = [name for name in folders if enters_all or _is_holder(name)]
            waiting += [(folder / name, depth + 1) for name in reversed(deeper)]


def deeper_json_files(root: Path) -> Iterator[Path]:
    """Return a few JSON files from two or more folders below a folder, the nearest first.

    They are those of formats that keep a file beside each picture, in folders of patients and
    sequences; a file whose name has no number comes first, because it may be of all pictures. Few
    files are opened and a bounded number of names is read, however many there are.
    """
    if (root / "mapping.json").exists():
        return
    waiting = deque((root / folder, 1) for folder in _names(root)[1])
    read = opened = 0
    while waiting and read < _NAMES_BELOW and opened < _OPENED_BELOW:
        folder, depth = waiting.popleft()
        names, folders, count = _names(folder, order=_plain_first)
        read += count if depth > 1 else 0
        if depth > 1:
            opened += len(names[:_FILES_BELOW])
            yield from (folder / name for name in names[:_FILES_BELOW])
        if depth < _DEPTH:
            waiting.extend((folder / name, depth + 1) for name in folders)


def first_files(folder: Path, endings: tuple[str, ...]) -> list[str]:
    """Return the names of the first files of a folder with some endings, in natural order."""
    return _names(folder, endings)[0]


def every_file(folder: Path, endings: tuple[str, ...]) -> list[str]:
    """Return the names of all files of a folder with some endings, in natural order."""
    return _names(folder, endings, every=True)[0]


def subfolders(folder: Path, *, every: bool = False) -> list[str]:
    """Return the names of the folders in a folder, those named as tools name theirs first.

    Args:
        folder: the folder.
        every: return all names; else the first few hundred.
    """
    return _names(folder, every=every)[1]


def _natural(name: str) -> tuple[Any, str]:
    return natural_key(name), name


def _plain_first(name: str) -> tuple[bool, Any, str]:
    return any(map(str.isdigit, name)), *_natural(name)


def _names(
    folder: Path,
    endings: tuple[str, ...] = (".json",),
    *,
    every: bool = False,
    order: Callable[[str], Any] = _natural,
) -> tuple[list[str], list[str], int]:
    """Return files with some endings, folders, and how many names there are."""
    files, folders, count = [], [], 0
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries, 1):  # noqa: B007
                if is_junk(entry.name):
                    continue
                if entry.name.lower().endswith(endings):
                    files.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
    except OSError:
        return [], [], 0
    return (
        heapq.nsmallest(len(files) if every else _FILES, files, key=order),
        heapq.nsmallest(len(folders) if every else _FOLDERS, folders, key=_order),
        count,
    )


def _too_many_names(root: Path) -> DataError:
    message = f"{root} and the folders in it hold more than {_MOST_NAMES:,} files and folders"
    hint = "give the folder of the dataset alone, or split it into several datasets"
    return DataError(Finding("too-many-folders", "error", message, hint))


def _is_holder(name: str) -> bool:
    return name.lower() in _HOLDERS


def _order(name: str) -> tuple[bool, str]:
    return not (usual_split(name) or _is_holder(name)), name


def looks_like_coco(text: str) -> bool:
    """Return whether the head of a file is that of COCO's JSON.

    >>> looks_like_coco('{"images": [], "annotations": [], "categories": []}')
    True
    """
    if not re.match(r'\{\s*"(info|licenses|images|annotations|categories|type)"', text):
        return False
    keys = {key for key in ("images", "annotations", "categories") if f'"{key}"' in text}
    details = any(f'"{key}"' in text for key in ("file_name", "image_id", "supercategory"))
    return len(keys) >= 2 or bool(keys and details)


def looks_like_via(text: str) -> bool:
    """Return whether the head of a file is that of a project of the VGG Image Annotator.

    >>> looks_like_via('{"a.png9": {"filename": "a.png", "regions": [{"shape_attributes": {}}]}}')
    True
    """
    project = '"_via_img_metadata"' in text or '"_via_settings"' in text
    return text.startswith("{") and (project or ('"regions"' in text and '"filename"' in text))


def looks_like_labelme(text: str) -> bool:
    """Return whether the head of a file is that of labelme's JSON.

    >>> looks_like_labelme('{"version": "5.5.0", "flags": {}, "shapes": [], "imagePath": "a.jpg"}')
    True
    """
    if not text.startswith("{"):
        return False
    details = any(f'"{key}"' in text for key in ("imagePath", "shape_type", "points"))
    return ('"shapes"' in text and details) or ('"imageData"' in text and '"flags"' in text)


def looks_like_label_studio(text: str) -> bool:
    """Return whether the head of a file is that of Label Studio's JSON.

    >>> looks_like_label_studio('[{"id": 1, "annotations": [{"id": 2, "result": []}]}]')
    True
    """
    if not re.match(r"\[\s*\{", text):
        return False
    has_annotations = any(f'"{key}"' in text for key in ("annotations", "completions"))
    return has_annotations and any(
        f'"{key}"' in text for key in ("result", "data", "was_cancelled")
    )
