"""``headstart predict`` on a clip, as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from headstart.data.layouts.recognise import open_dataset
from headstart.system.disk import locked
from tests.cli.command import become_headstart, headstart
from tests.clips import make_clip


def test_a_clip_is_predicted(trained: Path, tmp_path: Path) -> None:
    clip, out = make_clip(tmp_path / "a.mp4", range(12)), tmp_path / "out"
    command = ("predict", trained, clip, "--out", out, "--device", "cpu", "--masks", "--json")
    done = headstart(*command)
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout)
    assert (written["schema"], written["frames"], written["skipped"]) == (1, 12, 0)
    for key in ("overlay", "areas", "timeline"):
        assert Path(written[key]).is_file()
    assert len(list(Path(written["masks"]).iterdir())) == 12
    assert "12 frames" in done.stderr and "\x1b" not in done.stderr
    assert headstart(*command).returncode == 0


def test_pictures_say_what_was_written(trained: Path, drawn: Path, tmp_path: Path) -> None:
    command = ("predict", trained, drawn, "--split", "test", "--device", "cpu", "--json")
    done = headstart(*command, "--out", tmp_path / "out")
    assert json.loads(done.stdout) == {
        "schema": 1,
        "pictures": 5,
        "masks": str(tmp_path / "out/masks"),
        "overlays": str(tmp_path / "out/overlays"),
    }


def test_a_folder_in_use_is_refused(trained: Path, drawn: Path, tmp_path: Path) -> None:
    """And nothing in it is touched."""
    clip = make_clip(tmp_path / "a.mp4", range(3))
    for source, more in ((clip, ("--masks",)), (drawn, ("--split", "test"))):
        out = tmp_path / "out" / source.stem
        command = ("predict", trained, source, "--out", out, "--device", "cpu", *more)
        assert headstart(*command).returncode == 0
        before = {p: p.stat().st_mtime_ns for p in out.rglob("*.*") if p.name != ".lock"}
        with locked(out):
            done = headstart(*command)
        assert done.returncode == 75 and str(os.getpid()) in done.stderr
        assert before == {p: p.stat().st_mtime_ns for p in out.rglob("*.*") if p.name != ".lock"}


def test_what_is_wrong_is_said_before_torch_is_loaded(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "page.mp4").write_bytes(b"<html>" + b"x" * 1000)
    (tmp_path / "classifier").mkdir()
    config = json.loads((trained / "config.json").read_text())
    assert config["task"] == "segmentation"
    for path, status, facts in (
        (tmp_path / "page.mp4", 65, ("error[not-a-clip]", "HTML")),
        (tmp_path / "none.mp4", 65, ("error[", "none.mp4")),
    ):
        done = headstart("predict", trained, path, "--out", tmp_path / "out")
        assert (done.returncode, done.stdout) == (status, "")
        assert all(fact in done.stderr for fact in facts), done.stderr
        assert not (tmp_path / "out").exists()


def test_a_classifier_takes_no_clip(coloured: Path, tmp_path: Path) -> None:
    from headstart.config.records import make_run_config
    from tests.tiny_runs import CLASSIFIER

    config = make_run_config(schema=1, data=str(coloured), threads=1, **CLASSIFIER)
    (tmp_path / "config.json").write_text(config.model_dump_json(by_alias=True))
    clip = make_clip(tmp_path / "a.mp4", range(2))
    done = headstart("predict", tmp_path, clip, "--out", tmp_path / "out")
    assert done.returncode == 2 and "error[clip-for-classifier]" in done.stderr


def test_without_pyav_pictures_are_predicted_and_a_clip_says_what_to_install(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    """In an interpreter that finds no PyAV."""
    script = (
        "import sys; sys.modules['av'] = None; sys.argv = ['headstart', *sys.argv[1:]]\n"
        "from headstart.cli.main import main; main()"
    )
    clip = make_clip(tmp_path / "a.mp4", range(2))
    picture = open_dataset(drawn).splits["test"][0].image
    for source, status in ((clip, 69), (picture, 0)):
        arguments = [str(trained), str(source), "--out", str(tmp_path / "out"), "--device", "cpu"]
        done = subprocess.run(
            [sys.executable, "-c", script, "predict", *arguments], capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        assert ('pip install "headstart[video]"' in done.stderr) == (status == 69)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_in_the_middle(trained: Path, tmp_path: Path, number: int) -> None:
    """No file has its own name; a signal that can be caught leaves no other either."""
    clip, out = make_clip(tmp_path / "a.mp4", range(1500), size=(64, 80)), tmp_path / "out"
    arguments = ["predict", str(trained), str(clip), "--out", str(out), "--device", "cpu"]
    with tempfile.TemporaryFile() as silent, tempfile.TemporaryFile() as talk:
        child = os.fork()
        if child == 0:
            become_headstart(silent.fileno(), talk.fileno(), arguments, None)
        deadline = time.monotonic() + 120
        while not list(out.glob("overlay.mp4.tmp-*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(child, number)
        _, status = os.waitpid(child, 0)
        talk.seek(0)
        said = talk.read().decode()
    status = os.waitstatus_to_exitcode(status)
    left = sorted(p.name for p in out.iterdir())
    if number == signal.SIGKILL:
        assert status == -number and "overlay.mp4" not in left
        assert [name for name in left if name.startswith("overlay.mp4.tmp-")]
        make_clip(clip, range(3), size=(64, 80))  # another clip: nothing of the first is there
        assert headstart(*arguments).returncode == 0
        assert not list(out.glob("*.tmp-*"))
        make_clip(clip, range(4), size=(64, 80))  # but the second's is not overwritten
        assert headstart(*arguments).returncode == 2
        return
    assert status == 128 + number, said
    assert left == [".lock", "made-of.txt"] and "Traceback" not in said and "interrupted" in said
