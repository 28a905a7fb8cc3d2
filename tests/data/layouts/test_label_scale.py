"""A mapping that fits after a factor or a shift is corrected; no other one is guessed at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headstart.data.checks.segmentation import check_dataset
from headstart.data.layouts import label_scale
from headstart.data.layouts.label_scale import corrected
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, Finding
from headstart.verbs.train import train


@pytest.mark.parametrize(
    ("greys", "levels", "expected"),
    [
        ((0, 1), (0, 255), (0, 255)),
        ((0, 255), (0, 1), (0, 1)),
        (range(8), range(0, 225, 32), range(0, 225, 32)),
        (range(0, 225, 32), range(8), range(8)),
        (range(8), (0, 32, 96), range(0, 225, 32)),  # some classes are in no mask
        ((0, 1, 2), (1, 2, 3), (1, 2, 3)),
        ((1, 2, 3), (0, 1, 2), (0, 1, 2)),
        ((1, 2, 3), (0, 2), (0, 1, 2)),
        ((0, 100, 200), (50, 150, 250), (50, 150, 250)),
        (range(8), (0, 36, 73, 109, 146, 182, 219, 255), (0, 36, 73, 109, 146, 182, 219, 255)),
        (range(8), (0, 36, 72, 109, 145, 182, 218, 255), (0, 36, 72, 109, 145, 182, 218, 255)),
        (range(4), (0, 85, 255), (0, 85, 170, 255)),
    ],
)
def test_scales_and_shifts(greys, levels, expected) -> None:
    words, new = corrected(tuple(greys), levels)
    assert tuple(new) == tuple(greys) and tuple(new.values()) == tuple(expected)
    assert words.startswith("after ")


@pytest.mark.parametrize(
    ("greys", "levels", "ignore"),
    [
        ((0, 1, 2), (0, 255), ()),  # which class is 255?
        ((0, 32, 64), (0, 31, 64), ()),  # one wrong level
        ((0, 1), (0, 128, 255), ()),  # more levels than classes
        ((0, 1), (7,), ()),
        ((0, 1), (), ()),
        ((0, 100, 250), (0, 50, 101), ()),
        ((0, 1, 2), (0, 100), (200,)),  # 200 would be a class and ignored
    ],
)
def test_nothing_is_guessed(greys, levels, ignore) -> None:
    assert corrected(greys, levels, ignore) is None


@given(
    st.sets(st.integers(0, 255), min_size=2, max_size=40),
    st.integers(1, 255),
    st.integers(-255, 255),
    st.data(),
)
def test_a_correction_has_all_levels_and_keeps_the_order(greys, factor, shift, data) -> None:
    greys = sorted(greys)
    for after in ([grey * factor for grey in greys], [grey + shift for grey in greys]):
        if not set(after) <= set(range(256)):
            continue
        _, new = corrected(greys, after)
        assert list(new.values()) == after
        some = data.draw(st.sets(st.sampled_from(after), min_size=2))
        if (correction := corrected(greys, some)) is not None:
            levels = list(correction[1].values())
            assert some <= set(levels) <= set(range(256)) and levels == sorted(set(levels))


def write(root: Path, mapping: dict, levels: list[int], count: int = 8) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for k in range(count):
            image = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / split / "images" / f"{k}.png")
            mask = rng.choice(np.array(levels, np.uint8), (8, 10))
            Image.fromarray(mask).save(root / split / "masks" / f"{k}.png")
    (root / "mapping.json").write_text(json.dumps(mapping))
    return root


def only_error(root: Path) -> Finding:
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    (finding,) = caught.value.findings
    return finding


@pytest.mark.parametrize(
    ("mapping", "levels"),
    [
        ({"ground": 0, "tool": 1}, [0, 255]),
        ({"ground": 0, "tool": 255}, [0, 1]),
        ({"größe": 1, "b": 2, "c": 3, "ignore": 255}, [0, 1, 2, 255]),
        ({"a": 0, "b": 1, "ignore": [254, 255]}, [0, 100, 254]),
        ({"tool": 0, "background": 1}, [0, 255]),
    ],
)
def test_the_hint_is_a_mapping_that_works(tmp_path: Path, mapping: dict, levels: list) -> None:
    root = write(tmp_path / "data", mapping, levels)
    finding = only_error(root)
    assert (finding.code, finding.severity) == ("label-map-scale", "error")
    assert finding.files == ("mapping.json", "train/masks/0.png")
    text = finding.hint.removeprefix("write mapping.json: ")
    assert set(json.loads(text)) == set(mapping)
    assert json.loads(text).get("ignore") == mapping.get("ignore")
    (root / "mapping.json").write_text(text)
    assert check_dataset(root).ok


def test_the_hint_for_a_dataset_toml_is_its_classes(tmp_path: Path) -> None:
    root = write(tmp_path / "data", {"ground": 0, "big tool": 1}, [0, 255, 7])
    (root / "mapping.json").unlink()
    patterns = 'pictures = "{split}/images/{name}.png"\nmasks = "{split}/masks/{name}.png"\n'
    patterns += "ignore = 7\n"
    text = patterns + '[classes]\nground = 0\n"big tool" = 1\n'
    (root / "dataset.toml").write_text(text)
    finding = only_error(root)
    assert finding.code == "label-map-scale" and finding.files == ("test/masks/0.png",)
    assert "dataset.toml has 0, 1" in finding.message
    line = finding.hint[finding.hint.index("classes = {") :]
    (root / "dataset.toml").write_text(patterns + line)
    assert check_dataset(root).classes == {"ground": 0, "big tool": 255}
    assert check_dataset(root).ok


def test_train_refuses_before_it_decodes(tmp_path: Path) -> None:
    root = write(tmp_path / "data", {"ground": 0, "tool": 1}, [0, 255])
    with pytest.raises(DataError, match="label-map-scale"):
        train(root, out=tmp_path / "run", size=(16, 24), width=2, epochs=1, device="cpu")
    assert not (tmp_path / "run" / "config.json").exists()


def test_at_most_200_masks_are_decoded_and_three_where_they_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def counting(path, root, background):
        decoded.append(path)
        return original(path, root, background)

    original = label_scale.read_mask
    monkeypatch.setattr(label_scale, "read_mask", counting)
    root = write(tmp_path / "data", {"ground": 0, "tool": 1}, [0, 1], count=80)
    open_dataset(root)
    assert len(decoded) == 3
    (root / "mapping.json").write_text('{"ground": 0, "tool": 255}')
    decoded.clear()
    only_error(root)
    assert 100 < len(set(decoded)) <= 200 and len(decoded) <= 203


def test_other_faults_are_left_to_the_check(tmp_path: Path) -> None:
    root = write(tmp_path / "data", {"ground": 0, "tool": 1}, [0, 1])
    Image.fromarray(np.full((8, 10), 9, np.uint8)).save(root / "train/masks/0.png")
    (root / "train/masks/1.png").write_bytes(b"")
    codes = {f.code for f in check_dataset(root).findings if f.severity == "error"}
    assert codes == {"unknown-grey", "empty-file"}
