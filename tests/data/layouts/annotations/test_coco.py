"""COCO's JSON in the arrangements of several tools; pycocotools draws and encodes the same."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as oracle

from headstart.data.layouts.annotations import annotation_shapes
from headstart.data.layouts.annotations.coco_runs import decode_counts
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import Polygon, RunLengths
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.shapes import draw, polygon_mask
from headstart.errors import DataError
from tests.data.layouts.annotations.annotated import (
    HEIGHT,
    NAMES,
    WIDTH,
    Scene,
    assert_same,
    faults,
    inside,
    labels_by_name,
    mask_of,
    notes,
    numbers,
    plain_copy,
    recognised_by,
    save,
    scenes,
    without,
    write_json,
)

CATEGORIES = [{"id": 10 * (k + 1), "name": name} for k, name in enumerate(NAMES)]


def polygons(ring: list, index: int) -> Any:
    return [numbers(ring)]


def runs(ring: list, index: int) -> Any:
    """A list, or the string that pycocotools makes of the same mask."""
    mask = np.asfortranarray(inside(ring).astype(np.uint8))
    if index % 2:
        encoded = oracle.encode(mask)
        return {"size": encoded["size"], "counts": encoded["counts"].decode()}
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=0))
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *edges, flat.size]).tolist()}


def content(members: list[Scene], prefix: str = "", outline: Any = polygons) -> dict[str, Any]:
    images, annotations = [], []
    for key, scene in enumerate(members):
        size = {"height": HEIGHT, "width": WIDTH}
        images.append({"id": key, "file_name": f"{prefix}{scene.stem}.png", **size})
        for label, ring in scene.objects:
            number = len(annotations)
            annotations.append(
                {"id": number, "image_id": key, "iscrowd": number % 2,
                 "category_id": 10 * (NAMES.index(label) + 1), "bbox": [0, 0, 1, 1],
                 "segmentation": outline(ring, number)}
            )  # fmt: skip
    return {"info": {}, "images": images, "annotations": annotations, "categories": CATEGORIES}


def official(root: Path, made: dict, outline: Any = polygons) -> None:
    for split, members in made.items():
        name = f"{ {'validation': 'val'}.get(split, split) }2017"
        for scene in members:
            save(root / name / f"{scene.stem}.png", scene.pixels)
        text = content(members, outline=outline)
        write_json(root / "annotations" / f"instances_{name}.json", text)
        write_json(root / "annotations" / f"captions_{name}.json", text | {"annotations": []})


def roboflow(root: Path, made: dict) -> None:
    for split, members in made.items():
        name = {"validation": "valid"}.get(split, split)
        for scene in members:
            save(root / name / f"{scene.stem}.png", scene.pixels)
        text = content(members)
        group = {"id": 0, "name": "tools", "supercategory": "none"}
        text["categories"] = [group, *({**c, "supercategory": "tools"} for c in CATEGORIES)]
        write_json(root / name / "_annotations.coco.json", text)


def kind_below_split(root: Path, made: dict) -> None:
    for split, members in made.items():
        for scene in members:
            save(root / split / "images" / f"{scene.stem}.png", scene.pixels)
        write_json(root / split / "annotations.json", content(members, "../images/"))


def one_file(root: Path, made: dict) -> None:
    """One file for all; its file names hold the folder of the split, as CVAT and FiftyOne write."""
    members = []
    for split, of_split in made.items():
        for scene in of_split:
            stem = f"{split}/{scene.stem}"
            save(root / "images" / f"{stem}.png", scene.pixels)
            members.append(Scene(stem, scene.pixels, scene.objects))
    write_json(root / "labels.json", content(members))


ARRANGEMENTS = [official, roboflow, kind_below_split, one_file]


@pytest.mark.parametrize("write", ARRANGEMENTS)
def test_an_arrangement_equals_the_plain_copy(tmp_path: Path, write: Any) -> None:
    made = scenes()
    write(tmp_path / "coco", made)
    assert recognised_by(tmp_path / "coco")[0] == "coco"
    read = open_dataset(tmp_path / "coco")
    assert_same(read, plain_copy(tmp_path / "plain", made))
    assert notes(read)["picture-without-annotations"].severity == "warning"
    assert len(notes(read)["picture-without-annotations"].files) == 3
    assert any("10 pictures with 28 annotations" in sentence for sentence in read.reading)
    assert any("forceps" in sentence for sentence in read.reading)
    assert any("tools" in sentence for sentence in read.reading) == (write is roboflow)


def test_run_lengths_equal_the_plain_copy(tmp_path: Path) -> None:
    made = scenes(1)
    official(tmp_path / "coco", made, runs)
    assert_same(open_dataset(tmp_path / "coco"), plain_copy(tmp_path / "plain", made))


@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_a_mask_comes_back_from_pycocotools_strings(mask: np.ndarray) -> None:
    encoded = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = decode_counts(encoded["counts"].decode())
    assert sum(counts) == mask.size
    shape = RunLengths(1, tuple(counts), *mask.shape)
    assert np.array_equal(draw([shape], {1: 1}, *mask.shape) == 1, mask)


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=40))
def test_long_runs_come_back_from_pycocotools_strings(counts: list[int]) -> None:
    text = "".join(_written(counts))
    assert decode_counts(text) == counts


def _written(counts: list[int]) -> Any:
    """The writer, from COCO's description; checked against pycocotools below."""
    for k, count in enumerate(counts):
        number = count - counts[k - 2] if k > 2 else count
        while True:
            five, number = number & 31, number >> 5
            more = number != (-1 if five & 16 else 0)
            yield chr(48 + five + 32 * more)
            if not more:
                break


