"""Opening untrusted files: never hangs, reads no device, follows no link out of the dataset.

Links out of the dataset are followed where its ``dataset.toml`` says so: its paths are then of the
type [`FollowedPath`][].
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from headstart.errors import DataError, Finding

MAX_BYTES = 1 << 29  # enough for a picture of 64 million pixels of 8 bytes

_DESCRIPTORS = Path("/proc/self/fd")  # links to the files that this process has open, on Linux
_SAYS_WHERE = _DESCRIPTORS.is_dir()
_MOST_FOLDERS = 100_000  # below a folder whose links are followed

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # PosixPath or WindowsPath: before Python 3.12, Path has no subclasses


class FollowedPath(_Path):
    """A path that may lead out of the dataset by links; paths below it may, too."""


def shown(path: Path, root: Path) -> str:
    """Return the path as findings show it: relative to the dataset if it lies inside.

    >>> shown(Path("data/train/images/a.png"), Path("data"))
    'train/images/a.png'
    """
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def open_regular(path: Path, root: Path, max_bytes: int = MAX_BYTES) -> BinaryIO:
    """Open a regular file that lies inside ``root`` after links are followed, for reading.

    A pipe does not hang and a device is not read: the file is opened without blocking, and its type
    is checked before the first byte is read. The checks are made on the open descriptor, so the
    file cannot be exchanged between check and use.

    Args:
        path: the file.
        root: the folder that links must not leave.
        max_bytes: larger files are refused.

    Raises:
        DataError: the file is missing, unreadable, not a regular file, too large, or outside
            ``root`` though its path is no [`FollowedPath`][]. The error names it.
    """

    def refuse(code: str, message: str, hint: str) -> DataError:
        return DataError(Finding(code, "error", message, hint, (shown(path, root),)))

    try:
        descriptor = _open_inside(path, root)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        reason = (isinstance(error, OSError) and error.strerror) or "symbolic links form a circle"
        raise refuse(
            "unreadable-file",
            f"the file cannot be opened: {reason}",
            "check that it exists and that you may read it",
        ) from error
    if descriptor is None:
        raise DataError(link_leaves((shown(path, root),)))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise refuse(
            "not-a-file",
            "a folder, pipe or device stands where a file is expected",
            "remove it, or put the file in its place",
        )
    if status.st_size > max_bytes:
        os.close(descriptor)
        raise refuse(
            "file-too-large",
            f"the file has {status.st_size:,} bytes, expected at most {max_bytes:,}",
            "check that the file is what its name says",
        )
    return os.fdopen(descriptor, "rb")


def _open_inside(path: Path, root: Path) -> int | None:
    """Open a file without blocking; None if it is outside ``root`` and links are not followed.

    On Linux the file is first opened as a place only, which neither reads nor wakes a device, and
    the kernel says where it is; elsewhere each part of the path is looked at, which takes longer.
    """
    reading = os.O_RDONLY | os.O_NONBLOCK
    if not _SAYS_WHERE:
        real = path.resolve(strict=True)
        return os.open(real, reading | os.O_NOFOLLOW) if _may_be_read(path, real, root) else None
    place = os.open(path, os.O_PATH)
    try:
        at = _DESCRIPTORS / str(place)
        inside = str(at.readlink()).startswith(f"{root.absolute()}/")  # of it no part is a link
        if not inside and not _may_be_read(path, path.resolve(strict=True), root):
            return None
        return os.open(at, reading)
    finally:
        os.close(place)


def _may_be_read(path: Path, real: Path, root: Path) -> bool:
    """Whether a file lies inside ``root``; if links are followed, whether its path does."""
    if isinstance(path, FollowedPath):
        as_written = Path(os.path.normpath(path.absolute()))
        return as_written.is_relative_to(os.path.normpath(root.absolute()))
    return real.is_relative_to(root.resolve())


def link_leaves(files: tuple[str, ...]) -> Finding:
    """Return the error of links that lead out of the dataset."""
    message = "a link leads out of the dataset; only files inside the dataset are read"
    hint = 'replace the link by a copy, or write links = "follow" into dataset.toml'
    return Finding("link-leaves-dataset", "error", message, hint, files)


def walk_links(
    root: Path,
    not_listed: Callable[[OSError], None] | None = None,
    not_entered: Callable[[Path], None] | None = None,
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a folder as ``os.walk`` does, also into folders outside it that links lead to.

    A link back to a folder that it lies in, or to one inside ``root``, is not entered.

    Args:
        root: the folder.
        not_listed: called with the error of each folder that cannot be listed.
        not_entered: called with each link that is not entered.

    Raises:
        DataError: the links lead to too many folders.
    """
    start = os.path.realpath(root)
    entered = {str(root): frozenset({start})}  # by folder, what the links on the way led to
    count = 0
    for parent, folders, names in os.walk(root, onerror=not_listed, followlinks=True):
        on_the_way = entered.pop(parent)
        kept = []
        for name in folders:
            path = os.path.join(parent, name)  # noqa: PTH118 (as os.walk writes it)
            real, linked = os.path.realpath(path), Path(path).is_symlink()
            if real in on_the_way or (linked and _one_in_the_other(real, start)):
                if not_entered is not None:
                    not_entered(Path(path))
                continue
            entered[path] = on_the_way | {real} if linked else on_the_way
            kept.append(name)
        folders[:] = kept
        count += 1
        if count > _MOST_FOLDERS:
            message = f"the links lead to more than {_MOST_FOLDERS:,} folders"
            hint = "let them lead only to the folders of the pictures"
            raise DataError(Finding("too-many-folders", "error", message, hint, (root.name,)))
        yield parent, folders, names


