"""Scores against scikit-learn, against counting by hand, and their properties."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from sklearn.metrics import (
    f1_score,
    jaccard_score,
    multilabel_confusion_matrix,
    precision_score,
    recall_score,
)

from headstart.scores import overlap
from headstart.scores.counts import constant_counts, count, left_out
from headstart.scores.segmentation import score, trivial_scores
from tests.scores.oracle import from_sklearn

EIGHT = (
    "dice",
    "dice_frame",
    "dice_assignment",
    "iou",
    "endovis_iou",
    "isi_iou",
    "mc_iou",
    "absent_fp_rate",
)
K = 4
NAMES = ("background", "forceps", "driver", "sealer")
HW6 = Path(__file__).parents[3] / "shared/data/hw6/segmentation"
# Where annotations are executed, they refuse first what the function itself would refuse.
REFUSED = (ValueError, TypeError)

few = settings(max_examples=30)
frames = st.tuples(st.integers(1, 4), st.just(3), st.just(4))
labels = frames.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.int64, shape, elements=st.integers(0, K - 1)),
        hnp.arrays(np.int64, shape, elements=st.integers(0, K - 1)),
    )
)
some_counts = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 5), st.just(K), st.just(3)), elements=st.integers(0, 9)
)


def counts_of(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return count(torch.from_numpy(prediction), torch.from_numpy(truth), K).numpy()


@few
@given(labels)
def test_counts_are_sklearns(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    for found, p, t in zip(counts_of(prediction, truth), prediction, truth, strict=True):
        table = multilabel_confusion_matrix(t.ravel(), p.ravel(), labels=range(K))
        expected = np.stack([table[:, 1, 1], table[:, 0, 1], table[:, 1, 0]], 1)
        assert (found == expected).all()


@few
@given(labels)
def test_scores_are_sklearns(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    scores = score(counts_of(prediction, truth), NAMES)
    for name, expected in from_sklearn(prediction, truth, K).items():
        assert scores[name] == pytest.approx(expected, abs=1e-12), name  # type: ignore[literal-required]
        assert (scores[name] is None) == (name in scores.get("reasons", {}))  # type: ignore[literal-required]


@few
@given(labels)
def test_classes_are_sklearns(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    scores = score(counts_of(prediction, truth), NAMES)["classes"]
    functions = {
        "dice": f1_score,
        "iou": jaccard_score,
        "precision": precision_score,
        "recall": recall_score,
    }
    for c, name in enumerate(NAMES):
        entry = scores[name]
        assert entry["frames"] == sum(c in t for t in truth)
        assert entry["pixels"] == (truth == c).sum()
        for key, function in functions.items():
            value = function(
                truth.ravel() == c, prediction.ravel() == c, average="binary", zero_division=0
            )
            undefined = c not in truth or (key == "precision" and c not in prediction)
            assert entry[key] == (None if undefined else pytest.approx(value))  # type: ignore[literal-required]
        assert ("reason" in entry) == (c not in truth or c not in prediction)


# Three frames of ten pixels, background and two classes, counts as (TP, FP, FN):
# both held and half right; the second held and missed, the first predicted instead; nothing held.
HALF = [[4, 1, 2], [2, 1, 2], [1, 1, 1]]
SWAPPED = [[6, 0, 0], [0, 4, 0], [0, 0, 4]]
EMPTY = [[10, 0, 0], [0, 0, 0], [0, 0, 0]]
STRAY = [[9, 0, 1], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("dice", [HALF], (4 / 7 + 2 / 4) / 2),
        ("dice", [HALF, SWAPPED], (4 / 11 + 2 / 8) / 2),
        ("dice", [SWAPPED], 0.0),  # the second alone: the first is not in the split's truth
        ("dice", [STRAY], None),
        ("iou", [HALF, SWAPPED], (2 / 9 + 1 / 7) / 2),
        ("dice_frame", [HALF, SWAPPED, EMPTY], ((4 / 7 + 2 / 4) / 2 + 0) / 2),
        ("dice_frame", [EMPTY], None),
        ("dice_frame", [EMPTY, STRAY], 0.0),
        ("dice_assignment", [EMPTY], 1.0),
        ("dice_assignment", [STRAY], (18 / 19 + 0 + 1) / 3),
        ("dice_assignment", [SWAPPED, EMPTY], ((1 + 0 + 0) / 3 + 1) / 2),
        ("endovis_iou", [HALF, SWAPPED, EMPTY], ((2 / 5 + 1 / 3) / 2 + 0) / 2),
        ("endovis_iou", [[[4, 0, 2], [2, 2, 0], [0, 0, 0]]], 0.5),
        ("endovis_iou", [[[2, 0, 2], [4, 0, 0], [0, 2, 0]]], 1.0),  # what is only predicted: free
        ("isi_iou", [[[2, 0, 2], [4, 0, 0], [0, 2, 0]]], 0.5),  # ... and here not
        ("endovis_iou", [EMPTY, STRAY], 0.0),
        ("isi_iou", [EMPTY, STRAY], 0.0),
        ("isi_iou", [EMPTY], None),
        ("mc_iou", [HALF, SWAPPED, EMPTY], (2 / 5 + (1 / 3 + 0) / 2) / 2),
        ("mc_iou", [EMPTY, STRAY], None),
        ("absent_fp_rate", [HALF], None),
        ("absent_fp_rate", [HALF, SWAPPED, EMPTY, STRAY], 2 / 5),
    ],
)
def test_by_hand(name: str, rows: list[list[list[int]]], expected: float | None) -> None:
    assert getattr(overlap, name)(np.array(rows)) == pytest.approx(expected)


def test_a_score_that_cannot_be_taken_says_why() -> None:
    scores = score(np.array([EMPTY]), ["background", "a", "b"])
    assert {k for k in EIGHT if scores[k] is None} == set(scores["reasons"])  # type: ignore[literal-required]
    assert set(scores["reasons"]) == {
        *("dice", "iou", "mc_iou"),
        *("dice_frame", "endovis_iou", "isi_iou"),
    }
    assert scores["frames_left_out"] == scores["frames"] == 1
    assert scores["classes"]["a"]["dice"] is None
    assert "no frame" in scores["classes"]["a"]["reason"]
    assert "reason" not in scores["classes"]["background"]
    assert score(np.zeros((0, 3, 3), int), ["background", "a", "b"])["reasons"] == dict.fromkeys(
        EIGHT, "the split has no frames"
    )


@few
@given(some_counts)
def test_lies_in_0_to_1_and_is_json(counts: np.ndarray) -> None:
    scores = score(counts, NAMES)
    text = json.dumps(scores, allow_nan=False)
    assert json.loads(text) == scores
    for value in (*(scores[n] for n in EIGHT), *scores["trivial"].values()):  # type: ignore[literal-required]
        assert value is None or (type(value) is float and 0 <= value <= 1)
    assert list(scores["trivial"]) == list(EIGHT)
    for entry in scores["classes"].values():
        if entry["dice"] is not None and entry["iou"] is not None:
            assert entry["dice"] == pytest.approx(2 * entry["iou"] / (1 + entry["iou"]))


@few
@given(some_counts, st.randoms(use_true_random=False))
def test_order_of_frames_does_not_change_a_bit(counts: np.ndarray, random: object) -> None:
    order = list(range(len(counts)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert score(counts[order], NAMES) == score(counts, NAMES)


@few
@given(some_counts)
def test_names_of_the_foreground_do_not_matter(counts: np.ndarray) -> None:
    turned = score(counts[:, [0, 3, 1, 2]], NAMES)
    for name, value in score(counts, NAMES).items():
        if name in EIGHT:
            assert turned[name] == pytest.approx(value), name  # type: ignore[literal-required]


@few
@given(labels)
def test_truth_predicts_itself(pair: tuple[np.ndarray, np.ndarray]) -> None:
    _, truth = pair
    scores = score(counts_of(truth, truth), NAMES)
    for name in EIGHT:
        perfect = 0.0 if name == "absent_fp_rate" else 1.0
        assert scores[name] in (perfect, None)  # type: ignore[literal-required]


@few
@given(labels, st.integers(0, K - 1))
def test_no_constant_prediction_beats_trivial(
    pair: tuple[np.ndarray, np.ndarray], predicted: int
) -> None:
    _, truth = pair
    constant = counts_of(np.full_like(truth, predicted), truth)
    pixels = np.stack([(truth == c).sum((1, 2)) for c in range(K)], 1)
    assert (constant_counts(pixels, predicted) == constant).all()
    scores = score(constant, NAMES)
    assert scores["collapsed"]
    assert scores["trivial"] == trivial_scores(pixels)
    for name in EIGHT:
        value, trivial = scores[name], scores["trivial"][name]  # type: ignore[literal-required]
        if value is not None:
            assert trivial is not None
            assert trivial <= value if name == "absent_fp_rate" else trivial >= value


@few
@given(some_counts)
def test_frames_average_to_dice_frame(counts: np.ndarray) -> None:
    each = overlap.dice_of_frames(counts)
    assert np.isnan(each).sum() == left_out(counts)
    expected = None if np.isnan(each).all() else pytest.approx(np.nanmean(each))
    assert overlap.dice_frame(counts) == expected


def test_collapsed_means_one_class_in_the_whole_split() -> None:
    background = [[6, 4, 0], [0, 0, 4], [0, 0, 0]]
    assert score(np.array([background, EMPTY]), ["background", "a", "b"])["collapsed"]
    assert not score(np.array([background, STRAY]), ["background", "a", "b"])["collapsed"]


def test_count_takes_any_integers_and_keeps_frames_apart() -> None:
    truth = torch.tensor([[[0, 1], [2, 2]], [[3, 3], [3, 3]]], dtype=torch.uint8)
    counts = count(truth.int(), truth, K)
    assert counts.dtype == torch.int64
    assert counts[..., 0].tolist() == [[1, 1, 2, 0], [0, 0, 0, 4]]
    assert not counts[..., 1:].any()
    assert count(truth[:0], truth[:0], K).shape == (0, K, 3)


@pytest.mark.parametrize("wrong", [-1, K, 10**9])
@pytest.mark.parametrize("where", [0, 1])
def test_count_refuses_what_is_no_class(wrong: int, where: int) -> None:
    pair = [torch.zeros(2, 2, 2, dtype=torch.long) for _ in range(2)]
    pair[where][0, 0, 0] = wrong
    with pytest.raises(ValueError, match="outside 0 to 3"):
        count(*pair, K)


def test_refuses_what_makes_no_sense() -> None:
    counts = np.array([EMPTY])
    with pytest.raises(ValueError, match="2 classes"):
        score(counts, ["background", "a"])
    with pytest.raises(ValueError, match="unique"):
        score(counts, ["background", "a", "a"])
    with pytest.raises(ValueError, match="integers"):
        score(-counts, ["background", "a", "b"])
    with pytest.raises(REFUSED):
        score(counts / 2, ["background", "a", "b"])
    with pytest.raises(REFUSED):
        count(torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 3).long(), K)
    with pytest.raises(ValueError, match="outside 0 to 2"):
        constant_counts(np.array([[1, 2, 3]]), 3)


@pytest.mark.skipif(not HW6.is_dir(), reason="needs ../shared/data/hw6")
@pytest.mark.parametrize(
    ("split", "expected"), [("test", 0.7622), ("validation", 0.7816), ("train", 0.7706)]
)
def test_predicting_background_on_endovis(split: str, expected: float) -> None:
    masks = [np.asarray(Image.open(path)) // 32 for path in HW6.glob(f"{split}/*/*_mask.png")]
    pixels = np.stack([np.bincount(m.ravel(), minlength=8) for m in masks])
    trivial = trivial_scores(pixels)
    assert trivial["dice_assignment"] == pytest.approx(expected, abs=5e-5)
    background = score(constant_counts(pixels, 0), [str(c) for c in range(8)])
    assert background["dice_assignment"] == trivial["dice_assignment"]
    assert background["dice"] == 0
    if split == "test":  # as docs/scores.md says
        assert trivial["dice"] == pytest.approx(0.0211, abs=5e-5)


def test_imports_no_torch() -> None:
    code = "import sys, headstart.scores.segmentation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- pixels that do not count ---

IGNORED = 255
some_ignored = frames.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.int64, shape, elements=st.integers(0, K - 1)),
        hnp.arrays(np.int64, shape, elements=st.sampled_from([*range(K), IGNORED, IGNORED])),
    )
)


def removed(classes: np.ndarray, truth: np.ndarray) -> list[np.ndarray]:
    """The classes of each frame at the pixels that count."""
    return [c[t != IGNORED] for c, t in zip(classes, truth, strict=True)]


@few
@given(some_ignored)
def test_scores_are_those_of_the_pixels_that_count(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    counts = count(torch.from_numpy(prediction), torch.from_numpy(truth), K, IGNORED).numpy()
    assert ((counts[..., 0] + counts[..., 2]).sum(1) == (truth != IGNORED).sum((1, 2))).all()
    scores = score(counts, NAMES)
    fewer = removed(truth, truth)
    expected = from_sklearn(removed(prediction, truth), fewer, K)
    constant = [from_sklearn(removed(np.full_like(truth, c), truth), fewer, K) for c in range(K)]
    for name in EIGHT:
        assert scores[name] == pytest.approx(expected[name], abs=1e-12), name  # type: ignore[literal-required]
        assert (scores[name] is None) == (name in scores.get("reasons", {}))  # type: ignore[literal-required]
        best = min if name == "absent_fp_rate" else max
        values = [value for c in constant if (value := c[name]) is not None]
        trivial = best(values, default=None)
        assert scores["trivial"][name] == pytest.approx(trivial, abs=1e-12), name
    for c, name in enumerate(NAMES):
        assert scores["classes"][name]["pixels"] == (truth == c).sum()
        assert scores["classes"][name]["frames"] == sum(c in t for t in truth)


@few
@given(some_ignored, st.integers(0, 10**6))
def test_what_is_predicted_at_ignored_pixels_has_no_effect(
    pair: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    prediction, truth = pair
    other = np.random.default_rng(seed).integers(0, K, truth.shape)
    changed = np.where(truth == IGNORED, other, prediction)
    a, b = (
        count(torch.from_numpy(p), torch.from_numpy(truth), K, IGNORED)
        for p in (prediction, changed)
    )
    assert torch.equal(a, b)


@few
@given(labels)
def test_where_every_pixel_counts_ignoring_changes_no_count(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    prediction, truth = (torch.from_numpy(x) for x in pair)
    assert torch.equal(count(prediction, truth, K, IGNORED), count(prediction, truth, K))


def test_invalid_values_still_raise_where_pixels_are_ignored() -> None:
    truth = torch.tensor([[[0, IGNORED, 1]]])
    for prediction, mask, ignore in (
        ([0, K, 1], truth, IGNORED),  # also under an ignored pixel
        ([0, -1, 1], truth, IGNORED),
        ([0, 0, 1], torch.where(truth == 1, K, truth), IGNORED),
        ([0, 0, 1], torch.where(truth == 1, -1, truth), IGNORED),
        ([0, 0, 1], truth, None),
    ):
        with pytest.raises(ValueError, match="outside 0 to 3"):
            count(torch.tensor([[prediction]]), mask, K, ignore)


def test_a_frame_without_pixels_that_count_is_left_out_of_every_score() -> None:
    counts = np.array([EMPTY, np.zeros((3, 3), np.int64)])
    names = ["background", "a", "b"]
    one, two = score(counts[:1], names), score(counts, names)
    assert [two[name] for name in EIGHT] == [one[name] for name in EIGHT]  # type: ignore[literal-required]
    assert one["dice_assignment"] is not None and one["absent_fp_rate"] is not None
