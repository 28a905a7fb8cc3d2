"""``frames.csv`` says what was counted, and nothing damaged is read as something."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.scores.frames_csv import (
    answers_csv,
    frames_csv,
    read_answers_csv,
    read_frames_csv,
)
from headstart.scores.pooled import ACCURACY


@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True),
    st.integers(1, 5),
)
def test_what_is_written_is_read(tmp_path_factory, names, frames):
    from headstart.errors import printable

    names = tuple(dict.fromkeys(printable(name) for name in names))
    counts = np.random.default_rng(0).integers(0, 10**9, (frames, len(names), 3))
    path = tmp_path_factory.mktemp("frames") / "frames.csv"
    frame_names = tuple(f'frame {i}, "x"' for i in range(frames))
    path.write_text(frames_csv(counts, frame_names, names), encoding="utf-8", newline="")
    read = read_frames_csv(path.read_bytes(), path)
    assert (read.frames, read.names) == (frame_names, names)
    assert np.array_equal(read.counts, counts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "frame,class,TP,FP,FN\n",
        "frame,class,TP,FP,FN\na,x,1,2,3\na,y,1,2\n",
        "frame,class,TP,FP,FN\na,x,1,2,3\na,y,1,2,3\nb,x,1,2,3\n",
        "frame,class,TP,FP,FN\na,x,1,2,many\n",
        "frame,class,TP,FP,FN\na,x,1,2,3\nb,y,1,2,3\n",
        "a,x,1,2,3\n",
        'frame,class,TP,FP,FN\n"' + "a" * 200_000,
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "frames.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"frames\.csv.*frame,class,TP,FP,FN") as damaged:
        read_frames_csv(path.read_bytes(), path)
    assert [f.code for f in damaged.value.findings] == ["bad-frames"]


@given(
    st.lists(st.text(max_size=8), min_size=1, max_size=4, unique=True),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6),
)
def test_the_accuracy_of_answers_is_made_from_their_counts(tmp_path_factory, names, pairs):
    truth, predicted = np.array(pairs).T % len(names)
    path = tmp_path_factory.mktemp("answers") / "frames.csv"
    frame_names = tuple(f'"class, of {i}"/{i}.png' for i in range(len(pairs)))
    named = tuple(f"{i}{name}" for i, name in enumerate(names))
    text = answers_csv(truth, predicted, frame_names, named)
    path.write_text(text, encoding="utf-8", newline="")
    read = read_answers_csv(path.read_bytes(), path)
    assert read.frames == frame_names
    right = truth == predicted
    assert read.counts.shape == (len(pairs), 1, 2)
    assert np.array_equal(read.counts[:, 0, 0], right.astype(np.int64))
    assert (read.counts.sum((1, 2)) == 1).all()
    assert ACCURACY.of(read.counts.sum(0)) == pytest.approx(right.mean())


def test_class_names_that_no_terminal_can_show(tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    one = np.array([0, 1])
    path.write_text(answers_csv(one, one[::-1].copy(), ("a", "b"), ("caf\udce9", "new\nline")))
    assert path.read_text().splitlines()[0] == "frame,truth,predicted"
    assert len(path.read_text().splitlines()) == 3
    assert read_answers_csv(path.read_bytes(), path).counts.tolist() == [[[0, 1]]] * 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "frame,truth,predicted\n",
        "frame,class,TP,FP,FN\na,x,1,2,3\n",
        "frame,truth,predicted\na,x\n",
        "frame,truth,predicted\na,x,x,x\n",
        "a,x,x\n",
        'frame,truth,predicted\n"' + "a" * 200_000,
    ],
)
def test_damaged_answers_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "frames.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"frames\.csv.*frame,truth,predicted") as damaged:
        read_answers_csv(path.read_bytes(), path)
    assert [f.code for f in damaged.value.findings] == ["bad-frames"]


def test_names_that_spreadsheets_would_compute_come_back(tmp_path: Path) -> None:
    frames = ("=1+1", "'=1+1", "''@x", "-1", "'tis", "+a")
    counts = np.zeros((len(frames), 2, 3), np.int64)
    text = frames_csv(counts, frames, ("=HYPERLINK(1)", "-"))
    assert not any(re.match("[=+@]", field) for field in re.split("[,\n]", text))
    read = read_frames_csv(text.encode(), tmp_path)
    assert (read.frames, read.names) == (frames, ("=HYPERLINK(1)", "-"))
    plain = "frame,class,TP,FP,FN\n=1+1,x,0,0,0\n"  # as older versions wrote it
    assert read_frames_csv(plain.encode(), tmp_path).frames == ("=1+1",)