def test_the_writer_of_the_test_is_that_of_pycocotools() -> None:
    mask = np.random.default_rng(0).random((70, 90)) > 0.5
    encoded = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert "".join(_written(decode_counts(encoded))) == encoded


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_polygons_agree_with_pycocotools_but_for_boundary_pixels() -> None:
    differing = total = 0
    for members in scenes(2).values():
        for scene in members:
            for _, ring in scene.objects:
                ours = polygon_mask(Polygon(1, (tuple(ring),)), HEIGHT, WIDTH)
                encoded = oracle.frPyObjects([numbers(ring)], HEIGHT, WIDTH)
                theirs = oracle.decode(encoded)[..., 0].astype(bool)
                for row, column in zip(*np.nonzero(ours != theirs), strict=True):
                    assert _distance(ring, column + 0.5, row + 0.5) <= 1
                differing += int((ours != theirs).sum())
                total += int(ours.sum())
    assert total > 2000 and differing < 0.1 * total


def _distance(ring: list, x: float, y: float) -> float:
    """Distance of a point to an outline."""
    nearest = np.inf
    for a, b in zip(np.array(ring), np.array([*ring[1:], ring[0]]), strict=True):
        along = np.clip(np.dot(np.array([x, y]) - a, b - a) / np.dot(b - a, b - a), 0, 1)
        nearest = min(nearest, float(np.hypot(*(a + along * (b - a) - (x, y)))))
    return nearest


def test_several_polygons_of_an_object_are_united(tmp_path: Path) -> None:
    made = scenes()
    official(tmp_path, made)
    path = tmp_path / "annotations" / "instances_train2017.json"
    text = json.loads(path.read_text())
    square = [1, 1, 9, 1, 9, 9, 1, 9]
    other = [value + 4 for value in square]
    text["annotations"] = [text["annotations"][0] | {"segmentation": [square, other]}]
    write_json(path, text)
    first, *rest = labels_by_name(open_dataset(tmp_path), "train").values()
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[1:9, 1:9] = expected[5:13, 5:13] = 1
    assert np.array_equal(first[1], expected)
    assert not any(labels.any() for _, labels in rest)


def test_a_category_called_background_is_the_background(tmp_path: Path) -> None:
    official(tmp_path, scenes())
    for path in (tmp_path / "annotations").iterdir():
        text = path.read_text().replace('"needle"', '"Background"')
        path.write_text(text)
    dataset = open_dataset(tmp_path)
    assert dataset.label_map.names == ("Background", "forceps", "scissors")
    for _, labels in labels_by_name(dataset, "train").values():
        assert labels.max() <= 2


def test_validation_is_drawn_from_training_always_the_same(tmp_path: Path) -> None:
    made = scenes()
    official(tmp_path, without(made, "validation"))
    dataset = open_dataset(tmp_path)
    names = [[f.name for f in dataset.splits[s]] for s in ("train", "validation", "test")]
    assert [len(each) for each in names] == [4, 1, 3]
    assert sorted([*names[0], *names[1]]) == [f"train{k}" for k in range(5)]
    again = open_dataset(tmp_path)
    assert [f.name for f in again.splits["validation"]] == names[1]
    assert any("drawn" in sentence for sentence in dataset.reading)


