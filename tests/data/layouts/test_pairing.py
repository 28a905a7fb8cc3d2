"""What every reader of masks does at its end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headstart.data.label_map import LabelMap
from headstart.data.layouts.pairing import FrameSearch, read_frames
from headstart.data.layouts.recognise import open_dataset
from tests.data.layouts.annotations.test_cvat import image, polygon, xml
from tests.data.layouts.test_people import levels, picture, save


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (("background", "Tool", "tool "), ["'Tool' and 'tool '"]),
        (("background", " b", "a", "A", "B"), ["' b' and 'B'", "'a' and 'A'"]),
        (("background", "tool", "tools"), []),
    ],
)
def test_classes_that_differ_only_in_capitals_or_spaces_are_a_warning(
    tmp_path: Path, names: tuple[str, ...], alike: list[str]
) -> None:
    label_map = LabelMap(names, tuple(range(len(names))))
    dataset = read_frames(FrameSearch(tmp_path, ""), "coco", lambda search: label_map)
    found = [f for f in dataset.findings if f.code == "classes-alike"]
    assert [f.severity for f in found] == ["warning"] * bool(alike)
    assert all(pair in found[0].message for pair in alike)


@pytest.mark.parametrize("way", ["paired", "patterns", "frames", "cvat"])
def test_test_pictures_without_masks_are_not_for_pretexts(tmp_path: Path, way: str) -> None:
    names = {s: [f"{s}/pics/{k}.png" for k in range(4)] for s in ("train", "val", "test", "more")}
    for split, paths in names.items():
        for k, path in enumerate(paths):
            save(tmp_path / path, picture(10 * len(split) + k))
            if split in ("train", "val"):
                save(tmp_path / path.replace("pics", "gt"), levels(k))
    patterns = 'pictures = "{split}/pics/{name}.png"\nmasks = "{split}/gt/{name}.png"\n'
    patterns += 'unlabelled = "{split}/only/{name}.png"\n[split]\ntrain = "train"\n'
    if way == "patterns":
        for split in ("test", "more"):
            (tmp_path / split / "pics").rename(tmp_path / split / "only")
        (tmp_path / "dataset.toml").write_text(patterns)
    if way == "frames":
        listed = ""
        for split, meant in (("train", "train"), ("val", "validation"), ("test", "test")):
            for k, path in enumerate(names[split]):
                listed += f'[[frames]]\nname = "{k}"\npicture = "{path}"\nsplit = "{meant}"\n'
                mask = path.replace("pics", "gt")
                listed += f'masks = ["{mask}"]\n' if split != "test" else ""
        listed += "".join(
            f'[[frames]]\nname = "{k}"\npicture = "{path}"\n'
            for k, path in enumerate(names["more"])
        )
        (tmp_path / "dataset.toml").write_text(listed)
    if way == "cvat":
        for split in ("train", "val"):
            shutil.rmtree(tmp_path / split / "gt")
        images = (
            image(path, polygon("1,1;9,1;9,9")) for s in ("train", "val") for path in names[s]
        )
        (tmp_path / "annotations.xml").write_text(xml("".join(images)))
    dataset = open_dataset(tmp_path)
    unlabelled = [frame.image for part in dataset.unlabelled.values() for frame in part]
    assert {path.relative_to(tmp_path).parts[0] for path in unlabelled} == {"more"}
    assert len(unlabelled) == 4
    assert any("4 test pictures without masks are left out" in each for each in dataset.reading)
