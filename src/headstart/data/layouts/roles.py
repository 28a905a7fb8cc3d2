"""Which kinds of files are the pictures, which the masks, and which are left out.

The pixels of a few files say it ([`headstart.data.layouts.contents`][]); where two kinds show the
same, their names do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headstart.data.layouts.arrangements import Arrangement
from headstart.data.layouts.contents import Look, colours_in, content_of, overlap
from headstart.data.layouts.name_patterns import ordinal_free
from headstart.errors import DataError, Finding

_PICTURE_NAMES = ("images", "image", "imgs", "img", "pictures", "original", "originals", "rgb")
_MORE_COLOURS = 4  # times as many as masks have
_SAME_OBJECTS = 0.4  # mean Jaccard index from which on two masks show the same objects


@dataclass(frozen=True)
class Roles:
    """What the kinds of an arrangement are.

    Attributes:
        pictures: the kind that holds the pictures.
        masks: the kinds that hold masks: one, or one for each class.
        left_out: other kinds that pair, each with the reason.
        regions: those of them that are nearly the same for every picture.
    """

    pictures: str
    masks: tuple[str, ...]
    left_out: dict[str, str]
    regions: tuple[str, ...] = ()


def find_roles(arrangement: Arrangement, root: Path, look: Look) -> Roles | None:
    """Return what the kinds are; None if no kind holds pictures, or none masks.

    Args:
        arrangement: files by kind.
        root: folder of the dataset, for messages.
        look: decodes a file.

    Raises:
        DataError: two kinds could equally be the pictures or the masks.
    """
    contents = {kind: content_of(arrangement.files(kind), look) for kind in arrangement.kinds}
    pictures = [kind for kind, content in contents.items() if content == "picture"]
    labels = [kind for kind, content in contents.items() if content == "labels"]
    regions = [kind for kind, content in contents.items() if content == "region"]
    labels, regions = (labels, regions) if labels else (regions, [])
    if not pictures and len(labels) == 2:  # dark pictures with flat backgrounds look like labels
        fewer, more = sorted(labels, key=lambda kind: colours_in(arrangement.files(kind), look))
        colours = [colours_in(arrangement.files(kind), look) for kind in (fewer, more)]
        if colours[1] >= _MORE_COLOURS * colours[0]:
            pictures, labels = [more], [fewer]
    paired = [p for p in pictures if any(_common(arrangement, p, kind) for kind in labels)]
    labels = [kind for kind in labels if any(_common(arrangement, p, kind) for p in paired)]
    if not paired or not labels:
        return None
    picture_kind = _only(paired, _PICTURE_NAMES, "pictures", root)
    left_out = dict.fromkeys((p for p in paired if p != picture_kind), "it holds other pictures")
    left_out |= dict.fromkeys(regions, "it is nearly the same for every picture: a field of view?")
    masks, observers = _masks(arrangement, labels, root, look)
    left_out |= dict.fromkeys(observers, "it shows the same objects again: a second observer?")
    return Roles(picture_kind, masks, left_out, tuple(regions))


def _common(arrangement: Arrangement, one: str, other: str) -> int:
    parts = arrangement.kinds[one].keys() & arrangement.kinds[other].keys()
    return sum(
        len(arrangement.kinds[one][part].keys() & arrangement.kinds[other][part].keys())
        for part in parts
    )


def _only(kinds: list[str], preferred: tuple[str, ...], what: str, root: Path) -> str:
    """Return the only kind, or the one with a usual name.

    Raises:
        DataError: several kinds fit equally.
    """
    if len(kinds) == 1:
        return kinds[0]
    usual = [kind for kind in kinds if kind.lower().strip("_-. ") in preferred]
    if len(usual) == 1:
        return usual[0]
    listed = " and ".join(kind or "the folder itself" for kind in sorted(kinds))
    message = f"{listed} could equally be the {what}"
    hint = f'say which in dataset.toml, for example {what} = "{sorted(kinds)[0]}/{{name}}.*"'
    raise DataError(Finding("two-readings", "error", message, hint, (root.name,)))


def _masks(
    arrangement: Arrangement, labels: list[str], root: Path, look: Look
) -> tuple[tuple[str, ...], list[str]]:
    """Return the kinds of the masks, and those that show the same objects again.

    Several kinds of masks are one for each class where they show other pixels.

    Raises:
        DataError: two kinds show the same objects, and their names do not say which comes first.
    """
    if len(labels) == 1:
        return (labels[0],), []
    first, *others = sorted(labels)
    again = [k for k in others if _overlap(arrangement, first, k, look) >= _SAME_OBJECTS]
    if not again:
        return tuple(sorted(labels)), []
    if len(again) == len(others) and len({ordinal_free(kind) for kind in labels}) == 1:
        return (first,), again
    return (_only(labels, ("masks", "mask", "labels"), "masks", root),), [
        kind for kind in labels if kind.lower() not in ("masks", "mask", "labels")
    ]


def _overlap(arrangement: Arrangement, one: str, other: str, look: Look) -> float:
    pairs = [
        (paths[0], arrangement.kinds[other][part][key][0])
        for part, keys in arrangement.kinds[one].items()
        for key, paths in keys.items()
        if key in arrangement.kinds[other].get(part, {})
    ]
    return overlap([a for a, _ in pairs], [b for _, b in pairs], look)
