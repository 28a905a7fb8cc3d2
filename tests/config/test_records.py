"""Recipes and configurations: what is in them, what is refused, and that files say the same."""

from __future__ import annotations

import json
import math
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headstart.config.files import (
    differences,
    frame_names_text,
    read_frame_names,
    read_run_config,
    to_json,
)
from headstart.config.option_values import parse_labels, parse_size
from headstart.config.recipe_records import Recipe
from headstart.config.recipes import ASSIGNMENT, ASSIGNMENT_AUGMENTED, DEFAULT, RECIPES, read_recipe
from headstart.config.records import RunConfig, make_run_config
from headstart.data.augmentation import Augmentation
from headstart.errors import DataError, UsageError
from headstart.system.processor import available_threads


def written(folder: Path, text: str, name: str = "mine.toml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


# --- the assignment's hyper-parameters ---


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("loss", "dice"),  # soft Dice, from scratch
        ("absent", "count"),  # mean over all classes
        ("optimizer", "adam"),
        ("learning_rate", 0.001),
        ("weight_decay", 0.0),
        ("batch", 10),
        ("epochs", 200),  # at most
        ("epoch", "pass"),
        ("schedule", "step"),  # StepLR (10, 0.1)
        ("step_size", 10),
        ("gamma", 0.1),
        ("patience", 4),
        ("choose", "loss"),  # early stopping on the validation loss
        ("average", 0.0),
        ("standardise", False),
    ],
)
def test_the_assignments_hyper_parameters(setting, value):
    assert getattr(ASSIGNMENT, setting) == value
    assert getattr(ASSIGNMENT_AUGMENTED, setting) == value


def test_the_assignments_augmentation():
    assert ASSIGNMENT.augmentation == Augmentation()
    assert ASSIGNMENT_AUGMENTED.augmentation == Augmentation(
        flip_horizontal=True, flip_vertical=True, rotation=30.0, border="zeros"
    )
    assert differences(ASSIGNMENT, ASSIGNMENT_AUGMENTED) == [
        "name: assignment -> assignment-augmented",
        "augmentation.flip_horizontal: False -> True",
        "augmentation.flip_vertical: False -> True",
        "augmentation.rotation: 0.0 -> 30.0",
    ]


def test_the_assignments_run():
    config = RunConfig(data="hw6")
    assert (config.width, config.size, config.labels) == (32, (256, 320), None)
    assert (config.task, config.model, config.start) == ("segmentation", "unet", "scratch")


def test_recipes_are_found_by_name():
    assert set(RECIPES) == {"default", "assignment", "assignment-augmented"}
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert read_recipe(name) is recipe


# --- round trips ---

RECIPE = st.builds(
    DEFAULT.model_copy,
    update=st.fixed_dictionaries(
        {},
        optional={
            "name": st.text("äab $€\n", min_size=1, max_size=9),
            "learning_rate": st.floats(1e-12, 10),
            "batch": st.integers(1, 65536),
            "patience": st.none() | st.integers(1, 99),
            "augmentation": st.builds(
                Augmentation, rotation=st.floats(0, 180), scale=st.floats(1, 9)
            ),
        },
    ),
)


@given(
    RECIPE,
    st.tuples(st.integers(8, 8192), st.integers(8, 8192)),
    st.none() | st.integers(1, 10**6),
    st.integers(0, 2**63 - 1),
)
def test_a_configuration_is_what_its_json_says(tmp_path_factory, recipe, size, labels, seed):
    config = RunConfig(data="d", recipe=recipe, size=size, labels=labels, seed=seed)
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_text(to_json(config))
    again = read_run_config(path)
    assert again == config
    assert to_json(again) == to_json(config)
    assert differences(config, again) == []
    path.write_text(to_json(recipe))
    assert read_recipe(str(path)) == recipe


def test_json_holds_every_setting():
    held = json.loads(to_json(RunConfig(data="d")))
    assert set(held) == {"schema", *RunConfig.model_fields} - {"schema_"}
    assert held["schema"] == 1
    assert set(held["recipe"]) == set(Recipe.model_fields)
    assert set(held["recipe"]["augmentation"]) == set(Augmentation.__annotations__)
    assert to_json(RunConfig(data="d")).endswith("}\n")


def test_a_folder_name_that_is_not_utf8(tmp_path):
    config = make_run_config(data=os.fsdecode(b"caf\xe9"))
    path = tmp_path / "config.json"
    path.write_text(to_json(config))
    assert read_run_config(path) == config


def test_configurations_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        DEFAULT.batch = 3  # type: ignore[misc]


# --- recipe files ---


def test_a_recipe_on_a_base(tmp_path):
    recipe = read_recipe(
        written(
            tmp_path,
            'base = "assignment-augmented"\nbatch = 4\nlearning_rate = 1\n'
            "[augmentation]\nbrightness = 0.2\n",
        )
    )
    assert recipe.name == "mine"
    assert differences(ASSIGNMENT_AUGMENTED, recipe) == [
        "name: assignment-augmented -> mine",
        "learning_rate: 0.001 -> 1.0",
        "batch: 10 -> 4",
        "augmentation.brightness: 0.0 -> 0.2",
    ]