def test_groups_stay_together_when_validation_is_drawn(tmp_path: Path) -> None:
    official(tmp_path, without(scenes(), "validation"))
    lines = [f"train/train{k},patient{k // 2}" for k in range(5)]
    lines += [f"test/test{k},patient9" for k in range(3)]
    (tmp_path / "groups.csv").write_text("\n".join(["stem,group", *lines]))
    dataset = open_dataset(tmp_path)
    groups = [{frame.group for frame in dataset.splits[s]} for s in ("train", "validation")]
    assert groups[0] and groups[1] and not groups[0] & groups[1]


def test_one_file_without_splits_is_split_by_the_tool(tmp_path: Path) -> None:
    members = [scene for members in scenes().values() for scene in members]
    for scene in members:
        save(tmp_path / "images" / f"{scene.stem}.png", scene.pixels)
    write_json(tmp_path / "result.json", content(members, "images/"))
    dataset = open_dataset(tmp_path)
    assert {s: len(f) for s, f in dataset.splits.items()} == {
        "train": 7, "validation": 2, "test": 1,
    }  # fmt: skip
    assert "split-by-tool" in notes(dataset)


def test_several_tasks_whose_pictures_share_names(tmp_path: Path) -> None:
    members = scenes()["train"]
    for task in ("arm", "leg", "toe"):
        for k, scene in enumerate(members):
            save(tmp_path / task / f"images/{k}.png", scene.pixels)
        named = [Scene(str(k), scene.pixels, scene.objects) for k, scene in enumerate(members)]
        write_json(tmp_path / task / "annotations/instances_default.json", content(named))
    dataset = open_dataset(tmp_path)
    frames = {frame.name: frame for split in dataset.splits.values() for frame in split}
    assert len(frames) == 3 * len(members)
    for name, frame in frames.items():
        task, _, k = name.split("-")
        assert frame.image == tmp_path / task / f"images/{k}.png" and frame.group == task
        labels = read_labelled(frame, dataset.label_map, tmp_path)[1]
        assert np.array_equal(labels, mask_of(members[int(k)]))


@pytest.mark.parametrize("number", [str, float, lambda side: None])
def test_the_size_of_run_lengths_is_checked(tmp_path: Path, number: Any) -> None:
    """Also where the picture's entry writes its sides in another way, or not at all."""
    members = scenes()["train"]
    text = content(members, outline=runs)
    for entry, scene in zip(text["images"], members, strict=True):
        entry |= {"height": number(HEIGHT), "width": number(WIDTH)}
        save(tmp_path / f"{scene.stem}.png", scene.pixels)
    write_json(tmp_path / "a.json", text)
    open_dataset(tmp_path)
    for scene in members:
        save(tmp_path / f"{scene.stem}.png", np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8))
    (frame, *_) = open_dataset(tmp_path).splits["train"]
    with pytest.raises(DataError, match="size-differs"):
        read_labelled(frame, open_dataset(tmp_path).label_map, tmp_path)


def test_a_picture_of_another_patient_is_no_substitute(tmp_path: Path) -> None:
    members = scenes()["train"]
    for patient in ("p1", "p2"):
        for scene in members:
            save(tmp_path / patient / f"{scene.stem}.png", scene.pixels)
    write_json(tmp_path / "a.json", content(members[1:], "p1/"))
    open_dataset(tmp_path)
    (tmp_path / f"p1/{members[2].stem}.png").unlink()
    error = faults(tmp_path)["annotated-picture-missing"]
    assert f"only p2/{members[2].stem}.png has this name" in error.message


def test_a_folder_of_the_same_name_does_not_hide_pictures(tmp_path: Path) -> None:
    members = scenes()["train"]
    for scene in members:
        save(tmp_path / "images" / f"{scene.stem}.png", scene.pixels)
    save(tmp_path / "project/large.png", members[0].pixels)
    for prefix in ("/mnt/project/images/", "project/"):
        write_json(tmp_path / "a.json", content(members, prefix))
        assert sum(map(len, open_dataset(tmp_path).splits.values())) == len(members)


def test_accents_may_be_written_in_two_ways(tmp_path: Path) -> None:
    members = scenes()["train"]
    for scene in members:
        save(tmp_path / f"hu\u0308fte {scene.stem}.png", scene.pixels)
    write_json(tmp_path / "a.json", content(members, "h\u00fcfte "))
    assert sum(map(len, open_dataset(tmp_path).splits.values())) == len(members)


