"""Measured times: what is timed is what a training does, and more of it takes longer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.studies import step_time
from tests.conftest import tiny, tiny_pretext

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
    validation = step_time.seconds_of_validation
    assert validation(config, 3, 0, (32, 40)) == 0
    assert validation(tiny_pretext(Path("data")), 0, 8, None) == 2, "no masks to count"
    assert validation(config, 3, 8, (32, 40)) == 2 + 8
    assert validation(config, 3, 8, (2048, 1024)) == 2 + 8 * 2, "measured on 1024 x 1024"


@pytest.mark.usefixtures("one_second_a_call")
def test_a_validation_by_tiles_predicts_every_window() -> None:
    config = tiny(Path("data"), framing="tile", size=(16, 16))
    validation = step_time.seconds_of_validation
    assert validation(config, 3, 2, (16, 16)) == 2
    # 64 x 64 is measured: windows begin every 12 pixels or less, five along a side
    assert validation(config, 3, 1, (64, 64)) == 1
    assert validation(config, 3, 1, (124, 64)) == 2


def test_measured_times_are_positive() -> None:
    config = tiny(Path("data"))
    assert step_time.seconds_per_step(config, 3) > 0
    assert step_time.seconds_of_validation(config, 3, 4, (32, 40)) > 0
