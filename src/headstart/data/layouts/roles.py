"""Which kinds of files are the pictures, which the masks, and which are left out.

The pixels of a few files say it ([`headstart.data.layouts.contents`][]); where two kinds show the
same, their names do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from headstart.data.files import shown
from headstart.data.label_map import backgrounds
from headstart.data.layouts.arranged_files import Arrangement, Key
from headstart.data.layouts.contents import Look, colours_in, content_of, overlap, share_inside
from headstart.data.layouts.name_patterns import (
    ordinal_free,
    outermost_difference,
    usual_split,
)
from headstart.data.layouts.pattern_of import Patterns, patterns_of
from headstart.errors import DataError, Finding

_PICTURE_NAMES = ("images", "image", "imgs", "img", "pictures", "original", "originals", "rgb")
_MORE_COLOURS = 4  # times as many as masks have
_SAME_OBJECTS = 0.4  # mean Jaccard index from which on two masks show the same objects
_INSIDE = 0.9  # share of a mask's objects from which on they lie inside those of another


@dataclass(frozen=True)
class Roles:
    """What the kinds of an arrangement are.

    Attributes:
        pictures: the kind that holds the pictures.
        masks: the kinds that hold masks: one, or one for each class.
        left_out: other kinds that are no pictures without masks, each with the reason.
        drawn: the kinds that hold masks in the order in which they are drawn: one whose objects lie
            inside those of another after that.
        regions: those left out that are nearly the same for every picture.
    """

    pictures: str
    masks: tuple[str, ...]
    left_out: dict[str, str]
    drawn: tuple[str, ...]
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
    alone = [kind for kind in labels if not any(_common(arrangement, p, kind) for p in paired)]
    labels = [kind for kind in labels if kind not in alone]
    if not paired or not labels:
        return None
    picture_kind = _only(paired, _PICTURE_NAMES)
    if picture_kind is None:
        readings = [(kind, _masks_for(arrangement, kind, labels)) for kind in paired]
        raise _two_readings(arrangement, root, readings, "pictures")
    left_out = dict.fromkeys((p for p in paired if p != picture_kind), "other pictures")
    same = "nearly the same for every picture, so perhaps a field of view"
    left_out |= dict.fromkeys(regions, same)
    left_out |= dict.fromkeys(alone, "masks that have the name of no picture")
    masks, observers = _masks(arrangement, labels, look)
    if not masks:
        raise _two_readings(arrangement, root, [(picture_kind, kind) for kind in labels], "masks")
    again = "the same objects as in the masks, so perhaps by a second observer"
    left_out |= dict.fromkeys(observers, again)
    named = tuple(kind for kind in masks if backgrounds([kind.strip("_-. 0123456789")]))
    if 0 < len(named) < len(masks):
        left_out |= dict.fromkeys(named, "the background is where no class is")
        masks = tuple(kind for kind in masks if kind not in named)
    return Roles(
        picture_kind, masks, left_out, _inner_last(arrangement, masks, look), tuple(regions)
    )


def _common(arrangement: Arrangement, one: str, other: str) -> int:
    parts = arrangement.kinds[one].keys() & arrangement.kinds[other].keys()
    return sum(
        len(arrangement.kinds[one][part].keys() & arrangement.kinds[other][part].keys())
        for part in parts
    )


def _only(kinds: list[str], preferred: tuple[str, ...]) -> str | None:
    """Return the only kind, or the one with a usual name; None if several fit equally."""
    if len(kinds) == 1:
        return kinds[0]
    usual = [kind for kind in kinds if kind.lower().strip("_-. ") in preferred]
    return usual[0] if len(usual) == 1 else None


def _masks_for(arrangement: Arrangement, pictures: str, labels: list[str]) -> str:
    """Return the kind that pairs most of some pictures; of several, the one of the nearest name."""

    def fits(kind: str) -> tuple[int, int]:
        return _common(arrangement, pictures, kind), outermost_difference((pictures, kind))

    return max(labels, key=fits)


def _two_readings(
    arrangement: Arrangement, root: Path, readings: list[tuple[str, str]], what: str
) -> DataError:
    """Return the error of several readings, each with its pictures and masks."""
    kinds = sorted({reading[what == "masks"] for reading in readings})
    listed = " and ".join(_as_a_person_sees(arrangement, kind, root) for kind in kinds)
    lines = [_lines(arrangement, root, *reading) for reading in readings]
    message = f"{listed} could equally be the {what}"
    hint = f"say which in dataset.toml: {'; or '.join(lines)}"
    if not any(_common(arrangement, one, other) for one, other in combinations(kinds, 2)):
        message += "; they have no names in common"
        hint += ". Each leaves the others out: to use all, sort them into folders such as "
        hint += "a/images, a/masks, b/images and b/masks"
    return DataError(Finding("two-readings", "error", message, hint, (root.name,)))


def _as_a_person_sees(arrangement: Arrangement, kind: str, root: Path) -> str:
    """Return a kind's name if it is that of a folder, else one of its files."""
    first = arrangement.files(kind)[0]
    is_folder = kind in first.relative_to(root).parts[:-1]
    return kind if is_folder else f"files such as {shown(first, root)}"


