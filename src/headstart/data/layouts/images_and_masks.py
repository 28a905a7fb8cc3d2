"""The layout ``plain``: an image and its mask share their stem.

::

    mapping.json
    {train,validation,test}/{images,masks}/<stem>.*     or    {images,masks}/<stem>.*
    unlabelled/<stem>.*                                            (optional)
    groups.csv                                                     (optional)

``images`` and ``masks`` without splits are split by the tool, see [`headstart.data.groups`][].
``groups.csv`` has the columns ``stem`` (``17``; where several splits have a 17, ``train/17``) and
``group``: the video or patient that a frame comes from. Names that start with a dot are passed
over.
"""

from __future__ import annotations

from pathlib import Path

from headstart.data.files import listing, shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.annotations.annotation_files import holds_pictures
from headstart.data.layouts.dataset import SPLITS
from headstart.data.layouts.label_discovery import find_label_map
from headstart.data.layouts.name_patterns import usual_split
from headstart.data.layouts.pairing import (
    FrameSearch,
    composed,
    describe,
    layout,
    mask_files,
    pair,
    pictures_by_stem,
)
from headstart.data.layouts.splitting import (
    NO_SPLIT,
    assign_groups,
    draw_validation,
    make_splits,
    train_alone_is_no_split,
)
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import SUFFIXES


def recognises(root: Path) -> bool:
    """Return whether a split, or the folder itself, has a folder ``images``, and ``masks``.

    Without ``masks`` there must be no other folder that could hold the masks. If no mask has the
    name of a picture, their names may share a suffix, which this layout does not know; nor does it
    know splits by other names, such as ``val``, or folders below these two.
    """
    if not any(_has_images(root / name) for name in (*SPLITS, ".")):
        return False
    of_test = root / "test"
    images = of_test / "images"
    if images.is_dir() and listing(images, root) and not (of_test / "masks").exists():
        return False  # these pictures are unlabelled
    return not any(
        usual_split(name) and name not in SPLITS and (root / name / "images").is_dir()
        for name in listing(root, root)
    )


def _has_images(folder: Path) -> bool:
    if not (folder / "images").is_dir():
        return False
    known = ("images", "unlabelled", *SPLITS)
    others = [name for name in listing(folder, folder) if (folder / name).is_dir()]
    if "masks" in others:
        names = {kind: listing(folder / kind, folder) for kind in ("images", "masks")}
        stems = [
            {composed(Path(n).stem) for n in of_kind if Path(n).suffix.lower() in SUFFIXES}
            for of_kind in names.values()
        ]
        for of_kind, (kind, entries) in zip(stems, names.items(), strict=True):
            below = [folder / kind / name for name in entries if (folder / kind / name).is_dir()]
            # below masks/, there may be overlays and the like
            pictures_below = kind == "images" and any(map(holds_pictures, below))
            if below and (not of_kind or pictures_below):
                return False
        return not all(stems) or bool(stems[0] & stems[1])
    return not [name for name in others if name not in known]


def _find(search: FrameSearch) -> LabelMap | None:
    root = search.root
    with_splits = any((root / name / "images").is_dir() for name in SPLITS)
    present = [name for name in SPLITS if (root / name).exists()]
    if present == ["train"]:  # all three are made of it
        with_drawn: tuple[str, ...] = ("train",)
    else:
        with_drawn = tuple(name for name in SPLITS if name != "validation" or name in present)
    folder = "{split}/" if with_splits else ""
    patterns = f'`pictures = "{folder}images/{{name}}.*"`, `masks = "{folder}masks/{{name}}.*"`'
    if (root / "unlabelled").is_dir():
        patterns += ', `unlabelled = "unlabelled/{name}.*"`'
    for name in with_drawn if with_splits else (NO_SPLIT,):
        images, masks = (
            pictures_by_stem(search, root / name / kind) for kind in ("images", "masks")
        )
        pair(search, name, images, masks, patterns)
    pictures = pictures_by_stem(search, root / "unlabelled")
    if pictures:
        search.unlabelled["train"] = tuple(Frame(stem, path) for stem, path in pictures.items())
    describe(search)
    _say_left_out(search, with_splits)
    assign_groups(search)
    train_alone_is_no_split(search)
    draw_validation(search)
    make_splits(search)
    return find_label_map(search, mask_files(search))


def _say_left_out(search: FrameSearch, with_splits: bool) -> None:
    """Name the folders with pictures that lie beside ``images`` and ``masks``, or the splits."""
    for parent in (search.root, *(search.root / split for split in SPLITS)):
        for name in listing(parent, search.root) if parent.is_dir() else ():
            folder = parent / name
            unsorted = with_splits and parent == search.root and name in ("images", "masks")
            known = name in ("images", "masks", "unlabelled", *SPLITS) and not unsorted
            if known or not folder.is_dir():
                continue
            pictures = [n for n in listing(folder, search.root) if n.lower().endswith(SUFFIXES)]
            if pictures and unsorted:
                message = f"{len(pictures)} files in {name}/ are left out: they are in no split"
                hint = "move them into train/, validation/ or test/"
                search.add_finding("passed-over", "warning", message, hint, [folder])
            elif pictures:
                search.reading.append(
                    f"Left out: {len(pictures)} files in {shown(folder, search.root)}, which lies "
                    "beside images/ and masks/"
                )


LAYOUT = layout(
    name="plain",
    arrangement="{train,validation,test}/{images,masks}/ or images/ and masks/",
    recognises=recognises,
    find=_find,
)
