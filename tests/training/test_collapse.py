"""A training that does not begin to learn is called collapsed within three epochs."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.training.collapse import collapse, constant_scores

TEN = constant_scores(np.arange(1000) % 10, 10, 0.0)


def row(loss: float, accuracy: float, collapsed: bool = False) -> dict[str, float]:
    values = {"loss": loss, "accuracy": accuracy, "collapsed": collapsed}
    return {f"validation_{name}": value for name, value in values.items()}


STUCK, LEARNS = row(2.3031, 0.1), row(1.2, 0.6)


def test_the_loss_of_guessing_among_ten_classes() -> None:
    assert {"loss": pytest.approx(2.302585), "accuracy": 0.1} == TEN
    smoothed = constant_scores(np.array([0, 0, 0, 1]), 2, 0.2)
    m = np.array([0.8 * 0.75 + 0.1, 0.8 * 0.25 + 0.1])
    assert smoothed["loss"] == pytest.approx(-(m * np.log(m)).sum())
    assert constant_scores(np.array([1, 1]), 2, 0.0) == {"loss": 0.0, "accuracy": 1.0}


def test_it_is_said_after_three_epochs_and_after_thirty() -> None:
    said = [n for n in range(1, 40) if collapse([STUCK] * n, TEN)]
    assert said == [3, 30]
    finding = collapse([STUCK] * 3, TEN)
    assert finding is not None and (finding.code, finding.severity) == ("collapsed", "warning")
    for fact in ("3 epochs", "2.3031", "0.100", "2.3026"):
        assert fact in finding.message
    assert "learning rate" in finding.hint


def test_one_class_everywhere_needs_no_constant() -> None:
    rows = [row(0.9, 0.3, collapsed=True)] * 3
    finding = collapse(rows, {})
    assert finding is not None and "one class everywhere" in finding.message


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [STUCK, STUCK],
        [STUCK, STUCK, LEARNS],
        [STUCK, LEARNS, STUCK, STUCK],
        [row(2.30, 0.35)] * 3,  # slow, but better than chance
        [row(3.0, 0.1)] * 3,  # wrong and sure of it: it has changed
    ],
)
def test_what_learns_is_not_called_collapsed(rows: list[dict[str, float]]) -> None:
    assert collapse(rows, TEN) is None
