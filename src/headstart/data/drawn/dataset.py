"""A dataset of drawn endoscopic scenes in the layout ``assignment``.

The demo, the documentation and the tests use it instead of pictures of patients. Scores on it say
nothing about real pictures, so every class name and the ``README.md`` in the folder say that the
pictures are drawn.
"""

from __future__ import annotations

import io
import json
import secrets
import shutil
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from headstart.data.drawn.instruments import KINDS
from headstart.data.drawn.scenes import MIN_SIDE, draw_scene
from headstart.errors import DataError, DiskError, Finding
from headstart.seeding import generator

GREYS = {"Drawn_Tissue": 0} | {kind.name: 60 * i for i, kind in enumerate(KINDS, start=1)}
"""The label map: class name to grey level, in the order of the class indices."""

_README = """\
# Drawn scenes, not endoscopy

A program (headstart's `headstart.data.drawn.dataset`) drew every picture in this folder from random
numbers. There was no patient, no camera and no instrument, and the masks are exact because the
program that drew the pictures also wrote them. A model trained on it has learned to read drawings;
its scores say that the software works, and nothing about real pictures.

- seed {seed}, {height} high, {width} wide
- `segmentation/`: {train} train, {validation} validation, {test} test (picture and mask)
- `colorization/train_cor/`: {train_cor} (the {train} labelled training pictures, byte for byte,
  then {unlabelled} others)
- `colorization/validation_cor/`: {validation} that occur nowhere else
- about a fifth of the scenes hold no instrument, the others up to three, one of a kind

| grey level | class |
|---|---|
{classes}

`write_dataset(folder, train={train}, validation={validation}, test={test}, unlabelled={unlabelled},
height={height}, width={width}, seed={seed})` draws it again.
"""


def write_dataset(
    root: Path,
    *,
    train: int = 60,
    validation: int = 20,
    test: int = 30,
    unlabelled: int = 120,
    height: int = 64,
    width: int = 80,
    seed: int = 0,
) -> Path:
    """Draw a dataset into ``root``; leave nothing behind on failure.

    Equal arguments give equal bytes (with the same NumPy, Pillow and type of machine). Each frame
    has its own generator, keyed by seed, split and number, so changing the number of frames does
    not change the remaining frames.

    Args:
        root: an empty or missing folder; missing parent folders are created.
        train: number of labelled training frames; ``colorization/train_cor`` starts with them.
        validation: number of labelled validation frames, and of other pictures in
            ``colorization/validation_cor``.
        test: number of labelled test frames.
        unlabelled: number of further pictures in ``colorization/train_cor``.
        height: height of every picture in pixels, at least 16.
        width: width of every picture in pixels, at least 16.
        seed: any integer.

    Returns:
        ``root``.

    Raises:
        ValueError: a count is negative, or a side is too small.
        DataError: ``root`` is a file, or a folder that is not empty.
        DiskError: writing failed; nothing is left behind.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     counts = {"train": 1, "validation": 0, "test": 0, "unlabelled": 1}
    ...     root = write_dataset(Path(folder) / "drawn", **counts)
    ...     sorted(p.name for p in root.iterdir())
    ['README.md', 'colorization', 'mapping.json', 'segmentation']
    """
    if min(train, validation, test, unlabelled) < 0 or min(height, width) < MIN_SIDE:
        counts = f"{train}, {validation}, {test}, {unlabelled} frames of {height} x {width} pixels"
        raise ValueError(
            f"cannot draw {counts}; expected counts of at least 0, sides of at least {MIN_SIDE}"
        )
    target = root.resolve()
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        _refuse_unless_free(root)
        partial.mkdir(parents=True)
        about = {"train": train, "validation": validation, "test": test, "unlabelled": unlabelled}
        _write(partial, about, height, width, seed)
        partial.rename(target)
    except OSError as error:
        message = f"the drawn dataset could not be written to {root}: {error.strerror or error}"
        hint = "check the free disk space and the permissions of the folder"
        raise DiskError(Finding("cannot-write", "error", message, hint)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


def _refuse_unless_free(root: Path) -> None:
    if root.is_dir():
        if not any(root.iterdir()):
            return
        message = f"{root} is not empty; a drawn dataset needs its own folder"
    elif root.exists():
        message = f"{root} is a file, expected a folder"
    else:
        return
    raise DataError(Finding("folder-not-empty", "error", message, "choose a new or empty folder"))


def _write(root: Path, counts: dict[str, int], height: int, width: int, seed: int) -> None:
    def draw(split: str, k: int) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
        return draw_scene(generator(seed, "scene", split, k), height, width)

    levels = np.array(list(GREYS.values()), np.uint8)
    for split in ("train", "validation", "test"):
        for k in range(counts[split]):
            image, mask = draw(split, k)
            folder = root / "segmentation" / split / str(k)
            folder.mkdir(parents=True)
            (folder / f"{k}_input.jpg").write_bytes(_jpeg(image))
            Image.fromarray(levels[mask]).save(folder / f"{k}_mask.png")
            if split == "train":
                _write_uncoloured(root / "colorization" / "train_cor", k, image)
    for k in range(counts["unlabelled"]):
        image, _ = draw("unlabelled", k)
        _write_uncoloured(root / "colorization" / "train_cor", counts["train"] + k, image)
    for k in range(counts["validation"]):
        image, _ = draw("validation_cor", k)
        _write_uncoloured(root / "colorization" / "validation_cor", k, image)

    (root / "mapping.json").write_text(json.dumps(GREYS, indent=2) + "\n", encoding="utf-8")
    classes = "\n".join(f"| {grey} | {name} |" for name, grey in GREYS.items())
    train_cor = counts["train"] + counts["unlabelled"]
    readme = _README.format(
        **counts, train_cor=train_cor, seed=seed, height=height, width=width, classes=classes
    )
    (root / "README.md").write_text(readme, encoding="utf-8")


def _write_uncoloured(folder: Path, k: int, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write a picture and its grey version as a colorization frame."""
    (folder / str(k)).mkdir(parents=True)
    (folder / str(k) / f"{k}_input.jpg").write_bytes(_jpeg(image))
    grey = np.asarray(Image.fromarray(image).convert("L"))
    (folder / str(k) / f"{k}_gray.jpg").write_bytes(_jpeg(grey))


def _jpeg(image: UInt8[np.ndarray, "h w *channels"]) -> bytes:
    """Encode as JPEG with full chroma resolution; subsampling would blur small pictures."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=92, subsampling=0)
    return file.getvalue()
