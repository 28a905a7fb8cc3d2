"""Collect the frames of a dataset and all faults on the way; pair pictures with masks by stem."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from headstart.data.files import folders_not_entered, listing, merged, shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.classes_to_paste import MAPPING
from headstart.data.layouts.dataset import SPLITS, Dataset, FaultyDatasetError, Layout
from headstart.data.layouts.inverted_masks import inverted_masks
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import SUFFIXES
from headstart.errors import DataError, Finding, Severity


@dataclass
class FrameSearch:
    """Frames and faults of a folder while it is being read.

    Attributes:
        root: The dataset's folder.
        arrangement: The layout's folders and files, for hints.
        splits: Labelled frames by split.
        unlabelled: Pictures for pre-training.
        findings: Faults and notes.
        reading: How the folder is read, one sentence each.
    """

    root: Path
    arrangement: str
    splits: dict[str, tuple[Frame, ...]] = field(default_factory=dict)
    unlabelled: dict[str, tuple[Frame, ...]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    reading: list[str] = field(default_factory=list)

    def add_finding(
        self, code: str, severity: Severity, message: str, hint: str, paths: Iterable[Path] = ()
    ) -> None:
        """Add a finding about ``paths``."""
        files = tuple(shown(path, self.root) for path in paths)
        self.findings.append(Finding(code, severity, message, hint, files))

    def say_left_out(self, test_pictures: int) -> None:
        """Say that unlabelled pictures of a test split with labels are not for pre-training."""
        if test_pictures:
            self.reading.append(
                f"{test_pictures} test pictures without masks are left out: nothing is learned "
                "from pictures of the test split"
            )

    def add_folders_not_entered(self) -> None:
        """Add findings about links to folders, and about folders that cannot be listed."""
        self.findings += folders_not_entered(self.root)


def layout(
    name: str,
    arrangement: str,
    recognises: Callable[[Path], bool],
    find: Callable[[FrameSearch], LabelMap | None],
) -> Layout[Dataset]:
    """Return the layout whose frames ``find`` collects.

    Args:
        name: Runs record it, so it never changes.
        arrangement: Folders and files, for hints.
        recognises: Whether a folder has this layout.
        find: Puts the frames into a search and returns the label map; None with an error among
            the findings.
    """

    def recognise(root: Path) -> Callable[[], Dataset] | None:
        if not recognises(root):
            return None
        return lambda: read_frames(FrameSearch(root, arrangement), name, find)

    return Layout(name, arrangement, recognise)


def export_layout(
    name: str,
    arrangement: str,
    evidence: Callable[[Path], Path | None],
    find: Callable[[FrameSearch], LabelMap | None],
) -> Layout[Dataset]:
    """Return the layout of an annotation tool's export; the rest as in [`layout`][].

    Args:
        name: As in [`layout`][].
        arrangement: As in [`layout`][].
        evidence: Return the file or folder that shows that a folder is such an export.
        find: As in [`layout`][].
    """

    def find_and_say(search: FrameSearch) -> LabelMap | None:
        label_map = find(search)
        if (search.root / MAPPING).exists():
            search.reading.append(
                f"The file {MAPPING} is not used: the classes are those of the export."
            )
        return label_map

    by_names = layout(name, arrangement, lambda root: evidence(root) is not None, find_and_say)
    return replace(by_names, evidence=evidence)


def read_frames(
    search: FrameSearch, name: str, find: Callable[[FrameSearch], LabelMap | None]
) -> Dataset:
    """Return the dataset that ``find`` collects.

    Raises:
        DataError: With all faults of the folders and of the label map; a `FaultyDatasetError` if
            the classes are known and some frames can be read.
    """
    label_map = None
    try:
        label_map = find(search)
    except DataError as error:
        search.findings += error.findings
    if label_map is not None:
        search.findings += inverted_masks(mask_files(search), search.root, label_map)
    errors = [finding for finding in search.findings if finding.severity == "error"]
    splits = {name: frames for name, frames in search.splits.items() if name in SPLITS}
    if label_map is None or (errors and not splits):
        raise DataError(merged(errors))
    search.findings += _classes_alike(label_map)
    dataset = Dataset(
        search.root,
        name,
        label_map,
        splits,
        search.unlabelled,
        merged(search.findings),
        tuple(sentence[:1].upper() + sentence[1:].removesuffix(".") for sentence in search.reading),
    )
    if errors:
        raise FaultyDatasetError(merged(errors), dataset)
    return dataset


def _classes_alike(label_map: LabelMap) -> list[Finding]:
    """Return a warning of classes whose names differ only in capitals, or spaces around them."""
    alike = alike_names(label_map.names)
    if not alike:
        return []
    message = f"classes whose names differ only in capitals or spaces: {', '.join(alike[:5])}"
    hint = (
        "they are learned as different classes; if they mean the same, give them one name in the "
        "annotation tool, and export again"
    )
    return [Finding("classes-alike", "warning", message, hint)]


def alike_names(names: Iterable[str]) -> list[str]:
    """Return the names that differ only in capitals, or spaces around them, those alike together.

    >>> alike_names(["tool", "Tool ", "vessel"])
    ["'tool' and 'Tool '"]
    """
    spellings: dict[str, list[str]] = {}
    for name in names:
        spellings.setdefault(name.strip().casefold(), []).append(ascii(name))
    return [" and ".join(alike) for alike in spellings.values() if len(alike) > 1]


def composed(stem: str) -> str:
    """Return a stem with composed accents, because file systems write them in two ways."""
    return unicodedata.normalize("NFC", stem)


def pictures_by_stem(
    search: FrameSearch, folder: Path, stems: tuple[str, ...] | None = None
) -> dict[str, Path]:
    """Return the pictures of a folder by stem, or those with ``stems``. A stem must be unique."""
    pictures: dict[str, list[Path]] = {}
    not_pictures = []
    for name in listing(folder, search.root):
        path = folder / name
        if stems is None or path.stem in stems:
            if path.suffix.lower() in SUFFIXES:
                pictures.setdefault(composed(path.stem), []).append(path)
            else:
                not_pictures.append(path)
    if not_pictures:
        message = f"files that do not end in {' '.join(SUFFIXES)} were passed over"
        hint = "convert them to one of these formats, or move them away"
        search.add_finding("passed-over", "warning", message, hint, not_pictures)
    for paths in pictures.values():
        if len(paths) > 1:
            search.add_finding(
                "same-stem",
                "error",
                "several pictures share one stem, so the right one cannot be chosen",
                "keep one of them",
                paths,
            )
    return {stem: paths[0] for stem, paths in pictures.items()}


def pair(
    search: FrameSearch,
    split_name: str,
    images: dict[str, Path],
    masks: dict[str, Path],
    patterns: str = "",
) -> None:
    """Fill a split with the images and masks that share a stem. A missing partner is a fault.

    Args:
        search: Gets the frames and the faults.
        split_name: ``""`` in a folder without splits.
        images: By stem.
        masks: By stem.
        patterns: Lines of a ``dataset.toml`` that read the same files, for a hint.
    """
    if not images and not masks:
        severity: Severity = "warning" if split_name == "test" else "error"
        message = f"the {split_name} split has no frames" if split_name else "there are no images"
        search.add_finding("empty-split", severity, message, f"add some, as {search.arrangement}")
    elif not masks:
        owner = f"the {split_name} split" if split_name else str(search.root)
        message = f"{owner} has {len(images)} images but no masks"
        search.add_finding(
            "no-masks", "error", message, f"add their masks, as {search.arrangement}"
        )
    else:
        if unpaired := [path for stem, path in images.items() if stem not in masks]:
            hint = "add the mask, or move the image to the unlabelled ones"
            if patterns:
                hint += (
                    "; or, if it shows nothing, describe the folder in dataset.toml by the lines "
                )
                hint += f'{patterns}, `missing = "background"`'
            search.add_finding(
                "image-without-mask", "error", "an image has no mask", hint, unpaired
            )
        if unpaired := [path for stem, path in masks.items() if stem not in images]:
            hint = "add the image, or remove the mask; names are case-sensitive"
            search.add_finding("mask-without-image", "error", "a mask has no image", hint, unpaired)
    frames = tuple(Frame(stem, images[stem], masks[stem]) for stem in images if stem in masks)
    if frames:
        search.splits[split_name] = frames


def mask_files(search: FrameSearch) -> list[Path]:
    """Return the mask files of all labelled frames."""
    return [path for frames in search.splits.values() for frame in frames for path in frame.masks]


def describe(search: FrameSearch) -> None:
    """Begin the reading with a picture and its mask, the splits, and pictures without masks."""
    sentences = []
    frames = [frame for split in search.splits.values() for frame in split]
    if (first := next((frame for frame in frames if frame.masks), None)) is not None:
        picture, mask = shown(first.image, search.root), shown(first.masks[0], search.root)
        sentences.append(f"Pictures and masks: {len(frames)}, such as {picture} and {mask}")
    if all(search.splits):
        counts = ", ".join(f"{len(split)} {name}" for name, split in search.splits.items())
        sentences.append(f"Splits: {counts}")
    if search.unlabelled:
        count = sum(len(pictures) for pictures in search.unlabelled.values())
        sentences.append(f"Without masks: {count} pictures, which only pretexts use")
    search.reading = [*sentences, *search.reading]
