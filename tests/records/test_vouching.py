"""Records with their hashes: any change is found, and said with the file and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.records.vouching import (
    MANIFEST,
    damaged,
    discard_manifest,
    holds_run,
    mend_lines,
    parse_json,
    read_record,
    sealed,
    unsealed,
    write_manifest,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "head").mkdir()
    (tmp_path / "scores.json").write_text('{"dice": 0.5}\n')
    (tmp_path / "head" / "metrics.jsonl").write_text("{}\n")
    names = ("scores.json", "head/metrics.jsonl", "never-written.csv")
    write_manifest(tmp_path, names, {"last.json": b"{}"})
    (tmp_path / "last.json").write_text("{}")
    return tmp_path


def test_a_manifest_lists_what_is_there_and_what_comes_last(run: Path) -> None:
    files = json.loads((run / MANIFEST).read_text())["files"]
    assert list(files) == ["scores.json", "head/metrics.jsonl", "last.json"]
    for name in files:
        assert read_record(run, name) == (run / name).read_bytes()


@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_every_flip_of_a_file_or_of_its_manifest_is_found(place: int, bit: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        (run / "scores.json").write_text('{"dice": 0.5}\n')
        write_manifest(run, ["scores.json"], {})
        for name in ("scores.json", MANIFEST):
            content = (run / name).read_bytes()
            at = place % len(content)
            (run / name).write_bytes(
                content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
            )
            try:
                assert read_record(run, "scores.json") == b'{"dice": 0.5}\n'
                assert name == MANIFEST  # white space in it says nothing
                changed = json.loads((run / name).read_bytes())
                assert changed["files"] == json.loads(content)["files"]
            except DataError as error:
                assert error.findings[0].code == "bad-record"
                assert str(run) in error.findings[0].message
            (run / name).write_bytes(content)


def test_what_changed_is_named_with_what_to_do(run: Path) -> None:
    (run / "scores.json").write_text('{"dice": 0.6}\n')
    with pytest.raises(DataError, match=r"bad-record.*scores\.json.*SHA-256") as caught:
        read_record(run, "scores.json")
    assert "repeat the command" in caught.value.findings[0].hint
    (run / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"other\.json.*does not list it") as caught:
        read_record(run, "other.json")
    assert "delete" not in caught.value.findings[0].hint  # it may be the user's own
    with pytest.raises(DataError, match=r"unreadable.*gone\.json"):
        read_record(run, "gone.json")


def test_a_folder_without_a_manifest_is_of_an_older_version(run: Path) -> None:
    discard_manifest(run)
    (run / "scores.json").write_text("anything")
    assert read_record(run, "scores.json") == b"anything"
    discard_manifest(run)  # which it may be already


@pytest.mark.parametrize("content", ["", '{"sha256": 3}', '{"files": {}, "a": 1}', "{" * 3000])
def test_a_damaged_manifest_vouches_for_nothing(run: Path, content: str) -> None:
    (run / MANIFEST).write_text(content)
    with pytest.raises(DataError, match=rf"(?s)bad-record.*{MANIFEST}.*if headstart did not"):
        read_record(run, "scores.json")


@pytest.mark.parametrize("content", ["[]", '{"files": ["a.js"]}', '{"name": "app", "icons": []}'])
def test_a_manifest_of_another_program_is_left_alone(run: Path, content: str) -> None:
    (run / MANIFEST).write_text(content)
    (run / "scores.json").write_text("anything")
    assert read_record(run, "scores.json") == b"anything"
    assert not holds_run(run)


@pytest.mark.parametrize("name", ["config.json", MANIFEST])
def test_a_folder_of_a_run_is_recognised_whichever_bit_flips(run: Path, name: str) -> None:
    settings = {"schema": 1, "data": "d", "model": "unet", "recipe": {}, "threads": 1, "seed": 3}
    (run / "config.json").write_text(json.dumps(settings))
    if name == "config.json":  # as in a run of an older version
        discard_manifest(run)
    content = (run / name).read_bytes()
    for place in range(len(content)):
        flipped = bytes([content[place] ^ 1 << place % 8])
        (run / name).write_bytes(content[:place] + flipped + content[place + 1 :])
        assert holds_run(run), (run / name).read_bytes()


@pytest.mark.parametrize("config", [None, "[]", '{"model_type": "unet", "data": "d"}'])
def test_a_folder_of_another_program_is_no_run(tmp_path: Path, config: str | None) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert not holds_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "advised", "not_advised"),
    [
        ("scores.json", "delete the run's folder", "study"),
        ("study.json", "repeat the study's command", "delete"),
        ("ledger.jsonl", "remove this line, delete the folder of its run", "study's folder"),
        ("config.json", "begin the same study in another --out", "delete"),
    ],
)
def test_what_to_do_depends_on_the_record(
    tmp_path: Path, name: str, advised: str, not_advised: str
) -> None:
    (tmp_path / "ledger.jsonl").write_text("")
    (finding,) = damaged(tmp_path / name, "why", 7).findings
    assert f"{tmp_path / name}, line 7, is damaged: why" in finding.message
    assert advised in finding.hint and not_advised not in finding.hint


@settings(max_examples=40)
@given(record=st.dictionaries(st.text().filter(lambda name: name != "sha256"), VALUES))
def test_a_sealed_record_comes_back_from_json(record: dict) -> None:
    path = Path("a.json")
    assert unsealed(json.loads(json.dumps(sealed(record))), path) == record
    assert unsealed(record, path) == record  # as older versions wrote it
    with pytest.raises(DataError, match="bad-record"):
        unsealed({**sealed(record), "one more": 1}, path)


@pytest.mark.parametrize("content", [b"{", b"NaN", b'{"a": Infinity}', b"\xff", b"[" * 200_000])
def test_what_is_no_json_is_no_traceback(content: bytes) -> None:
    with pytest.raises(DataError, match=r"bad-record.*a\.json"):
        parse_json(content, Path("a.json"))


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b""), (b"1\n2\n", b"1\n2\n"), (b"1\n2", b"1\n"), (b"1", b""), (b"1\n\x00\x00", b"1\n")],
)
def test_a_torn_last_line_is_cut_off(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "timing.jsonl"
    mend_lines(path)
    path.write_bytes(before)
    mend_lines(path)
    assert path.read_bytes() == after
