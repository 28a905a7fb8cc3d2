"""Pictures and clips without labels, in a folder and its subfolders; or one picture."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from headstart.data.files import PREDICTIONS_MARK, is_junk
from headstart.data.pictures import clip
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import SUFFIXES
from headstart.errors import DataError, Finding

_ENDINGS_SHOWN = 5


@dataclass(frozen=True)
class PictureFolder:
    """What a folder and its subfolders hold.

    Attributes:
        root: the folder.
        frames: its pictures in the order of their paths; a frame's name is the path of its picture
            below ``root`` without the ending, with ``/`` between folders.
        clips: its clips, in the order of their paths.
        passed_over: say how many files were passed over, and why; none if there are none.
    """

    root: Path
    frames: tuple[Frame, ...]
    clips: tuple[Path, ...] = ()
    passed_over: tuple[Finding, ...] = ()


def find_pictures(source: Path, because: str = "only pictures are used") -> PictureFolder:
    """Return ``source`` if it is a picture, or the pictures in it and its subfolders.

    Args:
        source: A picture, or a folder.
        because: Why clips are passed over, in words.

    Raises:
        DataError: There is no picture, or two pictures differ only in their endings.
    """
    folder = without_clips(walk(source), because)
    if not folder.frames:
        raise nothing_to_use(source)
    return folder


def without_clips(folder: PictureFolder, because: str) -> PictureFolder:
    """Return a folder without its clips, which are passed over, too."""
    if not folder.clips:
        return folder
    message = f"passed over {len(folder.clips)} clips, because {because}"
    names = tuple(str(path.relative_to(folder.root)) for path in folder.clips)
    finding = Finding("passed-over", "info", message, files=names)
    return replace(folder, clips=(), passed_over=(*folder.passed_over, finding))


def nothing_to_use(source: Path, or_else: str = "") -> DataError:
    """Return the error of a path where no picture is."""
    message = f"{source} is neither a picture nor a folder with pictures"
    hint = f"expected files that end in {', '.join(SUFFIXES)}, in the folder or below it"
    hint += f"; {or_else}" if or_else else ""
    return DataError(Finding("no-pictures", "error", message, hint))


def walk(source: Path) -> PictureFolder:
    """Find the pictures and clips in a folder and its subfolders. No file is opened.

    Hidden files, what operating systems leave behind, folders of predictions and links to folders
    are passed over, like all files that are neither pictures nor clips.

    Args:
        source: A folder, or one picture, whose folder is then ``root``; a link to a picture is
            followed, because it was named explicitly.

    Raises:
        DataError: A folder cannot be listed, or two pictures differ only in their endings, so that
            their masks would have the same name.
    """
    if not source.is_dir():
        image = source.resolve() if source.is_symlink() else source
        alone = (Frame(source.stem, image),) if source.exists() else ()
        return PictureFolder(image.parent, alone)
    pictures, clips, others = [], [], _Others()
    for parent, folders, names in os.walk(source, onerror=_not_listed):
        folders[:] = [name for name in folders if others.may_enter(Path(parent, name))]
        for name in names:
            path = Path(parent, name)
            if is_junk(name):
                others.note("hidden or left behind by the operating system", path)
            elif path.suffix.lower() in SUFFIXES:
                pictures.append(path)
            elif path.suffix.lower() in clip.SUFFIXES:
                clips.append(path)
            else:
                others.not_pictures[path.suffix.lower() or "no extension"] += 1
                others.paths.append(path)
    named = {path: path.relative_to(source).with_suffix("").as_posix() for path in sorted(pictures)}
    counts = Counter(named.values())
    if same_stem := [p.relative_to(source) for p, name in named.items() if counts[name] > 1]:
        message = "pictures share a name up to the extension, so their masks would too"
        files = tuple(map(str, same_stem))
        raise DataError(Finding("same-stem", "error", message, "rename one of them", files))
    frames = tuple(Frame(name, path) for path, name in named.items())
    return PictureFolder(source, frames, tuple(sorted(clips)), others.findings(source))


def with_flat_names(frames: Iterable[Frame], root: Path) -> tuple[Frame, ...]:
    """Return frames named by their stems, or by their paths with ``-`` where stems are not unique.

    For files that go into one folder.

    Raises:
        DataError: Two frames would still have the same name.
    """
    frames = tuple(frames)
    stems = Counter(PurePath(frame.name).name for frame in frames)
    unique = all(count == 1 for count in stems.values())
    names = [f.name.rpartition("/")[2] if unique else f.name.replace("/", "-") for f in frames]
    counts = Counter(names)
    if same := [f.image for f, name in zip(frames, names, strict=True) if counts[name] > 1]:
        message = "pictures of several folders would get the same name in one folder"
        files = tuple(str(path.relative_to(root)) for path in same)
        raise DataError(Finding("same-stem", "error", message, "rename one of them", files))
    return tuple(Frame(name, frame.image) for name, frame in zip(names, frames, strict=True))


class _Others:
    """Counts what is passed over."""

    def __init__(self) -> None:
        self.not_pictures: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.paths: list[Path] = []

    def note(self, reason: str, path: Path) -> None:
        self.reasons[reason] += 1
        self.paths.append(path)

    def may_enter(self, folder: Path) -> bool:
        if is_junk(folder.name):
            self.note("hidden or left behind by the operating system", folder)
        elif folder.is_symlink():
            self.note("links to folders", folder)
        elif (folder / PREDICTIONS_MARK).is_file():
            self.note("folders of predictions", folder)
        else:
            return True
        return False

    def findings(self, root: Path) -> tuple[Finding, ...]:
        if not self.paths:
            return ()
        reasons = [f"{count} {reason}" for reason, count in sorted(self.reasons.items())]
        if self.not_pictures:
            usual = self.not_pictures.most_common()
            listed = [f"{count} {ending}" for ending, count in usual[:_ENDINGS_SHOWN]]
            listed += ["..."] if len(usual) > _ENDINGS_SHOWN else []
            count = self.not_pictures.total()
            reasons.insert(0, f"{count} neither pictures nor clips ({', '.join(listed)})")
        message = f"passed over {len(self.paths)} files and folders: {'; '.join(reasons)}"
        files = tuple(str(path.relative_to(root)) for path in sorted(self.paths))
        return (Finding("passed-over", "info", message, files=files),)


def _not_listed(error: OSError) -> None:
    message = f"the folder cannot be listed: {error.strerror}"
    hint = "check that you may read it"
    where = (str(error.filename),)
    raise DataError(Finding("unreadable-folder", "error", message, hint, where)) from error
