"""The task interface, which segmentation, classification and pretexts implement.

Code outside this package never branches on the kind of task: it gets the task from
[`headstart.tasks.lookup`][] and calls its methods. This module does not import torch, and the
implementations import it only in functions that need it, so planning and reporting stay fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from headstart.data.checks.leaks import Overlap
from headstart.data.checks.thin_objects import Hidden
from headstart.data.task import TaskName
from headstart.errors import Finding
from headstart.scores.frames_csv import FrameCounts
from headstart.scores.pooled import PooledScore
from headstart.tasks.measures import Measures


@dataclass(frozen=True)
class DatasetSize:
    """Numbers of classes and labelled pictures of a dataset.

    Attributes:
        classes: number of classes, background included.
        pictures: number of labelled pictures by split; 0 for a split the dataset lacks.
    """

    classes: int
    pictures: dict[str, int]


@dataclass(frozen=True)
class Stage:
    """One training of a run.

    Attributes:
        name: subfolder for the stage's records; empty for the last stage, which uses the run's
            folder.
        model: the trained module (`torch.nn.Module`). It holds its best weights when the next stage
            begins.
        source: batches and losses, a [`BatchSource`][headstart.training.batch_source.BatchSource].
        recipe: hyper-parameters, a [`Training`][headstart.config.recipe_records.Training].
        steps: optimizer steps of all epochs together.
        seconds: seconds already spent on computing features of frozen layers.
        constant: validation loss and accuracy of the best constant prediction; empty if not known.
    """

    name: str
    model: Any
    source: Any
    recipe: Any
    steps: int
    seconds: float = 0.0
    constant: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CardFacts:
    """The parts of a model card that depend on the task.

    Attributes:
        kind: ``"Segmentation"`` or ``"Classification"``.
        things: the word for pictures: ``"frames"`` or ``"pictures"``.
        layout: layout of the dataset.
        splits: number of pictures by split.
        labels: number of labelled training pictures used.
        sizes: distinct heights and widths of the training pictures; empty if not recorded.
        classes: grey level in masks by class name; None for a classification.
        overlaps: pictures that two splits share, by the names of the splits.
        groups: videos or patients of each split, with None if that of a picture is unknown.
        weak: known weaknesses, one sentence each.
        usage: how to load the network without headstart, in Markdown.
        sheet: figure of predictions, in Markdown.
        constant: the meaning of ``trivial``, in words.
        unit: the word for what gets a class: ``"pixel"`` or ``"picture"``.
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
    groups: dict[str, frozenset[str | None]]
    weak: tuple[str, ...]
    usage: str
    sheet: str
    constant: str
    unit: str
    tuned: bool


@dataclass(frozen=True)
class Scored:
    """The result of scoring a finished training.

    Attributes:
        scores: content of ``scores.json``.
        card: facts for the model card; None for a pretext, whose card is short.
    """

    scores: dict[str, Any]
    card: CardFacts | None


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to train: its pictures are decoded.

    All pictures, those of the scored split included, are decoded before training, so an unreadable
    file is reported before hours of training. The scored split is used only after training.

    Attributes:
        title: what is trained, in words.
        data: SHA-256 of the inputs of the run, by name.
        facts: further entries of ``environment.json``.
        weights_facts: metadata of ``weights.safetensors``.
        network: function from a [`Source`][headstart.training.starts.Source] or None to the network
            and a [`Moved`][headstart.training.starts.Moved] (None for a pretext from new weights).
            Weights are drawn from the seed, then overwritten by the source; those that the source
            lacks are equal for all starts of a seed.
        stages: function from the network to its stages of training in order; each is made when the
            one before has finished.
        score: function from the network, the final [`State`][headstart.training.fit.State] and the
            run's folder to the scores. It is the only reader of the scored split, and it writes
            records and figures to the folder.
        records: JSON files to write before training, by file name.
        findings: warnings about how settings and data fit each other, told before training.
    """

    title: str
    data: dict[str, str]
    facts: dict[str, Any]
    weights_facts: dict[str, Any]
    network: Callable[[Any], tuple[Any, Any]]
    stages: Callable[[Any], Iterable[Stage]]
    score: Callable[[Any, Any, Path], Scored]
    records: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@runtime_checkable
class Task(Protocol):
    """The methods of every task.

    ``config`` is the task's own configuration and ``dataset`` the result of its [`open`][]; callers
    treat both as opaque.
    """

    @property
    def name(self) -> str:
        """The name in configurations and records."""

    @property
    def finished(self) -> tuple[str, ...]:
        """Files of a finished run; a folder that has all of them is never trained again."""

    @property
    def measures(self) -> Measures:
        """The scores, words and figures that reports show."""

    def open(self, data: Path, /) -> Any:
        """Open the dataset in a folder, without decoding pictures.

        Raises:
            DataError: the folder cannot be used; lists every fault.
        """

    def check(self, config: Any, /) -> None:
        """Check that the network exists and accepts pictures of the configured size.

        Raises:
            UsageError: it does not.
        """

    def hashes(self, dataset: Any, config: Any, run: Path, /) -> dict[str, str]:
        """Return the SHA-256 of the current data, by name as in ``environment.json``.

        Args:
            dataset: result of `open`.
            config: configuration of the run.
            run: folder of the run; it may record pictures that were left out.

        Raises:
            DataError: a file cannot be read.
        """

    def fitting_size(self, dataset: Any, longest: int, /) -> tuple[int, int] | None:
        """Return the size to train at that fits the pictures; None: the default of the task.

        Args:
            dataset: the opened dataset.
            longest: the most pixels of the longer side.
        """

    def read_scores(self, run: Path, /) -> dict[str, Any]:
        """Return the content of ``scores.json`` in the folder of a finished run.

        Raises:
            DataError: it is missing or damaged.
        """

    def trainings(self, config: Any, /) -> tuple[Any, ...]:
        """Return the configurations of a run's trainings, in order."""

    def views(self, config: Any, /) -> int:
        """Return how many copies of each picture the network sees in a step."""

    def new_network(self, config: Any, num_classes: int, /) -> Any:
        """Return a network with new weights, drawn from torch's global generator.

        Raises:
            UsageError: as [`check`][].
        """

    def parts(self, network: Any, config: Any, /) -> tuple[Any | None, Any]:
        """Return the frozen part, or None if every layer trains, and the trained part."""

    def prepare(self, config: Any, dataset: Any, cache: Path, /) -> Prepared:
        """Decode the pictures of a run and define its network and stages.

        Args:
            config: configuration of the run.
            dataset: result of `open`.
            cache: folder for decoded pictures, inside the output folder.

        Raises:
            DataError: the data cannot be used; lists every fault.
        """


