"""Splits that teach nothing or give no score, because no pixel shows a foreground class."""

from __future__ import annotations

from collections.abc import Iterable

from headstart.data.layouts.dataset import Dataset
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, Finding


def no_foreground(splits: Iterable[str]) -> list[Finding]:
    """Return an error for each of these splits, none of which shows a foreground class."""
    hint = (
        "move frames that show a class into the split, or correct its masks and mapping.json; "
        "ignored pixels do not count"
    )
    why = ("no score can be computed on", "nothing can be learned from")
    return [
        Finding(
            "no-foreground",
            "error",
            f"no {split} frame shows a foreground class, so {why[split == 'train']} this split",
            hint,
        )
        for split in splits
    ]


def refuse_no_foreground(dataset: Dataset, splits: Iterable[str]) -> None:
    """Read masks of each split until one shows a foreground class.

    Masks that cannot be read are left to what reads all of them.

    Raises:
        DataError: no mask of a split does.
    """
    unique = dict.fromkeys(splits)
    if findings := no_foreground(s for s in unique if _without(dataset, dataset.splits.get(s, ()))):
        raise DataError(findings)


def _without(dataset: Dataset, frames: tuple[Frame, ...]) -> bool:
    classes = len(dataset.label_map.names)
    for frame in frames:
        try:
            _, mask = read_labelled(frame, dataset.label_map, dataset.root)
        except DataError:
            return False  # unknown
        if ((mask > 0) & (mask < classes)).any():
            return False
    return bool(frames)
