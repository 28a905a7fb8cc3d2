"""Labelled pictures: one folder a class, or Fashion-MNIST's four files.

One folder a class::

    train/<class>/<picture>   test/<class>/<picture>   validation/<class>/<picture>  (optional)
    or <class>/<picture> alone, which the tool then splits

``val`` is understood as ``validation``. Where nobody has set validation pictures aside, a tenth of
each class's training pictures is, always the same. Names that start with a dot are passed over. The
idx files are told in [`headstart.data.layouts.idx`][].
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from headstart.data.files import listing, merged, natural_key, shown
from headstart.data.layouts.dataset import SPLITS
from headstart.data.layouts.idx import fetch_fashion_mnist, find_idx, read_idx, unread_idx
from headstart.data.layouts.recognise import layout_of
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import SUFFIXES, read_image
from headstart.errors import DataError, Finding, Severity
from headstart.seeding import generator

FASHION_MNIST = "fashion-mnist"
_FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
# Folders of these names, unless photographs are in them, and files of these endings: pictures have
# masks, not classes.
_MASKS = ("mask", "masks", "labels", "annotations", "ground_truth")
_OF_MASKS = ("_input", "_mask")
_LOOKED_AT = 5  # pictures
_HELD_OUT = 10  # of so many pictures of a class one validates, and one tests


@dataclass(frozen=True)
class LabelledSplit:
    """One split of labelled pictures.

    Attributes:
        names: of the pictures.
        labels: index of each one's class.
        frames: its files; empty where ``pixels`` holds the pictures.
        pixels: grey pictures; None where they are files.
    """

    names: tuple[str, ...]
    labels: Int64[np.ndarray, " n"]
    frames: tuple[Frame, ...]
    pixels: UInt8[np.ndarray, "n h w"] | None

    def subset(self, indices: Int64[np.ndarray, " m"]) -> LabelledSplit:
        """Those at ``indices``, in that order."""
        return LabelledSplit(
            tuple(self.names[i] for i in indices),
            self.labels[indices],
            tuple(self.frames[i] for i in indices) if self.frames else (),
            None if self.pixels is None else self.pixels[indices],
        )


@dataclass(frozen=True)
class ClassDataset:
    """What a folder holds.

    Attributes:
        root: the folder.
        layout: ``"classes"`` or ``"idx"``.
        names: of the classes.
        splits: ``"train"``, ``"validation"``, ``"test"``, those there are.
        findings: warnings met on the way.
    """

    root: Path
    layout: str
    names: tuple[str, ...]
    splits: dict[str, LabelledSplit]
    findings: tuple[Finding, ...]


@dataclass
class _ClassSearch:
    """Folders of the splits, their files by class, and what was wrong on the way.

    The split of a folder that has none is called ``""``.
    """

    root: Path
    folders: dict[str, Path] = field(default_factory=dict)
    files: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def error(self, code: str, message: str, hint: str, paths: list[Path]) -> None:
        self._found(code, "error", message, hint, paths)

    def warning(self, code: str, message: str, hint: str, paths: list[Path]) -> None:
        self._found(code, "warning", message, hint, paths)

    def _found(
        self, code: str, severity: Severity, message: str, hint: str, paths: list[Path]
    ) -> None:
        files = tuple(shown(path, self.root) for path in paths)
        self.findings.append(Finding(code, severity, message, hint, files))


def classes_layout_of(root: Path) -> str | None:
    """``"idx"``, ``"classes"``, or None where a folder is neither.

    What may be a dataset of masks is none of classes, a faulty one neither. Looks at names; and at
    some of the pictures of a folder that is called as those of masks are, for a class may be too.

    Raises:
        DataError: A folder cannot be listed, or the error of
            [`layout_of`][headstart.data.layouts.recognise.layout_of].
    """
    try:
        if str(root) == FASHION_MNIST and not root.exists():
            return "idx"
        if not root.is_dir() or layout_of(root) is not None:
            return None
    except OSError:  # a name too long, a folder that may not be entered: no dataset of any kind
        return None
    if find_idx(root):
        return "idx"
    # Under train/ a GIF is a class's picture too, and a fault that is then named.
    splits = [root / name for names in _FOLDERS.values() for name in names]
    if any(_has_classes(split, True) for split in splits) or _has_classes(root, False):
        return "classes"
    return None


def _folders(folder: Path) -> list[Path]:
    """Those in ``folder``; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return [folder / name for name in listing(folder, folder) if (folder / name).is_dir()]


