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
from headstart.errors import DataError, printable
from headstart.report.dataset import look
from headstart.report.page import Figures, draw, render
from headstart.report.read import Records, read_records
from headstart.report.summary import cells
from headstart.report.write import write_report
from tests.report.conftest import HOSTILE, START
from tests.report.maker import make_study

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
    its, seen = cells(records), look(records)
    figures = draw(records, its, seen) if drawn else Figures(None, None, None)
    return render(records, its, seen, figures, pictures)


def changed(folder: Path, tmp_path: Path, **comparison: object) -> str:
    """The page of a study of which one comparison is another."""
    out = Path(shutil.copytree(folder, tmp_path / "study"))
    made = json.loads((out / "study.json").read_text())
    made["comparisons"][0] |= comparison
    (out / "study.json").write_text(json.dumps(made))
    return Page(page(out, drawn=False)).words


@pytest.fixture(scope="module")
def text(study: Path) -> str:
    return page(study)


def alone(text: str) -> None:
    """Nothing runs, nothing is fetched, no name is used twice."""
    found = Page(text)
    assert not {"script", "iframe", "link", "object", "embed", "base", "form"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    for name, value in found.attributes:
        if name in ("src", "href", "srcset", "action", "data"):
            assert value.startswith(("#", "data:image/")), (name, value[:50])
    assert "url(" not in re.sub(r"url\(#\w+\)", "", text) and "@import" not in text
    names = [value for name, value in found.attributes if name == "id"]
    assert len(names) == len(set(names))
    targets = {v[1:] for n, v in found.attributes if n == "href"}
    assert targets <= set(names)


def test_the_page_stands_alone(text: str, trained: Path, study: Path) -> None:
    alone(text)
    alone(page(trained))
    alone(page(next((study / "starts").iterdir())))
    assert "http" not in re.sub(r"data:image/[^\"]*", "", text)


def test_the_verdict_comes_first(text: str, study: Path) -> None:
    words = Page(text).words
    assert words.index("With 3 labels, colorization helps:") < words.index("Labels Scores")
    told = read_records(study).study
    assert told is not None
    for c in told["comparisons"]:
        assert f"{c['difference']:+.3f} (" in words and c["verdict"] in words
    assert "Compared with scratch over 5 seeds, on 20 test frames." in words
    assert "adjusted for 2 comparisons (Holm)" in words


def test_leaks_are_told_beside_the_verdict(study: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study, tmp_path / "study"))
    told = "Pre-training has seen 3 pictures that, exactly or nearly, are validation or test frames"
    assert told in Page(page(out, drawn=False)).words
    for path in out.glob("starts/*/leaks.json"):
        path.write_text(path.read_text().replace('"dropped": false', '"dropped": true'))
    words = Page(page(out, drawn=False)).words
    assert told not in words and "They were left out." in words
    for path in out.glob("starts/*/leaks.json"):
        nothing = {**json.loads(path.read_text()), "copies": [], "near": []}
        path.write_text(json.dumps(nothing))
    words = Page(page(out, drawn=False)).words
    assert "None is, exactly or nearly, a validation or test frame." in words


def test_other_verdicts(study: Path, tmp_path: Path) -> None:
    told = {"verdict": "no difference shown", "difference": 0.0001, "low": -0.01, "high": 0.02}
    words = changed(study, tmp_path / "a", **told)
    assert "With 3 labels, no difference shown for colorization: dice +0.0001 (" in words
    assert "is not the same as equal" in words
    told = {"verdict": "hurts", "difference": -0.1, "low": -0.2, "high": -0.05}
    words = changed(study, tmp_path / "b", **told)
    assert "With 3 labels, colorization hurts: dice −0.100 (" in words
    told = {"verdict": "too few seeds", "low": None, "high": None, "seeds": 3}
    words = changed(study, tmp_path / "c", **told)
    assert "With 3 labels, too few seeds for a verdict on colorization:" in words
    assert "so far, 3 of 5" in words


def test_it_is_said_of_what_else_the_intervals_speak(study: Path, tmp_path: Path) -> None:
    assert json.loads((study / "study.json").read_text())["groups"] is None
    words = Page(page(study, drawn=False)).words
    assert "take each frame as drawn by itself" in words
    assert "For a new video or patient they are too narrow." in words
    out = Path(shutil.copytree(study, tmp_path / "grouped"))
    made = json.loads((out / "study.json").read_text())
    (out / "study.json").write_text(json.dumps(made | {"groups": 4}))
    words = Page(page(out, drawn=False)).words
    assert "take the 4 videos or patients of these frames as drawn by chance" in words
    assert "too narrow." not in words