def test_a_recipe_of_its_own(tmp_path):
    text = to_json(ASSIGNMENT)
    assert read_recipe(written(tmp_path, text, "mine.json")) == ASSIGNMENT
    with pytest.raises(DataError) as excinfo:
        read_recipe(written(tmp_path, "batch = 4"))
    assert "loss" in [f.message.split(": ")[1] for f in excinfo.value.findings]


@pytest.mark.parametrize("base", ['"defualt"', '["default"]', '"mine.toml"', "3"])
def test_an_unknown_base(tmp_path, monkeypatch, base):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, f"base = {base}")
    with pytest.raises(DataError, match=r"error\[unknown-recipe\]: mine\.toml") as excinfo:
        read_recipe("mine.toml")
    assert str(tomllib.loads(f"base = {base}")["base"]) in str(excinfo.value)


def test_unknown_settings_are_named_with_the_nearest(tmp_path):
    text = 'base = "default"\nlearning_rat = 0.1\nfoo = 1\n[augmentation]\nrotaton = 3\n'
    with pytest.raises(DataError) as excinfo:
        read_recipe(written(tmp_path, text))
    said = {f.message.split(": ", 1)[1]: f.hint for f in excinfo.value.findings}
    assert said == {
        "there is no setting learning_rat": "did you mean learning_rate?",
        "there is no setting foo": "",
        "there is no setting augmentation.rotaton": "did you mean rotation?",
    }
    assert all("mine.toml" in f.message for f in excinfo.value.findings)


