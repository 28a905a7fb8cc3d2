"""The interface of a trained network in use; every task has one implementation.

Code outside the implementations never asks for the task: [`headstart.inference.opening`][] opens a
run or an ONNX file as the right [`Predictor`][], and everything else calls its methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32, Integer, UInt8

from headstart.data.label_map import Colour
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError
from headstart.inference.finished_run import FinishedRun
from headstart.inference.onnx_file import OnnxFile

if TYPE_CHECKING:
    from torch import device as Device
    from torch.nn import Module as Network
else:
    Device = Network = Any  # torch takes seconds to load, and an ONNX file needs none of it

Item = TypeVar("Item")
Images = list[UInt8[np.ndarray, "_ _ _"]]


@dataclass(frozen=True)
class Predictions:
    """The files that a prediction wrote.

    Attributes:
        pictures: the number of pictures.
        files: folders or files by what they hold, such as ``masks`` or ``classes``.
    """

    pictures: int
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Answers:
    """The output of a network on some pictures, to be compared with another runtime's.

    Attributes:
        sizes: height and width of the network's input, for each batch.
        probabilities: of each class, for each batch.
        classes: the most probable class of each pixel or picture, as one array or several.
    """

    sizes: tuple[tuple[int, int], ...]
    probabilities: tuple[Float32[np.ndarray, "..."], ...]
    classes: tuple[Integer[np.ndarray, "..."], ...]


@dataclass(frozen=True)
class ExportForm:
    """The network of a run as it goes into an ONNX file, and what the file says about it.

    Attributes:
        network: maps pictures to logits, with classes in dimension 1; on the CPU.
        fixed_size: height and width of the only input it takes; None: it takes any.
        standardises: whether the network itself subtracts ``mean`` and divides by ``std``; if not,
            the file's graph does so first.
        mean: of the training pictures, by channel.
        std: of the training pictures, by channel.
        input: the expected input, in words.
        normalisation: what the file does with a picture first, in words.
        greys: the grey level of each class in masks; None without masks.
        colours: the colour of each class in masks; empty if masks have grey levels.
        min_area: see [`class_maps`][headstart.inference.class_maps.class_maps].
    """

    network: Network
    fixed_size: tuple[int, int] | None
    standardises: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input: str
    normalisation: str
    greys: tuple[int, ...] | None = None
    colours: tuple[Colour, ...] = ()
    min_area: float = 0.0


@runtime_checkable
class Predictor(Protocol):
    """A trained network and all that is needed to use it, whichever library runs it."""

    task: ClassVar[str]
    """The name of the task, as in weights, configurations and ONNX files."""
    dataset: ClassVar[type]
    """What opening a dataset of this task gives."""
    predicts_masks: ClassVar[bool]
    """Whether it predicts masks: then it takes clips, and masks in files can be scored."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width at which the network was trained."""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in the order of the network's output."""

    @property
    def digest(self) -> str:
        """SHA-256 of the file of weights, or of the ONNX file."""

    @property
    def temperature(self) -> float:
        """The temperature that calibrates its probabilities."""

    @property
    def rules(self) -> ReadingRules:
        """How new pictures are read: as those that it was trained on, where a file leaves it open.

        Pictures of a dataset are read as that dataset says, if it says it.
        """

    @property
    def unseen(self) -> Callable[[str], Predictor] | None:
        """From the name of a picture of a split to a network that has not seen it in training.

        None: the same network predicts every picture.
        """

    @staticmethod
    def refusal(path: Path, task: str, network: str) -> DataError:
        """Return the error for a run or file of another task.

        Args:
            path: the run's folder, or the file.
            task: its task.
            network: the name of its network, or of its pretext.
        """

    @staticmethod
    def network(run: FinishedRun) -> Network:
        """Return the network of a run, with its weights, on the CPU in evaluation mode."""

    @classmethod
    def from_run(cls, run: FinishedRun, device: Device, mirror: bool = False) -> Predictor:
        """Return the network of a run, ready for use by PyTorch on a device.

        Args:
            run: the run.
            device: where to compute.
            mirror: predict the mean probability of each picture and of its mirror image.
        """

    @classmethod
    def of_network(
        cls, own: Network, run: FinishedRun, device: Device, mirror: bool = False
    ) -> Predictor:
        """Return a network that has been made, ready for use.

        Args:
            own: with its weights, on any device, in evaluation mode.
            run: what else is known of it; its weights are not read.
            device: as of [`from_run`][].
            mirror: as of [`from_run`][].
        """

    @classmethod
    def from_onnx(cls, file: OnnxFile, mirror: bool = False) -> Predictor:
        """Return the network of an ONNX file, ready for use by ONNX Runtime; torch is not loaded.

        Args:
            file: the file.
            mirror: as of [`from_run`][].

        Raises:
            DataError: ONNX Runtime cannot run the file, or the file is not headstart's.
        """

    @classmethod
    def export_form(cls, run: FinishedRun) -> ExportForm:
        """Return what the ONNX file of a run needs."""

    def predict_pictures(self, frames: Sequence[Frame], root: Path, out: Path) -> Predictions:
        """Write predictions for pictures in files.

        Args:
            frames: the pictures.
            root: their folder, for messages; links that leave it are refused.
            out: the folder to write to; the same call again writes the same files.

        Raises:
            UsageError: ``out`` holds predictions from other weights or pictures.
            LockedError: another process is using ``out``.
            DataError: pictures cannot be read; all of them are named.
            DiskError: a file cannot be written.
        """

    def predict_split(self, dataset: Any, split: str, out: Path) -> Predictions:
        """Write predictions for a split of a dataset.

        Raises:
            UsageError: there is no such split; also as [`predict_pictures`][].
            LockedError, DataError, DiskError: as [`predict_pictures`][].
        """

    def evaluate(self, dataset: Any, split: str) -> dict[str, Any]:
        """Return all scores on a split, as in ``scores.json``.

        Raises:
            UsageError: there is no such split.
            DataError: the dataset has other classes, or pictures cannot be read; all are named.
        """

    def sample(self, data: Path, split: str, count: int) -> Images:
        """Return pictures of a run's dataset, as [`answers`][] takes them.

        Args:
            data: the dataset's folder.
            split: the split that the run was scored on.
            count: the maximum number of pictures; they are spread over the split.

        Returns:
            The pictures; none if the dataset has no such split.

        Raises:
            DataError: the dataset is at fault, or pictures cannot be read.
        """

    def as_sample(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "_ _ _"]:
        """Return a picture of any size as [`answers`][] takes it."""

    def answers(self, images: Images) -> Answers:
        """Return the network's output on pictures: all in one batch, and some of them alone."""


if TYPE_CHECKING:
    PredictorKind = type[Predictor]
else:
    PredictorKind = type  # Python cannot check at run time that a class fits a protocol


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """Return at most ``count`` items, evenly spread over all.

    >>> spread("abcdefgh", 4)
    ['a', 'c', 'e', 'g']
    """
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]
