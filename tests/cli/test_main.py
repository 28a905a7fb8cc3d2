"""The command line: what goes in, what is on which stream, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.cli import main as cli
from headstart.studies.summary import read_summary
from headstart.system.disk import locked
from tests.cli.command import become_headstart, headstart

VERBS = (
    "demo", "check", "train", "pretrain", "study", "status", "report", "evaluate", "predict",
    "suggest",
    "export", "serve", "doctor", "explain", "homework",
)  # fmt: skip
TINY = ("--size", "16x24", "--width", "2", "--epochs", "1", "--threads", "1", "--device", "cpu")


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "run"
    done = headstart("train", drawn, "--out", out, *TINY, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((out / "scores.json").read_text())
    assert "epoch   1" in done.stderr and "\x1b" not in done.stderr
    return out


def test_predicted_masks_score_what_the_run_scored(drawn: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = headstart("predict", run, drawn, "--split", "test", "--out", out, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    masks = sorted((out / "masks").iterdir())
    assert len(masks) == 5 and len(list((out / "overlays").iterdir())) == 5
    for path in masks:
        mask = Image.open(path)
        assert mask.mode == "L" and mask.size == (40, 32)
        assert set(np.unique(np.array(mask))) <= {0, 60, 120, 180, 240}
    scored = headstart("evaluate", out / "masks", drawn, "--split", "test", "--json")
    assert json.loads(scored.stdout) == json.loads((run / "scores.json").read_text())
    again = headstart("evaluate", run, drawn, "--json", "--device", "cpu")
    assert json.loads(again.stdout) == json.loads((run / "scores.json").read_text())


def test_check_has_one_object_on_stdout(drawn: Path) -> None:
    done = headstart("check", drawn, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["schema"] == 1
    assert report["splits"]["train"]["frames"] == 12


def test_help_is_quick_and_has_an_example() -> None:
    """Half a second is the target; the limit here is loose, the machine may be busy."""
    times = []
    for _ in range(3):
        began = time.monotonic()
        command = [sys.executable, "-m", "headstart", "--help"]
        assert "check" in subprocess.run(command, capture_output=True, text=True).stdout
        times.append(time.monotonic() - began)
    assert min(times) < 2
    for verb in VERBS:
        assert "Example: headstart" in headstart(verb, "--help").stdout


def test_a_help_page_or_a_check_loads_no_torch(drawn: Path) -> None:
    script = (
        "import sys; sys.argv = ['headstart', *sys.argv[1:]]\n"
        "from headstart.cli.main import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    for arguments in (["--help"], ["study", "--help"], ["check", str(drawn)]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "streams", "status"),
    [
        ("unknown-grey", ">&- 2>&-", 0), ("no-such-code", ">&- 2>&-", 2),
        ("no-such-code", "2>/dev/full", 2), ("unknown-grey", ">/dev/full 2>/dev/full", 74),
    ],
)  # fmt: skip
def test_streams_that_are_closed_or_full_change_no_status(
    code: str, streams: str, status: int
) -> None:
    command = f"exec {sys.executable} -m headstart explain {code} {streams}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == status and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "raised",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    ],
)
def test_too_little_memory_ends_with_74_and_says_what_to_do(
    raised: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Left(BaseException):
        pass

    def raising() -> None:
        raise raised

    def leave(status: int) -> None:
        assert status == 74
        raise Left

    monkeypatch.setattr(cli, "app", raising)
    monkeypatch.setattr(cli, "_leave", leave)
    with pytest.raises(Left):
        cli.main()
    said = capsys.readouterr().err
    assert "error[memory]" in said and "--size" in said and "Traceback" not in said


# What a message has to hold: the code, where it is a finding of ours, and the facts.
WRONG = {
    "an option misspelt": (["train", "DATA", "--epcohs", "3"], ["--epcohs", "--epochs"]),
    "a size that is none": (["train", "DATA", "--size", "64by80"], ["error[bad-size]", "64by80"]),
    "a size too small": (
        ["train", "DATA", "--size", "4x4"],
        ["error[bad-size]", "4x4", "8 to 8192"],
    ),
    "a recipe misspelt": (
        ["train", "DATA", "--recipe", "asignment"],
        ["error[unknown-recipe]", "asignment", "assignment?"],
    ),
    "a width that is no number": (["train", "DATA", "--width", "wide"], ["--width"]),
    "a width of none": (["train", "DATA", "--width", "0"], ["error[bad-setting]", "width"]),
    "epochs below one": (["train", "DATA", "--epochs", "0"], ["error[bad-setting]", "epochs"]),
    "labels that are none": (
        ["train", "DATA", "--labels", "few"],
        ["error[bad-labels]", "--labels few", "all"],
    ),
    "a negative seed": (["train", "DATA", "--seed", "-1"], ["error[bad-setting]", "seed"]),
    "no such device": (
        ["train", "DATA", "--device", "tpu"],
        ["error[unknown-device]", "tpu", "cpu, cuda"],
    ),
    "no such verb": (["trian", "DATA"], ["trian", "train"]),
    "no such split": (
        ["evaluate", "DATA", "DATA", "--split", "tset"],
        ["error[no-such-split]", "tset", "train, validation, test"],
    ),
    "no such start": (
        ["train", "DATA", "--start", "colorisation"],
        ["error[unknown-start]", "colorisation", "scratch, color"],
    ),
    "a start with no weights": (
        ["train", "DATA", "--start", "DATA"],
        ["error[no-weights]", "DATA"],
    ),
    "no such pretext": (
        ["pretrain", "DATA", "--pretext", "jigsaw"],
        ["error[bad-setting]", "masked-denoising"],
    ),
    "no such start in a study": (
        ["study", "DATA", "--starts", "scratch,jigsaw"],
        ["error[unknown-start]", "jigsaw"],
    ),
    "a start twice": (
        ["study", "DATA", "--starts", "scratch,scratch"],
        ["error[bad-list]", "scratch,scratch"],
    ),
    "seeds that are none": (["study", "DATA", "--seeds", "some"], ["error[bad-seeds]", "--seeds"]),
    "no threads in a study": (["study", "DATA", "--threads", "0"], ["--threads"]),
    "a U-Net written otherwise": (
        ["train", "DATA", "--model", "U-Net"],
        ["error[unknown-network]", "U-Net", "unet"],
    ),
    "a budget above the data": (
        ["study", "DATA", "--labels", "13"],
        ["error[budget-too-large]", "13", "12"],
    ),
    "no out": (["predict", "RUN", "DATA"], ["--out"]),
}


@pytest.mark.parametrize(("arguments", "facts"), WRONG.values(), ids=WRONG.keys())
def test_wrong_use_ends_with_2(
    drawn: Path, tmp_path: Path, arguments: list[str], facts: list[str]
) -> None:
    done = headstart(*[drawn if a == "DATA" else a for a in arguments], cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    for fact in facts:
        assert (str(drawn) if fact == "DATA" else fact) in done.stderr, done.stderr
    assert done.stdout == "" and not list(tmp_path.iterdir())


def test_all_that_is_wrong_is_said_at_once(drawn: Path, tmp_path: Path) -> None:
    wrong = ("--size", "4", "--recipe", "asignment", "--labels", "few", "--width", "0")
    done = headstart("train", drawn, *wrong, "--seed", "-1", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("error[") == 5
    for code in ("bad-size", "unknown-recipe", "bad-labels", "bad-setting"):
        assert f"error[{code}]" in done.stderr


def _unknown_grey(data: Path) -> tuple[str, ...]:
    path = data / "segmentation/train/3/3_mask.png"
    Image.fromarray(np.full((32, 40), 77, np.uint8)).save(path)
    return "error[unknown-grey]", "77", "3_mask.png"


def _no_folder(data: Path) -> tuple[str, ...]:
    shutil.rmtree(data)
    return "error[no-such-folder]", "data"


BAD_DATA = {f.__name__.strip("_"): f for f in (_unknown_grey, _no_folder)}


@pytest.mark.parametrize("spoil", BAD_DATA.values(), ids=BAD_DATA.keys())
def test_bad_data_end_with_65_and_write_no_run(drawn: Path, tmp_path: Path, spoil) -> None:
    """Each fault has its tests beside its module; these show the way through the whole."""
    shutil.copytree(drawn, tmp_path / "data")
    facts = spoil(tmp_path / "data")
    done = headstart("train", "data", "--out", "run", *TINY, cwd=tmp_path)
    assert done.returncode == 65, done.stderr
    assert all(fact in done.stderr for fact in facts) and "hint:" in done.stderr
    assert not (tmp_path / "run" / "scores.json").exists()


def test_a_budget_above_the_data_ends_with_65(drawn: Path, tmp_path: Path) -> None:
    done = headstart("train", drawn, "--out", tmp_path / "run", *TINY, "--labels", "13")
    assert done.returncode == 65 and "error[budget-too-large]" in done.stderr
    assert "13" in done.stderr and "12" in done.stderr


@pytest.mark.parametrize(
    "words",
    ["check {data}", "check {data} --json", "explain", "--help", "--version",
     "evaluate {run} {data} --device cpu"],
)  # fmt: skip
def test_a_reader_that_has_left_ends_it_quietly(
    drawn: Path, run: Path, tmp_path: Path, words: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            arguments = words.format(data=drawn, run=run).split()
            become_headstart(writing, err.fileno(), arguments, tmp_path)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        err.seek(0)
        said = err.read().decode()
    assert os.waitstatus_to_exitcode(status) == 141, said
    assert "Broken" not in said and "Traceback" not in said


def test_a_folder_in_use_ends_with_75(drawn: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        done = headstart("train", drawn, "--out", tmp_path / "run", *TINY)
    assert done.returncode == 75 and str(os.getpid()) in done.stderr


def test_an_interrupt_ends_with_130_and_the_same_command_goes_on(
    drawn: Path, tmp_path: Path
) -> None:
    command = ["train", str(drawn), "--out", "run", *TINY]
    command[command.index("--epochs") + 1] = "2000"
    status, said = _signalled(command, tmp_path, "epoch   2", signal.SIGINT)
    assert status == 130 and "info[interrupted]" in said and "--out run" in said
    status, said = _signalled(command, tmp_path, "Resuming from step", signal.SIGTERM)
    lines = [line for line in said.splitlines() if not line.startswith("info[reading]")]
    assert status == 143 and lines[1].startswith("Resuming from step")


def _signalled(command: list[str], cwd: Path, line: str, number: int) -> tuple[int, str]:
    """Sends a signal once stderr has a line that begins so; exit status and all of stderr."""
    path = cwd / "stderr.txt"
    with path.open("w+b") as err, tempfile.TemporaryFile() as out:
        child = os.fork()
        if child == 0:
            become_headstart(out.fileno(), err.fileno(), command, cwd)
        until = time.monotonic() + 120
        while f"\n{line}" not in path.read_text() and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(child, number)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), path.read_text()


def test_predictions_are_not_written_over_something_else(
    run: Path, drawn: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = headstart("predict", run, drawn, "--split", "test", "--out", tmp_path)
    assert done.returncode == 2 and "error[not-empty]" in done.stderr
    assert str(tmp_path) in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_config_makes_the_run_again(run: Path, drawn: Path, tmp_path: Path) -> None:
    done = headstart("train", drawn, "--config", run / "config.json", "--out", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    for name in ("weights.safetensors", "scores.json", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (run / name).read_bytes()


def test_from_pictures_to_a_start_to_a_run(drawn: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    done = headstart("pretrain", drawn, "--pretext", "chroma", "--out", start, *TINY, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((start / "scores.json").read_text())
    assert f"{json.loads(done.stdout)['trivial']['loss']:.5f}" in done.stderr
    done = headstart("train", drawn, "--start", start, "--out", tmp_path / "run", *TINY)
    assert done.returncode == 0, done.stderr
    wide = headstart("train", drawn, "--start", start, "--out", tmp_path / "w", *TINY, "--width", 3)
    assert wide.returncode == 65 and "(2, 3, 3, 3), expected (3, 3, 3, 3)" in wide.stderr
    both = ("--start", "masked-denoising", "--pretext-epochs", "1")
    done = headstart("train", drawn, *both, "--out", tmp_path / "both", *TINY)
    assert done.returncode == 0 and "pretext masked-denoising" in done.stderr
    assert (tmp_path / "both" / "start" / "weights.safetensors").exists()
    again = headstart("train", drawn, *both, "--out", tmp_path / "both", *TINY)
    assert again.returncode == 0 and "epoch" not in again.stderr.split("in ")[0]


def test_a_study_its_plan_and_its_report(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    study = ("study", drawn, "--labels", "6,all", "--seeds", "1", "--out", out, *TINY)
    plan = headstart(*study, "--pretext-epochs", "1", "--dry-run")
    assert plan.returncode == 0 and "0 runs finished, 4 runs left" in plan.stderr
    assert "minute" in plan.stderr and "MB" in plan.stderr
    assert not out.exists()
    cost = json.loads(headstart(*study, "--pretext-epochs", "1", "--dry-run", "--json").stdout)
    assert cost["done"] == 0 and cost["todo"]["runs"] == 4 and cost["todo"]["pretexts"] == 1
    done = headstart(*study, "--pretext-epochs", "1")
    assert done.returncode == 0, done.stderr
    assert "too few seeds" in " ".join(done.stdout.split()) and "[4/4]" in done.stderr
    again = headstart(*study, "--pretext-epochs", "1", "--json")
    assert json.loads(again.stdout) == read_summary(out)
    report = headstart("report", out)
    assert report.returncode == 0, report.stderr
    assert (out / "report.html").exists()
    other = headstart(*study, "--pretext-epochs", "2")
    assert other.returncode == 2 and "pretext_recipe.epochs: 1 -> 2" in other.stderr


def test_a_crash_in_native_code_says_where(tmp_path: Path) -> None:
    crash = "import faulthandler; from headstart.cli import main; "
    crash += "main.app = lambda: faulthandler._sigsegv(); main.main()"
    done = subprocess.run([sys.executable, "-c", crash], capture_output=True, text=True)
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr and "in main" in done.stderr
