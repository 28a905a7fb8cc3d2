"""``dataset.toml``: patterns, classes, splits, regions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.config.records import RunConfig
from headstart.data.label_map import IGNORE, LabelMap
from headstart.data.layouts.dataset import Dataset, FaultyDatasetError
from headstart.data.layouts.description import EXAMPLE
from headstart.data.layouts.recognise import layout_of, open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, look_up
from headstart.tasks.lookup import labelled_task

SIZE = (6, 8)


def save(root: Path, name: str, pixels: np.ndarray) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def mask(seed: int, levels: tuple[int, ...] = (0, 255)) -> np.ndarray:
    chosen = np.random.default_rng(seed).integers(0, len(levels), SIZE)
    return np.array(levels, dtype=np.uint8)[chosen]


def described(root: Path, text: str) -> Dataset:
    (root / "dataset.toml").write_text(text)
    return open_dataset(root)


def scans(root: Path) -> Path:
    for k in range(12):
        group = f"p{k % 4}"
        save(root, f"scans/{group}/{k}_t1.png", picture(k))
        save(root, f"truth/{group}/{k}-seg.png", mask(k))
    return root


PATTERNS = 'pictures = "scans/{group}/{name}_t1.png"\nmasks = "truth/{group}/{name}-seg.png"\n'


def test_patterns_pair_and_group(tmp_path: Path) -> None:
    text = PATTERNS + "[classes]\nskull = 255\nbackground = 0\n"
    dataset = described(scans(tmp_path), text)
    assert layout_of(tmp_path) == dataset.layout == "described"
    assert dataset.label_map == LabelMap(("background", "skull"), (0, 255))
    frames = [frame for part in dataset.splits.values() for frame in part]
    assert {frame.group for frame in frames} == {"p0", "p1", "p2", "p3"}
    assert len(frames) == 12 and set(dataset.splits) == {"train", "validation", "test"}
    for part in dataset.splits.values():
        groups = {frame.group for frame in part}
        others = [f.group for f in frames if f not in part]
        assert not groups & set(others), "a group stays in one split"
    _, labels = read_labelled(frames[0], dataset.label_map, dataset.root)
    assert np.array_equal(labels, mask(int(frames[0].name.removesuffix("_t1"))) // 255)


@pytest.mark.parametrize(
    ("line", "expected"),
    [("", "{k}_t1"), ('names = "{name}"\n', "{k}"), ('names = "{group}-{name}"\n', "p{g}-{k}")],
)
def test_names_of_frames(line: str, expected: str, tmp_path: Path) -> None:
    dataset = described(scans(tmp_path), PATTERNS + line)
    names = {frame.name for part in dataset.splits.values() for frame in part}
    assert names == {expected.format(k=k, g=k % 4) for k in range(12)}


def test_a_file_elsewhere_names_the_folder(tmp_path: Path) -> None:
    scans(tmp_path / "data")
    file = tmp_path / "mine.toml"
    file.write_text('root = "data"\n' + PATTERNS)
    dataset = open_dataset(file)
    assert dataset.root == tmp_path / "data"
    assert sum(map(len, dataset.splits.values())) == 12


def test_splits_by_folder(tmp_path: Path) -> None:
    for split, count in (("learn", 4), ("tune", 2), ("judge", 2)):
        for k in range(count):
            save(tmp_path, f"{split}/{k}.png", picture(k))
            save(tmp_path, f"{split}/{k}_m.png", mask(k))
    patterns = 'pictures = "{split}/{name}.png"\nmasks = "{split}/{name}_m.png"\n'
    names = '[split]\ntrain = "learn"\nvalidation = "tune"\ntest = "judge"\n'
    dataset = described(tmp_path, patterns + names)
    assert {n: len(part) for n, part in dataset.splits.items()} == {
        "train": 4, "validation": 2, "test": 2,
    }  # fmt: skip
    with pytest.raises(DataError, match="not-a-split"):
        described(tmp_path, patterns)


LISTS = {  # train and test list, and the findings with their files
    "names of every kind": ("0\n1.png\n", "\ufeff2\n\nlearn/3.png\n", {}),
    "a picture in no list": ("0\n1\n", "2\n", {
        "not-in-a-list": ("learn/3.png",), "frame-without-split": ("learn/3.png",),
    }),
    "a picture in two lists": ("0\n1\n2\n", "2\n3\n", {"picture-twice": ("learn/2.png",)}),
    "in two, by two names": ("0\n1\n2\n", "2.png\n3\n", {"picture-twice": ("learn/2.png",)}),
    "a name of no picture": ("0\n1\n", "2\n3\nx\n", {"annotated-picture-missing": ("b.txt",)}),
    "lists without names": ("", "", {
        "not-in-a-list": ("learn/0.png", "learn/1.png", "learn/2.png", "learn/3.png"),
    }),
}  # fmt: skip


@pytest.mark.parametrize("case", LISTS)
def test_splits_by_list(case: str, tmp_path: Path) -> None:
    train, test, expected = LISTS[case]
    for k in range(4):
        save(tmp_path, f"learn/{k}.png", picture(k))
        save(tmp_path, f"learn/{k}_m.png", mask(k))
    (tmp_path / "a.txt").write_text(train)
    (tmp_path / "b.txt").write_text(test)
    text = 'pictures = "learn/{name}.png"\nmasks = "learn/{name}_m.png"\n[split]\n'
    text += 'train = "a.txt"\ntest = "b.txt"\n'
    if not expected:
        dataset = described(tmp_path, text)
        assert [frame.name for frame in dataset.splits["test"]] == ["2", "3"]
        return
    with pytest.raises(DataError) as refused:
        described(tmp_path, text)
    assert {finding.code: finding.files for finding in refused.value.findings} == expected


def test_files_that_are_not_used_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans(tmp_path)
    used = [s for s in described(tmp_path, PATTERNS).reading if s.startswith("Not used")]
    assert not used
    for k in range(3):
        save(tmp_path, f"more/{k}.png", picture(k))
    (said,) = [s for s in described(tmp_path, PATTERNS).reading if s.startswith("Not used")]
    assert "3 other" in said and "more/0.png" in said
    text = PATTERNS + 'unlabelled = "more/{name}.png"\n'
    assert not any(s.startswith("Not used") for s in described(tmp_path, text).reading)
    one_group = PATTERNS.replace("{group}", "p1")
    (said,) = [s for s in described(tmp_path, one_group).reading if s.startswith("Not used")]
    assert f"{2 * 9 + 3} other" in said  # the pictures and masks of three patients

    frames = "".join(
        f'[[frames]]\nname = "{k}"\npicture = "scans/p{k % 4}/{k}_t1.png"\n'
        f'masks = ["truth/p{k % 4}/{k}-seg.png"]\n'
        for k in range(11)
    )
    (said,) = [s for s in described(tmp_path, frames).reading if s.startswith("Not used")]
    assert "2 other" in said and "scans/p3/11_t1.png" in said
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset(Path())
    assert said in dataset.reading


@pytest.mark.parametrize(
    "text", ["", "pictures", 'picturs = "{name}.png"', 'pictures = "{name}.png"\npage = "a"']
)
def test_the_example_of_a_wrong_file_works(tmp_path: Path, text: str) -> None:
    for k in range(12):
        save(tmp_path, f"images/{k}.png", picture(k))
        save(tmp_path, f"masks/{k}.png", mask(k))
    with pytest.raises(DataError, match="bad-setting") as caught:
        described(tmp_path, text)
    assert all(line in str(caught.value) for line in EXAMPLE) or "did you mean" in str(caught.value)
    assert sum(EXAMPLE[0] in finding.hint for finding in caught.value.findings) <= 1
    assert all(line in look_up("bad-setting").do for line in EXAMPLE)
    dataset = described(tmp_path, "\n".join(EXAMPLE))
    assert sum(len(frames) for frames in dataset.splits.values()) == 12


def test_a_picture_that_two_frames_have(tmp_path: Path) -> None:
    text = ""
    for k, name in enumerate(("0", "1", "2", "./1")):
        save(tmp_path, f"{name}.png", picture(k))
        save(tmp_path, f"m/{k}.png", mask(k))
        text += f'[[frames]]\nname = "{k}"\npicture = "{name}.png"\nmasks = ["m/{k}.png"]\n'
    with pytest.raises(FaultyDatasetError, match="picture-twice") as refused:
        described(tmp_path, text)
    assert refused.value.findings[0].files == ("1.png",)
    frames = [frame for part in refused.value.dataset.splits.values() for frame in part]
    assert {f.name: f.masks for f in frames} == {
        str(k): (tmp_path / f"m/{k}.png",) for k in range(3)
    }


@pytest.mark.parametrize(
    ("classes", "greys"),
    [
        ({"background": 0, "polyp": 255}, (0, 255)),
        ({"background": 255, "polyp": 0}, (255, 0)),
        ({"background": 0, "polyp": 1}, (0, 1)),
        ({"background": "#000000", "polyp": "#ffffff"}, (0, 255)),
        ({"polyp": "#000000", "bg": "#ffffff"}, (255, 0)),
    ],
)
@pytest.mark.parametrize("place", ["mapping.json", "dataset.toml"])
def test_a_threshold_keeps_the_classes_and_which_is_dark(
    tmp_path: Path, classes: dict[str, Any], greys: tuple[int, int], place: str
) -> None:
    for k in range(6):
        save(tmp_path, f"img/{k}.png", picture(k))
        save(tmp_path, f"gt/{k}.png", mask(k, (3, 250)))
    text = 'pictures = "img/{name}.png"\nmasks = "gt/{name}.png"\nthreshold = 128\n'
    if place == "mapping.json":
        (tmp_path / place).write_text(json.dumps(classes))
    else:
        text += "\n".join(["[classes]", *(f"{n} = {json.dumps(v)}" for n, v in classes.items())])
    dataset = described(tmp_path, text)
    assert "polyp" in dataset.label_map.names and dataset.label_map.greys == greys
    frame = dataset.splits["train"][0]
    _, labels = read_labelled(frame, dataset.label_map, dataset.root)
    bright = 1 if greys[0] < greys[1] else 0
    expected = np.where(mask(int(frame.name), (3, 250)) >= 128, bright, 1 - bright)
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"background": 0, "a": 1, "b": 2}, "threshold is for two classes, but 3"),
        ({"background": 0, "a": 1, "ignore": 255}, "mapping.json has ignore"),
        ({"background": "#000000", "a": "#ff0000", "ignore": "#ffffff"}, "mapping.json has ignore"),
    ],
)
def test_classes_that_have_no_threshold(
    mapping: dict[str, Any], message: str, tmp_path: Path
) -> None:
    save(tmp_path, "img/0.png", picture(0))
    save(tmp_path, "gt/0.png", mask(0))
    (tmp_path / "mapping.json").write_text(json.dumps(mapping))
    text = 'pictures = "img/{name}.png"\nmasks = "gt/{name}.png"\nthreshold = 9\n'
    with pytest.raises(DataError, match=rf"label-map.*{message}"):
        described(tmp_path, text)


def test_regions_ignored_levels_and_thresholds(tmp_path: Path) -> None:
    for k in range(6):
        save(tmp_path, f"img/{k}.png", picture(k))
        save(tmp_path, f"gt/{k}.png", mask(k, (0, 7, 200, 255)))
        save(tmp_path, f"fov/{k}.png", mask(k + 100))
    patterns = 'pictures = "img/{name}.png"\nmasks = "gt/{name}.png"\n'
    text = patterns + 'valid = "fov/{name}.png"\nthreshold = 128\n'
    dataset = described(tmp_path, text)
    frame = dataset.splits["train"][0]
    _, labels = read_labelled(frame, dataset.label_map, dataset.root)
    k = int(frame.name)
    expected = np.where(mask(k, (0, 7, 200, 255)) >= 128, 1, 0)
    assert np.array_equal(labels, np.where(mask(k + 100) == 0, IGNORE, expected))
    levels = patterns + "ignore = [7, 200]\n[classes]\nbackground = 0\ntool = 255\n"
    dataset = described(tmp_path, levels)
    _, labels = read_labelled(dataset.splits["train"][0], dataset.label_map, dataset.root)
    assert set(np.unique(labels)) == {0, 1, IGNORE}
    (tmp_path / "fov/2.png").unlink()
    with pytest.raises(DataError, match="no-region"):
        described(tmp_path, text)


COLOURS = '{"a": "#000000", "b": "#c8c8c8", "ignore": [255, 1, 1]}'  # mapping.json


@pytest.mark.parametrize(
    ("ignore", "classes", "ignored", "ignored_colours"),
    [
        ("[255, 1, 1]", COLOURS, (), ((255, 1, 1),)),
        ("[255, 1, 7]", COLOURS.replace("255, 1, 1", "255, 1, 7"), (), ((255, 1, 7),)),
        ("[255, 1, 7]", "", (1, 7, 255), ()),
        ("[255, 1, 7]", "[classes]\na = 0\nb = 200\n", (1, 7, 255), ()),
        ("[255, 1, 1]", '[classes]\na = "#000000"\nb = "#c8c8c8"\n', (), ((255, 1, 1),)),
        ('["#ff0101"]', '[classes]\na = "#000000"\nb = "#c8c8c8"\n', (), ((255, 1, 1),)),
    ],
)
def test_three_numbers_are_levels_or_one_colour_as_the_classes_are(
    ignore: str,
    classes: str,
    ignored: tuple[int, ...],
    ignored_colours: tuple[tuple[int, int, int], ...],
    tmp_path: Path,
) -> None:
    for k in range(4):
        save(tmp_path, f"img/{k}.png", picture(k))
        save(tmp_path, f"gt/{k}.png", mask(k, (0, 200, 255, 1, 7)))
    text = f'pictures = "img/{{name}}.png"\nmasks = "gt/{{name}}.png"\nignore = {ignore}\n'
    if classes.startswith("{"):
        (tmp_path / "mapping.json").write_text(classes)
    else:
        text += classes
    label_map = described(tmp_path, text).label_map
    assert (label_map.ignore, label_map.ignored_colours) == (ignored, ignored_colours)
    assert len(label_map.names) == 2


def test_a_pattern_for_each_class_and_pictures_that_show_nothing(tmp_path: Path) -> None:
    for k in range(6):
        save(tmp_path, f"img/{k}.png", picture(k))
    for k in range(4):
        save(tmp_path, f"liver/{k}.png", mask(k))
        save(tmp_path, f"spleen/{k}.png", mask(k + 50))
    text = 'pictures = "img/{name}.png"\n{missing}[masks]\nliver = "liver/{name}.png"\n'
    text += 'spleen = "spleen/{name}.png"\n'
    with pytest.raises(DataError, match="image-without-mask") as refused:
        described(tmp_path, text.replace("{missing}", ""))
    assert refused.value.findings[0].files == ("img/4.png", "img/5.png")
    dataset = described(tmp_path, text.replace("{missing}", 'missing = "background"\n'))
    assert dataset.label_map.names == ("background", "liver", "spleen")
    for frame in (f for part in dataset.splits.values() for f in part):
        _, labels = read_labelled(frame, dataset.label_map, dataset.root)
        k = int(frame.name)
        liver, spleen = (mask(k) > 0, mask(k + 50) > 0) if k < 4 else (False, False)
        assert np.array_equal(labels, np.where(spleen, 2, np.where(liver, 1, 0)) + 0 * labels)


def test_the_first_picture_may_be_one_without_a_mask(tmp_path: Path) -> None:
    for k in range(6):
        save(tmp_path, f"img/{k}.png", picture(k))
        if k:
            save(tmp_path, f"gt/{k}.png", mask(k))
    text = 'pictures = "img/{name}.png"\nmasks = "gt/{name}.png"\nmissing = "background"\n'
    dataset = described(tmp_path, text)
    assert sum(map(len, dataset.splits.values())) == 6
    assert any("6, such as img/" in sentence for sentence in dataset.reading)


def test_a_level_that_counts_nowhere_in_masks_of_classes(tmp_path: Path) -> None:
    for k in range(6):
        save(tmp_path, f"img/{k}.png", picture(k))
        save(tmp_path, f"liver/{k}.png", mask(k, (0, 1, 255)))
    text = 'pictures = "img/{name}.png"\nignore = 1\n[masks]\nliver = "liver/{name}.png"\n'
    dataset = described(tmp_path, text)
    assert dataset.label_map.names == ("background", "liver")
    for frame in (f for part in dataset.splits.values() for f in part):
        _, labels = read_labelled(frame, dataset.label_map, dataset.root)
        its = mask(int(frame.name), (0, 1, 255))
        assert np.array_equal(labels, np.where(its == 1, IGNORE, its == 255))


FRAME = '[[frames]]\nname = "a"\npicture = "a.png"\nmasks = ["b.png"]\n'
BY_CLASS = 'pictures = "a/{name}.png"\n[masks]\na = "b/{name}.png"\n'
UNREAD = {
    'layout = "plain"\n': (
        "ignore = 255\n", "threshold = 128\n", "nearest = true\n", 'names = "{name}"\n',
        'valid = "v/{name}.png"\n', 'masks = "m/{name}.png"\n', 'unlabelled = "u/{name}.png"\n',
        'missing = "background"\n', 'links = "follow"\n',
        "classes = {a = 0, b = 1}\n", 'split = {train = "a"}\n',
    ),
    FRAME: (
        'valid = "v/{name}.png"\n', 'masks = "m/{name}.png"\n', 'names = "{name}"\n',
        'unlabelled = "u/{name}.png"\n', 'split = {train = "a"}\n',
        'masks = {tool = "m/{name}.png"}\n',
    ),
    BY_CLASS: ("classes = {background = 0, a = 1}\n", "nearest = true\n"),
}  # fmt: skip


@pytest.mark.parametrize(("rest", "line"), [(r, one) for r in UNREAD for one in UNREAD[r]])
def test_a_setting_that_nothing_reads_is_refused(rest: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bad-setting") as refused:
        described(tmp_path, line + rest)
    assert line.split(" ")[0] in str(refused.value)


WRONG = {
    'pictures = "a/{name}.png"': "masks is missing",
    'layout = "nothing"': "no layout nothing",
    'pictures = "a/x.png"\nmasks = "b/{name}.png"': "no {name}",
    PATTERNS + 'colour = "red"': "no setting colour",
    PATTERNS + "threshold = 0": "threshold",
    PATTERNS + 'names = "{patient}_{name}"': "names has {patient}",
    'pictures = "a/{name}.png"\n[masks]\nbackground = "b/{name}.png"': "leave it out",
    BY_CLASS.replace("\na =", "\nbg ="): "leave it out",
    BY_CLASS.replace("\na =", "\nignore ="): "not a class",
    BY_CLASS.replace("\na =", '\n"" ='): "invalid class names",
    BY_CLASS + "".join(f'c{k} = "c{k}/{{name}}.png"\n' for k in range(254)): "at most 254",
    "ignore = [1, 2, 3, 4]\n"
    + BY_CLASS
    + "".join(f'c{k} = "c{k}/{{name}}.png"\n' for k in range(251)): "at most 251",
    "ignore = [1, 1]\n" + BY_CLASS: "ignore has a value twice",
    "ignore = [1, 0]\n" + BY_CLASS: "do not ignore 0",
    'ignore = "#010101"\n' + BY_CLASS: "ignore has a colour",
    PATTERNS + "threshold = 9\n[classes]\na = 0\nb = 1\nc = 2\n": "two classes",
    PATTERNS + "threshold = 128\nignore = 255\n": "one of threshold and ignore",
    PATTERNS + "threshold = 128\nignore = 255\n[classes]\na = 0\nb = 1\n": "threshold and ignore",
    'threshold = 128\nignore = 255\npictures = "a/{name}.png"\n[masks]\na = "b/{name}.png"\n': (
        "one of threshold and ignore"
    ),
    PATTERNS + "[classes]\na = 0\nb = 0\n": "several classes",
    PATTERNS + '[classes]\na = 0\nb = "red"\n': "colour",
    PATTERNS + 'ignore = "red"': "ignore: red is neither a grey level",
    PATTERNS + "ignore = 300": "ignore: 300 is neither",
    PATTERNS + "ignore = [7, -1]": "ignore: -1 is neither",
    PATTERNS + "ignore = true": "ignore: True is neither",
    PATTERNS + "ignore = [1, 1]": "ignore has a value twice",
    PATTERNS + "ignore = [0, 255]": "only ignored pixels (ignored: 0, 255)",
    PATTERNS + "ignore = 255": "only the level 0 (ignored: 255)",
    PATTERNS + 'ignore = "#ff0000"': "ignore has a colour, but the classes are grey levels",
    PATTERNS + 'ignore = [7, "#ff0000"]\n[classes]\na = 0\nb = 255\n': "ignore has a colour",
    PATTERNS + 'ignore = 7\n[classes]\na = "#000000"\nb = "#ffffff"\n': "ignore has a grey level",
    PATTERNS + "ignore = 255\n[classes]\na = 0\nb = 255\n": "grey level of the class b",
    PATTERNS + '[split]\ntrain = "a"\n': "no pattern has {split}",
    'pictures = "{split}/{name}.png"\nmasks = "b/{name}.png"\n'
    'split = {train = "a", test = "t.txt"}\n': "list files and values",
    'pictures = "{split}/{name}.png"\nmasks = "b/{name}.png"\n'
    'split = {train = "a", test = "a"}\n': "one value for several splits",
    'missing = "background"\npictures = "a/{name}.png"\nmasks = {}\n': "masks is missing",
    "pictures = [": "not valid TOML",
    "": "one of layout, pictures",
    'pictures = "none/{name}.png"\nmasks = "truth/{name}.png"': "no picture matches",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        described(scans(tmp_path), text)
    assert WRONG[text] in str(refused.value)


def test_sixteen_bits_and_a_run(tmp_path: Path) -> None:
    for k in range(8):
        values = np.random.default_rng(k).integers(0, 4096, SIZE, dtype=np.uint16)
        path = tmp_path / f"img/{k}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(values).save(path)
        save(tmp_path, f"gt/{k}.png", mask(k))
    text = 'pictures = "img/{name}.png"\nmasks = "gt/{name}.png"\nrange = [0, 4095]\n'
    dataset = described(tmp_path, text)
    frame = dataset.splits["train"][0]
    image, _ = read_labelled(frame, dataset.label_map, dataset.root)
    values = np.random.default_rng(int(frame.name)).integers(0, 4096, SIZE, dtype=np.uint16)
    assert np.abs(image[..., 0] - values / 4095 * 255).max() <= 1
    first = described(tmp_path, text).description
    assert first == described(tmp_path, text + "# a remark\n").description
    assert first != described(tmp_path, text.replace("4095", "4000")).description
    config = RunConfig(data=str(tmp_path))
    assert labelled_task("segmentation").hashes(dataset, config, tmp_path)["dataset.toml"] == first
    (tmp_path / f"gt/{frame.name}.png").unlink()
    with pytest.raises(FaultyDatasetError, match="image-without-mask") as refused:
        described(tmp_path, text)
    faulty = refused.value.dataset
    assert {f.rules for part in faulty.splits.values() for f in part} == {frame.rules}
    assert (faulty.description, faulty.reading[0]) == (first, dataset.reading[0])


READING = {  # lines of dataset.toml, and words of the reading
    "": ["Classes: 0 background, 200 class_1, 255 class_2"],
    "ignore = 200\n": ["Classes: 0 background, 255", "Ignored: mask pixels of the grey level 200"],
    "ignore = [200, 7]\n": ["of the grey levels 7, 200"],
    "threshold = 9\n": ["Classes: background, class_1", "9 or more are class_1, darker ones are b"],
    "threshold = 9\nclasses = {background = 255, tool = 0}\n": [
        "Classes: 255 background, 0 tool", "or more are background, darker ones are tool",
    ],
    'nearest = true\nignore = "#00ff00"\nclasses = {a = "#000000", b = "#ffffff"}\n': [
        "Classes: #000000 a, #ffffff b", "nearest", "Ignored: mask pixels of the colour #00ff00",
    ],
    'valid = "gt/{name}.png"\n': ["outside the region, which are 0 in gt/{name}.png"],
    'missing = "background"\n': ["Background only, without a mask: 1 of 5"],
    "[masks]\n": ["Classes: background, tool, each"],
    "threshold = 9\n[masks]\n": ["Classes: background, tool", "are their class, darker"],
}  # fmt: skip


@pytest.mark.parametrize("lines", READING)
def test_the_reading_says_what_decides_the_labels(lines: str, tmp_path: Path) -> None:
    for k in range(4):
        save(tmp_path, f"img/{k}.png", picture(k))
        save(tmp_path, f"gt/{k}.png", mask(k, (0, 200, 255)))
    if lines.startswith("missing"):
        save(tmp_path, "img/9.png", picture(9))
    of_all = "" if "[masks]" in lines else 'masks = "gt/{name}.png"\n'
    by_class = "" if of_all else 'tool = "gt/{name}.png"\n'
    text = 'pictures = "img/{name}.png"\n' + of_all + lines + by_class
    reading = "\n".join(described(tmp_path, text).reading)
    assert all(words in reading for words in READING[lines]), reading
