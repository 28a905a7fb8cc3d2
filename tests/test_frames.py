"""``frames.csv`` says what was counted, and nothing damaged is read as something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.frames import frames_csv, read_frames_csv


@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True),
    st.integers(1, 5),
)
def test_what_is_written_is_read(tmp_path_factory, names, frames):
    from headstart.errors import printable

    names = tuple(dict.fromkeys(printable(name) for name in names))
    counts = np.random.default_rng(0).integers(0, 10**9, (frames, len(names), 3))
    path = tmp_path_factory.mktemp("frames") / "frames.csv"
    called = tuple(f'frame {i}, "x"' for i in range(frames))
    path.write_text(frames_csv(counts, called, names), encoding="utf-8", newline="")
    found = read_frames_csv(path)
    assert (found.frames, found.names) == (called, names)
    assert np.array_equal(found.counts, counts)


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
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "frames.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"frames.csv is damaged"):
        read_frames_csv(path)
    with pytest.raises(DataError, match="No such file"):
        read_frames_csv(tmp_path / "none.csv")
