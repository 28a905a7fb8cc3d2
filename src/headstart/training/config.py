"""Configurations: all that decides the result of a run, a pretext or a study.

Frozen values, written as ``config.json``: each is enough to make its folder again.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from headstart.data.augmentation import Augmentation
from headstart.data.question import TaskName
from headstart.errors import DataError, Finding, UsageError
from headstart.system.processor import available_threads as available_threads
from headstart.training.recipes import (
    CLASSIFIER_DEFAULT,
    DEFAULT,
    ENCODER_DEFAULT,
    PRETEXT_DEFAULT,
    ClassifierRecipe,
    Frozen,
    PretextRecipe,
    Recipe,
    explain,
    read_classifier_recipe,
    read_pretext_recipe,
    read_recipe,
    read_settings,
)

Size = tuple[Annotated[int, Field(ge=8, le=8192)], Annotated[int, Field(ge=8, le=8192)]]
PretextName = Literal["colorization", "chroma", "masked-denoising", "masked-colorization"]
PRETEXTS: tuple[str, ...] = get_args(PretextName)
SCRATCH, SCRATCH_LONGER, IMAGENET = "scratch", "scratch-longer", "imagenet"
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Width = Annotated[int, Field(ge=1, le=1024)]
Tune = Annotated[str, Field(pattern=r"^(all|head|staged|last:[1-9][0-9]{0,2})$")]
UNET = "unet"
Network = Annotated[str, Field(min_length=1)]


class _Settings(Frozen):
    """What runs, pretexts and studies have in common.

    Attributes:
        data: the folder with the pictures, as it was given.
        size: height and width, in pixels, the pictures are trained at.
        device: ``"cpu"`` or ``"cuda"``.
        threads: CPU threads of a run; sums in other order differ in the last bits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: Literal[1] = Field(1, alias="schema")
    data: str
    size: Size = (256, 320)
    device: Literal["cpu", "cuda"] = "cpu"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1


class PretextConfig(_Settings):
    """All that decides the result of a pretext, apart from the pictures' content.

    Attributes:
        model: the network, as of runs.
        width: channels of its finest level.
        seed: fixes order, augmentation and new weights.
        pretext: what the network has to restore; see [`headstart.training.pretexts`][].
        drop_leaks: leave out pictures that are, exactly or nearly, validation or test frames.
        recipe: the hyper-parameters, in full.
    """

    task: Literal["pretext"] = "pretext"
    model: Network = UNET
    width: Width = 32
    seed: Seed = 0
    pretext: PretextName
    drop_leaks: bool = False
    recipe: PretextRecipe = PRETEXT_DEFAULT


def _kind_of_recipe(recipe: Any) -> str:
    ours = "head_learning_rate" in recipe if isinstance(recipe, dict) else None
    return "classification" if ours or isinstance(recipe, ClassifierRecipe) else "segmentation"


AnyRecipe = Annotated[
    Annotated[Recipe, Tag("segmentation")] | Annotated[ClassifierRecipe, Tag("classification")],
    Discriminator(_kind_of_recipe),
]


class _Supervised(_Settings):
    """What runs and studies have in common.

    Attributes:
        task: what is learned from the labels.
        model: the network: one of torchvision's classifiers; of a segmentation ``"unet"``, or the
            classifier that is its encoder.
        width: channels of a segmentation's finest level; null for a classifier.
        score: the split that is scored once per run.
        recipe: the hyper-parameters, in full.
    """

    task: TaskName = "segmentation"
    model: Network = UNET
    width: Width | None = 32
    score: Literal["test", "validation"] = "test"
    recipe: AnyRecipe = DEFAULT

    @model_validator(mode="after")
    def _fits_the_task(self) -> _Supervised:
        """Network, width and recipe are those of the task."""
        if self.model == UNET and self.task == "classification":
            expected = "one of torchvision's classifiers"
            raise ValueError(f"model is {UNET}, but a classification takes {expected}")
        if (self.width is None) != (self.task == "classification"):
            raise ValueError("width is of a segmentation's network; a classification has none")
        if _kind_of_recipe(self.recipe) != self.task:
            raise ValueError(f"the recipe {self.recipe.name} is not one of a {self.task}")
        return self

    def _refuse(self, start: str, tune: str) -> None:
        pretext = start in (*PRETEXTS, SCRATCH_LONGER)
        if self.task == "segmentation" and tune != "all":
            raise ValueError(f"tune {tune} is of classifiers; a segmentation trains all")
        if self.model == UNET and start == IMAGENET:
            raise ValueError(
                "there are no published weights of unet; a classifier's are the start of its "
                "encoder: give a model, for example resnet18"
            )
        if self.task == "classification" and pretext:
            raise ValueError(f"the start {start} is of segmentations, not of classifiers")


