"""Write how a dataset is read as a ``dataset.toml``: by patterns where they say it all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from headstart.data.files import shown
from headstart.data.layouts import described
from headstart.data.layouts.classes_to_paste import hex_of_colour
from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.description import (
    Description,
    ListedFrame,
    Value,
    read_description,
    to_toml,
)
from headstart.data.layouts.pattern_of import patterns_of
from headstart.data.pictures.frame import Frame, Layer
from headstart.errors import DataError

_NO_MASKS = ""


def description_of(dataset: Dataset) -> Description:
    """Return a description that reads the same dataset.

    It has patterns if they give exactly the same frames; else it lists the frames one by one. Masks
    that are drawn from annotations, and pictures that are cropped, only their layout can read.
    """
    root = str(dataset.root.resolve())
    frames = [frame for part in dataset.splits.values() for frame in part]
    if any(_mask_files(frame) is None for frame in frames):
        return Description(root=root, layout=dataset.layout)
    for patterns in _by_patterns(dataset, frames):
        if _reads_the_same(patterns, dataset):
            return patterns.model_copy(update={"root": root})
    listed = _one_by_one(dataset)
    if listed is None or not _reads_the_same(listed, dataset):
        return Description(root=root, layout=dataset.layout)
    return listed.model_copy(update={"root": root})


def description_in(data: Path) -> Description | None:
    """Return the description that a dataset has already; None if it has none."""
    file = described.file_of(data)
    if file is None:
        return None
    description = read_description(file)
    root = os.path.normpath(file.parent.resolve() / description.root)
    return description.model_copy(update={"root": root})


def _mask_files(frame: Frame) -> tuple[tuple[Path, str], ...] | None:
    """Return the mask files, each with the level of its class where it shows that class alone.

    None: they are not files, or a file says only with more what a frame shows.
    """
    if frame.crop is not None or frame.valid is not None or frame.mask is None:
        return None
    if isinstance(frame.mask, Path):
        return ((frame.mask, _NO_MASKS),)
    files = []
    for layer in frame.mask:
        if not isinstance(layer, Layer):
            return None
        files.append((layer.path, str(layer.others) if layer.others is not None else _NO_MASKS))
    return tuple(files)


def _reads_the_same(description: Description, dataset: Dataset) -> bool:
    with contextlib.suppress(DataError):
        again = described.read_as(description, dataset.root)
        return (
            again.splits == dataset.splits
            and again.label_map == dataset.label_map
            and again.unlabelled == dataset.unlabelled
        )
    return False


def _by_patterns(dataset: Dataset, frames: list[Frame]) -> Iterator[Description]:
    label_map, root = dataset.label_map, dataset.root
    of_class = {
        str(grey): name for name, grey in zip(label_map.names, label_map.greys, strict=True)
    }
    of_class[_NO_MASKS] = _NO_MASKS
    beside: dict[str, list[tuple[Path, Path]]] = {}
    for frame in frames:
        for path, kind in _mask_files(frame) or ():
            beside.setdefault(of_class[kind], []).append((frame.image, path))
    unlabelled = _unlabelled_pattern(dataset)
    if unlabelled is None:
        return
    by_class = _NO_MASKS not in beside
    ordered = [name for name in label_map.names if name in beside]
    pictures, groups = [f.image for f in frames], [f.group for f in frames]
    for found in patterns_of(pictures, beside, root, groups):
        for names in (None, "{name}"):
            with contextlib.suppress(ValidationError):  # folders of classes have any names
                yield Description(
                    pictures=found.pictures,
                    masks={n: found.beside[n] for n in ordered}
                    if by_class
                    else found.beside[_NO_MASKS],
                    names=names,
                    unlabelled=unlabelled,
                    split=found.split,  # type: ignore[arg-type]
                    classes={} if by_class else _classes(dataset),
                    ignore=_ignored(dataset),
                )


def _unlabelled_pattern(dataset: Dataset) -> str | tuple[str, ...] | None:
    """Return the pattern of the pictures without masks, or several; None if they have none."""
    files = [frame.image for part in dataset.unlabelled.values() for frame in part]
    if not files:
        return ()
    if found := next(patterns_of(files, {}, dataset.root), None):
        return found.pictures
    by_folder: dict[Path, list[Path]] = {}
    for path in files:
        by_folder.setdefault(path.parent, []).append(path)
    each = [next(patterns_of(part, {}, dataset.root), None) for part in by_folder.values()]
    return tuple(found.pictures for found in each if found) if all(each) else None


def _classes(dataset: Dataset) -> dict[str, Value]:
    label_map = dataset.label_map
    values: list[Value] = [hex_of_colour(colour) for colour in label_map.colours] or [
        *label_map.greys
    ]
    return dict(zip(label_map.names, values, strict=True))


def _ignored(dataset: Dataset) -> Value | tuple[Value, ...]:
    colours = tuple(hex_of_colour(colour) for colour in dataset.label_map.ignored_colours)
    values: tuple[Value, ...] = colours or dataset.label_map.ignore
    return values[0] if len(values) == 1 else values


def _one_by_one(dataset: Dataset) -> Description | None:
    frames = [(split, frame) for split, part in dataset.splits.items() for frame in part]
    if any(kind for _, f in frames for _, kind in _mask_files(f) or ()):
        return None  # masks of a class need patterns
    without = [(split, frame) for split, part in dataset.unlabelled.items() for frame in part]
    listed = tuple(
        ListedFrame(
            name=frame.name,
            picture=shown(frame.image, dataset.root),
            masks=tuple(shown(mask, dataset.root) for mask in frame.masks),
            split=split,  # type: ignore[arg-type]
            group=frame.group,
        )
        for split, frame in (*frames, *without)
    )
    return Description(frames=listed, classes=_classes(dataset), ignore=_ignored(dataset))


def description_text(dataset: Dataset, data: Path, file: Path) -> str:
    """Return the text of a ``dataset.toml`` that reads a dataset as headstart does.

    Args:
        dataset: the dataset.
        data: where it was opened.
        file: where the text will be. ``root`` is relative to its folder if the dataset is in that
            folder or is that folder, so that they can move together; else it is absolute. All
            other paths are relative to ``root``.
    """
    description = description_in(data) or description_of(dataset)
    folder, root = file.parent.resolve(), Path(description.root)
    if root.is_relative_to(folder):
        relative = root.relative_to(folder).as_posix()
        description = description.model_copy(update={"root": relative})
    lines = [
        "How headstart reads this dataset, written by `headstart check --describe`. Edit it and",
        "give this file as DATA; `headstart check` says what it finds. All settings are in",
        "docs/howto/own-data.md and in headstart.data.layouts.description. The reading was:",
        *(f"- {sentence}" for sentence in dataset.reading),
    ]
    if description.layout is not None:
        lines += [
            "Beside layout only root, range and page are read. To use other settings, describe the",
            "folder by patterns of pictures and masks.",
        ]
    for finding in dataset.findings:
        if finding.code == "region-left-out" and description.pictures is not None:
            line = finding.hint[finding.hint.rindex("valid = ") :]  # the hint ends with it
            lines += [
                "Without the # before it, this line makes only the pixels inside count:",
                line,
            ]
    return "".join(f"# {line}\n" for line in lines) + "\n" + to_toml(description)
