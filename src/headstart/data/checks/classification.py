"""What is in a dataset of labelled pictures, and what is wrong with it; see also `checks`.

An *error* keeps pictures from being used; a *warning* may make a score say less than it seems to;
an *info* is for knowing. What is an error here stops a training too.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import merged, shown
from headstart.data.layouts.class_folders import ClassDataset, LabelledSplit, open_classes
from headstart.data.pictures.duplicates import NEAR, Fingerprints, fingerprint, joined, nearest
from headstart.data.pictures.frame import read_frame
from headstart.errors import DataError, Finding

_FEW = 5  # pictures; a class with fewer hardly has a score
_LISTED = 5  # of one kind, in a message
_NEARLY = 20_000  # pictures; among more, near copies are not looked for: it takes minutes
_COMPARED = (("validation", "train"), ("test", "train"), ("test", "validation"))


@dataclass(frozen=True)
class ClassSplit:
    """One split of labelled pictures.

    Attributes:
        pictures: how many there are.
        height, width: of those that can be read; ``None`` if they differ.
        classes: number of pictures by class.
        most_frequent: the class with the most pictures.
        trivial_accuracy: its share: what the best constant prediction reaches.
    """

    pictures: int
    height: int | None
    width: int | None
    classes: dict[str, int]
    most_frequent: str
    trivial_accuracy: float

    def to_json(self) -> dict[str, Any]:
        """As an object; ``trivial`` has ``accuracy`` and ``class``."""
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
        classes: their names.
        splits: by name: ``train``, ``validation``, ``test``, those there are.
        findings: errors first, then warnings, then infos.
    """

    layout: str
    classes: tuple[str, ...]
    splits: dict[str, ClassSplit]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """As an object of schema 1."""
        return {
            "schema": 1,
            "layout": self.layout,
            "classes": [{"name": name} for name in self.classes],
            "splits": {name: split.to_json() for name, split in self.splits.items()},
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True)
class _PictureFacts:
    """What is kept of a picture that could be read.

    ``digest`` is of its size and pixels; ``thumbnail`` is None where near copies are not sought.
    """

    file: str
    label: int
    size: tuple[int, int]
    digest: str
    thumbnail: UInt8[np.ndarray, "32 40 3"] | None = None


def check_classes(root: Path) -> ClassReport:
    """Describe a dataset of labelled pictures and find its faults.

    Args:
        root: its folder, or the word ``fashion-mnist``.

    Raises:
        DataError: there is no dataset to look at: no known layout, classes or splits that cannot
            be learned from. What is wrong inside the files is reported, not raised.
    """
    dataset = open_classes(root)
    # Told below of all splits.
    findings = [finding for finding in dataset.findings if finding.code != "class-absent"]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        seen = {n: _see(n, its, dataset, pool, findings) for n, its in dataset.splits.items()}
    splits = {name: _describe(its, seen[name], dataset) for name, its in dataset.splits.items()}
    findings += _counts(splits)
    findings += _copies(seen)
    if any(its.frames for its in dataset.splits.values()):
        findings += _near(seen)
    findings += _labels(seen, dataset.names)
    findings += _sizes(seen)
    rank = {"error": 0, "warning": 1, "info": 2}
    found = tuple(sorted(merged(findings), key=lambda finding: rank[finding.severity]))
    return ClassReport(dataset.layout, dataset.names, splits, found)


def _see(
    split: str, its: LabelledSplit, dataset: ClassDataset, pool: Executor, findings: list[Finding]
) -> list[_PictureFacts]:
    """Reads all pictures of a split; what cannot be read is added to ``findings``."""
    labels = its.labels.tolist()
    few = sum(len(split.names) for split in dataset.splits.values()) <= _NEARLY
    if its.pixels is not None:
        size = its.pixels.shape[1:]
        return [
            _PictureFacts(f"{split}/{name}", label, size, _digest(image))
            for name, label, image in zip(its.names, labels, its.pixels, strict=True)
        ]

    def one(index: int) -> _PictureFacts | DataError:
        frame = its.frames[index]
        try:
            image = read_frame(frame, dataset.root)
        except DataError as error:
            return error
        height, width, _ = image.shape
        file = shown(frame.image, dataset.root)
        prints = fingerprint(image)
        (digest,), thumbnail = prints.digests, prints.thumbnails[0] if few else None
        return _PictureFacts(file, labels[index], (height, width), digest, thumbnail)

    seen = []
    for result in pool.map(one, range(len(labels))):
        if isinstance(result, DataError):
            findings += result.findings
        else:
            seen.append(result)
    return seen


def _digest(image: UInt8[np.ndarray, "h w *c"]) -> str:
    content = hashlib.sha256(repr(image.shape).encode())
    content.update(np.ascontiguousarray(image).data)
    return content.hexdigest()


def _describe(its: LabelledSplit, seen: list[_PictureFacts], dataset: ClassDataset) -> ClassSplit:
    sizes = {picture.size for picture in seen}
    height, width = sizes.pop() if len(sizes) == 1 else (None, None)
    counts = np.bincount(its.labels, minlength=len(dataset.names)).tolist()
    most = max(counts)
    return ClassSplit(
        pictures=len(its.names),
        height=height,
        width=width,
        classes=dict(zip(dataset.names, counts, strict=True)),
        most_frequent=dataset.names[counts.index(most)],
        trivial_accuracy=most / len(its.names),
    )


