"""Configurations: every setting that decides the result of a run, a pretext or a study.

They are frozen values. Written as ``config.json``, each is enough to make its folder again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from headstart.config.methods import SEMI_SUPERVISED, SUPERVISED, no_average, parted
from headstart.config.option_values import FEWEST_SEEDS
from headstart.config.recipe_records import ClassifierRecipe, PretextRecipe, Recipe
from headstart.config.recipes import DEFAULT, PRETEXT_DEFAULT
from headstart.config.start_names import (
    IMAGENET,
    PRETEXT_NAMES,
    SCRATCH,
    SCRATCH_LONGER,
    PretextName,
    is_published,
)
from headstart.config.task_settings import TASKS, UNET, task_of_recipe
from headstart.data.augmentation import Augmentation
from headstart.data.framing import Framing
from headstart.data.settings_files import FrozenModel, explain
from headstart.data.task import TaskName
from headstart.errors import UsageError
from headstart.system.devices import DeviceName, Precision

Size = tuple[Annotated[int, Field(ge=8, le=8192)], Annotated[int, Field(ge=8, le=8192)]]
_Part = Annotated[int, Field(ge=0, le=255)]
RGB = tuple[_Part, _Part, _Part]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
SeedsOfLook = Annotated[int, Field(ge=FEWEST_SEEDS, le=1000)]
Width = Annotated[int, Field(ge=1, le=1024)]
Tune = Annotated[str, Field(pattern=r"^(all|head|staged|last:[1-9][0-9]{0,2})$")]
Network = Annotated[str, Field(min_length=1)]
Folds = Annotated[int, Field(ge=2, le=100)]
_NOTHING_PUBLISHED = (
    f"{UNET} has no published weights; name a classifier whose weights its encoder starts from, "
    "for example --model resnet18"
)
NOT_A_PATH = "not_a_path"
"""The type of pydantic's error for a path that no system can open."""


def _openable(path: str) -> str:
    if "\0" in path:
        raise PydanticCustomError(NOT_A_PATH, "the path holds a NUL character")
    if len(path.encode("utf-8", "surrogatepass")) > _LONGEST_PATH:
        message = f"the path is longer than {_LONGEST_PATH} bytes"
        raise PydanticCustomError("not_a_path", "{words}", {"words": message})
    return path


_LONGEST_PATH = 4095  # of Linux
AnyPath = Annotated[str, AfterValidator(_openable)]


class _Settings(FrozenModel):
    """The settings of runs, pretexts and studies alike.

    Attributes:
        data: the folder with the pictures, as it was given.
        size: height and width, in pixels, that the pictures are trained at.
        framing: how a picture becomes a picture of that size, see [`headstart.data.framing`][].
            Folders of older versions, which record none, squeezed.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``, but not which of several GPUs.
        threads: CPU threads of a run. Another number sums in another order, so that the last bits
            of a result differ.
        precision: of the products in training: ``"float32"`` or ``"bfloat16"``. Null in folders of
            older versions: bfloat16 on GPUs that multiply it, else float32.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_: Literal[1] = Field(1, alias="schema")
    data: AnyPath
    size: Size = (256, 320)
    framing: Framing = "squeeze"
    device: DeviceName = "cpu"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    precision: Precision | None = None


class PretextConfig(_Settings):
    """Every setting that decides the result of a pretext, apart from the pictures themselves.

    Attributes:
        model: the network, as in a run.
        width: channels of the network's finest level.
        seed: fixes order, augmentation and new weights.
        pretext: what the network learns; see [`headstart.training.pretexts`][].
        drop_leaks: leave out copies and near-duplicates of validation and test frames.
        folds: number of folds of the run that starts from it; null: it is not cross-validated.
        fold: the fold whose test and validation pictures it does not see; null: none of its
            pictures is labelled, and all folds share them.
        recipe: the hyper-parameters, in full.
    """

    task: Literal["pretext"] = "pretext"
    model: Network = UNET
    width: Width = 32
    seed: Seed = 0
    pretext: PretextName
    drop_leaks: bool = False
    folds: Folds | None = None
    fold: Annotated[int, Field(ge=1)] | None = None
    recipe: PretextRecipe = PRETEXT_DEFAULT

    @property
    def start(self) -> str:
        """Where the initial weights come from, which the pretext's name says."""
        return IMAGENET if is_published(self.pretext) else SCRATCH

    @model_validator(mode="after")
    def _published_weights(self) -> PretextConfig:
        """Check that there are any for the network."""
        if is_published(self.pretext) and self.model == UNET:
            raise ValueError(_NOTHING_PUBLISHED)
        return self

    @property
    def start_pretext(self) -> None:
        """As of a [`RunConfig`][]: there is none."""

    @property
    def labels(self) -> None:
        """As of a [`RunConfig`][]: it uses none."""

    @property
    def crossed(self) -> None:
        """As of a [`RunConfig`][]: a pretext is not cross-validated."""


