"""The page: what it says, and that names can say nothing of their own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from headstart.cli.report import report
from headstart.errors import DataError, UsageError, printable
from headstart.reports.arm_costs import arm_costs
from headstart.reports.arms import arms_of
from headstart.reports.data_check import DataCheck, check_data, data_section
from headstart.reports.page import Figures, draw, render
from headstart.reports.records import Records, read_records
from headstart.reports.sentences import opening, verdict_scope
from headstart.reports.write import write_report
from headstart.studies.summary import read_summary, write_summary
from tests.reports.conftest import HOSTILE, START
from tests.reports.maker import make_study
from tests.tiny_runs import drawn_figures

VOID = {"meta", "img", "br", "wbr", "link", "hr", "input"}


class Page(HTMLParser):
    """Elements, attributes and text; a wrong nesting is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def page(folder: Path, pictures: bool = True, drawn: bool = True) -> str:
    records = read_records(folder)
    return render_records(records, pictures, drawn)


def render_records(records: Records, pictures: bool, drawn: bool = True) -> str:
    arms, data = arms_of(records), check_data(records)
    costs = arm_costs(records, arms, data)
    figures = draw(records, arms, data, costs) if drawn else Figures()
    return render(records, arms, data, figures, costs, pictures, records.folder)


def first_sentence(folder: Path, tmp_path: Path, **comparison: object) -> tuple[dict, str]:
    """The first sentence and how starts are compared, with the first comparison changed.

    Both stand on the page.
    """
    out = Path(shutil.copytree(folder, tmp_path / "study"))
    summary = json.loads((out / "study.json").read_text())
    summary["comparisons"][0] |= comparison
    (out / "study.json").write_text(json.dumps(summary))
    records = read_records(out)
    first = opening(records, arms_of(records))
    words = Page(page(out, drawn=False)).words
    (sentence, *_), compared = first["sentences"], first["compared"]
    for text in (sentence["head"], sentence["rest"], compared):
        assert " ".join(text.split()) in words
    return sentence, compared


def notes(folder: Path) -> str:
    """The warnings at the top of the page."""
    records = read_records(folder)
    warnings = opening(records, arms_of(records))["notes"]
    words = Page(page(folder, drawn=False)).words
    assert all(note in words for note in warnings)
    return " ".join(warnings)


@pytest.fixture(scope="module")
def text(study: Path) -> str:
    with drawn_figures():
        return page(study)


def alone(text: str) -> None:
    """Nothing runs, nothing is fetched, no name is used twice."""
    page = Page(text)
    assert not {"script", "iframe", "link", "object", "embed", "base", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for name, value in page.attributes:
        if name in ("src", "href", "srcset", "action", "data"):
            assert value.startswith(("#", "data:image/")), (name, value[:50])
    assert "url(" not in re.sub(r"url\(#\w+\)", "", text) and "@import" not in text
    names = [value for name, value in page.attributes if name == "id"]
    assert len(names) == len(set(names))
    targets = {v[1:] for n, v in page.attributes if n == "href"}
    assert targets <= set(names)


def test_the_page_stands_alone(text: str, trained: Path, study: Path) -> None:
    with drawn_figures():
        pages = [page(trained), page(next((study / "starts").iterdir()))]
    for shown in (text, *pages):
        alone(shown)
    assert "http" not in re.sub(r"data:image/[^\"]*", "", text)


def test_the_verdict_comes_first(text: str, study: Path) -> None:
    words = Page(text).words
    assert words.index("With 3 labels, colorization helps:") < words.index("Labels Scores")
    records = read_records(study)
    assert records.study is not None and records.study.summary is not None
    for c in records.study.summary["comparisons"]:
        assert f"{c['difference']:+.3f} (" in words and c["verdict"] in words
    compared = opening(records, arms_of(records))["compared"]
    for fact in ("scratch", "5 seeds", "20 test frames", "2 comparisons (Holm)"):
        assert fact in compared


def test_seeds_added_after_a_look_are_told(study: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study, tmp_path / "study"))
    look = {"number": 2, "seeds": [5, 10], "planned": 0, "needed": 5, "most": None}
    summary = {**read_summary(out), "look": {**look, "error": 0.025, "total": 0.075}}
    write_summary(out, summary)
    records = read_records(out)
    compared = opening(records, arms_of(records))["compared"]
    for fact in ("look 2", "compared at 5 seeds", "2.5 %", "7.5 %", "--looks"):
        assert fact in compared


def test_leaks_are_told_beside_the_verdict(study: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study, tmp_path / "study"))

    def leaks() -> str:
        return " ".join(leak["words"] for leak in data_section(read_records(out), gone)["leaks"])

    gone = DataCheck("The data are gone.", (), None)
    assert "3 pictures" in notes(out) and "copies" in notes(out)
    assert "1 identical, 2 near-identical" in leaks() and "not left out" in leaks()
    for path in out.glob("starts/*/leaks.json"):
        path.write_text(path.read_text().replace('"dropped": false', '"dropped": true'))
    assert "copies" not in notes(out)
    assert "left out" in leaks() and "not left out" not in leaks()
    for path in out.glob("starts/*/leaks.json"):
        nothing = {**json.loads(path.read_text()), "copies": [], "near": []}
        path.write_text(json.dumps(nothing))
    assert "None is a copy" in leaks()