def _counts(splits: Mapping[str, ClassSplit]) -> Iterator[Finding]:
    """Classes and splits that are not there, or hardly."""
    if "test" not in splits:
        hint = "nothing can be scored: make test/<class>/<picture>"
        yield Finding("empty-split", "warning", "there is no test split", hint)
    absent, few = [], []
    for split, its in splits.items():
        none = [name for name, count in its.classes.items() if not count]
        some = [f"{name} ({count})" for name, count in its.classes.items() if 0 < count < _FEW]
        absent += [f"{split} has no {_listed(none)}"] if none else []
        few += [f"{split}: {_listed(some)}"] if some else []
    if absent:
        yield Finding(
            "class-absent",
            "warning",
            f"classes that a split does not have: {'; '.join(absent)}",
            "a class absent from train is not learned, one absent from test has no score",
        )
    if few:
        message = f"classes with fewer than {_FEW} pictures in a split: {'; '.join(few)}"
        yield Finding("few-pictures", "warning", message, "their scores rest on those alone")


def _copies(seen: Mapping[str, list[_PictureFacts]]) -> Iterator[Finding]:
    """Validation and test pictures that are also on the other side."""
    told, files = [], []
    for held_out, among in _COMPARED:
        first = {picture.digest: picture.file for picture in reversed(seen.get(among, []))}
        same = [picture for picture in seen.get(held_out, []) if picture.digest in first]
        if same:
            told.append(
                f"{len(same)} of {len(seen[held_out])} {held_out} pictures in {among} "
                f"({same[0].file}: {first[same[0].digest]})"
            )
            files += [picture.file for picture in same]
    if told:
        message = f"the same pictures on both sides of a split: {'; '.join(told)}"
        hint = "keep each on one side; until then the score is partly one of remembering"
        unique = tuple(dict.fromkeys(files))
        yield Finding("copies-across-splits", "warning", message, hint, unique)


def _near(seen: Mapping[str, list[_PictureFacts]]) -> Iterator[Finding]:
    """Validation and test pictures that nearly are on the other side too."""
    pictures = [picture for split in seen.values() for picture in split]
    if any(picture.thumbnail is None for picture in pictures):
        message = f"nearly the same pictures were not looked for among more than {_NEARLY:,}"
        hint = "only exact copies were: look yourself where pictures are of one source"
        yield Finding("near-duplicates-unknown", "info", message, hint)
        return
    prints = {
        split: joined(
            Fingerprints((p.digest,), p.thumbnail[None]) for p in its if p.thumbnail is not None
        )
        for split, its in seen.items()
    }
    told, files = [], []
    for held_out, among in _COMPARED:
        if not (seen.get(held_out) and seen.get(among)):
            continue
        copies = set(prints[among].digests)
        partner, distance = nearest(prints[held_out], prints[among])
        near = [
            (picture, seen[among][index])
            for picture, index, far in zip(seen[held_out], partner, distance, strict=True)
            if far <= NEAR and picture.digest not in copies
        ]
        if near:
            told.append(
                f"{len(near)} of {len(seen[held_out])} {held_out} pictures in {among} "
                f"({near[0][0].file}: {near[0][1].file})"
            )
            files += [picture.file for picture, _ in near]
    if told:
        where = f"on both sides of a split: {'; '.join(told)}"
        message = f"nearly the same pictures (within {NEAR:g} grey levels) {where}"
        hint = "keep pictures of one source on one side, or the score says less than it seems to"
        unique = tuple(dict.fromkeys(files))
        yield Finding("near-duplicates", "warning", message, hint, unique)


def _labels(seen: Mapping[str, list[_PictureFacts]], names: tuple[str, ...]) -> Iterator[Finding]:
    """The same picture in different classes, in whatever split."""
    by_digest = defaultdict(list)
    for split in seen.values():
        for picture in split:
            by_digest[picture.digest].append(picture)
    disputed = [same for same in by_digest.values() if len({p.label for p in same}) > 1]
    if disputed:
        examples = [" and ".join(f"{p.file} ({names[p.label]})" for p in d) for d in disputed]
        plural = "picture is" if len(disputed) == 1 else "pictures are"
        message = f"{len(disputed)} {plural} in several classes: {_listed(examples, '; ')}"
        hint = "decide which class is right, and remove the others"
        files = tuple(picture.file for same in disputed for picture in same)
        yield Finding("copies-in-several-classes", "warning", message, hint, files)


def _sizes(seen: Mapping[str, list[_PictureFacts]]) -> Iterator[Finding]:
    counts = Counter(picture.size for split in seen.values() for picture in split)
    if len(counts) > 1:
        common = [f"{w} x {h} ({count} pictures)" for (h, w), count in counts.most_common()]
        message = f"pictures differ in size (width x height): {_listed(common)}"
        hint = "all are brought to the network's size; shapes that differ are distorted differently"
        yield Finding("several-sizes", "info", message, hint)


def _listed(things: Iterable[str], separator: str = ", ") -> str:
    things = list(things)
    more = f" and {len(things) - _LISTED} more" if len(things) > _LISTED else ""
    return separator.join(things[:_LISTED]) + more
