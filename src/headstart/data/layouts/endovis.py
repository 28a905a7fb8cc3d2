"""EndoVis 2017 (robotic instrument segmentation) as the challenge released it for training.

Its folders are::

    instrument_dataset_<k>/left_frames/frame<nnn>.png                1920 x 1080
    instrument_dataset_<k>/right_frames/frame<nnn>.png               the other camera; optional
    instrument_dataset_<k>/ground_truth/<instrument>/frame<nnn>.png  one mask an instrument

Eight sequences of 225 frames, k from 1 to 8, side by side or as they are unpacked, in
``instrument_1_4_training`` and ``instrument_5_8_training``. Of a picture the 1280 x 1024 pixels
from (320, 28) show something; pictures and masks are cut to them.

The masks of one instrument have the grey levels 10 (shaft), 20 (wrist), 30 (claspers) and, where it
is a probe, 40. Its folder names it: ``Left_Prograsp_Forceps_labels``, ``Right_Vessel_Sealer``,
``Maryland_Bipolar_Forceps_labels``, ``Other_labels`` and so on, sides and endings as they come.

| target | classes |
|---|---|
| ``binary`` | background, instrument; ``Other`` is background |
| ``parts`` | background, shaft, wrist, claspers; ``Other``, and probes, are background |
| ``type`` | background and seven instruments, ``Other`` the last of them |

Where masks overlap, a folder later in the alphabet covers the earlier ones. ISINet's preparation
does the same; TernausNet's takes the folders in the order in which the file system lists them.

The folds are those of Shvets et al. 2018 (Automatic Instrument Segmentation in Robot-Assisted
Surgery Using Deep Learning): a fold's two sequences are the test split, which publications call
validation. The last ninth of each other sequence is the validation split, what comes before it the
training split. Validating on the next fold's sequences instead would leave training without an
instrument that the test shows (fold 0: others, fold 1: grasping retractors, fold 2: scissors), and
with four sequences where publications have six. What comes from one sequence is one group.
Pre-training gets the training frames of both cameras.

A path says which target and fold are meant: ``DATA/parts-fold2``; ``DATA`` alone is
``DATA/type-fold0``. Masks with other grey levels than these, coloured or transparent pixels are
refused (sequence 7 of the release is reported to have a few), unless the path ends in ``-lenient``:
``DATA/type-fold0-lenient`` reads them as the publications do. For binary and type all that is not
black is the instrument, for parts all that is none is background.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from headstart.data.files import listing, merged, shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.dataset import Dataset, Layout
from headstart.data.pictures.frame import Crop, Frame, Layer
from headstart.errors import DataError, Finding

CROP = Crop(full=(1080, 1920), top=28, left=320, height=1024, width=1280)
FOLDS = ((1, 3), (2, 5), (4, 8), (6, 7))  # the sequences that are held out
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
_VALIDATION = 9  # one frame in nine, the last: 25 of 225, twelve seconds


@dataclass(frozen=True)
class Choice:
    """What to learn, and which sequences to hold out.

    Attributes:
        target: ``"binary"``, ``"parts"`` or ``"type"``.
        fold: 0 to 3.
        lenient: read grey levels and colours that should not be there as the publications do.

    >>> str(Choice("parts", 2))
    'parts-fold2'
    """

    target: str = "type"
    fold: int = 0
    lenient: bool = False

    def __str__(self) -> str:
        return f"{self.target}-fold{self.fold}" + ("-lenient" if self.lenient else "")


def recognises(path: Path) -> bool:
    """Return whether a path is the release's folder, or its folder and a choice.

    Raises:
        DataError: The folder is the release, but the path names a target or fold that does not
            exist.
    """
    return _folder_and_choice(path) is not None


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
    """Number and folder of each sequence; the same number may be there twice."""
    try:
        inside = [path for path in root.glob("instrument_*_training") if path.is_dir()]
        folders = [path for parent in (root, *inside) for path in parent.iterdir()]
    except OSError:
        return []
    numbered = ((_SEQUENCE.fullmatch(path.name), path) for path in folders)
    return sorted((int(match[1]), path) for match, path in numbered if match and path.is_dir())


def read(path: Path) -> Dataset:
    """Find the frames of a release by split.

    Raises:
        DataError: With all faults of its folders that can be seen without decoding a picture.
    """
    recognised = _folder_and_choice(path)
    assert recognised is not None
    root, choice = recognised
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
    recognises=recognises,
    read=read,
)


def _about(root: Path, choice: Choice) -> list[Finding]:
    """Says what was chosen and how to choose otherwise."""
    held_out = " and ".join(f"instrument_dataset_{k}" for k in FOLDS[choice.fold])
    message = (
        f"EndoVis 2017, target {choice.target}, fold {choice.fold}: {held_out} to test, the last "
        "ninth of each other sequence to validate, the frames before it to train"
    )
    other = Choice("parts" if choice.target != "parts" else "type", (choice.fold + 1) % len(FOLDS))
    hint = f"another target or fold is part of the path, for example {root / str(other)}"
    findings = [Finding("endovis", "info", message, hint)]
    if choice.lenient:
        meaning = "background" if choice.target == "parts" else "the instrument"
        message = f"mask pixels of no known grey level, and coloured ones, are read as {meaning}"
        hint = "without -lenient they are refused, and every file that has some is named"
        findings.append(Finding("lenient", "info", message, hint))
    return findings


def _complete(root: Path, sequences: list[tuple[int, Path]], choice: Choice) -> list[Finding]:
    """Sequences that are missing, are there twice, or belong to no fold."""

    def files(numbers: set[int]) -> tuple[str, ...]:
        return tuple(shown(path, root) for k, path in sequences if k in numbers)

    findings = []
    counts = Counter(k for k, _ in sequences)
    if twice := {k for k, count in counts.items() if count > 1}:
        message = "a sequence is there twice"
        hint = "keep one; the release for testing does not belong beside that for training"
        findings.append(Finding("sequence-twice", "error", message, hint, files(twice)))
    if others := set(counts) - _NUMBERS:
        message = "sequences that are in no fold were passed over"
        hint = "the folds are made of sequences 1 to 8, the release for training"
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
        message = f"sequences {listed} are missing; scores compare with no published ones"
        findings.append(Finding("sequences-missing", "warning", message, "add them"))
    return findings


def _labelled(
    root: Path, k: int, folder: Path, choice: Choice, findings: list[Finding]
) -> list[Frame]:
    """A sequence's frames in order, each with a layer an instrument."""

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
        hint = "take the release for training: that for testing has no masks of this kind"
        fault("no-masks", "a sequence has no masks of instruments", hint, truth)
    layers: dict[str, list[Layer]] = {stem: [] for stem in images}
    for name in sorted(instruments):
        kind = next((t for t in _TYPES if t in name), None)
        if kind is None:
            message = f"{name} names no instrument; expected one of {', '.join(_TYPES)}"
            hint = "move it out of ground_truth: its folders are those of the release for training"
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
    return Layer(path, ((0, 0), *levels.items()), _KNOWN, others, hint)


def _pictures(folder: Path, root: Path, findings: list[Finding]) -> dict[str, Path]:
    """``frame<nnn>.png`` by stem, in order."""
    names = listing(folder, root)
    frames = [name for name in names if re.fullmatch(r"frame[0-9]+\.png", name)]
    if others := tuple(shown(folder / name, root) for name in names if name not in frames):
        message = "passed over what is not called frame<nnn>.png"
        findings.append(Finding("passed-over", "warning", message, "move it away", others))
    return {name.removesuffix(".png"): folder / name for name in frames}


def _both_cameras(frames: list[Frame], root: Path, k: int, folder: Path) -> list[Frame]:
    """The pictures of frames and of what the right camera saw meanwhile, without labels."""
    right = _pictures(folder / "right_frames", root, [])
    left = [Frame(f.name, f.image, None, f.group, f.crop) for f in frames]
    return left + [
        Frame(f"seq{k}-right-{f.image.stem}", right[f.image.stem], None, f.group, f.crop)
        for f in frames
        if f.image.stem in right
    ]
