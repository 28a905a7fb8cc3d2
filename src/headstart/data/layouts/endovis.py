"""EndoVis 2017 (robotic instrument segmentation) as the challenge released it for training.

Its folders are::

    instrument_dataset_<k>/left_frames/frame<nnn>.png                1920 x 1080
    instrument_dataset_<k>/right_frames/frame<nnn>.png               the other camera; optional
    instrument_dataset_<k>/ground_truth/<instrument>/frame<nnn>.png  one mask per instrument

There are eight sequences of 225 frames, k from 1 to 8, side by side or as unpacked, in
``instrument_1_4_training`` and ``instrument_5_8_training``. Only the 1280 x 1024 pixels from
(320, 28) show the scene; pictures and masks are cropped to them.

The masks of an instrument have the grey levels 10 (shaft), 20 (wrist), 30 (claspers), 40 (probe).
Their folder names the instrument, with or without side and ending:
``Left_Prograsp_Forceps_labels``, ``Right_Vessel_Sealer``, ``Maryland_Bipolar_Forceps_labels``,
``Other_labels`` and so on.

| target | classes |
|---|---|
| ``binary`` | background, instrument; ``Other`` is background |
| ``parts`` | background, shaft, wrist, claspers; ``Other``, and probes, are background |
| ``type`` | background and seven instruments, the last one ``Other`` |

If masks overlap, the folder that is later in the alphabet wins, as in ISINet's preparation.
(TernausNet's uses the order in which the file system lists the folders.)

The folds are those of Shvets et al. 2018 (Automatic Instrument Segmentation in Robot-Assisted
Surgery Using Deep Learning): a fold's two sequences are the test split, which publications call
validation. The last ninth of each other sequence is the validation split, the frames before it the
training split. If the next fold's sequences validated instead, training would lack an instrument
that the test shows (fold 0: others, fold 1: grasping retractors, fold 2: scissors), and would have
four sequences where publications have six. Each sequence is a group. Pre-training uses the training
frames of both cameras.

The path names target and fold: ``DATA/parts-fold2``; ``DATA`` alone means ``DATA/type-fold0``.
Masks with other grey levels, colours or transparency are refused (sequence 7 of the release is
reported to have a few), unless the path ends in ``-lenient``: ``DATA/type-fold0-lenient`` reads
them as the publications do. For binary and type, every pixel that is not black is the instrument;
for parts, every pixel of no known level is background.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from headstart.data.files import listing, merged, shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.dataset import Dataset, Layout
from headstart.data.pictures.frame import Crop, Frame, Layer
from headstart.errors import DataError, Finding

CROP = Crop(full=(1080, 1920), top=28, left=320, height=1024, width=1280)
FOLDS = ((1, 3), (2, 5), (4, 8), (6, 7))  # the test sequences of each fold
_NUMBERS = {k for fold in FOLDS for k in fold}
_PARTS = {10: 85, 20: 170, 30: 255, 40: 0}  # grey levels as released, and as in the label map

_TYPES = (  # in the order of the challenge's numbers, 1 to 7
    "Bipolar_Forceps",
    "Prograsp_Forceps",
    "Large_Needle_Driver",
    "Vessel_Sealer",
    "Grasping_Retractor",
    "Monopolar_Curved_Scissors",
    "Other",
)
LABEL_MAPS = {
    "binary": LabelMap(("background", "instrument"), (0, 255)),
    "parts": LabelMap(("background", "shaft", "wrist", "claspers"), (0, 85, 170, 255)),
    # The layout "assignment" has the same names and levels: a model fits both.
    "type": LabelMap(("Background_Tissue", *_TYPES), tuple(range(0, 256, 32))),
}

_KNOWN = "the release's (0 background, 10 shaft, 20 wrist, 30 claspers, 40 probe)"
_CHOICE = re.compile(r"(binary|parts|type)-fold([0-3])(-lenient)?")
_SEQUENCE = re.compile(r"instrument_dataset_([0-9]{1,2})")
_VALIDATION = 9  # the last ninth of a sequence: 25 of 225 frames, twelve seconds


@dataclass(frozen=True)
class Choice:
    """The classes to learn, and the sequences to hold out.

    Attributes:
        target: ``"binary"``, ``"parts"`` or ``"type"``.
        fold: 0 to 3.
        lenient: whether to read unexpected grey levels and colours as the publications do.

    >>> str(Choice("parts", 2))
    'parts-fold2'
    """

    target: str = "type"
    fold: int = 0
    lenient: bool = False

    def __str__(self) -> str:
        return f"{self.target}-fold{self.fold}" + ("-lenient" if self.lenient else "")


def recognise(path: Path) -> Callable[[], Dataset] | None:
    """Return the reader of a path that is the release's folder, or its folder and a choice.

    Raises:
        DataError: The folder is the release, but the path names a target or fold that does not
            exist.
    """
    found = _folder_and_choice(path)
    return None if found is None else partial(read, *found)


def _folder_and_choice(path: Path) -> tuple[Path, Choice] | None:
    if _sequences(path):
        return path, Choice()
    if os.path.lexists(path) or not _sequences(path.parent):
        return None
    match = _CHOICE.fullmatch(path.name)
    if match is None:
        message = f"there is no {path.name} in {path.parent}, which holds EndoVis 2017"
        hint = (
            "name a target (binary, parts, type) and a fold (0 to 3): "
            f"{path.parent / str(Choice())}; the folder alone means that too"
        )
        raise DataError(Finding("no-such-choice", "error", message, hint))
    target, fold, lenient = match.groups()
    return path.parent, Choice(target, int(fold), lenient is not None)


def _sequences(root: Path) -> list[tuple[int, Path]]:
    """Return number and folder of each sequence; a number may occur twice."""
    try:
        unpacked = [path for path in root.glob("instrument_*_training") if path.is_dir()]
        folders = [path for parent in (root, *unpacked) for path in parent.iterdir()]
    except OSError:
        return []
    numbered = ((_SEQUENCE.fullmatch(path.name), path) for path in folders)
    return sorted((int(match[1]), path) for match, path in numbered if match and path.is_dir())


def read(root: Path, choice: Choice) -> Dataset:
    """Find the frames of a release by split.

    Raises:
        DataError: Lists all faults of the folders that show without decoding a picture.
    """
    sequences = _sequences(root)
    findings = _about(root, choice) + _complete(root, sequences, choice)
    test, train, validation, unlabelled = [], [], [], []
    for k, folder in sequences:
        if k not in _NUMBERS:
            continue
        frames = _labelled(root, k, folder, choice, findings)
        if k in FOLDS[choice.fold]:
            test += frames
            continue
        held_out = max(1, len(frames) // _VALIDATION)
        validation += frames[-held_out:]
        train += frames[:-held_out]
        unlabelled += _both_cameras(frames[:-held_out], root, k, folder)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise DataError(merged(errors))
    return Dataset(
        root,
        LAYOUT.name,
        LABEL_MAPS[choice.target],
        {"train": tuple(train), "validation": tuple(validation), "test": tuple(test)},
        {"train": tuple(unlabelled)} if unlabelled else {},
        merged(findings),
    )


LAYOUT = Layout(
    name="endovis",
    arrangement="the EndoVis 2017 challenge's instrument_dataset_<k>/",
    recognise=recognise,
)


def _about(root: Path, choice: Choice) -> list[Finding]:
    """Report the target and fold, and how to choose others."""
    held_out = " and ".join(f"instrument_dataset_{k}" for k in FOLDS[choice.fold])
    message = (
        f"EndoVis 2017, target {choice.target}, fold {choice.fold}: {held_out} to test, the last "
        "ninth of each other sequence to validate, the frames before it to train"
    )
    other = Choice("parts" if choice.target != "parts" else "type", (choice.fold + 1) % len(FOLDS))
    hint = f"to choose another target or fold, add it to the path, for example {root / str(other)}"
    findings = [Finding("endovis", "info", message, hint)]
    if choice.lenient:
        meaning = "background" if choice.target == "parts" else "the instrument"
        message = f"mask pixels with an unknown grey level or a colour are read as {meaning}"
        hint = "without -lenient they are refused, and every such file is named"
        findings.append(Finding("lenient", "info", message, hint))
    return findings


def _complete(root: Path, sequences: list[tuple[int, Path]], choice: Choice) -> list[Finding]:
    """Report sequences that are missing, exist twice, or belong to no fold."""

    def files(numbers: set[int]) -> tuple[str, ...]:
        return tuple(shown(path, root) for k, path in sequences if k in numbers)

    findings = []
    counts = Counter(k for k, _ in sequences)
    if twice := {k for k, count in counts.items() if count > 1}:
        message = "a sequence exists twice"
        hint = "keep one; do not mix the test release with the training release"
        findings.append(Finding("sequence-twice", "error", message, hint, files(twice)))
    if others := set(counts) - _NUMBERS:
        message = "sequences that are in no fold are ignored"
        hint = "the folds consist of sequences 1 to 8, the training release"
        findings.append(Finding("passed-over", "warning", message, hint, files(others)))
    missing = _NUMBERS - set(counts)
    held_out = set(FOLDS[choice.fold])
    if held_out <= missing or _NUMBERS - held_out <= missing:
        part = "test" if held_out <= missing else "train"
        tested = " and ".join(map(str, FOLDS[choice.fold]))
        message = f"the {part} split has no frames: fold {choice.fold} tests on sequences {tested}"
        hint = "add the sequences, or choose another fold"
        findings.append(Finding("empty-split", "error", message, hint))
    elif missing:
        listed = ", ".join(map(str, sorted(missing)))
        message = f"sequences {listed} are missing; scores are not comparable with published ones"
        findings.append(Finding("sequences-missing", "warning", message, "add them"))
    return findings


def _labelled(
    root: Path, k: int, folder: Path, choice: Choice, findings: list[Finding]
) -> list[Frame]:
    """Return the frames of a sequence in order, each with one layer per instrument."""

    def fault(code: str, message: str, hint: str, *paths: Path) -> None:
        files = tuple(shown(path, root) for path in paths)
        findings.append(Finding(code, "error", message, hint, files))

    truth = folder / "ground_truth"
    images = _pictures(folder / "left_frames", root, findings)
    if not images:
        hint = "unpack the release again: left_frames holds frame000.png, frame001.png, ..."
        fault("no-images", "a sequence has no frames", hint, folder / "left_frames")
    instruments = [name for name in listing(truth, root) if (truth / name).is_dir()]
    if not instruments:
        hint = "use the training release: the test release has no such masks"
        fault("no-masks", "a sequence has no instrument masks", hint, truth)
    layers: dict[str, list[Layer]] = {stem: [] for stem in images}
    for name in sorted(instruments):
        kind = next((t for t in _TYPES if t in name), None)
        if kind is None:
            message = f"{name} names no instrument; expected one of {', '.join(_TYPES)}"
            hint = "move it out of ground_truth, which holds one folder per instrument"
            fault("unknown-instrument", message, hint, truth / name)
            continue
        if kind == "Other" and choice.target != "type":
            continue
        masks = _pictures(truth / name, root, findings)
        if lacking := [truth / name / f"{stem}.png" for stem in images if stem not in masks]:
            hint = "unpack the release again, or remove the frame from left_frames"
            fault("image-without-mask", "a frame lacks an instrument's mask", hint, *lacking)
        if alone := [path for stem, path in masks.items() if stem not in images]:
            hint = "unpack the release again, or remove the mask"
            fault("mask-without-image", "a mask has no frame in left_frames", hint, *alone)
        for stem in images.keys() & masks.keys():
            layers[stem].append(_layer(masks[stem], kind, choice, root))
    return [
        Frame(f"seq{k}-{stem}", image, tuple(layers[stem]), f"instrument_dataset_{k}", CROP)
        for stem, image in images.items()
    ]


def _layer(path: Path, kind: str, choice: Choice, root: Path) -> Layer:
    label_map = LABEL_MAPS[choice.target]
    grey = label_map.greys[label_map.names.index(kind) if choice.target == "type" else -1]
    levels = _PARTS if choice.target == "parts" else dict.fromkeys(_PARTS, grey)
    others = (0 if choice.target == "parts" else grey) if choice.lenient else None
    lenient = root / str(Choice(choice.target, choice.fold, lenient=True))
    hint = f"correct the mask, or read it as the publications do: {lenient}"
    return Layer(path, ((0, 0), *levels.items()), _KNOWN, others, hint, published=True)


def _pictures(folder: Path, root: Path, findings: list[Finding]) -> dict[str, Path]:
    """Return the files named ``frame<nnn>.png`` by stem, in order."""
    names = listing(folder, root)
    frames = [name for name in names if re.fullmatch(r"frame[0-9]+\.png", name)]
    if others := tuple(shown(folder / name, root) for name in names if name not in frames):
        message = "files not named frame<nnn>.png are ignored"
        findings.append(Finding("passed-over", "warning", message, "move it away", others))
    return {name.removesuffix(".png"): folder / name for name in frames}


def _both_cameras(frames: list[Frame], root: Path, k: int, folder: Path) -> list[Frame]:
    """Return the frames of both cameras, without labels."""
    right = _pictures(folder / "right_frames", root, [])
    left = [Frame(f.name, f.image, None, f.group, f.crop) for f in frames]
    return left + [
        Frame(f"seq{k}-right-{f.image.stem}", right[f.image.stem], None, f.group, f.crop)
        for f in frames
        if f.image.stem in right
    ]
