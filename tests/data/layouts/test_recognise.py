from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.files import natural_key
from headstart.data.label_map import LabelMap
from headstart.data.layouts import class_folders
from headstart.data.layouts.recognise import LAYOUTS, layout_of, open_dataset
from headstart.errors import DataError, Finding, look_up

MAP = '{"tissue": 0, "tool": 32}'


def assignment(k: Iterable[int], split: str) -> list[str]:
    return [f"segmentation/{split}/{i}/{i}_{kind}" for i in k for kind in ("input.jpg", "mask.png")]


ASSIGNMENT = [f for n, s in ((12, "train"), (3, "validation"), (3, "test"))
              for f in assignment(range(n), s)]  # fmt: skip
SPLIT = [f"{s}/{kind}/a{i}.png" for s in ("train", "validation", "test") for i in range(3)
         for kind in ("images", "masks")]  # fmt: skip
FLAT = [f"{kind}/{i}.png" for i in range(20) for kind in ("images", "masks")]


def made(root: Path, files: Iterable[str | bytes], label_map: str | None = MAP) -> Path:
    """Empty files: nothing is decoded when a dataset is opened."""
    root.mkdir(exist_ok=True)
    for file in files:
        path = root / os.fsdecode(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if label_map is not None:
        (root / "mapping.json").write_text(label_map)
    return root


def faults(root: Path) -> dict[str, Finding]:
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    assert caught.value.exit_status == 65
    assert str(caught.value).encode("utf-8")  # whatever the files are called
    for finding in caught.value.findings:
        assert finding.message
        assert finding.hint
    found = {finding.code: finding for finding in caught.value.findings}
    assert len(found) == len(caught.value.findings), "one finding per kind"
    return found


def test_layouts_have_a_name_each_and_recognise_no_empty_folder(tmp_path: Path) -> None:
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
    for layout in LAYOUTS:
        assert not layout.recognise(tmp_path)
        assert not layout.recognise(tmp_path / "nope")
    assert layout_of(tmp_path) is None


@pytest.mark.parametrize(("files", "name"), [(ASSIGNMENT, "assignment"), (SPLIT, "plain")])
def test_a_folder_is_recognised_by_one_layout(tmp_path: Path, files: list[str], name: str) -> None:
    made(tmp_path, files)
    assert [layout.name for layout in LAYOUTS if layout.recognise(tmp_path)] == [name]
    assert layout_of(tmp_path) == open_dataset(tmp_path).layout == name


def test_an_unreadable_folder_is_named_beside_other_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, [f for f in SPLIT if f != "train/masks/a1.png"])
    iterdir = Path.iterdir

    def refuse(folder: Path) -> Iterator[Path]:
        if folder.name == "unlabelled":
            raise PermissionError(13, "Permission denied")
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    found = faults(tmp_path)
    assert set(found) == {"image-without-mask", "unreadable-folder"}
    assert found["unreadable-folder"].files == ("unlabelled",)


def test_assignments_layout(tmp_path: Path) -> None:
    cor = [f"colorization/train_cor/{i}/{i}_{kind}.jpg" for i in range(5) for kind in
           ("gray", "input")]  # fmt: skip
    cor += [f"colorization/validation_cor/{i}/{i}_input.jpg" for i in range(1, 3)]
    dataset = open_dataset(made(tmp_path, [*ASSIGNMENT, *cor, "segmentation/train/.DS_Store"]))
    assert dataset.layout == "assignment"
    assert dataset.label_map.names == ("tissue", "tool")
    assert [f.name for f in dataset.splits["train"]] == [str(i) for i in range(12)]
    assert {name: len(frames) for name, frames in dataset.splits.items()} == {
        "train": 12, "validation": 3, "test": 3
    }  # fmt: skip
    frame = dataset.splits["test"][2]
    assert frame.image == tmp_path / "segmentation/test/2/2_input.jpg"
    assert frame.mask == tmp_path / "segmentation/test/2/2_mask.png"
    assert [f.image.name for f in dataset.unlabelled["train"]] == [
        f"{i}_input.jpg" for i in range(5)
    ]
    assert [f.name for f in dataset.unlabelled["validation"]] == ["1", "2"]
    assert all(f.mask is None for f in dataset.unlabelled["train"])
    assert dataset.findings == ()