class RunConfig(_Supervised):
    """All that decides the result of one run, apart from the data's content.

    Attributes:
        start: where the initial weights come from: ``"scratch"``, a pretext, ``"imagenet"``, a
            run's folder or a file of weights.
        pretext: that pretext in full, where ``start`` is one; of the same seed, width and size.
        tune: which layers train; see [`headstart.models.tuning`][].
        labels: how many labelled training frames; null: all.
        frames: which ones, by name, where that is not left to the seed; null: it is.
        seed: fixes subset, order, augmentation and new weights.
    """

    start: Annotated[str, Field(min_length=1)] = SCRATCH
    pretext: PretextConfig | None = None
    tune: Tune = "all"
    labels: Annotated[int, Field(ge=1)] | None = None
    frames: tuple[str, ...] | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _frames_are_the_labels(self) -> RunConfig:
        """Named frames are as many as the labels, and each another."""
        if self.frames is not None:
            if self.task != "segmentation":
                raise ValueError("frames are named for a segmentation; give --labels a number")
            if len(set(self.frames)) != len(self.frames) or self.labels != len(self.frames):
                raise ValueError("frames names one twice, or labels is not their number")
        return self

    @model_validator(mode="after")
    def _pretext_of_start(self) -> RunConfig:
        """The pretext is that of ``start`` and has the run's network, or there is none."""
        self._refuse(self.start, self.tune)
        named = self.start if self.start in PRETEXTS else None
        if (self.pretext.pretext if self.pretext else None) != named:
            raise ValueError(f"start is {self.start}, but pretext does not say how it is trained")
        for name in ("model", "width", "size", "seed", "device", "threads"):
            if self.pretext and getattr(self.pretext, name) != getattr(self, name):
                raise ValueError(f"pretext.{name} differs from the run's")
        return self


class StudyConfig(_Supervised):
    """All that decides the result of a study, apart from the data's content.

    Attributes:
        starts: what is compared.
        against: the start that the others are compared with; null: ``"scratch"`` where it is among
            them, else the first. Decides nothing about the runs.
        tunes, labels, seeds: crossed with the starts.
        drop_leaks: see [`PretextConfig`][].
        pretext_recipe: the hyper-parameters of pretexts, in full.
    """

    starts: Annotated[tuple[str, ...], Field(min_length=1)]
    against: str | None = None
    tunes: Annotated[tuple[Tune, ...], Field(min_length=1)] = ("all",)
    labels: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    drop_leaks: bool = False
    pretext_recipe: PretextRecipe = PRETEXT_DEFAULT

    @model_validator(mode="after")
    def _nothing_twice(self) -> StudyConfig:
        for start in self.starts:
            for tune in self.tunes:
                self._refuse(start, tune)
        for name in ("starts", "tunes", "labels", "seeds"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} names something twice")
        if self.against is not None and self.against not in self.starts:
            raise ValueError(f"{self.against} is not among the starts {', '.join(self.starts)}")
        return self


def to_json(config: BaseModel) -> str:
    """The whole value, defaults included, as indented JSON with a final newline."""
    return json.dumps(config.model_dump(by_alias=True), indent=2) + "\n"


