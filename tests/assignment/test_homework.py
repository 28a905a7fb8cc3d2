"""The assignment as one command: what is run, that it goes on, and what its report says."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from headstart.assignment.datasets import open_datasets
from headstart.assignment.missing import not_run
from headstart.assignment.report import answers, documents
from headstart.assignment.report.part1_records import CONSTANT, STEPLR, Effect, Pair
from headstart.assignment.report.write import write_homework
from headstart.assignment.run import do_homework
from headstart.assignment.settings import Homework
from headstart.cli.homework import homework as verb
from headstart.config.files import differences, read_config, read_run_config
from headstart.config.recipes import ASSIGNMENT, PRETEXT_ASSIGNMENT
from headstart.errors import InterruptedRun, UsageError
from headstart.records.run_records import Environment
from headstart.reports.records import RunRecord
from headstart.scores.frames_csv import FrameCounts
from headstart.studies.ledger import write_ledger
from headstart.studies.statistics import Comparison, verdict
from tests.tiny_runs import Silent

RUNS = ("a", *(f"{s}/runs/{r}-all-12-1" for s in ("steplr", "constant")
               for r in ("scratch", "colorization")))  # fmt: skip


def tiny_homework(data: Path, seeds: int = 1) -> Homework:
    return Homework(str(data), "tiny", seeds)


def ignore(_: str) -> None:
    """Progress."""


class InterruptingB(Silent):
    """Stops while 1(b) is trained."""

    def step(self, done: int, total: int) -> None:
        super().step(done, total)
        if any("scratch, 12" in what for what in self.begun):
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def done(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished homework that was stopped in the middle and continued."""
    out = tmp_path_factory.mktemp("homework") / "H"
    with pytest.raises(InterruptedRun, match="interrupted") as stopped:
        do_homework(tiny_homework(drawn), out, InterruptingB(), ignore)
    assert str(out) in stopped.value.findings[0].hint  # how to continue
    assert stopped.value.exit_status == 143 and not (out / "report.html").exists()
    before = {p: p.stat().st_mtime_ns for p in out.rglob("scores.json")}
    assert {p.parent.parent.name for p in before} == {"H", "starts"}
    written = do_homework(tiny_homework(drawn), out, Silent(), ignore)
    assert all(p.stat().st_mtime_ns == t for p, t in before.items()), "a finished part ran again"
    assert written.record == json.loads((out / "homework.json").read_text())
    return out


def test_what_is_run_is_the_assignment(done: Path) -> None:
    a, b, d, b_constant, d_constant = (read_run_config(done / r / "config.json") for r in RUNS)
    # b comes before d in RUNS
    assert differences(a.recipe, ASSIGNMENT) == ["epochs: 4 -> 200"]
    assert {x.split(":")[0] for x in differences(a.recipe, b.recipe)} == {
        "name", "augmentation.flip_horizontal", "augmentation.flip_vertical",
        "augmentation.rotation",
    }  # fmt: skip
    assert {x.split(":")[0].split(".")[0] for x in differences(b, d)} == {"start", "pretext"}
    for with_it, without in ((b, b_constant), (d, d_constant)):
        changed = differences(with_it, without)
        assert {x.split(":")[0] for x in changed} == {"recipe.name", "recipe.schedule"}
    assert d.start == "colorization" and d.pretext is not None
    assert differences(d.pretext.recipe, PRETEXT_ASSIGNMENT) == ["epochs: 4 -> 200"]


def test_both_schedules_start_from_the_same_weights_trained_once(done: Path) -> None:
    (c,) = (done / "steplr" / "starts").iterdir()
    assert read_config(c / "config.json") == read_run_config(done / RUNS[2] / "config.json").pretext
    assert (done / "constant" / "starts").resolve() == (done / "steplr" / "starts").resolve()
    hashes = {
        json.loads((done / run / "environment.json").read_text())["start"]["weights_sha256"]
        for run in (RUNS[2], RUNS[4])
    }
    assert len(hashes) == 1 and None not in hashes