def test_plain_layout_with_splits(tmp_path: Path) -> None:
    dataset = open_dataset(made(tmp_path, [*SPLIT, "unlabelled/x.jpg", "unlabelled/y.tif"]))
    assert dataset.layout == "plain"
    assert list(dataset.splits) == ["train", "validation", "test"]
    assert [f.name for f in dataset.splits["train"]] == ["a0", "a1", "a2"]
    assert [f.name for f in dataset.unlabelled["train"]] == ["x", "y"]
    assert dataset.findings == ()


def test_plain_layout_without_splits(tmp_path: Path) -> None:
    dataset = open_dataset(made(tmp_path, FLAT))
    assert {name: len(frames) for name, frames in dataset.splits.items()} == {
        "train": 14, "validation": 3, "test": 3
    }  # fmt: skip
    assert {f.name for frames in dataset.splits.values() for f in frames} == set(
        map(str, range(20))
    )
    for frames in dataset.splits.values():
        assert [f.name for f in frames] == sorted((f.name for f in frames), key=natural_key)
    (finding,) = dataset.findings
    assert finding.code == "split-by-tool"
    assert "14 train, 3 validation, 3 test" in finding.message
    assert open_dataset(tmp_path) == dataset


def test_groups_stay_together(tmp_path: Path) -> None:
    lines = "".join(f"{i},video {i // 4}\n" for i in range(20))
    (made(tmp_path, FLAT) / "groups.csv").write_text("stem,group\n" + lines)
    dataset = open_dataset(tmp_path)
    groups = {name: {f.group for f in frames} for name, frames in dataset.splits.items()}
    assert sorted(map(len, groups.values())) == [1, 1, 3]
    assert len(set().union(*groups.values())) == 5
    (finding,) = dataset.findings
    assert finding.code == "split-by-tool"
    assert "groups: " in finding.message


def test_groups_of_a_layout_with_splits(tmp_path: Path) -> None:
    stems = [f"{s}/a{i}" for s in ("train", "validation", "test") for i in range(3)]
    csv = "group,stem\n" + "".join(f"p{i},{stem}\n" for i, stem in enumerate([*stems, "train/z"]))
    (made(tmp_path, SPLIT) / "groups.csv").write_text(csv)
    dataset = open_dataset(tmp_path)
    assert [f.group for f in dataset.splits["validation"]] == ["p3", "p4", "p5"]
    (finding,) = dataset.findings
    assert (finding.code, finding.severity) == ("groups-unused", "warning")
    assert "train/z" in finding.message


def test_frame_without_group(tmp_path: Path) -> None:
    lines = "".join(f"{i},g{i}\n" for i in range(19))
    (made(tmp_path, FLAT) / "groups.csv").write_text("stem,group\n" + lines)
    assert faults(tmp_path)["groups"].files == ("images/19.png",)


def test_validation_is_drawn_where_it_has_no_folder(tmp_path: Path) -> None:
    for split, count in (("train", 20), ("test", 4)):
        made(tmp_path, [f"{split}/{kind}/{i}.png" for kind in ("images", "masks")
                        for i in range(count)])  # fmt: skip
    dataset = open_dataset(tmp_path)
    assert {s: len(frames) for s, frames in dataset.splits.items()} == {
        "train": 17, "validation": 3, "test": 4}  # fmt: skip
    assert any(sentence.startswith("Validation: 3 of the 20") for sentence in dataset.reading)


