"""Methods of training: as an option of train, and crossed with the starts of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.config.begun import options_as_begun
from headstart.config.methods import Teacher, crossed, parted
from headstart.config.options import StudyOptions, TrainOptions
from headstart.config.recipes import CLASSIFIER_DEFAULT, DEFAULT
from headstart.config.records import make_study_config
from headstart.config.resolve import run_config, study_config
from headstart.errors import UsageError
from headstart.studies.cells import Cell, cells, pretexts_of
from headstart.studies.cells import run_config as run_of
from headstart.studies.hours import wants_proposal
from headstart.studies.verdicts import pairs


def resolved(**options: object) -> object:
    config = run_config(TrainOptions(**options), "data", of_data="segmentation")  # type: ignore[arg-type]
    return config.recipe.teacher  # type: ignore[union-attr]


def test_the_option_of_train() -> None:
    assert resolved() is None and resolved(method="supervised") is None
    assert resolved(method="semi-supervised") == Teacher()
    own = DEFAULT.model_copy(update={"teacher": Teacher(confidence=0.5)})
    assert resolved(recipe=own) == resolved(recipe=own, method="semi-supervised") == own.teacher
    assert resolved(recipe=own, method="supervised") is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "self-taught"}, "no method self-taught"),
        ({"method": "semi-supervised", "recipe": "assignment"}, "no average of the weights"),
        ({"method": "semi-supervised", "task": "classification"}, "for segmentations"),
    ],
)
def test_what_train_refuses(options: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_config(TrainOptions(**options), "data", of_data="segmentation")  # type: ignore[arg-type]


def test_arms_are_starts_with_their_method() -> None:
    arms = crossed(["scratch", "w/a+b.pth"], ["semi-supervised", "supervised"])
    assert arms == (
        "scratch+semi-supervised", "w/a+b.pth+semi-supervised", "scratch", "w/a+b.pth",
    )  # fmt: skip
    assert [parted(arm) for arm in arms] == [
        ("scratch", "semi-supervised"), ("w/a+b.pth", "semi-supervised"),
        ("scratch", "supervised"), ("w/a+b.pth", "supervised"),
    ]  # fmt: skip


def study(*starts: str, **more: object):
    return make_study_config(data="d", starts=starts, labels=[8], seeds=[1, 2, 3, 4, 5], **more)


def test_runs_of_a_study_differ_in_the_method_alone() -> None:
    config = study("scratch", "scratch+semi-supervised", "scratch+supervised-longer")
    plain, taught, longer = (run_of(config, Cell(arm, "all", 8, 1)) for arm in config.starts)
    assert taught == plain.model_copy(update={"recipe": taught.recipe})
    assert taught.recipe == DEFAULT.model_copy(update={"teacher": Teacher()})
    assert DEFAULT.steps is not None  # the network sees 5 + 10 pictures at each step
    assert longer.recipe == DEFAULT.model_copy(update={"steps": 3 * DEFAULT.steps})
    names = [cell.run for cell in cells(config) if cell.seed == 1]
    assert names == [
        "runs/scratch-all-8-1", "runs/scratch+semi-supervised-all-8-1",
        "runs/scratch+supervised-longer-all-8-1",
    ]  # fmt: skip


def test_methods_share_their_pretext() -> None:
    config = study("scratch", *crossed(["colorization"], ["supervised", "semi-supervised"]))
    assert pretexts_of(config) == ["colorization"]
    taught = run_of(config, Cell("colorization+semi-supervised", "all", 8, 1))
    assert taught.start == "colorization" and taught.pretext is not None


def test_a_method_is_compared_with_its_own_start_and_its_control() -> None:
    arms = crossed(["scratch", "imagenet"], ["supervised", "semi-supervised", "supervised-longer"])
    assert pairs(study(*arms, model="resnet18")) == [
        ("imagenet", "scratch"),
        ("scratch+semi-supervised", "scratch"),
        ("imagenet+semi-supervised", "scratch"),
        ("scratch+semi-supervised", "scratch+supervised-longer"),
        ("imagenet+semi-supervised", "imagenet"),
        ("imagenet+semi-supervised", "imagenet+supervised-longer"),
    ]


def test_a_command_with_methods_can_be_repeated() -> None:
    """A study that has begun gives its arms where --starts is not given."""
    begun = study("scratch", "scratch+semi-supervised")
    options = options_as_begun(StudyOptions(methods="supervised,semi-supervised"), begun)
    again = study_config(options, Path("d"), "segmentation", 20, begun)
    assert again.starts == begun.starts
    unchanged = options_as_begun(StudyOptions(), begun)
    assert study_config(unchanged, Path("d"), "segmentation", 20, begun).starts == begun.starts
    assert not wants_proposal(StudyOptions(methods="semi-supervised"))


def test_the_option_of_study() -> None:
    options = StudyOptions(starts="scratch", methods="supervised,semi-supervised", labels=8)
    config = study_config(options, Path("d"), "segmentation", 20)
    assert config.starts == ("scratch", "scratch+semi-supervised")
    with pytest.raises(UsageError, match="no method best"):
        study_config(StudyOptions(methods="best"), Path("d"), "segmentation", 20)
    with pytest.raises(UsageError, match="only supervised"):
        study(
            "scratch+semi-supervised",
            task="classification",
            model="resnet18",
            width=None,
            size=(64, 64),
            recipe=CLASSIFIER_DEFAULT,
            framing="squeeze",
        )
    with pytest.raises(UsageError, match="only supervised"):
        study("colorization", "scratch-longer+semi-supervised")
