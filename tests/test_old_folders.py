"""Folders that an older version left behind: they open, and what was begun goes on.

``tests/fixtures/make.py`` made them, with the version whose commit is the folder's name, and wrote
down what that version makes of them. Commands run in processes of their own, from inside a copy,
because people meet their old folders that way.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headstart.studies.summary import read_summary
from headstart.system.disk import json_text
from tests.cli.command import headstart
from tests.fixtures import make

OLD = Path(__file__).parent / "fixtures" / "e5cb359"
STUDIES = ("finished", "half")


def run_all(folder: Path, *commands: str) -> dict[str, str]:
    """What each command says on stdout; every one ends with 0."""
    told = {}
    for words in commands:
        done = headstart(*words.split(), cwd=folder)
        assert done.returncode == 0, (words, done.stderr)
        told[words] = done.stdout
    return told


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads((OLD / "expected.json").read_text())


@pytest.fixture(scope="module")
def alike(expected: dict[str, Any]) -> bool:
    """Whether this machine gives the same bits; elsewhere only scores are compared, roughly."""
    return expected["machine"] == make.machine()


@dataclass
class Opened:
    """A copy in which everything was gone on with.

    Attributes:
        folder: it.
        said: on stdout, by command.
        before: bytes and times of all files there were.
    """

    folder: Path
    said: dict[str, str]
    before: dict[Path, tuple[bytes, int]]

    def untouched(self, place: str) -> bool:
        """Whether files that were there are as they were, not even written again."""
        files = [p for p in self.before if p.is_relative_to(self.folder / place)]
        return bool(files) and all(
            (p.read_bytes(), p.stat().st_mtime_ns) == self.before[p] for p in files
        )


FINISHED = f"train frames {make.SMALL} --epochs 40 --seed 1 --json --out runs/finished"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("old") / "copy"
    shutil.copytree(OLD, folder)
    files = [p for p in folder.rglob("*") if p.is_file()]
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}
    said = run_all(
        folder,
        make.PREDICT.format("runs/finished", "run"),
        make.EVALUATE,
        FINISHED,
        f"{make.CLASSIFY} --json",
        f"train frames {make.SMALL} --start runs/pretext --epochs 1 --out runs/from-pretext",
        make.CONTINUE,
        *(make.STUDY.format(name) for name in STUDIES),
    )
    return Opened(folder, said, before)


def close(now: Any, then: Any, tolerance: float) -> bool:
    """Whether two values have the same parts, and numbers that hardly differ."""
    if isinstance(then, dict):
        keys = set(now) == set(then)
        return keys and all(close(now[key], then[key], tolerance) for key in then)
    if isinstance(then, list):
        return len(now) == len(then) and all(
            close(a, b, tolerance) for a, b in zip(now, then, strict=True)
        )
    if isinstance(then, float) and isinstance(now, (int, float)):
        return now == pytest.approx(then, abs=tolerance)
    return bool(now == then)


def masks_of(folder: Path) -> dict[str, str]:
    return {p.name: make.sha256(p) for p in sorted(folder.rglob("masks/*"))}


def test_an_old_run_predicts_and_scores_as_it_did(
    opened: Opened, expected: dict[str, Any], alike: bool
) -> None:
    masks = masks_of(opened.folder / "masks" / "run")
    assert masks.keys() == expected["masks"]["run"].keys()
    assert not alike or masks == expected["masks"]["run"]
    scores = json.loads(opened.said[make.EVALUATE])
    assert scores == expected["evaluate"] if alike else close(scores, expected["evaluate"], 0.05)


def test_finished_runs_answer_at_once(opened: Opened) -> None:
    for name, words in (("finished", FINISHED), ("classes", f"{make.CLASSIFY} --json")):
        scores = json.loads((OLD / "runs" / name / "scores.json").read_text())
        assert json.loads(opened.said[words]) == scores
        assert opened.untouched(f"runs/{name}")


def test_a_stopped_run_goes_on_and_ends_as_it_would_have(
    opened: Opened, expected: dict[str, Any], alike: bool
) -> None:
    run = opened.folder / "runs" / "stopped"
    timing = [json.loads(line) for line in (run / "timing.jsonl").read_text().splitlines()]
    old = len((OLD / "runs" / "stopped" / "timing.jsonl").read_text().splitlines())
    # what was done before is not done again: the epoch it was stopped in has fewer steps now
    assert [row["epoch"] for row in timing[old:]] == list(range(old + 1, 9))
    assert (
        (run / "metrics.jsonl")
        .read_bytes()
        .startswith((OLD / "runs" / "stopped" / "metrics.jsonl").read_bytes())
    )
    if alike:
        assert {name: make.sha256(run / name) for name in make.RUN_FILES} == expected["continued"]
    scores = json.loads((run / "scores.json").read_text())
    assert scores["dice_assignment"] == pytest.approx(
        expected["continued_scores"]["dice_assignment"], abs=0 if alike else 0.2
    )


def test_an_old_pretext_is_a_start(opened: Opened) -> None:
    environment = json.loads((opened.folder / "runs/from-pretext/environment.json").read_text())
    weights = make.sha256(OLD / "runs" / "pretext" / "weights.safetensors")
    assert environment["start"]["weights_sha256"] == weights
    assert environment["start"]["moved"] and opened.untouched("runs/pretext")


def without_hashes(line: dict[str, Any]) -> dict[str, Any]:
    """A line of the ledger as the old version wrote it."""
    return {k: v for k, v in line.items() if k not in ("sha256", "scores_sha256")}


@pytest.mark.parametrize("name", STUDIES)
def test_an_old_study_goes_on_and_runs_nothing_again(
    name: str, opened: Opened, expected: dict[str, Any], alike: bool
) -> None:
    study = opened.folder / "studies" / name
    done = make.ledger_of(OLD / "studies" / name)
    assert len(done) == {"half": 1, "finished": 4}[name]
    assert all(opened.untouched(f"studies/{name}/{line['run']}") for line in done)
    ledger = [without_hashes(line) for line in make.ledger_of(study)]
    assert ledger[: len(done)] == done and len(ledger) == 4
    record = read_summary(study)
    for row in record["comparisons"]:
        assert row.pop("margin") is None, "an old study has none, and keeps its verdicts"
        assert "seeds_needed" not in row and row.pop("better_on_another_seed") is None
    # A study that goes on scores its seeds together; one that was finished stays as it was.
    assert ("together" in record) == (name == "half")
    record.pop("together", None)
    if alike:
        assert ledger == expected["ledger"]
        assert hashlib.sha256(json_text(record).encode()).hexdigest() == expected["study_sha256"]
    assert record.keys() == expected["study"].keys()
    for now, then in zip(record["records"], expected["study"]["records"], strict=True):
        assert {k: v for k, v in now.items() if k != "scores"} == {
            k: v for k, v in then.items() if k != "scores"
        }


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported") / "copy"
    shutil.copytree(OLD, folder)
    run_all(
        folder,
        *(f"report {place}" for place in ("runs/finished", "runs/pretext", "runs/classes")),
        *(f"report studies/{name}" for name in STUDIES),
        make.PREDICT.format("model.onnx", "file"),
    )
    return folder


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("runs/finished", "clamp"),
        ("runs/pretext", "colorization"),
        ("runs/classes", "bee"),
        ("studies/finished", "colorization"),
        ("studies/half", "scratch"),
    ],
)
def test_old_folders_are_reported(reported: Path, place: str, said: str) -> None:
    page = (reported / place / "report.html").read_text()
    assert said in page and page.rstrip().endswith("</html>")
    if place != "runs/pretext":
        rows = (reported / place / "report" / "scores.csv").read_text().splitlines()
        assert len(rows) > 1


def test_an_old_file_predicts_as_it_did(
    reported: Path, expected: dict[str, Any], alike: bool
) -> None:
    masks = masks_of(reported / "masks" / "file")
    assert masks.keys() == expected["masks"]["file"].keys()
    assert not alike or masks == expected["masks"]["file"]


def test_other_settings_in_an_old_folder_are_refused(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "copy")
    before = contents(tmp_path / "copy")
    words = make.CONTINUE.replace("--seed 3", "--seed 4").split()
    done = headstart(*words, cwd=tmp_path / "copy")
    assert done.returncode == 2 and "settings-differ" in done.stderr
    assert "seed: 3 -> 4" in done.stderr
    assert contents(tmp_path / "copy") == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
