"""Frames of a clip by stated rules, whatever the clip is like."""

from __future__ import annotations

import hashlib
import os
import signal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from headstart.data.pictures import clip as clips
from headstart.data.pictures.clip import Broken, Cut, Picture, is_clip, open_clip
from headstart.data.pictures.video_process import Limits, _checked
from headstart.errors import DataError
from tests.clips import damage, make_clip, make_sound, picture


def read(path: Path, limits: Limits = clips._LIMITS) -> list[Picture | Broken | Cut]:
    with open_clip(path, limits=limits) as clip:
        return list(clip.moments)


@pytest.mark.parametrize(
    ("container", "codec", "tick"),
    [
        ("mp4", "libx264", Fraction(1, 1000)),
        ("matroska", "mpeg4", Fraction(1, 1000)),
        ("avi", "mpeg4", Fraction(1, 25)),
    ],
)
def test_frames_come_with_the_clips_own_times(
    tmp_path: Path, container: str, codec: str, tick: Fraction
) -> None:
    """Irregular ones too, where the container has them."""
    times = list(range(8)) if container == "avi" else [500, 540, 545, 700, 1700, 1701, 1750, 1800]
    moments = read(make_clip(tmp_path / "a", times, container=container, codec=codec, tick=tick))
    pictures = [m for m in moments if isinstance(m, Picture)]
    assert pictures == moments and [p.index for p in pictures] == list(range(8))
    assert [p.time for p in pictures] == [(t - times[0]) * tick for t in times]
    assert not any(p.mended for p in pictures)
    for i, p in enumerate(pictures):
        assert np.abs(p.image.astype(int) - picture(i)).mean() < 6


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_is_applied(tmp_path: Path, rotation: int) -> None:
    """The bright corner goes where a player would show it; degrees are counterclockwise."""
    (first, *_) = read(make_clip(tmp_path / "a.mp4", range(2), rotation=rotation))
    assert isinstance(first, Picture)
    expected = np.rot90(picture(0), rotation // 90)
    assert first.image.shape == expected.shape
    assert np.abs(first.image.astype(int) - expected).mean() < 6


def test_broken_frames_are_left_out_and_named(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.avi", container="avi", codec="mjpeg", times=range(20))
    moments = read(damage(path, [4, 9]))
    broken = [m for m in moments if isinstance(m, Broken)]
    assert [(b.index, b.time) for b in broken] == [(4, Fraction(4, 25)), (9, Fraction(9, 25))]
    pictures = [m for m in moments if isinstance(m, Picture)]
    assert [p.index for p in pictures] == [i for i in range(20) if i not in (4, 9)]
    assert [p.time for p in pictures] == [Fraction(p.index, 25) for p in pictures]


@pytest.mark.parametrize(
    ("frames", "bad", "said"),
    [
        (1130, range(1001, 1101), "100 frames in a row"),  # which are no tenth
        (300, range(9, 300, 3), "25 of [0-9]+ frames"),
    ],
)
def test_too_many_broken_frames_are_an_error(
    tmp_path: Path, frames: int, bad: range, said: str
) -> None:
    path = tmp_path / "a.avi"
    make_clip(path, range(frames), container="avi", codec="mjpeg", size=(16, 16))
    with pytest.raises(DataError, match=said):
        read(damage(path, bad))


def test_a_cut_clip_gives_the_frames_so_far(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.mp4", range(60), every_key=True, at_front=True).read_bytes()
    (tmp_path / "a.mp4").write_bytes(whole[: len(whole) * 7 // 10])
    moments = read(tmp_path / "a.mp4")
    pictures = [m for m in moments if isinstance(m, Picture)]
    assert 20 < len(pictures) < 50
    assert isinstance(moments[-1], Cut) and "2.40 s" in moments[-1].why


def test_a_size_that_changes_is_each_frames_own(tmp_path: Path) -> None:
    """Two streams of MPEG-2, one after the other: times go back, too, and are mended."""
    parts = [
        make_clip(
            tmp_path / f"{h}.mpg", range(5), container="mpeg", codec="mpeg2video", size=(h, 48)
        )
        for h in (32, 64)
    ]
    joined = tmp_path / "a.mpg"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    pictures = [m for m in read(joined) if isinstance(m, Picture)]
    assert {p.image.shape for p in pictures} == {(32, 48, 3), (64, 48, 3)}
    times = [p.time for p in pictures]
    assert times == sorted(set(times))


def not_a_clip(folder: Path) -> dict[str, tuple[Path, str, str]]:
    """Files that are not clips, each with the code of its finding and a fact in the message."""
    mp4 = make_clip(folder / "whole.mp4").read_bytes()
    contents = {
        "empty.mp4": (b"", "empty-file", "0 bytes"),
        "page.mp4": (b"<!doctype html><html>" + b"x" * 500, "not-a-clip", "an HTML page"),
        "notes.mkv": (b"These are notes.\n" * 50, "not-a-clip", "text"),
        "list.ts": (b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n", "not-a-clip", "a playlist"),
        "concat.avi": (b"ffconcat version 1.0\nfile /etc/passwd\n", "not-a-clip", "text"),
        "photo.mp4": (b"\x89PNG\r\n\x1a\n" + b"\0" * 500, "not-a-clip", "a PNG picture"),
        "noise.mp4": (np.random.default_rng(0).bytes(4000), "not-a-clip", "damaged"),
        "no-index.mp4": (mp4[: len(mp4) // 2], "not-a-clip", "truncated"),
    }
    for name, (content, _, _) in contents.items():
        (folder / name).write_bytes(content)
    cases = {name: (folder / name, code, fact) for name, (_, code, fact) in contents.items()}
    whole = folder / "whole.mp4"
    cases["sound"] = (make_sound(folder / "sound.mp4"), "no-video", "sound")
    cases["none"] = (folder / "none.mp4", "unreadable-file", "none.mp4")
    cases["http"] = (Path("http://127.0.0.1/a.mp4"), "unreadable-file", "a.mp4")
    cases["concat"] = (Path(f"concat:{whole}|{whole}"), "unreadable-file", "whole.mp4")
    cases["device"] = (Path("/dev/zero"), "not-a-file", "device")
    return cases


def test_a_file_that_is_not_a_clip_is_refused(tmp_path: Path) -> None:
    for name, (path, code, fact) in not_a_clip(tmp_path).items():
        with pytest.raises(DataError) as raised:
            read(path)
        assert [finding.code for finding in raised.value.findings] == [code], name
        assert fact in str(raised.value), name


def test_a_name_is_only_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name FFmpeg would take for a protocol, and one behind a link."""
    monkeypatch.chdir(tmp_path)
    for name in ("concat:b.mp4", "pipe:0"):
        make_clip(tmp_path / "b.mp4", range(3)).rename(name)
        assert len(read(Path(name))) == 3
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link.mp4").symlink_to(tmp_path / "pipe:0")
    assert len(read(tmp_path / "in/link.mp4")) == 3


def test_limits_hold(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", range(3))
    with pytest.raises(DataError, match=r"frame-size.*40 x 32 .*1,000"):
        read(path, Limits(pixels=1000))
    with pytest.raises(DataError, match=r"decoder-died|memory"):
        read(path, Limits(memory=60 << 20))
    billion = make_clip(tmp_path / "b.mp4", range(3), tick=Fraction(1, 10**9))
    with pytest.raises(DataError, match=r"frame-rate.*1,000,000,000 .*1000"):
        read(billion)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_decoder_that_dies_is_an_error_that_names_the_frame(tmp_path: Path, number: int) -> None:
    path = make_clip(tmp_path / "a.mp4", range(30), size=(256, 320))
    with (
        pytest.raises(DataError, match=rf"decoder-died.*frame [0-9]+ \(by signal {number}"),
        open_clip(path) as clip,
    ):
        next(clip.moments)
        os.kill(clip.decoder.process.pid, number)
        list(clip.moments)


def test_a_decoder_that_hangs_is_given_up(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", range(30), size=(256, 320))
    with (
        pytest.raises(DataError, match=r"decoder-silent.* 2 s"),
        open_clip(path, limits=Limits(silence=2)) as clip,
    ):
        next(clip.moments)
        os.kill(clip.decoder.process.pid, signal.SIGSTOP)
        list(clip.moments)


def test_the_decoder_ends_with_the_block(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", range(30), size=(256, 320))
    with open_clip(path) as clip:
        next(clip.moments)
        digest = clip.digest()  # does not move the place from which the decoder reads
        assert len(list(clip.moments)) == 29
    assert clip.decoder.process.poll() is not None
    with open_clip(path) as clip:
        assert clip.digest() == digest


def test_times_that_go_back_go_on() -> None:
    clock = clips._FrameClock(40)
    at = [clock.next(pts) for pts in (1000, 1040, 1030, 1120, None, 1160)]
    assert [t for t, _ in at] == [0, 40, 80, 170, 210, 250]
    assert [mended for _, mended in at] == [False, False, True, False, True, True]


HEADS = {
    "a clip under a picture's name": ("a.png", b"\0\0\0\x18ftypisom", True),
    "a photo of a phone": ("a.heic", b"\0\0\0\x18ftypheic", False),
    "Matroska": ("a", b"\x1a\x45\xdf\xa3", True),
    "AVI": ("a", b"RIFF\0\0\0\0AVI LIST", True),
    "WEBP": ("a", b"RIFF\0\0\0\0WEBPVP8 ", False),
    "a picture": ("a.jpg", b"\xff\xd8\xff", False),
    "a page that was saved as a clip": ("a.MP4", b"<html>", True),
    "nothing known": ("a", b"hello", False),
}


@pytest.mark.parametrize(("name", "head", "clip"), HEADS.values(), ids=HEADS)
def test_a_clip_is_known_by_its_content_then_by_its_name(
    tmp_path: Path, name: str, head: bytes, clip: bool
) -> None:
    (tmp_path / name).write_bytes(head + b"\0" * 500)
    assert is_clip(tmp_path / name) == clip


def test_a_folder_is_no_clip_and_a_name_alone_may_be(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    assert not is_clip(tmp_path / "a.mp4")
    assert is_clip(tmp_path / "none.mp4") and not is_clip(tmp_path / "none.png")


@pytest.mark.parametrize(
    "message",
    [
        {"a": 1},
        [1],
        {"kind": "frame", "height": -1, "width": 4, "aspect": None, "pts": 0, "duration": None},
        {"kind": "frame", "height": 4, "width": 0, "aspect": None, "pts": 0, "duration": None},
        {"kind": "frame", "height": 4, "width": 4, "aspect": [1, 0], "pts": 0, "duration": None},
        {"kind": "frame", "height": 4, "width": 4, "aspect": None, "pts": "now", "duration": 1},
        {"kind": "opened", "width": "a", "height": 4, "tick": None, "rate": None, "seconds": 1,
         "exact": True},
        {"kind": "end"},
        {"kind": "run", "why": "this"},
    ],
)  # fmt: skip
def test_a_decoder_that_was_taken_over_is_not_believed(message) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        _checked(message)


def test_the_digest_of_a_large_file_can_be_stopped(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", range(3), container="matroska")
    with path.open("ab") as file:
        file.write(b"\0" * (5 << 20))
    with open_clip(path) as clip:
        assert clip.digest() == hashlib.sha256(path.read_bytes()).hexdigest()
    blocks = 0

    def stop() -> bool:
        nonlocal blocks
        blocks += 1
        return blocks > 2

    with path.open("rb") as file:
        assert clips._digest(file, stop) is None and blocks == 3
    asked = False
    with open_clip(path, lambda: asked) as clip:
        asked = True
        assert clip.digest() is None
