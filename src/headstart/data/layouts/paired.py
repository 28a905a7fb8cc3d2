"""The layout ``paired``: pictures and masks in folders of any names, or side by side.

Names say which files belong together ([`headstart.data.layouts.arrangements`][]), the pixels of a
few files say which are pictures and which are masks ([`headstart.data.layouts.contents`][]). A
folder of files that is neither, such as a field of view or a second observer, is named and left
out. Split folders have their usual names; other levels of the path are groups, such as patients.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from headstart.data.files import shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.arranged_files import Arrangement, Key, Part, find_places
from headstart.data.layouts.arrangements import arrangements
from headstart.data.layouts.contents import look_into
from headstart.data.layouts.dataset import SPLITS, Dataset, Layout
from headstart.data.layouts.frame_names import with_unique_names
from headstart.data.layouts.label_discovery import find_label_map
from headstart.data.layouts.name_patterns import tails
from headstart.data.layouts.pairing import FrameSearch, read_frames
from headstart.data.layouts.pattern_of import patterns_of
from headstart.data.layouts.roles import Roles, find_roles, groups_of, patterns_between
from headstart.data.layouts.splitting import NO_SPLIT, complete_splits
from headstart.data.pictures.frame import Frame, Layer, MaskLayer
from headstart.data.pictures.masks import colour_layer
from headstart.data.pictures.reading_rules import ReadingRules

_UNKNOWN = LabelMap(("background",), (0,))  # while only faults are collected
_EXTRAS = 0.5  # share of the labelled pictures that have a further file


def recognise(root: Path) -> Callable[[], Dataset] | None:
    """Return the reader of a folder that has pictures and masks that belong together.

    Raises:
        DataError: two kinds of files could equally be the pictures or the masks.
    """
    found = _arranged(root) if root.is_dir() else None
    if found is None:
        return None
    arrangement, roles = found

    def find(search: FrameSearch) -> LabelMap | None:
        return _find(search, arrangement, roles)

    return lambda: read_frames(FrameSearch(root, LAYOUT.arrangement), LAYOUT.name, find)


def _arranged(root: Path) -> tuple[Arrangement, Roles] | None:
    look = look_into(root)
    doubtful = None
    for arrangement in arrangements(find_places(root)):
        if (roles := find_roles(arrangement, root, look)) is not None:
            if arrangement.numbered != roles.pictures:
                return arrangement, roles
            doubtful = doubtful or (arrangement, roles)  # 7_1 and 7_2 may be two pictures
    return doubtful


def _find(search: FrameSearch, arrangement: Arrangement, roles: Roles) -> LabelMap | None:
    search.add_folders_not_entered()
    _describe(search, arrangement, roles)
    mask_files = [path for kind in roles.masks for path in arrangement.files(kind)]
    label_map = (
        _class_per_kind(search, roles)
        if len(roles.masks) > 1
        else find_label_map(search, mask_files)
    )
    group_of = groups_of(arrangement, roles.pictures)
    unlabelled: list[tuple[str | None, Path]] = []
    unpaired: list[Path] = []
    for part, pictures in arrangement.kinds[roles.pictures].items():
        masks = {
            roles.masks.index(kind) + 1: arrangement.kinds[kind].get(part, {})
            for kind in roles.drawn
        }
        if not any(masks.values()):
            unlabelled += [(part[0], path) for paths in pictures.values() for path in paths]
            continue
        _pair(search, part, pictures, masks, label_map or _UNKNOWN, group_of, unpaired)
    _without_picture(search, arrangement, roles)
    unpaired = _without_extras(search, unpaired)
    known = {roles.pictures, *roles.masks, *roles.left_out}
    for kind in (kind for kind in arrangement.kinds if kind not in known):
        for (split, _), by_key in arrangement.kinds[kind].items():
            unlabelled += [(split, path) for paths in by_key.values() for path in paths]
    _set_unlabelled(search, unlabelled)
    if unpaired:
        _without_mask(search, roles, unpaired)
    if set(search.splits) not in ({"train"}, {NO_SPLIT}):
        counts = [f"{len(search.splits[s])} {s}" for s in SPLITS if s in search.splits]
        search.reading.append(f"Splits: {', '.join(counts)}, from the names of the folders")
    for split, frames in search.splits.items():
        search.splits[split] = with_unique_names(frames, search.root)
    complete_splits(search)
    return label_map


LAYOUT = Layout(
    name="paired",
    arrangement="a folder of pictures and a folder of masks with the same names",
    recognise=recognise,
)


def _without_mask(search: FrameSearch, roles: Roles, unpaired: list[Path]) -> None:
    """Report pictures without masks, and what a ``dataset.toml`` that allows them says."""
    lines = _described(search, unpaired) if len(roles.masks) == 1 else ()
    shown_so = 'missing = "background"'
    listed = ", ".join(f"`{line}`" for line in (*lines, shown_so))
    how = f"by the lines {listed}" if lines else f"by patterns and the line `{shown_so}`"
    hint = (
        "add its mask; or move it to a folder without masks, for pretexts only; or, if it shows "
        f"nothing, describe the folder in dataset.toml {how}"
    )
    search.add_finding("image-without-mask", "error", "a picture has no mask", hint, unpaired)
    rules = ReadingRules(lines=lines or None)  # a range would be declared in the same file
    for split, frames in search.splits.items():
        search.splits[split] = tuple(replace(frame, rules=rules) for frame in frames)


def _described(search: FrameSearch, unpaired: list[Path]) -> tuple[str, ...]:
    """Return the lines of a ``dataset.toml`` that reads the folder by patterns; none if none do."""
    frames = [frame for part in search.splits.values() for frame in part]
    masks = [(frame.image, mask) for frame in frames for mask in frame.masks]
    group_of = {frame.image.parent: frame.group for frame in frames}
    pictures = [*(frame.image for frame in frames), *unpaired]
    groups = [group_of.get(picture.parent) for picture in pictures]
    found = next(patterns_of(pictures, {"masks": masks}, search.root, groups), None)
    others = [frame.image for part in search.unlabelled.values() for frame in part]
    without = next(patterns_of(others, {}, search.root), None)
    if found is None or (others and without is None):
        return ()
    patterns = {"pictures": found.pictures, **found.beside}
    patterns |= {"unlabelled": without.pictures} if without is not None else {}
    lines = [f'{name} = "{pattern}"' for name, pattern in patterns.items()]
    splits = ", ".join(f'{split} = "{value}"' for split, value in found.split.items())
    return (*lines, *([f"split = {{{splits}}}"] if splits else []))


def _set_unlabelled(search: FrameSearch, unlabelled: list[tuple[str | None, Path]]) -> None:
    tested = "test" in search.splits
    pictures = [path for split, path in unlabelled if not (tested and split == "test")]
    if pictures:
        search.unlabelled["train"] = with_unique_names(
            (Frame(path.stem, path) for path in pictures), search.root
        )
        folders = sorted({shown(path.parent, search.root) for path in pictures})
        counted = f"{len(pictures)} pictures in {_listed(folders)}"
        search.reading.append(f"Without masks: {counted}, which only pretexts use")
    search.say_left_out(len(unlabelled) - len(pictures))


def _class_per_kind(search: FrameSearch, roles: Roles) -> LabelMap:
    names = [kind.strip("_-. 0123456789") or kind for kind in roles.masks]
    if len(set(names)) < len(names):  # they differ in their numbers only
        names = list(roles.masks)
    overlap = "where they overlap, the later class counts"
    if roles.drawn != roles.masks:
        order = [names[roles.masks.index(kind)] for kind in roles.drawn]
        overlap = f"where they overlap, the later of {_listed(order)} counts: the inner one"
    search.reading.append(f"Classes: {_listed(names)}, each with masks of its own; {overlap}")
    return LabelMap(("background", *names), tuple(range(len(names) + 1)))


def _pair(
    search: FrameSearch,
    part: Part,
    pictures: Mapping[str, tuple[Path, ...]],
    masks: Mapping[int, Mapping[str, tuple[Path, ...]]],
    label_map: LabelMap,
    group_of: Mapping[Key, str | None],
    unpaired: list[Path],
) -> None:
    """Add the frames of a part; ``masks`` are its masks by class, in the order of drawing."""
    split, folders = part
    group = group_of[folders]
    frames = []
    for key, (picture, *others) in pictures.items():
        layers = [(path, k) for k, by_key in masks.items() for path in by_key.get(key, ())]
        if not layers:
            unpaired += [picture, *others]
            continue
        if others:
            message = "several pictures have the same mask, by their names"
            hint = "keep one of them; or copy the mask for each, under a name of its own"
            search.add_finding("same-stem", "error", message, hint, [picture, *others])
        frames.append(Frame(picture.stem, picture, _mask(layers, len(masks), label_map), group))
    name = split or NO_SPLIT
    search.splits[name] = (*search.splits.get(name, ()), *frames)


def _without_extras(search: FrameSearch, unpaired: list[Path]) -> list[Path]:
    """Name and leave out further files of labelled pictures; return the other unpaired pictures.

    They bear a picture's name with an addition, as ``7_superpixels.png`` beside ``7.jpg``.
    """
    labelled = {
        (frame.image.parent, frame.image.stem)
        for frames in search.splits.values()
        for frame in frames
    }
    extras: dict[str, list[Path]] = defaultdict(list)
    for path in unpaired:
        for tail in tails(path.stem):
            if (path.parent, path.stem.removesuffix(tail)) in labelled:
                extras[tail].append(path)
    left_out = set()
    for tail, paths in extras.items():
        if _EXTRAS * len(labelled) <= len(paths) and any(map(str.isalpha, tail)):
            named = f"{len(paths)} of the pictures, such as {shown(paths[0], search.root)}"
            reason = f"they have the names of pictures with masks, with {tail.strip()} added"
            search.reading.append(f"Left out: {named}: {reason}")
            left_out.update(paths)
    return [path for path in unpaired if path not in left_out]


def _mask(
    layers: list[tuple[Path, int]], classes: int, label_map: LabelMap
) -> Path | tuple[MaskLayer, ...]:
    """Return one mask file as it is; several as layers: of the classes, or of one object each."""
    if classes > 1:
        return tuple(
            Layer(path, ((0, 0),), f"the masks of {label_map.names[k]}", label_map.greys[k])
            for path, k in layers
        )
    if len(layers) == 1:
        return layers[0][0]
    if label_map.colours:
        return tuple(colour_layer(path, label_map) for path, _ in layers)
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
        say(f"Left out: {_examples(arrangement, kind, search.root)}: {reason}")
        if kind in roles.regions:
            _say_how_to_use(search, arrangement, roles, kind)
    labelled = {folders for kind in roles.masks for _, folders in arrangement.kinds[kind]}
    group_of = groups_of(arrangement, roles.pictures)
    groups = sorted({g for folders, g in group_of.items() if g and folders in labelled})
    if groups and not (search.root / "groups.csv").exists():
        say(f"Groups: {len(groups)}, from the folders {_listed(groups)}")


def _say_how_to_use(
    search: FrameSearch, arrangement: Arrangement, roles: Roles, region: str
) -> None:
    """Say which ``dataset.toml`` scores only the pixels inside a region."""
    beside = {"masks": roles.masks[0], "valid": region}
    lines = _lines(arrangement, search.root, roles.pictures, beside)
    if not lines:
        return
    files = _examples(arrangement, region, search.root)
    message = f"{files} are nearly the same for every picture, and are left out"
    hint = f"if only the pixels inside it count, write these lines into dataset.toml: {lines}"
    search.add_finding("region-left-out", "info", message, hint)


def _lines(arrangement: Arrangement, root: Path, pictures: str, beside: Mapping[str, str]) -> str:
    """Return the lines of a ``dataset.toml`` for kinds of files; empty if no patterns fit them."""
    found = patterns_between(arrangement, root, pictures, beside)
    if found is None:
        return ""
    patterns = {"pictures": found.pictures, **found.beside}
    return ", ".join(f'{name} = "{pattern}"' for name, pattern in patterns.items())


def _examples(arrangement: Arrangement, kind: str, root: Path) -> str:
    files = arrangement.files(kind)
    return f"{len(files)} files such as {shown(files[0], root)}"


def _listed(items: list[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
