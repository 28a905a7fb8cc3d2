"""Recognise the layout of a dataset and read it.

A new layout is a module with a [`Layout`][headstart.data.layouts.dataset.Layout] and a line in
`LAYOUTS`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.data.files import folders_not_entered, listing, merged, shown
from headstart.data.layouts import (
    described,
    description,
    endovis,
    images_and_masks,
    numbered_frames,
    paired,
)
from headstart.data.layouts.annotations import (
    coco,
    cvat,
    label_studio,
    labelme,
    nnunet,
    roboflow_masks,
    voc,
    yolo,
)
from headstart.data.layouts.annotations.annotation_files import holds_pictures
from headstart.data.layouts.annotations.other_tools import (
    annotations_not_read,
    other_annotations,
)
from headstart.data.layouts.arranged_files import find_places
from headstart.data.layouts.dataset import (
    Dataset,
    Layout,
    Recognised,
    first_that_recognises,
    read_with_rules,
)
from headstart.data.pictures.reading import read_image
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError, Finding

_PLACES_LOOKED_INTO = 5  # folders of pictures, when none could be read
_KINDS_OF_PICTURES = ("picture-depth", "picture-channels", "several-pages", "missing-extra")
_ARRANGE = (
    "put pictures and masks into two folders, images and masks, under the same names; or write a "
    f"{description.NAME} that says which belong together ({description.PAGE}); `headstart explain "
    "layout` lists all layouts"
)

# The first layout that recognises a folder reads it.
LAYOUTS: tuple[Layout[Dataset], ...] = (
    described.LAYOUT,
    coco.LAYOUT,
    yolo.LAYOUT,
    labelme.LAYOUT,
    label_studio.LAYOUT,
    cvat.LAYOUT,
    voc.LAYOUT,
    roboflow_masks.LAYOUT,
    nnunet.LAYOUT,
    endovis.LAYOUT,
    numbered_frames.LAYOUT,
    images_and_masks.LAYOUT,
    paired.LAYOUT,
)


def open_dataset(root: Path) -> Dataset:
    """Find the frames of a dataset in any known layout.

    A few masks are decoded at most, where their levels say what the classes are.

    Args:
        root: The dataset's folder. For EndoVis 2017 also ``folder/target-foldN``.

    Raises:
        DataError: With all faults of the folders, the label map and the groups that can be seen
            without decoding a picture.
    """
    try:
        found = recognise(root)
    except OSError:  # a name too long, a folder that may not be entered
        found = None
    if found is None:
        raise no_dataset(root)
    return found.read()


def layout_of(root: Path) -> str | None:
    """Return the name of a dataset's layout; None if it has none, as a folder of pictures.

    Raises:
        DataError: The folder is almost a dataset: two readings of it fit equally, its
            ``dataset.toml`` is wrong, or the path names a target or fold of EndoVis 2017 that does
            not exist. Or a folder cannot be listed.
        OSError: The name is too long, or a folder may not be entered.
    """
    found = recognise(root)
    return None if found is None else found.layout


def recognise(root: Path) -> Recognised[Dataset] | None:
    """Recognise a dataset with masks; None if it has no known layout.

    Args, Raises: as [`layout_of`][].
    """
    found = first_that_recognises(LAYOUTS, root)
    if found is None:
        return None
    _refuse_two_exports(found.layout, root)
    if found.layout == described.LAYOUT.name:
        return found
    rules = ReadingRules(lines=(f'layout = "{found.layout}"',))  # for hints

    def rule(own: ReadingRules) -> ReadingRules:
        return rules if own.lines is None else own

    return replace(found, read=lambda: read_with_rules(found.read, rule))


def _refuse_two_exports(recognised: str, root: Path) -> None:
    """Raise an error if a folder recognised as the export of one tool is that of another, too.

    Masks beside an export are no second export: Label Studio and CVAT write both.
    """
    of_exports = {e.name: e.evidence for e in LAYOUTS if e.evidence is not None}
    if recognised not in of_exports:  # all others have been asked before
        return
    fitting = {name: path for name, find in of_exports.items() if (path := find(root))}
    if len(fitting) < 2:
        return
    formats = " and ".join(f"{name} ({shown(path, root)})" for name, path in fitting.items())
    lines = " or ".join(f'layout = "{name}"' for name in fitting)
    message = f"the folder holds annotations in several formats: {formats}"
    hint = f"choose one with a line in {description.NAME}: {lines}; or move the other files away"
    files = tuple(shown(path, root) for path in fitting.values())
    raise DataError(Finding("two-readings", "error", message, hint, files))


def no_dataset(root: Path) -> DataError:
    """Return the error of a path that is no dataset of any kind."""
    if (not_a_folder := _not_a_folder(root)) is not None:
        return DataError(not_a_folder)
    return DataError([_unknown_layout(root), *_unreadable_pictures(root)])


def _not_a_folder(root: Path) -> Finding | None:
    try:
        if root.is_dir():
            return None
        message = f"{root} is not a folder" if root.exists() else f"there is no folder {root}"
    except OSError as error:
        message = f"{root} cannot be looked at: {error.strerror}"
    return Finding("no-such-folder", "error", message, "give the unpacked folder of the dataset")


def _unreadable_pictures(root: Path) -> tuple[Finding, ...]:
    """Return why a folder shows no pictures: links out of it, or what cannot be read.

    Looks at all folders, and at a few files with the endings of pictures. If one of them can be
    read, only kinds of pictures that are not read are returned: those read may be the masks.
    """
    faults = [each for each in folders_not_entered(root) if each.severity == "error"]
    some_can_be_read = False
    for place in find_places(root)[:_PLACES_LOOKED_INTO]:
        for path in dict.fromkeys((place.files[0], place.files[-1])):
            try:
                read_image(path, root)
            except DataError as error:
                faults += error.findings
            else:
                some_can_be_read = True
    if some_can_be_read:
        faults = [each for each in faults if each.code in _KINDS_OF_PICTURES]
    return merged(faults)


def _is_dataset(path: Path) -> bool:
    """Whether a folder is a dataset; annotations without pictures are only a part of one."""
    try:
        layout = layout_of(path)
    except DataError:  # it is one that has two readings, say
        return True
    exports = (each.name for each in LAYOUTS if each.evidence is not None)
    return layout is not None and (layout not in exports or holds_pictures(path))


def _unknown_layout(root: Path) -> Finding:
    """Also look one level down, because archives often unpack to a folder in a folder."""
    if (unread := annotations_not_read(root, deeper=False)) is not None:
        return unread
    names = listing(root, root)
    datasets = [name for name in names if (root / name).is_dir() and _is_dataset(root / name)]
    if not datasets and (unread := annotations_not_read(root)) is not None:
        return unread
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    message = f"{root} has none of the known layouts; it holds {listed or 'nothing'}"
    hint = _ARRANGE
    if (unknown := other_annotations(root)) is not None:
        message += "; its JSON files are none of the known annotation formats "
        message += f"({shown(unknown, root)})"
        hint = f"if they are annotations, export them as COCO; otherwise {hint}"
    if len(datasets) == 1:  # of several, such as patients, one alone is not what is meant
        hint = f"did you mean {root / datasets[0]}? Otherwise {hint}"
    return Finding("layout", "error", message, hint)