def _has_classes(folder: Path, any_file: bool) -> bool:
    """Whether one of its folders holds pictures, or files of any kind; nothing looks like masks."""
    inside = _folders(folder)
    if any(inner.name.lower() in _MASKS and not _holds_photographs(inner) for inner in inside):
        return False
    files = [inner / name for inner in inside for name in listing(inner, folder)]
    beside_masks = any(
        path.stem == path.parent.name + ending for path in files for ending in _OF_MASKS
    )
    return not beside_masks and any(
        path.is_file() if any_file else path.suffix.lower() in SUFFIXES for path in files
    )


def _holds_photographs(folder: Path) -> bool:
    """Whether most of some pictures are; not where none can be read: masks come in many formats."""
    paths = [folder / n for n in listing(folder, folder) if Path(n).suffix.lower() in SUFFIXES]
    votes = []
    for path in paths[:: max(1, len(paths) // _LOOKED_AT)][:_LOOKED_AT]:
        with contextlib.suppress(DataError):
            votes.append(_has_many_colours(read_image(path, folder)))
    return 2 * sum(votes) > len(votes)


def _has_many_colours(image: UInt8[np.ndarray, "h w 3"]) -> bool:
    """As photographs do; nothing in grey does, nor do masks, also those that a JPEG has smeared."""
    height, width = image.shape[:2]
    some = image[:: max(1, height // 128), :: max(1, width // 128)].reshape(-1, 3)
    return len(np.unique(some, axis=0)) > max(32, len(some) // 5)


def open_classes(root: Path) -> ClassDataset:
    """Find the labelled pictures of a dataset.

    Args:
        root: its folder; or the word ``fashion-mnist``, which is fetched if there is no such
            folder.

    Raises:
        DataError: with every fault that can be seen without decoding a picture.
    """
    layout = classes_layout_of(root)
    if layout == "idx":
        root = root if root.exists() else fetch_fashion_mnist()
        names, arrays = read_idx(root)
        splits = {
            split: LabelledSplit(tuple(f"{i:05}" for i in range(len(labels))), labels, (), pixels)
            for split, (pixels, labels) in arrays.items()
        }
        return ClassDataset(root, layout, names, _with_validation(splits), unread_idx(root))
    if layout is None:
        message = f"{root} holds neither folders of classes nor idx files"
        hint = "arrange it as train/<class>/<picture> and test/<class>/<picture>"
        raise DataError(Finding("layout", "error", message, hint))
    search = _ClassSearch(root)
    _find_splits(search)
    names = tuple(sorted(search.files.get("train", search.files.get("", {})), key=natural_key))
    _check(search, names)
    errors = [f for f in search.findings if f.severity == "error"]
    if errors:
        raise DataError(merged(errors))
    splits = {split: _pictures(search, split, names) for split in search.files}
    if "" in splits:
        splits = _split(splits[""])
        counts = ", ".join(f"{len(splits[split].names)} {split}" for split in SPLITS)
        message = f"the folder has no splits; each class was split by the tool: {counts}"
        hint = "pictures of one source may be in several splits: make train/ and test/ yourself"
        search.findings.append(Finding("split-by-tool", "info", message, hint))
    return ClassDataset(root, layout, names, _with_validation(splits), merged(search.findings))


def _find_splits(search: _ClassSearch) -> None:
    """Their folders and files; a folder without classes is as good as none, and is said."""
    root = search.root
    there = {split: [root / n for n in _FOLDERS[split] if (root / n).is_dir()] for split in SPLITS}
    if not any(there.values()):
        there = {"": [root]}
    known = [path for folders in there.values() for path in folders]
    if "" not in there and (beside := [path for path in _folders(root) if path not in known]):
        message = "passed over the folders beside the splits"
        search.warning("not-a-split", message, f"the splits are called {', '.join(SPLITS)}", beside)
    for split, folders in there.items():
        if len(folders) > 1:
            message = "there are two validation splits, and it cannot be told which is meant"
            search.error("two-validation-splits", message, "remove one of them", folders)
        for folder in folders[:1]:
            classes = _classes_of(search, folder)
            if classes or split in ("", "train"):
                search.folders[split], search.files[split] = folder, classes
            else:
                message = "passed over a split without folders of classes"
                search.warning("empty-split", message, "fill it, or remove it", [folder])


def _classes_of(search: _ClassSearch, folder: Path) -> dict[str, list[Path]]:
    """The pictures of each class; what is none is a fault."""
    classes: dict[str, list[Path]] = {}
    loose, strange, nested = [], [], []
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
                strange.append(path)
    if loose:
        message = "passed over what lies beside the folders of classes"
        search.warning("passed-over", message, "move it into its class, or away", loose)
    if strange:
        message = f"a class's folder holds what does not end in {' '.join(SUFFIXES)}"
        search.error("not-a-picture", message, "convert it, or move it away", strange)
    if nested:
        message = "a class's folder holds a folder"
        search.error("nested-folder", message, "put pictures directly into their class", nested)
    if empty := [folder / name for name, files in classes.items() if not files]:
        search.error("empty-class", "a class has no picture", "add some, or remove it", empty)
    return classes


def _check(search: _ClassSearch, names: tuple[str, ...]) -> None:
    """What is wrong with the classes of the splits together."""
    if "" not in search.files and "train" not in search.files:
        message = f"{search.root} has no train split, but {', '.join(search.files)}"
        search.error("empty-split", message, "expected train/<class>/<picture>", [])
        return
    if len(names) < 2:
        found = f"only {names[0]} is a class" if names else "there is no class"
        message = f"{found} to learn, expected at least two"
        search.error("too-few-classes", message, "make a folder for each class", [])
    for split, classes in search.files.items():
        if split not in ("train", "") and (unknown := [c for c in classes if c not in names]):
            message = f"the {split} split has classes that train has not"
            paths = [search.folders[split] / name for name in unknown]
            search.error("unknown-class", message, "rename them, or add them to train", paths)
    fewest = 3 if "" in search.files else 1 if "validation" in search.files else 2
    part = "" if "" in search.files else "train"
    learned = search.files[part]
    if few := [name for name, files in learned.items() if 0 < len(files) < fewest]:
        message = f"a class has too few pictures to be split, expected at least {fewest}"
        paths = [search.folders[part] / name for name in few]
        search.error("too-few-pictures", message, "add pictures, or remove the class", paths)
    if "test" in search.files and (absent := [n for n in names if n not in search.files["test"]]):
        message = f"classes that the test split does not have: {', '.join(absent)}"
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


def _set_aside(
    pictures: LabelledSplit, purpose: str, of: LabelledSplit
) -> tuple[LabelledSplit, LabelledSplit]:
    """Those that stay, and a tenth of each class in ``of``, at least one, always the same."""
    chosen: list[int] = []
    for k in np.unique(pictures.labels).tolist():
        mine = np.flatnonzero(pictures.labels == k)
        count = max(1, int((of.labels == k).sum()) // _HELD_OUT)
        chosen += generator(0, purpose, k).permutation(mine)[:count].tolist()
    aside = np.sort(np.array(chosen, dtype=np.int64))
    stay = np.setdiff1d(np.arange(len(pictures.names)), aside)
    return pictures.subset(stay), pictures.subset(aside)


def _split(whole: LabelledSplit) -> dict[str, LabelledSplit]:
    rest, test = _set_aside(whole, "test of classes", whole)
    train, validation = _set_aside(rest, "validation of classes", whole)
    return {"train": train, "validation": validation, "test": test}


def _with_validation(splits: dict[str, LabelledSplit]) -> dict[str, LabelledSplit]:
    if "train" in splits and "validation" not in splits:
        whole = splits["train"]
        train, validation = _set_aside(whole, "validation of classes", whole)
        splits = {**splits, "train": train, "validation": validation}
    return {name: splits[name] for name in SPLITS if name in splits}