def test_the_record(done: Path) -> None:
    record = json.loads((done / "homework.json").read_text())
    assert record["schema"] == 1 and set(record["parts"]) == set("abcd")
    for letter, run in zip("abd", RUNS, strict=False):
        scores = json.loads((done / run / "scores.json").read_text())
        part = record["parts"][letter]
        assert part["dice_assignment"] == scores["dice_assignment"]
        assert part["trivial"]["dice_assignment"] == scores["trivial"]["dice_assignment"]
        assert part["epochs"] == len((done / run / "metrics.jsonl").read_text().splitlines())
    assert {k: v.get("expected") for k, v in record["parts"].items()} == {
        "a": 0.5, "b": 0.6, "c": None, "d": None
    }  # fmt: skip
    assert [p["reported_epochs"] for p in record["parts"].values()] == [46, 11, 8, 31]
    assert len(record["comparisons"]) == 4
    assert {c["verdict"] for c in record["comparisons"]} == {"too few seeds"}
    assert str(done) not in json.dumps(record)


class Text(HTMLParser):
    """The page's tags and words; nothing that is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "img", "br", "wbr", "path", "use", "clippath", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def read_page(out: Path) -> Text:
    page = Text()
    page.feed((out / "report.html").read_text())
    return page


def test_the_report_has_all_parts_in_order(done: Path) -> None:
    page = read_page(done)
    tex = (done / "report.tex").read_text()
    headings = [
        r"1\(a\)",
        r"1\(b\)",
        r"1\(c\)",
        r"1\(d\)",
        r"\(b\) and \(d\) compared",
        "Part 2",
        r"2\(a\)",
        "Not run",
        r"2\(c\)",
        "Not run",
    ]
    assert re.search(
        ".*".join(headings), page.words[page.words.index("Summary of part 1") :], re.DOTALL
    )
    assert re.search(".*".join(rf"(section\*|textbf){{{h}" for h in headings), tex, re.DOTALL)
    for fact in ("expected > 0.5", "expected > 0.6", "0.5295", "0.6991", "46 epochs", "8 epochs"):
        assert fact in page.words, fact
    record = json.loads((done / "homework.json").read_text())
    headline, loss = record["answers"][0], record["parts"]["c"]["loss"]
    assert all(fact in headline for fact in ("No verdict", "colorization", "1 seed", "needs 5"))
    trivial = record["parts"]["c"]["trivial"]["loss"]
    for fact in (
        headline,
        "learning rate 0.001",
        f"{loss:.4g}",
        f"costs {trivial:.4g}",
        "at most 4 epochs (assignment: 200)",
        "the word fashion-mnist",
    ):
        assert fact in page.words and fact in tex, fact
    source = (done / "report.html").read_text()
    assert source.count("data:image/jpeg") == 4 and source.count("<svg") == 5
    assert "mathdefault" not in source  # how matplotlib writes powers where it may not set them
    assert "script" not in page.tags and not re.search(r'(?:href|src)="(?!#|data:)', source)
    names = ("1a-losses", "1b-losses", "1c-losses", "1d-losses", "1d-seeds")
    drawn = {f"{name}.{kind}" for name in names for kind in ("pdf", "png")}
    sheets = ("1a-predictions", "1b-predictions", "1c-restorations", "1d-predictions")
    pictures = {f"{name}.jpg" for name in sheets}
    assert {p.name for p in (done / "figures").iterdir()} == drawn | pictures
    included = set(re.findall(r"figures/([\w.-]+)", tex.split("\\begin{document}")[1]))
    assert included == pictures | {name for name in drawn if name.endswith("pdf")}
    if shutil.which("pdflatex"):
        assert (done / "report.pdf").read_bytes().startswith(b"%PDF")


def app() -> typer.Typer:
    program = typer.Typer()
    program.command()(verb)
    return program


def test_a_finished_homework_answers_at_once(drawn: Path, done: Path) -> None:
    before = {
        p: (p.stat().st_mtime_ns, p.read_bytes())
        for p in (*done.rglob("frames.csv"), *done.rglob("weights.safetensors"))
    }
    same = {name: (done / name).read_bytes() for name in ("homework.json", "report.html")}
    options = ["--data", str(drawn), "--scale", "tiny", "--device", "cpu", "--out", str(done)]
    result = CliRunner().invoke(app(), [*options, "--dry-run", "--json"])
    assert result.exit_code == 0 and result.stderr.count("; done") == 5
    assert {part["runs"] for part in json.loads(result.stdout)["todo"].values()} == {0}
    result = CliRunner().invoke(app(), [*options, "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == json.loads((done / "homework.json").read_text())
    assert "report.html" in result.stderr
    for path, was in before.items():
        assert (path.stat().st_mtime_ns, path.read_bytes()) == was
    for name, content in same.items():
        assert (done / name).read_bytes() == content, name


def test_a_plan_writes_nothing(drawn: Path, tmp_path: Path) -> None:
    options = [
        "--data",
        str(drawn),
        "--scale",
        "tiny",
        "--seeds",
        "2",
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    result = CliRunner().invoke(app(), [*options, "--dry-run", "--out", str(tmp_path / "H")])
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    # four epochs, of two batches of ten; the two pretexts have as many pictures
    for line, facts in zip(
        lines,
        (
            ("1(a): 32 x 40, width 4, 12 labelled pictures", "1 run", "at most 8 steps"),
            ("1(b): ", "2 runs", "at most 16 steps"),
            ("1(c): 32 x 40, width 4;", "2 runs"),
            ("1(d): ", "2 runs", "at most 16 steps"),
            ("1(b), 1(d) without StepLR: ", "4 runs", "at most 32 steps"),
            ("All parts: about ",),
            ("2(a): not run", "--fashion-mnist"),
        ),
        strict=False,
    ):
        assert all(fact in line for fact in facts), line
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_ours_is_refused(drawn: Path, done: Path, tmp_path: Path) -> None:
    for name in ("thesis.tex", "report.tex", "report.pdf", "figures"):
        folder = tmp_path / f"with {name}"
        (folder / "a").mkdir(parents=True)  # which is not ours either
        (folder / name).write_text("mine")
        with pytest.raises(UsageError, match="not-a-homework"):
            do_homework(tiny_homework(drawn), folder, Silent(), ignore)
        assert (folder / name).read_text() == "mine"
        assert {path.name for path in folder.rglob("*")} == {"a", name}
    with pytest.raises(UsageError, match="settings-differ"):
        do_homework(Homework(str(drawn), "small", 1), done, Silent(), ignore)


HOSTILE = ("*[2em] <script>alert(1)</script>", "\\input{/etc/passwd} & 5% $x_1^2$ #1 ~",
           "[針] {{ x }} << y >>", "q" * 90, "\\end{document} {% raw %}")  # fmt: skip


def test_names_are_set_and_never_obeyed_and_pictures_can_be_left_out(
    drawn: Path, done: Path, tmp_path: Path
) -> None:
    out = tmp_path / "H"
    shutil.copytree(
        done, out, symlinks=True, ignore=shutil.ignore_patterns("cache", "*.safetensors")
    )
    names = json.loads((done / "a" / "scores.json").read_text())["classes"]
    renamed = dict(zip(names, HOSTILE, strict=True))
    for path in (*out.rglob("scores.json"), out / "steplr/study.json", out / "constant/study.json"):
        text = path.read_text()
        for old, new in renamed.items():
            text = text.replace(json.dumps(old), json.dumps(new))
        path.write_text(re.sub(r',\s*"sha256": "\w+"', "", text))
    for path in out.rglob("manifest.json"):  # the files are no longer those of the manifest
        path.unlink()
    for path in out.rglob("frames.csv"):
        text = path.read_text()
        for old, new in renamed.items():
            text = text.replace(f",{old},", ',"{}",'.format(new.replace('"', '""')))
        path.write_text(text)
    for path in out.rglob("ledger.jsonl"):
        lines = map(json.loads, path.read_text().splitlines())
        runs = {line["run"]: {k: v for k, v in line.items() if k != "sha256"} for line in lines}
        for name, line in runs.items():
            for file in ("frames.csv", "scores.json"):
                content = (path.parent / name / file).read_bytes()
                line[f"{Path(file).stem}_sha256"] = hashlib.sha256(content).hexdigest()
        write_ledger(path.parent, runs, list(runs))
    homework = tiny_homework(drawn)
    datasets = open_datasets(homework)
    missing, groups = not_run(homework, datasets, out), datasets.frames.test_groups
    command = "headstart homework --data 'a_b & $(x)' %"
    written = write_homework(out, command, False, missing, groups)
    page, tex = read_page(out), (out / "report.tex").read_text()
    assert "script" not in page.tags and "b" in page.tags
    for name in HOSTILE:
        assert name.replace("_", "") in page.words.replace("_", "")
    assert (
        "\\input{" not in tex
        and tex.count("\\end{document}") == 1
        and not re.search(r"(?<!\\)\$x", tex)
    )
    assert not list((out / "figures").glob("*.jpg"))
    assert "data:image" not in (out / "report.html").read_text()
    assert "--without-pictures" in page.words and "-{}-without-pictures" in tex
    if shutil.which("pdflatex"):
        assert written.no_pdf == "" and (out / "report.pdf").exists()


def test_without_a_latex_there_is_no_pdf_and_it_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(documents, "_ENGINES", ("no-such-latex",))
    pdf, why = documents.make_pdf(tmp_path)
    assert pdf is None and "no-such-latex" in why


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX is installed")
def test_a_latex_that_fails_is_said_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "report.tex").write_text("\\nonsense")
    pdf, why = documents.make_pdf(tmp_path)
    assert pdf is None and "! Undefined control sequence" in why


def comparison(low: float | None, high: float | None, seeds: int = 5) -> Comparison:
    difference = 0.02 if low is None or high is None else (low + high) / 2
    return Comparison(difference, low, high, 0.95, 1, seeds, verdict(low, high))


def effects(first: Comparison, second: Comparison) -> list[Effect]:
    return [
        Effect("colorization", STEPLR, first),
        Effect("colorization", CONSTANT, second),
        Effect("schedule", "scratch", first),
        Effect("schedule", "colorization", second),
    ]


HELPS, HURTS = comparison(0.01, 0.05), comparison(-0.05, -0.01)
OPEN, FEW = comparison(-0.01, 0.05), comparison(None, None, seeds=3)


RAISES, LOWERS, UNCLEAR = "colorization raises dice", "colorization lowers dice", "no difference"


@pytest.mark.parametrize(
    ("first", "second", "facts"),
    [
        (HELPS, HELPS, ("With StepLR and without it", RAISES)),
        (HURTS, HURTS, ("With StepLR and without it", LOWERS)),
        (OPEN, OPEN, ("With StepLR and without it", UNCLEAR)),
        (HELPS, OPEN, ("With StepLR", RAISES, "without it", UNCLEAR)),
        (OPEN, HURTS, ("With StepLR", UNCLEAR, "without it", LOWERS)),
        (FEW, FEW, ("No verdict", "colorization", "3 seeds", "needs 5")),
        (HELPS, FEW, ("No verdict", "colorization", "3 seeds", "needs 5")),
    ],
)
def test_the_headline_says_no_more_than_the_intervals(
    first: Comparison, second: Comparison, facts: tuple[str, ...]
) -> None:
    headline = answers.headline(effects(first, second))
    places = [headline.find(fact) for fact in facts]
    assert -1 not in places and places == sorted(places), headline
    for fact in (RAISES, LOWERS, UNCLEAR):
        assert headline.count(fact) == facts.count(fact)


def test_effects_in_words() -> None:
    text = answers.of_colorization(effects(HELPS, OPEN))
    helps, unclear = text.split("With a constant learning rate")
    assert "raises dice" in helps and "dice +0.030" in helps
    assert "95 % interval +0.010 to +0.050, 5 seeds" in helps
    assert "no difference is shown" in unclear and "not mean equal" in unclear
    assert "dice +0.020" in unclear and "no evidence" in unclear  # that the effects differ
    assert "no evidence" not in answers.of_colorization(effects(HELPS, HELPS))
    few = answers.of_schedule(effects(FEW, FEW))
    assert "no verdict" in few and "3 seeds (it takes 5)" in few and "interval" not in few
    assert "StepLR lowers dice" in answers.of_schedule(effects(HURTS, HURTS))
    headline = answers.headline([], "no truth")
    assert "No verdict on colorization" in headline and "no truth" in headline


MACHINE = Environment(
    versions={}, system="Linux", cpu="a processor", cores=2, gpu=None, threads=1, data={}
)


def make_run(dice: float, assignment: float, collapsed: bool = False) -> RunRecord:
    scores = {"dice": dice, "dice_assignment": assignment, "collapsed": collapsed}
    frames = FrameCounts(("1",), ("bg", "tool"), np.zeros((1, 2, 3), dtype=np.int64))
    return RunRecord("run", Path("run"), "scratch", "all", 12, 1, scores, (), MACHINE, 1.0, frames)


def make_pairs(*of: tuple[float, float], schedule: str = STEPLR) -> Sequence[Pair]:
    """(b) and (d), the same by both scores."""
    return [
        Pair(schedule, seed, make_run(b, b), make_run(d, d)) for seed, (b, d) in enumerate(of, 1)
    ]


def test_seeds_in_words() -> None:
    assert "single seed" in answers.of_seeds(make_pairs((0.8, 0.9)))
    mixed = answers.of_seeds(make_pairs((0.8, 0.9), (0.85, 0.82), (0.7, 0.75)))
    assert "(b) scores 0.700 to 0.850 and (d) 0.750 to 0.900" in mixed
    assert "−0.030 to +0.100" in mixed and "seed decides" in mixed
    alike = answers.of_seeds(make_pairs((0.8, 0.9), (0.8, 0.81)))
    assert "+0.010 to +0.100" in alike and "decides" not in alike


def test_the_metric_in_words() -> None:
    pairs = [*make_pairs((0.8, 0.9), (0.7, 0.6)), *make_pairs((0.5, 0.6), schedule=CONSTANT)]
    steplr, constant, below = answers.of_metric(pairs, 0.7622).split(". ")
    assert steplr.startswith("With StepLR, (d) is above (b) in 1 of 2 seeds")
    assert constant.startswith("With a constant learning rate, (d) is above (b) in 1 of 1 seed ")
    for fact in ("6 runs", "4 score less", "(0.762)"):
        assert fact in below
    assert "none scores less" in answers.of_metric(make_pairs((0.8, 0.9)), 0.7622)


def test_collapse_and_constants_in_words() -> None:
    none = answers.of_collapse(make_pairs((0.1, 0.2)))
    assert "2 runs" in none and "none" in none
    pair = Pair(STEPLR, 1, make_run(0.0, 0.76, collapsed=True), make_run(0.1, 0.2))
    one = answers.of_collapse([pair])
    assert "2 runs" in one and "1 collapsed" in one
    assert answers.constant(0.76221, 0.76219, "bg").startswith("above the 0.76219 ")
    assert answers.constant(0.76, 0.76, "bg").startswith("exactly the 0.760 ")
    assert answers.constant(0.5, 0.76, "bg").startswith("below the 0.760 ")
    assert "no network" in answers.constant(0.5, 0.76, "bg")
    for score, compared in ((0.5, "0.500 is not above"), (0.50004, "0.50004 is above")):
        assert answers.threshold(score, 0.5).startswith(compared)
    assert "No class is predicted" in answers.stray(0.0)
    assert "every class" in answers.stray(None) and "24 %" in answers.stray(0.2432)


def test_leaks_in_words() -> None:
    both, copies, none = answers.leaks(20, 1, 1), answers.leaks(20, 2, 0), answers.leaks(20, 0, 0)
    assert "20 unlabelled pictures" in both and "1 is a copy" in both and "1 is a near-copy" in both
    assert "2 are copies" in copies and "near" not in copies
    assert "none is a copy" in none


def test_runs_that_failed_leave_no_verdict() -> None:
    failed = replace(comparison(None, None, 4), verdict="incomplete")
    some = effects(failed, comparison(0.01, 0.05))
    assert answers.headline(some) == "No verdict on colorization: runs failed."
    assert "no verdict, because runs failed" in answers.of_colorization(some)
    assert "lowers" not in answers.of_colorization(some)