@runtime_checkable
class LabelledTask(Task, Protocol):
    """The methods of a task that learns from labels and is scored on a held-out split."""

    @property
    def name(self) -> TaskName:
        """The name in configurations and records."""

    @property
    def score(self) -> PooledScore:
        """The headline score, on which verdicts are based."""

    def sizes(self, dataset: Any, /) -> DatasetSize:
        """Return the numbers of classes and labelled pictures."""

    def reading(self, dataset: Any, /) -> tuple[Finding, ...]:
        """Return how the folder is read: which pictures, labels, splits, classes and groups."""

    def warnings(self, dataset: Any, /) -> tuple[Finding, ...]:
        """Return the warnings from opening the dataset, such as ignored files.

        The dataset can be used in spite of them. The ``check`` command also decodes the pictures.
        """

    def hidden_objects(self, dataset: Any, /) -> Hidden:
        """Return a function from the size of whole pictures to the objects that it would hide."""

    def names(self, dataset: Any, split: str, /) -> tuple[str, ...]:
        """Return the name of each picture in a split."""

    def has_counts(self, dataset: Any, split: str, index: int, counts: Any, /) -> bool:
        """Return whether a picture's labels are those that counts of it were made with.

        Args:
            dataset: result of ``open``.
            split: a split.
            index: of the picture in it.
            counts: its row of ``read_counts``.

        Raises:
            DataError: the picture or its labels cannot be read.
        """

    def groups(self, dataset: Any, split: str, /) -> tuple[str | None, ...]:
        """Return the video or patient of each picture in a split; None if unknown."""

    def pooled(self, dataset: Any, /) -> Any:
        """Return the dataset with all labelled pictures in one split, ``"labelled"``."""

    def write_pooled(self, folds: Sequence[Path], out: Path, /) -> dict[str, Any]:
        """Write the ``frames.csv`` of all test pictures of a cross-validation.

        Args:
            folds: folders of the finished runs of all folds.
            out: folder of the cross-validation.

        Returns:
            The scores over all of these pictures, as in ``scores.json``.

        Raises:
            DataError: a record of a fold is missing or damaged.
        """

    def score_together(
        self, config: Any, dataset: Any, runs: Sequence[Path], cache: Path, out: Path, /
    ) -> dict[str, Any]:
        """Score several runs as one, by their mean probability; write its ``frames.csv``.

        Args:
            config: configuration of one of the runs, which differ in their seed alone.
            dataset: result of `open`.
            runs: folders of the finished runs.
            cache: folder for decoded pictures.
            out: folder that the file is written to.

        Returns:
            The scores on the runs' scored split, as in ``scores.json``.

        Raises:
            DataError: weights are missing or damaged, or pictures cannot be read.
        """

    def side_by_side(
        self, dataset: Any, arms: Mapping[str, Path], pictures: Mapping[str, str], cache: Path, /
    ) -> bytes:
        """Draw a few scored pictures: each with its truth and the answers of several runs.

        Args:
            dataset: result of `open`.
            arms: folders of finished runs that were scored on the same pictures, by their captions.
            pictures: headings by the names of the pictures in ``frames.csv``.
            cache: folder for decoded pictures.

        Returns:
            A PNG.

        Raises:
            DataError: weights or records are missing or damaged, or pictures cannot be read.
        """

    def try_start(self, source: Any, config: Any, num_classes: int, /) -> None:
        """Check that a [`Source`][headstart.training.starts.Source] fits a new network.

        Raises:
            DataError: the weights belong to another network.
        """

    def check_labels(self, dataset: Any, config: Any, /) -> None:
        """Check, before a study trains, that the labels of its held-out splits allow a score.

        Raises:
            DataError: they do not.
        """

    def read_counts(self, run: Path, /) -> FrameCounts:
        """Read the counts from a run's ``frames.csv``, from which [`score`][] is computed.

        Raises:
            DataError: the file cannot be read or is damaged.
        """
