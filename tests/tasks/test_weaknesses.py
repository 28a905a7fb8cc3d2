"""Weaknesses in words: each kind is told, a strong class is not; numbers are those of counts."""

from __future__ import annotations

import numpy as np

from headstart.scores import classification as classification_scores
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
    told = weak_classes(scores, counts, NAMES)
    assert [line.split("`")[1] for line in told] == list(NAMES[1:])
    good, missed, invented, rarely, never, absent = told
    assert good == "`good`: predicted in 3 of the 3 test frames that do not show it."
    assert "dice 0.33: much is missed: only 20% of its pixels are found (recall)" in missed
    assert "too much is taken for it: only 30% of the pixels given to it are right" in invented
    assert rarely == "`rare`: in 1 test frame only, on which its score rests."
    assert never == "`never`: dice 0.00: it is never predicted."
    assert "in no test frame: whether it is found is not known; predicted in 1 of" not in absent
    assert absent.startswith("`absent`: in no test frame")


def test_what_is_low_in_both_says_both() -> None:
    counts = np.array([[[50, 9, 9], [10, 12, 10]]] * 5)
    scores = {"split": "test", **segmentation_scores.score(counts, ("ground", "tool"))}
    (told,) = weak_classes(scores, counts, ("ground", "tool"))
    assert "50% of its pixels are found (recall), and only 45% of the pixels given to it" in told


def test_nothing_is_said_of_strong_classes() -> None:
    counts = np.array([[[90, 5, 5], [90, 5, 5]]] * 5)
    scores = {"split": "test", **segmentation_scores.score(counts, ("ground", "tool"))}
    assert weak_classes(scores, counts, ("ground", "tool")) == []


def test_labels_say_what_they_are_taken_for() -> None:
    names = ("ape", "bee", "cat", "dog")
    matrix = np.array([[2, 7, 1, 0], [0, 10, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0]])
    scores = {"split": "test", **classification_scores.score(matrix, names)}
    ape, bee, cat, dog = weak_labels(scores, matrix, names)
    assert ape.startswith("`ape`: much is missed: only 20% of its pictures are found (recall)")
    assert ape.endswith("most often taken for `bee` (7 times).")
    assert bee.startswith("`bee`: too much is taken for it: only 59% of the pictures given to it")
    assert cat == "`cat`: 3 test pictures only, on which its score rests."
    assert dog == "`dog`: no test picture is of it: whether it is recognised is not known."


def test_a_name_breaks_no_table() -> None:
    assert quoted("a|b`\n\x1b[31m") == "`a/b'\\n\\x1b[31m`"
