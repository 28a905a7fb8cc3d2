"""The layout ``paired``: pictures and masks in folders of any names, or side by side.

Names say which files belong together ([`headstart.data.layouts.arrangements`][]), the pixels of a
few files say which are pictures and which are masks ([`headstart.data.layouts.contents`][]). A
folder of files that is neither, such as a field of view or a second observer, is named and left
out. Split folders have their usual names; other levels of the path are groups, such as patients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headstart.data.files import shown
from headstart.data.label_map import LabelMap, map_of_levels
from headstart.data.layouts.arrangements import Arrangement, Key, Part, arrangements, find_places
from headstart.data.layouts.contents import colours_in, content_of, overlap
from headstart.data.layouts.frame_names import with_unique_names
from headstart.data.layouts.label_discovery import find_label_map
from headstart.data.layouts.name_patterns import ordinal_free, outermost_difference
from headstart.data.layouts.pairing import FrameSearch, layout
from headstart.data.layouts.pattern_of import patterns_of
from headstart.data.layouts.splitting import NO_SPLIT, complete_splits
from headstart.data.pictures.frame import Frame, Layer
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


def recognises(root: Path) -> bool:
    """Return whether a folder has pictures and masks that belong together.

    Raises:
        DataError: two kinds of files could equally be the pictures or the masks.
    """
    return root.is_dir() and _arranged(root) is not None


def _arranged(root: Path) -> tuple[Arrangement, Roles] | None:
    for arrangement in arrangements(find_places(root)):
        if (roles := _roles(arrangement, root)) is not None:
            return arrangement, roles
    return None


def _roles(arrangement: Arrangement, root: Path) -> Roles | None:
    """Return what the kinds are; None if no kind holds pictures, or none masks."""
    contents = {kind: content_of(arrangement.files(kind), root) for kind in arrangement.kinds}
    pictures = [kind for kind, content in contents.items() if content == "picture"]
    labels = [kind for kind, content in contents.items() if content == "labels"]
    regions = [kind for kind, content in contents.items() if content == "region"]
    labels, regions = (labels, regions) if labels else (regions, [])
    if not pictures and len(labels) == 2:  # dark pictures with flat backgrounds look like labels
        fewer, more = sorted(labels, key=lambda kind: colours_in(arrangement.files(kind), root))
        colours = [colours_in(arrangement.files(kind), root) for kind in (fewer, more)]
        if colours[1] >= _MORE_COLOURS * colours[0]:
            pictures, labels = [more], [fewer]
    paired = [p for p in pictures if any(_common(arrangement, p, kind) for kind in labels)]
    labels = [kind for kind in labels if any(_common(arrangement, p, kind) for p in paired)]
    if not paired or not labels:
        return None
    picture_kind = _only(paired, _PICTURE_NAMES, "pictures", root)
    left_out = dict.fromkeys((p for p in paired if p != picture_kind), "it holds other pictures")
    left_out |= dict.fromkeys(regions, "it is nearly the same for every picture: a field of view?")
    masks, observers = _masks(arrangement, labels, root)
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
    arrangement: Arrangement, labels: list[str], root: Path
) -> tuple[tuple[str, ...], list[str]]:
    """Return the kinds of the masks, and those that show the same objects again.

    Several kinds of masks are one for each class where they show other pixels.

    Raises:
        DataError: two kinds show the same objects, and their names do not say which comes first.
    """
    if len(labels) == 1:
        return (labels[0],), []
    first, *others = sorted(labels)
    again = [k for k in others if _overlap(arrangement, first, k, root) >= _SAME_OBJECTS]
    if not again:
        return tuple(sorted(labels)), []
    if len(again) == len(others) and len({ordinal_free(kind) for kind in labels}) == 1:
        return (first,), again
    return (_only(labels, ("masks", "mask", "labels"), "masks", root),), [
        kind for kind in labels if kind.lower() not in ("masks", "mask", "labels")
    ]


def _overlap(arrangement: Arrangement, one: str, other: str, root: Path) -> float:
    pairs = [
        (paths[0], arrangement.kinds[other][part][key][0])
        for part, keys in arrangement.kinds[one].items()
        for key, paths in keys.items()
        if key in arrangement.kinds[other].get(part, {})
    ]
    return overlap([a for a, _ in pairs], [b for _, b in pairs], root)


def _find(search: FrameSearch) -> LabelMap | None:
    arranged = _arranged(search.root)
    assert arranged is not None
    arrangement, roles = arranged
    _describe(search, arrangement, roles)
    mask_files = [path for kind in roles.masks for path in arrangement.files(kind)]
    if len(roles.masks) > 1:
        label_map: LabelMap | None = _class_per_kind(search, roles.masks)
    else:
        label_map = find_label_map(search, mask_files)
    if label_map is None:
        return None
    group_of = _groups(arrangement, roles)
    unlabelled = []
    unpaired: list[Path] = []
    for part, pictures in arrangement.kinds[roles.pictures].items():
        masks: list[Mapping[str, tuple[Path, ...]]] = [
            arrangement.kinds[kind].get(part, {}) for kind in roles.masks
        ]
        if not any(masks):
            unlabelled += [path for paths in pictures.values() for path in paths]
            continue
        _pair(search, part, pictures, masks, label_map, group_of, unpaired)
    _without_picture(search, arrangement, roles)
    others = [
        kind for kind in arrangement.kinds if not (kind in roles.masks or kind in roles.left_out)
    ]
    unlabelled += [
        path for kind in others if kind != roles.pictures for path in arrangement.files(kind)
    ]
    if unpaired:
        message = "a picture has no mask"
        hint = (
            "add its mask; or move it to a folder without masks, where it serves pretexts; or say "
            'missing = "background" in dataset.toml if it shows nothing'
        )
        search.add_finding("image-without-mask", "error", message, hint, unpaired)
    if unlabelled:
        search.unlabelled["train"] = with_unique_names(
            (Frame(path.stem, path) for path in unlabelled), search.root
        )
        folders = sorted({shown(path.parent, search.root) for path in unlabelled})
        search.reading.append(
            f"Without masks: {len(unlabelled)} pictures in {_listed(folders)}, for pretexts"
        )
    if set(search.splits) == {"train"}:  # a folder called train alone is no split
        search.splits[NO_SPLIT] = search.splits.pop("train")
    for split, frames in search.splits.items():
        search.splits[split] = with_unique_names(frames, search.root)
    complete_splits(search)
    return label_map


LAYOUT = layout(
    name="paired",
    arrangement="a folder of pictures and a folder of masks with the same names",
    recognises=recognises,
    find=_find,
)


def _groups(arrangement: Arrangement, roles: Roles) -> dict[Key, str | None]:
    """Return the group by the folders of a part: the outermost level that differs.

    None where all parts have the same folders or each has one picture; or where there are no
    splits and the folders have words for names that their pictures bear, too (``benign/benign
    (1).png``): kinds of findings are no patients.
    """
    parts = arrangement.kinds[roles.pictures]
    folders = {folders for _, folders in parts}
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
    same = outermost_difference(folders)
    groups = {names: names[same] if len(names) > same else None for names in folders}
    counts: Counter[str | None] = Counter()
    for (_, names), keys in parts.items():
        counts[groups[names]] += len(keys)
    return groups if max(counts.values()) > 1 else dict.fromkeys(folders)


def _class_per_kind(search: FrameSearch, kinds: tuple[str, ...]) -> LabelMap:
    names = [kind.strip("_-. 0123456789") or kind for kind in kinds]
    label_map = map_of_levels({"background": 0, **{name: k for k, name in enumerate(names, 1)}})
    search.reading.append(
        f"Classes: {_listed(names)}, each in masks of its own; later over earlier"
    )
    return label_map


def _pair(
    search: FrameSearch,
    part: Part,
    pictures: Mapping[str, tuple[Path, ...]],
    masks: list[Mapping[str, tuple[Path, ...]]],
    label_map: LabelMap,
    group_of: Mapping[Key, str | None],
    unpaired: list[Path],
) -> None:
    split, folders = part
    group = group_of[folders]
    frames = []
    for key, (picture, *_) in pictures.items():
        layers = [(path, k) for k, by_key in enumerate(masks, 1) for path in by_key.get(key, ())]
        if not layers:
            unpaired.append(picture)
            continue
        frames.append(Frame(picture.stem, picture, _mask(layers, len(masks), label_map), group))
    name = split or NO_SPLIT
    search.splits[name] = (*search.splits.get(name, ()), *frames)


def _mask(
    layers: list[tuple[Path, int]], classes: int, label_map: LabelMap
) -> Path | tuple[Layer, ...]:
    """Return one mask file as it is; several as layers: of the classes, or of one object each."""
    if classes > 1:
        return tuple(
            Layer(path, ((0, 0),), f"the masks of {label_map.names[k]}", label_map.greys[k])
            for path, k in layers
        )
    if len(layers) == 1:
        return layers[0][0]
    levels = tuple((grey, grey) for grey in label_map.greys)
    return tuple(Layer(path, levels, "the label map") for path, _ in layers)


def _without_picture(search: FrameSearch, arrangement: Arrangement, roles: Roles) -> None:
    pictures = arrangement.kinds[roles.pictures]
    alone = [
        path
        for kind in roles.masks
        for part, keys in arrangement.kinds[kind].items()
        for key, paths in keys.items()
        if key not in pictures.get(part, {})
        for path in paths
    ]
    if alone:
        hint = "add the picture, or remove the mask; names are case-sensitive"
        search.add_finding("mask-without-image", "error", "a mask has no picture", hint, alone)


def _describe(search: FrameSearch, arrangement: Arrangement, roles: Roles) -> None:
    """Say how the folder is read."""
    say = search.reading.append
    say(f"Pictures: {_examples(arrangement, roles.pictures, search.root)}")
    for kind in roles.masks:
        say(f"Masks: {_examples(arrangement, kind, search.root)}")
    for kind, reason in roles.left_out.items():
        say(f"Left out: {_examples(arrangement, kind, search.root)}; {reason}")
        if kind in roles.regions:
            _say_how_to_use(search, arrangement, roles, kind)
    parts = arrangement.kinds[roles.pictures]
    splits = sorted({split for split, _ in parts if split is not None})
    if splits:
        say(f"Splits: {_listed(splits)}, from the names of the folders")
    groups = sorted({group for group in _groups(arrangement, roles).values() if group})
    if groups:
        say(f"Groups: {len(groups)}, from the folders {_listed(groups)}")


def _say_how_to_use(
    search: FrameSearch, arrangement: Arrangement, roles: Roles, region: str
) -> None:
    """Say which ``dataset.toml`` scores only the pixels inside a region."""
    pictures = {
        (part, key): paths[0]
        for part, keys in arrangement.kinds[roles.pictures].items()
        for key, paths in keys.items()
    }
    beside = {
        name: [
            (pictures[part, key], path)
            for part, keys in arrangement.kinds[kind].items()
            for key, paths in keys.items()
            for path in paths
            if (part, key) in pictures
        ]
        for name, kind in (("masks", roles.masks[0]), ("valid", region))
    }
    groups = _groups(arrangement, roles)
    of_pictures = [groups[part[1]] for part, _ in pictures]
    found = next(patterns_of([*pictures.values()], beside, search.root, of_pictures), None)
    if found is None:
        return
    patterns = {"pictures": found.pictures, **found.beside}
    message = f"{region or 'a kind of files'} is nearly the same for every picture and is left out"
    lines = ", ".join(f'{name} = "{pattern}"' for name, pattern in patterns.items())
    hint = f"if only the pixels inside it count, write these lines into dataset.toml: {lines}"
    search.add_finding("region-left-out", "info", message, hint)


def _examples(arrangement: Arrangement, kind: str, root: Path) -> str:
    files = arrangement.files(kind)
    return f"{len(files)} files such as {shown(files[0], root)}"


def _listed(items: list[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
