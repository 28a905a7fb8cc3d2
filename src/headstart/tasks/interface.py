"""What differs between tasks: the interface that segmentation, classification and pretexts fill.

Nobody outside this room asks which task a run has. It takes the task from
[`headstart.tasks.lookup`][] and asks the task. Nothing here loads torch, and the implementations
load it only in the functions that need it: planning and reporting stay fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from headstart.data.checks.leaks import Overlap
from headstart.data.question import TaskName
from headstart.errors import Finding
from headstart.scores.frames_csv import FrameCounts
from headstart.scores.pooled import PooledScore


@dataclass(frozen=True)
class Sizes:
    """How much a dataset holds.

    Attributes:
        classes: how many; of a segmentation with background.
        pictures: labelled ones by split; 0 where there is no such split.
    """

    classes: int
    pictures: dict[str, int]


@dataclass(frozen=True)
class Stage:
    """One training of a run.

    Attributes:
        name: of its folder inside the run's; empty for the last, whose records are the run's own.
        model: what trains (`torch.nn.Module`); its best weights are in it when the next stage
            begins.
        source: its batches, a [`BatchSource`][headstart.training.batch_source.BatchSource].
        recipe: its hyper-parameters, a [`Training`][headstart.training.recipes.Training].
        steps: optimizer steps an epoch.
        seconds: spent beforehand on the features of frozen layers.
    """

    name: str
    model: Any
    source: Any
    recipe: Any
    steps: int
    seconds: float = 0.0


@dataclass(frozen=True)
class CardFacts:
    """What a model card says that depends on the task.

    Attributes:
        kind: ``"Segmentation"`` or ``"Classification"``.
        things: what its pictures are called: frames, or pictures.
        layout: of the dataset.
        splits: number of pictures by split.
        labels: number of labelled training pictures that were used.
        sizes: heights and widths of the training pictures; empty where all were brought to one.
        classes: each with its grey level in masks, or None.
        overlaps: how many pictures of one split are in another, by the names of the two.
        groups: the videos or patients of each split; empty where they are not known.
        weak: where the network is weak, a sentence each.
        usage: how to load the network without headstart, in Markdown.
        sheet: the figure of its answers, in Markdown.
        constant: what ``trivial`` is, in words.
        unit: what gets a class: every pixel, or every picture.
        tuned: whether the title names the tuning.
    """

    kind: str
    things: str
    layout: str
    splits: dict[str, int]
    labels: int
    sizes: tuple[tuple[int, int], ...]
    classes: dict[str, int | None]
    overlaps: Mapping[tuple[str, str], Overlap]
    groups: dict[str, frozenset[str]]
    weak: tuple[str, ...]
    usage: str
    sheet: str
    constant: str
    unit: str
    tuned: bool


@dataclass(frozen=True)
class Scored:
    """What scoring a finished training gave.

    Attributes:
        scores: the content of ``scores.json``.
        card: for the model card; None for a pretext, which is a start and no result.
    """

    scores: dict[str, Any]
    card: CardFacts | None


@dataclass(frozen=True)
class Prepared:
    """A run with its pictures decoded, ready to train.

    Every picture is decoded now, so that an unreadable file is known before hours of training.
    The split to be scored is looked at only when training is over.

    Attributes:
        title: what is trained, in words.
        data: SHA-256 of what the run is made from, by name.
        facts: what else ``environment.json`` records.
        weights_facts: metadata of ``weights.safetensors``.
        network: new weights from the seed, and over them those of a
            [`Source`][headstart.training.starts.Source] or None; gives the network and a
            [`Moved`][headstart.training.starts.Moved] (None for a pretext). What no start brings is
            the same for all starts of a seed.
        stages: the trainings, one after the other; each is asked for when the one before is done.
        score: reads the scored split for the first and only time. Given the network, the final
            [`State`][headstart.training.fit.State] and the run's folder, it writes records and
            figures there.
        records: JSON files to write before training, by name.
    """

    title: str
    data: dict[str, str]
    facts: dict[str, Any]
    weights_facts: dict[str, Any]
    network: Callable[[Any], tuple[Any, Any]]
    stages: Callable[[Any], Iterable[Stage]]
    score: Callable[[Any, Any, Path], Scored]
    records: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Task(Protocol):
    """What every task answers.

    ``config`` is the task's own configuration, ``dataset`` what its [`open`][] gave; both are
    opaque to who asks.
    """

    @property
    def name(self) -> str:
        """As in configurations and records."""

    @property
    def finished(self) -> tuple[str, ...]:
        """Files of a finished run; with all of them there it is never trained again."""

    def open(self, data: Path, /) -> Any:
        """The dataset in a folder. Nothing is decoded.

        Raises:
            DataError: the folder is at fault; every fault is named.
        """

    def check(self, config: Any, /) -> None:
        """Refuses a network that does not exist, or cannot take pictures of the size.

        Raises:
            UsageError: what is wrong.
        """

    def hashes(self, dataset: Any, config: Any, run: Path, /) -> dict[str, str]:
        """SHA-256 of the data as they are now, by name as in ``environment.json``.

        Args:
            dataset: what `open` gave.
            config: of the run.
            run: its folder, which may say what it left out.

        Raises:
            DataError: a file cannot be read.
        """

    def trainings(self, config: Any, /) -> tuple[tuple[Any, int], ...]:
        """The trainings of a run, in order: the configuration of each and its epochs at most."""

    def new_network(self, config: Any, num_classes: int, /) -> Any:
        """The network, with new weights from torch's generator.

        Raises:
            UsageError: as [`check`][].
        """

    def parts(self, network: Any, config: Any, /) -> tuple[Any | None, Any]:
        """The frozen part, which runs once a picture (None: nothing is frozen), and the rest."""

    def prepare(self, config: Any, dataset: Any, cache: Path, /) -> Prepared:
        """Decodes the pictures of a run.

        Args:
            config: of the run.
            dataset: what `open` gave.
            cache: a folder for decoded pictures, inside the output folder.

        Raises:
            DataError: data cannot be used; every fault is named.
        """


@runtime_checkable
class LabelledTask(Task, Protocol):
    """What a task answers that learns from labels, and is scored on a held-out split."""

    @property
    def name(self) -> TaskName:
        """As in configurations and records."""

    @property
    def score(self) -> PooledScore:
        """The headline score, which verdicts are about."""

    def sizes(self, dataset: Any, /) -> Sizes:
        """How many classes and labelled pictures there are."""

    def warnings(self, dataset: Any, /) -> tuple[Finding, ...]:
        """What may make a dataset another one than was meant, though it can be learned from.

        That is what opening it shows, such as files that are passed over; ``check`` also looks into
        the pictures.
        """

    def groups(self, dataset: Any, split: str, /) -> tuple[str | None, ...]:
        """The video or patient of each picture of a split; None where it is not known."""

    def try_start(self, source: Any, config: Any, num_classes: int, /) -> None:
        """Puts a [`Source`][headstart.training.starts.Source] into a new network.

        Raises:
            DataError: the weights are of another network.
        """

    def read_counts(self, run: Path, /) -> FrameCounts:
        """The counts in a run's ``frames.csv`` that [`score`][] is made from.

        Raises:
            DataError: the file cannot be read, or is not as it was written.
        """
