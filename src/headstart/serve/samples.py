"""The run's own scored frames, to try it on, where its dataset is still there."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from headstart.data.label_map import LabelMap
from headstart.data.layouts.folders import Frame, open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.errors import DataError, printable
from headstart.scores.frames_csv import read_frames_csv
from headstart.training.config import RunConfig

_SIDE = 160  # of a thumbnail, in pixels


@dataclass(frozen=True)
class Samples:
    """Frames with their truth.

    Attributes:
        split: which they are.
        frames: in the dataset's order.
        root: the dataset's folder.
        missing: why there are none, in words; empty where there are some.
    """

    split: str
    frames: tuple[Frame, ...]
    root: Path
    missing: str
    _thumbnails: dict[int, bytes] = field(default_factory=dict, compare=False)

    def thumbnail(self, k: int) -> bytes:
        """A frame, small, as JPEG; made once.

        Raises:
            DataError: it cannot be read.
        """
        if k not in self._thumbnails:
            picture = Image.fromarray(read_frame(self.frames[k], self.root))
            picture.thumbnail((_SIDE, _SIDE))
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=85)
            self._thumbnails[k] = buffer.getvalue()
        return self._thumbnails[k]


def find_samples(
    config: RunConfig | None, run: Path | None, label_map: LabelMap, data: Path | None
) -> Samples:
    """The frames that a run was scored on.

    Args:
        config: the run's; ``None`` where only a file is known.
        run: its folder.
        label_map: the classes that the network knows.
        data: where the dataset is now; ``None``: where the run had it.

    Raises:
        DataError: ``data`` is no dataset.
    """

    def none(why: str) -> Samples:
        return Samples(split, (), Path(), why)

    split = config.score if config else "test"
    if config is None and data is None:
        return none("This is a file without its run's folder: it does not say where the data are.")
    root = data or Path(config.data if config else "")
    try:
        dataset = open_dataset(root)
    except DataError as error:
        if data is not None:
            raise
        return none(
            f"The run's dataset, {printable(str(root))}, cannot be read from where the server was "
            f"started: {printable(error.findings[0].message)}. Started with --data DIR, it looks "
            "there."
        )
    frames = dataset.splits.get(split, ())
    if dataset.label_map != label_map:
        return none(f"{printable(str(root))} has other classes than this network.")
    if not frames:
        return none(f"{printable(str(root))} has no {split} split.")
    if run is not None and not _scored(run, frames):
        return none(f"The {split} split holds other frames now than those that were scored.")
    return Samples(split, frames, dataset.root, "")


def _scored(run: Path, frames: tuple[Frame, ...]) -> bool:
    try:
        scored = read_frames_csv(run / "frames.csv").frames
    except (DataError, OSError):
        return True  # not known; the second tab says what is missing
    return [printable(frame.name) for frame in frames] == list(scored)
