"""Names of frames: unique in their split, though pictures in several folders share their stems."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from headstart.data.layouts.name_patterns import outermost_difference
from headstart.data.layouts.pairing import FrameSearch, composed
from headstart.data.pictures.frame import Frame


def frame_names(search: FrameSearch, pictures: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Return a name for each picture: its stem, or its path if stems are not unique.

    Args:
        search: Gets an error if two pictures differ only in their endings.
        pictures: Pictures of one split.
        folder: Contains the pictures. Paths start below it, and their parts are joined by ``-``,
            because names become names of files.
    """
    stems = Counter(composed(path.stem) for path in pictures)
    if all(count == 1 for count in stems.values()):
        return {path: composed(path.stem) for path in pictures}
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in pictures:
        parts = path.relative_to(folder).with_suffix("").parts
        by_name[composed("-".join(parts))].append(path)
    for paths in by_name.values():
        if len(paths) > 1:
            search.add_finding(
                "same-stem",
                "error",
                "several pictures have the same name but for their extensions",
                "keep or rename one of them",
                paths,
            )
    return {paths[0]: name for name, paths in by_name.items()}


def with_unique_names(frames: Iterable[Frame], root: Path) -> tuple[Frame, ...]:
    """Return frames of one split, those that share a name with others under a longer one.

    It begins with their group; if that does not tell them apart, with the folders below ``root``,
    from the outermost that differs. Its parts are joined by ``_``. If all share one name, such as
    ``image``, and each lies in a folder of its own, the folders alone are the name.
    """
    frames = tuple(frames)
    sharing: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        sharing[frame.name].append(frame)
    longer: dict[Path, str] = {}
    for name, same in sharing.items():
        if len(same) == 1:
            continue
        groups = {frame.group for frame in same}
        if len(groups) == len(same) and None not in groups:
            longer |= {f.image: f"{f.group}_{name}".replace("/", "_") for f in same}
            continue
        folders = {f.image: f.image.relative_to(root).parts[:-1] for f in same}
        level = outermost_difference(list(folders.values()))
        told_apart = len(same) == len(frames) and all(parts[level:] for parts in folders.values())
        last = [] if told_apart else [name]
        longer |= {path: "_".join([*parts[level:], *last]) for path, parts in folders.items()}
    return tuple(
        replace(frame, name=longer[frame.image]) if frame.image in longer else frame
        for frame in frames
    )