def test_pairs_on_different_hardware_are_named(study: Path, tmp_path: Path) -> None:
    assert "hardware" not in notes(study)
    out = Path(shutil.copytree(study, tmp_path / "S"))
    for number, run in enumerate(sorted(out.glob("runs/colorization-*"))):
        (run / "manifest.json").unlink(missing_ok=True)
        record = json.loads((run / "environment.json").read_text())
        record |= {"gpu": "Some <GPU>", "precision": "bfloat16"} if number < 2 else {}
        (run / "environment.json").write_text(json.dumps(record))
    warned = notes(out)
    assert "2 pairs" in warned and "Some <GPU> in bfloat16" in warned
    assert "in float32" in warned or "bfloat16" in warned.replace("Some <GPU> in bfloat16", "")


def test_other_verdicts(study: Path, tmp_path: Path) -> None:
    unclear = {"verdict": "no difference shown", "difference": 0.0001, "low": -0.01, "high": 0.02}
    sentence, compared = first_sentence(study, tmp_path / "a", **unclear)
    assert sentence["kind"] == "open" and "no difference shown" in sentence["head"]
    assert "3 labels" in sentence["head"] and "colorization" in sentence["head"]
    assert "dice +0.0001" in sentence["rest"] and "−0.010 to +0.020" in sentence["rest"]
    assert "not mean equal" in compared
    worse = {"verdict": "hurts", "difference": -0.1, "low": -0.2, "high": -0.05}
    sentence, compared = first_sentence(study, tmp_path / "b", **worse)
    assert sentence["kind"] == "hurts" and "colorization hurts" in sentence["head"]
    assert "dice −0.100" in sentence["rest"] and "equal" not in compared
    failed = {"verdict": "incomplete", "low": None, "high": None, "seeds": 9}
    sentence, _ = first_sentence(study, tmp_path / "d", **failed)
    assert sentence["kind"] == "open" and "failed" in sentence["head"]
    assert "9 seeds" in sentence["rest"] and "interval" not in sentence["rest"]
    few = {"verdict": "too few seeds", "low": None, "high": None, "seeds": 3}
    sentence, _ = first_sentence(study, tmp_path / "c", **few)
    assert sentence["kind"] == "open" and "too few seeds" in sentence["head"]
    assert "3 of 5" in sentence["rest"] and "interval" not in sentence["rest"]


def test_what_the_intervals_generalise_to_is_said(study: Path, tmp_path: Path) -> None:
    assert json.loads((study / "study.json").read_text())["groups"] is None
    _, compared = first_sentence(study, tmp_path / "single")
    assert "each frame" in compared and "too narrow" in compared
    out = Path(shutil.copytree(study, tmp_path / "grouped"))
    summary = json.loads((out / "study.json").read_text())
    (out / "study.json").write_text(json.dumps(summary | {"groups": 4}))
    _, compared = first_sentence(out, tmp_path / "again")
    assert "4 videos or patients" in compared and "too narrow" not in compared
    words = Page(page(out, drawn=False)).words
    assert "The verdicts are about 4 videos or patients." in words
    assert "takes seeds and groups into account" in words


def test_a_study_that_is_not_complete_says_so(study: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study, tmp_path / "study"))
    (out / "study.json").unlink()
    lines = (out / "ledger.jsonl").read_text().splitlines(keepends=True)
    (out / "ledger.jsonl").write_text("".join(lines[:7]))
    warnings = notes(out)
    assert "not complete" in warnings and "7 of its 20 runs" in warnings
    assert "no verdict yet" in warnings


def test_all_of_it_is_there(text: str) -> None:
    words = Page(text).words
    for needed in (
        "best constant prediction", "dice_assignment", "absent_fp_rate", "Not a medical device",
        "reaches with", "1634 unlabelled pictures", "1 identical, 2 near-identical", "--drop-leaks",
        "new patients",
        "no-groups", "learning_rate", "hidden", "head.weight", "headstart study ", "--labels 3,12",
        "4770", "0.0311", "Computing time", "processor", "label map", "fewer than 5 frames",
        "recipe “default”", "4 further labelled frames",
    ):  # fmt: skip
        assert needed in words, needed
    assert text.count("<svg") == 5 and text.count("data:image/") == 3


def test_every_figure_and_table_has_words(text: str) -> None:
    page = Page(text)
    assert page.tags.count("figure") == page.tags.count("figcaption")
    assert page.tags.count("table") + page.tags.count("svg") + page.tags.count("img") == (
        page.tags.count("figure")
    )
    assert all(value for name, value in page.attributes if name in ("alt", "aria-label"))


