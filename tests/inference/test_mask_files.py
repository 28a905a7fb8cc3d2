"""Predicted masks of classes that are colours: in the dataset's colours, and read back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.checks.segmentation import check_dataset
from headstart.data.label_map import LabelMap
from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.reading import read_mask
from headstart.errors import DataError
from headstart.inference.evaluation import evaluate_masks
from headstart.inference.finished_run import read_finished_run
from headstart.inference.mask_files import class_map, mask_png, values_in
from headstart.inference.masks import predict
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import class_maps_of
from headstart.labelling.folder import write_suggestions
from headstart.labelling.suggestion import suggest
from headstart.runs.run import train
from headstart.training.checkpoint import load_weights
from tests.tiny_runs import Silent, tiny

COLOURS = ((10, 20, 30), (255, 0, 0), (0, 255, 0), (0, 0, 255))
MAP = LabelMap(("background", "a", "b", "c"), (0, 1, 2, 3), (), COLOURS)
GREYS = LabelMap(("background", "tool"), (0, 1), (), ((0, 0, 0), (255, 255, 255)))


@pytest.fixture(scope="module")
def painted(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn dataset with masks of colours; its background is not black."""
    root = tmp_path_factory.mktemp("painted") / "data"
    shutil.copytree(drawn, root)
    names = open_dataset(drawn).label_map
    palette = np.random.default_rng(0).permutation(200)[: 3 * len(names.names)].reshape(-1, 3) + 5
    for path in root.rglob("*_mask.png"):
        with Image.open(path) as mask:
            indices = names.to_indices(np.asarray(mask))
        Image.fromarray(palette.astype(np.uint8)[indices]).save(path)
    mapping = dict(zip(names.names, palette.tolist(), strict=True))
    (root / "mapping.json").write_text(json.dumps(mapping))
    return root


@pytest.fixture(scope="module")
def run(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("painter") / "run"
    train(tiny(painted), out, Silent())
    return out


def test_predictions_show_the_datasets_colours_and_are_read_back(
    run: Path, painted: Path, tmp_path: Path
) -> None:
    dataset, segmenter = open_dataset(painted), open_segmenter(run, "cpu")
    assert segmenter.label_map.colours == dataset.label_map.colours != ()
    frames = frames_of(dataset, "test")
    predict(segmenter, frames, painted, tmp_path)
    for frame in frames:
        image, _ = read_labelled(frame, dataset.label_map, painted)
        (expected,) = class_maps_of(segmenter, [image])
        path = tmp_path / "masks" / f"{frame.name}.png"
        with Image.open(path) as mask:
            assert mask.mode == "P"
            assert np.array_equal(np.asarray(mask), expected)  # for what reads indices
            rgb = np.asarray(mask.convert("RGB"))
        assert np.array_equal(rgb, np.array(segmenter.label_map.colours, np.uint8)[expected])
        assert np.array_equal(class_map(*values_in(path, tmp_path, segmenter.label_map)), expected)
    scores = evaluate_masks(tmp_path / "masks", dataset, "test")
    assert scores["dice"] == pytest.approx(segmenter.evaluate(dataset, "test")["dice"])


def test_suggestions_are_a_dataset_of_the_same_colours(
    run: Path, painted: Path, tmp_path: Path
) -> None:
    segmenter = open_segmenter(run, "cpu")
    unlabelled = open_dataset(painted).unlabelled["train"]
    picked = suggest(run, unlabelled, painted, 3, torch.device("cpu")).picked
    write_suggestions(segmenter, picked, painted, tmp_path / "out")
    again = open_dataset(tmp_path / "out")
    assert again.label_map == open_dataset(painted).label_map
    codes = {f.code for f in check_dataset(tmp_path / "out").findings if f.severity == "error"}
    assert codes <= {"no-foreground"}
    mask = tmp_path / "out/masks" / f"{picked[0].frame.name}.png"
    with Image.open(mask) as picture:
        size, plain = picture.size, picture.convert("RGB")
    plain.save(mask)  # as a program that knows no palettes saves it
    write_suggestions(segmenter, picked, painted, tmp_path / "out", "coco")
    Image.new("RGB", size, (1, 2, 3)).save(mask)
    with pytest.raises(DataError, match="#010203"):
        write_suggestions(segmenter, picked, painted, tmp_path / "out", "cvat")


def test_grey_levels_leave_no_trace_of_colours(run: Path, trained: Path) -> None:
    facts = read_finished_run(run).facts
    assert len(facts.colours) == len(facts.names)
    _, content, _ = load_weights(trained / "weights.safetensors")
    assert "colours" not in content and read_finished_run(trained).facts.colours == ()


@pytest.mark.parametrize("save", ["palette", "rgb", "numbers"])
def test_masks_of_colours_from_anywhere(tmp_path: Path, save: str) -> None:
    indices = np.random.default_rng(0).integers(0, 4, (9, 7), dtype=np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(mask_png(indices, MAP))
    if save == "rgb":
        with Image.open(path) as picture:
            plain = picture.convert("RGB")
        plain.save(path)
    if save == "numbers":  # as earlier versions predicted them
        Image.fromarray(indices).save(path)
    assert np.array_equal(class_map(*values_in(path, tmp_path, MAP)), indices)
    if save != "rgb":
        assert np.array_equal(read_mask(path, tmp_path), indices)


@pytest.mark.parametrize(("levels", "expected"), [([0, 255], [0, 1]), ([0, 1], [0, 1]), ([0], [0])])
def test_grey_colours_are_told_from_numbers(
    tmp_path: Path, levels: list[int], expected: list[int]
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.array([levels], np.uint8)).save(path)
    assert class_map(*values_in(path, tmp_path, GREYS)).tolist() == [expected]
    path.write_bytes(mask_png(np.array([[0, 1]], np.uint8), GREYS))
    assert class_map(*values_in(path, tmp_path, GREYS)).tolist() == [[0, 1]]


def test_what_is_ignored_does_not_say_how_a_mask_is_read(tmp_path: Path) -> None:
    """As in masks of class numbers with 255 at the borders of objects."""
    indices = np.random.default_rng(0).integers(0, 4, (9, 7), dtype=np.uint8)
    counted = np.ones(indices.shape, bool)
    indices[0], counted[0] = 255, False
    Image.fromarray(indices).save(tmp_path / "a.png")
    values, known = values_in(tmp_path / "a.png", tmp_path, MAP, counted)
    assert np.array_equal(values[counted], indices[counted]) and set(known) == {0, 1, 2, 3}


def test_grey_that_could_be_a_number_or_a_colour_is_refused(tmp_path: Path) -> None:
    inverted = LabelMap(("background", "tool"), (0, 1), (), ((255, 255, 255), (0, 0, 0)))
    Image.new("L", (4, 3)).save(tmp_path / "a.png")  # class 0, or all black: a tool
    with pytest.raises(DataError) as caught:
        values_in(tmp_path / "a.png", tmp_path, inverted)
    assert caught.value.findings[0].code == "ambiguous-mask"
