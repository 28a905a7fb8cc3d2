"""The layout ``nnunet``: a 2D dataset of nnU-Net, version 2 or 1.

::

    dataset.json
    imagesTr/<case>_0000.png   labelsTr/<case>.png
    imagesTs/<case>_0000.png   labelsTs/<case>.png                 (optional)

``dataset.json`` names the classes and their levels; pixels of the label ``ignore`` are ignored.
With ``labelsTs``, its cases are the test split. Without, the pictures in ``imagesTs`` are
unlabelled, and ``imagesTr`` is split by the tool. A picture with several channels must be one file,
as nnU-Net itself stores colour pictures: ``_0000`` alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headstart.data.files import listing
from headstart.data.label_map import LabelMap, label_map_of
from headstart.data.layouts.annotations.annotation_files import bad_annotations, read_json
from headstart.data.layouts.label_files import classes_sentence, labels_of
from headstart.data.layouts.label_palettes import check_palettes
from headstart.data.layouts.pairing import FrameSearch, composed, export_layout, mask_files, pair
from headstart.data.layouts.splitting import NO_SPLIT, complete_splits
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import SUFFIXES

_FILE = "dataset.json"
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>[0-9]{4})")


def evidence(root: Path) -> Path | None:
    """Return the ``dataset.json`` of a folder that has nnU-Net's two training folders."""
    folders = all((root / name).is_dir() for name in ("imagesTr", "labelsTr"))
    return root / _FILE if folders and (root / _FILE).is_file() else None


def _find(search: FrameSearch) -> LabelMap | None:
    root, path = search.root, search.root / _FILE
    content = read_json(path, root)
    suffix = _ending(search, content, path)
    tested = bool(listing(root / "labelsTs", root))
    for split, ending in (("train", "Tr"), ("test", "Ts")) if tested else ((NO_SPLIT, "Tr"),):
        images = _cases(search, f"images{ending}", suffix, with_channel=True)
        masks = _cases(search, f"labels{ending}", suffix, with_channel=False)
        pair(search, split, images, masks)
        search.reading.append(
            f"nnU-Net's {len(search.splits.get(split, ()))} cases in images{ending}/ are paired "
            f"with labels{ending}/ by name: <case>_0000{suffix} with <case>{suffix}."
        )
    if not tested:
        pictures = _cases(search, "imagesTs", suffix, with_channel=True)
        if pictures:
            search.unlabelled["train"] = tuple(Frame(c, path) for c, path in pictures.items())
            search.reading.append(
                f"The {len(pictures)} pictures in imagesTs/ have no labels: they are unlabelled, "
                "for pre-training."
            )
    complete_splits(search)
    return _label_map(search, content, path)


LAYOUT = export_layout(
    name="nnunet",
    arrangement="nnU-Net's dataset.json, imagesTr/<case>_0000.png and labelsTr/<case>.png",
    evidence=evidence,
    find=_find,
)


def _label_map(search: FrameSearch, content: Any, path: Path) -> LabelMap:
    pairs = labels_of(content, path, search.root)
    if pairs is None:
        hint = 'add them as "labels": {"background": 0, "tool": 1}'
        raise bad_annotations("dataset.json has no labels", hint, path, search.root)
    label_map = label_map_of(pairs, _FILE)
    search.reading.append(classes_sentence(label_map, _FILE))
    check_palettes(search, label_map, mask_files(search), None)
    return label_map


def _ending(search: FrameSearch, content: Any, path: Path) -> str:
    """Return the ending of all files: version 2 states it, else that of the first label."""
    if not isinstance(content, dict):
        hint = "nnU-Net's documentation shows its keys: channel_names, labels, file_ending"
        raise bad_annotations("dataset.json is not a JSON object", hint, path, search.root)
    if "dataset" in content:
        message = "dataset.json lists its files under 'dataset', which may lie in other folders"
        hint = "copy them to imagesTr/ and labelsTr/, and remove the entry"
        raise bad_annotations(message, hint, path, search.root)
    ending = content.get("file_ending")
    if ending is None:
        labels = listing(search.root / "labelsTr", search.root)
        first = Path(labels[0]) if labels else Path(f"a{SUFFIXES[0]}")
        ending = ".nii.gz" if first.name.endswith(".nii.gz") else first.suffix
    if not isinstance(ending, str) or ending.lower() not in SUFFIXES:
        message = f"the files end in {str(ending)[:20]}, expected one of {' '.join(SUFFIXES)}"
        hint = "headstart reads pictures, not volumes: save each slice as a PNG file"
        raise bad_annotations(message, hint, path, search.root)
    return ending


def _cases(search: FrameSearch, folder: str, suffix: str, *, with_channel: bool) -> dict[str, Path]:
    """Return the files of a folder by case; report other files and further channels."""
    cases: dict[str, Path] = {}
    others, channels = [], []
    for name in listing(search.root / folder, search.root):
        path = search.root / folder / name
        match = _CHANNEL.fullmatch(path.stem) if with_channel else None
        if path.suffix != suffix or (with_channel and match is None):
            others.append(path)
        elif match is None:
            cases[composed(path.stem)] = path
        elif match["channel"] == "0000":
            cases[composed(match["case"])] = path
        else:
            channels.append(path)
    if others:
        example = f"<case>_0000{suffix}" if with_channel else f"<case>{suffix}"
        message = f"files that are not named {example} were passed over"
        search.add_finding("passed-over", "warning", message, "rename or move them away", others)
    if channels:
        message = "a case has several channels, each in its own file; headstart reads one picture"
        hint = "merge three channels into one RGB file <case>_0000, or keep only one of them"
        search.add_finding("several-channels", "error", message, hint, channels)
    return cases
