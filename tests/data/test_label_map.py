from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.label_map import (
    _ENTRY,
    BACKGROUNDS,
    IGNORE,
    LabelMap,
    _parse,
    label_map_of,
    read_label_map,
)
from headstart.errors import DataError

LEVELS = st.lists(st.integers(0, 255), min_size=2, max_size=256, unique=True).map(sorted)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "mapping.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@given(LEVELS, st.integers(0, 2**32 - 1))
def test_indices_and_greys_are_inverse(levels: list[int], seed: int) -> None:
    label_map = LabelMap(tuple(f"c{level}" for level in levels), tuple(levels))
    grey = np.random.default_rng(seed).choice(np.array(levels, np.uint8), (4, 5))
    indices = label_map.to_indices(grey)
    assert np.array_equal(label_map.to_greys(indices), grey)
    assert [label_map.greys[i] for i in indices.ravel()] == grey.ravel().tolist()


@given(LEVELS, st.integers(0, 255))
def test_unknown_level_is_told(levels: list[int], level: int) -> None:
    label_map = LabelMap(tuple(f"c{level}" for level in levels), tuple(levels))
    grey = np.full((2, 2), level, np.uint8)
    if level in levels:
        assert label_map.unknown_levels(grey) == ()
    else:
        assert label_map.unknown_levels(grey) == (level,)
        with pytest.raises(ValueError, match=str(level)):
            label_map.to_indices(grey)


def test_index_that_is_no_class() -> None:
    with pytest.raises(ValueError, match="index 2"):
        LabelMap(("a", "b"), (0, 1)).to_greys(np.full((1, 1), 2, np.uint8))