def differences(old: BaseModel, new: BaseModel) -> list[str]:
    """Lines ``name: old -> new`` for each setting that differs, nested names with dots.

    >>> differences(DEFAULT, DEFAULT.model_copy(update={"batch": 8}))
    ['batch: 5 -> 8']
    """

    def flat(value: Any, prefix: str = "") -> dict[str, Any]:
        if not isinstance(value, dict):
            return {prefix: value}
        parts = [flat(v, f"{prefix}.{k}" if prefix else k) for k, v in value.items()]
        return {k: v for part in parts for k, v in part.items()}

    a, b = (flat(c.model_dump(by_alias=True)) for c in (old, new))
    return [f"{k}: {a.get(k)} -> {b.get(k)}" for k in {**a, **b} if a.get(k) != b.get(k)]


def weights_file(start: str) -> Path:
    """The file of weights that a start names: a run's folder, or the file itself.

    Raises:
        UsageError: it is neither.
    """
    path = Path(start)
    if path.is_dir():
        if (path / "weights.safetensors").exists():
            return path / "weights.safetensors"
        message = f"the start {start} is a folder without weights.safetensors"
        hint = "expected a finished run: give its own command again, it continues"
        raise UsageError(Finding("no-weights", "error", message, hint))
    if path.exists():
        return path
    known = ", ".join((SCRATCH, *PRETEXTS, IMAGENET))
    message = f"there is no start {start}; expected {known}, a run's folder or a file of weights"
    raise UsageError(Finding("unknown-start", "error", message))


def pretext_recipe_for(recipe: Recipe | ClassifierRecipe, model: str) -> PretextRecipe:
    """The pretext recipe that goes with a recipe: the assignment's with the assignment's."""
    name = "assignment" if recipe.name.startswith("assignment") else "default"
    return read_pretext_recipe(name, encoder=model != UNET)


def pretext_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's settings without what only a segmentation has."""
    names = ("schema", "model", "width", "seed", *_Settings.model_fields)
    return {name: settings[name] for name in names if name in settings}


def on_device(config: RunConfig, device: str) -> RunConfig:
    """The same run on another device, its pretext with it."""
    pretext = config.pretext and config.pretext.model_copy(update={"device": device})
    return config.model_copy(update={"device": device, "pretext": pretext})


CLASSIFIER: dict[str, Any] = {
    "task": "classification",
    "model": "resnet18",
    "width": None,
    "size": (224, 224),
    "recipe": CLASSIFIER_DEFAULT,
}
"""The settings of a classification where nobody says otherwise."""


def defaults_for(task: TaskName, model: str | None) -> dict[str, Any]:
    """The settings of a task and its network, where those of a U-Net are not meant."""
    if task == "classification":
        return CLASSIFIER
    return {} if model in (None, UNET) else {"recipe": ENCODER_DEFAULT}


def refuse_other_recipe(path: Path, model: str, network: str) -> None:
    """Refuses a configuration's recipe where it was made for another kind of network.

    Raises:
        UsageError: one of the two is the U-Net, the other is on an encoder.
    """
    if (model == UNET) != (network == UNET):
        message = f"the recipe in {path} is for {model}, and --model is {network}"
        hint = "say which recipe that takes, for example --recipe default"
        raise UsageError(Finding("bad-setting", "error", message, hint))


def read_recipe_for(
    task: TaskName, model: str | None, name_or_path: str
) -> Recipe | ClassifierRecipe:
    """A recipe of a task and its network, by its name or from a file.

    Raises:
        UsageError: there is neither such a recipe nor such a file.
        DataError: the file cannot be read or understood.
    """
    if task == "classification":
        return read_classifier_recipe(name_or_path)
    return read_recipe(name_or_path, encoder=model not in (None, UNET))


