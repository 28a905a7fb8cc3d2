"""nnU-Net's folders: the same pixels as a plain copy; versions 1 and 2; what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.data.layouts.recognise import open_dataset
from headstart.data.task import task_of
from tests.data.layouts.plain_copy import (
    Scenes,
    assert_same,
    faults,
    indices_of,
    plain_copy,
    save,
    save_picture,
    scenes,
    sort_palettes,
)

VERSION_2 = {
    "channel_names": {"0": "R", "1": "G", "2": "B"},
    "labels": {"background": 0, "tool": 1, "vessel": 2},
    "numTraining": 20,
    "file_ending": ".png",
}
VERSION_1 = {
    "modality": {"0": "RGB"},
    "labels": {"0": "background", "1": "tool", "2": "vessel"},
    "training": [],
}


def nnunet(root: Path, drawn: Scenes, description: object = VERSION_2) -> Path:
    root.mkdir(exist_ok=True)
    for split, frames in drawn.items():
        ending = "Ts" if split == "test" else "Tr"
        for name, boxes in frames.items():
            save_picture(root / f"images{ending}/{name}_0000.png", name)
            save(root / f"labels{ending}/{name}.png", indices_of(boxes))
    (root / "dataset.json").write_text(json.dumps(description))
    return root


@pytest.mark.parametrize("description", [VERSION_2, VERSION_1])
def test_without_test_cases_it_equals_the_plain_copy(tmp_path: Path, description: dict) -> None:
    drawn = scenes(none=12)
    ours = open_dataset(nnunet(tmp_path / "Dataset001_Tools", drawn, description))
    assert ours.layout == "nnunet"
    assert task_of(tmp_path / "Dataset001_Tools") == "segmentation"
    assert_same(ours, plain_copy(tmp_path / "plain", drawn))


def test_a_mapping_json_beside_it_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    root = nnunet(tmp_path / "nnunet", scenes(none=12))
    said = "The file mapping.json is not used: the classes are those of the export"
    assert said not in open_dataset(root).reading
    (root / "mapping.json").write_text('{"background": 0, "other": 1}')
    ours = open_dataset(root)
    assert ours.label_map.names == ("background", "tool", "vessel") and said in ours.reading


def test_with_test_cases_validation_is_drawn_from_training(tmp_path: Path) -> None:
    drawn = scenes(train=12, test=3)
    ours = open_dataset(nnunet(tmp_path / "nnunet", drawn))
    chosen = {frame.name for frame in ours.splits["validation"]}
    assert len(chosen) == 2
    assert any("2 of the 12 training frames" in sentence for sentence in ours.reading)
    moved = {
        "train": {n: b for n, b in drawn["train"].items() if n not in chosen},
        "validation": {n: b for n, b in drawn["train"].items() if n in chosen},
        "test": drawn["test"],
    }
    assert_same(ours, plain_copy(tmp_path / "plain", moved))


def test_pixels_of_the_label_ignore_count_nowhere(tmp_path: Path) -> None:
    drawn = scenes(none=12)
    described = VERSION_2 | {"labels": {"background": 0, "tool": 1, "ignore": 2}}
    ours = open_dataset(nnunet(tmp_path / "nnunet", drawn, described))
    plain = plain_copy(tmp_path / "plain", drawn, {2: 9}, ("background", "tool"))
    assert_same(ours, plain)
    assert ours.label_map.ignore == (2,)


def test_pictures_without_labels_are_unlabelled(tmp_path: Path) -> None:
    root = nnunet(tmp_path, scenes(none=12))
    save_picture(root / "imagesTs/b_0000.png", "b")
    dataset = open_dataset(root)
    assert [frame.name for frame in dataset.unlabelled["train"]] == ["b"]
    assert any("imagesTs/" in sentence for sentence in dataset.reading)


def second_channel(root: Path) -> None:
    save_picture(root / "imagesTr/f0_0001.png", "x")


def no_label(root: Path) -> None:
    (root / "labelsTr/f3.png").unlink()


def no_picture(root: Path) -> None:
    (root / "imagesTr/f3_0000.png").unlink()


def described(description: object) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        text = description if isinstance(description, str) else json.dumps(description)
        (root / "dataset.json").write_text(text)

    return write


REGIONS = VERSION_2 | {"labels": {"background": 0, "whole": [1, 2], "core": [2]}}


@pytest.mark.parametrize(
    ("harm", "code", "fact"),
    [
        (second_channel, "several-channels", "imagesTr/f0_0001.png"),
        (no_label, "image-without-mask", "imagesTr/f3_0000.png"),
        (no_picture, "mask-without-image", "labelsTr/f3.png"),
        (described("{"), "bad-annotations", "dataset.json"),
        (described("[" * 10**6), "bad-annotations", "nested"),
        (described([]), "bad-annotations", "object"),
        (described(VERSION_2 | {"labels": []}), "label-map", "dataset.json"),
        (described(VERSION_2 | {"labels": {"a": 0, "b": 1e400}}), "label-map", "b"),
        (described(VERSION_2 | {"labels": {"a": 0, "b": 300}}), "label-map", "300"),
        (described({"file_ending": ".png"}), "bad-annotations", "labels"),
        (described(VERSION_2 | {"file_ending": ".nii.gz"}), "bad-annotations", ".nii.gz"),
        (described(VERSION_2 | {"file_ending": 7}), "bad-annotations", "7"),
        (described(VERSION_2 | {"dataset": {}}), "bad-annotations", "'dataset'"),
        (described(REGIONS), "label-map", "whole"),
    ],
)
def test_faults(tmp_path: Path, harm: Callable[[Path], None], code: str, fact: str) -> None:
    root = nnunet(tmp_path, scenes(none=12))
    harm(root)
    found = faults(root)
    assert set(found) == {code}
    assert fact in str(found[code])


def test_volumes_of_version_1_are_refused(tmp_path: Path) -> None:
    for name in ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "dataset.json").write_text(json.dumps(VERSION_1))
    assert ".nii.gz" in faults(tmp_path)["bad-annotations"].message


def test_palettes_that_a_program_has_sorted_are_refused(tmp_path: Path) -> None:
    root = nnunet(tmp_path / "nnunet", scenes(none=12))
    sort_palettes(root / "labelsTr")
    assert "grey levels that the export names" in faults(root)["palettes-disagree"].hint
