"""Measured times: what is timed is what a training does, and more of it takes longer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.studies import step_time
from headstart.studies.pace import pace_of
from headstart.tasks.interface import DatasetSize
from tests.tiny_runs import tiny, tiny_pretext

Timed = Callable[[object, Callable[[], None]], float]


@pytest.fixture
def one_second_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every timed call runs once, and takes a second."""

    def timed(_config: object, step: Callable[[], None]) -> float:
        step()
        return 1.0

    monkeypatch.setattr(step_time, "_timed", timed)


@pytest.mark.usefixtures("one_second_a_call")
def test_a_validation_predicts_batches_and_counts_masks_at_their_own_size() -> None:
    config = tiny(Path("data"))  # batches of four
    validation = step_time.seconds_of_prediction
    assert validation(config, 3, 0, (32, 40)) == 0
    assert validation(tiny_pretext(Path("data")), 0, 8, None) == 2, "no masks to count"
    assert validation(config, 3, 8, (32, 40)) == 2 + 8
    assert validation(config, 3, 8, (2048, 1024)) == 2 + 8 * 2, "measured on 1024 x 1024"


@pytest.mark.usefixtures("one_second_a_call")
def test_a_validation_by_tiles_predicts_every_window() -> None:
    config = tiny(Path("data"), framing="tile", size=(16, 16))
    validation = step_time.seconds_of_prediction
    assert validation(config, 3, 2, (16, 16)) == 2
    # 64 x 64 is measured: windows begin every 12 pixels or less, five along a side
    assert validation(config, 3, 1, (64, 64)) == 1
    assert validation(config, 3, 1, (124, 64)) == 2


def test_a_validation_predicts_no_more_windows_than_the_recipe_says() -> None:
    share, size = step_time.validated_share, (124, 64)  # fifty windows
    recipe = tiny(Path("data")).recipe.model_copy(update={"validation_windows": 100})
    config = tiny(Path("data"), framing="tile", size=(16, 16), recipe=recipe)
    assert share(config, 1, size) == share(config, 2, size) == 1 and share(config, 5, size) == 0.4
    assert share(config, 0, size) == share(config, 5, None) == 1
    assert share(tiny(Path("data"), recipe=recipe), 5, size) == 1, "not on tiles"
    unbounded = recipe.model_copy(update={"validation_windows": None})
    assert share(config.model_copy(update={"recipe": unbounded}), 5, size) == 1
    assert share(tiny_pretext(Path("data")), 5, size) == 1


@pytest.mark.usefixtures("one_second_a_call")
def test_the_pace_of_a_run_knows_the_sample_that_validates() -> None:
    sizes = DatasetSize(3, {"train": 12, "validation": 5, "test": 4})
    recipe = tiny(Path("data")).recipe.model_copy(update={"validation_windows": 50})
    config = tiny(Path("data"), framing="tile", size=(16, 16), recipe=recipe)
    pace = pace_of(config, sizes, (64, 64))  # 25 windows, of which a second predicts all
    assert pace.validation == 2, "50 windows"
    assert pace.score > 5 + 4 - 1e-9, "all windows of all pictures"


def test_measured_times_are_positive() -> None:
    config = tiny(Path("data"))
    assert step_time.seconds_per_step(config, 3) > 0
    assert step_time.seconds_of_prediction(config, 3, 4, (32, 40)) > 0
