"""Fashion-MNIST's files: what they hold, what is said of damaged ones, and how they are fetched."""

from __future__ import annotations

import gc
import gzip
import hashlib
import re
import socket
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest

from headstart.data.layouts import idx as idx_module
from headstart.data.layouts.idx import FILES, fetch_fashion_mnist, find_idx, read_idx, unread_idx
from headstart.errors import DataError, DiskError, Finding
from tests.data.pictures_of_classes import four_files, idx, images, labels

PICTURES, LABELS = FILES["train"]
SHARED = Path(__file__).parents[4] / "shared" / "data" / "fashion-mnist"


def faults(root: Path) -> dict[str, Finding]:
    with pytest.raises(DataError) as caught:
        read_idx(root)
    assert caught.value.exit_status == 65
    found = {finding.code: finding for finding in caught.value.findings}
    assert len(found) == len(caught.value.findings), "one finding per kind"
    assert all(finding.message and finding.hint for finding in found.values())
    return found


@pytest.mark.parametrize("zipped", [False, True])
def test_reads_what_was_written(tmp_path: Path, zipped: bool) -> None:
    pixels = np.arange(4 * 3 * 2, dtype=np.uint8).reshape(4, 3, 2)
    root = four_files(
        tmp_path, zipped, train_images=idx(2051, pixels), train_labels=labels([2, 0, 2, 0]),
        test_images=idx(2051, pixels[:2] + 100), test_labels=labels([0, 2]),
    )  # fmt: skip
    names, splits = read_idx(root)
    assert names == ("0", "1", "2")  # a class between may have no picture
    assert list(splits) == ["train", "test"]
    assert np.array_equal(splits["train"][0], pixels)
    assert splits["train"][1].tolist() == [2, 0, 2, 0]
    assert np.array_equal(splits["test"][0], pixels[:2] + 100)
    assert splits["test"][1].tolist() == [0, 2]
    assert all(its.flags.writeable for its, _ in splits.values()), "torch warns of others"


def test_a_plain_file_comes_before_a_gzipped_one(tmp_path: Path) -> None:
    four_files(four_files(tmp_path, zipped=True))
    assert all(path.suffix == "" for path in find_idx(tmp_path).values())
    assert find_idx(tmp_path / "nowhere") == {}
    (told,) = unread_idx(tmp_path)
    assert told.severity == "warning" and len(told.files) == 4 and LABELS in told.files
    (tmp_path / f"{LABELS}.gz").unlink()
    assert LABELS not in unread_idx(tmp_path)[0].files
    assert unread_idx(four_files(tmp_path / "plain")) == ()


def test_fashion_mnists_classes_are_named() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"Fashion-MNIST is not at {SHARED}; it is not part of the project")
    names, splits = read_idx(SHARED)
    assert names[0] == "T-shirt/top" and names[9] == "Ankle boot" and len(names) == 10
    assert splits["train"][0].shape == (60000, 28, 28) and splits["test"][0].shape == (
        10000,
        28,
        28,
    )
    assert np.bincount(splits["train"][1]).tolist() == [6000] * 10


@pytest.mark.parametrize("zipped", [False, True])
def test_every_damaged_file_is_named(tmp_path: Path, zipped: bool) -> None:
    root = four_files(
        tmp_path, zipped,
        train_images=images(40)[:-7], test_images=images(8) + b"\0",
        train_labels=labels([1, 2])[:6],
    )  # fmt: skip
    found = faults(root)
    assert set(found) == {"idx-truncated"}
    fault = found["idx-truncated"]
    ending = ".gz" if zipped else ""
    assert set(fault.files) == {f"{PICTURES}{ending}", f"{LABELS}{ending}",
                                f"{FILES['test'][0]}{ending}"}  # fmt: skip
    assert re.search("1,200.*1,193", fault.message)
    assert re.search("240.*more", fault.message)
    assert "6 bytes" in fault.message


def test_another_kind_of_file(tmp_path: Path) -> None:
    swapped = four_files(
        tmp_path / "swapped", train_images=labels(np.arange(40) % 4), train_labels=images(40)
    )
    message = faults(swapped)["idx-magic"].message
    assert "begins with 2049 (labels), expected 2051 (pictures)" in message
    assert "begins with 2051 (pictures), expected 2049 (labels)" in message
    page = four_files(tmp_path / "page", test_labels=b"<!doctype html><html>404</html>")
    assert "unknown" in faults(page)["idx-magic"].message
    unnamed = four_files(tmp_path / "unnamed", test_labels=gzip.compress(labels([0, 1])))
    assert ".gz" in faults(unnamed)["idx-magic"].message


def test_a_header_that_promises_too_much_or_nothing(tmp_path: Path) -> None:
    huge = np.array([2051, 2**32 - 1, 2**32 - 1, 2**32 - 1], dtype=">u4").tobytes()
    found = faults(four_files(tmp_path, train_images=huge, test_images=images(0)))
    assert "79,228,162,458,924,105,385,300,197,375" in found["idx-size"].message
    assert " 0 values" in found["idx-size"].message


@pytest.mark.parametrize("damage", ["cut", "flipped", "trailing", "no gzip", "empty"])
def test_a_damaged_gzip(tmp_path: Path, damage: str) -> None:
    path = four_files(tmp_path, zipped=True) / f"{PICTURES}.gz"
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes({
        "cut": content[:middle],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "trailing": content + b"more",
        "no gzip": images(40),
        "empty": b"",
    }[damage])  # fmt: skip
    found = faults(tmp_path)
    assert set(found) <= {"idx-damaged", "idx-truncated"}
    assert next(iter(found.values())).files == (f"{PICTURES}.gz",)


