"""Calibration: the formulas written out, a temperature that is found again, bins that add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from headstart.scores.calibration import (
    BINS,
    bins_of,
    calibrated,
    expected_calibration_error,
    fit_temperature,
    mean_temperature,
    negative_log_likelihood,
)


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return (shifted / shifted.sum(1, keepdims=True)).astype(np.float32)


def drawn_from(probs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(probs))[:, None] < probs.cumsum(1)).argmax(1)


def guess(seed: int, n: int = 300, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, k))
    return logits, drawn_from(softmax(logits), rng)


@given(seed=st.integers(0, 99), temperature=st.floats(0.2, 8))
@settings(max_examples=30)
def test_it_is_the_softmax_of_divided_logits(seed: int, temperature: float) -> None:
    logits, _ = guess(seed)
    expected = softmax(logits / temperature)
    assert np.allclose(calibrated(softmax(logits), temperature), expected, atol=1e-5)
    maps = softmax(logits).T.reshape(4, 30, 10)  # classes first, as those of a picture
    of_maps = calibrated(maps, temperature, axis=0)
    assert np.allclose(of_maps.reshape(4, -1).T, expected, atol=1e-5)


@given(seed=st.integers(0, 99), temperature=st.floats(0.05, 20))
@settings(max_examples=30)
def test_no_temperature_changes_the_predicted_class(seed: int, temperature: float) -> None:
    logits, _ = guess(seed)
    scaled = calibrated(softmax(3 * logits), temperature)
    predicted = softmax(3 * logits).argmax(1)
    assert (np.take_along_axis(scaled, predicted[:, None], 1)[:, 0] == scaled.max(1)).all()


def test_temperature_1_changes_no_bit_and_probability_0_stays_finite() -> None:
    probs = np.array([[1.0, 0.0], [0.25, 0.75]], np.float32)
    assert calibrated(probs, 1.0) is probs
    assert np.isfinite(calibrated(probs, 20.0)).all() and np.isfinite(calibrated(probs, 0.05)).all()


@given(seed=st.integers(0, 99))
@settings(max_examples=30)
def test_ece_and_likelihood_are_the_formulas_of_guo(seed: int) -> None:
    logits, truth = guess(seed)
    probs = softmax(logits)
    confidence, right = probs.max(1).astype(float), probs.argmax(1) == truth
    error = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += inside.mean() * gap
    bins = bins_of(probs, truth, 1.0)
    assert expected_calibration_error(bins) == pytest.approx(error)
    exact = probs.astype(float)
    expected = log_loss(truth, exact / exact.sum(1, keepdims=True), labels=range(4))
    assert negative_log_likelihood(bins) == pytest.approx(expected, rel=1e-5)


def test_bins_add_up_over_frames() -> None:
    logits, truth = guess(3)
    probs = softmax(logits)
    parts = [bins_of(probs[i : i + 100], truth[i : i + 100], 1.7) for i in (0, 100, 200)]
    assert np.allclose(sum(parts), bins_of(probs, truth, 1.7))
    assert bins_of(probs, truth, 1.7)[:, 0].sum() == 300


def test_without_predictions_there_is_no_error() -> None:
    empty = np.zeros((BINS, 4))
    assert expected_calibration_error(empty) is None and negative_log_likelihood(empty) is None


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_the_labels_is_found_again(temperature: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (40_000, 3))
    truth = drawn_from(softmax(logits / temperature), rng)
    found, reason = fit_temperature(softmax(logits), truth)
    assert found == pytest.approx(temperature, rel=0.03) and reason == ""
    before, after = (
        expected_calibration_error(bins_of(softmax(logits), truth, t)) for t in (1.0, found)
    )
    assert after < 0.01
    assert temperature == 1 or before > 0.05


@given(seed=st.integers(0, 99))
@settings(max_examples=20)
def test_no_other_temperature_has_a_higher_likelihood(seed: int) -> None:
    logits, truth = guess(seed)
    probs = softmax(2.5 * logits)
    found, reason = fit_temperature(probs, truth)
    assert reason == ""
    lowest = negative_log_likelihood(bins_of(probs, truth, found))
    for other in np.geomspace(0.05, 20, 60):
        assert lowest <= negative_log_likelihood(bins_of(probs, truth, float(other))) + 1e-6


def test_in_parts_it_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, truth = guess(5)
    whole = fit_temperature(softmax(2 * logits), truth)
    monkeypatch.setattr("headstart.scores.calibration._AT_ONCE", 4 * 64)
    assert fit_temperature(softmax(2 * logits), truth) == whole


def test_where_nothing_can_be_fitted_it_is_1_and_says_why() -> None:
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], np.float32)
    cases = {
        "no validation label": (probs[:0], np.array([], int)),
        "one class only": (probs[:2], np.array([0, 1])),
        "every prediction": (probs, np.array([0, 0, 1])),
    }
    for words, (part, truth) in cases.items():
        temperature, reason = fit_temperature(part, truth)
        assert temperature == 1.0 and words in reason


def test_the_mean_of_temperatures_is_between_them() -> None:
    assert mean_temperature([1.7]) == 1.7
    assert mean_temperature([0.5, 2.0]) == 1.0
