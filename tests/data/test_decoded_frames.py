"""A split decoded once: what it holds, when it is decoded anew, and what is said of bad files."""

from __future__ import annotations

import errno
import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from headstart.data import decoded_frames as decoded
from headstart.data.decoded_frames import Decoded, decode
from headstart.data.framing import resize_image, resize_mask
from headstart.data.label_map import IGNORE, LabelMap, map_of_colours
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures import masks
from headstart.data.pictures.frame import Crop, Frame, Layer
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError, DiskError
from headstart.scores.counts import count

MAP = LabelMap(("ground", "tool", "thread"), (0, 100, 200))
SIZE = (16, 24)


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def same(a: Decoded, b: Decoded) -> bool:
    def arrays(x: Decoded) -> list[np.ndarray]:
        return [x.images, *([] if x.masks is None else [x.masks]), x.present, *x.truth]

    return (a.names, a.sizes, a.digest) == (b.names, b.sizes, b.digest) and all(
        np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True)
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three labelled pictures, each of a size of its own; the last one shows no thread."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate([(20, 30), (40, 25), (16, 24)]):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        mask = np.zeros((height, width), np.uint8)
        mask[2:9, 3:12] = 100
        if i < 2:
            mask[12:, :6] = 200
        Image.fromarray(image).save(folder / "images" / f"{i}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
    return folder


def frames(root: Path, labelled: bool = True) -> list[Frame]:
    return [
        Frame(p.stem, p, root / "masks" / p.name if labelled else None)
        for p in sorted((root / "images").iterdir())
    ]


@pytest.fixture
def read(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``decode`` of the three; ``read.decoded`` counts the pictures decoded so far."""

    def read(size=SIZE, labelled=True, keep_truth=True) -> Decoded:
        return decode(frames(root, labelled), size, MAP, root, tmp_path / "cache", keep_truth)

    def counted(frame, root):
        read.decoded += 1
        return read_frame(frame, root)

    read.decoded = 0
    read_frame = decoded.read_frame
    for module in (decoded, masks):
        monkeypatch.setattr(module, "read_frame", counted)
    return read


# --- what it holds ---


def test_arrays_are_the_files(root, read):
    found = read()
    assert found.names == ("0", "1", "2")
    assert found.sizes == ((20, 30), (40, 25), (16, 24))
    assert (found.images.shape, found.images.dtype) == ((3, 3, *SIZE), np.uint8)
    assert found.masks is not None
    assert (found.masks.shape, found.masks.dtype) == ((3, *SIZE), np.uint8)
    assert found.present.tolist() == [[True, True, True], [True, True, True], [True, True, False]]
    for i, frame in enumerate(frames(root)):
        image, truth = read_labelled(frame, MAP, root)
        assert np.array_equal(found.truth[i], truth)
        assert np.array_equal(found.masks[i], resize_mask(truth, SIZE))
        assert np.array_equal(found.images[i].transpose(1, 2, 0), resize_image(image, SIZE))
    original = np.asarray(Image.open(root / "images" / "2.png"))  # it has the training size
    assert np.array_equal(found.images[2].transpose(1, 2, 0), original)


def test_presence_is_judged_at_the_masks_own_size(root, read):
    mask = np.zeros((20, 30), np.uint8)
    mask[2, 2] = 200  # too small to survive the resizing
    Image.fromarray(mask).save(root / "masks" / "0.png")
    found = read((8, 8))
    assert found.masks is not None
    assert 2 not in found.masks[0]
    assert found.present[0].tolist() == [True, False, True]


def test_without_labels(read):
    found = read(labelled=False)
    assert found.masks is None
    assert found.truth == ()
    assert not found.present.any()
    assert found.present.shape == (3, 3)
    assert np.array_equal(found.images, read().images)


def test_truth_is_kept_only_where_it_is_asked_for(read):
    slim, whole = read(keep_truth=False), read()
    assert slim.truth == ()
    assert len(whole.truth) == 3
    assert np.array_equal(slim.masks, whole.masks)
    assert np.array_equal(slim.present, whole.present)


def test_a_picture_and_a_mask_are_no_two_pictures(root, tmp_path):
    image, mask = root / "images" / "2.png", root / "masks" / "2.png"
    rest = (SIZE, MAP, root, tmp_path / "cache")
    assert len(decode([Frame("a", image, mask)], *rest).images) == 1
    assert len(decode([Frame("a", image), Frame("b", mask)], *rest).images) == 2


def test_only_rules_that_are_declared_enter_the_digest(root):
    image = root / "images" / "2.png"
    plain = hashlib.sha256(hashlib.sha256(image.read_bytes()).digest()).hexdigest()
    ranges = [None, (0, 4095), (0, 255), "percentile"]
    rules = [ReadingRules(value_range=each) for each in ranges] + [ReadingRules(page=0)]
    digests = [decoded.digest([Frame("a", image, rules=each)], root) for each in rules]
    assert digests[0] == plain
    assert len(set(digests)) == len(rules)


def test_how_alpha_is_read_enters_the_digest_but_for_recorded_frames(root):
    image = root / "images" / "2.png"
    layer = Layer(root / "masks" / "2.png", ((0, 0), (100, 100)), "it", others=100)
    crop = Crop((16, 24), 0, 0, 16, 24)
    of_crop = {}
    for frame_crop in (None, crop):  # EndoVis is published, and cropped
        frames = [
            Frame("a", image, (replace(layer, published=published),), crop=frame_crop)
            for published in (False, True)
        ]
        of_crop[frame_crop] = {decoded.digest([frame], root) for frame in frames}
    assert len(of_crop[None]) == 2
    assert len(of_crop[crop]) == 1


def test_16_bit_pictures_are_decoded_by_their_range(root, tmp_path):
    wide = np.linspace(0, 4095, 16 * 24).reshape(SIZE).astype(np.uint16)
    Image.fromarray(wide).save(root / "images" / "0.png")
    frame = Frame("a", root / "images" / "0.png", rules=ReadingRules(value_range=(0, 4095)))
    found = decode([frame], SIZE, MAP, root, tmp_path / "cache")
    assert np.array_equal(found.images[0, 0], np.rint(wide / 4095 * 255))
    with pytest.raises(DataError) as caught:
        decode([replace(frame, rules=ReadingRules())], SIZE, MAP, root, tmp_path / "cache")
    assert caught.value.findings[0].code == "picture-depth"


def test_drawn_dataset(drawn, tmp_path):
    before = contents(drawn)
    dataset = open_dataset(drawn)
    found = decode(dataset.splits["train"], SIZE, dataset.label_map, drawn, tmp_path / "cache")
    assert found.images.shape == (12, 3, *SIZE)
    assert len(found.truth) == 12
    assert contents(drawn) == before


def test_subset(read):
    found = read()
    part = found.subset([2, 0])
    assert part.names == ("2", "0")
    assert part.sizes == ((16, 24), (20, 30))
    assert np.array_equal(part.images, found.images[[2, 0]])
    assert np.array_equal(part.truth[1], found.truth[0])
    assert part.digest == found.digest
    assert found.subset(range(3)) is found
    assert read(labelled=False).subset([1]).masks is None


@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30))),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
)
def test_resizing_invents_no_label(mask, size):
    resized = resize_mask(mask, size)
    assert resized.shape == size
    assert set(np.unique(resized)) <= set(np.unique(mask))
    (h, w), (height, width) = mask.shape, size
    rows = ((np.arange(height) + 0.5) * h / height).astype(int)
    columns = ((np.arange(width) + 0.5) * w / width).astype(int)
    if h % height == w % width == 0 or height % h == width % w == 0:  # no ties at pixel edges
        assert np.array_equal(resized, mask[np.ix_(rows, columns)])


def test_shrinking_does_not_alias():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(resize_image(stripes, (16, 16))[:, 1:-1].astype(int)) < 12


# --- the cache ---


def test_the_second_time_nothing_is_decoded(read):
    first, second = read(), read()
    assert read.decoded == 3
    assert same(first, second)


def test_a_moved_dataset_is_not_decoded_again(root, read, tmp_path):
    first = read()
    moved = tmp_path / "elsewhere"
    shutil.copytree(root, moved)
    assert same(first, decode(frames(moved), SIZE, MAP, moved, tmp_path / "cache"))
    assert read.decoded == 3


def test_other_size_other_labels_other_files_are_decoded(root, read, tmp_path):
    first = read()
    assert read((8, 8)).images.shape[-2:] == (8, 8)
    assert read.decoded == 6
    other = LabelMap(("ground", "tool", "x", "thread"), (0, 100, 150, 200))
    assert decode(frames(root), SIZE, other, root, tmp_path / "cache").present.shape == (3, 4)
    assert read.decoded == 9
    Image.fromarray(np.full((20, 30, 3), 9, np.uint8)).save(root / "images" / "0.png")
    changed = read()
    assert read.decoded == 12
    assert (changed.images[0] == 9).all()
    assert changed.digest != first.digest
    Image.fromarray(np.full((20, 30), 100, np.uint8)).save(root / "masks" / "0.png")
    assert read().present[0].tolist() == [False, True, False]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm", [damage, Path.unlink, lambda p: p.write_bytes(b""), lambda p: p.write_text("[]")]
)
@pytest.mark.parametrize(
    "name", ["images.npy", "masks.npy", "truth.u8", "frames.json", "sha256.json"]
)  # fmt: skip
def test_a_damaged_cache_is_decoded_anew(read, tmp_path, harm, name):
    first = read()
    (folder,) = (p for p in (tmp_path / "cache").iterdir() if p.is_dir())
    harm(folder / name)
    assert same(read(), first)
    assert read.decoded == 6
    assert same(read(), first)
    assert read.decoded == 6


def test_what_a_killed_process_left_is_swept(read, tmp_path):
    first = read()
    (folder,) = (p for p in (tmp_path / "cache").iterdir() if p.is_dir())
    folder.rename(folder.with_name(f"{folder.name}.partial"))
    assert same(read(), first)
    assert [p.name for p in (tmp_path / "cache").iterdir() if p.is_dir()] == [folder.name]


def test_larger_than_memory_is_the_same_from_the_disk(read, monkeypatch):
    first = read()
    monkeypatch.setattr("headstart.data.cache._IN_MEMORY", 0)
    mapped = read()
    assert isinstance(mapped.images, np.memmap)
    assert isinstance(mapped.masks, np.memmap)
    assert same(first, mapped)
    mapped.images[:] = 0  # its own copy: torch warns of arrays that cannot be written to
    assert same(first, read())
    assert read.decoded == 3


def test_runs_that_share_a_cache_decode_once(read):
    with ThreadPoolExecutor(4) as pool:  # the lock keeps threads apart as it does processes
        first, *others = (job.result() for job in [pool.submit(read) for _ in range(4)])
    assert all(same(first, other) for other in others)
    assert read.decoded == 3


def test_the_dataset_is_left_alone(root, read):
    before = contents(root)
    read()
    read(labelled=False)
    assert contents(root) == before


def test_a_full_disk_is_an_error_and_leaves_nothing(read, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("headstart.data.cache._hashes", full)
    with pytest.raises(DiskError, match="No space left"):
        read()
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


def test_an_output_folder_that_is_a_file(root, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DiskError, match="out"):
        decode(frames(root), SIZE, MAP, root, tmp_path / "out" / "cache")


# --- bad files ---


def findings(excinfo) -> dict[str, tuple[str, ...]]:
    return {f.code: f.files for f in excinfo.value.findings}


def test_all_bad_files_are_named_at_once(root, read, tmp_path):
    (root / "images" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (root / "masks" / "1.png").write_text("not a picture")
    Image.fromarray(np.full((16, 24), 77, np.uint8)).save(root / "masks" / "2.png")
    with pytest.raises(DataError) as excinfo:
        read()
    named = findings(excinfo)
    assert named["unknown-grey"] == ("masks/2.png",)
    assert {file for files in named.values() for file in files} == {
        "images/0.png", "masks/1.png", "masks/2.png",
    }  # fmt: skip
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


def test_missing_files_are_all_named(root, read):
    listed = frames(root)
    (root / "images" / "0.png").unlink()
    (root / "masks" / "2.png").unlink()
    with pytest.raises(DataError) as excinfo:
        decode(listed, SIZE, MAP, root, root.parent / "cache")
    (files,) = findings(excinfo).values()
    assert files == ("images/0.png", "masks/2.png")


def test_sizes_that_differ(root, read):
    for i, shape in ((0, (20, 31)), (1, (25, 40))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(root / "masks" / f"{i}.png")
    with pytest.raises(DataError) as excinfo:
        read()
    assert findings(excinfo) == {"size-differs": ("masks/0.png", "masks/1.png")}
    assert "31 x 20" in str(excinfo.value) and "30 x 20" in str(excinfo.value)


def test_unknown_levels_and_a_wrong_size_are_said_together(root):
    grey = np.zeros((5, 5), np.uint8)
    grey[0] = [7, 8, 9, 100, 200]
    Image.fromarray(grey).save(root / "masks" / "0.png")
    with pytest.raises(DataError) as excinfo:
        read_labelled(frames(root)[0], MAP, root)
    assert list(findings(excinfo)) == ["size-differs", "unknown-grey"]
    assert "7, 8, 9" in str(excinfo.value)


def test_frames_all_with_labels_or_all_without(root, tmp_path):
    mixed = [*frames(root)[:2], *frames(root, labelled=False)[2:]]
    for wrong in (mixed, []):
        with pytest.raises(ValueError, match="expected all or none"):
            decode(wrong, SIZE, MAP, root, tmp_path / "cache")


def test_real_frames(real, tmp_path):
    dataset = open_dataset(real)
    some = dataset.splits["train"][:4]
    found = decode(some, (64, 80), dataset.label_map, real, tmp_path / "cache")
    assert set(found.sizes) == {(256, 320)}
    assert found.present[:, 0].all()
    assert all(t.shape == (256, 320) for t in found.truth)


# --- pixels that do not count ---


@given(st.integers(0, 99), st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_resizing_keeps_ignored_pixels_ignored(seed, size):
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 4, (9, 13), dtype=np.uint8)
    ignored = rng.random(mask.shape) < 0.4
    where = resize_mask(ignored.astype(np.uint8), size) == 1
    resized = resize_mask(np.where(ignored, np.uint8(IGNORE), mask), size)
    assert np.array_equal(resized == IGNORE, where)
    assert np.array_equal(resized[~where], resize_mask(mask, size)[~where])


def test_pixels_outside_the_valid_region_count_nowhere(root, tmp_path):
    (root / "valid").mkdir()
    given_frames = []
    for frame in frames(root):
        with Image.open(frame.image) as image:
            region = np.full((image.height, image.width), 255, np.uint8)
        region[:, :8] = 0  # all of the thread, and a part of the tool
        Image.fromarray(region).save(root / "valid" / f"{frame.name}.png")
        given_frames.append(replace(frame, valid=root / "valid" / f"{frame.name}.png"))
    found = decode(given_frames, SIZE, MAP, root, tmp_path / "cache")
    before = decode(frames(root), SIZE, MAP, root, tmp_path / "cache")
    assert found.digest != before.digest
    assert found.present.tolist() == [[True, True, False]] * 3 != before.present.tolist()
    predicted = [np.ones_like(truth) for truth in before.truth]
    for truth, all_of_it, wrong in zip(found.truth, before.truth, predicted, strict=True):
        assert (truth[:, :8] == IGNORE).all() and np.array_equal(truth[:, 8:], all_of_it[:, 8:])
        pair = [torch.from_numpy(m)[None] for m in (wrong, truth)]
        fewer = [torch.from_numpy(m[:, 8:].copy())[None] for m in (wrong, all_of_it)]
        assert torch.equal(count(*pair, 3, IGNORE), count(*fewer, 3))
    assert found.masks is not None and (found.masks == IGNORE).any()


def test_other_colours_of_classes_are_decoded_again(root, tmp_path):
    """The same files with the same numbers of classes, but what is what has changed."""
    folder = root / "masks"
    inks = {0: (0, 0, 0), 100: (255, 0, 0), 200: (0, 255, 0)}
    for path in folder.iterdir():
        grey = np.asarray(Image.open(path))
        rgb = np.zeros((*grey.shape, 3), np.uint8)
        for level, ink in inks.items():
            rgb[grey == level] = ink
        Image.fromarray(rgb).save(path)
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    maps = (
        map_of_colours({"bg": (0, 0, 0), "tool": red, "thread": green}),
        map_of_colours({"bg": (0, 0, 0), "tool": green, "thread": red}),
        map_of_colours({"bg": (0, 0, 0), "tool": red, "thread": blue}, [green]),
    )
    a, b, c = (decode(frames(root), SIZE, m, root, tmp_path / "cache").truth[0] for m in maps)
    assert np.array_equal(a == 1, b == 2) and np.array_equal(a == 2, b == 1)
    assert np.array_equal(a == 2, c == IGNORE) and np.array_equal(a == 1, c == 1)
    assert (a == 1).any() and (a == 2).any()
