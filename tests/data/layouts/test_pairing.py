"""What every reader of masks does at its end."""

from __future__ import annotations

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


@pytest.mark.parametrize("tested", [True, False])
@pytest.mark.parametrize("way", ["paired", "patterns", "frames", "cvat"])
def test_pictures_without_masks_beside_labelled_test_frames_are_not_for_pretexts(
    tmp_path: Path, way: str, tested: bool
) -> None:
    """Where no test picture has a mask, as in a challenge, they are pictures like any other."""
    names = {s: [f"{s}/pics/{k}.png" for k in range(4)] for s in ("train", "val", "more")}
    names["test"] = [f"test/only/{k}.png" for k in range(4)]
    labelled = [*names["train"], *names["val"]]
    labelled += ["test/pics/8.png", "test/pics/9.png"] if tested else []
    for place, path in enumerate(dict.fromkeys([*labelled, *names["test"], *names["more"]])):
        save(tmp_path / path, picture(place))
        if path in labelled and way != "cvat":
            save(tmp_path / path.replace("pics", "gt"), levels(place % 10))
    text = ""
    if way == "patterns":
        (tmp_path / "more/pics").rename(tmp_path / "more/only")
        text = 'pictures = "{split}/pics/{name}.png"\nmasks = "{split}/gt/{name}.png"\n'
        text += 'unlabelled = "{split}/only/{name}.png"\n[split]\ntrain = "train"\n'
    if way == "frames":
        for path in [*labelled, *names["test"], *names["more"]]:
            split = {"val": "validation"}.get(path.split("/")[0], path.split("/")[0])
            text += f'[[frames]]\nname = "{Path(path).stem}"\npicture = "{path}"\n'
            text += f'split = "{split}"\n' if split != "more" else ""
            text += f'masks = ["{path.replace("pics", "gt")}"]\n' if path in labelled else ""
    if text:
        (tmp_path / "dataset.toml").write_text(text)
    if way == "cvat":
        subsets = [path.split("/", 1) for path in labelled]
        images = (image(name, polygon("1,1;9,1;9,9"), subset) for subset, name in subsets)
        (tmp_path / "annotations.xml").write_text(xml("".join(images)))
    dataset = open_dataset(tmp_path)
    unlabelled = [frame.image for part in dataset.unlabelled.values() for frame in part]
    places = [path.relative_to(tmp_path).parts[0] for path in unlabelled]
    assert sorted(places) == ["more"] * 4 + ([] if tested else ["test"] * 4)
    left_out = any("4 test pictures without masks are left out" in each for each in dataset.reading)
    assert left_out == tested and ("test" in dataset.splits) == tested