_KINDS = (Recipe, ClassifierRecipe, PretextRecipe, RunConfig, StudyConfig)
_KNOWN = sorted(
    {
        *Augmentation.__annotations__,
        *(n for kind in _KINDS for n in kind.model_fields),
    }
)


def read_config(path: Path) -> RunConfig | PretextConfig:
    """A run's ``config.json``.

    Raises:
        DataError: it cannot be read or understood.
    """
    settings = read_settings(path)
    kind = PretextConfig if settings.get("task") == "pretext" else RunConfig
    try:
        return kind.model_validate(settings)
    except ValidationError as e:
        raise DataError(explain(e, str(path), _KNOWN)) from None


def read_run_config(path: Path) -> RunConfig:
    """The ``config.json`` of a run that learns from labels.

    Raises:
        DataError: it cannot be read or understood, or is that of a pretext.
    """
    config = read_config(path)
    if isinstance(config, PretextConfig):
        message = f"{path.parent} holds a pretext ({config.pretext}), which is no answer"
        hint = f"start a training from it: headstart train DATA --start {path.parent}"
        raise DataError(Finding("is-a-pretext", "error", message, hint))
    return config


def read_study_config(path: Path) -> StudyConfig:
    """A study's ``config.json``.

    Raises:
        DataError: it cannot be read or understood.
    """
    try:
        return StudyConfig.model_validate(read_settings(path))
    except ValidationError as e:
        raise DataError(explain(e, str(path), _KNOWN)) from None


def make_run_config(**settings: Any) -> RunConfig:
    """A configuration from values of the command line.

    Raises:
        UsageError: a value is out of its range; every one is named.
    """
    return _make(RunConfig, settings)


def make_pretext_config(**settings: Any) -> PretextConfig:
    """As [`make_run_config`][], of a pretext."""
    return _make(PretextConfig, settings)


def make_study_config(**settings: Any) -> StudyConfig:
    """As [`make_run_config`][], of a study."""
    return _make(StudyConfig, settings)


_Config = TypeVar("_Config", bound=BaseModel)


def _make(kind: type[_Config], settings: dict[str, Any]) -> _Config:
    try:
        return kind.model_validate(settings)
    except ValidationError as e:
        raise UsageError(explain(e, "command line", _KNOWN)) from None


def parse_size(text: str) -> tuple[int, int]:
    """``"64x80"`` (height by width) or ``"128"`` (square) as ``(height, width)``.

    Raises:
        UsageError: it is neither.

    >>> parse_size("64x80"), parse_size("128")
    ((64, 80), (128, 128))
    """
    match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text, re.ASCII)
    height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not (8 <= height <= 8192 and 8 <= width <= 8192):
        message = f"size {text} is not understood; expected HEIGHTxWIDTH or one number, 8 to 8192"
        raise UsageError(Finding("bad-size", "error", message, "for example --size 64x80"))
    return height, width


def read_frame_names(path: Path) -> tuple[str, ...]:
    """Names of frames from a text file, one a line; empty lines are passed over.

    Raises:
        DataError: it cannot be read, or names no frame or one twice.
    """
    try:
        # As file names are: any bytes. Only a line's own end ends a name.
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        lines = [line.removesuffix("\r") for line in content.split("\n")]
    except OSError as e:
        raise DataError(Finding("unreadable", "error", f"{path}: {e.strerror}")) from None
    names = tuple(line for line in lines if line.strip())
    twice = tuple(sorted({name for name in names if names.count(name) > 1}))
    if not names or twice:
        what = "names frames twice" if twice else "names no frame"
        hint = "expected the names of training frames, one a line"
        raise DataError(Finding("bad-labels", "error", f"{path} {what}", hint, twice))
    return names


def parse_labels(text: str) -> int | None:
    """``"30"`` as 30, ``"all"`` as None.

    Raises:
        UsageError: it is neither.
    """
    if text == "all":
        return None
    if re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII):
        return int(text)
    message = f"--labels {text} is not understood; expected a number from 1, or all"
    raise UsageError(Finding("bad-labels", "error", message))
