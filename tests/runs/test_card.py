"""The model card states the facts of its run, with the same bytes each time."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.data.drawn.dataset import write_dataset
from headstart.runs import caveats
from headstart.runs.run import train
from tests.tiny_runs import Silent, started, tiny

_SPLITS = "12 train, 4 validation, 5 test"


def card_of(config, out: Path) -> str:
    train(config, out, Silent())
    return (out / "README.md").read_text()


def in_plain_layout(drawn: Path, root: Path) -> Path:
    """The drawn frames as PNG, in the layout that may have a ``groups.csv``."""
    for split in ("train", "validation", "test"):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for folder in (drawn / "segmentation" / split).iterdir():
            k = folder.name
            with Image.open(folder / f"{k}_input.jpg") as picture:
                picture.save(root / split / "images" / f"{k}.png")
            shutil.copy(folder / f"{k}_mask.png", root / split / "masks" / f"{k}.png")
    shutil.copy(drawn / "mapping.json", root)
    return root


def test_what_a_card_says_of_its_run(trained: Path) -> None:
    card = (trained / "README.md").read_text()
    for fact in (
        "`data` (assignment layout)",
        _SPLITS,
        "all 12 training frames",
        "frames of 32x40 (height x width), trained at 16x24",
        "`Drawn_Tissue` 0",
        "Start: `scratch`",
        "None of the 5 test frames is also among the 12 training frames",
        "None of the 5 test frames is also among the 4 validation frames",
        "patient or video of each picture is not known",
        "Not a medical device",
        "1 threads; torch",
        "temperature 1): the predictions on validation hold one class only",
    ):
        assert fact in card, fact
    assert str(trained.parent) not in card and "/tmp" not in card


def test_copies_groups_and_budgets_are_told(drawn: Path, tmp_path: Path) -> None:
    data = in_plain_layout(drawn, tmp_path / "with-groups")
    train_images, test_images = data / "train" / "images", data / "test" / "images"
    shutil.copy(train_images / "1.png", test_images / "1.png")
    with Image.open(train_images / "2.png") as picture:
        brighter = np.minimum(np.asarray(picture), 253) + 2
    Image.fromarray(brighter).save(test_images / "2.png")
    groups = [f"{split}/{k},{split}" for split, n in (("train", 12), ("validation", 4), ("test", 5))
              for k in range(n)]  # fmt: skip
    (data / "groups.csv").write_text("\n".join(["stem,group", *groups]) + "\n")
    card = card_of(tiny(data), tmp_path / "a")
    (overlap,) = re.findall(r"- (.*5 test frames.*12 training frames.*)", card)
    assert overlap.startswith("1 of the 5") and "1 has a near-duplicate" in overlap
    (sentence,) = re.findall(r"- (.*\(patients, videos\).*)", card)
    assert (
        "test split has 1 group " in sentence and "none of them in the training split" in sentence
    )
    few = card_of(tiny(data, labels=6, seed=1), tmp_path / "b")
    assert "6 of the 12 training frames" in few
    assert "also among the 6 training frames" in few
    (data / "groups.csv").write_text(
        "\n".join(["stem,group", *groups]).replace("test\n", "train\n")
    )
    shared = card_of(tiny(data, seed=2), tmp_path / "c")
    (sentence,) = re.findall(r"- (.*\(patients, videos\).*)", shared)
    assert sentence.startswith("1 of the 2 groups") and "also in the training split" in sentence


def test_groups_that_are_known_of_some_pictures_say_nothing_about_new_ones() -> None:
    known = {"train": frozenset({"a"}), "test": frozenset({"b"})}
    assert "those of new groups" in caveats._groups(known, "test")
    for split in known:
        partly = {**known, split: known[split] | {None}}
        sentence = caveats._groups(partly, "test")
        assert f"pictures of the {split} split is not known" in sentence
    none: dict[str, frozenset[str | None]] = {"train": frozenset({"a"}), "test": frozenset({None})}
    assert "the test split is not known" in caveats._groups(none, "test")
    shared = {"train": frozenset({"a", None}), "test": frozenset({"a"})}
    assert "also in the training split" in caveats._groups(shared, "test")


def test_a_pretext_that_has_seen_test_frames(tmp_path: Path) -> None:
    data = write_dataset(
        tmp_path / "data", train=12, validation=4, test=5, unlabelled=3, height=32, width=40
    )
    seen = data / "segmentation" / "test" / "0" / "0_input.jpg"
    shutil.copy(seen, data / "colorization" / "train_cor" / "1" / "1_input.jpg")
    card = card_of(started(data, "colorization"), tmp_path / "run")
    (leak,) = re.findall(r"- (.*19 colorization pictures.*)", card)
    assert leak.startswith("1 of the 19") and "used to train the start" in leak
    assert "`head.weight`" in card and "tensors copied" in card
    (start,) = (tmp_path / "run").glob("start")
    again = card_of(tiny(data, start=str(start.rename(tmp_path / "seen"))), tmp_path / "again")
    assert "start `seen`" in again and "1 of the 19 pretext pictures" in again
    assert str(tmp_path) not in again
    other = write_dataset(
        tmp_path / "other", train=8, validation=4, test=5, unlabelled=3, height=32, width=40, seed=9
    )
    strange = card_of(tiny(other, start=str(tmp_path / "seen")), tmp_path / "strange")
    assert "trained the start were not compared with the test split" in strange


def test_the_comparison_is_kept_in_the_cache(trained: Path) -> None:
    assert len(list((trained / "cache").glob("*/near.npy"))) == 3
