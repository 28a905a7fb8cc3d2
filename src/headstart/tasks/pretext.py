"""Pretexts: training a start on pictures without labels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64

from headstart.config.files import holds_pretext, read_pretext_config
from headstart.config.recipes import ENCODER_PRETEXT_RECIPES, PRETEXT_RECIPES
from headstart.config.records import PretextConfig
from headstart.config.start_names import OF_GREY, PRETEXT_NAMES, pretext_itself, views
from headstart.data.checks.colourless import colourless
from headstart.data.checks.segmentation import report_on
from headstart.data.decoded_frames import digest
from headstart.data.files import shown
from headstart.data.layouts.dataset import LABELLED, Dataset, pooled
from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.layouts.recognise import open_dataset, recognise
from headstart.data.pictures.duplicates import NEAR, Fingerprints, copies, fingerprints, nearest
from headstart.data.pictures.frame import Frame
from headstart.data.training_size import size_for
from headstart.errors import DataError, Finding
from headstart.records.run_records import LEAKS, data_folder, read_leaks, read_scores
from headstart.records.scores import PretextScores
from headstart.records.vouching import CONFIG, holds_run
from headstart.seeding import generator
from headstart.tasks.interface import Prepared
from headstart.tasks.measures import Measures, Sheet
from headstart.tasks.segmentation import hash_of_groups

if TYPE_CHECKING:
    from torch.nn import Module as Network
else:
    Network = Any  # torch takes seconds to load, and only training needs it

HELD_OUT = ("validation", "test")
_MOST_VALIDATION = 200


@dataclass(frozen=True)
class PretextPictures:
    """The pictures of a pretext.

    Attributes:
        root: folder of the pictures.
        source: where in the folder they come from, in words.
        train: pictures to train on.
        validation: pictures that choose the epoch.
        labelled: validation and test frames of the same dataset, which a start should not see.
        passed_over: say which files of a folder were passed over, and why.
        dataset: the dataset that they are from, of which folds are drawn; None for a folder.
    """

    root: Path
    source: str
    train: tuple[Frame, ...]
    validation: tuple[Frame, ...]
    labelled: tuple[Frame, ...]
    passed_over: tuple[Finding, ...] = ()
    dataset: Dataset | None = None

    @property
    def shared_by_folds(self) -> bool:
        """Whether no picture is a labelled frame, so that all folds can learn from all pictures."""
        labelled = {frame.image for frame in labelled_frames(self)}
        return labelled.isdisjoint(frame.image for frame in self.pool)

    @property
    def pool(self) -> tuple[Frame, ...]:
        """Training pictures, then validation pictures."""
        return (*self.train, *self.validation)


@dataclass(frozen=True)
class Leaks:
    """Pretext pictures that are also validation or test frames, as indices into the pool.

    Attributes:
        same: exact copies.
        near: near-duplicates, within 5 grey levels; see [`headstart.data.pictures.duplicates`][].
    """

    same: tuple[int, ...]
    near: tuple[int, ...]


MEASURES = Measures(
    headline="loss",
    scores=("loss",),
    shown=("loss",),
    by_class=(),
    counts=(),
    class_mean=False,
    meanings=(),
    unit="picture",
    sheet=Sheet("restorations.png", private=True),
    open_to_check=open_dataset,
    check=report_on,
    any_folder=True,
    hidden_settings=(),
    options=(),
    framing="pad",
    recipes=PRETEXT_RECIPES,
    encoder_recipes=ENCODER_PRETEXT_RECIPES,
    pretext_recipe=False,
)
"""What a report shows."""


class PretextTask:
    """Pretexts as a [`Task`][headstart.tasks.interface.Task]."""

    name = "pretext"
    # a folder copied without its weights is not finished: other runs start from them
    finished: tuple[str, ...] = ("scores.json", "weights.safetensors")
    measures = MEASURES

    def open(self, data: Path) -> PretextPictures:
        """Open the pictures of a dataset, or of any folder of pictures.

        Raises:
            DataError: the folder has fewer than two pictures, or the dataset cannot be used.
        """
        if (dataset := recognise(data)) is not None:
            return pictures_of(dataset.read())
        folder = find_pictures(data, "pretexts learn from pictures")
        train, validation = _set_aside(folder.frames)
        source = "the pictures of the folder"
        return PretextPictures(data, source, train, validation, (), folder.passed_over)

    def check(self, config: PretextConfig) -> None:
        """See the interface."""
        from headstart.models.encoder_unet import check_segmenter

        check_segmenter(config.model, config.size)

    def hashes(self, dataset: PretextPictures, config: PretextConfig, run: Path) -> dict[str, str]:
        """See the interface; leaves out the pictures that the run left out as leaks.

        The pictures of a fold are drawn from those of the dataset, which are hashed instead.
        """
        if config.fold is not None:
            return hashes_of_folds(dataset)
        kept = kept_by(dataset, run)
        return {
            name: digest([replace(f, mask=None) for f in frames], kept.root)
            for name, frames in (("train", kept.train), ("validation", kept.validation))
        }

    def fitting_size(self, dataset: PretextPictures, longest: int) -> tuple[int, int] | None:
        """See the interface."""
        return size_for(dataset.train, dataset.root, longest)

    def read_scores(self, run: Path) -> dict[str, Any]:
        """See the interface."""
        return read_scores(run, PretextScores)

    def trainings(self, config: PretextConfig) -> tuple[PretextConfig, ...]:
        """See the interface."""
        return (config,)

    def views(self, config: PretextConfig) -> int:
        """See the interface."""
        return views(config.pretext)

    def new_network(self, config: PretextConfig, _num_classes: int = 0) -> Network:
        """See the interface; the pretext sets the number of output channels."""
        from headstart.models.encoder_unet import make_segmenter
        from headstart.training.pretexts import PRETEXTS

        pretext = PRETEXTS[pretext_itself(config.pretext)]
        return make_segmenter(config.model, pretext.channels, config.width)

    def parts(self, network: Network, _config: PretextConfig) -> tuple[None, Network]:
        """See the interface."""
        return None, network

    def prepare(self, config: PretextConfig, dataset: PretextPictures, cache: Path) -> Prepared:
        """See the interface."""
        from headstart.tasks.pretext_training import prepare

        return prepare(config, dataset, cache)


def pictures_of(dataset: Dataset) -> PretextPictures:
    """Return a dataset's pictures for a pretext.

    These are the unlabelled pictures or, without any, the pictures of the training split. If the
    dataset has no unlabelled validation pictures, a fixed tenth (at most 200) is set aside.

    Raises:
        DataError: the dataset has fewer than two pictures.
    """
    labelled = tuple(f for split in HELD_OUT for f in dataset.splits.get(split, ()))
    source = "the unlabelled pictures"
    train = dataset.unlabelled.get("train", ())
    validation = dataset.unlabelled.get("validation", ())
    if not train:
        source = "the training split's pictures (there are no unlabelled ones)"
        train = tuple(replace(f, mask=None) for f in dataset.splits.get("train", ()))
        validation = ()
    if not validation:
        train, validation = _set_aside(train)
    return PretextPictures(dataset.root, source, train, validation, labelled, dataset=dataset)


def colour_warnings(pictures: PretextPictures, starts: Iterable[str]) -> tuple[Finding, ...]:
    """Return a warning if pretexts among the starts restore colours that the pictures lack."""
    pretexts = [name for name in starts if name in PRETEXT_NAMES]
    names = [name for name in pretexts if pretext_itself(name) not in OF_GREY]
    if not names or not colourless(pictures.train, pictures.root):
        return ()
    message = f"the pictures have no colour, so {' and '.join(names)} can learn little from them"
    hint = f"{' and '.join(OF_GREY)} learn from grey pictures, too"
    return (Finding("no-colour", "warning", message, hint),)


def labelled_frames(pictures: PretextPictures) -> tuple[Frame, ...]:
    """Return all labelled frames of the dataset, from which folds are drawn."""
    assert pictures.dataset is not None
    return pooled(pictures.dataset).splits[LABELLED]


def hashes_of_folds(pictures: PretextPictures) -> dict[str, str]:
    """Return the SHA-256 of everything that decides the pictures of a fold, by name."""
    assert pictures.dataset is not None
    return {
        LABELLED: digest(labelled_frames(pictures), pictures.root),
        "groups": hash_of_groups(pictures.dataset),
        "pictures": digest([replace(f, mask=None) for f in pictures.pool], pictures.root),
    }


def pictures_of_fold(
    pictures: PretextPictures, splits: Mapping[str, Sequence[int] | Int64[np.ndarray, " _"]]
) -> PretextPictures:
    """Return the pictures for a fold of a cross-validation, a tenth of which validates.

    These are the unlabelled pictures or, without any, the labelled frames; no file of a held-out
    frame of the fold is among them.

    Args:
        pictures: of a dataset.
        splits: indices into [`labelled_frames`][] by split.
    """
    assert pictures.dataset is not None
    frames, unlabelled = labelled_frames(pictures), pictures.dataset.unlabelled
    held_out = tuple(frames[i] for split in HELD_OUT for i in splits[split])
    hidden = {frame.image for frame in held_out}
    candidates = [frame for part in unlabelled.values() for frame in part] or frames
    kept = tuple(replace(f, mask=None) for f in candidates if f.image not in hidden)
    train, validation = _set_aside(kept)
    return replace(pictures, train=train, validation=validation, labelled=held_out)


def _set_aside(frames: tuple[Frame, ...]) -> tuple[tuple[Frame, ...], tuple[Frame, ...]]:
    if len(frames) < 2:
        message = (
            f"a pretext needs two pictures or more, to train and to validate; found {len(frames)}"
        )
        raise DataError(Finding("too-few-pictures", "error", message, "add pictures"))
    count = min(_MOST_VALIDATION, max(1, len(frames) // 10))
    chosen = set(generator(0, "pretext validation").permutation(len(frames))[:count].tolist())
    train = tuple(f for i, f in enumerate(frames) if i not in chosen)
    return train, tuple(f for i, f in enumerate(frames) if i in chosen)


def find_leaks(pictures: PretextPictures, pool: Fingerprints | None = None) -> Leaks:
    """Compare every pretext picture with every validation and test frame.

    Args:
        pictures: the pictures.
        pool: fingerprints of all but those frames, where the pictures have been decoded.
    """
    if not pictures.labelled:
        return Leaks((), ())
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        pool = pool or fingerprints(pictures.pool, pictures.root, threads)
        labelled = fingerprints(pictures.labelled, pictures.root, threads)
    same = copies(pool, labelled) >= 0
    near = ~same & (nearest(pool, labelled)[1] <= NEAR)
    return Leaks(tuple(np.flatnonzero(same).tolist()), tuple(np.flatnonzero(near).tolist()))


def without_leaks(pictures: PretextPictures, leaks: Leaks) -> PretextPictures:
    """Return the pictures without leaks; a new tenth validates if one part has none left."""
    leaked = {*leaks.same, *leaks.near}
    kept = [f for i, f in enumerate(pictures.pool) if i not in leaked]
    validating = {f.image for f in pictures.validation}
    train = tuple(f for f in kept if f.image not in validating)
    validation = tuple(f for f in kept if f.image in validating)
    if not (train and validation):
        train, validation = _set_aside(tuple(kept))
    return replace(pictures, train=train, validation=validation)


def kept_by(pictures: PretextPictures, run: Path) -> PretextPictures:
    """Return the pictures of a finished pretext: without those that it left out as leaks."""
    record = read_leaks(run)
    if not record.dropped:
        return pictures
    leaked = {*record.copies, *record.near}
    indices = (i for i, f in enumerate(pictures.pool) if shown(f.image, pictures.root) in leaked)
    return without_leaks(pictures, Leaks(tuple(indices), ()))


def leaks_record(leaks: Leaks, pictures: PretextPictures, dropped: bool) -> dict[str, Any]:
    """Return the content of ``leaks.json``."""
    files = [shown(f.image, pictures.root) for f in pictures.pool]
    return {
        "compared_with": list(HELD_OUT) if pictures.labelled else [],
        "pictures": len(files),
        "copies": [files[i] for i in leaks.same],
        "near": [files[i] for i in leaks.near],
        "dropped": dropped,
    }


def leaks_of(folder: Path, data: Path, folded: Dataset | None = None) -> dict[str, Any] | None:
    """Return the numbers of leaks recorded in a pretext's folder.

    Args:
        folder: folder of a start.
        data: dataset of the run that starts from it; ``same_data`` in the result says whether the
            pretext was trained on this dataset.
        folded: the same, opened, of a run whose folds test all labelled frames: a pretext that was
            compared with fewer is compared with all of them now.

    Returns:
        The counts, or None if the folder holds no pretext.
    """
    if not (folder / LEAKS).exists() or not holds_run(folder):
        return None
    if not holds_pretext(folder / CONFIG):
        return None
    config = read_pretext_config(folder / CONFIG)
    record = read_leaks(folder)
    same_data = data_folder(folder, config.data).resolve() == data.resolve()
    facts = {
        "pictures": record.pictures,
        "copies": len(record.copies),
        "near": len(record.near),
        "dropped": record.dropped,
        "compared_with": list(record.compared_with),
        "same_data": same_data,
    }
    if folded is None or config.folds is not None or not same_data:
        return facts
    kept = kept_by(pictures_of(folded), folder)
    leaks = find_leaks(replace(kept, labelled=labelled_frames(kept)))
    counts = {"pictures": len(kept.pool), "copies": len(leaks.same), "near": len(leaks.near)}
    return {**facts, **counts, "dropped": False, "compared_with": list(HELD_OUT)}
