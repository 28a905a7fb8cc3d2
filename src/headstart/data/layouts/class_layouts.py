"""Recognise a dataset of labelled pictures and read it, as `recognise` does for masks.

A new layout is a module with a [`Layout`][headstart.data.layouts.dataset.Layout] and a line in
`CLASS_LAYOUTS`.
"""

from __future__ import annotations

from pathlib import Path

from headstart.data.layouts import class_folders, idx
from headstart.data.layouts.class_dataset import ClassDataset
from headstart.data.layouts.dataset import Layout, Recognised, first_that_recognises
from headstart.data.layouts.recognise import layout_of
from headstart.errors import DataError, Finding

# The first layout that recognises a folder reads it.
CLASS_LAYOUTS: tuple[Layout[ClassDataset], ...] = (idx.LAYOUT, class_folders.LAYOUT)


def recognise_classes(root: Path) -> Recognised[ClassDataset] | None:
    """Recognise a dataset of labelled pictures, in a folder that is no dataset of masks.

    Raises:
        DataError: A folder cannot be listed.
    """
    try:
        if not root.is_dir() and str(root) != idx.FASHION_MNIST:
            return None
    except OSError:  # a name too long, a folder that may not be entered: no dataset of any kind
        return None
    return first_that_recognises(CLASS_LAYOUTS, root)


def open_classes(root: Path) -> ClassDataset:
    """Find the labelled pictures of a dataset.

    Args:
        root: folder of the dataset; or the word ``fashion-mnist``, which is downloaded unless such
            a folder exists.

    Raises:
        DataError: lists every fault that shows without decoding a picture.
    """
    found = _unless_masks(root)
    if found is None:
        message = f"{root} holds neither class folders nor idx files"
        hint = f"arrange it as {class_folders.LAYOUT.arrangement}"
        raise DataError(Finding("layout", "error", message, hint))
    return found.read()


def _unless_masks(root: Path) -> Recognised[ClassDataset] | None:
    try:
        masks = layout_of(root)
    except OSError:  # a name too long, a folder that may not be entered
        return None
    return None if masks is not None else recognise_classes(root)
