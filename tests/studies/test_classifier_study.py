"""A study of classifiers, from drawn pictures to the page: starts x tunings x budgets x seeds."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from headstart.config.recipes import CLASSIFIER_DEFAULT
from headstart.config.records import StudyConfig
from headstart.errors import DataError, UsageError
from headstart.inference.opening import open_segmenter
from headstart.records.calibration import read_calibration
from headstart.reports.command import study_command
from headstart.reports.write import write_report
from headstart.studies.study import study
from headstart.studies.summary import read_summary
from headstart.studies.wording import sentences
from headstart.tasks.lookup import labelled_task
from tests.tiny_runs import CLASSIFIER, Silent

NAMES = ("ape", "bee", "cat")


def small_study(data: Path, **changes: object) -> StudyConfig:
    recipe = CLASSIFIER_DEFAULT.with_epochs(1).model_copy(update={"batch": 4, "head_epochs": 1})
    settings = {
        "schema": 1, **CLASSIFIER, "model": "squeezenet1_1", "data": str(data), "size": (32, 32),
        "starts": ("scratch",), "tunes": ("all", "head"), "labels": (6, 21), "seeds": (1, 2),
        "threads": 1, "recipe": recipe, **changes,
    }  # fmt: skip
    return StudyConfig.model_validate(settings)


@pytest.fixture(scope="module")
def done(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """First from scratch; then the last run of that is a start too."""
    out = tmp_path_factory.mktemp("study") / "S"
    start = str(out / "runs" / "scratch-all-21-1")
    study(small_study(coloured), out, Silent(), lambda _: None)
    grown = small_study(coloured, starts=("scratch", start))
    record = study(grown, out, Silent(), lambda _: None)
    return out, record


def test_seeds_together_have_a_temperature_of_their_own(done: tuple[Path, dict]) -> None:
    out, record = done
    folders = list(out.glob("ensembles/*"))
    assert len(folders) == len(record["together"]) == 8
    for folder in folders:
        calibration = read_calibration(folder)
        assert calibration is not None and calibration.split == "test"
        accuracy = json.loads((folder / "scores.json").read_text())["accuracy"]
        for part in (calibration.before, calibration.after):
            assert part.sums[:, :2].sum(0) == pytest.approx([18, 18 * accuracy])


def test_the_record_is_as_for_segmentation_and_about_accuracy(done: tuple[Path, dict]) -> None:
    out, record = done
    assert json.loads(json.dumps(record)) == read_summary(out)
    assert len(record["records"]) == 2 * 2 * 2 * 2
    assert {c["metric"] for c in record["comparisons"]} == {"accuracy"}
    assert {c["verdict"] for c in record["comparisons"]} == {"too few seeds"}
    assert len(record["comparisons"]) == 4 and len(record["labels_saved"]) == 2
    for row in record["records"]:
        counts = labelled_task("classification").read_counts(out / row["run"]).counts
        assert counts[:, 0, 0].mean() == row["scores"]["accuracy"]
    words = sentences(record)
    assert "(tune head)" in words[-1] and "dice" not in " ".join(words)


def test_a_difference_is_that_of_the_accuracies(done: tuple[Path, dict]) -> None:
    _, record = done
    for c in record["comparisons"]:
        of = {
            start: [
                r["scores"]["accuracy"]
                for r in record["records"]
                if (r["start"], r["tune"], r["labels"]) == (start, c["tune"], c["labels"])
            ]
            for start in (c["start"], c["against"])
        }
        expected = np.mean(of[c["start"]]) - np.mean(of[c["against"]])
        assert c["difference"] == pytest.approx(expected, abs=1e-12)


def test_the_report_speaks_of_pictures_and_accuracy(done: tuple[Path, dict]) -> None:
    out, record = done
    write_report(out)
    page = (out / "report.html").read_text()
    text = re.sub(r"<(style|svg)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert "Accuracy and the number of labels" in text
    assert "Classification into 3 classes: squeezenet1_1 at 32 × 32" in text
    assert "18 test pictures" in text and "confusion" in page.lower()
    assert not re.search(r"\bdice\b|\bframes?\b|pretext", text, re.IGNORECASE), re.findall(
        r".{40}(?:dice|frame|pretext).{40}", text, re.IGNORECASE
    )
    with (out / "report" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 17 and rows[-1]["accuracy"] == str(1 / 3)
    assert float(rows[0]["accuracy"]) == record["records"][0]["scores"]["accuracy"]


def test_the_command_makes_it_again(coloured: Path) -> None:
    command, files = study_command(small_study(coloured, tunes=("all",)), "S", "S/report")
    assert "--task classification --model squeezenet1_1" in command
    assert "--width" not in command and "pretext" not in command
    assert "recipe.json" in files


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"starts": ("colorization",)}, "colorization"),
        ({"model": "unet"}, "torchvision"),
        ({"tunes": ("last:0",)}, "tunes"),
        ({"task": "segmentation"}, "width"),
    ],
)
def test_what_makes_no_study_is_refused(coloured: Path, changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small_study(coloured, **changes)


def test_a_misspelt_network_is_refused_before_anything_is_made(
    coloured: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="squeezenet1_1"):
        study(small_study(coloured, model="squezenet1_1"), tmp_path / "S", Silent(), lambda _: None)
    assert not (tmp_path / "S").exists()


def test_what_segments_nothing_says_so(done: tuple[Path, dict]) -> None:
    with pytest.raises(DataError, match="is-a-classifier"):
        open_segmenter(done[0] / "runs" / "scratch-all-21-1", "cpu")


def test_the_time_of_a_run_counts_what_was_computed_once(done: tuple[Path, dict]) -> None:
    out, _ = done
    for line in map(json.loads, (out / "ledger.jsonl").read_text().splitlines()):
        timing = (out / line["run"] / "timing.jsonl").read_text().splitlines()
        features = [row for row in map(json.loads, timing) if row.get("stage") == "features"]
        of_scratch = line["start"] == "scratch"  # a head that moves brings its statistics along
        assert len(features) == (of_scratch or line["tune"] == "head"), line["run"]
        spent = [r["train_seconds"] + r["validation_seconds"] for r in map(json.loads, timing)]
        assert len(spent) == len(features) + 1 and line["seconds"] == sum(spent)


def test_the_start_to_compare_with_may_change_and_no_run_is_repeated(
    coloured: Path, done: tuple[Path, dict]
) -> None:
    out, record = done
    before = {p: p.stat().st_mtime_ns for p in out.rglob("frames.csv")}
    starts = tuple(dict.fromkeys(row["start"] for row in record["records"]))
    config = small_study(coloured, starts=starts, against=starts[1])
    turned = study(config, out, Silent(), lambda _: None)
    assert [-c["difference"] for c in turned["comparisons"]] == pytest.approx(
        [c["difference"] for c in record["comparisons"]]
    )
    assert {c["against"] for c in turned["comparisons"]} == {starts[1]}
    again = study(small_study(coloured, starts=starts), out, Silent(), lambda _: None)
    assert again == record
    assert {p: p.stat().st_mtime_ns for p in out.rglob("frames.csv")} == before
