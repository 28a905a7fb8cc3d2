"""Describes a dataset of pictures with classes and finds its faults.

An *error* stops training too. A *warning* may make a score misleading. An *info* needs no action.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from headstart.data.checks.contact_sheet import classes_sheet, refuse_other_files, write_sheet
from headstart.data.checks.small_test import small_test_split
from headstart.data.files import merged, shown
from headstart.data.layouts.class_dataset import ClassDataset, LabelledSplit
from headstart.data.layouts.class_layouts import open_classes
from headstart.data.pictures.duplicates import NEAR, Fingerprints, fingerprint, joined, nearest
from headstart.data.pictures.frame import read_frame
from headstart.data.pictures.in_flight import in_order, pixels_of
from headstart.data.pictures.reading import nearly_opaque
from headstart.errors import DataError, Finding

_FEW = 5  # pictures; the score of a class with fewer is hardly meaningful
_LISTED = 5  # items of a kind in a message
_NEARLY = 20_000  # pictures; among more, the search for near-duplicates takes minutes
_COMPARED = (("validation", "train"), ("test", "train"), ("test", "validation"))


@dataclass(frozen=True)
class ClassSplit:
    """One split of pictures with classes.

    Attributes:
        pictures: number of pictures.
        height, width: size of the readable pictures; ``None`` if they differ.
        classes: number of pictures by class.
        most_frequent: the class with the most pictures.
        trivial_accuracy: the share of that class, which the best constant prediction reaches.
    """

    pictures: int
    height: int | None
    width: int | None
    classes: dict[str, int]
    most_frequent: str
    trivial_accuracy: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; ``trivial`` has ``accuracy`` and ``class``."""
        return {
            "pictures": self.pictures,
            "height": self.height,
            "width": self.width,
            "classes": self.classes,
            "trivial": {"accuracy": self.trivial_accuracy, "class": self.most_frequent},
        }


