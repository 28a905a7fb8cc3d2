"""How to read pictures, as far as their files leave it open: which values to show, which page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from headstart.data.pictures.value_range import ValueRange
from headstart.errors import DataError


@dataclass(frozen=True)
class ReadingRules:
    """How to read the pictures of a dataset, as far as their files leave it open.

    Attributes:
        value_range: the values to show as 0 and 255 in pictures of more than 8 bits;
            ``"percentile"`` for each picture's own 0.5 and 99.5 percentiles; None: such pictures
            are refused.
        page: the page of a TIFF, counted from 0; None: files with several pages are refused.
        lines: for messages, the lines of a ``dataset.toml`` to which one with a range could be
            added: none if the dataset has such a file. None: the picture is of no such dataset.
    """

    value_range: ValueRange | None = None
    page: int | None = None
    # runs have recorded hashes without them
    lines: tuple[str, ...] | None = field(default=None, repr=False, compare=False)

    def or_else(self, other: ReadingRules) -> ReadingRules:
        """Return these rules, with those of ``other`` where they say nothing."""
        return replace(
            self,
            value_range=other.value_range if self.value_range is None else self.value_range,
            page=other.page if self.page is None else self.page,
            lines=other.lines if self.lines is None else self.lines,
        )


NO_RULES = ReadingRules()


def fitting(rules: ReadingRules, read_header: Callable[[ReadingRules], object]) -> ReadingRules:
    """Return the rules of other pictures as they fit one: without a page if it is a single picture.

    Args:
        rules: the rules.
        read_header: reads the header of the picture by the rules that it is given.
    """
    if not rules.page:  # the first page is that of a single picture, too
        return rules
    alone = replace(rules, page=None)
    try:
        read_header(alone)
    except DataError:  # it has several; or it cannot be read, which reading it says
        return rules
    return alone
