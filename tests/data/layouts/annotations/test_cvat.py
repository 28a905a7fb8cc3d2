"""CVAT for images: the same pixels as a plain copy; run lengths; what is refused, in what time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headstart.data.label_map import IGNORE
from headstart.data.layouts.recognise import layout_of, open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.data.task import task_of
from tests.data.layouts.plain_copy import (
    HEIGHT,
    WIDTH,
    Box,
    Scenes,
    assert_same,
    faults,
    plain_copy,
    save_picture,
    scenes,
)

META = "<meta><task><labels>{}</labels></task></meta>"
LABEL = "<label><name>{}</name><color>#fa3253</color><attributes><attribute><name>hidden</name>"
LABEL += "</attribute></attributes></label>"
Draw = Callable[[Box], str]


def xml(images: str, labels: tuple[str, ...] = ("tool", "vessel")) -> str:
    declared = META.format("".join(map(LABEL.format, labels)))
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    return f"{head}{declared}{images}</annotations>"


def image(name: str, shapes: str = "", subset: str = "") -> str:
    attributes = f'name={quoteattr(name)} width="{WIDTH}" height="{HEIGHT}"'
    attributes += f' subset="{subset}"' if subset else ""
    return f'<image id="0" {attributes}>{shapes}</image>'


def polygon(points: str, label: str = "tool", z: int = 0) -> str:
    return f'<polygon label="{label}" occluded="0" points="{points}" z_order="{z}"></polygon>'


def as_polygon(box: Box) -> str:
    k, left, top, right, bottom = box
    points = f"{left}.0,{top}.00;{right},{top};{right},{bottom};{left},{bottom}"
    return polygon(points, ("", "tool", "vessel")[k])


def as_box(box: Box) -> str:
    k, left, top, right, bottom = box
    corners = f'xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"'
    return f'<box label="{("", "tool", "vessel")[k]}" {corners} z_order="0"/>'


def as_mask(box: Box) -> str:
    k, left, top, right, bottom = box
    return mask(np.ones((bottom - top, right - left), bool), ("", "tool", "vessel")[k], left, top)


def mask(pixels: np.ndarray, label: str, left: int = 0, top: int = 0) -> str:
    """Write a mask as CVAT does: runs along the rows, the first one outside the object."""
    runs = [(value, len([*group])) for value, group in itertools.groupby(pixels.ravel().tolist())]
    counts = ([0] if runs[0][0] else []) + [length for _, length in runs]
    height, width = pixels.shape
    box = f'left="{left}" top="{top}" width="{width}" height="{height}"'
    return f'<mask label="{label}" rle="{", ".join(map(str, counts))}" {box} z_order="0"></mask>'


def cvat(root: Path, drawn: Scenes, draw: Draw = as_polygon) -> Path:
    """Write frames as CVAT exports a project with subsets, or a task without."""
    images = ""
    for split, frames in drawn.items():
        subset = split.capitalize()
        for name, boxes in frames.items():
            save_picture(root / "images" / subset / f"{name}.png", name)
            images += image(f"{name}.png", "".join(map(draw, boxes)), subset)
    (root / "annotations.xml").write_text(xml(images))
    return root


def drawn_labels(
    root: Path, shapes: str, labels: tuple[str, ...] = ("tool", "vessel")
) -> np.ndarray:
    """Return the class indices of a picture with ``shapes``."""
    images = ""
    for k in range(3):
        save_picture(root / f"images/{k}.png", "a")
        images += image(f"{k}.png", shapes)
    (root / "annotations.xml").write_text(xml(images, labels))
    dataset = open_dataset(root)
    return read_labelled(dataset.splits["train"][0], dataset.label_map, root)[1]


@pytest.mark.parametrize("draw", [as_polygon, as_box, as_mask])
@pytest.mark.parametrize("counts", [{"train": 5, "validation": 2, "test": 2}, {"none": 12}])
def test_it_equals_the_plain_copy(tmp_path: Path, draw: Draw, counts: dict[str, int]) -> None:
    drawn = scenes(**counts)
    ours = open_dataset(cvat(tmp_path / "cvat", drawn, draw))
    assert ours.layout == "cvat"
    assert task_of(tmp_path / "cvat") == "segmentation"
    assert_same(ours, plain_copy(tmp_path / "plain", drawn))


@settings(max_examples=40)
@given(arrays.arrays(bool, st.tuples(st.integers(1, HEIGHT), st.integers(1, WIDTH))), st.data())
def test_any_mask_written_as_run_lengths_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray, data: st.DataObject
) -> None:
    height, width = pixels.shape
    top = data.draw(st.integers(0, HEIGHT - height))
    left = data.draw(st.integers(0, WIDTH - width))
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[top : top + height, left : left + width] = 2 * pixels
    root = tmp_path_factory.mktemp("cvat")
    assert np.array_equal(drawn_labels(root, mask(pixels, "vessel", left, top)), expected)


def test_shapes_are_drawn_by_z_order_then_by_their_order(tmp_path: Path) -> None:
    square = "0,0;4,0;4,4;0,4"
    above = polygon(square, "tool", 1) + polygon(square, "vessel", 0)
    assert drawn_labels(tmp_path / "a", above)[0, 0] == 1
    assert (
        drawn_labels(tmp_path / "b", polygon(square, "tool") + polygon(square, "vessel"))[0, 0] == 2
    )


def test_an_ellipse_and_a_turned_box(tmp_path: Path) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    ellipse = '<ellipse label="tool" cx="16" cy="12" rx="9.3" ry="6.2"{}/>'
    inside = ((x - 16) / 9.3) ** 2 + ((y - 12) / 6.2) ** 2 < 1
    assert np.array_equal(drawn_labels(tmp_path / "a", ellipse.format("")) == 1, inside)
    turned = ((y - 12) / 9.3) ** 2 + ((x - 16) / 6.2) ** 2 < 1
    labels = drawn_labels(tmp_path / "b", ellipse.format(' rotation="90.00"'))
    assert np.array_equal(labels == 1, turned)
    box = '<box label="tool" xtl="12" ytl="8" xbr="20" ybr="16" rotation="45"/>'
    diamond = abs(x - 16) + abs(y - 12) < 4 * 2**0.5
    assert np.array_equal(drawn_labels(tmp_path / "c", box) == 1, diamond)
    slanted = '<box label="tool" xtl="8" ytl="11" xbr="24" ybr="13" rotation="30"/>'
    labels = drawn_labels(tmp_path / "d", slanted)
    assert labels[15, 21] == 1  # clockwise: the right end lies lower
    assert labels[8, 21] == 0


def test_a_declared_background_and_ignored_areas(tmp_path: Path) -> None:
    square = "0,0;{0},0;{0},{0};0,{0}"
    shapes = "".join(
        polygon(square.format(side), label)
        for side, label in ((9, "tool"), (6, "ignore"), (3, "Background"))
    )
    labels = drawn_labels(tmp_path, shapes, ("tool", "Background", "ignore"))
    assert [labels[k, k] for k in (1, 4, 8, 10)] == [0, IGNORE, 1, 0]


def test_pictures_that_are_not_mentioned_are_unlabelled(tmp_path: Path) -> None:
    root = cvat(tmp_path, scenes(none=12))
    save_picture(root / "images/extra.png", "extra")
    dataset = open_dataset(root)
    assert [frame.name for frame in dataset.unlabelled["train"]] == ["extra"]


def test_the_same_name_in_two_subsets(tmp_path: Path) -> None:
    images = ""
    for subset, count in (("train", 4), ("val", 1), ("extra", 1)):
        for k in range(count):
            save_picture(tmp_path / f"images/{subset}/{k}.png", f"{subset}{k}")
            images += image(f"{k}.png", polygon("0,0;9,0;9,9"), subset)
    (tmp_path / "annotations.xml").write_text(xml(images))
    dataset = open_dataset(tmp_path)
    assert {s: [str(f.image.relative_to(tmp_path)) for f in fs]
            for s, fs in dataset.splits.items()} == {
        "train": [f"images/train/{k}.png" for k in range(4)], "validation": ["images/val/0.png"]
    }  # fmt: skip
    (finding,) = (f for f in dataset.findings if f.code == "not-a-split")
    assert finding.files == ("images/extra/0.png",)


def test_folders_of_one_split_enter_the_names_of_frames(tmp_path: Path) -> None:
    images = ""
    for k in range(4):
        save_picture(tmp_path / f"images/p{k}/a.png", str(k))
        images += image(f"p{k}/a.png", polygon("0,0;9,0;9,9"))
    (tmp_path / "annotations.xml").write_text(xml(images))
    names = {f.name: f.image.parent.name for s in open_dataset(tmp_path).splits.values() for f in s}
    assert names == {f"p{k}-a": f"p{k}" for k in range(4)}


@pytest.mark.parametrize("overview", ["", "images/overview.png"])
def test_several_tasks_whose_pictures_share_names(tmp_path: Path, overview: str) -> None:
    if overview:
        save_picture(tmp_path / overview, "overview")
    for task in ("arm", "leg", "toe"):
        images = ""
        for k in range(4):
            save_picture(tmp_path / f"{task}/images/{k}.png", f"{task}{k}")
            images += image(f"{k}.png", polygon(f"0,0;{k + 5},0;{k + 5},9;0,9"))
        (tmp_path / task / "annotations.xml").write_text(xml(images))
    save_picture(tmp_path / "leg/images/extra.png", "extra")
    dataset = open_dataset(tmp_path)
    frames = {frame.name: frame for split in dataset.splits.values() for frame in split}
    assert sorted(frames) == [f"{t}-images-{k}" for t in ("arm", "leg", "toe") for k in range(4)]
    for name, frame in frames.items():
        task, _, k = name.split("-")
        assert frame.image == tmp_path / task / f"images/{k}.png" and frame.group == task
        labels = read_labelled(frame, dataset.label_map, tmp_path)[1]
        assert labels.sum() == (int(k) + 5) * 9
    assert [frame.name for frame in dataset.unlabelled["train"]] == ["extra"]
    assert "Groups: 3, from folders: arm, leg, toe" in dataset.reading


def test_folders_of_splits_are_splits(tmp_path: Path) -> None:
    """Of tasks unpacked side by side, and in the names of one file's pictures."""
    for how in ("tasks", "names"):
        root, listed = tmp_path / how, ""
        for split, count in (("train", 5), ("val", 3), ("test", 8)):
            folder = root / split if how == "tasks" else root / "images" / split
            images = ""
            for k in range(count):
                place = folder / "images" if how == "tasks" else folder
                save_picture(place / f"{k}.png", f"{split}{k}")
                name = f"{k}.png" if how == "tasks" else f"{split}/{k}.png"
                images += image(name, polygon(f"0,0;{k + 5},0;{k + 5},9;0,9"))
            if how == "tasks":
                (folder / "annotations.xml").write_text(xml(images))
            listed += images
        if how == "names":
            (root / "annotations.xml").write_text(xml(listed))
        dataset = open_dataset(root)
        counts = {name: len(frames) for name, frames in dataset.splits.items()}
        assert counts == {"train": 5, "validation": 3, "test": 8}
        assert {frame.group for frames in dataset.splits.values() for frame in frames} == {None}


