"""The scores of a classification beside scikit-learn's, and where they say that there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from headstart.scores.classification import (
    accuracy,
    collapsed,
    confusion_matrix,
    score,
    trivial_accuracy,
)

ANSWERS = st.integers(2, 5).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.lists(st.tuples(*[st.integers(0, k - 1)] * 2), min_size=1, max_size=40),
    )
)


def _names(count: int) -> list[str]:
    return [f"class {k}" for k in range(count)]


@given(ANSWERS)
def test_every_score_is_scikit_learns(answers) -> None:
    count, pairs = answers
    truth, predicted = np.array(pairs).T
    matrix = confusion_matrix(truth, predicted, count)
    assert np.array_equal(
        matrix, metrics.confusion_matrix(truth, predicted, labels=list(range(count)))
    )
    scores = score(matrix, _names(count))
    present = sorted(set(truth.tolist()))
    f1 = metrics.f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert scores["macro_f1"] == pytest.approx(f1)
    options = {"labels": list(range(count)), "average": None, "zero_division": np.nan}
    for name, function in (
        ("recall", metrics.recall_score),
        ("precision", metrics.precision_score),
    ):
        oracle = function(truth, predicted, **options)
        ours = [c[name] for c in scores["classes"].values()]
        assert [v is None for v in ours] == np.isnan(oracle).tolist(), name
        assert np.allclose([v for v in ours if v is not None], oracle[~np.isnan(oracle)]), name
    assert [c["pictures"] for c in scores["classes"].values()] == [
        int((truth == k).sum()) for k in range(count)
    ]
    assert scores["pictures"] == len(pairs)


@given(ANSWERS)
def test_the_trivial_accuracy_is_the_best_of_all_constant_answers(answers) -> None:
    count, pairs = answers
    truth = np.array(pairs)[:, 0]
    constant = [confusion_matrix(truth, np.full_like(truth, k), count) for k in range(count)]
    assert trivial_accuracy(constant[0]) == max(map(accuracy, constant))
    assert all(map(collapsed, constant))


def test_collapsed_is_one_answer_not_one_truth() -> None:
    assert collapsed(np.array([[3, 0], [2, 0]]))
    assert not collapsed(np.array([[3, 1], [0, 0]]))
    assert not collapsed(np.zeros((2, 2), dtype=np.int64))


def test_zero_over_zero_is_none() -> None:
    scores = score(np.array([[2, 1, 0], [0, 0, 0], [0, 3, 0]]), _names(3))
    first, absent, never = scores["classes"].values()
    assert first == {"recall": 2 / 3, "precision": 1.0, "pictures": 3}
    assert absent == {"recall": None, "precision": 0.0, "pictures": 0}
    assert never == {"recall": 0.0, "precision": None, "pictures": 3}
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 0) / 2)  # over the classes in truth
    empty = score(np.zeros((2, 2), dtype=np.int64), _names(2))
    assert (empty["accuracy"], empty["macro_f1"], empty["trivial"]) == (
        None,
        None,
        {"accuracy": None},
    )


def test_what_is_no_confusion_is_refused() -> None:
    for bad in (np.array([0, 2]), np.array([-1, 0])):
        with pytest.raises(ValueError, match="outside 0 to 1"):
            confusion_matrix(np.array([0, 1]), bad, 2)
        with pytest.raises(ValueError, match="outside 0 to 1"):
            confusion_matrix(bad, np.array([0, 1]), 2)
    for names in (["a"], ["a", "a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="confusion matrix"):
            score(np.eye(2, dtype=np.int64), names)
