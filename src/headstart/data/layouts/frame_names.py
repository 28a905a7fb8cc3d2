"""Names of frames whose pictures lie in nested folders."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from headstart.data.layouts.pairing import FrameSearch, composed


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
                "several pictures have the same name but for their endings",
                "keep or rename one of them",
                paths,
            )
    return {paths[0]: name for name, paths in by_name.items()}