@pytest.mark.parametrize(
    ("drop", "code", "severity"),
    [("validation", "empty-split", "error"), ("train", "empty-split", "error"),
     ("test", "empty-split", "warning")],
)  # fmt: skip
@pytest.mark.parametrize("files", [ASSIGNMENT, SPLIT])
@pytest.mark.parametrize("leave_folder", [True, False])
def test_missing_or_empty_split(
    tmp_path: Path, files: list[str], drop: str, code: str, severity: str, leave_folder: bool
) -> None:
    made(tmp_path, [file for file in files if drop not in file.split("/")])
    if leave_folder or (files is SPLIT and drop == "validation"):  # without one, it is drawn
        folder = f"segmentation/{drop}" if files is ASSIGNMENT else f"{drop}/images"
        (tmp_path / folder).mkdir(parents=True)
    if severity == "error":
        assert drop in faults(tmp_path)[code].message
    else:
        dataset = open_dataset(tmp_path)
        assert "test" not in dataset.splits
        assert [(f.code, f.severity) for f in dataset.findings] == [(code, severity)]


@pytest.mark.parametrize(
    ("files", "code", "named"),
    [
        (["segmentation/train/12/12_input.jpg"], "image-without-mask",
         "segmentation/train/12/12_input.jpg"),
        (["segmentation/train/12/12_mask.png"], "mask-without-image",
         "segmentation/train/12/12_mask.png"),
        (["segmentation/train/12/11_input.jpg"], "no-picture", "segmentation/train/12"),
        (["segmentation/train/12/11_mask.png"], "no-picture", "segmentation/train/12"),
        (["colorization/train_cor/0/0_gray.jpg"], "no-picture", "colorization/train_cor/0"),
        (["segmentation/train/1/1_input.png"], "same-stem", "segmentation/train/1/1_input.png"),
        (["segmentation/train/1/1_mask.bmp"], "same-stem", "segmentation/train/1/1_mask.bmp"),
    ],
)  # fmt: skip
def test_faults_of_the_assignments_layout(
    tmp_path: Path, files: list[str], code: str, named: str
) -> None:
    found = faults(made(tmp_path, [*ASSIGNMENT, *files]))
    assert list(found) == [code]
    assert named in found[code].files


@pytest.mark.parametrize(
    ("files", "code", "named"),
    [
        (["images/x.jpg"], "image-without-mask", "images/x.jpg"),
        (["masks/x.png"], "mask-without-image", "masks/x.png"),
        (["images/1.jpg"], "same-stem", "images/1.jpg"),
        (["masks/1.TIF"], "same-stem", "masks/1.TIF"),
        (["images/X.jpg", "masks/x.png"], "image-without-mask", "images/X.jpg"),
        ([b"images/\xff\n\x1b[31m.jpg"], "image-without-mask",
         os.fsdecode(b"images/\xff\n\x1b[31m.jpg")),
        (["masks/x.svg", "images/x.png"], "image-without-mask", "images/x.png"),
    ],
)  # fmt: skip
def test_faults_of_the_plain_layout(
    tmp_path: Path, files: list[str | bytes], code: str, named: str
) -> None:
    assert named in faults(made(tmp_path, [*FLAT, *files]))[code].files


def test_all_faults_at_once(tmp_path: Path) -> None:
    files = [f for f in ASSIGNMENT if "validation" not in f]
    files += ["segmentation/train/50/50_input.jpg", "segmentation/test/50/50_mask.png"]
    files += ["segmentation/train/51/51_input.jpg", "segmentation/train/52/.keep"]
    found = faults(made(tmp_path, files, '{"tissue": 0, "tool": 300}'))
    assert {"image-without-mask", "mask-without-image", "no-picture", "label-map"} <= set(found)
    assert len(found["image-without-mask"].files) == 2


def test_empty_split_is_named_beside_other_faults(tmp_path: Path) -> None:
    files = [f for f in ASSIGNMENT if "validation" not in f]
    found = faults(made(tmp_path, [*files, "segmentation/train/50/50_input.jpg"]))
    assert set(found) == {"image-without-mask", "empty-split"}