def test_patients_of_one_file_are_groups_if_they_suffice(tmp_path: Path) -> None:
    for patients in (4, 2):
        images, root = "", tmp_path / str(patients)
        for k in range(12):
            save_picture(root / f"images/p{k % patients}/{k}.png", f"{k}")
            images += image(f"p{k % patients}/{k}.png", polygon("0,0;9,0;9,9"))
        (root / "annotations.xml").write_text(xml(images))
        for frames in open_dataset(root).splits.values():
            for frame in frames:
                group = f"p{int(frame.image.stem) % 4}"
                assert frame.group == (group if patients == 4 else None)


@pytest.mark.parametrize("subset", ["", "Train"])
def test_a_task_is_no_patient(tmp_path: Path, subset: str) -> None:
    """Nor is a folder a split where not every picture lies in the folder of one."""
    images = ""
    for k in range(12):
        folder = ("Train" if k < 8 else "Test") if subset else "test"
        save_picture(tmp_path / f"images/{folder}/{k}.png", f"{k}")
        drawn = image(f"{k}.png", polygon("0,0;9,0;9,9"), folder if subset else "")
        images += drawn.replace("<image", f'<image task_id="{1 + k // 8}"')
    (tmp_path / "annotations.xml").write_text(xml(images))
    splits = open_dataset(tmp_path).splits
    assert sum(map(len, splits.values())) == 12 and len(splits) == 3
    assert {frame.group for frames in splits.values() for frame in frames} == {None}