def _lines(arrangement: Arrangement, root: Path, pictures: str, masks: str) -> str:
    """Return the lines of a ``dataset.toml`` for a reading."""
    found = patterns_between(arrangement, root, pictures, {"masks": masks})
    if found is not None:
        return f'pictures = "{found.pictures}", masks = "{found.beside["masks"]}"'
    picture, mask = (shown(arrangement.files(kind)[0], root) for kind in (pictures, masks))
    return f'[[frames]] one by one, such as name = "1", picture = "{picture}", masks = ["{mask}"]'


def patterns_between(
    arrangement: Arrangement, root: Path, pictures: str, beside: Mapping[str, str]
) -> Patterns | None:
    """Return the patterns of a kind of pictures and of the kinds that belong to it.

    Args:
        arrangement: files by kind.
        root: folder of the dataset.
        pictures: the kind of the pictures.
        beside: by name, a kind of other files.
    """
    of_part = {
        (part, key): paths[0]
        for part, keys in arrangement.kinds[pictures].items()
        for key, paths in keys.items()
    }
    files = {
        name: [
            (of_part[part, key], path)
            for part, keys in arrangement.kinds[kind].items()
            for key, paths in keys.items()
            for path in paths
            if (part, key) in of_part
        ]
        for name, kind in beside.items()
    }
    groups = groups_of(arrangement, pictures)
    of_pictures = [groups[folders] for (_, folders), _ in of_part]
    return next(patterns_of([*of_part.values()], files, root, of_pictures), None)


def _masks(
    arrangement: Arrangement, labels: list[str], look: Look
) -> tuple[tuple[str, ...], list[str]]:
    """Return the kinds of the masks, and those that show the same objects again.

    Several kinds of masks are one for each class where they show other pixels. No kind of masks is
    returned if two show the same objects, and their names do not say which comes first.
    """
    if len(labels) == 1:
        return (labels[0],), []
    first, *others = sorted(labels)
    again = [k for k in others if _overlap(arrangement, first, k, look) >= _SAME_OBJECTS]
    if not again:
        return tuple(sorted(labels)), []
    if len(again) == len(others) and len({ordinal_free(kind) for kind in labels}) == 1:
        return (first,), again
    usual = _only(labels, ("masks", "mask", "labels"))
    return ((usual,), [kind for kind in labels if kind != usual]) if usual else ((), [])


def _inner_last(arrangement: Arrangement, masks: tuple[str, ...], look: Look) -> tuple[str, ...]:
    """Return kinds of masks, those whose objects lie inside those of other kinds after these."""

    def around(kind: str) -> int:
        others = (other for other in masks if other != kind)
        return sum(_share(arrangement, kind, other, look) >= _INSIDE for other in others)

    return tuple(sorted(masks, key=around)) if len(masks) > 1 else masks


def _share(arrangement: Arrangement, one: str, other: str, look: Look) -> float:
    return share_inside(*_files_of_both(arrangement, one, other), look)


def _overlap(arrangement: Arrangement, one: str, other: str, look: Look) -> float:
    return overlap(*_files_of_both(arrangement, one, other), look)


def _files_of_both(arrangement: Arrangement, one: str, other: str) -> tuple[list[Path], list[Path]]:
    """Return the files of two kinds, of the pictures that have both."""
    pairs = [
        (paths[0], arrangement.kinds[other][part][key][0])
        for part, keys in arrangement.kinds[one].items()
        for key, paths in keys.items()
        if key in arrangement.kinds[other].get(part, {})
    ]
    return [a for a, _ in pairs], [b for _, b in pairs]


def groups_of(arrangement: Arrangement, pictures: str) -> dict[Key, str | None]:
    """Return the group of pictures by the folders of a part: the outermost level that differs.

    It is None where all parts have the same folders or each has one picture; or where there are no
    splits and the folders have words for names that their pictures bear, too (``benign/benign
    (1).png``): kinds of findings are no patients.
    """
    parts = arrangement.kinds[pictures]
    folders = {folders for _, folders in parts}
    others = {names: tuple(n for n in names if not usual_split(n)) for names in folders}
    sorted_only = all(
        split is None
        and names
        and not any(character.isdigit() for character in names[-1])
        and path.stem.lower().startswith(names[-1].lower())
        for (split, names), keys in parts.items()
        for paths in keys.values()
        for path in paths
    )
    if len(folders) < 2 or sorted_only:
        return dict.fromkeys(folders)
    same = outermost_difference(list(others.values()))  # train1 and train2 are no patients
    groups = {names: own[same] if len(own) > same else None for names, own in others.items()}
    counts: Counter[str | None] = Counter()
    for (_, names), keys in parts.items():
        counts[groups[names]] += len(keys)
    return groups if max(counts.values()) > 1 else dict.fromkeys(folders)