_AS_IN_THE_RUN = ("model", "width", "size", "framing", "seed", "device", "threads", "precision")
"""The settings that a pretext shares with the run that starts from it."""

AnyRecipe = Annotated[
    Annotated[Recipe, Tag("segmentation")] | Annotated[ClassifierRecipe, Tag("classification")],
    Discriminator(task_of_recipe),
]


class _Supervised(_Settings):
    """The settings of runs and studies alike.

    Attributes:
        task: what is learned from the labels.
        model: the network. A classification takes one of torchvision's classifiers; a segmentation
            takes ``"unet"``, or the classifier that is its encoder.
        width: channels of a segmentation network's finest level; null for a classifier.
        score: the split that each run scores once, at its end.
        recipe: the hyper-parameters, in full.
    """

    task: TaskName = "segmentation"
    model: Network = UNET
    width: Width | None = 32
    score: Literal["test", "validation"] = "test"
    recipe: AnyRecipe = DEFAULT

    @model_validator(mode="after")
    def _fits_the_task(self) -> _Supervised:
        """Check that network, width and recipe are of the task."""
        settings = TASKS[self.task]
        if self.model == UNET and not settings.unet:
            expected = "one of torchvision's classifiers"
            raise ValueError(f"model is {UNET}, but a {self.task} takes {expected}")
        if self.framing not in settings.framings:
            takes = " or ".join(settings.framings)
            raise ValueError(f"framing is {self.framing}, but a {self.task} takes {takes}")
        if (self.width is None) != (settings.width is None):
            raise ValueError("width is for networks that segment; a classifier has none")
        if task_of_recipe(self.recipe) != self.task:
            raise ValueError(f"the recipe {self.recipe.name} is not for a {self.task}")
        return self

    def _refuse(self, start: str, tune: str) -> None:
        """Raise a ValueError if the task or its network has no such start or tuning."""
        settings = TASKS[self.task]
        if ("last:N" if tune.startswith("last:") else tune) not in settings.tunes:
            takes = " or ".join(settings.tunes)
            raise ValueError(f"tune is {tune}, but a {self.task} takes {takes}")
        if tune != "all" and self.model == UNET:
            raise ValueError(
                f"tune is {tune}, which needs a classifier as the encoder, and {UNET} has none; "
                "name one, for example --model resnet18"
            )
        if self.model == UNET and is_published(start):
            raise ValueError(_NOTHING_PUBLISHED)
        if start in (*PRETEXT_NAMES, SCRATCH_LONGER) and not settings.pretexts:
            raise ValueError(f"a {self.task} cannot start from {start}")


def _refuse_in_folds(folds: int | None, score: str, frames: tuple[str, ...] | None) -> None:
    """Raise a ValueError if settings contradict a cross-validation."""
    if folds is not None and score != "test":
        raise ValueError(f"folds are scored on their test pictures; score is {score}")
    if folds is not None and frames is not None:
        raise ValueError("labels names frames, but each fold trains on others; give a number")


