"""The layout ``described``: a folder that a ``dataset.toml`` says how to read."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from headstart.data.files import (
    FollowedPath,
    folders_not_entered,
    is_junk,
    natural_key,
    shown,
    walk_links,
)
from headstart.data.label_map import LabelMap
from headstart.data.layouts.annotations import coco
from headstart.data.layouts.annotations.other_tools import annotations_not_read
from headstart.data.layouts.dataset import (
    Dataset,
    FaultyDatasetError,
    Layout,
    read_with_rules,
    with_rules,
)
from headstart.data.layouts.described_labels import (
    can_be_nearest,
    described_label_map,
    described_mask,
)
from headstart.data.layouts.described_splits import meaning, splits_of
from headstart.data.layouts.description import NAME, Description, read_description
from headstart.data.layouts.frame_names import with_unique_names
from headstart.data.layouts.pairing import FrameSearch, describe, read_frames
from headstart.data.layouts.path_patterns import (
    Parts,
    filled,
    literal,
    matching,
    may_lie_in,
    parts_of,
)
from headstart.data.layouts.splitting import NO_SPLIT, complete_splits
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import SUFFIXES
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError, Finding


def file_of(path: Path) -> Path | None:
    """Return a path that is a ``.toml`` file, or the ``dataset.toml`` in a folder; None if none."""
    if path.suffix == ".toml" and path.is_file():
        return path
    return path / NAME if (path / NAME).is_file() else None


def recognise(path: Path) -> Callable[[], Dataset] | None:
    """Return the reader of a ``.toml`` file, or of a folder with a ``dataset.toml``."""
    file = file_of(path)
    return None if file is None else partial(read, file)


def read(file: Path) -> Dataset:
    """Find the frames as the file says.

    Raises:
        DataError: With all faults of the file, or of the folder.
    """
    description = read_description(file)
    root = Path(os.path.normpath(file.parent / description.root))
    if description.layout is not None:
        return _by_layout(description, root, file)
    return read_as(description, root, f"Described by {file.name}")


def read_as(description: Description, root: Path, source: str = "") -> Dataset:
    """Find the frames in a folder as patterns, or frames one by one, say.

    Args:
        description: patterns or frames.
        root: the folder.
        source: the first sentence of the reading, if any.

    Raises:
        DataError: With all faults of the folder.
    """
    root = FollowedPath(root) if description.links == "follow" else root
    search = FrameSearch(root, LAYOUT.arrangement)
    try:
        dataset = read_frames(search, LAYOUT.name, lambda search: _find(search, description))
    except FaultyDatasetError as error:
        faulty = _completed(error.dataset, description, source)
        raise FaultyDatasetError(error.findings, faulty) from None
    return _completed(dataset, description, source)


def _completed(dataset: Dataset, description: Description, source: str) -> Dataset:
    """Return a dataset with the rules of its pictures, its description, and the full reading."""
    rules = ReadingRules(description.range, description.page, lines=())
    return replace(
        with_rules(dataset, lambda _: rules),
        reading=(*([source] if source else []), *dataset.reading),
        description=hashlib.sha256(
            description.model_dump_json(exclude={"root"}, exclude_defaults=True).encode()
        ).hexdigest(),
    )


LAYOUT = Layout(
    name="described",
    arrangement=f"you like, with a {NAME} that says how to read it",
    recognise=recognise,
)


def _by_layout(description: Description, root: Path, file: Path) -> Dataset:
    from headstart.data.layouts.recognise import LAYOUTS  # the table names this layout, too

    name = description.layout or ""
    layouts = {layout.name: layout for layout in LAYOUTS if layout.name != LAYOUT.name}
    if name not in layouts:
        message = f"{file}: there is no layout {name}"
        hint = f"expected one of {', '.join(layouts)}"
        raise DataError(Finding("bad-setting", "error", message, hint))
    read = layouts[name].recognise(root)
    if read is None:
        message = f'{file} says layout = "{name}", but {root} is not arranged so'
        hint = f"arrange it as {layouts[name].arrangement}; or write patterns in place of a layout"
        unread = annotations_not_read(root) if name == coco.LAYOUT.name else None
        raise DataError(unread or Finding("layout", "error", message, hint))
    rules = ReadingRules(description.range, description.page, lines=())
    return read_with_rules(read, lambda _: rules)


def _find(search: FrameSearch, description: Description) -> LabelMap | None:
    frames, masks = (
        _listed(search, description) if description.frames else _by_pattern(search, description)
    )
    label_map = described_label_map(
        search, description, [p for paths in masks.values() for p, _ in paths]
    )
    if label_map is None or (description.nearest and not can_be_nearest(search, label_map)):
        return None
    for split, part in frames.items():
        labelled = tuple(
            replace(frame, mask=described_mask(masks[frame.image], description, label_map, frame))
            for frame in part
        )
        search.splits[split] = labelled
    if count := sum(not of_frame for of_frame in masks.values()):
        search.reading.append(f"Background only, without a mask: {count} of {len(masks)} pictures")
    describe(search)
    complete_splits(search)
    _say_where_links_lead(search)
    return label_map


def _say_where_links_lead(search: FrameSearch) -> None:
    if not isinstance(search.root, FollowedPath):
        return
    parts = (*search.splits.values(), *search.unlabelled.values())
    of_frames = (
        path for part in parts for f in part for path in (f.image, *f.masks, f.valid) if path
    )
    inside = Path(os.path.realpath(search.root))
    real = [Path(os.path.realpath(path)) for path in of_frames]
    outside = [path.parent for path in real if not path.is_relative_to(inside)]
    folders = [str(folder) for folder in sorted(set(outside))]
    listed = ", ".join(folders[:3]) + (f" and {len(folders) - 3} more" if folders[3:] else "")
    where = f", in {listed}" if folders else ""
    search.reading.append(
        f"Links are followed: {len(outside)} of {len(real)} files lie outside the folder{where}"
    )


_Frames = dict[str, list[Frame]]
_Masks = dict[Path, list[tuple[Path, str]]]
"""Mask files with their class (``""``: all), by picture."""


def _listed(search: FrameSearch, description: Description) -> tuple[_Frames, _Masks]:
    frames: _Frames = defaultdict(list)
    masks: _Masks = {}
    unlabelled: _Frames = defaultdict(list)
    places: set[str] = set()
    twice: list[Path] = []
    for listed in description.frames:
        frame = Frame(listed.name, search.root / listed.picture, None, listed.group)
        if (place := os.path.normpath(frame.image)) in places:
            twice.append(frame.image)
            continue
        places.add(place)
        if not listed.masks and description.missing != "background":
            unlabelled[listed.split or "train"].append(frame)
            continue
        split = listed.split or NO_SPLIT
        frames[split].append(frame)
        masks[frame.image] = [(search.root / mask, "") for mask in listed.masks]
    if twice:
        message = "several [[frames]] have the same picture"
        hint = "keep one of them; it may list several masks"
        search.add_finding("picture-twice", "error", message, hint, twice)
    _set_unlabelled(search, unlabelled, tested="test" in frames)
    used = {os.path.normpath(mask) for of_frame in masks.values() for mask, _ in of_frame} | places
    unused = sorted(_in_folders_of(used) - used, key=natural_key)
    _say_unused(search, [Path(path) for path in unused])
    return frames, masks


def _in_folders_of(files: Iterable[str]) -> set[str]:
    """Return the files with the endings of pictures in the folders that hold some files."""
    found = set()
    for folder in {os.path.split(file)[0] for file in files}:
        with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
            names = (entry.name for entry in entries if _is_picture(entry.name))
            found |= {os.path.join(folder, name) for name in names}  # noqa: PTH118 (without a ./)
    return found


def _by_pattern(search: FrameSearch, description: Description) -> tuple[_Frames, _Masks]:
    assert description.pictures is not None
    assert description.masks is not None
    files = sorted(_files(search.root), key=lambda path: [*map(natural_key, path.split("/"))])
    patterns = description.masks if isinstance(description.masks, dict) else {"": description.masks}
    # 7_mask.png matches "{name}.png" too: the pattern that says more about it has it
    masks_of = [*patterns.values(), *([description.valid] if description.valid else [])]
    longer = [pattern for pattern in masks_of if literal(pattern) > literal(description.pictures)]
    taken = {path for pattern in longer for path in matching(pattern, files)}
    pictures = matching(description.pictures, (path for path in files if path not in taken))
    if not pictures:
        message = f"no picture matches the pattern {description.pictures}"
        hint = f"the folder has {', '.join(files[:3]) or 'no pictures'}"
        search.add_finding("no-images", "error", message, hint)
    by_class = {name: _index(pattern, files, pictures) for name, pattern in patterns.items()}
    valid = _index(description.valid, files, pictures) if description.valid else {}
    every_pattern = (description.pictures, *masks_of, *_unlabelled_patterns(description))
    search.findings += folders_not_entered(
        search.root, lambda folder: any(may_lie_in(folder, pattern) for pattern in every_pattern)
    )
    splits = splits_of(search, description, pictures)
    frames: _Frames = defaultdict(list)
    masks: _Masks = {}
    without_mask: list[Path] = []
    for path, parts in pictures.items():
        of_frame = [
            (search.root / m, name) for name, index in by_class.items() for m in index.get(path, ())
        ]
        if not of_frame and description.missing != "background":
            without_mask.append(search.root / path)
            continue
        region = valid.get(path, ())
        if description.valid and not region:
            message, hint = "a picture has no mask of its region", f"add it, as {description.valid}"
            search.add_finding("no-region", "error", message, hint, [search.root / path])
        frames[splits[path]].append(
            Frame(_name(description, description.pictures, path, parts), search.root / path, None,
                  parts.get("group"), valid=search.root / region[0] if region else None)
        )  # fmt: skip
        masks[search.root / path] = of_frame
    if without_mask:
        hint = (
            'add its mask; or list it as unlabelled = "..."; or say missing = "background" if it '
            "shows nothing"
        )
        search.add_finding(
            "image-without-mask", "error", "a picture has no mask", hint, without_mask
        )
    others = [path for path in files if path not in pictures and path not in taken]
    listed = _unlabelled(search, description, others, tested="test" in frames)
    used = {p for index in (*by_class.values(), valid) for of in index.values() for p in of}
    used |= listed | pictures.keys()
    _say_unused(search, [search.root / path for path in files if path not in used])
    return {split: [*with_unique_names(f, search.root)] for split, f in frames.items()}, masks


def _unlabelled(
    search: FrameSearch, description: Description, others: list[str], tested: bool
) -> set[str]:
    """Add the pictures without masks, those of a validation split apart; return their paths."""
    found: _Frames = defaultdict(list)
    listed = set()
    for pattern in _unlabelled_patterns(description):
        for path, parts in matching(pattern, others).items():
            listed.add(path)
            split = meaning(description, parts.get("split", "")) or "train"
            frame = Frame(_name(description, pattern, path, parts), search.root / path)
            found[split].append(frame)
    _set_unlabelled(search, found, tested)
    return listed


def _say_unused(search: FrameSearch, files: list[Path]) -> None:
    if files:
        first = shown(files[0], search.root)
        search.reading.append(f"Not used: {len(files)} other pictures and masks, such as {first}")


def _set_unlabelled(search: FrameSearch, by_split: _Frames, tested: bool) -> None:
    """Set the pictures for pre-training, without those of a test split that has labels."""
    of_test = by_split.pop("test", [])
    if tested:
        search.say_left_out(len(of_test))
    else:
        by_split["train"] += of_test
    search.unlabelled = {
        split: with_unique_names(frames, search.root)
        for split, frames in by_split.items()
        if frames
    }


def _unlabelled_patterns(description: Description) -> tuple[str, ...]:
    patterns = description.unlabelled
    return (patterns,) if isinstance(patterns, str) else patterns


def _name(description: Description, pattern: str, path: str, parts: Parts) -> str:
    """Return a frame's name: as described; else its picture's, or its folder's if that varies."""
    if description.names is not None and parts.keys() >= set(parts_of(description.names)):
        return filled(description.names, parts)
    return parts["name"] if "{name}" in pattern.rpartition("/")[0] else Path(path).stem


def _files(root: Path) -> Iterable[str]:
    walk = walk_links if isinstance(root, FollowedPath) else os.walk
    for parent, folders, names in walk(root):
        folders[:] = [name for name in folders if not is_junk(name)]
        for name in names:
            if _is_picture(name):
                yield Path(parent, name).relative_to(root).as_posix()


def _is_picture(name: str) -> bool:
    return name[name.rfind(".") :].lower() in SUFFIXES and not is_junk(name)


def _index(
    pattern: str, files: list[str], pictures: Mapping[str, Parts]
) -> dict[str, tuple[str, ...]]:
    """Return by picture the files that a pattern matches with the same parts."""
    matches = {
        path: parts for path, parts in matching(pattern, files).items() if path not in pictures
    }
    names_of_picture = next(iter(pictures.values()), {}).keys()
    shared = sorted(names_of_picture & next(iter(matches.values()), {}).keys())
    by_parts: dict[tuple[str, ...], tuple[str, ...]] = {}
    for path, parts in matches.items():
        key = tuple(parts[part] for part in shared)
        by_parts[key] = (*by_parts.get(key, ()), path)
    return {
        path: by_parts.get(tuple(parts[part] for part in shared), ())
        for path, parts in pictures.items()
    }
