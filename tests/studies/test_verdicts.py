"""From runs to comparisons: which starts are compared, paired by seed, and the sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.config.records import StudyConfig
from headstart.data.pictures.frame import Frame
from headstart.scores.frames_csv import frames_csv
from headstart.studies.counts_of_runs import numbered_groups
from headstart.studies.labels_saved import LabelsSaved
from headstart.studies.statistics import Comparison
from headstart.studies.verdicts import compare, pairs, prospects, reference
from headstart.studies.wording import (
    labels_sentence,
    more_sentences,
    sentence,
    sentences,
    would_show,
)

NAMES = ("background", "tool", "rare")
FRAMES = tuple(Frame(str(i), Path(f"{i}.png")) for i in range(12))


def config(**changes: object) -> StudyConfig:
    settings = {
        "schema": 1, "data": "d", "starts": ("scratch", "colorization"), "labels": (30, 300),
        "seeds": (1, 2, 3, 4, 5), **changes,
    }  # fmt: skip
    return StudyConfig.model_validate(settings)


def a_run(out: Path, start: str, labels: int, seed: int, recall: float) -> dict:
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
        a_run(tmp_path, start, labels, seed, recall)
        for (start, labels), recall in recalls.items()
        for seed in range(1, 6)
    ]


def test_a_better_start_is_called_better_and_an_equal_one_is_not(tmp_path, records):
    record = compare(records, tmp_path, config(), None)
    assert record["classes"]["classes"] == (1,) and record["classes"]["left_out"] == (2,)
    few, many = record["comparisons"]
    assert (few["labels"], few["start"], few["against"]) == (30, "colorization", "scratch")
    assert few["verdict"] == "helps" and few["low"] > 0.1 and few["seeds"] == 5
    assert many["verdict"] == "no difference shown" and many["low"] < 0 < many["high"]
    (saved,) = record["labels_saved"]
    assert 100 < saved["reaches"] <= 300 and saved["labels"] == 300
    assert saved["level"] == many["level"]  # or an interval could say what the verdict does not
    words = sentences(record)
    assert "30 labels" in words[0] and "colorization helps" in words[0]
    assert "no difference shown" in words[1] and "with 300" in words[2]
    del saved["level"]  # which old studies lack
    assert sentences(record)[2] == words[2]


def test_runs_are_paired_by_seed_and_a_seed_of_one_start_alone_is_left_out(tmp_path, records):
    fewer = [r for r in records if not (r["start"] == "colorization" and r["seed"] > 3)]
    few, _ = compare(fewer, tmp_path, config(), None)["comparisons"]
    assert few["seeds"] == 3 and few["verdict"] == "too few seeds" and few["low"] is None
    nothing = compare([], tmp_path, config(), None)
    assert nothing["comparisons"] == [] == nothing["labels_saved"]


def test_a_start_whose_run_failed_gets_no_verdict(tmp_path, records):
    """Although five seeds would be left: a run does not fail by chance."""
    failed = frozenset({("colorization", "all", 30)})
    record = compare(records, tmp_path, config(), None, failed)
    few, many = record["comparisons"]
    assert (few["verdict"], few["low"], few["high"]) == ("incomplete", None, None)
    assert many == compare(records, tmp_path, config(), None)["comparisons"][1]
    assert record["labels_saved"] == []
    assert "no verdict" in sentences(record)[0] and "runs failed" in sentences(record)[0]


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
    few = [r for r in records if r["labels"] == 30]
    record = compare(few, tmp_path, config(labels=(30,)), None)
    assert len(record["comparisons"]) == 1 and record["labels_saved"] == []


def test_nothing_to_compare_is_said(tmp_path, records):
    empty = np.zeros((12, 3, 3), dtype=np.int64)
    for r in records:
        text = frames_csv(empty, tuple(f.name for f in FRAMES), NAMES)
        (tmp_path / r["run"] / "frames.csv").write_text(text)
    record = compare(records, tmp_path, config(), None)
    assert "foreground" in record["classes"]["reason"] and record["comparisons"] == []


def test_what_others_are_compared_with_can_be_chosen(tmp_path, records):
    turned = config(against="colorization")
    assert reference(turned) == "colorization" and pairs(turned) == [("scratch", "colorization")]
    few, _ = compare(records, tmp_path, turned, None)["comparisons"]
    usual, _ = compare(records, tmp_path, config(), None)["comparisons"]
    assert few["verdict"] == "hurts" and few["difference"] == pytest.approx(-usual["difference"])
    with pytest.raises(ValueError, match=r"imagenet.*scratch"):
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
    said = sentence(hurts, "imagenet", "scratch", 75)
    for fact in (
        "75 labels", "from imagenet hurts", "dice 0.054 lower", "from scratch", "97.5 % interval",
        "-0.096 to -0.0002", "Holm", "2 comparisons", "5 seeds",
    ):  # fmt: skip
        assert fact in said, fact
    none = Comparison(0.0, -0.03, 0.04, 0.95, 1, 5, "no difference shown")
    said = sentence(none, "chroma", "scratch", 300)
    for fact in (
        "300 labels", "no difference shown", "chroma", "scratch", "not the same as equal",
        "dice 0.000 higher", "95 % interval -0.030 to 0.040", "5 seeds",
    ):  # fmt: skip
        assert fact in said, fact
    assert "Holm" not in said
    too_few = Comparison(0.1, None, None, 0.95, 0, 3, "too few seeds")
    said = sentence(too_few, "chroma", "scratch", 30)
    for fact in ("30 labels", "no verdict", "chroma", "scratch", "too few seeds", "3", "5"):
        assert fact in said, fact
    assert "interval" not in said and "dice" not in said


def test_practically_equal_is_said_with_the_margin() -> None:
    equal = Comparison(0.004, -0.008, 0.015, 0.95, 1, 5, "practically equal", 0.02)
    said = sentence(equal, "chroma", "scratch", 30)
    for fact in ("chroma", "scratch", "practically equal", "margin of 0.02", "-0.008 to 0.015"):
        assert fact in said, fact


def test_the_record_says_what_more_seeds_would_bring(tmp_path, records):
    few, many = compare(records, tmp_path, config(margin=0.001), None)["comparisons"]
    assert few["margin"] == many["margin"] == 0.001 and few["better_on_another_seed"] > 0.9
    assert "seeds_needed" not in few, "the difference is shown"
    assert many["verdict"] == "no difference shown" and 0 < many["better_on_another_seed"] < 1
    assert many["seeds_needed"] is None or many["seeds_needed"] > 5
    said = " ".join(more_sentences(many))
    assert "0.001" in said and "another seed" in said.lower()
    wide = compare(records, tmp_path, config(margin=0.9), None)["comparisons"]
    assert {c["verdict"] for c in wide} == {"practically equal"}
    older = compare(records, tmp_path, config(), None)["comparisons"]
    assert older[1]["margin"] is None and "seeds_needed" not in older[1]


def test_a_plan_says_what_its_seeds_could_show(tmp_path, records):
    few, many = prospects(records, tmp_path, config(seeds=tuple(range(1, 21))), None)
    assert (few["labels"], many["labels"]) == (30, 300) and few["seeds"] == 20
    at_five = prospects(records, tmp_path, config(), None)
    assert 0 < many["difference"] < at_five[1]["difference"] and "margin" not in many
    planned = prospects(records, tmp_path, config(margin=0.005), None)[1]
    assert planned["margin"] == 0.005 and planned["groups"] is None
    said = would_show(planned)
    assert "0.005" in said and (str(planned["seeds_needed"]) in said or "do not say" in said)
    told = compare(records, tmp_path, config(margin=0.005), None)["comparisons"][1]
    asked = [row["seeds_needed"] or 999 for row in (told, planned)]
    assert asked[0] <= asked[1], "the plan is for the first of two comparisons, the hardest"
    fewer = [r for r in records if r["seed"] < 5]
    assert (
        prospects(fewer, tmp_path, config(), None) == () == prospects([], tmp_path, config(), None)
    )


def test_sentences_about_labels() -> None:
    told = labels_sentence(LabelsSaved(300, 30, 30.0, 30.0, 81.4, 5), "chroma", "scratch")
    assert "with 30 or fewer labels" in told
    assert "interval 30 or fewer to 81 labels, 5 seeds" in told
    told = labels_sentence(LabelsSaved(300, 30, None, 200.0, None, 5, 0.975), "chroma", "scratch")
    assert "with more than 300 labels" in told
    assert "97.5 % interval 200 to more than 300 labels" in told
    told = labels_sentence(LabelsSaved(300, 30, 50.0, None, None, 3), "chroma", "scratch")
    assert "with 50 labels" in told and "no interval" in told and "too few seeds" in told
    assert "3" in told.partition("too few seeds")[2] and "5" in told.partition("too few seeds")[2]