class RunConfig(_Supervised):
    """Every setting that decides the result of one run, apart from the data themselves.

    Attributes:
        start: where the initial weights come from: ``"scratch"``, a pretext, ``"imagenet"``, a
            run's folder or a file of weights.
        pretext: the configuration of the pretext that ``start`` names, with the run's seed,
            network and size; null for any other start.
        tune: which layers train; see [`headstart.models.tuning`][].
        labels: the number of labelled training frames; null: all.
        frames: the names of those frames; null: the seed draws them.
        folds: number of folds of a cross-validation: every labelled picture is a test picture once;
            null: the dataset's own splits.
        fold: the one that the run trains and is scored for, from 1; null: all, one after the other.
        seed: fixes folds, subset, order, augmentation and new weights.
    """

    start: Annotated[AnyPath, Field(min_length=1)] = SCRATCH
    pretext: PretextConfig | None = None
    tune: Tune = "all"
    labels: Annotated[int, Field(ge=1)] | None = None
    frames: tuple[str, ...] | None = None
    folds: Folds | None = None
    fold: Annotated[int, Field(ge=1)] | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _fold_of_folds(self) -> RunConfig:
        """Check that a fold is one of the folds, and that test pictures are scored."""
        if self.fold is not None and (self.folds is None or self.fold > self.folds):
            raise ValueError(
                f"fold is {self.fold}; expected 1 to the number of folds, {self.folds}"
            )
        _refuse_in_folds(self.folds, self.score, self.frames)
        return self

    @property
    def start_pretext(self) -> PretextConfig | None:
        """The pretext that trains the start, where ``start`` is one."""
        return self.pretext

    @property
    def crossed(self) -> int | None:
        """The number of folds of a whole cross-validation; None: a single run, or one fold."""
        return None if self.fold is not None else self.folds

    @model_validator(mode="after")
    def _frames_are_the_labels(self) -> RunConfig:
        """Check that named frames differ, and are as many as ``labels`` says."""
        if self.frames is not None:
            if not TASKS[self.task].named_frames:
                raise ValueError(f"a {self.task} takes no names of frames; give --labels a number")
            if len(set(self.frames)) != len(self.frames) or self.labels != len(self.frames):
                raise ValueError("frames names one twice, or labels is not their number")
        return self

    @model_validator(mode="after")
    def _pretext_of_start(self) -> RunConfig:
        """Check that the pretext is the one that ``start`` names, on the run's network."""
        self._refuse(self.start, self.tune)
        named = self.start if self.start in PRETEXT_NAMES else None
        if (self.pretext.pretext if self.pretext else None) != named:
            raise ValueError(f"start is {self.start}, but pretext does not say how it is trained")
        for name in _AS_IN_THE_RUN:
            if self.pretext and getattr(self.pretext, name) != getattr(self, name):
                raise ValueError(f"pretext.{name} differs from the run's")
        return self

    @property
    def pretext_fits_the_fold(self) -> bool:
        """Whether the pretext, if there is one, sees no held-out picture of the run's fold."""
        if self.fold is None or self.pretext is None:
            return True
        return self.pretext.folds == self.folds and self.pretext.fold in (None, self.fold)


