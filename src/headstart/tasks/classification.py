"""Classification: one class per picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.config.recipe_records import ClassifierRecipe
from headstart.config.recipes import CLASSIFIER_RECIPES
from headstart.config.records import RunConfig, StudyConfig
from headstart.data.checks.classification import report_on
from headstart.data.checks.thin_objects import Hidden
from headstart.data.files import natural_key
from headstart.data.labelled_pictures import digest_of
from headstart.data.layouts.class_dataset import ClassDataset, pooled
from headstart.data.layouts.class_layouts import open_classes
from headstart.data.layouts.dataset import LABELLED, SPLITS
from headstart.data.task import TaskName
from headstart.errors import Finding
from headstart.records.run_records import read_scores
from headstart.records.scores import ClassificationScores
from headstart.records.vouching import read_record
from headstart.scores import classification as classification_scores
from headstart.scores.frames_csv import (
    FRAMES,
    FrameCounts,
    answers_csv,
    read_answers,
    read_answers_csv,
)
from headstart.scores.pooled import ACCURACY
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
    headline="accuracy",
    scores=("accuracy", "macro_f1"),
    shown=("accuracy", "macro_f1"),
    by_class=("recall", "precision"),
    counts=("pictures",),
    class_mean=False,
    meanings=(
        ("accuracy", "the share of pictures whose class is predicted correctly. The headline "
         "score"),
        ("macro_f1", "2 TP / (2 TP + FP + FN) of each class over all pictures; mean over the "
         "classes present in the truth"),
    ),
    unit="picture",
    sheet=Sheet(
        "confusion.png",
        private=False,
        alt="Confusion matrix of {name} on the {split} pictures; recall and precision by class are "
        "in the table.",
        caption="Rows are the true classes of the {split} pictures; columns show the share "
        "predicted as each class.",
    ),
    open_to_check=open_classes,
    check=report_on,
    any_folder=False,
    hidden_settings=("width", "drop_leaks"),
    options=("--task", "classification"),
    framing="squeeze",
    recipes=CLASSIFIER_RECIPES,
    encoder_recipes=CLASSIFIER_RECIPES,
    pretext_recipe=False,
)  # fmt: skip
"""What a report shows."""


class Classification:
    """Classification as a [`LabelledTask`][headstart.tasks.interface.LabelledTask]."""

    name: TaskName = "classification"
    finished: tuple[str, ...] = (FRAMES, "scores.json")
    measures = MEASURES
    score = ACCURACY

    def open(self, data: Path) -> ClassDataset:
        """Open a folder of classes, or Fashion-MNIST for the word ``fashion-mnist``."""
        return open_classes(data)

    def check(self, config: RunConfig | StudyConfig) -> None:
        """See the interface."""
        from headstart.models.classifiers import check_network, check_size

        check_network(config.model)
        check_size(config.model, config.size)

    def sizes(self, dataset: ClassDataset) -> DatasetSize:
        """See the interface."""
        counts = {name: len(split.names) for name, split in dataset.splits.items()}
        return DatasetSize(len(dataset.names), {**dict.fromkeys(SPLITS, 0), **counts})

    def reading(self, dataset: ClassDataset) -> tuple[Finding, ...]:
        """See the interface."""
        return tuple(Finding("reading", "info", sentence) for sentence in dataset.reading)

    def warnings(self, dataset: ClassDataset) -> tuple[Finding, ...]:
        """See the interface."""
        return tuple(f for f in dataset.findings if f.severity == "warning")

    def hidden_objects(self, _dataset: ClassDataset) -> Hidden:
        """See the interface; classes have no shapes."""
        return lambda _size: None

    def names(self, dataset: ClassDataset, split: str) -> tuple[str, ...]:
        """See the interface."""
        return dataset.splits[split].names

    def has_counts(self, _dataset: ClassDataset, _split: str, _index: int, _counts: Any) -> bool:
        """Return True: whether an answer was right does not say what the picture shows."""
        return True

    def groups(self, dataset: ClassDataset, split: str) -> tuple[None, ...]:
        """Return None for each picture: folders of classes record no groups."""
        return (None,) * len(dataset.splits[split].names)

    def hashes(self, dataset: ClassDataset, config: RunConfig, _run: Path) -> dict[str, str]:
        """See the interface."""
        if config.folds is not None:
            return {LABELLED: digest_of(pooled(dataset), LABELLED)}
        return {name: digest_of(dataset, name) for name in splits_of(config)}

    def fitting_size(self, _dataset: ClassDataset, _longest: int) -> None:
        """See the interface; classifiers were made for pictures of one size."""

    def read_scores(self, run: Path) -> dict[str, Any]:
        """See the interface."""
        return read_scores(run, ClassificationScores)

    def trainings(self, config: RunConfig) -> tuple[RunConfig, ...]:
        """See the interface; ``staged`` trains the head alone, then every weight."""
        recipe = recipe_of(config)
        if config.tune != "staged":
            return (config,)
        of_head = {"tune": "head", "recipe": recipe.of_head()}
        return config.model_copy(update=of_head), config

    def views(self, _config: RunConfig) -> int:
        """See the interface."""
        return 1

    def new_network(self, config: RunConfig, num_classes: int) -> Network:
        """See the interface."""
        from headstart.models.classifiers import make_network

        return make_network(config.model, num_classes)[0]

    def parts(self, network: Network, config: RunConfig) -> tuple[Network | None, Network]:
        """See the interface."""
        from headstart.models.tuning import cut, trained_weights

        parts = cut(network, trained_weights(network, config.tune), config.size)
        return parts.frozen, parts.rest

    def pooled(self, dataset: ClassDataset) -> ClassDataset:
        """See the interface."""
        return pooled(dataset)

    def write_pooled(self, folds: Sequence[Path], out: Path) -> dict[str, Any]:
        """See the interface."""
        classes = tuple(self.read_scores(folds[0])["classes"])
        index_of = {name: k for k, name in enumerate(classes)}
        rows = [
            row for run in folds for row in read_answers(read_record(run, FRAMES), run / FRAMES)
        ]
        refuse_twice([row[0] for row in rows], out)
        rows.sort(key=lambda row: (natural_key(row[0]), row[0]))
        truth, predicted = (np.array([index_of[row[i]] for row in rows]) for i in (1, 2))
        names = tuple(row[0] for row in rows)
        write_atomic(out / FRAMES, answers_csv(truth, predicted, names, classes))
        matrix = classification_scores.confusion_matrix(truth, predicted, len(classes))
        return {"split": "test", **classification_scores.score(matrix, classes)}

    def score_together(
        self, config: RunConfig, dataset: ClassDataset, runs: Sequence[Path], cache: Path, out: Path
    ) -> dict[str, Any]:
        """See the interface."""
        from headstart.tasks.together import classify_together

        return classify_together(config, dataset, runs, cache, out)

    def side_by_side(
        self,
        dataset: ClassDataset,
        arms: Mapping[str, Path],
        pictures: Mapping[str, str],
        _cache: Path,
    ) -> bytes:
        """See the interface."""
        from headstart.tasks.side_by_side import classes_side_by_side

        return classes_side_by_side(dataset, arms, pictures)

    def try_start(self, source: Source, config: Any, num_classes: int) -> None:
        """See the interface."""
        import torch

        from headstart.models.classifiers import make_network
        from headstart.training.starts import move

        with torch.random.fork_rng(devices=[]):
            network, head = make_network(config.model, num_classes)
        move(network, source, (), f"{head.name}.", whole=True)

    def check_labels(self, dataset: ClassDataset, config: StudyConfig) -> None:
        """Accept every dataset: each picture has a class that can be scored."""

    def prepare(self, config: RunConfig, dataset: ClassDataset, cache: Path) -> Prepared:
        """See the interface."""
        from headstart.tasks.classification_training import prepare

        return prepare(config, dataset, cache)

    def read_counts(self, run: Path) -> FrameCounts:
        """Read whether each picture was classified correctly."""
        return read_answers_csv(read_record(run, FRAMES), run / FRAMES)


def splits_of(config: RunConfig) -> tuple[str, ...]:
    """Return the splits that a run reads."""
    return tuple(dict.fromkeys(("train", "validation", config.score)))


def recipe_of(config: RunConfig | StudyConfig) -> ClassifierRecipe:
    """Return the recipe of a classification; the configuration has checked that it is one."""
    assert isinstance(config.recipe, ClassifierRecipe)
    return config.recipe