def test_pictures_and_labels_of_different_number(tmp_path: Path) -> None:
    found = faults(four_files(tmp_path, train_images=images(39), test_images=images(7)))
    assert set(found) == {"idx-count"}
    assert "the train split has 39 pictures, but 40 labels" in found["idx-count"].message
    assert "the test split has 7 pictures, but 8 labels" in found["idx-count"].message
    assert set(found["idx-count"].files) == {n for pair in FILES.values() for n in pair}


def test_missing_files_are_named_beside_what_else_is_wrong(tmp_path: Path) -> None:
    root = four_files(tmp_path, test_images=b"")
    (root / PICTURES).unlink()
    (root / LABELS).unlink()
    found = faults(root)
    assert found["idx-missing"].files == (PICTURES, LABELS)
    assert found["idx-truncated"].files == (FILES["test"][0],)


def test_too_little_to_learn(tmp_path: Path) -> None:
    one = faults(four_files(tmp_path / "one", train_labels=labels([3] * 40)))
    assert "all training labels are 3" in one["too-few-classes"].message
    few = faults(four_files(tmp_path / "few", train_labels=labels([0, 1, 2] * 13 + [3])))
    assert "[3]" in few["too-few-pictures"].message
    strange = faults(four_files(tmp_path / "strange", test_labels=labels([0, 1, 2, 9] * 2)))
    assert set(strange) == {"unknown-class"} and "[9]" in strange["unknown-class"].message


def test_a_folder_of_the_files_name(tmp_path: Path) -> None:
    (four_files(tmp_path) / PICTURES).unlink()
    (tmp_path / PICTURES).mkdir()
    assert set(faults(tmp_path)) == {"not-a-file"}


# Fetching


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder, says nothing, and keeps what was asked for."""

    def __init__(self, *args: object, asked: list[str], **options: object) -> None:
        self.asked = asked
        super().__init__(*args, **options)

    def log_request(self, *_: object) -> None:
        self.asked.append(self.path.strip("/"))

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Published:
    """What a server of ours gives; its content at first is what counts as published."""

    folder: Path
    cache: Path
    asked: list[str]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    folder, asked = four_files(tmp_path / "published", zipped=True), []
    hashes = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    handler = partial(_Handler, directory=folder, asked=asked)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(idx_module, "_PUBLISHED", hashes)
        monkeypatch.setattr(idx_module, "_URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield Published(folder, tmp_path / "cache" / "fashion-mnist", asked)
        server.shutdown()
        thread.join()


def refused() -> Finding:
    with pytest.raises(DataError) as caught:
        fetch_fashion_mnist()
    (finding,) = caught.value.findings
    assert caught.value.exit_status == 65 and finding.message and finding.hint
    return finding


def test_fetches_once_what_was_published(published: Published) -> None:
    folder = fetch_fashion_mnist()
    assert folder == published.cache
    for path in published.folder.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()
    assert len(published.asked) == 4 and read_idx(folder)[0] == ("0", "1", "2", "3")
    assert fetch_fashion_mnist() == folder
    assert len(published.asked) == 4, "what is there and whole is not fetched again"


@pytest.mark.parametrize("damage", ["cut", "another", "page"])
def test_what_was_not_published_is_not_kept(published: Published, damage: str) -> None:
    path = published.folder / f"{PICTURES}.gz"
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-1], "another": content[:-1] + b"x",
                      "page": b"<html>sign in</html>"}[damage])  # fmt: skip
    finding = refused()
    assert finding.code == "bad-download"
    assert path.name in finding.message and "SHA-256" in finding.message
    whole = {p.name: p.read_bytes() for p in published.folder.iterdir() if p != path}
    left = {p.name: p.read_bytes() for p in published.cache.iterdir()}
    assert left.items() <= whole.items(), "nothing is left of it, under no name"
    path.write_bytes(content)
    assert read_idx(fetch_fashion_mnist())[0] == ("0", "1", "2", "3")


def test_what_was_damaged_since_is_fetched_again(published: Published) -> None:
    kept = fetch_fashion_mnist() / f"{LABELS}.gz"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:20])
    fetch_fashion_mnist()
    assert kept.read_bytes() == whole
    assert published.asked[4:] == [f"{LABELS}.gz"]


def test_no_server_says_what_to_put_where(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, and nobody listens
        monkeypatch.setattr(idx_module, "_URL", f"http://127.0.0.1:{free.getsockname()[1]}/")
        finding = refused()
    assert finding.code == "no-network" and "127.0.0.1" in finding.message
    assert all(name in finding.hint for name in idx_module._PUBLISHED)
    assert not list(published.cache.iterdir())


def test_a_file_that_is_gone_from_the_server(published: Published) -> None:
    (published.folder / f"{PICTURES}.gz").unlink()
    finding = refused()
    with warnings.catch_warnings():  # pooch leaves the refusal's connection to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert finding.code == "no-network" and "HTTPError" in finding.message


def test_a_cache_that_cannot_be_written(published: Published) -> None:
    published.cache.parent.write_text("a file where the folder should be")
    with pytest.raises(DiskError, match="cannot write Fashion-MNIST"):
        fetch_fashion_mnist()


def test_the_published_hashes_are_of_the_four_files() -> None:
    names = {f"{name}.gz" for pair in FILES.values() for name in pair}
    assert set(idx_module._PUBLISHED) == names
    assert idx_module._URL.startswith("https://")
    if SHARED.is_dir():
        for name, sha256 in idx_module._PUBLISHED.items():
            assert hashlib.sha256((SHARED / name).read_bytes()).hexdigest() == sha256
