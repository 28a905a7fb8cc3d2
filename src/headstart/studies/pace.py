"""How fast this machine trains: seconds of a run as a function of its number of steps.

Measured over a few steps and predictions, see [`headstart.studies.step_time`][]. What is left out:
reading the pictures, checkpoints and figures, together seconds of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headstart.config.records import PretextConfig, RunConfig
from headstart.data.training_size import ANY_SIZE
from headstart.tasks.budgets import sizes_in_folds
from headstart.tasks.interface import DatasetSize, LabelledTask
from headstart.tasks.lookup import labelled_task
from headstart.tasks.pretext import PretextPictures, pictures_of


@dataclass(frozen=True)
class Pace:
    """Seconds of the parts of one training.

    Attributes:
        step: of an optimizer step.
        validation: of the validation after each epoch.
        score: of the score at the end.
        feature: of one picture's features, if some layers are frozen; else 0.
    """

    step: float
    validation: float
    score: float
    feature: float = 0.0

    def seconds(self, steps: int, epochs: int, pictures: int = 0) -> float:
        """Return the seconds of so many steps, with a validation after each epoch.

        ``pictures`` is the number of pictures whose features are computed once.
        """
        once = self.score + pictures * self.feature
        return steps * self.step + epochs * self.validation + once


@dataclass(frozen=True)
class RunPace:
    """The paces of a run's trainings, and how many of each there are.

    Attributes:
        sizes: number of classes and pictures; of folds, of the smallest one.
        labels: labelled pictures that it trains on.
        pictures: all its labelled pictures, of one fold.
        folds: how many folds it trains.
        trainings: the pace of each training of a fold.
        pretext: that of its pretext; None without one.
        pretexts: how many pretexts it trains.
        pretext_pictures: pictures that a pretext trains on.
    """

    sizes: DatasetSize
    labels: int
    pictures: int
    folds: int
    trainings: tuple[Pace, ...]
    pretext: Pace | None
    pretexts: int
    pretext_pictures: int

    def steps(self, config: RunConfig) -> tuple[int, int]:
        """Return the most optimizer steps of one fold's trainings, and of one pretext."""
        trainings = labelled_task(config.task).trainings(config)
        count = self.sizes.pictures["train"]
        steps = sum(each.recipe.total_steps(self.labels, count) for each in trainings)
        if config.pretext is None:
            return steps, 0
        pictures = self.pretext_pictures
        return steps, config.pretext.recipe.total_steps(pictures, pictures)

    def seconds(self, config: RunConfig) -> float:
        """Return the most seconds of the run, with its pretext and all its folds."""
        trainings = labelled_task(config.task).trainings(config)
        total, count = 0.0, self.sizes.pictures["train"]
        for training, pace in zip(trainings, self.trainings, strict=True):
            steps = training.recipe.total_steps(self.labels, count)
            total += self.folds * pace.seconds(steps, training.recipe.epochs, self.pictures)
        if self.pretext is not None and config.pretext is not None:
            steps = self.steps(config)[1]
            total += self.pretexts * self.pretext.seconds(steps, config.pretext.recipe.epochs)
        return total


OfRun = Callable[[RunConfig, DatasetSize, tuple[int, int] | None], Pace]
OfPretext = Callable[[PretextConfig, PretextPictures], Pace]


def pace_of_run(
    config: RunConfig,
    dataset: Any,
    of_run: OfRun | None = None,
    of_pretext: OfPretext | None = None,
) -> RunPace:
    """Measure the pace of a run that has not begun, or of all folds of a cross-validation.

    Args:
        config: configuration of the run.
        dataset: result of the task's ``open`` for ``config.data``.
        of_run: function that returns the pace of a training; by default it measures it.
        of_pretext: the same of a pretext.

    Raises:
        UsageError: there are too few pictures or groups for so many folds.
    """
    task = labelled_task(config.task)
    sizes = task.sizes(dataset)
    if config.folds is not None:
        sizes = sizes_in_folds(task, dataset, config.folds)
    labels = config.labels or sizes.pictures["train"]
    own_size = own_size_of(task, dataset)
    trainings = task.trainings(config)
    pictures = labels + sizes.pictures["validation"] + sizes.pictures[config.score]
    if config.folds is not None:
        pictures = sizes.pictures["test"]  # all labelled pictures, once for each fold
    paces = tuple((of_run or pace_of)(each, sizes, own_size) for each in trainings)
    folds = config.folds if config.folds is not None and config.fold is None else 1
    if config.pretext is None:
        return RunPace(sizes, labels, pictures, folds, paces, None, 0, 0)
    unlabelled = pictures_of(dataset)
    shared = config.folds is None or unlabelled.shared_by_folds
    pace = (of_pretext or pace_of_pretext)(config.pretext, unlabelled)
    count = len(unlabelled.train)
    return RunPace(sizes, labels, pictures, folds, paces, pace, 1 if shared else folds, count)


def pace_of(config: RunConfig, sizes: DatasetSize, own_size: tuple[int, int] | None) -> Pace:
    """Measure the pace of one training of a run, in one fold.

    Args:
        config: configuration of the training.
        sizes: number of classes and pictures; of folds, of the smallest one.
        own_size: see [`own_size_of`][].
    """
    from headstart.studies import step_time

    classes, validated = sizes.classes, sizes.pictures["validation"]
    scored = sizes.pictures[config.score]
    if config.folds is not None:
        scored = -(-sizes.pictures["test"] // config.folds)
    all_of_them = step_time.seconds_of_prediction(config, classes, validated, own_size)
    return Pace(
        step=step_time.seconds_per_step(config, classes),
        validation=all_of_them * step_time.validated_share(config, validated, own_size),
        # the scored split for scores and calibration, validation for the temperature
        score=all_of_them * (scored + validated) / validated if validated else 0.0,
        feature=step_time.seconds_of_features(config, classes, 1),
    )


def pace_of_pretext(config: PretextConfig, pictures: PretextPictures) -> Pace:
    """Measure the pace of a pretext; its best weights are validated once more, as its score."""
    from headstart.studies import step_time
    from headstart.tasks.pretext_training import VALIDATION_TILES

    validated = len(pictures.validation) * (VALIDATION_TILES if config.framing == "tile" else 1)
    validation = step_time.seconds_of_prediction(config, 0, validated, None)
    return Pace(step_time.seconds_per_step(config, 0), validation, validation)


def own_size_of(task: LabelledTask, dataset: Any) -> tuple[int, int] | None:
    """Return the median size of the pictures, at which masks are counted; None: of no task's."""
    return task.fitting_size(dataset, ANY_SIZE)
