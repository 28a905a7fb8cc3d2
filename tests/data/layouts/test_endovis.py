"""EndoVis 2017 as released: which frames are where, what the masks come to, what is refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from headstart.cli.check import check
from headstart.config.recipes import DEFAULT
from headstart.data.checks.segmentation import check_dataset
from headstart.data.decoded_frames import decode, digest
from headstart.data.layouts import endovis
from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.recognise import layout_of, open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, Finding
from headstart.runs.run import train
from tests.endovis_release import CUT, INSTRUMENTS, SHIPPED, save, touch_release, write_release
from tests.tiny_runs import Silent, tiny

ASSIGNMENTS_NAMES = (  # of the frames that came with the assignment
    "Background_Tissue", "Bipolar_Forceps", "Prograsp_Forceps", "Large_Needle_Driver",
    "Vessel_Sealer", "Grasping_Retractor", "Monopolar_Curved_Scissors", "Other",
)  # fmt: skip


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sequences of two frames each, drawn at the true size."""
    return write_release(tmp_path_factory.mktemp("drawn") / "release", (1, 2, 7), 2)


@pytest.fixture(scope="module")
def names_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All eight sequences, of eighteen empty files each."""
    return touch_release(tmp_path_factory.mktemp("names") / "release")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """All eight sequences, of two empty files each, to be harmed."""
    return touch_release(tmp_path / "release", frames=2)


def faults(root: Path) -> dict[str, Finding]:
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    found = {finding.code: finding for finding in caught.value.findings}
    assert len(found) == len(caught.value.findings), "one finding per kind"
    assert all(finding.message and finding.hint for finding in found.values())
    return found


def groups(dataset: Dataset, split: str) -> set[str | None]:
    return {frame.group for frame in dataset.splits[split]}


# Splits


@pytest.mark.parametrize("fold", range(4))
@pytest.mark.parametrize("target", endovis.LABEL_MAPS)
def test_folds_of_the_literature(names_only: Path, target: str, fold: int) -> None:
    dataset = open_dataset(names_only / f"{target}-fold{fold}")
    assert (dataset.root, dataset.layout) == (names_only, "endovis")
    assert dataset.label_map == endovis.LABEL_MAPS[target]
    held_out = ((1, 3), (2, 5), (4, 8), (6, 7))[fold]
    assert groups(dataset, "test") == {f"instrument_dataset_{k}" for k in held_out}
    assert groups(dataset, "train") == groups(dataset, "validation")
    assert groups(dataset, "train") == {
        f"instrument_dataset_{k}" for k in range(1, 9) if k not in held_out
    }
    assert {name: len(frames) for name, frames in dataset.splits.items()} == {
        "train": 6 * 16, "validation": 6 * 2, "test": 2 * 18
    }  # fmt: skip
    frames = [frame for split in dataset.splits.values() for frame in split]
    assert len({frame.name for frame in frames}) == len({frame.image for frame in frames}) == 8 * 18
    for frame in frames:
        others = sum("Other" in path.parent.name for path in frame.masks)
        folders = INSTRUMENTS[int(str(frame.group)[-1])]
        assert len(frame.masks) == len(folders) - (target != "type" and "Other_labels" in folders)
        assert others == (target == "type" and "Other_labels" in folders)


def test_validation_is_the_end_of_each_training_sequence(names_only: Path) -> None:
    dataset = open_dataset(names_only)
    for k in (2, 4, 5, 6, 7, 8):
        ours = [f.name for split in ("train", "validation") for f in dataset.splits[split]
                if f.group == f"instrument_dataset_{k}"]  # fmt: skip
        assert ours == [f"seq{k}-frame{n:03}" for n in range(18)]
    assert {f.image.stem for f in dataset.splits["validation"]} == {"frame016", "frame017"}


def test_pre_training_sees_training_frames_of_both_cameras_and_no_others(names_only: Path) -> None:
    dataset = open_dataset(names_only)
    assert set(dataset.unlabelled) == {"train"}
    pool = dataset.unlabelled["train"]
    train = {frame.image for frame in dataset.splits["train"]}
    right = {path.parents[1] / "right_frames" / path.name for path in train}
    assert {frame.image for frame in pool} == train | right
    assert len({frame.name for frame in pool}) == len(pool) == 2 * len(train)
    assert all(frame.mask is None and frame.crop == endovis.CROP for frame in pool)


def test_without_a_right_camera(small: Path) -> None:
    for folder in small.glob("*/right_frames"):
        shutil.rmtree(folder)
    dataset = open_dataset(small)
    images = {frame.image for frame in dataset.splits["train"]}
    assert {frame.image for frame in dataset.unlabelled["train"]} == images


def test_the_folder_alone_is_type_fold_0_and_says_so(names_only: Path) -> None:
    plain, chosen = open_dataset(names_only), open_dataset(names_only / "type-fold0")
    assert plain == chosen
    (finding,) = plain.findings
    assert (finding.code, finding.severity) == ("endovis", "info")
    assert "target type, fold 0: instrument_dataset_1 and instrument_dataset_3" in finding.message
    assert str(names_only / "parts-fold1") in finding.hint
    assert layout_of(names_only) == layout_of(names_only / "parts-fold3") == "endovis"


def test_type_fits_models_of_the_assignments_frames() -> None:
    label_map = endovis.LABEL_MAPS["type"]
    assert label_map.names == ASSIGNMENTS_NAMES
    assert label_map.greys == (0, 32, 64, 96, 128, 160, 192, 224)


@pytest.mark.parametrize(
    "name", ["types-fold0", "type-fold4", "type", "type-fold0-strict", "Type-fold0", "other"]
)
def test_a_choice_that_there_is_not(names_only: Path, name: str) -> None:
    finding = faults(names_only / name)["no-such-choice"]
    assert name in finding.message
    assert str(names_only / "type-fold0") in finding.hint


def test_a_folder_of_that_name_is_a_folder(names_only: Path, tmp_path: Path) -> None:
    root = touch_release(tmp_path / "release", frames=2)
    (root / "parts-fold1").mkdir()
    assert set(faults(root / "parts-fold1")) == {"layout"}
    assert set(faults(tmp_path / "none" / "parts-fold1")) == {"no-such-folder"}
    assert str(root) in faults(tmp_path)["layout"].hint  # did you mean


def test_as_it_is_unpacked(small: Path, names_only: Path) -> None:
    for k in range(1, 9):
        part = small / ("instrument_1_4_training" if k < 5 else "instrument_5_8_training")
        part.mkdir(exist_ok=True)
        (small / f"instrument_dataset_{k}").rename(part / f"instrument_dataset_{k}")
    (small / "instrument_1_4_testing" / "instrument_dataset_1" / "left_frames").mkdir(parents=True)
    dataset = open_dataset(small)
    assert [f.name for f in dataset.splits["test"]] == [
        f"seq{k}-frame{n:03}" for k in (1, 3) for n in (0, 1)
    ]
    assert [finding.code for finding in dataset.findings] == ["endovis"]


# Faults of the folders


def no_truth(root: Path) -> None:
    shutil.rmtree(root / "instrument_dataset_3/ground_truth")


def empty_truth(root: Path) -> None:
    no_truth(root)
    (root / "instrument_dataset_3/ground_truth").mkdir()


def no_frames(root: Path) -> None:
    shutil.rmtree(root / "instrument_dataset_2/left_frames")


def frame_without_mask(root: Path) -> None:
    (root / "instrument_dataset_7/ground_truth/Right_Vessel_Sealer/frame001.png").unlink()
    (root / "instrument_dataset_3/left_frames/frame002.png").touch()


def mask_without_frame(root: Path) -> None:
    (root / "instrument_dataset_4/left_frames/frame000.png").unlink()


def strange_folder(root: Path) -> None:
    (root / "instrument_dataset_5/ground_truth/type_labels").mkdir()


def twice(root: Path) -> None:
    parts = ("instrument_1_4_training", "instrument_dataset_1")
    shutil.copytree(root / parts[1], root / Path(*parts))


def held_out_missing(root: Path) -> None:
    shutil.rmtree(root / "instrument_dataset_1")
    shutil.rmtree(root / "instrument_dataset_3")


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (no_truth, {"no-masks": ("instrument_dataset_3/ground_truth",)}),
        (empty_truth, {"no-masks": ("instrument_dataset_3/ground_truth",)}),
        (
            no_frames,
            {
                "no-images": ("instrument_dataset_2/left_frames",),
                "mask-without-image": tuple(
                    f"instrument_dataset_2/ground_truth/{name}/frame{n:03}.png"
                    for name in INSTRUMENTS[2]
                    for n in (0, 1)
                ),
            },
        ),
        (
            frame_without_mask,
            {
                "image-without-mask": tuple(
                    f"instrument_dataset_{k}/ground_truth/{name}/frame{n:03}.png"
                    for k, name, n in (
                        (3, "Left_Large_Needle_Driver_labels", 2),
                        (3, "Right_Large_Needle_Driver_labels", 2),
                        (7, "Right_Vessel_Sealer", 1),
                    )
                )
            },
        ),
        (
            mask_without_frame,
            {
                "mask-without-image": tuple(
                    f"instrument_dataset_4/ground_truth/{name}/frame000.png"
                    for name in INSTRUMENTS[4]
                )
            },
        ),
        (
            strange_folder,
            {"unknown-instrument": ("instrument_dataset_5/ground_truth/type_labels",)},
        ),
        (
            twice,
            {
                "sequence-twice": (
                    "instrument_1_4_training/instrument_dataset_1",
                    "instrument_dataset_1",
                )
            },
        ),
        (held_out_missing, {"empty-split": ()}),
    ],
)
def test_faults(
    small: Path, harm: Callable[[Path], None], expected: dict[str, tuple[str, ...]]
) -> None:
    harm(small)
    assert {code: finding.files for code, finding in faults(small).items()} == expected


def test_what_can_be_lived_with(small: Path) -> None:
    shutil.rmtree(small / "instrument_dataset_5")
    (small / "instrument_dataset_9/left_frames").mkdir(parents=True)
    (small / "instrument_dataset_2/left_frames/notes.txt").touch()
    found = {f.code: f for f in open_dataset(small).findings if f.severity == "warning"}
    assert set(found) == {"sequences-missing", "passed-over"}
    assert "sequences 5 are missing" in found["sequences-missing"].message
    assert found["passed-over"].files == (
        "instrument_dataset_9", "instrument_dataset_2/left_frames/notes.txt"
    )  # fmt: skip


# What is read


def planted(root: Path, masks: dict[str, np.ndarray], image: np.ndarray | None = None) -> Path:
    """Sequence 1 with one frame of these masks, the others empty; enough to be opened."""
    touch_release(root, (1, 2), 2)
    folder = root / "instrument_dataset_1"
    black = np.zeros((*SHIPPED, 3), np.uint8)
    save(folder / "left_frames/frame000.png", black if image is None else image)
    for name in INSTRUMENTS[1]:
        mask = masks.get(name, np.zeros(SHIPPED, np.uint8))
        save(folder / "ground_truth" / name / "frame000.png", mask)
    return root


def labels(root: Path, choice: str) -> np.ndarray:
    dataset = open_dataset(root / choice)
    _, mask = read_labelled(dataset.splits["test"][0], dataset.label_map, dataset.root)
    assert mask.shape == (1024, 1280)
    return mask


def refused(root: Path, choice: str = "type-fold0") -> dict[str, Finding]:
    with pytest.raises(DataError) as caught:
        labels(root, choice)
    return {finding.code: finding for finding in caught.value.findings}


def spots(*pixels: tuple[int, int, int]) -> np.ndarray:
    """A mask with these (x, y, level), x and y in the part that is cut out."""
    mask = np.zeros(SHIPPED, np.uint8)
    for x, y, level in pixels:
        mask[28 + y, 320 + x] = level
    return mask


def test_the_crop_is_right_to_the_pixel(tmp_path: Path) -> None:
    image = np.full((*SHIPPED, 3), 255, np.uint8)
    image[28:1052, 320:1600] = 0
    image[28, 320], image[1051, 1599] = (250, 0, 0), (0, 250, 0)
    mask = np.full(SHIPPED, 10, np.uint8)
    mask[28:1052, 320:1600] = 0
    mask[28, 320] = mask[1051, 1599] = 20
    root = planted(tmp_path, {"Left_Prograsp_Forceps_labels": mask}, image)
    dataset = open_dataset(root)
    frame = dataset.splits["test"][0]
    picture, classes = read_labelled(frame, dataset.label_map, root)
    assert picture.shape == (1024, 1280, 3)
    assert picture[0, 0].tolist() == [250, 0, 0]
    assert picture[-1, -1].tolist() == [0, 250, 0]
    assert picture.astype(int).sum() == 500
    assert np.argwhere(classes).tolist() == [[0, 0], [1023, 1279]]
    assert np.array_equal(read_frame(frame, root), picture)


def test_what_masks_come_to(tmp_path: Path) -> None:
    """Every level, overlaps included: a folder later in the alphabet covers the earlier ones."""
    levels = [(i, 0, level) for i, level in enumerate((10, 20, 30, 40))]
    root = planted(
        tmp_path,
        {
            "Left_Prograsp_Forceps_labels": spots(*levels, (7, 0, 10), (8, 0, 10), (9, 0, 10)),
            "Maryland_Bipolar_Forceps_labels": spots((5, 0, 20), (7, 0, 20)),
            "Other_labels": spots((6, 0, 40), (8, 0, 40)),
            "Right_Prograsp_Forceps_labels": spots((8, 0, 30), (9, 0, 40)),
        },
    )
    assert labels(root, "type-fold0")[0, :11].tolist() == [2, 2, 2, 2, 0, 1, 7, 1, 2, 2, 0]
    assert labels(root, "binary-fold0")[0, :11].tolist() == [1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 0]
    assert labels(root, "parts-fold0")[0, :11].tolist() == [1, 2, 3, 0, 0, 2, 0, 2, 3, 1, 0]
    for target in endovis.LABEL_MAPS:
        assert not labels(root, f"{target}-fold0")[1:].any()
        strict, lenient = (labels(root, f"{target}-fold0{end}") for end in ("", "-lenient"))
        assert np.array_equal(strict, lenient)


def test_levels_that_no_release_should_have(tmp_path: Path) -> None:
    name = "Left_Prograsp_Forceps_labels"
    root = planted(tmp_path, {name: spots((0, 0, 10), (1, 0, 31), (2, 0, 255))})
    for target in endovis.LABEL_MAPS:
        finding = refused(root, f"{target}-fold0")["unknown-grey"]
        assert "grey levels 31, 255 are not in the release's" in finding.message
        assert str(root / f"{target}-fold0-lenient") in finding.hint
        assert finding.files == (f"instrument_dataset_1/ground_truth/{name}/frame000.png",)
    assert labels(root, "type-fold0-lenient")[0, :4].tolist() == [2, 2, 2, 0]
    assert labels(root, "binary-fold0-lenient")[0, :4].tolist() == [1, 1, 1, 0]
    assert labels(root, "parts-fold0-lenient")[0, :4].tolist() == [1, 0, 0, 0]
    said = {finding.code: finding for finding in open_dataset(root / "type-fold0-lenient").findings}
    assert "read as the instrument" in said["lenient"].message


def test_masks_of_several_channels(tmp_path: Path) -> None:
    """As sequence 7 has them: grey in RGB, and a few pixels coloured or transparent."""
    name = "Left_Prograsp_Forceps_labels"
    rgb = np.repeat(spots((0, 0, 10), (1, 0, 30))[..., None], 3, 2)
    root = planted(tmp_path, {name: rgb})
    assert labels(root, "parts-fold0")[0, :3].tolist() == [1, 3, 0]
    rgb[28, 322] = (200, 10, 0)
    save(root / f"instrument_dataset_1/ground_truth/{name}/frame000.png", rgb)
    assert "-lenient" in refused(root)["coloured-mask"].hint
    assert labels(root, "type-fold0-lenient")[0, :4].tolist() == [2, 2, 2, 0]
    alpha = np.full((*SHIPPED, 1), 255, np.uint8)
    alpha[28, 321] = 0
    mask = root / f"instrument_dataset_1/ground_truth/{name}/frame000.png"
    save(mask, np.concatenate([rgb[..., 1:2].repeat(3, 2), alpha], 2))
    assert "-lenient" in refused(root)["transparent-mask"].hint
    save(mask, np.concatenate([rgb, alpha], 2))
    assert labels(root, "parts-fold0-lenient")[0, :4].tolist() == [1, 3, 0, 0]


def test_what_is_cut_away_is_not_judged(tmp_path: Path) -> None:
    mask = np.full(SHIPPED, 99, np.uint8)
    mask[CUT] = 0
    root = planted(tmp_path, {"Left_Prograsp_Forceps_labels": mask})
    assert not labels(root, "type-fold0").any()


def test_other_sizes_than_released(tmp_path: Path) -> None:
    small = np.zeros((1024, 1280), np.uint8)
    root = planted(tmp_path, {"Other_labels": small}, np.zeros((1024, 1280, 3), np.uint8))
    found = refused(root)
    assert set(found) == {"not-as-released", "size-differs"}
    assert "1280 x 1024" in found["not-as-released"].message
    assert "1920 x 1080" in found["not-as-released"].message
    assert found["size-differs"].files == (
        "instrument_dataset_1/ground_truth/Other_labels/frame000.png",
    )


def test_the_digest_knows_files_and_their_meaning(tmp_path: Path) -> None:
    root = planted(tmp_path, {"Left_Prograsp_Forceps_labels": spots((0, 0, 10))})
    target = ["type-fold0", "binary-fold0", "parts-fold0", "parts-fold0-lenient"]

    def all_digests() -> list[str]:
        return [digest(open_dataset(root / name).splits["test"][:1], root) for name in target]

    before = all_digests()
    assert len(set(before)) == 4
    frame = open_dataset(root).splits["test"][0]
    for path in frame.masks[1:]:
        content = path.read_bytes()
        save(path, spots((9, 9, 10)))
        changed = [a != b for a, b in zip(all_digests(), before, strict=True)]
        assert changed == [True, *[path.parent.name != "Other_labels"] * 3]
        path.write_bytes(content)
    assert all_digests() == before


def test_decoded_and_cached(release: Path, tmp_path: Path) -> None:
    dataset = open_dataset(release / "parts-fold0")
    args = (dataset.splits["train"], (32, 40), dataset.label_map, release, tmp_path / "cache")
    first, again = decode(*args), decode(*args)
    assert first.sizes == ((1024, 1280),) * 2
    assert first.masks is not None and first.masks.shape == (2, 32, 40)
    assert {mask.shape for mask in first.truth} == {(1024, 1280)}
    assert np.array_equal(first.images, again.images) and first.digest == again.digest
    assert first.present.any(0).all()


# What is said of it


def test_check(release: Path) -> None:
    app = Typer()
    app.command()(check)
    result = CliRunner().invoke(app, [str(release / "type-fold3"), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["layout"] == "endovis"
    assert [entry["name"] for entry in report["classes"]] == list(ASSIGNMENTS_NAMES)
    assert {n: (s["frames"], s["height"], s["width"]) for n, s in report["splits"].items()} == {
        "train": (2, 1024, 1280), "validation": (2, 1024, 1280), "test": (2, 1024, 1280)
    }  # fmt: skip
    assert report["unlabelled"]["train"] == {"frames": 4, "height": 1024, "width": 1280}
    codes = {finding["code"] for finding in report["findings"]}
    assert codes >= {"endovis", "sequences-missing", "group-across-splits", "class-absent"}
    assert "no-groups" not in codes


def test_check_names_every_file_that_is_wrong(tmp_path: Path) -> None:
    root = planted(tmp_path, {"Other_labels": spots((0, 0, 5))})
    found = {f.code: f.files for f in check_dataset(root).findings if f.severity == "error"}
    assert set(found) == {"unknown-grey", "empty-file"}
    assert found["unknown-grey"] == ("instrument_dataset_1/ground_truth/Other_labels/frame000.png",)
    masks = sum(map(len, (INSTRUMENTS[1], *[INSTRUMENTS[2]] * 2)))
    assert len(found["empty-file"]) == 1 + 2 + masks + 1  # one of the right camera too


# A run


def test_a_run_from_end_to_end(release: Path, tmp_path: Path) -> None:
    """Trained on one target and fold, scored on whole sequences, with the published scores."""
    recipe = DEFAULT.with_epochs(1).model_copy(update={"batch": 2})
    config = tiny(release / "parts-fold3", size=(32, 40), recipe=recipe)
    scores = train(config, tmp_path / "run", Silent())
    assert scores["frames"] == 2
    assert {"endovis_iou", "isi_iou", "mc_iou"} <= set(scores)
    assert list(scores["classes"]) == ["background", "shaft", "wrist", "claspers"]
    with (tmp_path / "run/frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["frame"] for row in rows} == {"seq7-frame000", "seq7-frame001"}
    assert (tmp_path / "run/predictions.png").exists()
