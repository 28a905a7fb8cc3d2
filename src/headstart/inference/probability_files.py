"""Calibrated probabilities of pictures as files: a 16-bit PNG for each class, or NumPy's npz."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float16, UInt16
from PIL import Image

from headstart.inference.format_names import PROBABILITIES, ProbabilityFormat
from headstart.inference.segmenter import ProbabilityRows, Segmenter
from headstart.scores.calibration import calibrated
from headstart.system.disk import write_atomic, write_json

_HIGHEST = 65535  # the grey level of probability 1
_LONGEST = 60  # characters of a class in the name of a folder


def folders_of(names: Sequence[str], form: ProbabilityFormat) -> tuple[str, ...]:
    """Return the folders that hold the files of pictures, relative to the output folder.

    Args:
        names: the classes; a PNG lies in the folder of its class.
        form: the format.

    >>> folders_of(("background", "Prograsp Forceps"), "png")
    ('probabilities/0-background', 'probabilities/1-Prograsp_Forceps')
    """
    if form == "npz":
        return (PROBABILITIES,)
    return tuple(f"{PROBABILITIES}/{folder}" for folder in _class_folders(names))


def _class_folders(names: Sequence[str]) -> list[str]:
    """Return a folder for each class: its number makes it unique, whatever its name is."""
    plain = (re.sub(r"[^\w-]+", "_", name)[:_LONGEST] for name in names)
    return [f"{k}-{name}" for k, name in enumerate(plain)]


def write_classes(out: Path, segmenter: Segmenter, form: ProbabilityFormat) -> None:
    """Write ``probabilities/classes-png.json`` or ``classes-npz.json``.

    It holds the class of each folder or index, and the temperature.

    Raises:
        DiskError: it cannot be written.
    """
    names = segmenter.names
    keys = _class_folders(names) if form == "png" else map(str, range(len(names)))
    content = {
        "schema": 1,
        "temperature": segmenter.temperature,
        "classes": dict(zip(keys, names, strict=True)),
    }
    write_json(out / PROBABILITIES / f"classes-{form}.json", content)


def write_probabilities(
    out: Path,
    name: str,
    rows: ProbabilityRows,
    size: tuple[int, int],
    segmenter: Segmenter,
    form: ProbabilityFormat,
) -> None:
    """Write the probabilities of a picture at its own size.

    Args:
        out: the output folder, in which the folders of [`folders_of`][] are.
        name: the name of the frame, which may be a path.
        rows: its probabilities from above, before calibration.
        size: height and width of the picture.
        segmenter: has the temperature and the classes.
        form: ``"png"``: 16-bit grey, 65535 is 1; ``"npz"``: float16 ``probabilities``, ``(classes,
            height, width)``, and the names of the ``classes``.

    Raises:
        DiskError: a file cannot be written.
    """
    if form == "png":
        maps = _maps(rows, size, segmenter, np.uint16)
        for folder, of_class in zip(folders_of(segmenter.names, form), maps, strict=True):
            buffer = io.BytesIO()
            Image.fromarray(of_class).save(buffer, format="PNG")
            write_atomic(out / folder / f"{name}.png", buffer.getvalue())
        return
    maps = _maps(rows, size, segmenter, np.float16)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, probabilities=maps, classes=np.array(segmenter.names))
    write_atomic(out / PROBABILITIES / f"{name}.npz", buffer.getvalue())


def _maps(
    rows: ProbabilityRows,
    size: tuple[int, int],
    segmenter: Segmenter,
    form: type[np.uint16] | type[np.float16],
) -> UInt16[np.ndarray, "k h w"] | Float16[np.ndarray, "k h w"]:
    """Return calibrated probabilities: integers up to 65535, or floats up to 1."""
    maps = np.empty((len(segmenter.names), *size), form)
    for part, probs in rows:
        certain = calibrated(probs, segmenter.temperature, axis=0)
        maps[:, part] = np.rint(certain * np.float32(_HIGHEST)) if form is np.uint16 else certain
    return maps
