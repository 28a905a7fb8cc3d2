"""Every row of the table in ``headstart.data.pictures.reading``, and files without a picture."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.files import merged, open_regular, read_file
from headstart.data.pictures.reading import picture_header, read_image, read_mask
from headstart.errors import DataError, Finding

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (24, 32), dtype=np.uint8)
FEW = (GREY % 3).astype(np.uint8)


def encoded(picture: np.ndarray | Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def text_bomb() -> bytes:
    """A PNG whose compressed comment unpacks to 20 MB of zeros."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(10_000_000)) for _ in range(2)) + packer.flush()
    return PNG[:33] + chunk(b"zTXt", b"Comment\0\0" + packed) + PNG[33:]


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data


def png_sixteen(channels: int) -> bytes:
    """A 16-bit PNG of one pixel in grey (1), RGB (3) or RGBA (4); Pillow writes none."""
    colour = {1: 0, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", 1, 1, 16, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" + b"\1\2" * (channels - 1) + b"\xff\xff"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def palette(indices: np.ndarray, colours: list[int]) -> Image.Image:
    image = Image.fromarray(indices).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(colours)
    return image


def with_alpha(lowest: int, mode: str = "RGBA", grey: np.ndarray | None = None) -> Image.Image:
    alpha = np.full((24, 32), 255, np.uint8)
    alpha[3, 4] = lowest
    in_colour = RGB if grey is None else np.stack([grey] * 3, 2)
    image = Image.fromarray(in_colour if mode == "RGBA" else FEW)
    image.putalpha(Image.fromarray(alpha))
    return image


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def several(form: str) -> bytes:
    other = Image.fromarray(255 - RGB)
    return encoded(RGB, form, save_all=True, append_images=[other])


PNG, JPEG = encoded(RGB), encoded(RGB, "JPEG")
LOSSY_FLOAT = encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF")

BAD_IMAGES: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "empty-file", "0 bytes"),
    "html": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "not-a-picture", "HTML"),
    "html after a mark": (b"\xef\xbb\xbf<HTML>", "not-a-picture", "HTML"),
    "text": (b"no picture\n", "not-a-picture", "text"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not-a-picture", "SVG"),
    "pdf": (b"%PDF-1.7\n", "not-a-picture", "PDF"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not-a-picture", "PostScript"),
    "link as text": (b"../images/17.png\n", "link-not-restored", "../images/17.png"),
    "name as text": (b"Ground Truth 17.tif", "link-not-restored", "Ground Truth 17.tif"),
    "absolute path as text": (b"/data/annex/SHA256-s17", "link-not-restored", "/data/annex"),
    "two lines of text": (b"a.png\nb.png\n", "not-a-picture", "text"),
    "gif cut": (encoded(RGB[..., 0], "GIF")[:100], "damaged-picture", "cut short"),
    "gif bomb": (b"GIF89a" + b"\xff" * 4 + encoded(FEW, "GIF")[10:], "picture-size", "65535"),
    "animated gif": (several("GIF"), "several-pages", "several pictures"),
    "avif": (b"\0\0\0\x1cftypavif" + bytes(40), "not-a-picture", "no known format"),
    "fits": (b"SIMPLE  =                    T", "not-a-picture", "expected PNG"),
    "photoshop": (b"8BPS\0\1" + bytes(40), "not-a-picture", "no known format"),
    "windows metafile": (b"\xd7\xcd\xc6\x9a" + bytes(40), "not-a-picture", "no known format"),
    "zip": (b"PK\x03\x04" + bytes(40), "not-a-picture", "zip"),
    "zeros": (bytes(100), "not-a-picture", "no known format"),
    "only a signature": (PNG[:8], "damaged-picture", "cut short"),
    "png cut": (PNG[: len(PNG) // 2], "damaged-picture", "cut short"),
    "jpeg cut": (JPEG[: len(JPEG) // 2], "damaged-picture", "cut short"),
    "webp cut": (encoded(RGB, "WEBP")[:200], "damaged-picture", "cut short"),
    "bmp cut": (encoded(RGB, "BMP")[:900], "damaged-picture", "cut short"),
    "tiff cut": (encoded(RGB, "TIFF")[:60], "damaged-picture", "cut short"),
    "bomb": (png_header(30_000, 30_000), "picture-size", "30000 x 30000"),
    "below Pillow's warning": (png_header(9_000, 9_000), "picture-size", "9000 x 9000"),
    "above Pillow's warning": (png_header(12_000, 12_000), "picture-size", "12000 x 12000"),
    "huge": (png_header(2**31 - 1, 2**31 - 1), "picture-size", "2147483647"),
    "no width": (png_header(0, 5), "damaged-picture", "damaged"),
    "apng": (several("PNG"), "several-pages", "several pictures"),
    "animated webp": (several("WEBP"), "several-pages", "several pictures"),
    "pages of a tiff": (several("TIFF"), "several-pages", "several pictures"),
    "transparent": (encoded(with_alpha(254)), "transparent-picture", "transparent"),
    "transparent grey": (encoded(with_alpha(0, "LA")), "transparent-picture", "transparent"),
    "transparent colour": (encoded(FEW, transparency=1), "transparent-picture", "transparent"),
    "16 bit grey": (encoded(GREY.astype(np.uint16)), "picture-depth", "16-bit grey"),
    "16 bit colour": (png_sixteen(3), "picture-depth", "16-bit RGB"),
    "16 bit colour and alpha": (png_sixteen(4), "picture-depth", "16-bit RGBA"),
    "32 bit grey": (encoded(GREY.astype(np.int32), "TIFF"), "picture-depth", "32-bit grey"),
    "float": (LOSSY_FLOAT, "picture-depth", "floating point"),
}

SHOWN = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
COLOURED = palette(FEW, [0, 0, 0, 255, 0, 0, 0, 255, 0])
REMAPPED = palette(FEW, [0, 0, 0, 128, 128, 128, 255, 255, 255])

BAD_MASKS: dict[str, tuple[bytes, str, str]] = {
    "empty": BAD_IMAGES["empty"],
    "png cut": BAD_IMAGES["png cut"],
    "bomb": BAD_IMAGES["bomb"],
    "jpeg": (encoded(np.repeat([[0, 255]], 8, 0).astype(np.uint8).repeat(9, 1), "JPEG"),
             "lossy-mask", "saved as JPEG"),
    "webp": (encoded(RGB, "WEBP"), "lossy-mask", "saved as WEBP"),
    "jpeg in a tiff": (encoded(GREY, "TIFF", compression="jpeg"), "lossy-mask", "saved as TIFF"),
    "coloured": (PNG, "coloured-mask", "coloured"),
    "16 bit": (encoded(np.full((2, 2), 256, np.uint16)), "mask-depth", "256 to 256"),
    "negative": (encoded(np.full((2, 2), -1, np.int32), "TIFF"), "mask-depth", "from -1"),
    "16 bit colour": (png_sixteen(3), "picture-depth", "16-bit"),
    "float": (LOSSY_FLOAT, "picture-depth", "floating point"),
    "cmyk": (encoded(Image.fromarray(RGB).convert("CMYK"), "TIFF"), "picture-depth", "CMYK"),
    "grey palette": (encoded(REMAPPED), "ambiguous-mask", "grey levels [0, 128, 255]"),
    "transparent": (encoded(with_alpha(0, "LA")), "transparent-mask", "transparent"),
    "link as text": BAD_IMAGES["link as text"],
    "animated gif": BAD_IMAGES["animated gif"],
}  # fmt: skip


def refused(read: Callable[[Path, Path], object], path: Path, root: Path) -> Finding:
    with pytest.raises(DataError) as caught:
        read(path, root)
    assert caught.value.exit_status == 65
    (finding,) = caught.value.findings
    assert finding.files == (str(path.relative_to(root)),)
    assert finding.message
    assert finding.hint
    return finding


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_bad_image(tmp_path: Path, case: str) -> None:
    content, code, found = BAD_IMAGES[case]
    path = tmp_path / "images" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(content)
    finding = refused(read_image, path, tmp_path)
    assert finding.code == code
    assert found in finding.message


@pytest.mark.parametrize("case", BAD_MASKS)
def test_bad_mask(tmp_path: Path, case: str) -> None:
    content, code, found = BAD_MASKS[case]
    path = tmp_path / "a.png"
    path.write_bytes(content)
    finding = refused(read_mask, path, tmp_path)
    assert finding.code == code
    assert found in finding.message


def test_a_comment_that_unpacks_to_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(text_bomb())
    for read in (read_image, read_mask):
        assert refused(read, path, tmp_path).code == "damaged-picture"


@pytest.mark.parametrize("read", [read_image, read_mask, picture_header])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "missing", "device", "outside"])
def test_what_is_no_file_of_the_dataset(
    tmp_path: Path, read: Callable[[Path, Path], object], kind: str
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    path = root / "a.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "outside":
        (tmp_path / "secret.png").write_bytes(PNG)
        path.symlink_to("../secret.png")
    codes = {"device": "link-leaves-dataset", "outside": "link-leaves-dataset"}
    codes |= {"pipe": "not-a-file", "folder": "not-a-file"}
    assert refused(read, path, root).code == codes.get(kind, "unreadable-file")


def test_folder_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.png").write_bytes(PNG)
    root = tmp_path / "data"
    root.mkdir()
    (root / "images").symlink_to(tmp_path / "outside")
    assert refused(read_image, root / "images" / "a.png", root).code == "link-leaves-dataset"


def test_links_inside_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "a.png").write_bytes(PNG)
    (root / "b.png").symlink_to("a.png")
    alias = tmp_path / "alias"
    alias.symlink_to(root)
    assert np.array_equal(read_image(root / "b.png", root), RGB)
    assert np.array_equal(read_image(alias / "b.png", alias), RGB)


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(PNG)

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("headstart.data.files.os.open", denied)
    finding = refused(read_image, tmp_path / "a.png", tmp_path)
    assert finding.code == "unreadable-file"
    assert "Permission denied" in finding.message


def test_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    assert refused(lambda path, root: open_regular(path, root, 10), tmp_path / "a.png", tmp_path)
    assert read_file(tmp_path / "a.png", tmp_path) == PNG


def test_every_flipped_byte_of_a_png_is_seen_or_harmless(tmp_path: Path) -> None:
    """A checksum guards every byte that decides about a pixel."""
    path = tmp_path / "a.png"
    content = bytearray(encoded(RGB[:4, :4]))
    refusals = 0
    for position in range(len(content)):
        content[position] ^= 0x10
        path.write_bytes(content)
        content[position] ^= 0x10
        try:
            assert np.array_equal(read_image(path, tmp_path), RGB[:4, :4]), position
        except DataError:
            refusals += 1
    assert refusals > 0.8 * len(content)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "BMP", "TIFF"])
def test_flipped_and_lost_bytes_are_refused_or_read_never_worse(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a"
    whole = encoded(RGB[:8, :8], form)
    rng = np.random.default_rng(1)
    for _ in range(60):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        path.write_bytes(content[: rng.integers(len(content) // 2, 2 * len(content))])
        for read in (read_image, read_mask, picture_header):
            try:
                read(path, tmp_path)
            except DataError as error:
                assert "a" in error.findings[0].files


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encoded(RGB), RGB),
        (encoded(RGB, "BMP"), RGB),
        (encoded(RGB, "TIFF"), RGB),
        (encoded(RGB, "TIFF", compression="tiff_lzw"), RGB),
        (encoded(RGB, "WEBP", lossless=True), RGB),
        (encoded(GREY), np.stack([GREY] * 3, 2)),
        (encoded(FEW == 1), np.stack([(FEW == 1) * np.uint8(255)] * 3, 2)),
        (encoded(with_alpha(255)), RGB),
        (encoded(with_alpha(255, "LA")), np.stack([FEW] * 3, 2)),
        (encoded(FEW, transparency=9), np.stack([FEW] * 3, 2)),
        (encoded(COLOURED), SHOWN[FEW]),
        (encoded(GREY, "GIF"), np.stack([GREY] * 3, 2)),
        (encoded(COLOURED, "GIF", optimize=False), SHOWN[FEW]),
        (PNG + b"PK\x03\x04 more", RGB),
        (JPEG + bytes(5000), np.asarray(Image.open(io.BytesIO(JPEG)))),
        (encoded(RGB[:1, :1]), RGB[:1, :1]),
        (encoded(np.zeros((1, 20_000), np.uint8)), np.zeros((1, 20_000, 3), np.uint8)),
    ],
)
def test_images_without_loss(tmp_path: Path, content: bytes, expected: np.ndarray) -> None:
    path = tmp_path / "whatever.jpg"  # the content decides, not the name
    path.write_bytes(content)
    image = read_image(path, tmp_path)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    assert np.array_equal(image, expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encoded(GREY), GREY),
        (encoded(GREY, "BMP"), GREY),
        (encoded(GREY, "TIFF", compression="tiff_deflate"), GREY),
        (encoded(FEW == 1), (FEW == 1) * np.uint8(255)),
        (encoded(COLOURED), FEW),
        (encoded(COLOURED, transparency=0), FEW),
        (encoded(COLOURED, transparency=b"\0\x80\xff"), FEW),
        (encoded(COLOURED, "GIF", optimize=False), FEW),
        (encoded(COLOURED, "GIF", optimize=False, transparency=0), FEW),
        (encoded(REMAPPED, "GIF", optimize=False), np.array([0, 128, 255], np.uint8)[FEW]),
        (encoded((FEW == 1) * np.uint8(255), "GIF"), (FEW == 1) * np.uint8(255)),
        (encoded((FEW == 1) * np.uint8(255), "GIF", transparency=0), (FEW == 1) * np.uint8(255)),
        (encoded(FEW, "GIF"), FEW),
        (encoded(FEW == 1, "GIF"), (FEW == 1) * np.uint8(255)),
        (encoded(with_alpha(255, "RGBA", FEW)), FEW),
        (encoded(palette(FEW, [0, 0, 0, 1, 1, 1, 2, 2, 2])), FEW),
        (encoded(GREY.astype(np.uint16)), GREY),
        (encoded(GREY.astype(np.int32), "TIFF"), GREY),
        (encoded(np.stack([GREY] * 3, 2)), GREY),
        (encoded(with_alpha(255, "LA")), FEW),
        (encoded(GREY, exif=orientation(3)), GREY[::-1, ::-1]),
    ],
)
def test_masks(tmp_path: Path, content: bytes, expected: np.ndarray) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    mask = read_mask(path, tmp_path)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("value", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, form: str, value: int) -> None:
    upright = {
        1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.swapaxes(0, 1),
        6: RGB[::-1].swapaxes(0, 1), 7: RGB[::-1, ::-1].swapaxes(0, 1),
        8: RGB.swapaxes(0, 1)[::-1],
    }[value]  # fmt: skip
    options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
    options |= {"lossless": True} if form == "WEBP" else {}
    path = tmp_path / "a"
    path.write_bytes(encoded(RGB, form, exif=orientation(value), **options))
    image = read_image(path, tmp_path)
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).max() <= (4 if form == "JPEG" else 0)
    assert picture_header(path, tmp_path).orientation == value


def test_cmyk_image(tmp_path: Path) -> None:
    cmyk = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 128, 255, 51]]], np.uint8)
    path = tmp_path / "a.tif"
    path.write_bytes(encoded(Image.frombytes("CMYK", (3, 1), cmyk.tobytes()), "TIFF"))
    inverse = 255 - cmyk.astype(float)
    expected = inverse[..., :3] * inverse[..., 3:] / 255
    assert np.abs(read_image(path, tmp_path) - expected).max() <= 1


def test_phone_picture_with_previews_is_its_first(tmp_path: Path) -> None:
    content = several("MPO")
    assert Image.open(io.BytesIO(content)).n_frames == 2
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    first = Image.open(io.BytesIO(encoded(RGB, "JPEG")))
    assert np.array_equal(read_image(path, tmp_path), np.asarray(first))


def test_merged_names_every_file_and_what_differs() -> None:
    findings = [Finding("k", "error", f"found {i % 7}", "mend", (f"{i}.png",)) for i in range(20)]
    (one,) = merged([*findings, *findings])
    assert one.files == tuple(f"{i}.png" for i in range(20))
    assert "found 0 (0.png and 5 more)" in one.message
    assert one.message.endswith("and 2 more like these")
