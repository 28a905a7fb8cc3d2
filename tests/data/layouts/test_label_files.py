"""Files that name classes: each read to its levels or colours; damaged ones name the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.label_map import LabelMap
from headstart.data.layouts.label_files import label_map_beside
from headstart.errors import DataError

GREEN, RED, BLACK = (0, 255, 0), (255, 0, 0), (0, 0, 0)


@pytest.mark.parametrize(
    ("name", "content", "label_map"),
    [
        (
            "class_dict.csv",
            "name, r, g, b\nTree, 0, 255, 0\nCar,255,0,0\n",
            LabelMap(("Tree", "Car"), (0, 1), (), (GREEN, RED)),
        ),
        (
            "class_dict.csv",
            "b,g,r,name\n0,0,255,Car\n0,0,0,Void\n",
            LabelMap(("Void", "Car"), (0, 1), (), (BLACK, RED)),
        ),
        (
            "labelmap.txt",
            "# label:color_rgb\ncar:255,0,0::\nbackground:0,0,0::\na:b:0,255,0:x,y:\n",
            LabelMap(("background", "car", "a:b"), (0, 1, 2), (), (BLACK, RED, GREEN)),
        ),
        (
            "labelmap.txt",
            "background:0,0,0::\ncar:255,0,0\nignore:0,255,0::\n",
            LabelMap(("background", "car"), (0, 1), (), (BLACK, RED), (GREEN,)),
        ),
        (
            "obj_class_to_machine_color.json",
            '{"lesion": [2, 2, 2], "tool": [1, 1, 1]}',
            LabelMap(("background", "tool", "lesion"), (0, 1, 2)),
        ),
        (
            "obj_class_to_machine_color.json",
            '{"car": [255, 0, 0], "bg": [0, 0, 0]}',
            LabelMap(("bg", "car"), (0, 1), (), (BLACK, RED)),
        ),
        (
            "_classes.csv",
            "Pixel Value, Class\n0, background\n255, tool\n",
            LabelMap(("background", "tool"), (0, 255)),
        ),
        (
            "dataset.json",
            '{"labels": {"b": 0, "t": 1, "ignore": 2}}',
            LabelMap(("b", "t"), (0, 1), (2,)),
        ),
        ("dataset.json", '{"labels": {"0": "b", "1": "t"}}', LabelMap(("b", "t"), (0, 1))),
        ("classes.txt", "tool\n\nvessel\n", LabelMap(("background", "tool", "vessel"), (0, 1, 2))),
        ("classes.txt", "tool\nVoid\nvessel", LabelMap(("Void", "tool", "vessel"), (1, 0, 2))),
        ("classes.txt", "\ufeffbg\ntool\r\n", LabelMap(("bg", "tool"), (0, 1))),
    ],
)  # fmt: skip
def test_classes_are_read(tmp_path: Path, name: str, content: str, label_map: LabelMap) -> None:
    (tmp_path / name).write_text(content)
    beside = label_map_beside(tmp_path)
    assert beside is not None
    assert beside[0] == label_map
    assert all(word in beside[1] for word in (name, *label_map.names))


def test_without_such_a_file_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"name": "mine"}')
    (tmp_path / "README.txt").touch()
    assert label_map_beside(tmp_path) is None


def test_colours_and_levels_go_before_mere_names(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("a\nb\n")
    (tmp_path / "_classes.csv").write_text("Pixel Value,Class\n0,c\n1,d\n")
    beside = label_map_beside(tmp_path)
    assert beside is not None
    assert beside[0].names == ("c", "d")


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("class_dict.csv", b"", "none"),
        ("class_dict.csv", b"name,red,green,blue\na,0,0,0\n", "red"),
        ("class_dict.csv", b"name,r,g,b\na,0,0,0\nb,256,0,0\n", "line 3"),
        ("class_dict.csv", b"name,r,g,b\na,0,0,0\nb,-1,0,0\n", "line 3"),
        ("class_dict.csv", b"name,r,g,b\na,0,0,0\nb,nan,0,0\n", "line 3"),
        ("class_dict.csv", b"name,r,g,b\na,0,0,0\nb,9,9\n", "line 3"),
        ("class_dict.csv", b"name,r,g,b\na,0,0,0\nb,0,0,0\n", "several classes"),
        ("class_dict.csv", b"name,r,g,b\n" + b"a,0,0,0\n" * 999_999, "bytes"),
        ("labelmap.txt", b"car:255,0,0::\nroad:::\n", "line 2"),
        ("labelmap.txt", b"car:255,0,999::\n", "colour"),
        ("labelmap.txt", b":" * 10**6, "line 1"),
        ("labelmap.txt", b"# only a comment\n", "0 classes"),
        ("_classes.csv", b"Pixel Value,Class\n0,a\n0,b\n", "several classes"),
        ("dataset.json", b'{"labels": ["a", "b"]}', "object"),
        ("dataset.json", b'{"labels": {"a": 0, "b": [1, 2]}}', "regions"),
        ("dataset.json", b'{"labels": {"a": 0, "b": "#f"}}', "b"),
        ("classes.txt", b"\xff\xfe", "UTF-8"),
        ("classes.txt", b"a\na\n", "twice"),
        ("classes.txt", b"bg\nvoid\na\n", "bg, void"),
        ("classes.txt", b"\n".join(b"c%d" % k for k in range(300)), "301 classes"),
    ],
)
def test_faults(tmp_path: Path, name: str, content: bytes, fact: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        label_map_beside(tmp_path)
    assert {f.code for f in caught.value.findings} <= {"label-map", "file-too-large"}
    assert fact in str(caught.value)
    assert name in str(caught.value)
