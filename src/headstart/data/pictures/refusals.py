"""The errors of a picture or mask that cannot be read."""

from __future__ import annotations

from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError, Finding

MAX_PIXELS = 64_000_000


def picture_error(name: str, code: str, message: str, hint: str) -> DataError:
    """Return the error of one file."""
    return DataError(Finding(code, "error", message, hint, (name,)))


def damaged(name: str, error: Exception | str) -> DataError:
    """Return the error of a file that its decoder cannot read."""
    return picture_error(
        name,
        "damaged-picture",
        f"the picture is damaged or cut short: {error or type(error).__name__}",
        "copy or download the file again from its source",
    )


def require_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture whose header claims too many pixels, or none.

    Raises:
        DataError: ``picture-size`` or ``damaged-picture``.
    """
    if width * height > max_pixels:
        raise picture_error(
            name,
            "picture-size",
            f"the header claims {width} x {height} pixels, expected at most {max_pixels:,} in all",
            "crop or scale the picture; if its true size is smaller, the file is damaged",
        )
    if width < 1 or height < 1:
        raise damaged(name, f"the header claims {width} x {height} pixels")


def too_deep(name: str, depth: str) -> DataError:
    """Return the error of a picture with samples that are no 8-bit levels."""
    return picture_error(
        name,
        "picture-depth",
        f"the picture is {depth}; expected 8 bits per channel",
        "convert the picture to 8 bits, with the range of values that you need",
    )


def without_range(name: str, depth: str, rules: ReadingRules) -> DataError:
    """Return the error of a picture of more than 8 bits for which no range is declared."""
    return picture_error(
        name,
        "picture-depth",
        f"the picture is {depth}, and the range of values to show is not declared",
        _with_a_range(rules.lines),
    )


def _with_a_range(lines: tuple[str, ...] | None) -> str:
    """Return what to do about pictures of more than 8 bits; see [`ReadingRules`][]."""
    if lines is None:
        return (
            "convert the picture to 8 bits, with the range of values that you need; only the "
            "dataset.toml of a dataset can declare a range, for it and for the runs trained on it"
        )
    listed = ", ".join(f"`{line}`" for line in (*lines, 'range = "percentile"'))
    where = "in dataset.toml, above its tables"
    if lines:
        where = "in a new file dataset.toml in the dataset's folder"
    return (
        f"declare the range {where}: {listed}; in place of each picture's own percentiles, the "
        "values that become black and white can be given, such as `range = [0, 4095]`. Or convert "
        "the pictures to 8 bits"
    )


def too_many_channels(name: str, channels: int) -> DataError:
    """Return the error of a picture that is neither grey nor in colour."""
    return picture_error(
        name,
        "picture-channels",
        f"the picture has {channels} channels; expected 1 (grey), 3 (RGB) or 4 (RGB and alpha)",
        "choose three of its channels and save them as an RGB picture",
    )


def grey_channels(name: str, channels: int) -> DataError:
    """Return the error of a picture whose channels are grey levels, each of its own."""
    return picture_error(
        name,
        "picture-channels",
        f"the picture has {channels} grey channels, which its file does not mark as colours",
        "save it as an RGB picture: in tifffile, with photometric='rgb'",
    )


def several_pages(name: str) -> DataError:
    """Return the error of a file with several pictures."""
    return picture_error(
        name,
        "several-pages",
        "the file holds several pictures (animation or pages); expected one",
        "save each picture as a separate file; for TIFFs of a dataset, the line `page = 0` of "
        "its dataset.toml chooses the first page",
    )


def no_such_page(name: str, page: int) -> DataError:
    """Return the error of a file that lacks the declared page."""
    return picture_error(
        name,
        "no-such-page",
        f"the file has no page {page} (pages are counted from 0)",
        "correct the line `page` of dataset.toml, or save the page as a file of its own",
    )


def needs_extra(name: str, extra: str, why: str) -> DataError:
    """Return the error of a file that needs an extra which is not installed."""
    return picture_error(name, "missing-extra", why, f'pip install "headstart[{extra}]"')


def unknown_compression(name: str, compression: str) -> DataError:
    """Return the error of a file whose compression has no decoder here."""
    return picture_error(
        name,
        "unknown-compression",
        f"the picture is compressed by {compression}, which headstart does not read",
        "save the picture again as PNG, or without compression",
    )