def folders_not_entered(
    root: Path, may_matter: Callable[[str], bool] | None = None
) -> list[Finding]:
    """Return findings about folders below ``root`` whose files nobody reads.

    They are folders that cannot be listed, and links to folders. A link out of ``root`` is an
    error, as that of a file is; in a [`FollowedPath`][] only links back are not followed. Hidden
    folders and folders of predictions are not looked at.

    Args:
        root: the folder.
        may_matter: whether the dataset could have files in a folder, by its path below ``root``;
            None if it could in any.
    """
    outside: list[str] = []
    inside: list[str] = []
    findings: list[Finding] = []
    start, follow = os.path.realpath(root), isinstance(root, FollowedPath)

    def matters(path: Path) -> bool:
        below = path.relative_to(root).as_posix()
        return path == root or may_matter is None or may_matter(below)

    def not_listed(error: OSError) -> None:
        path = Path(str(error.filename))
        if matters(path):
            findings.append(_not_listed(path, root, error))

    def not_entered(path: Path) -> None:
        if not is_junk(path.name) and matters(path):
            leaves = not Path(os.path.realpath(path)).is_relative_to(start)
            (outside if leaves and not follow else inside).append(shown(path, root))

    walk = (
        walk_links(root, not_listed, not_entered) if follow else os.walk(root, onerror=not_listed)
    )
    for parent, folders, names in walk:
        if PREDICTIONS_MARK in names and parent != str(root):
            folders.clear()
        folders[:] = [name for name in folders if not is_junk(name)]
        for path in () if follow else map(partial(Path, parent), folders):
            if path.is_symlink():
                not_entered(path)
    if outside:
        findings.append(link_leaves(tuple(sorted(outside))))
    if inside:
        around = ", or back to a folder that they lie in," if follow else ""
        message = f"{len(inside)} links to folders of the dataset{around} are not followed"
        hint = "if a folder is needed where the link is, replace the link by a copy"
        findings.append(Finding("passed-over", "warning", message, hint, tuple(sorted(inside))))
    return findings


def _one_in_the_other(one: str, other: str) -> bool:
    return Path(one).is_relative_to(other) or Path(other).is_relative_to(one)


def read_file(path: Path, root: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the contents of a regular file inside ``root``.

    Raises:
        DataError: as in [`open_regular`][].
    """
    with open_regular(path, root, max_bytes) as file:
        return file.read()


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key that puts 2 before 10.

    >>> sorted(["a10", "a2", "b1"], key=natural_key)
    ['a2', 'a10', 'b1']
    """
    return tuple(
        (int(part), "") if "0" <= part[:1] <= "9" else (-1, part)
        for part in re.split("([0-9]+)", name)
    )


# Names that begin with a dot are junk too: .DS_Store, ._17.png of macOS, .ipynb_checkpoints.
_JUNK = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin",
         "system volume information", "lost+found", "lost.dir")  # fmt: skip


def is_junk(name: str) -> bool:
    """Whether a name is hidden or of a file that an operating system leaves behind.

    >>> [is_junk(name) for name in (".DS_Store", "._17.png", "Thumbs.db", "__MACOSX", "17.png")]
    [True, True, True, True, False]
    """
    return name.startswith(".") or name.lower() in _JUNK


PREDICTIONS_MARK = "made-of.txt"
"""File in a folder of predictions; such a folder inside a dataset is no part of it."""


def listing(folder: Path, root: Path) -> list[str]:
    """Return the names in a folder in natural order; an empty list if the folder does not exist.

    Names that start with a dot, and what operating systems leave behind, are left out.

    Raises:
        DataError: the folder cannot be listed. The error names it.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(_not_listed(folder, root, error)) from error
    kept = (name for name in names if not is_junk(name))
    return sorted(kept, key=lambda name: (natural_key(name), name))


def _not_listed(folder: Path, root: Path, error: OSError) -> Finding:
    message = f"the folder cannot be listed: {error.strerror}"
    hint = "check that it is a folder and that you may read it"
    return Finding("unreadable-folder", "error", message, hint, (shown(folder, root),))


def merged(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each code and severity, with the files of all its findings.

    If their messages differ, the first five are given, each with its first file.

    >>> a = Finding("empty", "error", "0 bytes", files=("a.png",))
    >>> b = Finding("empty", "error", "0 bytes", files=("b.png",))
    >>> merged([a, b])[0].files
    ('a.png', 'b.png')
    """
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.code, finding.severity), []).append(finding)
    return tuple(_merge(kind) for kind in kinds.values())


def _merge(kind: list[Finding]) -> Finding:
    messages: dict[str, list[str]] = {}
    for finding in kind:
        messages.setdefault(finding.message, []).extend(finding.files)
    first = kind[0]
    message = first.message
    if len(messages) > 1:
        details = []
        for text, files in list(messages.items())[:5]:
            more = f" and {len(files) - 1} more" if len(files) > 1 else ""
            details.append(f"{text} ({files[0]}{more})" if files else text)
        if len(messages) > 5:
            details.append(f"and {len(messages) - 5} more like these")
        message = "; ".join(details)
    named = tuple(dict.fromkeys(file for finding in kind for file in finding.files))
    return Finding(first.code, first.severity, message, first.hint, named)
