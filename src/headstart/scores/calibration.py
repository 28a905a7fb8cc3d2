"""Whether confidence equals accuracy, and the temperature that brings them together.

The confidence of a prediction is the probability of the class that it predicts. A network is
calibrated if, among predictions with confidence 0.8, 80 % are right. Dividing the logits by a
temperature ``T`` changes every confidence and no predicted class (Guo et al. 2017, "On Calibration
of Modern Neural Networks", ICML). Because logits are log-probabilities plus a constant,

``softmax(logits / T) = p^(1 / T) / sum over classes of p^(1 / T)``,

so only probabilities are needed: those of one network, of several that predict together, or of an
ONNX file; at the size of the network or, resized, at the size of a mask.

Bins of confidence are sums, so they add up over frames and over folds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Integer

BINS = 15
_LOWEST, _HIGHEST = 0.05, 20.0  # the temperatures that are searched
_SMALLEST = np.finfo(np.float32).tiny  # a probability below it would have no logarithm
_AT_ONCE = 1 << 22  # values that are scaled at once

Bins = Float[np.ndarray, "15 4"]
"""For each bin of confidence: predictions, right ones, sum of confidence, sum of the negative log
likelihood."""


def calibrated(
    probs: Float[np.ndarray, "..."], temperature: float, axis: int = -1
) -> Float[np.ndarray, "..."]:
    """Return probabilities as the softmax of their logits divided by a temperature.

    Args:
        probs: probabilities that add up to 1 along ``axis``.
        temperature: above 1 lowers confidence, below 1 raises it; 1 changes nothing.
        axis: the axis of the classes.

    >>> calibrated(np.array([0.9, 0.1], np.float32), 2.0)
    array([0.75, 0.25], dtype=float32)
    """
    if temperature == 1:
        return probs
    highest = probs.max(axis, keepdims=True)
    scaled = (np.maximum(probs, _SMALLEST) / highest) ** np.float32(1 / temperature)
    return np.asarray(scaled / scaled.sum(axis, keepdims=True))


def bins_of(
    probs: Float32[np.ndarray, "n k"], truth: Integer[np.ndarray, " n"], temperature: float
) -> Bins:
    """Return predictions by bin of confidence; see [`Bins`][headstart.scores.calibration.Bins].

    Bin ``i`` of 15 holds confidences in ``(i / 15, (i + 1) / 15]``.

    Args:
        probs: probability of each class, before calibration.
        truth: the true class of each prediction.
        temperature: see [`calibrated`][].

    >>> probs = np.array([[0.9, 0.1], [0.7, 0.3]], np.float32)
    >>> bins_of(probs, np.array([0, 1]), 1.0)[:, :2].T.astype(int)
    array([[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]])
    """
    right = probs.argmax(1) == truth  # before scaling, which may round two classes to a tie
    scaled = calibrated(probs, temperature)
    confidence = scaled.max(1).astype(np.float64)
    likelihood = np.take_along_axis(scaled, truth[:, None].astype(np.int64), 1)[:, 0]
    loss = -np.log(np.maximum(likelihood, _SMALLEST), dtype=np.float64)
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    sums = (None, right, confidence, loss)
    return np.stack([np.bincount(place, weight, BINS) for weight in sums], axis=1).astype(float)


def expected_calibration_error(bins: Bins) -> float | None:
    """Return the ECE: the mean over predictions of ``|accuracy - mean confidence|`` of their bin.

    In ``[0, 1]``; 0 is best. None without predictions.
    """
    total = bins[:, 0].sum()
    return float(np.abs(bins[:, 1] - bins[:, 2]).sum() / total) if total else None


def negative_log_likelihood(bins: Bins) -> float | None:
    """Return the mean of ``-log(probability of the true class)``; None without predictions."""
    total = bins[:, 0].sum()
    return float(bins[:, 3].sum() / total) if total else None


def fit_temperature(
    probs: Float32[np.ndarray, "n k"], truth: Integer[np.ndarray, " n"]
) -> tuple[float, str]:
    """Return the temperature with the lowest negative log likelihood.

    It is searched between 0.05 and 20. As a function of ``1 / T`` the negative log likelihood is
    convex, so it has one minimum.

    Args:
        probs: probability of each class, for held-out predictions.
        truth: the true class of each.

    Returns:
        The temperature, to four decimals, and why it is 1 if nothing could be fitted; else "".
    """
    from scipy.optimize import minimize_scalar  # slow to load

    if not len(truth):
        return 1.0, "no validation label to fit it on"
    predicted = probs.argmax(1)
    if (predicted == predicted[0]).all():
        return 1.0, "the predictions on validation hold one class only"
    if (predicted == truth).all():
        return 1.0, "every prediction on validation is right, so confidence has no upper limit"
    step = max(1, _AT_ONCE // probs.shape[1])
    parts = [_differences(probs[i : i + step], truth[i : i + step]) for i in _starts(truth, step)]

    def loss(log_temperature: float) -> float:
        inverse = np.float32(np.exp(-log_temperature))
        return sum(_summed_loss(part * inverse) for part in parts) / len(truth)

    bounds = (float(np.log(_LOWEST)), float(np.log(_HIGHEST)))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return round(float(np.exp(found.x)), 4), ""


def _starts(truth: Integer[np.ndarray, " n"], step: int) -> range:
    return range(0, len(truth), step)


def _differences(
    probs: Float32[np.ndarray, "n k"], truth: Integer[np.ndarray, " n"]
) -> Float32[np.ndarray, "k n"]:
    """Return how far the logit of each class lies above that of the true class.

    Classes come first: summing over the first axis is several times faster.
    """
    logs = np.log(np.maximum(probs.T, _SMALLEST))
    of_truth = np.take_along_axis(logs, truth[None].astype(np.int64), 0)
    return np.ascontiguousarray(logs - of_truth)


def _summed_loss(differences: Float32[np.ndarray, "k n"]) -> float:
    """Return the sum over predictions of ``log(sum over classes of exp(difference))``."""
    highest = differences.max(0)  # at least 0, the difference of the true class to itself
    summed = np.exp(differences - highest).sum(0)
    return float((highest + np.log(summed)).sum(dtype=np.float64))


def mean_temperature(temperatures: Sequence[float]) -> float:
    """Return the geometric mean of temperatures.

    >>> mean_temperature([1.0, 4.0])
    2.0
    """
    return round(float(np.exp(np.mean(np.log(temperatures)))), 4)