def test_pictures_of_one_name_of_which_none_lies_beside_the_file(tmp_path: Path) -> None:
    members = scenes()["train"]
    for k in (1, 2, 3):
        for scene in members:
            save(tmp_path / f"video{k}" / f"{scene.stem}.png", scene.pixels)
        write_json(tmp_path / f"task_{k}/annotations/instances_default.json", content(members))
    error = faults(tmp_path)["annotated-picture-missing"]
    assert "3 pictures have this name" in error.message
    assert "video1/train0.png and video2/train0.png" in error.message
    assert f"further names like it: {len(members) - 1}" in error.message
    assert "video1/instances_default.json" in error.hint
    # what the hint says works
    for k in (1, 2, 3):
        file = tmp_path / f"task_{k}/annotations/instances_default.json"
        file.rename(tmp_path / f"video{k}/instances_default.json")
    dataset = open_dataset(tmp_path)
    assert sum(len(frames) for frames in dataset.splits.values()) == 3 * len(members)


def test_pictures_of_one_name_far_below_need_their_folder_in_the_file(tmp_path: Path) -> None:
    members = scenes()["train"]
    for folder in ("data/video1", "data/video2"):
        for scene in members:
            save(tmp_path / folder / f"{scene.stem}.png", scene.pixels)
    write_json(tmp_path / "a.json", content(members))
    error = faults(tmp_path)["annotated-picture-missing"]
    assert "as data/video1/train0.png" in error.hint and "beside" not in error.hint
    write_json(tmp_path / "a.json", content(members, "data/video1/"))
    frames = [f for part in open_dataset(tmp_path).splits.values() for f in part]
    assert len(frames) == len(members)


def test_ids_that_differ_between_files_are_said_to(tmp_path: Path) -> None:
    made = scenes()
    official(tmp_path, made)
    assert any("by id" in sentence for sentence in open_dataset(tmp_path).reading)
    file = tmp_path / "annotations/instances_test2017.json"
    text = json.loads(file.read_text())
    swapped = {10: 20, 20: 10, 30: 30}
    text["categories"] = [{**c, "id": swapped[c["id"]]} for c in text["categories"]]
    for annotation in text["annotations"]:
        annotation["category_id"] = swapped[annotation["category_id"]]
    file.write_text(json.dumps(text))
    dataset = open_dataset(tmp_path)
    assert dataset.label_map.names == ("background", *NAMES)
    (said,) = [sentence for sentence in dataset.reading if sentence.startswith("Classes:")]
    assert "ids differ" in said and "by id" not in said


def test_pictures_of_one_name_in_two_splits_are_kept_apart(tmp_path: Path) -> None:
    made = {s: [Scene(f"{k}", x.pixels, x.objects) for k, x in enumerate(m)]
            for s, m in scenes().items()}  # fmt: skip
    official(tmp_path / "coco", made)
    assert_same(open_dataset(tmp_path / "coco"), plain_copy(tmp_path / "plain", made))
    (tmp_path / "coco" / "train2017" / "4.png").unlink()  # the others have no 4.png
    assert faults(tmp_path / "coco").keys() == {"annotated-picture-missing"}


def test_a_picture_of_another_split_is_no_substitute(tmp_path: Path) -> None:
    official(tmp_path, scenes())
    (tmp_path / "train2017" / "train0.png").rename(tmp_path / "val2017" / "train0.png")
    assert faults(tmp_path).keys() == {"annotated-picture-missing"}


def test_a_picture_in_the_files_of_two_splits_is_an_error(tmp_path: Path) -> None:
    made = scenes()
    for scene in (scene for members in made.values() for scene in members):
        save(tmp_path / "images" / f"{scene.stem}.png", scene.pixels)
    made["validation"] = [*made["validation"], made["train"][0]]
    for split, members in made.items():
        write_json(tmp_path / "annotations" / f"{split}.json", content(members))
    found = faults(tmp_path)
    assert found.keys() == {"picture-twice"}
    assert found["picture-twice"].files == ("images/train0.png",)


def test_pictures_that_no_file_lists(tmp_path: Path) -> None:
    official(tmp_path, scenes())
    save(tmp_path / "train2017" / "new.png", np.zeros((4, 4, 3), np.uint8))
    save(tmp_path / "unlabelled" / "more.png", np.zeros((4, 4, 3), np.uint8))
    dataset = open_dataset(tmp_path)
    assert notes(dataset)["passed-over"].files == ("train2017/new.png",)
    assert [frame.name for frame in dataset.unlabelled["train"]] == ["more"]