def test_all_problems_are_said_at_once(tmp_path):
    text = """
    base = "default"
    learning_rate = nan
    weight_decay = -1
    batch = 2.5
    epochs = true
    schedule = "cosine"
    patience = "4"
    gamma = inf
    standardise = "maybe"
    average = 1979-05-27
    [augmentation]
    rotation = 200
    """
    with pytest.raises(DataError) as excinfo:
        read_recipe(written(tmp_path, text))
    named = [f.message.split(": ")[1] for f in excinfo.value.findings]
    assert sorted(named) == [
        *("augmentation", "average", "batch", "epochs", "gamma", "learning_rate", "patience"),
        *("schedule", "standardise", "weight_decay"),
    ]
    assert excinfo.value.exit_status == 65


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("learning_rate", 0), ("learning_rate", -1e-3), ("learning_rate", math.inf),
        ("learning_rate", math.nan), ("weight_decay", 1.5), ("batch", 0), ("epochs", 0),
        ("step_size", 0), ("gamma", 0), ("gamma", math.nan), ("warmup", 1), ("patience", 0),
        ("average", 1), ("average", math.nan), ("name", ""), ("loss", "Dice"),
        ("choose", "test"), ("augmentation", {"scale": 0.5}), ("augmentation", {"border": "wrap"}),
    ],
)  # fmt: skip
def test_values_out_of_range(tmp_path, setting, value):
    text = json.dumps({**json.loads(to_json(DEFAULT)), setting: value})
    with pytest.raises(DataError, match=f"mine.json: {setting}"):
        read_recipe(written(tmp_path, text, "mine.json"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", "batch = "), ("a.json", "{"), ("a.json", "[1]"), ("a.json", "[" * 100_000),
        ("a.toml", "\0"), ("a.json", ""),
    ],
)  # fmt: skip
def test_files_that_are_not_understood(tmp_path, name, text):
    path = written(tmp_path, text, name)
    with pytest.raises(DataError, match=r"a\.(toml|json)"):
        read_recipe(path)
    if name == "a.json":
        with pytest.raises(DataError, match=r"a\.json"):
            read_run_config(Path(path))


def test_files_that_are_not_there_or_no_text(tmp_path):
    with pytest.raises(DataError, match=r"error\[unreadable\].*none\.toml"):
        read_recipe(str(tmp_path / "none.toml"))
    with pytest.raises(DataError, match=rf"error\[unreadable\]: {tmp_path}"):
        read_run_config(tmp_path)
    (tmp_path / "a.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(DataError, match=r"error\[bad-setting\].*a\.toml.*TOML"):
        read_recipe(str(tmp_path / "a.toml"))


def test_a_byte_order_mark_is_no_harm(tmp_path):
    (tmp_path / "a.toml").write_bytes(b'\xef\xbb\xbfbase = "default"\n')
    assert read_recipe(str(tmp_path / "a.toml")).batch == DEFAULT.batch


def test_a_recipe_that_is_not_there():
    with pytest.raises(UsageError, match=r"error\[unknown-recipe\].*defualt") as excinfo:
        read_recipe("defualt")
    assert excinfo.value.exit_status == 2
    assert "default" in excinfo.value.findings[0].hint


# --- the command line ---


def test_every_wrong_value_of_the_command_line_is_named():
    with pytest.raises(UsageError) as excinfo:
        make_run_config(data="d", width=0, seed=-1, size=(7, 64), widht=3, device="tpu")
    message = str(excinfo.value)
    for name in ("width", "seed", "size.0", "widht", "device"):
        assert f"command line: {name}" in message or f"no setting {name}" in message
    assert len(excinfo.value.findings) == 5


@given(st.integers(8, 8192), st.integers(8, 8192))
def test_sizes(height, width):
    assert parse_size(f"{height}x{width}") == (height, width)
    assert parse_size(str(height)) == (height, height)


@given(st.text(max_size=12) | st.from_regex(r"-?\d{1,6}[x× ]?\d{0,6}", fullmatch=True))
def test_any_other_size_is_refused(text):
    try:
        height, width = parse_size(text)
    except UsageError as e:
        assert e.exit_status == 2
    else:
        assert text.isascii()
        assert [int(n) for n in text.split("x")] in ([height, width], [height])
        assert 8 <= height <= 8192
        assert 8 <= width <= 8192


@pytest.mark.parametrize(
    "text", ["", "7", "8193", "64x7", "64X80", "64x", "x80", "64x80x3", "٦٤", "64x80\n"]
)
def test_sizes_that_are_none(text):
    with pytest.raises(UsageError, match=r"error\[bad-size\]"):
        parse_size(text)


@given(st.integers(1, 999_999_999))
def test_labels(count):
    assert parse_labels(str(count)) == count
    assert parse_labels("all") is None


@given(st.text(max_size=12))
def test_any_other_label_budget_is_refused(text):
    try:
        labels = parse_labels(text)
    except UsageError as e:
        assert e.exit_status == 2
    else:
        assert text == ("all" if labels is None else str(labels))


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "All", "", "01", "1\n", "1e3"])
def test_label_budgets_that_are_none(text):
    with pytest.raises(UsageError, match=r"error\[bad-labels\]"):
        parse_labels(text)


# --- differences ---


def test_differences_name_nested_settings():
    old = RunConfig(data="a", recipe=ASSIGNMENT_AUGMENTED)
    augmentation = Augmentation(rotation=5.0)
    new = old.model_copy(
        update={
            "data": "b",
            "labels": 30,
            "size": (64, 80),
            "recipe": ASSIGNMENT_AUGMENTED.model_copy(update={"augmentation": augmentation}),
        }
    )
    assert differences(old, new) == [
        "data: a -> b",
        "size: (256, 320) -> (64, 80)",
        "recipe.augmentation.flip_horizontal: True -> False",
        "recipe.augmentation.flip_vertical: True -> False",
        "recipe.augmentation.rotation: 30.0 -> 5.0",
        "labels: None -> 30",
    ]


def test_threads():
    assert 1 <= available_threads() <= (os.cpu_count() or 1)


def test_names_of_frames_are_any_bytes_a_line(tmp_path: Path) -> None:
    """As file names are: what a run writes down is read again, whatever the name."""
    path = tmp_path / "labels.txt"
    names = ("1", "caf\udce9", "with space ", "line\u2028sep")
    path.write_bytes("".join(f"{n}\n" for n in names).encode("utf-8", "surrogateescape"))
    assert read_frame_names(path) == names
    path.write_bytes(b"\xef\xbb\xbfa\r\n\r\nb\r\n")
    assert read_frame_names(path) == ("a", "b")


@given(st.lists(st.text(min_size=1).filter(lambda n: n[0] != "/"), min_size=1, unique=True))
def test_any_names_go_through_a_file_and_back(tmp_path_factory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("names") / "labels.txt"
    path.write_bytes(frame_names_text(names))
    assert read_frame_names(path) == tuple(names)


def test_odd_names_go_through_a_file_and_old_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    names = ("a\nb", " c", "  ", "d\r", '"e"', "\\n", "caf\udce9", "\ufefff", "/g")
    path.write_bytes(frame_names_text(names))
    assert read_frame_names(path) == names
    path.write_text('a\\nb\n"c"\n/d\n/"e\n')  # as older versions wrote such names
    assert read_frame_names(path) == ("a\\nb", '"c"', "/d", '/"e')


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
@pytest.mark.parametrize("name", ["data", "start"])
def test_a_path_that_no_system_opens_is_a_damaged_record(
    tmp_path: Path, name: str, path: str
) -> None:
    settings = json.loads(to_json(make_run_config(data="data")))
    (tmp_path / "config.json").write_text(json.dumps({**settings, name: path}))
    with pytest.raises(DataError, match=name) as caught:
        read_run_config(tmp_path / "config.json")
    assert [finding.code for finding in caught.value.findings] == ["bad-record"]
    with pytest.raises(UsageError, match=name):
        make_run_config(**{"data": "data", name: path})
