"""What a recipe is: the hyper-parameters of a training, as frozen records.

A recipe says nothing about data, network or seed. Those are in the configuration of a run
([`headstart.config.records`][]). Recipes with names are in [`headstart.config.recipes`][].
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from headstart.config.methods import Teacher
from headstart.data.augmentation import Augmentation
from headstart.data.batches import steps_per_epoch
from headstart.data.settings_files import FrozenModel

MOST_STEPS = 100_000_000
_Recipe = TypeVar("_Recipe", bound="Training")
_EPOCHS = 40  # of a recipe that counted passes, if it is given a number of steps
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Training(FrozenModel):
    """The hyper-parameters of every training.

    Attributes:
        name: the name in tables.
        optimizer: ``"adam"`` or ``"adamw"``.
        learning_rate: the highest learning rate.
        weight_decay: decoupled weight decay, for ``"adamw"``.
        batch: pictures per step.
        epochs: the maximum number of epochs. After each, the network is validated.
        epoch: ``"pass"``: an epoch is one pass over the pictures; its last batch may be smaller.
            ``"steps"``: all batches are full, drawn from passes over the labelled pictures, and
            the label budget does not change their number. Every budget gets the same schedule.
        steps: with ``"steps"``, the number of optimizer steps of all epochs together, whatever the
            number of pictures; null: an epoch has as many as a pass over the whole training split.
        schedule: ``"constant"``; ``"step"``: multiplied by ``gamma`` every ``step_size`` epochs;
            ``"one-cycle"``: linear from 0 during the share ``warmup`` of all steps, then half a
            cosine down to 0.
        patience: epochs without a better ``choose`` after which training stops; null: never.
        choose: the validation measure whose best epoch gives the weights.
        average: decay per step of the weights' exponential moving average, which is validated and
            kept; 0: no average.
        augmentation: see [`Augmentation`][headstart.data.augmentation.Augmentation].
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    optimizer: Literal["adam", "adamw"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    batch: Annotated[int, Field(ge=1, le=65536)]
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    epoch: Literal["pass", "steps"]
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None = None
    schedule: Literal["constant", "step", "one-cycle"]
    step_size: Annotated[int, Field(ge=1)] = 10
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=1)] | None = None
    choose: Literal["loss", "dice", "accuracy"]
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _steps_of_epochs(self) -> Training:
        """Check that every epoch has a step."""
        if self.steps is not None and self.epoch == "pass":
            raise ValueError(f'steps is {self.steps}, but epoch is "pass"; expected "steps"')
        if self.steps is not None and self.steps < self.epochs:
            raise ValueError(f"steps is {self.steps}, fewer than the {self.epochs} epochs")
        return self

    def total_steps(self, labelled: int, available: int) -> int:
        """Return the number of optimizer steps of all epochs.

        Args:
            labelled: how many pictures the training uses.
            available: how many the training split has.
        """
        if self.steps is not None:
            return self.steps
        pictures = available if self.epoch == "steps" else labelled
        return self.epochs * steps_per_epoch(pictures, self.batch)

    def with_epochs(self: _Recipe, epochs: int) -> _Recipe:
        """Return the recipe with another number of epochs, each as long as a pass."""
        return self.model_copy(update={"epochs": epochs, "steps": None})

    def with_steps(self: _Recipe, steps: int) -> _Recipe:
        """Return the recipe with a number of optimizer steps, divided into at most 40 epochs."""
        epochs = _EPOCHS if self.steps is None else self.epochs
        counted = self.model_copy(update={"epoch": "steps", "steps": steps})
        return counted.in_epochs(min(steps, epochs))

    def in_epochs(self: _Recipe, epochs: int) -> _Recipe:
        """Return the recipe with its steps divided into another number of epochs."""
        return self.model_copy(update={"epochs": epochs})

    def longer(self: _Recipe, steps: int, per_epoch: int) -> _Recipe:
        """Return the recipe with at least as many steps more, and validated as often.

        Args:
            steps: how many more.
            per_epoch: steps of an epoch as it is.
        """
        more = -(-steps // per_epoch)
        total = None if self.steps is None else self.steps + steps
        return self.model_copy(update={"epochs": self.epochs + more, "steps": total})

    # What only some kinds of recipe can set, asked of any kind.

    def taught_by(self) -> Teacher | None:
        """Return how pictures without labels are learned from; None: they are not used."""
        return None

    def least_area(self) -> float:
        """Return the smallest share of a picture that a predicted class covers."""
        return 0.0

    def most_windows(self) -> int | None:
        """Return how many windows a validation predicts at most; None: all."""
        return None

    def takes_last(self) -> bool:
        """Return whether the last of equally good epochs gives the weights."""
        return False


class Recipe(Training):
    """The hyper-parameters of a segmentation, in addition to those of every [`Training`][].

    Attributes:
        loss: ``"dice"`` (soft Dice alone) or ``"dice+cross-entropy"`` (their sum); called in
            [`headstart.tasks.segmentation_batches`][].
        absent: whether a class absent from a batch enters the soft Dice; see
            [`dice_loss`][headstart.training.losses.dice_loss].
        balance: how much more often frames with rare classes are drawn, from 0 (all alike) to 1;
            see [`rarity_weights`][headstart.data.batches.rarity_weights].
        min_area: the smallest share of a frame that a predicted foreground class covers; smaller
            areas are not predicted; see
            [`class_maps`][headstart.tasks.class_maps.class_maps].
        adapt_min_area: lower ``min_area`` where training masks show smaller objects; see
            [`fitting_recipe`][headstart.tasks.mismatches.fitting_recipe].
        standardise: subtract the mean of the training pictures and divide by their standard
            deviation, per channel; otherwise pictures are in ``[0, 1]``.
        validation_windows: with tiles, the most windows that a validation during training predicts.
            Where the validation pictures have more, a fixed sample validates every epoch; see
            [`headstart.tasks.window_sample`][]. Null: all.
        teacher: how pictures without labels are learned from; null: they are not used.
    """

    choose: Literal["loss", "dice"]
    loss: Literal["dice", "dice+cross-entropy"]
    absent: Literal["count", "skip"]
    balance: Annotated[float, Field(ge=0, le=1)] = 0.0
    min_area: Annotated[float, Field(ge=0, lt=1)] = 0.0
    adapt_min_area: bool = False
    standardise: bool = False
    validation_windows: Annotated[int, Field(ge=1)] | None = None
    teacher: Teacher | None = None

    @model_validator(mode="after")
    def _teacher_is_an_average(self) -> Recipe:
        """Check that there is an average of the weights where it is the teacher."""
        if self.teacher is not None and not self.average:
            raise ValueError("a teacher is the average of the weights; average is 0")
        return self

    def taught_by(self) -> Teacher | None:
        """See [`Training`][]."""
        return self.teacher

    def least_area(self) -> float:
        """See [`Training`][]."""
        return self.min_area

    def most_windows(self) -> int | None:
        """See [`Training`][]."""
        return self.validation_windows


class ClassifierRecipe(Training):
    """The hyper-parameters of a classification, in addition to those of every [`Training`][].

    ``augmentation`` applies only while every layer trains: the features of frozen layers are
    computed once, from the pictures as they are.

    Attributes:
        head_learning_rate: the highest learning rate while only the last layer trains (the tunings
            ``head`` and ``staged``); it may be higher than that of a whole network.
        head_epochs: epochs that the last layer trains first, with the tuning ``staged``.
        smoothing: the share of each label that is spread evenly over all classes.
        ties: of epochs with an equal ``choose``, which gives the weights: the ``"first"`` or the
            ``"last"``. Where few pictures validate, many are equal.
    """

    choose: Literal["loss", "accuracy"]
    head_learning_rate: Positive
    head_epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ties: Literal["first", "last"] = "first"

    def in_epochs(self, epochs: int) -> ClassifierRecipe:
        """Return the recipe with its steps in another number of epochs, the head's in proportion.

        More epochs leave the head's as they are.
        """
        of_head = max(1, self.head_epochs * min(epochs, self.epochs) // self.epochs)
        return self.model_copy(update={"epochs": epochs, "head_epochs": of_head})

    def takes_last(self) -> bool:
        """See [`Training`][]."""
        return self.ties == "last"

    def of_head(self) -> ClassifierRecipe:
        """Return the recipe of the last layer's own training: ``head_epochs`` such epochs."""
        steps = None if self.steps is None else self.steps * self.head_epochs // self.epochs
        return self.model_copy(update={"epochs": self.head_epochs, "steps": steps})


class PretextRecipe(Training):
    """The hyper-parameters of a pretext, in addition to those of every [`Training`][].

    ``noise``, ``hidden`` and ``block`` say how the masked pretexts spoil the pictures; see
    [`headstart.training.pretexts`][].

    Attributes:
        noise: standard deviation of the Gaussian noise, for pictures in ``[0, 1]``.
        hidden: the share of blocks that are hidden.
        block: the side of a block, as a share of the picture's shorter side.
        standardise: as in [`Recipe`][].
    """

    choose: Literal["loss"] = "loss"
    noise: Annotated[float, Field(ge=0, le=1)] = 0.1
    hidden: Annotated[float, Field(ge=0, lt=1)] = 0.5
    block: Annotated[float, Field(gt=0, le=1)] = 0.125
    standardise: bool = False