def bad(tmp_path: Path, change: Any) -> Path:
    """A dataset whose training file is changed; ``change`` gets the JSON."""
    official(tmp_path, scenes())
    path = tmp_path / "annotations" / "instances_train2017.json"
    text = json.loads(path.read_text())
    change(text)
    write_json(path, text)
    return tmp_path


def first(text: dict) -> dict:
    return text["annotations"][0]


GOOD_RUNS = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}
DEEP = json.loads("[" * 400 + "]" * 400)


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        (lambda t: first(t).update(segmentation=[[1, 1, 5, 5]]), "bad-annotations", "2 points"),
        (lambda t: first(t).update(segmentation=[1, 1, 5, "x", 5, 5]), "bad-annotations", "point"),
        (lambda t: first(t).update(image_id="9" * 5000), "bad-annotations", "does not list"),
        (lambda t: first(t).update(segmentation=[[1, 1, 5, 5, 3]]), "bad-annotations", "turns"),
        (lambda t: first(t).update(segmentation=[[1, 1, 5, 5, 3, "7"]]), "bad-annotations", "7"),
        (lambda t: first(t).update(segmentation=[[1, 1, 5, 5, 3, float("nan")]]),
         "bad-annotations", "nan"),
        (lambda t: first(t).update(segmentation=[[1, 1, 5, 5, 3, float("inf")]]),
         "bad-annotations", "inf"),
        (lambda t: first(t).update(segmentation=[[1, 1, 5, 5, 3, 10**300]]),
         "bad-annotations", "1000"),
        (lambda t: first(t).update(segmentation=[[1, 1, 5, 5, 3, True]]), "bad-annotations", "T"),
        (lambda t: first(t).update(segmentation=DEEP), "bad-annotations", "turns"),
        (lambda t: first(t).update(segmentation=[]), "boxes-not-masks", "annotation 0"),
        (lambda t: first(t).pop("segmentation"), "boxes-not-masks", "annotation 0"),
        (lambda t: first(t).update(segmentation=GOOD_RUNS | {"counts": [1, 2]}),
         "bad-annotations", "add up to 3"),
        (lambda t: first(t).update(segmentation=GOOD_RUNS | {"counts": [-1, HEIGHT * WIDTH + 1]}),
         "bad-annotations", "whole numbers"),
        (lambda t: first(t).update(segmentation=GOOD_RUNS | {"counts": [0.5] * 2}),
         "bad-annotations", "whole numbers"),
        (lambda t: first(t).update(segmentation=GOOD_RUNS | {"counts": "52203"}),
         "bad-annotations", "add up"),
        (lambda t: first(t).update(segmentation=GOOD_RUNS | {"counts": "ooo"}),
         "bad-annotations", "middle of a number"),
        (lambda t: first(t).update(segmentation=GOOD_RUNS | {"counts": "o" * 20 + "1"}),
         "bad-annotations", "35 bits"),
        (lambda t: first(t).update(segmentation=GOOD_RUNS | {"counts": "0" * 5_000_001}),
         "bad-annotations", "5,000,000"),
        (lambda t: first(t).update(segmentation=GOOD_RUNS | {"counts": "1 2"}),
         "bad-annotations", "no meaning"),
        (lambda t: first(t).update(segmentation=GOOD_RUNS | {"counts": "é"}),
         "bad-annotations", "ASCII"),
        (lambda t: first(t).update(segmentation={"size": [10**9, 10**9], "counts": [0, 10**18]}),
         "bad-annotations", "size"),
        (lambda t: first(t).update(segmentation={"size": [4, 4], "counts": [0, 16]}),
         "bad-annotations", "4 x 4"),
        (lambda t: first(t).update(segmentation={}), "boxes-not-masks", "0"),
        (lambda t: first(t).update(segmentation="abc"), "bad-annotations", "neither"),
        (lambda t: first(t).update(category_id=99), "undeclared-class", "99"),
        (lambda t: first(t).update(category_id=None), "undeclared-class", "None"),
        (lambda t: first(t).update(image_id=99), "bad-annotations", "99"),
        (lambda t: first(t).update(image_id=[1]), "bad-annotations", "image [1]"),
        (lambda t: t["images"][0].update(file_name="../../etc/passwd"),
         "annotated-picture-missing", "passwd"),
        (lambda t: t["images"][0].update(file_name="/etc/passwd\0"),
         "annotated-picture-missing", "passwd"),
        (lambda t: t["images"][0].update(file_name=""), "annotated-picture-missing", "annotated"),
        (lambda t: t["images"][0].update(file_name=7), "bad-annotations", "image 7"),
        (lambda t: t["images"].append(t["images"][0]), "bad-annotations", "not its own"),
        (lambda t: t["images"].append(t["images"][0] | {"id": 77}), "bad-annotations", "twice"),
        (lambda t: t["categories"].append({"id": 10, "name": "x"}), "bad-annotations", "x"),
        (lambda t: t["categories"].append({"id": 1, "name": "bg\n"}), "bad-annotations", "bg"),
        (lambda t: t["categories"].extend({"id": k, "name": f"c{k}"} for k in range(100, 400)),
         "bad-annotations", "303 classes"),
        (lambda t: t["categories"].extend({"id": len(n), "name": n} for n in ("bg", "void")),
         "bad-annotations", "background"),
        (lambda t: t.update(images={}), "bad-annotations", "images"),
        (lambda t: t.update(annotations=[1]), "bad-annotations", "annotations"),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, change: Any, code: str, word: str) -> None:
    found = faults(bad(tmp_path, change))
    assert found.keys() == {code}
    assert word in found[code].message
    assert all(file.startswith("annotations/instances_") for file in found[code].files)
    assert found[code].files


