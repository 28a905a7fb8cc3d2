"""What runs without torch answers as what runs with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.inference.class_maps import class_maps
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import brought, class_maps_of

SIDES = st.integers(1, 23)


def test_a_run_answers_alike_by_its_probabilities(trained: Path, drawn: Path) -> None:
    segmenter = open_segmenter(trained, "cpu")
    frames = frames_of(open_dataset(drawn), "test")
    pictures = [read_frame(frame, drawn) for frame in frames]
    probs = segmenter.probabilities(
        np.stack([brought(segmenter, p).transpose(2, 0, 1) for p in pictures])
    )
    assert probs.shape == (5, 5, 16, 24) and np.allclose(probs.sum(1), 1, atol=1e-5)
    maps = class_maps(probs, [p.shape[:2] for p in pictures], segmenter.min_area)
    for ours, theirs in zip(maps, class_maps_of(segmenter, pictures), strict=True):
        assert np.array_equal(ours, theirs)