@pytest.mark.parametrize("files", [ASSIGNMENT, FLAT])
def test_no_masks(tmp_path: Path, files: list[str]) -> None:
    images = [file for file in files if "mask" not in file]
    found = faults(made(tmp_path, images))
    assert set(found) == {"no-masks"}
    owner, count = ("train", 12) if files is ASSIGNMENT else (str(tmp_path), len(images))
    assert owner in found["no-masks"].message
    assert str(count) in found["no-masks"].message


def test_too_few_to_split(tmp_path: Path) -> None:
    assert set(faults(made(tmp_path, FLAT[:4]))) == {"too-few-frames"}


def test_nothing_labelled(tmp_path: Path) -> None:
    (tmp_path / "segmentation").mkdir()
    assert set(faults(made(tmp_path, []))) == {"empty-split"}


@pytest.mark.parametrize("name", ["nope", "file", "n" * 300])
def test_no_such_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    found = faults(tmp_path / name)
    assert set(found) == {"no-such-folder"}
    assert str(tmp_path / name) in found["no-such-folder"].message


def test_why_a_folder_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    messages = {faults(tmp_path / name)["no-such-folder"].message.replace(name, "")
                for name in ("nope", "file", "n" * 300)}  # fmt: skip
    assert len(messages) == 3


def test_layout_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]")  # no folder, so no dataset
    finding = faults(made(tmp_path, ["pictures/a.png", "notes.txt"]))["layout"]
    assert "mapping.json, notes.txt, pictures" in finding.message
    assert "did you mean" not in finding.hint
    assert "dataset.toml" in finding.hint and "explain layout" in finding.hint
    assert len(finding.hint) < 300
    made(tmp_path / "hw6", ASSIGNMENT)
    assert str(tmp_path / "hw6") in faults(tmp_path)["layout"].hint
    made(tmp_path / "other", ASSIGNMENT)
    assert "did you mean" not in faults(tmp_path)["layout"].hint  # one of several is a part


def test_every_layout_is_explained() -> None:
    explained = look_up("layout").do.replace("`", "")
    for layout in (*LAYOUTS, class_folders.LAYOUT):
        assert layout.arrangement in explained


def test_without_a_label_map_the_levels_in_the_masks_are_the_classes(tmp_path: Path) -> None:
    made(tmp_path, FLAT, label_map=None)
    for k, path in enumerate(sorted((tmp_path / "masks").iterdir())):
        Image.fromarray(np.array([[0, 40], [90 * (k == 1), 0]], np.uint8)).save(path)
    dataset = open_dataset(tmp_path)
    assert dataset.label_map == LabelMap(("background", "class_1", "class_2"), (0, 40, 90))
    (finding,) = [f for f in dataset.findings if f.code == "no-label-map"]
    assert finding.severity == "info"
    assert finding.hint.endswith('{"background": 0, "class_1": 40, "class_2": 90}')
    assert any("class_2" in sentence for sentence in dataset.reading)


def test_accents_written_in_two_ways_are_one_name(tmp_path: Path) -> None:
    image, mask = (unicodedata.normalize(form, "caf\xe9") for form in ("NFD", "NFC"))
    dataset = open_dataset(made(tmp_path, [*FLAT, f"images/{image}.png", f"masks/{mask}.png"]))
    assert mask in {f.name for frames in dataset.splits.values() for f in frames}


def test_what_is_no_picture_by_its_name_is_told(tmp_path: Path) -> None:
    dataset = open_dataset(made(tmp_path, [*SPLIT, "train/images/notes.txt"]))
    (finding,) = dataset.findings
    assert finding.code == "passed-over"
    assert finding.files == ("train/images/notes.txt",)


def test_the_assignments_own_data(real: Path) -> None:
    dataset = open_dataset(real)
    counts = {name: len(frames) for name, frames in dataset.splits.items()}
    assert counts == {"train": 300, "validation": 50, "test": 50}
    assert {n: len(frames) for n, frames in dataset.unlabelled.items()} == {
        "train": 1584, "validation": 50
    }  # fmt: skip
    assert [finding.code for finding in dataset.findings] == ["label-map-commas"]
