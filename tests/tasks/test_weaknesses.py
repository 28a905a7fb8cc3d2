"""Weaknesses in words: each kind is reported, strong classes are not; numbers match counts."""

from __future__ import annotations

import numpy as np

from headstart.scores import classification as confusion
from headstart.scores import segmentation as segmentation_scores
from headstart.tasks.weaknesses import quoted, weak_classes, weak_labels

NAMES = ("ground", "good", "missed", "invented", "rare", "never", "absent")


def frame(**counts: tuple[int, int, int]) -> np.ndarray:
    """TP, FP, FN of each class named; background always right."""
    return np.array([counts.get(name, (0, 0, 0)) for name in NAMES])


def test_each_weakness_has_its_words() -> None:
    usual = frame(
        ground=(900, 0, 0), good=(90, 5, 5), missed=(20, 0, 80), invented=(30, 70, 2),
        never=(0, 0, 10),
    )  # fmt: skip
    empty = frame(ground=(100, 0, 0), good=(0, 7, 0))
    rare = frame(ground=(100, 0, 0), rare=(10, 0, 0), good=(50, 0, 0), absent=(0, 40, 0))
    counts = np.stack([usual] * 6 + [empty] * 3 + [rare])
    scores = {"split": "test", **segmentation_scores.score(counts, NAMES)}
    sentences = weak_classes(scores, counts, NAMES)
    assert [line.split("`")[1] for line in sentences] == list(NAMES[1:])
    good, missed, invented, rarely, never, absent = sentences
    assert good == "`good`: predicted in 3 of the 3 test frames that do not show it."
    assert "dice 0.33" in missed and "20%" in missed and "recall" in missed
    assert "precision" not in missed and "dice 0." in invented
    assert "30%" in invented and "precision" in invented and "recall" not in invented
    assert "only 1 test frame." in rarely and "dice" not in rarely
    assert "dice 0.00" in never and "never predicted" in never and "%" not in never
    assert "no test frame" in absent and "predicted in 1 of" not in absent


def test_what_is_low_in_both_says_both() -> None:
    counts = np.array([[[50, 9, 9], [10, 12, 10]]] * 5)
    scores = {"split": "test", **segmentation_scores.score(counts, ("ground", "tool"))}
    (sentence,) = weak_classes(scores, counts, ("ground", "tool"))
    for fact in ("`tool`", "50%", "recall", "45%", "precision"):
        assert fact in sentence


def test_nothing_is_said_of_strong_classes() -> None:
    counts = np.array([[[90, 5, 5], [90, 5, 5]]] * 5)
    scores = {"split": "test", **segmentation_scores.score(counts, ("ground", "tool"))}
    assert weak_classes(scores, counts, ("ground", "tool")) == []


def test_labels_say_what_they_are_taken_for() -> None:
    names = ("ape", "bee", "cat", "dog")
    matrix = np.array([[2, 7, 1, 0], [0, 10, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0]])
    scores = {"split": "test", **confusion.score(matrix, names)}
    ape, bee, cat, dog = weak_labels(scores, matrix, names)
    assert "`ape`" in ape and "20%" in ape and "recall" in ape and "precision" not in ape
    assert ape.endswith("`bee` (7 times).")
    assert "`bee`" in bee and "59%" in bee and "precision" in bee and "recall" not in bee
    assert "`cat`" in cat and "only 3 test pictures." in cat and "%" not in cat
    assert "`dog`" in dog and "no test picture" in dog and "%" not in dog


def test_a_name_breaks_no_table() -> None:
    assert quoted("a|b`\n\x1b[31m") == "`a/b'\\n\\x1b[31m`"