@dataclass(frozen=True)
class ClassReport:
    """What [`check_classes`][] found.

    Attributes:
        layout: ``"classes"`` or ``"idx"``.
        classes: names of the classes.
        splits: the existing splits among ``train``, ``validation`` and ``test``.
        findings: errors first, then warnings, then infos.
        groups: empty, as no layout of classes says which video or patient a picture is from.
        reading: how the folder is read, one sentence each.
        sheet: the contact sheet, if one was written.
    """

    layout: str
    classes: tuple[str, ...]
    splits: dict[str, ClassSplit]
    findings: tuple[Finding, ...]
    groups: dict[str, dict[str, str | None]] = field(default_factory=dict)
    reading: tuple[str, ...] = ()
    sheet: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object of schema 1."""
        return {
            "schema": 1,
            "layout": self.layout,
            "reading": list(self.reading),
            "classes": [{"name": name} for name in self.classes],
            "splits": {name: split.to_json() for name, split in self.splits.items()},
            "sheet": None if self.sheet is None else str(self.sheet),
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True)
class _PictureFacts:
    """What is kept of a readable picture.

    Attributes:
        file: the file, relative to the dataset.
        index: its place in the split.
        label: index of the class.
        size: height and width.
        digest: SHA-256 of size and pixels.
        thumbnail: for finding near-duplicates; None if they are not searched for.
        notes: findings about the picture that need no action.
    """

    file: str
    index: int
    label: int
    size: tuple[int, int]
    digest: str
    thumbnail: UInt8[np.ndarray, "32 40 3"] | None = None
    notes: tuple[Finding, ...] = ()


def check_classes(root: Path, out: Path | None = None) -> ClassReport:
    """Describe a dataset of labelled pictures and find its faults.

    Args:
        root: folder of the dataset, or ``fashion-mnist``.
        out: a folder for the contact sheet, as in
            [`classes_sheet`][headstart.data.checks.contact_sheet.classes_sheet]; None for no sheet.

    Raises:
        DataError: the dataset cannot be opened: unknown layout, or classes or splits that training
            cannot use. Faults inside the files are reported, not raised.
        UsageError: ``out`` holds other files, or lies in the dataset.
        DiskError: the sheet cannot be written.
    """
    return report_on(open_classes(root), out)


def report_on(dataset: ClassDataset, out: Path | None = None) -> ClassReport:
    """Decode all pictures of an opened dataset; otherwise as [`check_classes`][]."""
    if out is not None:
        refuse_other_files(out, dataset.root)
    # _counts reports absent classes for all splits.
    findings = [finding for finding in dataset.findings if finding.code != "class-absent"]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        seen = {n: _see(n, p, dataset, pool, findings) for n, p in dataset.splits.items()}
    splits = {n: _describe(p, seen[n], dataset) for n, p in dataset.splits.items()}
    findings += _counts(splits)
    findings += _copies(seen)
    if any(pictures.frames for pictures in dataset.splits.values()):
        findings += _near(seen)
    findings += _labels(seen, dataset.names)
    findings += _sizes(seen)
    counts = {name: len(split.names) for name, split in dataset.splits.items()}
    tested, labelled = [None] * counts.get("test", 0), [None] * sum(counts.values())
    findings += small_test_split(tested, labelled, "pictures")
    readable = {n: {p.index: p.label for p in part} for n, part in seen.items()}
    pixels = None if out is None else classes_sheet(dataset, readable)
    sheet = None if out is None or pixels is None else write_sheet(out, pixels)
    rank = {"error": 0, "warning": 1, "info": 2}
    by_severity = tuple(sorted(merged(findings), key=lambda finding: rank[finding.severity]))
    return ClassReport(
        dataset.layout, dataset.names, splits, by_severity, reading=dataset.reading, sheet=sheet
    )


def _see(
    split: str,
    pictures: LabelledSplit,
    dataset: ClassDataset,
    pool: Executor,
    findings: list[Finding],
) -> list[_PictureFacts]:
    """Read all pictures of a split; add to ``findings`` the faults of unreadable pictures."""
    labels = pictures.labels.tolist()
    few = sum(len(split.names) for split in dataset.splits.values()) <= _NEARLY
    if pictures.pixels is not None:
        size = pictures.pixels.shape[1:]
        return [
            _PictureFacts(f"{split}/{name}", index, label, size, _digest(image))
            for index, (name, label, image) in enumerate(
                zip(pictures.names, labels, pictures.pixels, strict=True)
            )
        ]

    def one(index: int) -> _PictureFacts | DataError:
        frame = pictures.frames[index]
        try:
            image = read_frame(frame, dataset.root)
        except DataError as error:
            return error
        height, width, _ = image.shape
        file = shown(frame.image, dataset.root)
        prints = fingerprint(image)
        (digest,), thumbnail = prints.digests, prints.thumbnails[0] if few else None
        notes = tuple(nearly_opaque(frame.image, dataset.root, frame.rules))
        return _PictureFacts(file, index, labels[index], (height, width), digest, thumbnail, notes)

    def pixels(index: int) -> int:
        return pixels_of(pictures.frames[index], dataset.root)

    seen = []
    for result in in_order(pool, one, range(len(labels)), pixels):
        if isinstance(result, DataError):
            findings += result.findings
        else:
            seen.append(result)
            findings += result.notes
    return seen


def _digest(image: UInt8[np.ndarray, "h w *c"]) -> str:
    content = hashlib.sha256(repr(image.shape).encode())
    content.update(np.ascontiguousarray(image).data)
    return content.hexdigest()


def _describe(
    pictures: LabelledSplit, seen: list[_PictureFacts], dataset: ClassDataset
) -> ClassSplit:
    sizes = {picture.size for picture in seen}
    height, width = sizes.pop() if len(sizes) == 1 else (None, None)
    counts = np.bincount(pictures.labels, minlength=len(dataset.names)).tolist()
    most = max(counts)
    return ClassSplit(
        pictures=len(pictures.names),
        height=height,
        width=width,
        classes=dict(zip(dataset.names, counts, strict=True)),
        most_frequent=dataset.names[counts.index(most)],
        trivial_accuracy=most / len(pictures.names),
    )


def _counts(splits: Mapping[str, ClassSplit]) -> Iterator[Finding]:
    """Yield findings about missing splits, and about absent and rare classes."""
    if "test" not in splits:
        hint = "add test/<class>/<picture>, so that the network can be scored"
        yield Finding("empty-split", "warning", "there is no test split", hint)
    absent, few = [], []
    for split, described in splits.items():
        counts = described.classes.items()
        none = [name for name, count in counts if not count]
        some = [f"{name} ({count})" for name, count in counts if 0 < count < _FEW]
        absent += [f"{split} has no {_listed(none)}"] if none else []
        few += [f"{split}: {_listed(some)}"] if some else []
    if absent:
        yield Finding(
            "class-absent",
            "warning",
            f"classes that are absent from a split: {'; '.join(absent)}",
            "a class absent from train is not learned; a class absent from test has no score",
        )
    if few:
        message = f"classes with fewer than {_FEW} pictures in a split: {'; '.join(few)}"
        yield Finding(
            "few-pictures", "warning", message, "read their scores with caution, or add pictures"
        )


def _copies(seen: Mapping[str, list[_PictureFacts]]) -> Iterator[Finding]:
    """Yield a finding about validation and test pictures that are also in another split."""
    parts, files = [], []
    for held_out, among in _COMPARED:
        first = {picture.digest: picture.file for picture in reversed(seen.get(among, []))}
        same = [picture for picture in seen.get(held_out, []) if picture.digest in first]
        if same:
            parts.append(
                f"{len(same)} of {len(seen[held_out])} {held_out} pictures in {among} "
                f"({same[0].file}: {first[same[0].digest]})"
            )
            files += [picture.file for picture in same]
    if parts:
        message = f"the same pictures are in two splits: {'; '.join(parts)}"
        hint = "keep each picture in one split; until then the score rewards remembering it"
        unique = tuple(dict.fromkeys(files))
        yield Finding("copies-across-splits", "warning", message, hint, unique)


def _near(seen: Mapping[str, list[_PictureFacts]]) -> Iterator[Finding]:
    """Yield a finding about validation and test pictures with near-duplicates in another split."""
    pictures = [picture for split in seen.values() for picture in split]
    if any(picture.thumbnail is None for picture in pictures):
        message = f"no search for near-duplicates, because there are more than {_NEARLY:,} pictures"
        hint = "only exact copies were searched for; check pictures of one source yourself"
        yield Finding("near-duplicates-unknown", "info", message, hint)
        return
    prints = {
        split: joined(
            Fingerprints((p.digest,), p.thumbnail[None]) for p in part if p.thumbnail is not None
        )
        for split, part in seen.items()
    }
    parts, files = [], []
    for held_out, among in _COMPARED:
        if not (seen.get(held_out) and seen.get(among)):
            continue
        copies = set(prints[among].digests)
        partner, distance = nearest(prints[held_out], prints[among])
        near = [
            (picture, seen[among][index])
            for picture, index, d in zip(seen[held_out], partner, distance, strict=True)
            if d <= NEAR and picture.digest not in copies
        ]
        if near:
            parts.append(
                f"{len(near)} of {len(seen[held_out])} {held_out} pictures in {among} "
                f"({near[0][0].file}: {near[0][1].file})"
            )
            files += [picture.file for picture, _ in near]
    if parts:
        where = f"are in two splits: {'; '.join(parts)}"
        message = f"nearly the same pictures (within {NEAR:g} grey levels) {where}"
        hint = "keep pictures of one source in one split, or the score is too optimistic"
        unique = tuple(dict.fromkeys(files))
        yield Finding("near-duplicates", "warning", message, hint, unique)


def _labels(seen: Mapping[str, list[_PictureFacts]], names: tuple[str, ...]) -> Iterator[Finding]:
    """Yield a finding about pictures that are in several classes, in any split."""
    by_digest = defaultdict(list)
    for split in seen.values():
        for picture in split:
            by_digest[picture.digest].append(picture)
    disputed = [same for same in by_digest.values() if len({p.label for p in same}) > 1]
    if disputed:
        examples = [" and ".join(f"{p.file} ({names[p.label]})" for p in same) for same in disputed]
        plural = "picture is" if len(disputed) == 1 else "pictures are"
        message = f"{len(disputed)} {plural} in several classes: {_listed(examples, '; ')}"
        hint = "keep each in the right class, and remove the other copies"
        files = tuple(picture.file for same in disputed for picture in same)
        yield Finding("copies-in-several-classes", "warning", message, hint, files)


def _sizes(seen: Mapping[str, list[_PictureFacts]]) -> Iterator[Finding]:
    counts = Counter(picture.size for split in seen.values() for picture in split)
    if len(counts) > 1:
        common = [f"{w} x {h} ({count} pictures)" for (h, w), count in counts.most_common()]
        message = f"pictures differ in size (width x height): {_listed(common)}"
        hint = "all are resized to the input of the network, which distorts other aspect ratios"
        yield Finding("several-sizes", "info", message, hint)


def _listed(things: Iterable[str], separator: str = ", ") -> str:
    things = list(things)
    more = f" and {len(things) - _LISTED} more" if len(things) > _LISTED else ""
    return separator.join(things[:_LISTED]) + more
