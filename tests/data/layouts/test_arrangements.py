"""Which files belong together, in the arrangements that people describe: names alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from headstart.data.layouts.arranged_files import Arrangement, find_places
from headstart.data.layouts.arrangements import arrangements

SPLITS = ("train", "val", "test")


def made(root: Path, names: list[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def best(root: Path) -> Arrangement:
    return next(iter(arrangements(find_places(root))))


ARRANGED: dict[str, tuple[list[str], int, set[str]]] = {
    "split first": (
        [f"{s}/{k}/{i}.png" for s in SPLITS for k in ("img", "gt") for i in range(4)],
        12,
        {"img", "gt"},
    ),
    "kind first": (
        [f"{k}/{s}/{i}.png" for s in SPLITS for k in ("img", "gt") for i in range(4)],
        12,
        {"img", "gt"},
    ),
    "siblings": (
        [f"{s}{k}/x_{i:03}.png" for s in SPLITS for k in ("", "annot") for i in range(5)],
        15,
        {"", "annot"},
    ),
    "a suffix on either side": (
        [f"images/{i}_training.tif" for i in range(21, 30)]
        + [f"1st_manual/{i}_manual1.png" for i in range(21, 30)],
        9,
        {"images", "1st_manual"},
    ),
    "nested by city": (
        [
            f"{k}/{s}/{c}/{c}_{i:06}_000019_{k}{e}.png"
            for k, e in (("leftImg8bit", ""), ("gtFine", "_labelIds"))
            for s in ("train", "val")
            for c in ("aachen", "bochum")
            for i in range(4)
        ],
        16,
        {"leftImg8bit", "gtFine"},
    ),
    "nnU-Net": (
        [f"imagesTr/a_{i:03}_0000.png" for i in range(6)]
        + [f"labelsTr/a_{i:03}.png" for i in range(6)],
        6,
        {"images", "labels"},
    ),
    "patients, then kinds": (
        [f"p{p}/{k}/{i}.png" for p in (1, 2, 3) for k in ("us", "seg") for i in range(3)],
        9,
        {"us", "seg"},
    ),
    "masks below their pictures": (
        [f"p{p}/{k}{i}.png" for p in (1, 2, 3) for k in ("", "masks/") for i in range(3)],
        9,
        {"", "masks"},
    ),
    "a folder for each picture, a file for each object": (
        [f"{h}/images/{h}.png" for h in ("aa", "bb", "cc")]
        + [f"{h}/masks/{h}{k}.png" for h in ("aa", "bb", "cc") for k in (1, 2)],
        3,
        {"images", "masks"},
    ),
    "beside, by ending": (
        [f"{i}{e}" for i in range(6) for e in (".jpg", ".png")],
        6,
        {".jpg", ".png"},
    ),
    "beside, by prefix": (
        [f"{k}_{i:02}.png" for i in range(6) for k in ("img", "mask")],
        6,
        {"img_", "mask_"},
    ),
    "beside, by suffix, some with several": (
        [f"scan ({i}){t}.png" for i in range(1, 9) for t in ("", "_mask")]
        + ["scan (3)_mask_1.png"],
        8,
        {"", "_mask"},
    ),
    "beside, a suffix on either": (
        [f"{i}_{t}.png" for i in range(5) for t in ("rgb", "label")],
        5,
        {"_rgb", "_label"},
    ),
}


@pytest.mark.parametrize("name", ARRANGED)
def test_files_of_one_picture_are_matched_by_their_names(name: str, tmp_path: Path) -> None:
    files, matched, kinds = ARRANGED[name]
    arrangement = best(made(tmp_path, files))
    assert arrangement.matched == matched
    assert set(arrangement.kinds) == kinds
    placed = sorted(path for kind in kinds for path in arrangement.files(kind))
    assert placed == sorted(tmp_path / file for file in files), "every file has one place"


def test_splits_are_taken_from_the_path(tmp_path: Path) -> None:
    files = [f"{s}{k}/{i}.png" for s in ("Training", "valid") for k in ("/a", "/b") for i in (1, 2)]
    splits = {place.split for place in find_places(made(tmp_path, files))}
    assert splits == {"train", "validation"}


def test_a_version_in_the_folder_of_one_split_is_no_kind(tmp_path: Path) -> None:
    splits = ("Training", "Validation", "Test_v2")
    files = [f"ISIC-2017_{s}_{kind}/{s}_{i}.png" for s in splits for i in (1, 2, 3)
             for kind in ("Data", "Part1_GroundTruth")]  # fmt: skip
    arrangement = best(made(tmp_path, files))
    assert set(arrangement.kinds) == {"ISIC_2017_Data", "ISIC_2017_Part1_GroundTruth"}
    assert arrangement.matched == 9


def test_two_versions_of_one_split_stay_apart(tmp_path: Path) -> None:
    files = [f"{folder}/{i}.png" for folder in ("train_a", "test_a", "test_v2_a") for i in (1, 2)]
    places = find_places(made(tmp_path, files))
    assert {place.folders for place in places} == {("a",), ("v2_a",)}


def test_strays_and_what_systems_leave_behind_do_not_matter(tmp_path: Path) -> None:
    files = [f"img/{i}_rgb.png" for i in range(30)] + [f"gt/{i}_seg.png" for i in range(30)]
    junk = ["img/Thumbs.db", "img/.DS_Store", "__MACOSX/img/._1_rgb.png", "notes.txt"]
    assert best(made(tmp_path, [*files, "img/overview.png", *junk])).matched == 30


def test_nothing_pairs_in_a_plain_folder(tmp_path: Path) -> None:
    places = find_places(made(tmp_path, [f"IMG_{i}.jpg" for i in range(5)]))
    assert list(arrangements(places)) == []


def test_many_files_take_a_moment(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for i in range(15_000):
            (tmp_path / kind / f"frame_{i:06}.png").touch()
    begun = time.process_time()
    assert best(tmp_path).matched == 15_000
    assert time.process_time() - begun < 3  # 0.5 s on a quiet machine; room for a busy one
