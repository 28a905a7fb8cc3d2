"""The frames that a run was scored on, where its dataset still exists."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from headstart.config.records import RunConfig
from headstart.data.label_map import LabelMap
from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import Frame, read_frame
from headstart.data.pictures.in_flight import pixels_of
from headstart.errors import DataError, printable
from headstart.records.run_records import data_folder, looked_for
from headstart.tasks.out_of_fold import are_theirs, changed_since, unseen_by
from headstart.tasks.segmentation import Segmentation

_SIDE = 160  # pixels of a thumbnail's longer side


@dataclass(frozen=True)
class Samples:
    """Labelled frames to try the network on.

    Attributes:
        split: the split that they belong to.
        frames: the frames, in the dataset's order.
        root: the dataset's folder.
        missing: a sentence that says why there are no frames; empty where there are some.
        label_map: the classes and ignored levels of their masks; ``None`` where there are none.
    """

    split: str
    frames: tuple[Frame, ...]
    root: Path
    missing: str
    label_map: LabelMap | None = None
    _thumbnails: dict[int, bytes] = field(default_factory=dict, compare=False)

    def pixels(self, k: int) -> int:
        """Return the number of pixels of a frame; 0 if its header cannot be read."""
        return pixels_of(self.frames[k], self.root)

    def pixels_for_thumbnail(self, k: int) -> int:
        """Return how many pixels [`thumbnail`][] will decode; 0 once it is made."""
        return 0 if k in self._thumbnails else self.pixels(k)

    def thumbnail(self, k: int) -> bytes:
        """Return a small JPEG of a frame; made once, then kept.

        Raises:
            DataError: the frame cannot be read.
        """
        if k not in self._thumbnails:
            picture = Image.fromarray(read_frame(self.frames[k], self.root))
            picture.thumbnail((_SIDE, _SIDE))
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=85)
            self._thumbnails[k] = buffer.getvalue()
        return self._thumbnails[k]


def find_samples(
    config: RunConfig | None,
    run: Path | None,
    label_map: LabelMap,
    data: Path | None,
    fold: Path | None = None,
) -> Samples:
    """Return the frames that a run was scored on.

    Args:
        config: the run's configuration; ``None`` for a file without a run.
        run: the run's folder; ``None`` for a file without a run.
        label_map: the network's classes.
        data: the dataset's present folder; ``None``: the one in ``config``.
        fold: the run of a fold, if networks of folds predict together.

    Raises:
        DataError: ``data`` is not a dataset.
    """

    def none(why: str) -> Samples:
        return Samples(split, (), Path(), why)

    split = config.score if config else "test"
    if config is None and data is None:
        return none("The dataset is not known; --data names it.")
    given = config.data if config else ""
    root = data or (data_folder(run, given) if run else Path(given))
    try:
        dataset = open_dataset(root)
    except DataError as error:
        if data is not None:
            raise
        return none(
            f"The run's dataset, {printable(looked_for(run, given) if run else given)}, cannot be "
            f"read: {printable(error.findings[0].message)}. Start the server with --data DIR "
            "to give its folder."
        )
    frames = dataset.splits.get(split, ())
    if not dataset.label_map.same_classes(label_map):
        return none(f"{printable(str(root))} does not have the network's classes.")
    if not frames:
        return none(f"{printable(str(root))} has no {split} split.")
    if fold is not None and _in_folds(fold, dataset, split):
        return none(
            f"The networks were trained in folds of the labelled frames of {printable(str(root))}: "
            "some of them have seen each. headstart predict and evaluate leave these out."
        )
    if run is not None and not _scored(run, frames):
        return none(f"The {split} split now has other frames than the run was scored on.")
    return Samples(split, frames, dataset.root, "", dataset.label_map)


def _in_folds(fold: Path, dataset: Dataset, split: str) -> bool:
    """Whether folds were dealt from the frames of a dataset, which may have changed since."""
    task = Segmentation()
    if are_theirs(task, fold, dataset):
        return True
    try:
        unseen = unseen_by(task, [fold.parent], dataset.splits)
    except DataError:  # other folds are not finished
        return False
    return bool(changed_since(task, unseen, dataset, split, ""))


def _scored(run: Path, frames: tuple[Frame, ...]) -> bool:
    try:
        scored = Segmentation().read_counts(run).frames
    except DataError:
        return True  # unknown; the second tab reports the missing record
    return [printable(frame.name) for frame in frames] == list(scored)