def test_frames_of_a_video_have_no_ending_in_the_file(tmp_path: Path) -> None:
    names = [f"frame_{k:06}" for k in range(8)]
    for name in names:
        save_picture(tmp_path / f"images/{name}.PNG", name)
    images = "".join(image(name, polygon("0,0;9,0;9,9")) for name in names)
    (tmp_path / "annotations.xml").write_text(xml(images))
    frames = [f for split in open_dataset(tmp_path).splits.values() for f in split]
    assert sorted(frame.name for frame in frames) == names


def test_warnings_count_what_is_not_drawn(tmp_path: Path) -> None:
    root = cvat(tmp_path, scenes(none=12))
    odd = '<points label="tool" points="1,1;2,2"/><polyline label="tool" points="1,1;2,2"/>'
    odd += '<points label="tool" points="1,1"/><tag label="tool"/>'
    odd += polygon("1,1;5,5;9,9") + polygon("40,1;50,1;50,9") + mask(np.zeros((2, 2), bool), "tool")
    odd += polygon("0,0;9,9;9,0;0,9")  # crosses itself, and so covers two triangles
    for name, shapes in (("odd", odd), ("bare", "")):
        save_picture(root / f"images/{name}.png", name)
        text = (root / "annotations.xml").read_text()
        text = text.replace("</annotations>", image(f"{name}.png", shapes) + "</annotations>")
        (root / "annotations.xml").write_text(text)
    dataset = open_dataset(root)
    found = {finding.code: finding for finding in dataset.findings}
    assert {code for code, f in found.items() if f.severity == "warning"} == {
        "shapes-left-out", "empty-shape", "nothing-annotated"
    }  # fmt: skip
    assert "2 points, 1 polyline, 1 tag" in found["shapes-left-out"].message
    assert "3 shapes" in found["empty-shape"].message
    assert found["empty-shape"].files == ("odd.png",)
    assert "1 of 14" in found["nothing-annotated"].message
    assert found["nothing-annotated"].files == ("bare.png",)


