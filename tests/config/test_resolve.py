"""Options become one configuration: defaults, precedence, and all that is wrong at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headstart.config.begun import device_name, pretext_before, run_before, study_before
from headstart.config.files import differences, to_json
from headstart.config.options import PretextOptions, StudyOptions, TrainOptions
from headstart.config.recipes import (
    ASSIGNMENT,
    CLASSIFIER_ASSIGNMENT,
    CLASSIFIER_DEFAULT,
    ENCODER_DEFAULT,
    ENCODER_PRETEXT_DEFAULT,
    PRETEXT_ASSIGNMENT,
    PRETEXT_DEFAULT,
    read_recipe,
)
from headstart.config.records import RunConfig, StudyConfig, make_run_config
from headstart.config.resolve import pretext_config, run_config, study_config
from headstart.config.task_settings import ENCODER
from headstart.errors import DataError, HeadstartError, UsageError
from headstart.system.processor import available_threads
from headstart.tasks.lookup import find_task


def codes(error: pytest.ExceptionInfo[HeadstartError]) -> list[str]:
    return [finding.code for finding in error.value.findings]


def kept(folder: Path, config) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(to_json(config))
    return folder / "config.json"


# --- defaults ---


def resolved_study(options: StudyOptions, data: Path, before: StudyConfig | None = None):
    task, _ = find_task(data)
    pictures = task.sizes(task.open(data)).pictures["train"]
    return study_config(options, data, task.name, pictures, before)


def test_a_run_by_default(drawn: Path) -> None:
    expected = RunConfig(data=str(drawn), threads=available_threads(), framing="pad")
    assert run_config(TrainOptions(), drawn) == expected


def test_tiles_are_asked_for_and_kept(drawn: Path, coloured: Path) -> None:
    """The pretext of a run gets them too; a folder that was begun keeps what it has."""
    config = run_config(TrainOptions(tile=True, start="chroma"), drawn)
    assert config.pretext is not None and config.framing == config.pretext.framing == "tile"
    assert run_config(TrainOptions(), drawn, config).framing == "tile"
    assert run_config(TrainOptions(squeeze=True), drawn).framing == "squeeze"
    with pytest.raises(UsageError, match="--tile and --squeeze are both given"):
        run_config(TrainOptions(tile=True, squeeze=True), drawn)
    older = RunConfig(data=str(drawn))
    assert run_config(TrainOptions(), drawn, older).framing == "squeeze"
    with pytest.raises(UsageError, match="framing is tile, but a classification takes squeeze"):
        run_config(TrainOptions(tile=True), coloured)


def test_a_classification_by_default(coloured: Path) -> None:
    config = run_config(TrainOptions(), coloured)
    assert (config.task, config.model, config.width) == ("classification", "resnet18", None)
    assert (config.size, config.recipe) == ((224, 224), CLASSIFIER_DEFAULT)


def test_a_network_with_an_encoder_has_recipes_of_its_own(drawn: Path) -> None:
    options = TrainOptions(model="resnet18", start="chroma")
    config = run_config(options, drawn)
    assert config.recipe == ENCODER_DEFAULT
    assert config.pretext is not None and config.pretext.recipe == ENCODER_PRETEXT_DEFAULT


@pytest.mark.parametrize(
    ("recipe", "pretext"), [("default", PRETEXT_DEFAULT), ("assignment", PRETEXT_ASSIGNMENT)]
)
def test_the_pretext_recipe_matches_the_recipe(drawn: Path, recipe, pretext) -> None:
    options = TrainOptions(start="colorization", recipe=recipe, epochs=3, pretext_epochs=2, seed=4)
    config = run_config(options, drawn)
    assert config.recipe.epochs == 3 and config.pretext is not None
    assert config.pretext.recipe == pretext.with_epochs(2)
    assert (config.pretext.seed, config.pretext.size) == (4, config.size)
    study = resolved_study(StudyOptions(recipe=recipe), drawn)
    assert study.pretext_recipe == pretext


def test_a_study_by_default(drawn: Path, coloured: Path) -> None:
    config = resolved_study(StudyOptions(), drawn)
    assert (config.starts, config.tunes) == (("scratch", "colorization"), ("all",))
    assert (config.labels, config.seeds) == ((12,), (1, 2, 3, 4, 5))
    assert resolved_study(StudyOptions(), coloured).starts == ("scratch", "imagenet")
    threads = resolved_study(StudyOptions(jobs=10_000), drawn).threads
    assert threads == 1 and resolved_study(StudyOptions(), drawn).threads == available_threads()


def test_a_pretext_by_default(drawn: Path) -> None:
    config = pretext_config(PretextOptions(), drawn)
    assert (config.model, config.width, config.size) == ("unet", 32, (256, 320))
    assert (config.pretext, config.recipe) == ("colorization", PRETEXT_DEFAULT)


def test_lists_from_python_are_those_of_the_command_line(drawn: Path) -> None:
    python = StudyOptions(starts=["scratch", "chroma"], labels=[6, "all"], seeds=[2, 7], size=64)
    line = StudyOptions(starts="scratch, chroma", labels="6,all", seeds="2,7", size="64")
    assert resolved_study(python, drawn) == resolved_study(line, drawn)
    assert resolved_study(StudyOptions(labels=6, seeds=2), drawn).seeds == (1, 2)


# --- what was before ---


def test_options_go_before_the_file_and_the_file_before_defaults(
    drawn: Path, tmp_path: Path
) -> None:
    first = run_config(
        TrainOptions(
            start="chroma", width=8, seed=3, threads=2, recipe="assignment", drop_leaks=True
        ),
        drawn,
    )
    path = kept(tmp_path / "first", first)
    options = TrainOptions(config=path)
    before = run_before(options, tmp_path / "other")
    assert before == first and run_config(options, drawn, before) == first
    changed = TrainOptions(config=path, width=4, epochs=7, seed=0)
    assert differences(first, run_config(changed, drawn, first)) == [
        "width: 8 -> 4",
        f"recipe.epochs: {ASSIGNMENT.epochs} -> 7",
        "pretext.width: 8 -> 4",
        "pretext.seed: 3 -> 0",
        "seed: 3 -> 0",
    ]
    scratch = run_config(TrainOptions(config=path, start="scratch"), drawn, first)
    assert scratch.pretext is None


def test_a_begun_folder_says_threads_and_device_and_nothing_else(
    drawn: Path, tmp_path: Path
) -> None:
    begun = make_run_config(data="elsewhere", threads=3, device="cuda", width=8, seed=5)
    kept(tmp_path, begun)
    before = run_before(TrainOptions(), tmp_path)
    config = run_config(TrainOptions(), drawn, before)
    assert (config.threads, config.width, config.seed) == (3, 32, 0)
    assert device_name("auto", before) == "cuda" and device_name("cpu", before) == "cpu"
    assert run_config(TrainOptions(threads=1), drawn, before).threads == 1
    assert run_before(TrainOptions(), None) is None


def test_a_begun_study_and_a_begun_pretext(drawn: Path, tmp_path: Path) -> None:
    study = resolved_study(StudyOptions(threads=7, jobs=2), drawn)
    kept(tmp_path / "study", study)
    before = study_before(tmp_path / "study")
    assert before == study and resolved_study(StudyOptions(), drawn, before).threads == 7
    pretext = pretext_config(PretextOptions(threads=7), drawn)
    kept(tmp_path / "pretext", pretext)
    begun = pretext_before(tmp_path / "pretext")
    assert begun == pretext and pretext_config(PretextOptions(), drawn, begun).threads == 7
    with pytest.raises(DataError, match=r"error\[is-a-pretext\]"):
        run_before(TrainOptions(), tmp_path / "pretext")


@pytest.mark.parametrize(
    "options",
    [
        {"pretext_steps": 5}, {"pretext_epochs": 5, "start": "imagenet"}, {"drop_leaks": True},
        {"pretext_recipe": "nonsense", "start": "scratch"},
    ],
)  # fmt: skip
def test_options_of_a_pretext_are_for_a_pretext(drawn: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="only for a start that is a pretext"):
        run_config(TrainOptions(**options), drawn)
    run_config(TrainOptions(start="colorization", pretext_steps=5, drop_leaks=True), drawn)


def test_a_recipe_of_ones_own_keeps_the_network_of_a_pretext(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('base = "default"\nname = "mine"\n')
    options = PretextOptions(pretext="imagenet-colorization", recipe=str(tmp_path / "my.toml"))
    assert pretext_config(options, drawn).model == ENCODER


def test_a_file_of_names_is_the_labels(drawn: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("3\n1\n")
    config = run_config(TrainOptions(labels=chosen), drawn)
    assert (config.labels, config.frames) == (2, ("3", "1"))
    options = TrainOptions(config=kept(tmp_path / "run", config), labels="all")
    again = run_config(options, drawn, config)
    assert (again.labels, again.frames) == (None, None)


def test_a_recipe_is_not_taken_over_by_another_kind_of_network(drawn: Path, tmp_path: Path) -> None:
    unet = run_config(TrainOptions(), drawn)
    path = kept(tmp_path, unet)
    with pytest.raises(UsageError, match=r"(?s)bad-setting.*resnet18.*--recipe default"):
        run_config(TrainOptions(config=path, model="resnet18"), drawn, unet)
    options = TrainOptions(config=path, model="resnet18", recipe="default")
    assert run_config(options, drawn, unet).recipe == ENCODER_DEFAULT


# --- what is wrong ---


def test_all_that_is_wrong_with_a_run_is_said_at_once(drawn: Path) -> None:
    options = TrainOptions(
        size="4", recipe="asignment", labels="few", width=0, seed=-1, start="nowhere", epochs=0
    )
    with pytest.raises(UsageError) as error:
        run_config(options, drawn)
    assert sorted(codes(error)) == sorted(
        ["bad-size", "unknown-recipe", "bad-labels", "unknown-start", *["bad-setting"] * 3]
    )


def test_all_that_is_wrong_with_a_study_is_said_at_once(drawn: Path) -> None:
    options = StudyOptions(
        starts="scratch,scratch", against="scratch", labels="few", seeds="x", size="x", score="x"
    )
    with pytest.raises(UsageError) as error:
        resolved_study(options, drawn)
    assert sorted(codes(error)) == sorted(
        ["bad-list", "bad-labels", "bad-seeds", "bad-size", "bad-setting"]
    )


def test_all_that_is_wrong_with_a_pretext_is_said_at_once(drawn: Path) -> None:
    options = PretextOptions(pretext="jigsaw", recipe="nope", size="x", epochs=0)
    with pytest.raises(UsageError) as error:
        pretext_config(options, drawn)
    assert sorted(codes(error)) == sorted(
        ["unknown-recipe", "bad-size", "bad-setting", "bad-setting"]
    )


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        (TrainOptions(tune="staged"), "segmentation"),
        (TrainOptions(tune="head", model="unet"), "needs a classifier as the encoder"),
        (TrainOptions(model="unet", start="imagenet"), "unet"),
        (TrainOptions(start="chroma", pretext_epochs=0), "pretext: recipe.epochs"),
    ],
)
def test_what_a_segmentation_cannot_have(drawn: Path, options: TrainOptions, fact: str) -> None:
    with pytest.raises(UsageError, match=rf"error\[bad-setting\].*{fact}"):
        run_config(options, drawn)


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        (TrainOptions(model="unet"), "unet"),
        (TrainOptions(width=8), "width"),
        (TrainOptions(start="chroma"), "chroma"),
        (TrainOptions(recipe="assignment-augmented"), "assignment-augmented"),
    ],
)
def test_what_a_classification_cannot_have(
    coloured: Path, options: TrainOptions, fact: str
) -> None:
    with pytest.raises(UsageError, match=fact):
        run_config(options, coloured)


def test_a_classification_takes_no_names_of_frames(coloured: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("3\n")
    with pytest.raises(UsageError, match="--labels"):
        run_config(TrainOptions(labels=chosen), coloured)


def test_a_bad_file_ends_with_65_and_what_else_is_wrong_is_said_too(
    drawn: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('base = "default"\nbatc = 3\n')
    with pytest.raises(DataError) as error:
        run_config(TrainOptions(recipe=recipe, labels="few"), drawn)
    assert sorted(codes(error)) == ["bad-labels", "bad-setting"]


# --- how long a training lasts ---


def test_the_default_counts_steps_whatever_the_number_of_pictures(drawn: Path) -> None:
    recipe = run_config(TrainOptions(), drawn).recipe
    assert recipe.total_steps(3, 3) == recipe.total_steps(30, 300) == recipe.steps == 4800
    shorter = run_config(TrainOptions(steps=7), drawn).recipe
    assert (shorter.steps, shorter.epochs) == (7, 7), "no epoch without a step"
    passes = run_config(TrainOptions(epochs=3), drawn).recipe
    assert passes.total_steps(5, 12) == 3 * 3, "as many as passes over the whole split"
    counted = run_config(TrainOptions(recipe="assignment", steps=100), drawn).recipe
    assert (counted.epoch, counted.total_steps(1, 1), counted.epochs) == ("steps", 100, 40)


def test_a_classifier_counts_steps_too_and_its_head_in_proportion(coloured: Path) -> None:
    recipe = run_config(TrainOptions(), coloured).recipe
    assert recipe.total_steps(3, 3) == recipe.total_steps(40, 50_000) == recipe.steps == 1000
    assert recipe.of_head().total_steps(3, 3) == 500
    shorter = run_config(TrainOptions(steps=4), coloured).recipe
    assert (shorter.epochs, shorter.of_head().total_steps(3, 3)) == (4, 2)
    passes = run_config(TrainOptions(epochs=3), coloured).recipe
    assert (passes.total_steps(5, 70), passes.of_head().total_steps(5, 70)) == (3 * 3, 5 * 3)
    assignment = run_config(TrainOptions(recipe="assignment"), coloured).recipe
    assert assignment == CLASSIFIER_ASSIGNMENT and assignment.total_steps(70, 500) == 10 * 2


def test_a_classifier_keeps_the_default_recipe_that_its_folder_began_with(coloured: Path) -> None:
    now = run_config(TrainOptions(), coloured)
    passes = {"steps": None, "batch": 64, "head_learning_rate": 1e-3, "ties": "first"}
    for older in (
        now.recipe.model_copy(update=passes),
        now.recipe.model_copy(update=passes | {"epochs": 4}),
    ):
        before = now.model_copy(update={"recipe": older})
        assert run_config(TrainOptions(), coloured, before).recipe == older
        again = run_config(TrainOptions(epochs=older.epochs), coloured, before)
        assert again.recipe == older
        counted = older.model_copy(update={"steps": 7, "epochs": 7})
        begun = now.model_copy(update={"recipe": counted})
        assert run_config(TrainOptions(steps=7), coloured, begun).recipe == counted
        assert run_config(TrainOptions(recipe="default"), coloured, before).recipe == now.recipe


def test_two_lengths_are_one_too_many(drawn: Path) -> None:
    options = StudyOptions(epochs=1, steps=1, pretext_epochs=1, pretext_steps=1)
    with pytest.raises(UsageError) as error:
        resolved_study(options, drawn)
    assert codes(error) == ["bad-setting", "bad-setting"]
    with pytest.raises(UsageError, match="--steps is 0"):
        run_config(TrainOptions(steps=0), drawn)


def test_a_folder_keeps_the_default_recipe_that_it_began_with(drawn: Path) -> None:
    """The same command continues what an older version of headstart began."""
    now = run_config(TrainOptions(), drawn)
    slower = now.recipe.model_copy(update={"learning_rate": 1e-5, "steps": None, "epochs": 9})
    for older in (now.recipe.with_epochs(40), slower):
        before = now.model_copy(update={"recipe": older})
        assert run_config(TrainOptions(), drawn, before).recipe == older
        assert run_config(TrainOptions(steps=50), drawn, before).recipe == older.with_steps(50)
        assert run_config(TrainOptions(recipe="default"), drawn, before).recipe == now.recipe
    begun = now.model_copy(update={"recipe": now.recipe.with_steps(100)})
    assert run_config(TrainOptions(), drawn, begun).recipe == now.recipe, "to be refused"
    study = resolved_study(StudyOptions(), drawn)
    older_pretext = PRETEXT_DEFAULT.model_copy(update={"learning_rate": 1e-5})
    before_study = study.model_copy(update={"recipe": slower, "pretext_recipe": older_pretext})
    again = resolved_study(StudyOptions(), drawn, before_study)
    assert (again.recipe, again.pretext_recipe) == (slower, older_pretext)


def test_a_recipe_file_that_counts_epochs_does_not_inherit_steps(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for text, steps in (
        ("epochs = 20", None),
        ('epochs = 20\nepoch = "pass"', None),
        ("batch = 4", 4800),
        ("epochs = 20\nsteps = 500", 500),
    ):
        path.write_text(f'base = "default"\n{text}\n')
        assert read_recipe(str(path)).steps == steps, text
