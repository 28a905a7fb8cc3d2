"""Writing the folder to label from: pictures, masks to correct, a list and a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import read_file, shown
from headstart.data.label_map import LabelMap
from headstart.data.pictures.frame import Frame, read_frame
from headstart.data.pictures.reading import picture_header
from headstart.data.pictures.reading_rules import NO_RULES
from headstart.inference.annotation_writer import write_annotations
from headstart.inference.format_names import AnnotationFormat
from headstart.inference.mask_files import mask_png
from headstart.inference.masks import png
from headstart.inference.output_folder import claimed_pictures
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.labelling.suggestion import Suggestion
from headstart.plots.contact_sheet import Tile, in_rows, overlay_thumbnail
from headstart.plots.contact_sheet import contact_sheet as sheet_of
from headstart.system.disk import write_atomic, write_json
from headstart.system.spreadsheets import csv_text

_THUMBNAIL, _COLUMNS = 240, 5  # pixels; five a row
_ON_SHEET = 100  # pictures; suggestions.csv lists the others
_LIST = "suggestions.csv"


def write_suggestions(
    segmenter: Segmenter,
    picked: Sequence[Suggestion],
    root: Path,
    out: Path,
    form: AnnotationFormat | None = None,
) -> tuple[Path, ...]:
    """Write the files that are needed to label pictures.

    ::

        suggestions.csv    one line per picture, the most valuable first
        sheet.png          the first hundred, with the run's predictions
        images/            the pictures
        masks/             the run's predictions in the dataset's levels or colours, to be corrected
        mapping.json       the grey level or colour of each class

    ``images``, ``masks`` and ``mapping.json`` are a dataset: a labelling tool can open it, and
    ``headstart check`` can check the result.

    Args:
        segmenter: the network of the run.
        picked: the pictures to label.
        root: the folder of the pictures.
        out: the folder to write to. If it is complete, nothing is written again: masks may have
            been corrected.
        form: the format of annotations to write beside the masks; None: only masks. They are made
            from the masks as they are in ``out``.

    Returns:
        The files or folders of the annotations.

    Raises:
        UsageError: ``out`` holds something else, or annotations that differ from its masks.
        DataError: a corrected mask holds other grey levels or colours than the run's.
        LockedError: another process is using ``out``.
        DiskError: a file cannot be written.
    """
    frames = [suggestion.frame for suggestion in picked]
    with claimed_pictures(out, segmenter.digest, frames, ("images", "masks")):
        if not (out / _LIST).exists():  # written last
            _write_all(segmenter, picked, root, out)
        if form is None:
            return ()
        copies = [Frame(frame.name, _copied(frame, root, out / "images")) for frame in frames]
        return write_annotations(form, copies, out / "images", segmenter.label_map, out)


def _write_all(segmenter: Segmenter, picked: Sequence[Suggestion], root: Path, out: Path) -> None:
    thumbnails: list[UInt8[np.ndarray, "_ _ 3"]] = []
    for suggestion in picked:
        image = read_frame(suggestion.frame, root)
        (indices,) = class_maps_of(segmenter, [image])
        _write_picture(suggestion.frame, image, root, out / "images")
        write_atomic(
            out / "masks" / f"{suggestion.frame.name}.png",
            mask_png(indices, segmenter.label_map),
        )
        if len(thumbnails) < _ON_SHEET:
            thumbnails.append(overlay_thumbnail(image, indices, _THUMBNAIL))
    names = segmenter.label_map.names
    write_json(out / "mapping.json", dict(zip(names, _values(segmenter.label_map), strict=True)))
    write_atomic(out / "sheet.png", png(contact_sheet(picked[:_ON_SHEET], thumbnails, names)))
    write_atomic(out / _LIST, _listed(picked, names, root))


def _values(label_map: LabelMap) -> Sequence[int | str]:
    """Return the grey level or colour of each class, as in ``mapping.json``."""
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in label_map.colours]
    return colours or label_map.greys


def _write_picture(
    frame: Frame, image: UInt8[np.ndarray, "h w 3"], root: Path, folder: Path
) -> None:
    if _fits(frame, root):
        write_atomic(_copied(frame, root, folder), read_file(frame.image, root))
    else:
        write_atomic(_copied(frame, root, folder), png(image))


def _fits(frame: Frame, root: Path) -> bool:
    """Return whether the mask fits the pixels in the file, and every tool reads it as we do.

    Otherwise the picture is written once more, cropped and upright, in 8 bits.
    """
    as_stored = frame.crop is None and frame.rules == NO_RULES
    return as_stored and picture_header(frame.image, root).orientation == 1


def _copied(frame: Frame, root: Path, folder: Path) -> Path:
    """Return where in a folder the picture of a frame is written."""
    ending = frame.image.suffix.lower() if _fits(frame, root) else ".png"
    return folder / f"{frame.name}{ending}"


def _listed(picked: Sequence[Suggestion], names: Sequence[str], root: Path) -> str:
    rows: list[tuple[object, ...]] = [("rank", "name", "picture", "uncertainty", "covers", *names)]
    for rank, s in enumerate(picked, start=1):
        shares = (f"{share:.4f}" for share in s.shares)
        about = (s.frame.name, shown(s.frame.image, root))
        rows.append((rank, *about, f"{s.uncertainty:.4f}", f"{s.covers:.5f}", *shares))
    return csv_text(rows)


def contact_sheet(
    picked: Sequence[Suggestion],
    thumbnails: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    names: Sequence[str],
) -> UInt8[np.ndarray, "h w 3"]:
    """Return all suggestions in rows of five, with rank, name and reason, above a legend."""
    cells = [
        Tile(small, (f"{rank}   {s.frame.name}", _reason(s)))
        for rank, (s, small) in enumerate(zip(picked, thumbnails, strict=True), start=1)
    ]
    return sheet_of(in_rows(cells, _COLUMNS), range(1, len(names)), names, _THUMBNAIL)


def _reason(suggestion: Suggestion) -> str:
    return f"uncertainty {suggestion.uncertainty:.3f}, covers {suggestion.covers:.1%}"