def shape(text: str) -> str:
    return xml("".join(image(f"{k}.png", text if k == 1 else "") for k in range(3)))


RLE = '<mask label="tool" rle="{}" left="0" top="0" width="{}" height="2"/>'
BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + xml(image("0.png", "&b;"))
OUTER = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + xml("&a;")
BARE = BOMB.replace('<?xml version="1.0" encoding="utf-8"?>', "")


@pytest.mark.parametrize(
    ("content", "code", "fact"),
    [
        (shape(polygon("1,1;2,2")), "bad-shape", "fewer than 3"),
        (shape(polygon("")), "bad-shape", "fewer than 3"),
        (shape(polygon("1,1;2,2;3")), "bad-shape", "x,y"),
        (shape(polygon("1,1;2,2;nan,4")), "bad-shape", "not finite"),
        (shape(polygon("1,1;2,2;1e999,4")), "bad-shape", "not finite"),
        (shape(polygon("1,1;2,2;1e300,4")), "bad-shape", "not finite"),
        (shape(polygon("1,1;2,2;x,4")), "bad-shape", "number"),
        (shape('<polygon label="tool"/>'), "bad-shape", "no points"),
        (shape('<box label="tool" xtl="1" ytl="1" xbr="2"/>'), "bad-shape", "no ybr"),
        (shape('<ellipse label="tool" cx="1" cy="1" rx="inf" ry="1"/>'), "bad-shape", "finite"),
        (shape(RLE.format("1, 2, 3", 4)), "bad-shape", "add up"),
        (shape(RLE.format("8, -2, 2", 4)), "bad-shape", "add up"),
        (shape(RLE.format("0, 200", 100)), "bad-shape", "larger"),
        (shape(RLE.format("", 4)), "bad-shape", "number"),
        (shape(RLE.format("9" * 5000, 4)), "bad-shape", "number"),
        (shape(RLE.format("1e9", 4)), "bad-shape", "number"),
        (shape(polygon("1,1;2,2;3,1", "knife")), "undeclared-label", "knife"),
        (xml(image("0.png") + image("gone.png")), "annotated-picture-missing", "gone.png"),
        (xml(image("0.png") + image("../../1.pn")), "annotated-picture-missing", "../../1.pn"),
        (xml(image("0.png") + image("x/0.png")), "picture-twice", "images/0.png"),
        (xml('<image name="0.png" width="-1" height="5"/>'), "bad-annotations", "0.png"),
        (
            xml('<image name="0.png" width="99999999" height="99999999"/>'),
            "bad-annotations",
            "0.png",
        ),
        (xml('<image width="9" height="5"/>'), "bad-annotations", "no name"),
        (xml("<track/>"), "bad-annotations", "video"),
        (xml("<a>" * 100 + "</a>" * 100), "bad-annotations", "nested"),
        (xml("", ()), "label-map", "1 classes"),
        (xml("", ("bg", "void")), "label-map", "bg, void"),
        (xml("", ("x" * 200,)), "label-map", "invalid"),
        (xml("", ("x" * 9000,)), "bad-annotations", "1000"),
        (xml(image("0.png"))[:-20], "bad-annotations", "XML"),
        ("<a><annotations/></a>", "bad-annotations", "<a>"),
        (xml("").replace("utf-8", "klingon"), "bad-annotations", "XML"),
        (xml("").replace("utf-8", "utf-16"), "bad-annotations", "XML"),
        (xml("").replace("utf-8", "big5"), "bad-annotations", "XML"),
        (xml("\0"), "bad-annotations", "XML"),
        (BARE, "bad-annotations", "entities"),
        (
            OUTER.replace('<?xml version="1.0" encoding="utf-8"?>', ""),
            "bad-annotations",
            "entities",
        ),
    ],
)
def test_faults(tmp_path: Path, content: str, code: str, fact: str) -> None:
    for k in range(3):
        save_picture(tmp_path / f"images/{k}.png", str(k))
    (tmp_path / "annotations.xml").write_text(content)
    found = faults(tmp_path)
    assert code in found
    assert fact in str(found[code])


