"""The layout ``assignment``: a numbered folder for each frame.

::

    mapping.json
    segmentation/{train,validation,test}/<k>/<k>_input.jpg  <k>_mask.png
    colorization/{train_cor,validation_cor}/<k>/<k>_input.jpg      (optional)
    unlabelled/<stem>.*                                            (optional)

Names that start with a dot are passed over.
"""

from __future__ import annotations

from pathlib import Path

from headstart.data.files import listing
from headstart.data.label_map import LabelMap
from headstart.data.layouts.dataset import SPLITS
from headstart.data.layouts.label_discovery import find_label_map
from headstart.data.layouts.pairing import (
    FrameSearch,
    composed,
    describe,
    layout,
    mask_files,
    pair,
    pictures_by_stem,
)
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import SUFFIXES


def recognises(root: Path) -> bool:
    """Return whether ``segmentation`` has splits that hold folders, or nothing yet.

    A folder of masks may have this name, too.
    """
    folder = root / "segmentation"
    if not folder.is_dir():
        return False
    splits = [folder / split for split in SPLITS if (folder / split).is_dir()]
    if any((split / name).is_dir() for split in splits for name in listing(split, root)):
        return True
    held = [name for each in splits or [folder] for name in listing(each, root)]
    with_pictures = any(name.lower().endswith(SUFFIXES) for name in held)
    return not with_pictures and (bool(splits) or not held)


def _find(search: FrameSearch) -> LabelMap | None:
    for split in SPLITS:
        pair(search, split, *_numbered(search, search.root / "segmentation" / split))
    for split in ("train", "validation"):
        pictures, _ = _numbered(search, search.root / "colorization" / f"{split}_cor")
        if pictures:
            search.unlabelled[split] = tuple(Frame(k, path) for k, path in pictures.items())
    more = pictures_by_stem(search, search.root / "unlabelled")
    frames = (Frame(f"unlabelled-{stem}", path) for stem, path in more.items())
    search.unlabelled["train"] = (*search.unlabelled.get("train", ()), *frames)
    if not search.unlabelled["train"]:
        del search.unlabelled["train"]
    describe(search)
    return find_label_map(search, mask_files(search))


LAYOUT = layout(
    name="assignment",
    arrangement="segmentation/{train,validation,test}/<k>/<k>_input.jpg and <k>_mask.png",
    recognises=recognises,
    find=_find,
)


def _numbered(search: FrameSearch, folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return ``<k>/<k>_input.*`` and ``<k>/<k>_mask.*`` by k. A folder with neither is a fault."""
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    empty = []
    for k in listing(folder, search.root):
        if not (folder / k).is_dir():
            continue
        pictures = pictures_by_stem(search, folder / k, (f"{k}_input", f"{k}_mask"))
        if not pictures:
            empty.append(folder / k)
        for kind, paths in (("input", images), ("mask", masks)):
            if path := pictures.get(composed(f"{k}_{kind}")):
                paths[k] = path
    if empty:
        search.add_finding(
            "no-picture",
            "error",
            "a frame's folder <k> holds no <k>_input picture",
            "add the picture, or remove the folder",
            empty,
        )
    return images, masks
