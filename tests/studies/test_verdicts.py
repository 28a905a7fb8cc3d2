"""From runs to comparisons: who is compared with whom, paired by seed, in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.config.records import StudyConfig
from headstart.data.pictures.frame import Frame
from headstart.scores.frames_csv import frames_csv
from headstart.studies.statistics import Comparison, LabelsSaved
from headstart.studies.verdicts import (
    compare,
    labels_sentence,
    numbered_groups,
    pairs,
    reference,
    sentence,
    sentences,
)

NAMES = ("background", "tool", "rare")
FRAMES = tuple(Frame(str(i), Path(f"{i}.png")) for i in range(12))


def config(**changes: object) -> StudyConfig:
    settings = {
        "schema": 1, "data": "d", "starts": ("scratch", "colorization"), "labels": (30, 300),
        "seeds": (1, 2, 3, 4, 5), **changes,
    }  # fmt: skip
    return StudyConfig.model_validate(settings)


def record(out: Path, start: str, labels: int, seed: int, recall: float) -> dict:
    """A run that finds this share of the tool; the rare class is on two frames."""
    rng = np.random.default_rng([seed, labels, len(start)])
    counts = np.zeros((12, 3, 3), dtype=np.int64)
    pixels = np.arange(1, 13) * 100
    found = np.round(pixels * np.clip(recall + rng.normal(0, 0.02, 12), 0, 1)).astype(int)
    counts[:, 1, 0], counts[:, 1, 2] = found, pixels - found
    counts[:2, 2, 0] = 50
    counts[:, 0, 0] = 10_000
    run = f"runs/{start}-all-{labels}-{seed}"
    (out / run).mkdir(parents=True)
    text = frames_csv(counts, tuple(f.name for f in FRAMES), NAMES)
    (out / run / "frames.csv").write_text(text)
    return {
        "start": start, "tune": "all", "labels": labels, "seed": seed, "run": run,
        "scores": {"dice": None},
    }  # fmt: skip


@pytest.fixture
def records(tmp_path: Path) -> list[dict]:
    recalls = {("scratch", 30): 0.5, ("scratch", 300): 0.8, ("colorization", 30): 0.7,
               ("colorization", 300): 0.8}  # fmt: skip
    return [
        record(tmp_path, start, labels, seed, recall)
        for (start, labels), recall in recalls.items()
        for seed in range(1, 6)
    ]


def test_a_better_start_is_called_better_and_an_equal_one_is_not(tmp_path, records):
    found = compare(records, tmp_path, config(), None)
    assert found["classes"]["classes"] == (1,) and found["classes"]["left_out"] == (2,)
    few, many = found["comparisons"]
    assert (few["labels"], few["start"], few["against"]) == (30, "colorization", "scratch")
    assert few["verdict"] == "helps" and few["low"] > 0.1 and few["seeds"] == 5
    assert many["verdict"] == "no difference shown" and many["low"] < 0 < many["high"]
    (saved,) = found["labels_saved"]
    assert 100 < saved["reaches"] <= 300 and saved["labels"] == 300
    assert saved["level"] == many["level"]  # or an interval could say what the verdict does not
    words = sentences(found)
    assert "With 30 labels, starting from colorization helps" in words[0]
    assert "no difference shown" in words[1] and "reaches with" in words[2]
    del saved["level"]  # as studies had it once
    assert sentences(found)[2] == words[2]


def test_runs_are_paired_by_seed_and_a_seed_of_one_start_alone_is_left_out(tmp_path, records):
    some = [r for r in records if not (r["start"] == "colorization" and r["seed"] > 3)]
    few, _ = compare(some, tmp_path, config(), None)["comparisons"]
    assert few["seeds"] == 3 and few["verdict"] == "too few seeds" and few["low"] is None
    nothing = compare([], tmp_path, config(), None)
    assert nothing["comparisons"] == [] == nothing["labels_saved"]


def test_who_is_compared_with_whom():
    assert reference(config(starts=("colorization", "scratch"))) == "scratch"
    assert reference(config(starts=("chroma", "colorization"))) == "chroma"
    assert pairs(config(starts=("scratch", "colorization", "scratch-longer", "runs/x"))) == [
        ("colorization", "scratch"), ("scratch-longer", "scratch"), ("runs/x", "scratch"),
        ("colorization", "scratch-longer"),
    ]  # fmt: skip


def test_groups_count_only_where_each_frame_has_one():
    assert numbered_groups(["b", "a", "b"]).tolist() == [1, 0, 1]
    assert numbered_groups(["b", "a", "b", None]) is None
    assert numbered_groups(["b"]) is None


def test_the_record_says_how_many_groups_the_intervals_are_over(tmp_path, records):
    patients = numbered_groups([f"patient{i // 3}" for i in range(len(FRAMES))])
    assert compare(records, tmp_path, config(), None)["groups"] is None
    assert compare(records, tmp_path, config(), patients)["groups"] == 4
    one = numbered_groups(["patient"] * len(FRAMES))
    assert compare(records, tmp_path, config(), one)["groups"] is None


def test_one_budget_saves_no_labels(tmp_path, records):
    found = compare([r for r in records if r["labels"] == 30], tmp_path, config(labels=(30,)), None)
    assert len(found["comparisons"]) == 1 and found["labels_saved"] == []


def test_nothing_to_compare_is_said(tmp_path, records):
    empty = np.zeros((12, 3, 3), dtype=np.int64)
    for r in records:
        text = frames_csv(empty, tuple(f.name for f in FRAMES), NAMES)
        (tmp_path / r["run"] / "frames.csv").write_text(text)
    found = compare(records, tmp_path, config(), None)
    assert "no foreground class" in found["classes"]["reason"] and found["comparisons"] == []


def test_what_others_are_compared_with_can_be_chosen(tmp_path, records):
    its = config(against="colorization")
    assert reference(its) == "colorization" and pairs(its) == [("scratch", "colorization")]
    few, _ = compare(records, tmp_path, its, None)["comparisons"]
    usual, _ = compare(records, tmp_path, config(), None)["comparisons"]
    assert few["verdict"] == "hurts" and few["difference"] == pytest.approx(-usual["difference"])
    with pytest.raises(ValueError, match="imagenet is not among the starts"):
        config(against="imagenet")
    longer = config(starts=("scratch", "colorization", "scratch-longer"), against="scratch-longer")
    assert len(pairs(longer)) == len(set(pairs(longer))) == 2
    of_pretext = longer.model_copy(update={"against": "colorization"})
    assert {frozenset(pair) for pair in pairs(of_pretext)} == {
        frozenset(("scratch", "colorization")), frozenset(("scratch-longer", "colorization"))
    }  # fmt: skip
    assert len(pairs(of_pretext)) == 2


def test_sentences() -> None:
    hurts = Comparison(-0.054, -0.096, -0.0002, 0.975, 2, 5, "hurts")
    assert sentence(hurts, "imagenet", "scratch", 75) == (
        "With 75 labels, starting from imagenet hurts: dice 0.054 lower than from scratch "
        "(97.5 % interval -0.096 to -0.0002 after Holm among 2 comparisons, 5 seeds)."
    )
    none = Comparison(0.0, -0.03, 0.04, 0.95, 1, 5, "no difference shown")
    assert sentence(none, "chroma", "scratch", 300) == (
        "With 300 labels, no difference shown between starting from chroma and from scratch "
        "(which is not the same as equal): dice 0.000 higher "
        "(95 % interval -0.030 to 0.040, 5 seeds)."
    )
    too_few = Comparison(0.1, None, None, 0.95, 0, 3, "too few seeds")
    assert sentence(too_few, "chroma", "scratch", 30) == (
        "With 30 labels, no verdict on starting from chroma against scratch: "
        "too few seeds: 3, a verdict needs 5."
    )


def test_sentences_about_labels() -> None:
    told = labels_sentence(LabelsSaved(300, 30, 30.0, 30.0, 81.4, 5), "chroma", "scratch")
    assert "with 30 or fewer labels" in told
    assert "interval 30 or fewer to 81 labels, 5 seeds" in told
    told = labels_sentence(LabelsSaved(300, 30, None, 200.0, None, 5, 0.975), "chroma", "scratch")
    assert "with more than 300 labels" in told
    assert "97.5 % interval 200 to more than 300 labels" in told
    told = labels_sentence(LabelsSaved(300, 30, 50.0, None, None, 3), "chroma", "scratch")
    assert "no interval: too few seeds: 3, it needs 5" in told