def test_every_missing_picture_is_named(tmp_path: Path) -> None:
    save_picture(tmp_path / "images" / "other.png", "other")
    (tmp_path / "annotations.xml").write_text(xml("".join(image(f"{k}.png") for k in range(40))))
    assert len(faults(tmp_path)["annotated-picture-missing"].files) == 40


def test_millions_of_elements_are_refused_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.data.layouts.annotations.cvat_xml.MAX_ELEMENTS", 20_000)
    monkeypatch.setattr("headstart.data.layouts.annotations.cvat_xml.MAX_NUMBERS", 50_000)
    save_picture(tmp_path / "images/0.png", "0")
    started = time.monotonic()
    for shapes, fact in (
        ("<a/>" * 1_000_000, "20,000 elements"),
        (polygon("1,2;" * 1_000_000), "50,000 numbers"),
        (RLE.format("1," * 2_000_000 + "1", 4), "50,000 numbers"),
        ('<ellipse label="tool" cx="1" cy="1" rx="1e6" ry="1e6"/>' * 15_000, "50,000 numbers"),
    ):
        (tmp_path / "annotations.xml").write_text(xml(image("0.png", shapes)))
        assert fact in faults(tmp_path)["bad-annotations"].message
    assert time.monotonic() - started < 10


def test_other_folders_are_not_taken_for_it(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    plain_copy(root, scenes(train=3, validation=2, test=2))
    (root / "annotations.xml").write_text(xml(""))
    assert layout_of(root) == "plain"
    save_picture(tmp_path / "classes/train/cat/a.png", "a")
    save_picture(tmp_path / "classes/train/dog/a.png", "a")
    (tmp_path / "classes/annotations.xml").write_text("<annotation><object/></annotation>")
    assert layout_of(tmp_path / "classes") is None
    assert task_of(tmp_path / "classes") == "classification"