@pytest.mark.parametrize(
    ("names", "greys"),
    [(("a",), (0, 1)), (("a", "a"), (0, 1)), (("a", "b", "c"), (0, 2, 1)), (("a", "b"), (0, 256))],
)
def test_label_map_refuses_nonsense(names: tuple[str, ...], greys: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        LabelMap(names, greys)


def test_classes_are_sorted_by_level(tmp_path: Path) -> None:
    label_map, findings = read_label_map(written(tmp_path, '{"tool": 32, "tissue": 0}'))
    assert label_map == LabelMap(("tissue", "tool"), (0, 32))
    assert findings == ()


def test_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf" + b'{"a": 0, "b": 1}')
    assert read_label_map(path)[0].names == ("a", "b")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{\n"a": 0\n"b": 1\n}', "line 2"),
        ('{"a": 0 "b": 1}', "line 1"),
        ('{\n"a": 0,\n"b": 1\n"c": 2\n\n"d": 3}', "lines 3, 4"),
        ('{"Tool 1 ": 0\r\n"say \\"5\\" ": 1}', "line 1"),
    ],
)
def test_missing_commas_are_understood_and_named(tmp_path: Path, text: str, lines: str) -> None:
    label_map, (finding,) = read_label_map(written(tmp_path, text))
    assert label_map.greys == tuple(range(len(label_map.greys)))
    assert finding.code == "label-map-commas"
    assert finding.severity == "warning"
    assert f" {lines} of mapping.json" in finding.message


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=100).filter(
            lambda n: n.strip() and n.isprintable() and n != "ignore"
        ),
        st.integers(0, 255),
        min_size=2,
    ).filter(
        lambda d: len(set(d.values())) == len(d) and not {*BACKGROUNDS} & {*map(str.lower, d)}
    ),
    st.sampled_from([None, 1]),
)
def test_any_map_without_commas_reads_as_with_them(
    tmp_path_factory: pytest.TempPathFactory, mapping: dict[str, int], indent: int | None
) -> None:
    folder = tmp_path_factory.mktemp("map")
    whole = read_label_map(written(folder, json.dumps(mapping)))[0]
    assert dict(zip(whole.names, whole.greys, strict=True)) == mapping
    entries = [f"{json.dumps(name)}: {grey}" for name, grey in mapping.items()]
    separator = " " if indent is None else "\n "
    repaired, findings = read_label_map(written(folder, "{" + separator.join(entries) + "}"))
    assert repaired == whole
    assert [f.code for f in findings] == ["label-map-commas"]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ('{"a": 0, "a": 1, "b": 2}', "twice: a"),
        ('{"a": 0, "b": true}', "colours: b (true)"),
        ('{"a": 0, "b": 32.0}', "colours: b (32.0)"),
        ('{"a": 0, "b": "32"}', "colours: b (text)"),
        ('{"a": 0, "b": null}', "colours: b (null)"),
        ('{"a": 0, "b": [1]}', "colours: b (array)"),
        ('{"a": 0, "b": {"c": 1}}', "colours: b (object)"),
        ('{"a": 0, "b": NaN}', "colours: b (NaN)"),
        ('{"a": 0, "b": 1e999}', "colours: b (Infinity)"),
        ('{"a": 0, "b": -1}', "0 to 255: b (-1)"),
        ('{"a": 0, "b": 256}', "0 to 255: b (256)"),
        ('{"a": 0, "b": 1' + "0" * 4000 + "}", "0 to 255: b (10000"),
        ('{"a": 0, "b": 1' + "0" * 5000 + "}", "valid JSON"),
        ('{"a": 7, "b": 7}', "classes: 7"),
        ("{}", "0 classes"),
        ('{"a": 0}', "1 classes"),
        ("[0, 1]", "JSON object"),
        ("7", "JSON object"),
        ("", "valid JSON"),
        ('{"a": 0, "b"}', "valid JSON"),
        ('{"a": 0, "b": 1', "valid JSON"),
        ('{"": 0, "b": 1}', "names: ''"),
        ('{" ": 0, "b": 1}', "names: ' '"),
        ('{"a\\u001b[31m": 0, "b": 1}', "names: 'a\\x1b[31m'"),
        ('{"a\\ud800": 0, "b": 1}', "names: 'a\\ud800'"),
        (json.dumps({"n" * 101: 0, "b": 1}), "names: 'nnn"),
        ('{"caf\xe9": 0, "b": 1}'.encode("latin-1"), "UTF-8"),
        ('{"a": 0, "b": 1}'.encode("utf-16"), "UTF-8"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested"),
        ("[" * 100_000, "nested"),
        (" " * (1 << 20) + '{"a": 0, "b": 1}', f"at most {1 << 20:,}"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    tmp_path: Path, content: str | bytes, fact: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_label_map(written(tmp_path, content))
    (finding,) = caught.value.findings
    assert fact in finding.message
    assert finding.files == ("mapping.json",)
    assert finding.code == ("file-too-large" if len(content) > 1 << 20 else "label-map")
    assert finding.hint
    assert caught.value.exit_status == 65
    assert len(str(caught.value)) < 1000


class _Counted(str):
    """Text that counts what is done with it."""

    scanned = compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        _Counted.compared += 1
        return str.__eq__(self, other)

    def count(self, part: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        end = len(self) if end is None else end
        _Counted.scanned += end - start
        return str.count(self, part, start, end)


def test_the_work_grows_with_the_length_of_the_file_not_with_its_square() -> None:
    entries = 2000
    text = _Counted("{" + '"a" : 1\n' * entries + "}")
    _Counted.scanned = _Counted.compared = 0
    pairs, lines = _parse(text, "mapping.json")
    assert (len(pairs), lines) == (entries, list(range(1, entries)))
    assert _Counted.scanned <= len(text)
    with pytest.raises(DataError, match="twice: a"):
        label_map_of([(_Counted("".join("a")), 1) for _ in range(entries)], "mapping.json")
    assert _Counted.compared < 50 * entries


def test_a_string_without_an_end_is_looked_at_once() -> None:
    texts = ('"' + '\\"' * 3000, '"' + "\\\n" * 3000, '"a\\')
    for text in texts:
        assert [match.span() for match in _ENTRY.finditer(text)] == [(0, len(text))]


def test_all_problems_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_label_map(written(tmp_path, '{"a": 0, "a": 1, "b": 1.5, "c": 300, "": 0}'))
    assert [f.code for f in caught.value.findings] == ["label-map"] * 5


def test_the_assignments_own_file(real: Path) -> None:
    label_map, (finding,) = read_label_map(real / "mapping.json")
    assert label_map.greys == tuple(range(0, 256, 32))
    assert label_map.names[0] == "Background_Tissue"
    assert "lines 2, 3, 4, 5, 6, 7, 8" in finding.message


def test_a_class_called_background_is_the_background_whatever_its_level(tmp_path: Path) -> None:
    label_map, _ = read_label_map(written(tmp_path, '{"cell": 0, "Background": 255, "rim": 7}'))
    assert (label_map.names, label_map.greys) == (("Background", "cell", "rim"), (255, 0, 7))
    mask = np.array([[255, 0, 7]], np.uint8)
    assert label_map.to_indices(mask).tolist() == [[0, 1, 2]]
    with pytest.raises(DataError, match="background: bg, void"):
        read_label_map(written(tmp_path, '{"bg": 0, "void": 1, "cell": 2}'))


def test_ignored_levels_are_no_class(tmp_path: Path) -> None:
    label_map, _ = read_label_map(written(tmp_path, '{"a": 0, "b": 1, "ignore": [255, 9]}'))
    assert (label_map.names, label_map.ignore) == (("a", "b"), (9, 255))
    indices = label_map.to_indices(np.array([[0, 1, 9, 255]], np.uint8))
    assert indices.tolist() == [[0, 1, IGNORE, IGNORE]]
    with pytest.raises(DataError, match="several classes: 1"):
        read_label_map(written(tmp_path, '{"a": 0, "b": 1, "ignore": 1}'))


def test_colours(tmp_path: Path) -> None:
    text = '{"tool": [255, 0, 0], "sky": "#0000ff", "none": [0, 0, 0], "ignore": "#e0e0c0"}'
    label_map, _ = read_label_map(written(tmp_path, text))
    assert label_map.names == ("none", "tool", "sky") and label_map.greys == (0, 1, 2)
    assert label_map.colours == ((0, 0, 0), (255, 0, 0), (0, 0, 255))
    assert label_map.ignored_colours == ((224, 224, 192),)
    with pytest.raises(DataError, match="some are colours"):
        read_label_map(written(tmp_path, '{"a": 0, "b": "#ff0000"}'))