class StudyConfig(_Supervised):
    """Every setting that decides the result of a study, apart from the data themselves.

    Attributes:
        starts: the starts that are compared, with a method where it is not the usual one; see
            [`headstart.config.methods`][].
        against: the start that the others are compared with; null: ``"scratch"`` if it is among
            them, else the first. It does not change the runs.
        tunes, labels, seeds: crossed with the starts.
        folds: number of folds of each run; see [`RunConfig`][].
        drop_leaks: see [`PretextConfig`][].
        pretext_recipe: the hyper-parameters of the pretexts, in full.
        margin: the smallest difference in the score that matters: starts whose interval lies within
            it are practically equal. Fixed before the first run; null in studies of old versions.
        looks: the numbers of seeds at which the study is compared, fixed before the first run; null
            for a single look, at all its seeds.
        seen: the numbers of seeds of finished studies to which seeds were added without a plan.
    """

    starts: Annotated[tuple[AnyPath, ...], Field(min_length=1)]
    against: str | None = None
    tunes: Annotated[tuple[Tune, ...], Field(min_length=1)] = ("all",)
    labels: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    folds: Folds | None = None
    drop_leaks: bool = False
    pretext_recipe: PretextRecipe = PRETEXT_DEFAULT
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    looks: Annotated[tuple[SeedsOfLook, ...], Field(min_length=1)] | None = None
    seen: tuple[SeedsOfLook, ...] = ()

    @property
    def crossed(self) -> int | None:
        """The number of folds of each cross-validation; None: there are none."""
        return self.folds

    @model_validator(mode="after")
    def _nothing_twice(self) -> StudyConfig:
        """Check every start and tuning, and that no list repeats a value."""
        _refuse_in_folds(self.folds, self.score, None)
        for arm in self.starts:
            start, method = parted(arm)
            for tune in self.tunes:
                self._refuse(start, tune)
            if method != SUPERVISED and not TASKS[self.task].teacher:
                raise ValueError(f"{arm}: a {self.task} is only supervised")
            if method == SEMI_SUPERVISED and not self.recipe.average:
                raise ValueError(f"{arm}: {'; '.join(no_average(self.recipe.name))}")
            if method != SUPERVISED and start == SCRATCH_LONGER:
                raise ValueError(f"{arm}: {SCRATCH_LONGER} is only supervised")
        for name in ("starts", "tunes", "labels", "seeds"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} names something twice")
        if self.looks is not None and list(self.looks) != sorted(set(self.looks)):
            raise ValueError(f"looks must grow; found {', '.join(map(str, self.looks))}")
        if self.against is not None and self.against not in self.starts:
            raise ValueError(f"{self.against} is not among the starts {', '.join(self.starts)}")
        return self


_KINDS = (Recipe, ClassifierRecipe, PretextRecipe, RunConfig, StudyConfig)
SETTING_NAMES = tuple(
    sorted({*Augmentation.__annotations__, *(n for kind in _KINDS for n in kind.model_fields)})
)
"""The names of all settings, for a hint at the one that was meant."""

Config = TypeVar("Config", RunConfig, PretextConfig, StudyConfig)


def make_run_config(**settings: Any) -> RunConfig:
    """Return a run's configuration, checked.

    Raises:
        UsageError: settings are unknown or out of range; every one is named.
    """
    return checked(RunConfig, settings)


def make_pretext_config(**settings: Any) -> PretextConfig:
    """Return a pretext's configuration, checked as by [`make_run_config`][]."""
    return checked(PretextConfig, settings)


def make_study_config(**settings: Any) -> StudyConfig:
    """Return a study's configuration, checked as by [`make_run_config`][]."""
    return checked(StudyConfig, settings)


def checked(kind: type[Config], settings: object, where: str = "command line") -> Config:
    """Return a configuration of settings by name, or of a configuration that was changed.

    Args:
        kind: its class.
        settings: by name, or as a configuration.
        where: they come from, for the findings.

    Raises:
        UsageError: settings are unknown or out of range; every one is named.
    """
    try:
        return kind.model_validate(settings)
    except ValidationError as e:
        raise UsageError(explain(e, where, SETTING_NAMES)) from None


def on_device(config: RunConfig, device: str) -> RunConfig:
    """Return the same run on another device, its pretext with it."""
    pretext = config.pretext and config.pretext.model_copy(update={"device": device})
    return config.model_copy(update={"device": device, "pretext": pretext})
