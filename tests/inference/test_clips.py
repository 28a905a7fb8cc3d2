"""A clip goes in; an overlay with its times, areas, a timeline and masks come out, or nothing."""

from __future__ import annotations

import csv
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.pictures.clip import open_clip
from headstart.errors import DataError, DiskError, InterruptedRun, UsageError
from headstart.inference import video_writer
from headstart.inference.clips import ClipPrediction, predict_clip
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.plots.overlay import overlay
from headstart.system.signals import Stopping
from tests.clips import damage, frames_in, make_clip

FILES = [".lock", "areas.csv", "made-of.txt", "overlay.mp4", "timeline.png"]


@pytest.fixture(scope="module")
def segmenter(trained: Path) -> Segmenter:
    return open_segmenter(trained, "cpu")


def film(segmenter: Segmenter, path: Path, out: Path, masks: bool = False) -> ClipPrediction:
    with Stopping() as stopping, open_clip(path, stopping.asked) as clip:
        return predict_clip(segmenter, clip, out, stopping, masks)


def rows(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "areas.csv").read_text().splitlines()))


def test_all_that_is_written(segmenter: Segmenter, tmp_path: Path) -> None:
    """Times that vary, an odd size: areas, masks and overlay agree with one another."""
    tick, times = Fraction(1, 1000), [0, 40, 45, 200, 1200, 1201, 1250, 1300, 1400, 1500]
    path = make_clip(tmp_path / "a.mkv", times, container="matroska", codec="mpeg4", tick=tick)
    out = tmp_path / "out"
    written = film(segmenter, path, out, masks=True)
    assert sorted(p.name for p in out.iterdir()) == sorted([*FILES, "masks"])
    assert (written.frames, written.skipped, written.size) == (10, 0, (32, 40))
    assert written.warnings == () and written.encoder == "libx264"

    areas, names = rows(out), segmenter.label_map.names
    assert [float(row["seconds"]) for row in areas] == [t / 1000 for t in times]
    seen = frames_in(out / "overlay.mp4")
    assert [time for time, _ in seen] == [t * tick for t in times]
    for i, ((_, image), row) in enumerate(zip(frames_in(path), areas, strict=True)):
        (classes,) = class_maps_of(segmenter, [image])
        with Image.open(out / "masks" / f"{i:06d}.png") as mask:
            levels = np.asarray(mask)
        assert np.array_equal(levels, segmenter.label_map.to_greys(classes))
        shares = [float(row[name]) for name in names]
        assert shares == pytest.approx(np.bincount(classes.ravel(), minlength=5) / 1280, abs=1e-6)
        shown = seen[i][1][:256].reshape(32, 8, 40, 8, 3).mean((1, 3))
        assert np.abs(shown - overlay(image, classes)).mean() < 8
    strips = [image[256:] for _, image in seen]
    assert np.abs(np.diff(np.array(strips, int), axis=0)).max() < 30  # the legend never changes
    assert (strips[0].mean((0, 1)) > 180).all() and strips[0].min() < 120
    with Image.open(out / "timeline.png") as timeline:
        assert timeline.width == 1080


def test_the_same_again_writes_the_same(segmenter: Segmenter, tmp_path: Path) -> None:
    path, out = make_clip(tmp_path / "a.mp4", range(5)), tmp_path / "out"
    film(segmenter, path, out, masks=True)
    before = {p: p.read_bytes() for p in out.rglob("*.*")}
    seen = frames_in(out / "overlay.mp4")
    (out / f"overlay.mp4.tmp-{2**22 + 1}").write_bytes(b"of a process that was killed")
    (out / f"masks.tmp-{2**22 + 1}").mkdir()
    path = path.rename(tmp_path / "other name.mp4")
    film(segmenter, path, out, masks=True)
    after = {p: p.read_bytes() for p in out.rglob("*.*")}
    assert after.keys() == before.keys() and not list(out.glob("*.tmp-*"))
    different = {p.name for p in before if before[p] != after[p]}
    assert different <= {"timeline.png", "overlay.mp4"}  # its title; and x264 is not exact
    for (time, image), (then, as_then) in zip(frames_in(out / "overlay.mp4"), seen, strict=True):
        assert time == then and np.array_equal(image, as_then)


def test_masks_that_somebody_corrected_are_kept(segmenter: Segmenter, tmp_path: Path) -> None:
    path, out = make_clip(tmp_path / "a.mp4", range(3)), tmp_path / "out"
    film(segmenter, path, out, masks=True)
    before = {p: p.read_bytes() for p in out.rglob("*.*")}
    (out / "masks/000002.png").unlink()
    before[out / "masks/000001.png"] = b"corrected"
    (out / "masks/000001.png").write_bytes(b"corrected")
    with pytest.raises(UsageError, match=r"1 masks") as caught:
        film(segmenter, path, out, masks=True)
    assert caught.value.findings[0].code == "masks-differ"
    assert caught.value.findings[0].files == ("000001.png",)
    del before[out / "masks/000002.png"]
    assert {p: p.read_bytes() for p in out.rglob("*.*")} == before
    (out / "masks/000001.png").unlink()
    film(segmenter, path, out, masks=True)
    assert (out / "masks/000002.png").exists() and (out / "masks/000001.png").exists()