def test_a_run(trained: Path) -> None:
    words = Page(page(trained)).words
    for needed in ("on the 5 test frames", "headstart train ", "Training and validation loss"):
        assert needed in words
    assert "Comparisons" not in words


def test_a_collapsed_run_is_called_so(hostile: Path) -> None:
    text = page(hostile)
    assert "1 of 12 runs collapsed" in text and "collapsed: 1 of 3" in text
    run = next(r for r in read_records(hostile).runs if r.scores["collapsed"])
    single = Records(run.folder, run=read_records(run.folder).run, runs=(run,))
    (sentence,) = opening(single, arms_of(single))["sentences"]
    assert sentence["kind"] == "hurts" and "Collapsed" in sentence["head"]
    assert "Collapsed:" in render_records(single, pictures=False)


def test_without_pictures_there_are_none(study: Path) -> None:
    text = page(study, pictures=False)
    assert "data:image" not in text and "<img" not in text
    assert "--without-pictures" in text


def test_hostile_names_are_only_names(hostile: Path) -> None:
    with drawn_figures():
        text = page(hostile)
    alone(text)
    assert "<script" not in text and "<b>&" not in text and "onerror=alert(1)>" not in text
    words = Page(text).text
    for name in (*HOSTILE, START):
        assert printable(name) in words, name
    assert "nowhere/<img src=x onerror=alert(1)>" in words


def test_classes_that_hardly_any_frame_shows(text: str, study: Path) -> None:
    names = read_records(study).runs[0].frames.names
    words = Page(text).words
    assert re.search(rf"{names[2]} †\s*3\s*0\.", words)
    assert re.search(rf"{names[3]} ‡\s*0\s*–\s*–", words)
    for mark, facts in (("†", ("fewer than 5 frames", "left out")), ("‡", ("no test frame",))):
        (note,) = re.findall(rf"{mark} ([a-z][^.]*)\.", words)
        assert all(fact in note for fact in facts)
    scope = verdict_scope(read_records(study), grouped=False)
    assert names[2] in scope.split("left out")[1] and "fewer than 5 frames" in scope
    said = f"As in the verdicts, dice leaves out {names[2]}; Table 1 does not."
    assert words.count(said) == 2, "below the figure and in the table of those means"
    assert scope in words


def test_a_verdict_on_few_frames_says_so(trained: Path, tmp_path: Path) -> None:
    held = dict.fromkeys(range(1, 5), 3)
    folder = make_study(trained, tmp_path / "s", labels=(12,), held=held)
    scope = verdict_scope(read_records(folder), grouped=False)
    assert "very few frames" in scope and scope in Page(page(folder)).words


def test_records_without_pictures_travel(study: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study, tmp_path / "study"))
    for path in [*out.rglob("predictions.png"), *out.rglob("restorations.png")]:
        path.unlink()
    text = page(out)
    assert "Its pictures are missing" in text and "data:image" not in text


def test_written_again_it_is_the_same(study: Path, tmp_path: Path) -> None:
    first = Path(shutil.copytree(study, tmp_path / "a" / "study"))
    names = [str(p.relative_to(first)) for p in write_report(first)]
    assert names[0] == "report.html"
    assert set(names) >= {f"report/{n}" for n in (
        "scores.csv", "comparisons.csv", "classes.csv", "scores.tex", "comparisons.tex",
        "label-efficiency.png", "label-efficiency.pdf", "losses.png", "losses.pdf",
    )}  # fmt: skip
    second = Path(shutil.copytree(first, tmp_path / "b" / "study"))
    assert [str(p.relative_to(second)) for p in write_report(second)] == names
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert not list(first.rglob("*.tmp-*"))


def test_a_folder_of_that_name_is_not_written_over(study: Path, tmp_path: Path) -> None:
    mine = tmp_path / "paper" / "report" / "scores.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match="not-empty"):
        write_report(study, out=tmp_path / "paper")
    assert mine.read_text() == "mine" and not (tmp_path / "paper/report.html").exists()
    write_report(study, out=tmp_path / "new")
    (tmp_path / "new/report.html").unlink()  # as if it had been killed before
    write_report(study, out=tmp_path / "new")


def test_the_verb(study: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study, tmp_path / "study"))
    app = Typer()
    app.command()(report)
    done = CliRunner().invoke(app, [str(out), "--json", "--without-pictures"])
    assert done.exit_code == 0, done.output
    written = json.loads(done.stdout)
    assert all(Path(p).stat().st_size for p in (written["page"], *written["files"]))
    assert "data:image" not in (out / "report.html").read_text()
    assert "Example: headstart report" in CliRunner().invoke(app, ["--help"]).output
    bad = CliRunner().invoke(app, [str(tmp_path / "nothing")])
    assert isinstance(bad.exception, DataError)


def test_a_report_loads_no_torch() -> None:
    script = (
        "import sys, pkgutil, headstart.reports, headstart.cli.report\n"
        "for m in pkgutil.iter_modules(headstart.reports.__path__):\n"
        "    __import__('headstart.reports.' + m.name)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
