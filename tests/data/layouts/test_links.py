"""Links out of a dataset: refused with a way on, or followed where dataset.toml says so."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headstart.data import files
from headstart.data.decoded_frames import digest
from headstart.data.files import FollowedPath, folders_not_entered, open_regular, walk_links
from headstart.data.layouts.dataset import Dataset, FaultyDatasetError
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError
from headstart.verbs.check import check
from tests.data.layouts.annotations.annotated import write_json
from tests.data.layouts.test_people import COUNT, pairs

PATTERNS = 'pictures = "img/{name}.png"\nmasks = "gt/{name}.png"\n'
FOLLOW = 'links = "follow"\n'


@pytest.fixture(autouse=True, params=[files._SAYS_WHERE, False])
def either_way_to_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Files are opened as on Linux, and as where the kernel does not say where they are."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "_SAYS_WHERE", request.param)
        yield


def elsewhere(root: Path) -> None:
    """Pictures and masks beside the dataset."""
    pairs(root, "store/{k}.png", "truth/{k}.png")


def linked_files(root: Path) -> Path:
    elsewhere(root)
    data = root / "data"
    for kind, store in (("img", "store"), ("gt", "truth")):
        (data / kind).mkdir(parents=True)
        for k in range(COUNT):
            (data / f"{kind}/{k}.png").symlink_to(root / f"{store}/{k}.png")
    return data


def linked_folders(root: Path) -> Path:
    elsewhere(root)
    data = root / "data"
    data.mkdir()
    (data / "img").symlink_to(root / "store")
    (data / "gt").symlink_to("../truth")
    return data


def described(data: Path, text: str) -> Dataset:
    (data / "dataset.toml").write_text(text)
    return open_dataset(data)


@pytest.mark.parametrize("link", [linked_files, linked_folders])
def test_refused_or_followed(link, tmp_path: Path) -> None:
    data = link(tmp_path)
    for names in ("img", "images"):  # recognised by what files show, and by names alone
        if names == "images":
            (data / "img").rename(data / "images")
            (data / "gt").rename(data / "masks")
        with pytest.raises(DataError) as refused:
            open_dataset(data)
        (finding,) = [f for f in refused.value.findings if f.code == "link-leaves-dataset"]
        assert 'links = "follow"' in finding.hint
        assert finding.files
    patterns = PATTERNS.replace("img", "images").replace("gt", "masks")
    followed = described(data, FOLLOW + patterns)
    (tmp_path / "plain.toml").write_text(
        'pictures = "store/{name}.png"\nmasks = "truth/{name}.png"\n'
    )
    plain = open_dataset(tmp_path / "plain.toml")
    assert followed.label_map == plain.label_map
    for split, frames in plain.splits.items():
        assert [f.name for f in frames] == [f.name for f in followed.splits[split]]
        assert digest(frames, plain.root) == digest(followed.splits[split], followed.root)
    said = " ".join(followed.reading)
    assert f"{2 * COUNT} of {2 * COUNT} files lie outside" in said
    assert str(tmp_path / "store") in said and str(tmp_path / "truth") in said
    assert followed.description != plain.description
    assert check(data, out=tmp_path / "sheet").ok, "pictures are read, and out is outside the data"


def test_only_regular_files_are_followed(tmp_path: Path) -> None:
    data = linked_files(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for k, target in enumerate(["/dev/zero", "pipe", "missing", "data/img/3.png"]):
        (data / f"img/{k}.png").unlink()
        (data / f"img/{k}.png").symlink_to(tmp_path / target)
    dataset = described(data, FOLLOW + PATTERNS)
    codes = {}
    for frame in (f for part in dataset.splits.values() for f in part):
        try:
            open_regular(frame.image, dataset.root).close()
        except DataError as error:
            codes[frame.name] = error.findings[0].code
    assert codes == {
        "0": "not-a-file", "1": "not-a-file", "2": "unreadable-file", "3": "unreadable-file",
    }  # fmt: skip


@pytest.mark.parametrize("picture", ["../store/0.png", "{root}/store/0.png"])
def test_a_path_that_is_no_link_stays_inside(picture: str, tmp_path: Path) -> None:
    data = linked_files(tmp_path)
    frame = f'[[frames]]\nname = "a"\npicture = "{picture.format(root=tmp_path)}"\n'
    classes = "[classes]\na = 0\nb = 1\n"
    listed = "".join(
        f'[[frames]]\nname = "{k}"\npicture = "img/{k}.png"\nmasks = ["gt/{k}.png"]\n'
        for k in range(1, COUNT)
    )
    dataset = described(data, FOLLOW + classes + frame + listed)
    (outside,) = dataset.unlabelled["train"]
    with pytest.raises(DataError, match="link-leaves-dataset"):
        open_regular(outside.image, dataset.root)
    open_regular(dataset.splits["train"][0].image, dataset.root).close()


def test_links_that_go_in_circles_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = linked_folders(tmp_path)
    (tmp_path / "store/back").symlink_to(tmp_path / "store")
    (tmp_path / "store/up").symlink_to(tmp_path)
    (tmp_path / "store/in").symlink_to(data)
    (tmp_path / "truth/over").symlink_to(tmp_path / "store")
    (data / "again").symlink_to(data / "img", target_is_directory=True)
    folders = {Path(parent).relative_to(data).as_posix() for parent, _, _ in walk_links(data)}
    assert folders == {".", "img", "gt", "gt/over", "again"}
    (named,) = folders_not_entered(FollowedPath(data))
    assert (named.code, named.severity) == ("passed-over", "warning")
    assert {"img/up", "img/in", "img/back"} <= set(named.files)
    assert len(described(data, FOLLOW + PATTERNS).splits["train"]) == 8
    monkeypatch.setattr(files, "_MOST_FOLDERS", 3)
    with pytest.raises(DataError, match="too-many-folders"):
        open_dataset(data)


def test_a_followed_path_stays_one(tmp_path: Path) -> None:
    path = FollowedPath(tmp_path) / "a" / "b.png"
    for other in (path.parent, path.with_suffix(".jpg"), pickle.loads(pickle.dumps(path))):
        assert isinstance(other, FollowedPath)
    assert path == tmp_path / "a/b.png"


def test_links_that_were_not_restored_are_named(tmp_path: Path) -> None:
    for kind in ("img", "gt"):
        (tmp_path / kind).mkdir()
        for k in range(COUNT):
            (tmp_path / f"{kind}/{k}.png").write_text(f"../store/{k}.png")
    with pytest.raises(DataError) as refused:
        open_dataset(tmp_path)
    codes = [finding.code for finding in refused.value.findings]
    assert codes == ["layout", "link-not-restored"]


def of_patients(root: Path) -> Path:
    pairs(root / "data", "{g}/us/{k}.png", "{g}/seg/{k}.png")
    return root / "data"


def of_patients_described(root: Path) -> Path:
    data = of_patients(root)
    patterns = 'pictures = "{group}/us/{name}.png"\nmasks = "{group}/seg/{name}.png"\n'
    (data / "dataset.toml").write_text(patterns)
    (data / "p1/old").symlink_to(root)  # no file that a pattern matches can lie there
    return data


def of_coco(root: Path) -> Path:
    data = of_patients(root)
    pictures = sorted(data.glob("*/us/*.png"))
    for folder in data.glob("*/seg"):
        shutil.rmtree(folder)
    write_json(data / "annotations.json", coco([path.name for path in pictures]))
    return data


def of_labelme(root: Path) -> Path:
    data = of_patients(root)
    for path in data.glob("*/us/*.png"):
        shape = {"label": "tool", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
        write_json(path.with_suffix(".json"), {"shapes": [shape], "imagePath": path.name})
    return data


def coco(names: list[str]) -> dict[str, object]:
    outline = {"category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]}
    return {
        "images": [{"id": k, "file_name": name} for k, name in enumerate(names)],
        "annotations": [{"id": k, "image_id": k, **outline} for k in range(len(names))],
        "categories": [{"id": 1, "name": "tool"}],
    }


@pytest.mark.parametrize("write", [of_patients, of_patients_described, of_coco, of_labelme])
@pytest.mark.parametrize("fault", ["outside", "inside", "unreadable"])
def test_a_folder_that_is_not_entered_is_named(
    write: Callable[[Path], Path], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(tmp_path)
    if fault == "unreadable":
        scandir = os.scandir

        def refuse(path: str | Path = ".") -> object:
            if Path(path).name == "p2":
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
    else:
        place = {"outside": tmp_path / "elsewhere", "inside": data / ".store"}[fault]
        place.mkdir()
        (data / "p2").rename(place / "p2")
        (data / "p2").symlink_to(place / "p2")
    try:
        findings = open_dataset(data).findings
    except FaultyDatasetError as error:
        findings = error.dataset.findings
    code = {"outside": "link-leaves-dataset", "inside": "passed-over"}
    (named,) = [f for f in findings if f.code == code.get(fault, "unreadable-folder")]
    assert named.files == ("p2",)
    assert named.severity == ("warning" if fault == "inside" else "error")


def test_links_from_the_folder_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = linked_folders(tmp_path)
    (data / "dataset.toml").write_text(FOLLOW + PATTERNS)
    monkeypatch.chdir(data)
    dataset = open_dataset(Path())
    assert sum(map(len, dataset.splits.values())) == COUNT
