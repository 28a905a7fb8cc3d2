"""The probability that an arm is the best of a study.

The arms' mean scores vary together, because they share seeds and frames. The variation of the
pseudo-values of [`headstart.studies.statistics`][] is split as there, with matrices of cross
products between arms in place of mean squares, so that any two arms have the variance of their
paired difference. The true scores are then taken to lie around the measured ones as a sum of two
multivariate t, one for seeds and one for frames, with nothing known about them before. The
probability of an arm is the share of draws in which its score is the highest.

``benchmarks/best_arm.py`` measures how often the arm that got a probability is the best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from headstart.scores.pooled import DICE, Counts, Groups, PooledScore
from headstart.studies.statistics import LEAST_SHARE, MIN_SEEDS, pseudo_values

_DRAWS = 20_000  # a standard error of at most 0.4 %

Square = Float64[np.ndarray, "a a"]


def chances(
    arms: Sequence[Counts],
    classes: Sequence[int],
    groups: Groups | None = None,
    score: PooledScore = DICE,
) -> list[float] | None:
    """Return the probability of each arm that it has the highest true score.

    Args:
        arms: counts of each arm, for the same seeds and frames; two arms or more.
        classes: the indices of the classes in the score.
        groups: the group (video, patient) of each frame; without it each frame is its own group.
        score: the score that is made from the counts.

    Returns:
        Probabilities that sum to 1, from 20,000 draws; None with fewer than five seeds.

    Raises:
        ValueError: shapes do not match, a class is unknown, or there are fewer than two frames.
    """
    if len(arms[0]) < MIN_SEEDS:
        return None
    each = [pseudo_values(counts, classes, groups, score) for counts in arms]
    means = np.array([of_seeds.mean() for of_seeds, _ in each])
    return chances_of(means, np.stack([pseudo for _, pseudo in each]))


def chances_of(
    means: Float64[np.ndarray, " a"], pseudo: Float64[np.ndarray, "a s u"]
) -> list[float]:
    """Return the same from the mean scores of the arms, and their pseudo-values."""
    (few, fewer), (many, more) = _parts(pseudo)
    rng = np.random.default_rng(0)
    drawn = means + _t(rng, few, fewer) + _t(rng, many, more)
    # arms that score alike on every draw share the probability
    best = drawn == drawn.max(axis=1, keepdims=True)
    return [float(share) for share in (best / best.sum(1, keepdims=True)).mean(0)]


def _parts(
    pseudo: Float64[np.ndarray, "a s u"],
) -> tuple[tuple[Square, int], tuple[Square, int]]:
    """Return the two parts of the covariance of the arms' means, each with its degrees of freedom.

    For the difference of two arms they are those of
    [`combined`][headstart.studies.statistics.combined].
    """
    _, s, u = pseudo.shape
    mean = pseudo.mean((1, 2), keepdims=True)
    by_seed, by_unit = pseudo.mean(2, keepdims=True) - mean, pseudo.mean(1, keepdims=True) - mean
    rest = _products(pseudo - mean - by_seed - by_unit) / ((s - 1) * (u - 1))
    of_seeds, of_units = u * _products(by_seed) / (s - 1), s * _products(by_unit) / (u - 1)
    sides = (of_seeds, s - 1), (of_units, u - 1)
    (fewer, few), (other, more) = sorted(sides, key=lambda side: side[1])
    main = fewer + _positive(LEAST_SHARE * rest - fewer)
    return (main / (s * u), few), (_positive(other - rest) / (s * u), more)


def _products(deviations: Float64[np.ndarray, "a s u"]) -> Square:
    flat = deviations.reshape(len(deviations), -1)
    return np.asarray(flat @ flat.T)


def _positive(matrix: Square) -> Square:
    """Return a symmetric matrix without its negative part."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


def _t(rng: np.random.Generator, covariance: Square, df: int) -> Float64[np.ndarray, "n a"]:
    """Draw from a multivariate t around 0."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal = rng.standard_normal((_DRAWS, len(covariance))) @ root.T
    return np.asarray(normal / np.sqrt(rng.chisquare(df, (_DRAWS, 1)) / df))
