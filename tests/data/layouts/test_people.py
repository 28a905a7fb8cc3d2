"""Datasets arranged as people describe them: each is read as it is meant, or refused with a way on.

Every arrangement holds the same twelve pictures and masks. What is read is compared with them pixel
by pixel: which picture has which mask, in which split, of which group.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.label_map import IGNORE
from headstart.data.layouts.recognise import layout_of, open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.reading import read_image
from headstart.data.task import task_of
from headstart.errors import DataError

COUNT = 12
HEIGHT, WIDTH = 24, 32
SPLIT = ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
GROUP = [f"p{k % 4}" for k in range(COUNT)]


def picture(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def labels(k: int) -> np.ndarray:
    """Class indices: two rectangles whose places depend on the picture."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[k : k + 8, 2 + k : 14 + k] = 1
    mask[HEIGHT - 6 - k // 3 : HEIGHT - 1, 1 : 6 + k] = 2
    return mask


def levels(k: int, values: tuple[int, ...] = (0, 100, 255)) -> np.ndarray:
    return np.array(values, dtype=np.uint8)[labels(k)]


def save(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def pairs(root: Path, image: str, mask: str, words: dict[str, str] | None = None) -> None:
    """Write all frames; ``{k}``, ``{s}`` (its split's word) and ``{g}`` stand in the names."""
    for k in range(COUNT):
        named = {"k": k, "kk": f"{k:03}", "s": (words or {}).get(SPLIT[k], SPLIT[k]), "g": GROUP[k]}
        save(root / image.format(**named), picture(k))
        save(root / mask.format(**named), levels(k))


@dataclass(frozen=True)
class Meant:
    """What an arrangement means.

    Attributes:
        splits: whether the splits are those of ``SPLIT``; else headstart draws them.
        groups: whether the groups are those of ``GROUP``.
        classes: names of the classes.
        layout: the layout that reads it.
        ignored: a class index that counts nowhere.
        said: words that the reading or a finding holds.
    """

    splits: bool = True
    groups: bool = False
    classes: tuple[str, ...] = ("background", "class_1", "class_2")
    layout: str = "paired"
    ignored: int | None = None
    said: tuple[str, ...] = ()


CASES: dict[str, tuple[Callable[[Path], None], Meant]] = {}
SHORT = {"train": "train", "validation": "val", "test": "test"}
LONG = {"train": "Training", "validation": "Validation", "test": "Testing"}


def case(name: str, meant: Meant) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    def add(write: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES[name] = write, meant
        return write

    return add


def simple(name: str, image: str, mask: str, meant: Meant, words: dict | None = None) -> None:
    CASES[name] = (lambda root: pairs(root, image, mask, words)), meant


DRAWN = Meant(splits=False)
simple("our own folders", "{s}/images/{k}.png", "{s}/masks/{k}.png", Meant(layout="plain"))
simple("our own folders, no splits", "images/{k}.png", "masks/{k}.png",
       Meant(splits=False, layout="plain"))  # fmt: skip
simple("side by side, any names", "Original/{k}.png", "Ground Truth/{k}.png", DRAWN)
simple("img and gt", "img/{k}.jpg.png", "gt/{k}.jpg.png", DRAWN)
simple("split first", "{s}/input/{k}.png", "{s}/target/{k}.png", Meant(), SHORT)
simple("kind first", "input/{s}/{k}.png", "target/{s}/{k}.png", Meant(), SHORT)
simple("long split names", "{s}/input/{k}.png", "{s}/target/{k}.png", Meant(), LONG)
simple("train beside trainannot", "{s}/{k}.png", "{s}annot/{k}.png", Meant(), SHORT)
simple("train_images and train_masks", "{s}_images/{k}.png", "{s}_masks/{k}.png", Meant(), SHORT)
simple("images_train and labels_train", "images_{s}/{k}.png", "labels_{s}/{k}.png", Meant(), SHORT)
simple("suffix _mask", "img/case{k}.png", "seg/case{k}_mask.png", DRAWN)
simple("suffix _segmentation", "data/ISIC_{kk}.png", "part1/ISIC_{kk}_segmentation.png", DRAWN)
simple("suffix _gt", "a/{k}.png", "b/{k}_gt.png", DRAWN)
simple("suffix _L", "raw/0016E5_{kk}.png", "label/0016E5_{kk}_L.png", DRAWN)
simple("suffixes on both sides", "images/{k}_training.png", "1st_manual/{k}_manual1.png", DRAWN)
simple("prefixes on both sides", "x/img_{kk}.png", "y/mask_{kk}.png", DRAWN)
simple("beside, suffix", "{k}.png", "{k}_mask.png", DRAWN)
simple("beside, suffix with a space", "scan ({k}).png", "scan ({k})_mask.png", DRAWN)
simple("beside, two suffixes", "{k}_rgb.png", "{k}_label.png", DRAWN)
simple("beside, prefix", "image_{kk}.png", "mask_{kk}.png", DRAWN)
simple("beside, in split folders", "{s}/{k}.png", "{s}/{k}_seg.png", Meant(), SHORT)
simple("by patient, then kind", "{g}/us/{k}.png", "{g}/seg/{k}.png",
       Meant(splits=False, groups=True, said=("Groups: 4",)))  # fmt: skip
simple("by kind, then patient", "us/{g}/{k}.png", "seg/{g}/{k}.png",
       Meant(splits=False, groups=True))  # fmt: skip
simple("below their pictures", "{g}/{k}.png", "{g}/masks/{k}.png",
       Meant(splits=False, groups=True))  # fmt: skip
simple("city, sequence and frame", "leftImg8bit/{s}/{g}/{g}_{kk}_leftImg8bit.png",
       "gtFine/{s}/{g}/{g}_{kk}_gtFine_labelIds.png", Meant(groups=True), SHORT)  # fmt: skip
simple("one folder deeper", "data/2019/{s}/img/{k}.png", "data/2019/{s}/lab/{k}.png",
       Meant(), SHORT)  # fmt: skip


simple("images and masks, then patient", "images/{g}/{k}.png", "masks/{g}/{k}.png",
       Meant(splits=False, groups=True))  # fmt: skip
simple("images and masks, then split", "images/{s}/{k}.png", "masks/{s}/{k}.png", Meant(), SHORT)
simple("masks a folder deeper than their pictures", "images/{k}.png", "masks/png/{k}.png", DRAWN)
simple("masks two folders deeper, by patient", "frames/{g}/{k}.png", "notes/v1/{g}/final/{k}.png",
       Meant(splits=False, groups=True))  # fmt: skip


@case("sorted by finding, several masks a picture", DRAWN)
def _(root: Path) -> None:
    for k in range(COUNT):
        kind = ("benign", "malignant")[k % 2]
        save(root / f"{kind}/{kind} ({k}).png", picture(k))
        first, second = levels(k), levels(k)
        first[:, WIDTH // 2 :] = 0
        second[:, : WIDTH // 2] = 0
        save(root / f"{kind}/{kind} ({k})_mask.png", first)
        save(root / f"{kind}/{kind} ({k})_mask_1.png", second)


@case("a folder for each picture, a mask for each object", Meant(
    splits=False, classes=("background", "class_1")))  # fmt: skip
def _(root: Path) -> None:
    for k in range(COUNT):
        save(root / f"stage1/a{k:02}/images/a{k:02}.png", picture(k))
        for index in (1, 2):
            mask = (labels(k) == index).astype(np.uint8) * 255
            save(root / f"stage1/a{k:02}/masks/b{k}{index}.png", mask)


def objects(image: str, first: str, second: str) -> Callable[[Path], None]:
    """Write two masks of each picture, of its left and its right half."""

    def write(root: Path) -> None:
        for k in range(COUNT):
            save(root / image.format(k=k), picture(k))
            for name, other_half in ((first, slice(WIDTH // 2, None)), (second, slice(WIDTH // 2))):
                mask = levels(k)
                mask[:, other_half] = 0
                save(root / name.format(k=k), mask)

    return write


CASES["several masks by a number"] = (
    objects("scans/p{k:02}.png", "truth/p{k:02}_0.png", "truth/p{k:02}_1.png"), DRAWN)  # fmt: skip
CASES["several masks, all but the first with a number"] = (
    objects("images/{k}.png", "masks/{k}_mask.png", "masks/{k}_mask_1.png"), DRAWN)  # fmt: skip
simple("a folder for each picture, files called alike", "case {k}/image.png", "case {k}/mask.png",
       DRAWN)  # fmt: skip
simple("a folder for each picture in a split", "{s}/{k}/rgb.png", "{s}/{k}/label.png",
       Meant(), SHORT)  # fmt: skip


@case("beside, told apart by their ending", DRAWN)
def _(root: Path) -> None:
    for k in range(COUNT):
        save(root / f"{k}.bmp", picture(k))
        save(root / f"{k}.png", levels(k))


@case("a field of view beside", Meant(splits=False, said=("Left out", "fov")))
def _(root: Path) -> None:
    pairs(root, "images/{k}_t.png", "manual/{k}_m.png")
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    inside = ((rows - 12) ** 2 + (columns - 16) ** 2 < 100).astype(np.uint8) * 255
    for k in range(COUNT):
        save(root / f"fov/{k}_t_mask.png", inside)


@case("further files of each picture", Meant(
    splits=False, said=("12 of the pictures, such as Input/0_parts.png",)))  # fmt: skip
def _(root: Path) -> None:
    pairs(root, "Input/{k}.bmp", "GroundTruth/{k}_segmentation.png")
    for k in range(COUNT):
        save(root / f"Input/{k}_parts.png", picture(k + 50))


@case("a second observer", Meant(splits=False, said=("Left out", "2nd_manual")))
def _(root: Path) -> None:
    pairs(root, "images/{k}.png", "1st_manual/{k}.png")
    for k in range(COUNT):
        save(root / f"2nd_manual/{k}.png", np.roll(levels(k), 1, 0))


@case("strays and what systems leave behind", DRAWN)
def _(root: Path) -> None:
    pairs(root, "images2/{k}.png", "masks2/{k}.png")
    for name in ("images2/Thumbs.db", "images2/.DS_Store", "masks2/desktop.ini", "readme.txt"):
        (root / name).write_bytes(b"x")
    save(root / "__MACOSX/images2/._0.png", picture(0))


@case("only a training split", DRAWN)
def _(root: Path) -> None:
    pairs(root, "train/image/{k}.png", "train/label/{k}.png")


@case("pictures without masks in a folder of their own", Meant(splits=False, said=("2 pictures",)))
def _(root: Path) -> None:
    pairs(root, "pics/{k}.png", "truth/{k}.png")
    for k in (20, 21):
        save(root / f"more/{k}.png", picture(k))


@case("names for the levels", Meant(splits=False, classes=("tissue", "tool", "clip")))
def _(root: Path) -> None:
    pairs(root, "img/{k}.png", "gt/{k}.png")
    (root / "mapping.json").write_text('{"tissue": 0, "tool": 100, "clip": 255}')


@case("a background that is not the lowest level", Meant(
    splits=False, classes=("Background", "cell", "wall")))  # fmt: skip
def _(root: Path) -> None:
    for k in range(COUNT):
        save(root / f"img/{k}.png", picture(k))
        save(root / f"gt/{k}.png", levels(k, (255, 0, 100)))
    (root / "mapping.json").write_text('{"cell": 0, "wall": 100, "Background": 255}')


@case("colours with a mapping", Meant(splits=False, classes=("none", "tool", "clip")))
def _(root: Path) -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    for k in range(COUNT):
        save(root / f"img/{k}.png", picture(k))
        save(root / f"gt/{k}.png", colours[labels(k)])
    (root / "mapping.json").write_text(
        '{"none": [0, 0, 0], "tool": "#ff0000", "clip": [0, 255, 0]}'
    )


@case("colours named by class_dict.csv", Meant(classes=("Void", "car", "tree")))
def _(root: Path) -> None:
    colours = np.array([[0, 0, 0], [64, 0, 128], [128, 128, 0]], np.uint8)
    for k in range(COUNT):
        split = SHORT[SPLIT[k]]
        save(root / f"{split}/0016E5_{k:03}.png", picture(k))
        save(root / f"{split}_labels/0016E5_{k:03}_L.png", colours[labels(k)])
    lines = "name,r,g,b\ncar,64,0,128\ntree,128,128,0\nVoid,0,0,0\n"
    (root / "class_dict.csv").write_text(lines)


@case("names in classes.txt", Meant(splits=False, classes=("background", "nucleus", "rim")))
def _(root: Path) -> None:
    for k in range(COUNT):
        save(root / f"img/{k}.png", picture(k))
        save(root / f"gt/{k}.png", labels(k))
    (root / "classes.txt").write_text("background\nnucleus\nrim\n")


@case("a level that counts nowhere", Meant(
    splits=False, classes=("background", "tool"), ignored=2))  # fmt: skip
def _(root: Path) -> None:
    pairs(root, "img/{k}.png", "gt/{k}.png")
    (root / "mapping.json").write_text('{"background": 0, "tool": 100, "ignore": 255}')


@case("palettes", DRAWN)
def _(root: Path) -> None:
    for k in range(COUNT):
        save(root / f"img/{k}.png", picture(k))
        mask = Image.fromarray(labels(k), mode="P")
        mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        path = root / f"gt/{k}.png"
        path.parent.mkdir(exist_ok=True)
        mask.save(path)


@case("three equal channels", DRAWN)
def _(root: Path) -> None:
    for k in range(COUNT):
        save(root / f"img/{k}.png", picture(k))
        save(root / f"gt/{k}.png", levels(k)[..., None].repeat(3, -1))


@case("a class in masks of its own", Meant(
    splits=False, classes=("background", "haemorrhages", "vessels")))  # fmt: skip
def _(root: Path) -> None:
    for k in range(COUNT):
        save(root / f"img/{k}.png", picture(k))
        for index, name in ((1, "1. haemorrhages"), (2, "2. vessels")):
            save(root / f"{name}/{k}.png", (labels(k) == index).astype(np.uint8) * 255)


@case("classes whose folders differ in their numbers", Meant(
    splits=False, classes=("background", "truth", "truth2")))  # fmt: skip
def _(root: Path) -> None:
    for k in range(COUNT):
        save(root / f"images/{k}.png", picture(k))
        for index, name in ((1, "truth"), (2, "truth2")):
            save(root / f"{name}/{k}.png", (labels(k) == index).astype(np.uint8) * 255)


@case("our own folders, with other masks beside them", Meant(
    splits=False, layout="plain", said=("Left out: 12 files in masks2",)))  # fmt: skip
def _(root: Path) -> None:
    pairs(root, "images/{k}.png", "masks/{k}.png")
    pairs(root, "images/{k}.png", "masks2/{k}.png")


@case("test pictures without masks", Meant(
    splits=False, said=("Without masks: 3 pictures in test/images",)))  # fmt: skip
def _(root: Path) -> None:
    pairs(root, "train/images/{k}.png", "train/masks/{k}.png")
    for k in range(3):
        save(root / f"test/images/{k}.png", picture(k + 50))


@case("our own folders, only a training split", Meant(splits=False, layout="plain"))
def _(root: Path) -> None:
    pairs(root, "train/images/{k}.png", "train/masks/{k}.png")


@case("images and masks with a suffix", DRAWN)
def _(root: Path) -> None:
    pairs(root, "images/{k}.png", "masks/{k}_mask.png")


@case("patients, then days", Meant(splits=False, groups=True, said=("Groups: 4",)))
def _(root: Path) -> None:
    for k in range(COUNT):
        day = f"{GROUP[k]}/day {k // 4}"
        save(root / f"{day}/us/{k}.png", picture(k))
        save(root / f"{day}/seg/{k}.png", levels(k))


@case("groups.csv", Meant(splits=False, groups=True))
def _(root: Path) -> None:
    pairs(root, "img/{k}.png", "gt/{k}.png")
    lines = ["stem,group", *(f"{k},{GROUP[k]}" for k in range(COUNT))]
    (root / "groups.csv").write_text("\n".join(lines))


@case("groups.csv with the spaces of a spreadsheet", Meant(splits=False, groups=True))
def _(root: Path) -> None:
    pairs(root, "img/{k}.png", "gt/{k}.png")
    lines = [f"{k} , {GROUP[k]}{' ' * (k % 3)}" for k in range(COUNT)]
    (root / "groups.csv").write_text("\n".join(["stem , group", *lines]))


simple("a folder called segmentation", "images/{k}.png", "segmentation/{k}.png", DRAWN)
simple("splits in a folder called segmentation", "images/{s}/{k}.png", "segmentation/{s}/{k}.png",
       Meant())  # fmt: skip
simple("accents written in two ways", "photos/h\u00fcfte{k}.png", "truth/hu\u0308fte{k}.png", DRAWN)


@case("masks of pictures that are not there", Meant(
    splits=False, said=("Left out: 12 files such as more/30.png: masks that have",)))  # fmt: skip
def _(root: Path) -> None:
    pairs(root, "images/{k}.png", "truth/{k}.png")
    for k in range(COUNT):
        save(root / f"more/{k + 30}.png", levels(k))


@case("a class of masks, and masks of the background", Meant(
    splits=False, said=("Left out: 12 files such as void/0.png",)))  # fmt: skip
def _(root: Path) -> None:
    pairs(root, "images/{k}.png", "tumour/{k}.png")
    for k in range(COUNT):
        save(root / f"void/{k}.png", (labels(k) == 0).astype(np.uint8) * 255)


@case("described: lists of names", Meant(layout="described"))
def _(root: Path) -> None:
    pairs(root, "JPEG/{k}.png", "Class/{k}.png")
    for split in dict.fromkeys(SPLIT):
        names = "\n".join(str(k) for k in range(COUNT) if SPLIT[k] == split)
        (root / f"{split}.txt").write_text(names)
    lists = "\n".join(f'{split} = "{split}.txt"' for split in dict.fromkeys(SPLIT))
    (root / "dataset.toml").write_text(
        f'pictures = "JPEG/{{name}}.png"\nmasks = "Class/{{name}}.png"\n[split]\n{lists}\n'
    )


@pytest.mark.parametrize("name", CASES)
def test_read_as_it_is_meant(name: str, tmp_path: Path) -> None:
    write, meant = CASES[name]
    write(tmp_path)
    assert task_of(tmp_path) == "segmentation"
    assert layout_of(tmp_path) == meant.layout
    dataset = open_dataset(tmp_path)
    assert dataset.label_map.names == meant.classes
    by_picture = {picture(k).tobytes(): k for k in range(COUNT)}
    seen = set()
    for split, frames in dataset.splits.items():
        assert len({frame.name for frame in frames}) == len(frames)
        for frame in frames:
            image, read = read_labelled(frame, dataset.label_map, dataset.root)
            k = by_picture[image.tobytes()]
            expected = labels(k)
            if len(meant.classes) == 2 and meant.ignored is None:
                expected = np.minimum(expected, 1)  # the objects have one class
            if meant.ignored is not None:
                expected = np.where(expected == meant.ignored, IGNORE, expected)
            assert np.array_equal(read, expected), f"the mask of picture {k}"
            assert split == SPLIT[k] if meant.splits else True
            assert frame.group == (GROUP[k] if meant.groups else None)
            seen.add(k)
    assert seen == set(range(COUNT)), "every picture is in a split"
    assert set(dataset.splits) == {"train", "validation", "test"}
    said = " ".join([*dataset.reading, *map(str, dataset.findings)])
    assert dataset.reading
    for words in meant.said:
        assert words in said
    for frames in dataset.unlabelled.values():
        assert not {read_image(f.image, tmp_path).tobytes() for f in frames} & set(by_picture)


REFUSED: dict[str, tuple[Callable[[Path], None], str, str]] = {}


def refused(name: str, code: str, line: str) -> Callable[[Callable[[Path], None]], None]:
    def add(write: Callable[[Path], None]) -> None:
        REFUSED[name] = write, code, line

    return add


@refused("pictures of two numbers with one mask", "same-stem", "copy the mask for each")
def _(root: Path) -> None:
    for k in range(COUNT):
        save(root / f"images/{k}_1.png", picture(k))
        save(root / f"images/{k}_2.png", picture(k + 50))
        save(root / f"labels/{k}.png", levels(k))


@refused("pictures of two endings with one mask", "same-stem", "copy the mask for each")
def _(root: Path) -> None:
    pairs(root, "photos/{k}.png", "labels/{k}.png")
    save(root / "photos/3.bmp", picture(50))


@refused("masks of the mirrored pictures alone", "image-without-mask", "add its mask")
def _(root: Path) -> None:
    pairs(root, "photos/{k}_flip.png", "labels/{k}_flip.png")
    for k in range(COUNT):
        save(root / f"photos/{k}.png", picture(k + 50))


@refused("organs of which one has masks", "image-without-mask", "add its mask")
def _(root: Path) -> None:
    pairs(root, "photos/liver_{kk}.png", "labels/liver_{kk}.png")
    for k in range(COUNT):
        save(root / f"photos/spleen_{k:03}.png", picture(k + 50))


@refused("colours without a mapping", "no-label-map", '"class_1": "#')
def _(root: Path) -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    for k in range(COUNT):
        save(root / f"img/{k}.png", picture(k))
        save(root / f"gt/{k}.png", colours[labels(k)])


@refused("two folders of masks", "two-readings", 'masks = "')
def _(root: Path) -> None:
    pairs(root, "img/{k}.png", "alice/{k}.png")
    for k in range(COUNT):
        save(root / f"bob/{k}.png", np.roll(levels(k), 1, 0))


@refused("two folders of pictures", "two-readings", 'pictures = "')
def _(root: Path) -> None:
    pairs(root, "left/{k}.png", "gt/{k}.png")
    for k in range(COUNT):
        save(root / f"right/{k}.png", picture(k + 50))


@refused("two places of pictures and masks", "two-readings", "sort them into folders")
def _(root: Path) -> None:
    for k in range(COUNT):
        for place, number in (("left", k), ("right", k + 50)):
            save(root / f"{place}_photos/{number}.png", picture(number))
            save(root / f"{place}_masks/{number}.png", levels(k))


@refused("a mask is missing", "image-without-mask", 'missing = "background"')
def _(root: Path) -> None:
    pairs(root, "img/{k}.png", "gt/{k}.png")
    (root / "gt/3.png").unlink()


@pytest.mark.parametrize("folders", [("img", "gt"), ("images", "masks")])
def test_pictures_that_show_nothing_are_read_by_the_lines_of_the_hint(
    tmp_path: Path, folders: tuple[str, str]
) -> None:
    pictures, masks = folders
    pairs(tmp_path, pictures + "/{k}.png", masks + "/{k}.png")
    (tmp_path / masks / "3.png").unlink()
    with pytest.raises(DataError) as refused:
        open_dataset(tmp_path)
    (hint,) = (f.hint for f in refused.value.findings if f.code == "image-without-mask")
    (tmp_path / "dataset.toml").write_text("\n".join(re.findall("`(.*?)`", hint)))
    frames = [f for part in open_dataset(tmp_path).splits.values() for f in part]
    assert len(frames) == COUNT and sum(not f.masks for f in frames) == 1


@refused("a picture is missing", "mask-without-image", "add the picture")
def _(root: Path) -> None:
    pairs(root, "img/{k}.png", "gt/{k}.png")
    (root / "img/3.png").unlink()


@refused("masks of one level", "one-level", "show the classes")
def _(root: Path) -> None:
    pairs(root, "images/{k}.png", "masks/{k}.png")
    for k in range(COUNT):
        save(root / f"masks/{k}.png", np.full((HEIGHT, WIDTH), 7, np.uint8))


@refused("masks with soft edges", "many-levels", "without smoothing")
def _(root: Path) -> None:
    pairs(root, "images/{k}.png", "masks/{k}.png")
    for k in range(COUNT):
        soft = np.asarray(Image.fromarray(levels(k)).resize((61, 47), Image.Resampling.BICUBIC))
        save(root / f"images/{k}.png", np.resize(picture(k), (47, 61, 3)))
        save(root / f"masks/{k}.png", soft)


@refused("soft edges in colour, in folders of any names", "many-colours", "without smoothing")
def _(root: Path) -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    for k in range(COUNT):
        large = Image.fromarray(colours[labels(k)]).resize((160, 120), Image.Resampling.NEAREST)
        soft = np.asarray(large.resize((133, 101), Image.Resampling.BICUBIC))
        noise = np.random.default_rng(k).integers(0, 256, soft.shape, dtype=np.uint8)
        save(root / f"Photos/{k}.png", noise)
        save(root / f"Photos coloured in/{k} coloured.png", soft)


@refused("two backgrounds", "label-map", "rename all but one")
def _(root: Path) -> None:
    pairs(root, "img/{k}.png", "gt/{k}.png")
    (root / "mapping.json").write_text(json.dumps({"bg": 0, "none": 100, "tool": 255}))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_way_on(name: str, tmp_path: Path) -> None:
    write, code, line = REFUSED[name]
    write(tmp_path)
    with pytest.raises(DataError) as caught:
        assert task_of(tmp_path) == "segmentation"
        open_dataset(tmp_path)
    by_code = {finding.code: finding for finding in caught.value.findings}
    assert code in by_code
    assert line in by_code[code].hint


def test_the_line_for_a_field_of_view_reads_it(tmp_path: Path) -> None:
    """The finding's lines, pasted into dataset.toml, leave the pixels outside out."""
    words = {"train": "training", "validation": "validation", "test": "testing"}
    for k in range(COUNT):
        split = words[SPLIT[k]]
        save(tmp_path / f"{split}/images/{k}_{split}.png", picture(k))
        save(tmp_path / f"{split}/1st_manual/{k}_manual1.png", levels(k))
        rows, columns = np.ogrid[:HEIGHT, :WIDTH]
        inside = (rows - 12) ** 2 + (columns - 16) ** 2 < 100
        save(tmp_path / f"{split}/mask/{k}_{split}_mask.png", inside.astype(np.uint8) * 255)
    (finding,) = [f for f in open_dataset(tmp_path).findings if f.code == "region-left-out"]
    lines = finding.hint.split("dataset.toml: ")[1].replace(", masks", "\nmasks")
    (tmp_path / "dataset.toml").write_text(lines.replace(", valid", "\nvalid"))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "described"
    assert {s: len(frames) for s, frames in dataset.splits.items()} == {
        "train": 6, "validation": 3, "test": 3,
    }  # fmt: skip
    for frames in dataset.splits.values():
        for frame in frames:
            _, read = read_labelled(frame, dataset.label_map, dataset.root)
            assert np.array_equal(read == IGNORE, ~inside)
            assert np.array_equal(read[inside], labels(int(frame.name.partition("_")[0]))[inside])


@pytest.mark.parametrize("name", [name for name, of in REFUSED.items() if of[1] == "two-readings"])
def test_each_of_two_readings_can_be_chosen(name: str, tmp_path: Path) -> None:
    REFUSED[name][0](tmp_path)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    readings = (
        caught.value.findings[0].hint.split("dataset.toml: ")[1].split(". Each")[0].split("; or ")
    )
    frames = []
    for lines in readings:
        (tmp_path / "dataset.toml").write_text(lines.replace(", masks", "\nmasks"))
        dataset = open_dataset(tmp_path)
        frames.append({(f.image, f.masks) for part in dataset.splits.values() for f in part})
    assert len(frames) == 2 and not frames[0] & frames[1]
    assert len(frames[0]) == len(frames[1]) == COUNT


def test_folders_of_one_split_stay_apart(tmp_path: Path) -> None:
    """As for two videos whose frames have the same numbers."""
    places = ["train1"] * 4 + ["train2"] * 5 + ["test"] * 3
    numbers = [k - places.index(place) for k, place in enumerate(places)]
    for k, (place, number) in enumerate(zip(places, numbers, strict=True)):
        save(tmp_path / f"{place}/images/frame{number}.png", picture(k))
        save(tmp_path / f"{place}/labels/frame{number}.png", levels(k))
    dataset = open_dataset(tmp_path)
    read = [frame for frames in dataset.splits.values() for frame in frames]
    assert len(read) == COUNT and {frame.group for frame in read} == {None}, "they are no patients"
    for frame in read:
        place, number = frame.image.parts[-3], int(frame.image.stem.removeprefix("frame"))
        k = places.index(place) + number
        assert np.array_equal(read_labelled(frame, dataset.label_map, tmp_path)[1], labels(k))


def test_a_split_of_one_picture_has_the_suffix_of_the_others(tmp_path: Path) -> None:
    for k in range(COUNT):
        split = "val" if k == 7 else SHORT[SPLIT[k]].replace("val", "train")
        save(tmp_path / f"photos/{split}/{k}.png", picture(k))
        save(tmp_path / f"truth/{split}/{k}_mask.png", levels(k))
    splits = open_dataset(tmp_path).splits
    assert {name: len(frames) for name, frames in splits.items()} == {
        "train": 8, "validation": 1, "test": 3,
    }  # fmt: skip


def test_small_objects_in_other_places_are_no_field_of_view(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(COUNT):
        save(tmp_path / f"images/{k}.png", rng.integers(0, 256, (96, 96, 3), dtype=np.uint8))
        for name, side in (("disc", 30), ("lesion", 6)):
            mask = np.zeros((96, 96), np.uint8)
            top, left = rng.integers(0, 96 - side, 2)
            mask[top : top + side, left : left + side] = 255
            save(tmp_path / f"{name}/{k}.png", mask)
    assert open_dataset(tmp_path).label_map.names == ("background", "disc", "lesion")


def test_pictures_in_no_split_are_named(tmp_path: Path) -> None:
    pairs(tmp_path, "{s}/images/{k}.png", "{s}/masks/{k}.png")
    pairs(tmp_path, "images/{k}.png", "masks/{k}.png")
    (warned,) = [f for f in open_dataset(tmp_path).findings if f.code == "passed-over"]
    assert warned.files == ("images", "masks") and "in no split" in warned.message


def test_groups_that_differ_in_capitals_are_named(tmp_path: Path) -> None:
    pairs(tmp_path, "img/{k}.png", "gt/{k}.png")
    lines = [f"{k},{GROUP[k].upper() if k > 5 else GROUP[k]}" for k in range(COUNT)]
    (tmp_path / "groups.csv").write_text("\n".join(["stem,group", *lines]))
    (warned,) = [f for f in open_dataset(tmp_path).findings if f.code == "groups-alike"]
    assert "'P0' and 'p0'" in warned.message


def test_our_own_folders_with_a_folder_below(tmp_path: Path) -> None:
    for k in range(COUNT):
        below = "p2/" if k % 2 else ""
        save(tmp_path / f"images/{below}{k // 2}.png", picture(k))
        save(tmp_path / f"masks/{below}{k // 2}.png", levels(k))
    dataset = open_dataset(tmp_path)
    read = [frame for frames in dataset.splits.values() for frame in frames]
    assert sorted(str(frame.group) for frame in read) == ["None"] * 6 + ["p2"] * 6
    for frame in read:
        k = 2 * int(frame.image.stem) + (frame.group == "p2")
        assert np.array_equal(read_labelled(frame, dataset.label_map, tmp_path)[1], labels(k))


def nested(root: Path) -> None:
    """A class inside another, before it in the alphabet."""
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    for k in range(COUNT):
        distance = (rows - 12) ** 2 + (columns - 10 - k) ** 2
        save(root / f"images/{k}.png", picture(k))
        save(root / f"cup/{k}.png", (distance < 16).astype(np.uint8) * 255)
        save(root / f"disc/{k}.png", (distance < 81).astype(np.uint8) * 255)


def test_what_lies_below_the_masks_is_passed_over(tmp_path: Path) -> None:
    pairs(tmp_path, "images/{k}.png", "masks/{k}.png")
    for k in range(COUNT):
        save(tmp_path / f"masks/overlay/{k}.png", picture(k))
    dataset = open_dataset(tmp_path)
    assert sum(map(len, dataset.splits.values())) == COUNT
    assert "passed-over" in {finding.code for finding in dataset.findings}


def test_a_class_inside_another_is_drawn_after_it(tmp_path: Path) -> None:
    nested(tmp_path)
    dataset = open_dataset(tmp_path)
    assert dataset.label_map.names == ("background", "cup", "disc")
    for frame in dataset.splits["train"]:
        _, read = read_labelled(frame, dataset.label_map, tmp_path)
        k = int(frame.image.stem)
        around = np.asarray(Image.open(tmp_path / f"disc/{k}.png")) > 0
        inside = np.asarray(Image.open(tmp_path / f"cup/{k}.png")) > 0
        assert np.array_equal(read, np.where(inside, 1, np.where(around, 2, 0)))
    assert any("the later of disc, cup counts: the inner one" in line for line in dataset.reading)
