"""What a dataset says of itself without decoding a mask."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from headstart.data.label_map import IGNORE, LabelMap, map_of_colours
from headstart.data.layouts.dataset import Dataset, FaultyDatasetError
from headstart.data.pictures.frame import (
    ColourLayer,
    Frame,
    Layer,
    Polygon,
    RunLengths,
    Shapes,
)
from headstart.errors import Finding

HERE = Path("a.png")
LEVELS = LabelMap(("ground", "tool"), (0, 100))
COLOURS = {"ground": (0, 0, 0), "tool": (255, 0, 0)}
SQUARE = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0))


def dataset(frame: Frame, label_map: LabelMap = LEVELS) -> Dataset:
    splits = {"train": (Frame("plain", HERE, HERE),), "test": (frame,)}
    return Dataset(Path(), "plain", label_map, splits, {}, ())


@pytest.mark.parametrize(
    ("frame", "label_map", "may"),
    [
        (Frame("f", HERE, HERE), LEVELS, False),
        (Frame("f", HERE, HERE), LabelMap(("ground", "tool"), (0, 100), (255,)), True),
        (Frame("f", HERE, HERE), map_of_colours(COLOURS), False),
        (Frame("f", HERE, HERE), map_of_colours(COLOURS, [(9, 9, 9)]), True),
        (Frame("f", HERE, HERE, valid=HERE), LEVELS, True),
        (Frame("f", HERE, (Layer(HERE, ((0, 0),), "test"),)), LEVELS, False),
        (Frame("f", HERE, (Layer(HERE, ((0, 0),), "test", ignored=(7,)),)), LEVELS, True),
        (Frame("f", HERE, (ColourLayer(HERE, (), "test"),)), LEVELS, False),
        (Frame("f", HERE, (ColourLayer(HERE, (), "test", ((1, 2, 3),)),)), LEVELS, True),
        (Frame("f", HERE, (Shapes(HERE, (Polygon(100, (SQUARE,)),)),)), LEVELS, False),
        (Frame("f", HERE, (Shapes(HERE, (Polygon(None, (SQUARE,)),)),)), LEVELS, True),
        (Frame("f", HERE, (Shapes(HERE, (RunLengths(None, (0, 4), 2, 2),)),)), LEVELS, True),
    ],
)
def test_whether_pixels_may_count_nowhere(frame: Frame, label_map: LabelMap, may: bool) -> None:
    assert dataset(frame, label_map).ignore == (IGNORE if may else None)


def test_a_faulty_dataset_goes_from_one_process_to_another() -> None:
    finding = Finding("image-without-mask", "error", "an image has no mask")
    error = FaultyDatasetError([finding], dataset(Frame("f", HERE, HERE)))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is FaultyDatasetError
    assert (again.findings, again.dataset, str(again)) == (
        error.findings,
        error.dataset,
        str(error),
    )
