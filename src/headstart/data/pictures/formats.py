"""The format of a file, by its first bytes; what a file is that is not a picture."""

from __future__ import annotations

import io
import re
from typing import BinaryIO

from headstart.data.pictures.dicom import is_dicom
from headstart.data.pictures.refusals import picture_error

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
_OTHERS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG file"),
    (b"%pdf", "a PDF document"),
    (b"%!ps", "a PostScript document"),
    (b"pk\x03\x04", "a zip archive"),
    (b"id3", "an audio file (MP3)"),
    (b"flac", "an audio file (FLAC)"),
    (b"#extm3u", "a playlist"),
)
_FORMATS = "expected PNG, JPEG, WEBP, BMP, TIFF, GIF or DICOM"
# A link that was checked out as text: one line that ends like a file name, or begins like a path.
_PATH = re.compile(rb"(\.{0,2}/[^\r\n]+|[^\r\n]*[^\r\n/\\. ]\.[A-Za-z][A-Za-z0-9]{1,4})[\r\n]*")


def container_of(file: BinaryIO | io.BytesIO, name: str) -> str:
    """Return the format of a picture, such as ``"PNG"``, and go back to the start of the file.

    Raises:
        DataError: the file is empty, or no picture.
    """
    head = file.read(512)
    if not head:
        raise picture_error(
            name, "empty-file", "the file is empty (0 bytes)", "copy the file again or remove it"
        )
    file.seek(0)
    container = next((format_ for magic, format_ in _MAGIC if head.startswith(magic)), None)
    if container is None and head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        container = "WEBP"
    if container is None and is_dicom(head):
        container = "DICOM"
    if container is not None:
        return container
    kind = resemblance(head)
    if kind == "text" and len(head) < 512 and _PATH.fullmatch(head):
        target = head.decode(errors="replace").strip()
        raise picture_error(
            name,
            "link-not-restored",
            f"the file is not a picture but the text {target!r}: a symbolic link that was not "
            "restored when the dataset was copied",
            "copy the dataset again with its links (git: `git config core.symlinks true`, then "
            "check out again), or put the picture itself in its place",
        )
    raise picture_error(
        name,
        "not-a-picture",
        f"the file is {kind}; {_FORMATS}",
        "replace the file with a picture, or remove it",
    )


def resemblance(head: bytes) -> str:
    """Describe the type of a file, judged by its first bytes."""
    for magic, container in _MAGIC:
        if head.startswith(magic):
            return f"a {container} picture"
    if is_dicom(head):
        return "a DICOM picture"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, description in _OTHERS:
        if start.startswith(magic):
            return description
    if b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return "text"
    return "of no known format"