def test_another_clips_files_are_not_overwritten(segmenter: Segmenter, tmp_path: Path) -> None:
    out = tmp_path / "out"
    film(segmenter, make_clip(tmp_path / "a.mp4", range(3)), out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    with pytest.raises(UsageError, match=re.escape(str(out))) as caught:
        film(segmenter, make_clip(tmp_path / "a.mp4", range(4)), out)
    assert caught.value.findings[0].code == "not-empty"
    assert before == {p.name: p.read_bytes() for p in out.iterdir()}


def test_broken_frames_and_a_cut_are_told(segmenter: Segmenter, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", range(30), codec="mjpeg", at_front=True)
    content = damage(path, [3, 12]).read_bytes()
    path.write_bytes(content[: len(content) * 8 // 10])
    written = film(segmenter, path, tmp_path / "out")
    warnings = {w.code: w for w in written.warnings}
    assert "3 at 0.120 s, 12 at 0.480 s" in warnings["broken-frames"].message
    assert "clip-cut-short" in warnings and written.skipped >= 2
    frames = [int(row["frame"]) for row in rows(tmp_path / "out")]
    assert written.frames == len(frames) and not {3, 12} & set(frames)
    times = [time for time, _ in frames_in(tmp_path / "out/overlay.mp4")]
    assert times == [Fraction(i, 25) for i in frames]


def test_a_size_that_changes_fits_the_first(segmenter: Segmenter, tmp_path: Path) -> None:
    parts = [
        make_clip(
            tmp_path / f"{h}.mpg", range(5), container="mpeg", codec="mpeg2video", size=(h, 48)
        )
        for h in (32, 64)
    ]
    (tmp_path / "a.mpg").write_bytes(b"".join(part.read_bytes() for part in parts))
    out = tmp_path / "out"
    written = film(segmenter, tmp_path / "a.mpg", out, masks=True)
    assert "frame-size-changes" in [w.code for w in written.warnings]
    sizes = set()
    for path in (out / "masks").iterdir():
        with Image.open(path) as mask:
            sizes.add(mask.size)
    assert sizes == {(48, 32), (48, 64)}
    assert len({image.shape for _, image in frames_in(out / "overlay.mp4")}) == 1


def test_a_kill_at_any_name_that_changes_loses_no_mask(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    path, out = make_clip(tmp_path / "a.mp4", range(3)), tmp_path / "out"
    film(segmenter, path, out, masks=True)
    before = {p.name: p.read_bytes() for p in (out / "masks").iterdir()}
    kills = 0
    while film_until(segmenter, path, out, kills) == -signal.SIGKILL:
        kills += 1
        assert before == {p.name: p.read_bytes() for p in (out / "masks").iterdir()}, kills
    assert kills >= 5 and sorted(p.name for p in out.iterdir()) == sorted([*FILES, "masks"])
    assert before == {p.name: p.read_bytes() for p in (out / "masks").iterdir()}


def film_until(segmenter: Segmenter, path: Path, out: Path, names: int) -> int:
    """The status of a process that is killed before it gives one more name than ``names``."""
    child = os.fork()
    if child == 0:
        given = 0

        def counted(rename: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
            def count(old: Path, new: Path) -> Path:
                nonlocal given
                if given == names:
                    os.kill(os.getpid(), signal.SIGKILL)
                given += 1
                return rename(old, new)

            return count

        try:
            Path.replace, Path.rename = counted(Path.replace), counted(Path.rename)  # type: ignore[method-assign,assignment]
            film(segmenter, path, out, masks=True)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_masks_of_frames_that_have_none_now_are_named(segmenter: Segmenter, tmp_path: Path) -> None:
    """What somebody has put beside them stays."""
    path, out = make_clip(tmp_path / "a.mp4", range(3)), tmp_path / "out"
    film(segmenter, path, out, masks=True)
    for name in ("000099.png", "mine.png", "notes.txt"):
        (out / "masks" / name).write_bytes(b"")
    with pytest.raises(UsageError, match=r"\[masks-differ\](?s:.*)000099"):
        film(segmenter, path, out, masks=True)
    (out / "masks/000099.png").unlink()
    film(segmenter, path, out, masks=True)
    left = {p.name for p in (out / "masks").iterdir()}
    assert left == {"000000.png", "000001.png", "000002.png", "mine.png", "notes.txt"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing(segmenter: Segmenter, tmp_path: Path, number: int) -> None:
    path, out = make_clip(tmp_path / "a.mp4", range(40)), tmp_path / "out"

    def step(done: int, total: int | None) -> None:
        assert total == 40 and list(out.glob("overlay.mp4.tmp-*"))
        os.kill(os.getpid(), number)

    with (
        pytest.raises(InterruptedRun) as stopped,
        Stopping() as stopping,
        open_clip(path, stopping.asked) as clip,
    ):
        predict_clip(segmenter, clip, out, stopping, masks=True, step=step)
    assert stopped.value.exit_status == 128 + number
    assert sorted(p.name for p in out.iterdir()) == [".lock", "made-of.txt"]


def test_a_signal_while_the_file_is_hashed(segmenter: Segmenter, tmp_path: Path) -> None:
    """Which takes a while for a large one: no folder is made yet."""
    path, out = make_clip(tmp_path / "a.mp4", range(3)), tmp_path / "out"
    with (
        pytest.raises(InterruptedRun) as stopped,
        Stopping() as stopping,
        open_clip(path, stopping.asked) as clip,
    ):

        def digest() -> str | None:
            os.kill(os.getpid(), signal.SIGINT)
            return clip.digest()

        predict_clip(segmenter, replace(clip, digest=digest), out, stopping)
    assert stopped.value.exit_status == 130 and not out.exists()


def test_a_clip_that_fails_late_leaves_nothing(segmenter: Segmenter, tmp_path: Path) -> None:
    """Nor does one that fails at once make a folder."""
    path = make_clip(tmp_path / "a.avi", range(300), container="avi", codec="mjpeg", size=(16, 16))
    with pytest.raises(DataError, match="cannot be decoded"):
        film(segmenter, damage(path, range(50, 290, 2)), tmp_path / "late", masks=True)
    assert sorted(p.name for p in (tmp_path / "late").iterdir()) == [".lock", "made-of.txt"]
    with pytest.raises(DataError, match="no frame of the clip can be decoded"):
        film(segmenter, damage(path, range(300)), tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_a_full_disk_leaves_what_was_there(segmenter: Segmenter, tmp_path: Path) -> None:
    """A limit on the size of files says no as a full disk does."""
    import resource

    path, out = make_clip(tmp_path / "a.mp4", range(30), size=(256, 320)), tmp_path / "out"
    film(segmenter, path, out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
        with pytest.raises(DiskError, match="File too large"):
            film(segmenter, path, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert before == {p.name: p.read_bytes() for p in out.iterdir()}


def test_without_x264_the_other_encoder_is_used(
    segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose ticks are coarser: times are as near as they go, and rise."""
    kept = {"no_such_encoder": ({}, 1), "mpeg4": video_writer._ENCODERS["mpeg4"]}
    monkeypatch.setattr(video_writer, "_ENCODERS", kept)
    tick, times = Fraction(1, 90_000), [0, 3000, 3001, 9000, 12_000]
    path = make_clip(tmp_path / "a.mp4", times, tick=tick)
    assert film(segmenter, path, tmp_path / "out").encoder == "mpeg4"
    seen = [time for time, _ in frames_in(tmp_path / "out/overlay.mp4")]
    assert seen == sorted(set(seen))
    assert seen == pytest.approx([t / 90_000 for t in times], abs=1 / 20_000)


def test_names_are_no_formulas(tmp_path: Path) -> None:
    names = ("background", "=HYPERLINK(1)", "@x", "a,b")
    with (tmp_path / "areas.csv").open("w+") as file:
        video_writer.ClipFiles(file, names, lambda *_: None, lambda *_: None, "", Fraction(1))
        file.seek(0)
        header = next(csv.reader(file))
    assert header == ["frame", "seconds", "background", "'=HYPERLINK(1)", "'@x", "a,b"]


def test_a_long_timeline_is_merged_and_keeps_its_means() -> None:
    timeline, rng = video_writer.Timeline(), np.random.default_rng(0)
    shares = rng.random((9001, 3))
    for i, row in enumerate(shares):
        timeline.add(Fraction(i, 25), Fraction(i + 1, 25), row)
    seconds, means = timeline.stretches()
    assert 2000 <= len(means) < 4000
    assert seconds[0, 0] == 0 and seconds[-1, 1] == 9001 / 25
    assert np.array_equal(seconds[1:, 0], seconds[:-1, 1])
    lengths = (seconds[:, 1] - seconds[:, 0])[:, None]
    assert (means * lengths).sum(0) / lengths.sum() == pytest.approx(shares.mean(0))
    assert means[0] == pytest.approx(shares[: round(lengths[0, 0] * 25)].mean(0))
