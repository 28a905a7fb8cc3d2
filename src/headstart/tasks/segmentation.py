"""Segmentation: one class per pixel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Integer

from headstart.config.recipe_records import Recipe
from headstart.config.recipes import ENCODER_RECIPES, RECIPES
from headstart.config.records import RunConfig, StudyConfig
from headstart.config.start_names import SCRATCH, SCRATCH_LONGER
from headstart.data.checks.foreground import refuse_no_foreground
from headstart.data.checks.segmentation import report_on
from headstart.data.checks.thin_objects import Hidden, hidden_objects
from headstart.data.decoded_frames import digest
from headstart.data.files import natural_key
from headstart.data.label_map import IGNORE, LabelMap
from headstart.data.layouts.dataset import LABELLED, SPLITS, Dataset, pooled
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.data.task import TaskName
from headstart.data.training_size import size_for
from headstart.errors import Finding
from headstart.records.run_records import read_scores
from headstart.records.scores import SegmentationScores
from headstart.records.vouching import read_record
from headstart.scores import segmentation as segmentation_scores
from headstart.scores.frames_csv import FRAMES, FrameCounts, frames_csv, read_frames_csv
from headstart.scores.pooled import DICE
from headstart.scores.segmentation import SCORES
from headstart.system.disk import write_atomic
from headstart.tasks.interface import DatasetSize, Prepared
from headstart.tasks.measures import Measures, Sheet
from headstart.tasks.results import refuse_twice

if TYPE_CHECKING:
    from torch.nn import Module as Network

    from headstart.training.starts import Source
else:
    Network = Source = Any  # torch takes seconds to load, and only training needs it

MEASURES = Measures(
    headline="dice",
    scores=SCORES,
    shown=("dice", "dice_assignment"),
    by_class=("dice", "iou", "precision", "recall"),
    counts=("frames", "pixels"),
    class_mean=True,
    meanings=(
        ("dice", "2 TP / (2 TP + FP + FN) of each class over the pixels of all frames together; "
         "mean over the foreground classes present in the truth. The headline score"),
        ("dice_frame", "mean Dice of each frame over the foreground classes in its truth or its "
         "prediction, where a class that is only predicted counts 0; mean over frames"),
        ("dice_assignment", "mean Dice of each frame over all classes, background included; a "
         "class absent from the truth counts 1 if no pixel of it is predicted, else 0; mean over "
         "frames"),
        ("iou", "as dice, with the Jaccard index TP / (TP + FP + FN)"),
        ("endovis_iou", "mean IoU of each frame over the foreground classes in its truth; mean "
         "over frames"),
        ("isi_iou", "as endovis_iou, but classes that are only predicted count 0"),
        ("mc_iou", "mean IoU of each class over the frames that show it; mean over classes"),
        ("absent_fp_rate", "among all pairs of a frame and a foreground class absent from it, the "
         "share with any pixel of the class predicted. Lower is better"),
    ),
    unit="frame",
    sheet=Sheet(
        "predictions.png",
        private=True,
        alt="Best, typical and worst {split} frames of {name}: picture, truth, prediction.",
        caption="From above, the best, typical and worst {split} frames: picture, truth, "
        "prediction.",
    ),
    open_to_check=open_dataset,
    check=report_on,
    any_folder=False,
    hidden_settings=(),
    options=(),
    framing="pad",
    recipes=RECIPES,
    encoder_recipes=ENCODER_RECIPES,
    pretext_recipe=True,
)  # fmt: skip
"""What a report shows."""


class Segmentation:
    """Segmentation as a [`LabelledTask`][headstart.tasks.interface.LabelledTask]."""

    name: TaskName = "segmentation"
    finished: tuple[str, ...] = (FRAMES, "scores.json")
    measures = MEASURES
    score = DICE

    def open(self, data: Path) -> Dataset:
        """Open a folder of frames and masks."""
        return open_dataset(data)

    def check(self, config: RunConfig | StudyConfig) -> None:
        """See the interface."""
        from headstart.models.encoder_unet import check_segmenter

        check_segmenter(config.model, config.size)

    def sizes(self, dataset: Dataset) -> DatasetSize:
        """See the interface."""
        counts = {name: len(split) for name, split in dataset.splits.items()}
        return DatasetSize(len(dataset.label_map.names), {**dict.fromkeys(SPLITS, 0), **counts})

    def fitting_size(self, dataset: Dataset, longest: int) -> tuple[int, int] | None:
        """See the interface."""
        return size_for(dataset.splits.get("train", ()), dataset.root, longest)

    def reading(self, dataset: Dataset) -> tuple[Finding, ...]:
        """See the interface."""
        return tuple(Finding("reading", "info", sentence) for sentence in dataset.reading)

    def warnings(self, dataset: Dataset) -> tuple[Finding, ...]:
        """See the interface."""
        return tuple(f for f in dataset.findings if f.severity == "warning")

    def hidden_objects(self, dataset: Dataset) -> Hidden:
        """See the interface."""
        return hidden_objects(dataset)

    def names(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """See the interface."""
        return tuple(frame.name for frame in dataset.splits[split])

    def has_counts(
        self, dataset: Dataset, split: str, index: int, counts: Integer[np.ndarray, "k 3"]
    ) -> bool:
        """See the interface; the pixels of each class are compared."""
        classes = len(dataset.label_map.names)
        labels = read_labelled(dataset.splits[split][index], dataset.label_map, dataset.root)[1]
        pixels = np.bincount(labels[labels != IGNORE].ravel(), minlength=classes)
        return bool(np.array_equal(pixels, counts[:, 0] + counts[:, 2]))

    def groups(self, dataset: Dataset, split: str) -> tuple[str | None, ...]:
        """See the interface."""
        return tuple(frame.group for frame in dataset.splits[split])

    def hashes(self, dataset: Dataset, config: RunConfig, _run: Path) -> dict[str, str]:
        """See the interface."""
        unlabelled = hash_of_unlabelled(dataset) if recipe_of(config).teacher is not None else {}
        if config.folds is not None:
            frames = pooled(dataset).splits[LABELLED]
            of_frames = {LABELLED: digest(frames, dataset.root), "groups": hash_of_groups(dataset)}
            return {**of_frames, **hashes_of_labels(dataset), **unlabelled}
        splits = ("train", "validation", config.score)
        hashes = {s: digest(dataset.splits.get(s, ()), dataset.root) for s in splits}
        return {**hashes, **hashes_of_labels(dataset), **unlabelled}

    def read_scores(self, run: Path) -> dict[str, Any]:
        """See the interface."""
        return read_scores(run, SegmentationScores)

    def trainings(self, config: RunConfig) -> tuple[RunConfig, ...]:
        """See the interface."""
        return (config,)

    def views(self, _config: RunConfig) -> int:
        """See the interface."""
        return 1

    def new_network(self, config: RunConfig | StudyConfig, num_classes: int) -> Network:
        """See the interface."""
        from headstart.models.encoder_unet import make_segmenter

        assert config.width is not None
        return make_segmenter(config.model, num_classes, config.width)

    def parts(self, network: Network, config: RunConfig) -> tuple[None, Network]:
        """See the interface; a frozen encoder sees other pictures in each step, so it stays."""
        freeze_by(network, config)
        return None, network

    def pooled(self, dataset: Dataset) -> Dataset:
        """See the interface."""
        return pooled(dataset)

    def write_pooled(self, folds: Sequence[Path], out: Path) -> dict[str, Any]:
        """See the interface."""
        parts = [self.read_counts(run) for run in folds]
        names = [name for part in parts for name in part.frames]
        refuse_twice(names, out)
        order = sorted(range(len(names)), key=lambda i: (natural_key(names[i]), names[i]))
        counts = np.concatenate([part.counts for part in parts])[order]
        classes = parts[0].names
        in_order = tuple(names[i] for i in order)
        write_atomic(out / FRAMES, frames_csv(counts, in_order, classes))
        return {"split": "test", **segmentation_scores.score(counts, classes)}

    def score_together(
        self, config: RunConfig, dataset: Dataset, runs: Sequence[Path], cache: Path, out: Path
    ) -> dict[str, Any]:
        """See the interface."""
        from headstart.tasks.together import segment_together

        return segment_together(config, dataset, runs, cache, out)

    def side_by_side(
        self, dataset: Dataset, arms: Mapping[str, Path], pictures: Mapping[str, str], cache: Path
    ) -> bytes:
        """See the interface."""
        from headstart.tasks.side_by_side import masks_side_by_side

        return masks_side_by_side(dataset, arms, pictures, cache)

    def try_start(self, source: Source, config: Any, num_classes: int) -> None:
        """See the interface."""
        import torch

        from headstart.training.starts import start_of

        with torch.random.fork_rng(devices=[]):
            network = self.new_network(config, num_classes)
        start_of(network, source, ())  # type: ignore[arg-type]

    def check_labels(self, dataset: Dataset, config: StudyConfig) -> None:
        """See the interface."""
        if config.folds is not None:
            refuse_no_foreground(pooled(dataset), (LABELLED,))
        else:
            refuse_no_foreground(dataset, ("train", "validation", config.score))

    def prepare(self, config: RunConfig, dataset: Dataset, cache: Path) -> Prepared:
        """See the interface."""
        from headstart.tasks.segmentation_training import prepare

        return prepare(config, dataset, cache)

    def read_counts(self, run: Path) -> FrameCounts:
        """Read true positive, false positive and false negative pixels per frame and class."""
        return read_frames_csv(read_record(run, FRAMES), run / FRAMES)


def freeze_by(network: Network, config: RunConfig) -> None:
    """Freeze the encoder if only the layers after it train."""
    from headstart.models.encoder_unet import EncoderUNet

    if config.tune == "head" and isinstance(network, EncoderUNet):
        network.freeze_encoder()


def frozen_at_random(config: RunConfig) -> tuple[Finding, ...]:
    """Return a warning if the encoder keeps the random weights that it began with."""
    if config.tune != "head" or config.start not in (SCRATCH, SCRATCH_LONGER):
        return ()
    message = f"tune is head, and start {config.start}: the encoder keeps its random weights"
    hint = "--start imagenet, a pretext or a run; as a control in a study it may be what you want"
    return (Finding("random-encoder", "warning", message, hint),)


def hashes_of_labels(dataset: Dataset) -> dict[str, str]:
    """Return the SHA-256 of the label map and, if there is one, of ``dataset.toml``."""
    described = {"dataset.toml": dataset.description} if dataset.description else {}
    return {"label map": hash_of_label_map(dataset.label_map), **described}


def hash_of_unlabelled(dataset: Dataset) -> dict[str, str]:
    """Return the SHA-256 of a dataset's unlabelled pictures, by name; empty if it has none."""
    frames = [replace(f, mask=None) for part in dataset.unlabelled.values() for f in part]
    return {"unlabelled": digest(frames, dataset.root)} if frames else {}


def hash_of_groups(dataset: Dataset) -> str:
    """Return the SHA-256 of the names and groups of all labelled frames, which decide the folds."""
    frames = pooled(dataset).splits[LABELLED]
    named = [[frame.name, frame.group] for frame in frames]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def hash_of_label_map(label_map: LabelMap) -> str:
    """Return the SHA-256 of class names, grey levels, colours, and what is ignored."""
    named = [list(pair) for pair in zip(label_map.names, label_map.greys, strict=True)]
    named += [["", level] for level in label_map.ignore]  # a class always has a name
    if label_map.colours:
        named += [["", label_map.colours], ["", label_map.ignored_colours]]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def recipe_of(config: RunConfig | StudyConfig) -> Recipe:
    """Return the recipe of a segmentation; the configuration has checked that it is one."""
    assert isinstance(config.recipe, Recipe)
    return config.recipe