def test_a_study_that_is_not_complete_says_so(study: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study, tmp_path / "study"))
    (out / "study.json").unlink()
    lines = (out / "ledger.jsonl").read_text().splitlines(keepends=True)
    (out / "ledger.jsonl").write_text("".join(lines[:7]))
    words = Page(page(out, drawn=False)).words
    assert "This study is not complete: 7 of its 20 runs are here." in words
    assert "There is no verdict yet" in words


def test_all_of_it_is_there(text: str) -> None:
    words = Page(text).words
    for needed in (
        "best constant prediction", "dice_assignment", "absent_fp_rate", "Not a medical device",
        "reaches with", "without labels. Also validation or test frames: 1 exactly, 2 nearly",
        "pre-training has seen frames that scores are taken on",
        "Without groups the score says nothing",
        "no-groups", "learning_rate", "hidden", "head.weight", "headstart study ", "--labels 3,12",
        "4770", "0.0311", "Computing time", "processor", "label map", "on fewer than 5 frames",
        "recipe “default”", "4 labelled validation frames",
    ):  # fmt: skip
        assert needed in words, needed
    assert text.count("<svg") == 3 and text.count("data:image/") == 3


def test_every_figure_and_table_has_words(text: str) -> None:
    found = Page(text)
    assert found.tags.count("figure") == found.tags.count("figcaption")
    assert found.tags.count("table") + found.tags.count("svg") + found.tags.count("img") == (
        found.tags.count("figure")
    )
    assert all(value for name, value in found.attributes if name in ("alt", "aria-label"))


def test_a_run(trained: Path) -> None:
    words = Page(page(trained)).words
    for needed in ("on the 5 test frames", "headstart train ", "Training and validation loss"):
        assert needed in words
    assert "Comparisons" not in words


def test_a_collapsed_run_is_called_so(hostile: Path) -> None:
    text = page(hostile)
    assert "1 of 12 runs collapsed" in text and "collapsed: 1 of 3" in text
    run = next(r for r in read_records(hostile).runs if r.scores["collapsed"])
    alone_ = Records(run.folder, read_records(run.folder).config, 1, (run,), 0, None, ())
    its, seen = cells(alone_), look(alone_)
    assert "Collapsed:" in render(alone_, its, seen, draw(alone_, its, seen), False)


def test_without_pictures_there_are_none(study: Path) -> None:
    text = page(study, pictures=False)
    assert "data:image" not in text and "<img" not in text
    assert "they may be patients’" in text


def test_hostile_names_are_only_names(hostile: Path) -> None:
    text = page(hostile)
    alone(text)
    assert "<script" not in text and "<b>&" not in text and "onerror=alert(1)>" not in text
    words = Page(text).text
    for name in (*HOSTILE, START):
        assert printable(name) in words, name
    assert "The data were not at nowhere/<img src=x onerror=alert(1)>" in words


def test_classes_that_hardly_any_frame_shows(text: str, study: Path) -> None:
    names = read_records(study).runs[0].frames.names
    words = Page(text).words
    assert re.search(rf"{names[2]} †\s*3\s*0\.", words)
    assert re.search(rf"{names[3]} ‡\s*0\s*–\s*–", words)
    assert "† on fewer than 5 frames: left out of the verdict’s mean." in words
    assert "‡ no test frame holds it, so that it has no score (–)." in words
    assert f"Left out, being on fewer than 5 frames: {names[2]}." in words


def test_a_verdict_on_few_frames_says_so(trained: Path, tmp_path: Path) -> None:
    held = dict.fromkeys(range(1, 5), 3)
    folder = make_study(trained, tmp_path / "s", labels=(12,), held=held)
    assert "stands on very few frames" in Page(page(folder)).words


def test_records_without_pictures_travel(study: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study, tmp_path / "study"))
    for path in [*out.rglob("predictions.png"), *out.rglob("restorations.png")]:
        path.unlink()
    text = page(out)
    assert "did not travel with the records" in text and "data:image" not in text


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


def test_the_verb(study: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study, tmp_path / "study"))
    app = Typer()
    app.command()(report)
    done = CliRunner().invoke(app, [str(out), "--json", "--without-pictures"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert all(Path(p).stat().st_size for p in (told["page"], *told["files"]))
    assert "data:image" not in (out / "report.html").read_text()
    assert "Example: headstart report" in CliRunner().invoke(app, ["--help"]).output
    bad = CliRunner().invoke(app, [str(tmp_path / "nothing")])
    assert isinstance(bad.exception, DataError)


def test_a_report_loads_no_torch() -> None:
    script = (
        "import sys, pkgutil, headstart.report, headstart.cli.report\n"
        "for m in pkgutil.iter_modules(headstart.report.__path__):\n"
        "    __import__('headstart.report.' + m.name)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
