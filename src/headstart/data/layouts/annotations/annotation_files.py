"""What readers of annotation formats share: JSON files, and the pictures that annotations name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from headstart.data.files import is_junk, read_file, shown
from headstart.data.layouts.pairing import composed
from headstart.data.pictures.reading import SUFFIXES
from headstart.errors import DataError, Finding

MAX_BYTES = 1 << 27
"""The largest annotation file: 128 MiB, some hundred thousand polygons."""


def read_json(path: Path, root: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: the file cannot be read, is larger than [`MAX_BYTES`][], or is not JSON.
    """
    content = read_file(path, root, MAX_BYTES)
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        message = f"the annotation file is not valid JSON: {reason}"
        hint = "export it again from the annotation tool"
        where = (shown(path, root),)
        raise DataError(Finding("bad-annotations", "error", message, hint, where)) from None


def bad_annotations(message: str, hint: str, path: Path, root: Path) -> DataError:
    """Return the error of an annotation file that is not what its format promises."""
    return DataError(Finding("bad-annotations", "error", message, hint, (shown(path, root),)))


def no_pictures(named: str, path: Path, root: Path) -> DataError:
    """Return the error of an export without its pictures.

    Args:
        named: a picture that the annotations name.
        path: the annotation file that names it.
        root: the dataset's folder.
    """
    message = f"the folder holds annotations but no pictures; they mention {named[:200]}"
    hint = "put the pictures into the folder: tools often export annotations without them"
    return DataError(
        Finding("export-without-pictures", "error", message, hint, (shown(path, root),))
    )


def holds_pictures(folder: Path) -> bool:
    """Return whether a folder, or a folder in it, holds a file with the ending of a picture."""
    return any(True for _ in _pictures(folder))


class PicturesByName:
    """Finds the pictures that annotations name, in a folder and its subfolders.

    Annotation tools write a path relative to the export, a path of another machine, or the file's
    name alone. So the longest end of the named path that leads to one picture of the folder is
    taken. ``p1/7.png`` is not the ``7.png`` of another patient, though: not where pictures in
    ``p1`` and in the other folder have the same names. A path never leads out of the folder.
    """

    def __init__(self, folder: Path) -> None:
        """List the pictures in a folder."""
        self.folder = folder
        self.pictures = sorted(_pictures(folder))
        self._by_path = {
            composed(path.relative_to(folder).as_posix()): path for path in self.pictures
        }
        self._names: dict[str, set[str]] = {}  # of the pictures in each folder
        for name in self._by_path:
            parent, _, file = name.rpartition("/")
            self._names.setdefault(parent, set()).add(file)
        self._by_end: dict[str, Path | None] = {}  # None where several pictures end so
        self._by_file: dict[str, list[Path]] = {}  # filled when it is needed
        for name, path in self._by_path.items():
            while name:
                self._by_end[name] = None if name in self._by_end else path
                name = name.partition("/")[2]

    def like(self, name: str) -> list[Path]:
        """Return the pictures whose files are called as the one that a name or path means."""
        if not self._by_file:
            for path in self.pictures:
                self._by_file.setdefault(composed(path.name), []).append(path)
        return self._by_file.get(PurePosixPath(composed(name).replace("\\", "/")).name, [])

    def why_not(self, name: str) -> str:
        """Return why [`find`][] finds no picture: there is none, or several fit."""
        like = self.like(name)
        if len(like) == 1:  # in the folder of another split, or patient
            return f"only {shown(like[0], self.folder)} has this name, in another folder"
        if like:
            first, second = (shown(path, self.folder) for path in like[:2])
            such_as = ", such as" if like[2:] else ":"
            return f"{len(like)} pictures have this name{such_as} {first} and {second}"
        return "there is no such picture"

    def find(self, name: str) -> Path | None:
        """Return the picture that a name or path means; None if there is none, or several fit."""
        parts = PurePosixPath(composed(name).replace("\\", "/")).parts
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            if path := self._by_path.get(end) or self._by_end.get(end):
                alone = start == len(parts) - 1 > 0
                return None if alone and self._numbered_alike(parts[-2], path) else path
        return None

    def _numbered_alike(self, folder: str, path: Path) -> bool:
        """Whether pictures in a folder of this name are called as those beside a picture."""
        parent = composed(path.parent.relative_to(self.folder).as_posix()).removeprefix(".")
        beside = self._names[parent]
        return any(
            names & beside
            for other, names in self._names.items()
            if other != parent and other.rpartition("/")[2] == folder
        )


def _pictures(folder: Path) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_junk(name)]
        yield from (
            Path(parent, name)
            for name in names
            if Path(name).suffix.lower() in SUFFIXES and not is_junk(name)
        )