@pytest.mark.parametrize(
    ("outline", "code"),
    [
        ([[100, 100, 120, 100, 120, 120]], "annotation-outside"),
        ([[-9, 1, -1, 1, -1, 5]], "annotation-outside"),
        ([[1, 1, 5, 5, 9, 9]], "annotation-without-area"),
        ([[0.1, 0.1, 0.1, 0.1, 0.1, 0.1]], "annotation-without-area"),
        ({"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}, "annotation-without-area"),
    ],
)
def test_annotations_that_show_nothing_are_warnings(
    tmp_path: Path, outline: Any, code: str
) -> None:
    dataset = open_dataset(bad(tmp_path, lambda t: first(t).update(segmentation=outline)))
    assert notes(dataset)[code].severity == "warning"
    (shapes,) = dataset.splits["train"][0].mask  # type: ignore[misc]
    assert len(shapes.shapes) == 3


@pytest.mark.parametrize("text", ['{"images": [', "{'images'}", "[" * 100_000, '{"a": 1' * 50_000])
def test_broken_json_is_named(tmp_path: Path, text: str) -> None:
    official(tmp_path, scenes())
    path = tmp_path / "annotations" / "instances_train2017.json"
    path.write_text('{"info": {}, "images": [], "annotations": [' + text)
    started = time.monotonic()
    assert faults(tmp_path).keys() == {"bad-annotations"}
    assert time.monotonic() - started < 5


def test_many_faults_are_counted_not_listed(tmp_path: Path) -> None:
    def change(text: dict) -> None:
        text["annotations"] = [first(text) | {"segmentation": [[1, 1, 2, 2]]}] * 20_000

    found = faults(bad(tmp_path, change))
    assert "and 19996 more like these" in found["bad-annotations"].message


def test_more_points_than_memory_allows_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotation_shapes, "MAX_POINTS", 50)
    official(tmp_path, scenes())
    assert "50" in faults(tmp_path)["too-many-points"].message


def test_two_thousand_annotations_open_in_time(tmp_path: Path) -> None:
    def change(text: dict) -> None:
        text["annotations"] = text["annotations"] * 200

    started = time.monotonic()
    open_dataset(bad(tmp_path, change))
    assert time.monotonic() - started < 5


def test_older_layouts_are_not_taken_for_coco(tmp_path: Path) -> None:
    plain_copy(tmp_path, scenes())
    write_json(tmp_path / "annotations.json", content(scenes()["train"]))
    assert recognised_by(tmp_path) == ["plain"]


def test_a_dataset_without_any_annotation_is_an_error(tmp_path: Path) -> None:
    for split, members in scenes().items():
        empty = [Scene(scene.stem, scene.pixels, []) for scene in members]
        official(tmp_path, {split: empty})
    assert faults(tmp_path).keys() == {"no-masks"}


def test_boxes_alone_are_refused_once(tmp_path: Path) -> None:
    official(tmp_path, scenes(), lambda ring, index: [])
    assert faults(tmp_path).keys() == {"boxes-not-masks"}
