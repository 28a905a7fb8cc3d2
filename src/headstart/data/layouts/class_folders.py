"""The layout ``classes``: labelled pictures in one folder per class.

::

    train/<class>/<picture>   test/<class>/<picture>   validation/<class>/<picture>  (optional)
    or <class>/<picture> alone, which headstart then splits

``val`` means ``validation``. Without a validation split, a fixed tenth of the training pictures of
each class is used. Names that start with a dot are ignored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import listing, merged, natural_key, shown
from headstart.data.layouts.annotations.other_tools import annotations_not_read
from headstart.data.layouts.class_dataset import (
    ClassDataset,
    LabelledSplit,
    drawn_splits,
    reading_of,
    with_validation,
)
from headstart.data.layouts.contents import content_of, look_into
from headstart.data.layouts.dataset import SPLITS, Layout
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import SUFFIXES, read_image
from headstart.errors import DataError, Finding, Severity

_FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
# Folders with these names (unless they hold photographs) and files with these endings mean that the
# pictures have masks, not classes.
_MASKS = ("mask", "masks", "labels", "annotations", "ground_truth")
_MASK_ENDINGS = ("_input", "_mask")
_SAMPLED = 5  # pictures per folder
_MOST_LOOKED_INTO = 100  # classes: a few pictures of each are decoded


@dataclass
class _ClassSearch:
    """Folders of the splits, their files by class, and findings.

    The split of a folder without splits is called ``""``.
    """

    root: Path
    folders: dict[str, Path] = field(default_factory=dict)
    files: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def error(self, code: str, message: str, hint: str, paths: list[Path]) -> None:
        self._add(code, "error", message, hint, paths)

    def warning(self, code: str, message: str, hint: str, paths: list[Path]) -> None:
        self._add(code, "warning", message, hint, paths)

    def _add(
        self, code: str, severity: Severity, message: str, hint: str, paths: list[Path]
    ) -> None:
        files = tuple(shown(path, self.root) for path in paths)
        self.findings.append(Finding(code, severity, message, hint, files))


def recognise(root: Path) -> Callable[[], ClassDataset] | None:
    """Return the reader of a folder with class folders.

    Decides by names, and by some of the pictures if a class has a name that mask folders have. A
    folder with a ``mapping.json`` has masks.

    Raises:
        DataError: A folder cannot be listed.
    """
    if (root / "mapping.json").exists() or annotations_not_read(root, deeper=False) is not None:
        return None
    # Under train/ any file counts as a picture of a class; if it cannot be read, it is reported.
    splits = [root / name for names in _FOLDERS.values() for name in names]
    if any(_has_classes(split, True) for split in splits):
        return partial(_read, root)
    # Without splits, folders of annotations beside one of pictures look like classes, too.
    if _has_classes(root, False) and annotations_not_read(root) is None:
        return partial(_read, root)
    return None


def _folders(folder: Path) -> list[Path]:
    """Return the folders in ``folder``; empty if it does not exist."""
    if not folder.is_dir():
        return []
    return [folder / name for name in listing(folder, folder) if (folder / name).is_dir()]


def _has_classes(folder: Path, any_file: bool) -> bool:
    """Whether a subfolder holds pictures (or any file) and nothing looks like masks."""
    subfolders = _folders(folder)
    if any(each.name.lower() in _MASKS and not _holds_photographs(each) for each in subfolders):
        return False
    files = [each / name for each in subfolders for name in listing(each, folder)]
    beside_masks = any(
        path.stem == path.parent.name + ending for path in files for ending in _MASK_ENDINGS
    )
    return not beside_masks and any(
        path.is_file() if any_file else path.suffix.lower() in SUFFIXES for path in files
    )


def _holds_photographs(folder: Path) -> bool:
    """Whether most of a few sampled pictures are photographs; false if none can be read."""
    paths = [folder / n for n in listing(folder, folder) if Path(n).suffix.lower() in SUFFIXES]
    votes = []
    for path in paths[:: max(1, len(paths) // _SAMPLED)][:_SAMPLED]:
        with contextlib.suppress(DataError):
            votes.append(_has_many_colours(read_image(path, folder)))
    return 2 * sum(votes) > len(votes)


def _has_many_colours(image: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether a picture has many colours; grey pictures and masks (even as JPEG) have few."""
    height, width = image.shape[:2]
    sample = image[:: max(1, height // 128), :: max(1, width // 128)].reshape(-1, 3)
    return len(np.unique(sample, axis=0)) > max(32, len(sample) // 5)


def _read(root: Path) -> ClassDataset:
    search = _ClassSearch(root)
    _find_splits(search)
    names = tuple(sorted(search.files.get("train", search.files.get("", {})), key=natural_key))
    _check(search, names)
    errors = [f for f in search.findings if f.severity == "error"]
    if errors:
        raise DataError(merged(errors))
    _refuse_masks(search)
    splits = {split: _pictures(search, split, names) for split in search.files}
    if "" in splits:
        splits = drawn_splits(splits[""])
        counts = ", ".join(f"{len(splits[split].names)} {split}" for split in SPLITS)
        message = f"the folder has no splits; headstart splits each class: {counts}"
        hint = "pictures of one source may be in several splits: make train/ and test/ yourself"
        search.findings.append(Finding("split-by-tool", "info", message, hint))
    splits = with_validation(splits)
    given = [split for split in search.files if split]
    reading = reading_of("one folder for each class", names, splits, given)
    return ClassDataset(root, LAYOUT.name, names, splits, merged(search.findings), reading)


LAYOUT = Layout(
    name="classes",
    arrangement="train/<class>/<picture> and test/<class>/<picture>",
    recognise=recognise,
)


def _find_splits(search: _ClassSearch) -> None:
    """Find the splits and their files; warn about splits without class folders."""
    root = search.root
    candidates = {
        split: [root / n for n in _FOLDERS[split] if (root / n).is_dir()] for split in SPLITS
    }
    if not any(candidates.values()):
        candidates = {"": [root]}
    known = [path for folders in candidates.values() for path in folders]
    if "" not in candidates and (beside := [path for path in _folders(root) if path not in known]):
        message = "folders next to the splits are ignored"
        hint = f"the splits are called {', '.join(SPLITS)}"
        search.warning("not-a-split", message, hint, beside)
    for split, folders in candidates.items():
        if len(folders) > 1:
            message = "there are two validation splits"
            search.error("two-validation-splits", message, "remove one of them", folders)
        for folder in folders[:1]:
            classes = _classes_of(search, folder)
            if classes or split in ("", "train"):
                search.folders[split], search.files[split] = folder, classes
            else:
                message = "a split without class folders is ignored"
                search.warning("empty-split", message, "fill it, or remove it", [folder])


def _classes_of(search: _ClassSearch, folder: Path) -> dict[str, list[Path]]:
    """Return the pictures of each class; report other files and folders."""
    classes: dict[str, list[Path]] = {}
    loose, not_pictures, nested = [], [], []
    for name in listing(folder, search.root):
        if not (folder / name).is_dir():
            loose.append(folder / name)
            continue
        classes[name] = []
        for inner in listing(folder / name, search.root):
            path = folder / name / inner
            if path.is_dir():
                nested.append(path)
            elif path.suffix.lower() in SUFFIXES:
                classes[name].append(path)
            else:
                not_pictures.append(path)
    if loose:
        message = "files next to the class folders are ignored"
        search.warning("passed-over", message, "move them into their class, or away", loose)
    if not_pictures:
        message = f"a class folder holds a file that does not end in {' '.join(SUFFIXES)}"
        search.error("not-a-picture", message, "convert it, or move it away", not_pictures)
    if nested:
        message = "a class folder holds another folder"
        search.error("nested-folder", message, "put pictures directly into their class", nested)
    if empty := [folder / name for name, files in classes.items() if not files]:
        search.error("empty-class", "a class has no pictures", "add some, or remove it", empty)
    return classes


def _refuse_masks(search: _ClassSearch) -> None:
    """Refuse folders of masks beside folders of pictures: they are no classes.

    Raises:
        DataError: some folders hold what looks like masks, and others pictures.
    """
    part = search.files.get("train", search.files.get("", {}))
    if (search.root / "mapping.json").exists():
        message = "a mapping.json names the levels of masks, but no masks belong to the pictures"
        hint = "give masks the names of their pictures; or remove mapping.json: these are classes"
        raise DataError(Finding("masks-as-classes", "error", message, hint, ("mapping.json",)))
    if len(part) > _MOST_LOOKED_INTO:
        return
    look = look_into(search.root)
    contents = {name: content_of(files, look) for name, files in part.items()}
    masks = [name for name, content in contents.items() if content in ("labels", "region")]
    if masks and "picture" in contents.values():
        folder = search.folders.get("train", search.root)
        message = f"folders look like masks, not like classes of pictures: {', '.join(masks)}"
        hint = (
            "if they are the masks of the other pictures, give both the same file names, or say in "
            "dataset.toml which belong together"
        )
        where = tuple(shown(folder / name, search.root) for name in masks)
        raise DataError(Finding("masks-as-classes", "error", message, hint, where))


def _check(search: _ClassSearch, names: tuple[str, ...]) -> None:
    """Report faults of the classes across splits."""
    if "" not in search.files and "train" not in search.files:
        message = f"{search.root} has the splits {', '.join(search.files)}, but not train"
        search.error("empty-split", message, "expected train/<class>/<picture>", [])
        return
    if len(names) < 2:
        classes_there_are = f"only the class {names[0]}" if names else "no class"
        message = f"there is {classes_there_are}, expected at least two"
        search.error("too-few-classes", message, "make a folder for each class", [])
    for split, classes in search.files.items():
        if split not in ("train", "") and (unknown := [c for c in classes if c not in names]):
            message = f"the {split} split has classes that the training split lacks"
            paths = [search.folders[split] / name for name in unknown]
            search.error("unknown-class", message, "rename them, or add them to train", paths)
    fewest = 3 if "" in search.files else 1 if "validation" in search.files else 2
    part = "" if "" in search.files else "train"
    learned = search.files[part]
    if few := [name for name, files in learned.items() if 0 < len(files) < fewest]:
        message = f"a class has too few pictures to split, expected at least {fewest}"
        paths = [search.folders[part] / name for name in few]
        search.error("too-few-pictures", message, "add pictures, or remove the class", paths)
    if "test" in search.files and (absent := [n for n in names if n not in search.files["test"]]):
        message = f"the test split lacks classes: {', '.join(absent)}"
        hint = "they are learned, but have no score"
        search.findings.append(Finding("class-absent", "warning", message, hint))


def _pictures(search: _ClassSearch, split: str, names: tuple[str, ...]) -> LabelledSplit:
    frames, labels = [], []
    for k, name in enumerate(names):
        for path in search.files[split].get(name, []):
            frames.append(Frame(f"{name}/{path.name}", path))
            labels.append(k)
    return LabelledSplit(
        tuple(f.name for f in frames), np.array(labels, dtype=np.int64), tuple(frames), None
    )
