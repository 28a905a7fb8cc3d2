"""Configurations of the runs and studies of the assignment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.assignment.datasets import Opened
from headstart.assignment.settings import (
    CLASSIFIERS,
    CONSTANT,
    NEW_DATA,
    PARTS,
    VGG16,
    Homework,
)
from headstart.config.begun import run_before, study_before
from headstart.config.files import holds_study, read_run_config, read_study_config
from headstart.config.options import RecipeOption, StudyOptions, TrainOptions
from headstart.config.recipes import CLASSIFIER_ASSIGNMENT
from headstart.config.records import PretextConfig, RunConfig, StudyConfig, on_device
from headstart.config.resolve import run_config, study_config
from headstart.config.start_names import IMAGENET, SCRATCH
from headstart.errors import Finding, UsageError
from headstart.studies.cells import pretext_config
from headstart.studies.plan import plan


def part_a(homework: Homework) -> RunConfig:
    """Return the run of 1(a): from scratch, without augmentation."""
    scale = homework.sizes
    options = TrainOptions(
        task="segmentation",
        recipe="assignment",
        epochs=scale.epochs,
        size=scale.size,
        width=scale.width,
        seed=1,
        threads=homework.threads,
    )
    return on_device(run_config(options, homework.data), homework.device)


def with_steplr(homework: Homework, frames: Opened) -> StudyConfig:
    """Return the study of 1(b), 1(c) and 1(d), over all seeds."""
    return _part1_study(homework, frames, "assignment-augmented")


def colorization_run(homework: Homework, frames: Opened, out: Path) -> tuple[PretextConfig, Path]:
    """Return the run of 1(c) with seed 1 and its folder, where the study of 1(d) finds it."""
    both = with_steplr(replace(homework, parts=PARTS), frames)
    planned = plan(both, out / "steplr", frames.dataset)
    (folder,) = planned.folders["colorization", 1]
    return pretext_config(planned.config, "colorization", 1), out / "steplr" / folder


def without_steplr(homework: Homework, frames: Opened) -> StudyConfig:
    """Return the study of 1(b) and 1(d) with a constant learning rate; 1(c) is unchanged."""
    return _part1_study(homework, frames, CONSTANT)


def _part1_study(homework: Homework, frames: Opened, recipe: RecipeOption) -> StudyConfig:
    scale = homework.sizes
    options = StudyOptions(
        starts=(SCRATCH, "colorization") if "1d" in homework.parts else (SCRATCH,),
        labels="all",
        seeds=homework.seeds,
        recipe=recipe,
        epochs=scale.epochs,
        pretext_recipe="assignment",
        pretext_epochs=scale.epochs,
        size=scale.size,
        width=scale.width,
        threads=homework.threads,
    )
    config = study_config(options, homework.data, "segmentation", frames.training_pictures)
    return config.model_copy(update={"device": homework.device})


def classifier_run(homework: Homework, folder: str, pictures: Opened, out: Path) -> RunConfig:
    """Return a run of part 2.

    Args:
        homework: the settings.
        folder: a folder in [`CLASSIFIERS`][headstart.assignment.settings.CLASSIFIERS].
        pictures: the dataset of ``--fashion-mnist``.
        out: the homework folder, which may hold a part of the run.
    """
    scale = homework.sizes
    assert homework.fashion_mnist is not None
    budget = min(scale.labels or pictures.training_pictures, pictures.training_pictures)
    epochs = scale.epochs or CLASSIFIER_ASSIGNMENT.epochs
    options = TrainOptions(
        task="classification",
        model=homework.model or VGG16,
        start=SCRATCH if folder == "2a" else homework.weights or IMAGENET,
        tune=CLASSIFIERS[folder],
        recipe=CLASSIFIER_ASSIGNMENT.model_copy(update={"head_epochs": epochs}),
        epochs=epochs,
        size=scale.square,
        labels="all" if budget == pictures.training_pictures else budget,
        seed=1,
        threads=homework.threads,
    )
    before = run_before(options, out / folder)
    return on_device(run_config(options, homework.fashion_mnist, before), homework.device)


def new_data_study(homework: Homework, new_pictures: Opened, out: Path) -> StudyConfig:
    """Return the study of 2(c), which starts from 2(a), from 2(b) and from scratch.

    Starting from 2(b) equals starting from ImageNet: 2(b) trained only its last layer, and the new
    classes replace that layer.

    Args:
        homework: the settings.
        new_pictures: the dataset of ``--new-data``.
        out: the homework folder, which holds 2(a) and 2(b).
    """
    scale, available = homework.sizes, new_pictures.training_pictures
    assert homework.new_data is not None
    from_scratch, from_imagenet = _networks(out)
    options = StudyOptions(
        model=homework.model or VGG16,
        starts=(from_scratch, from_imagenet, SCRATCH),
        against=from_scratch,
        tunes=("all", "head"),
        labels=sorted({min(budget or available, available) for budget in scale.budgets}),
        seeds=scale.new_seeds or homework.seeds,
        epochs=scale.new_epochs,
        size=scale.square,
        threads=homework.threads,
    )
    before = study_before(out / NEW_DATA)  # keeps the recipe of the version that began it
    config = study_config(options, homework.new_data, "classification", available, before)
    return config.model_copy(update={"device": homework.device})


def _networks(out: Path) -> tuple[str, str]:
    """Return the folders of 2(a) and 2(b) as the study names them.

    A study keeps the names from its start, so that a moved homework can resume.
    """
    expected = str(out / "2a"), str(out / "2b")
    path = out / NEW_DATA / "config.json"
    if not path.exists():
        return expected
    recorded = {Path(start).name: start for start in read_study_config(path).starts}
    return recorded.get("2a", expected[0]), recorded.get("2b", expected[1])


def recorded_part(out: Path) -> RunConfig | StudyConfig | None:
    """Return the recorded settings of the first part that has started; ``None`` if none has.

    Its device and threads are those of the whole homework.
    """
    for folder in ("a", *CLASSIFIERS, "steplr", NEW_DATA):
        path = out / folder / "config.json"
        if path.exists():
            return read_study_config(path) if holds_study(path) else read_run_config(path)
    return None


def with_recorded_part2(homework: Homework, out: Path) -> Homework:
    """Return the homework with missing settings of part 2 filled in from its folder.

    The report therefore keeps all finished parts when it is written again.

    Raises:
        UsageError: the folder was started with another network.
    """
    if (path := out / "2a" / "config.json").exists():
        run = read_run_config(path)
        if homework.model not in (None, run.model):
            message = f"{out} was started with {run.model}, not with {homework.model}"
            hint = "choose another --out"
            raise UsageError(Finding("settings-differ", "error", message, hint))
        data = homework.fashion_mnist or run.data
        homework = replace(homework, fashion_mnist=data, model=run.model)
    if (path := out / "2b" / "config.json").exists() and homework.weights is None:
        start = read_run_config(path).start
        homework = replace(homework, weights=None if start == IMAGENET else start)
    if (path := out / NEW_DATA / "config.json").exists() and homework.new_data is None:
        homework = replace(homework, new_data=read_study_config(path).data)
    return homework
