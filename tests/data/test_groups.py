from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.groups import read_groups, split
from headstart.errors import DataError

NAMES = st.dictionaries(
    st.text(min_size=1, max_size=4), st.one_of(st.none(), st.sampled_from("abcdefgh")), min_size=3
)


@given(NAMES, st.randoms())
def test_split_is_whole_disjoint_and_of_names_alone(groups: dict[str, str | None], random) -> None:
    units = {(g is None, n if g is None else g) for n, g in groups.items()}
    if len(units) < 3:
        with pytest.raises(ValueError, match=f"^{len(units)} groups"):
            split(groups)
        return
    parts = split(groups)
    assert list(parts) == ["train", "validation", "test"]
    assert all(parts.values())
    assert sorted(name for part in parts.values() for name in part) == sorted(groups)
    places = {(groups[n], part) for part, names in parts.items() for n in names if groups[n]}
    assert len(places) == len({group for group, _ in places})
    shuffled = list(groups.items())
    random.shuffle(shuffled)
    again = split(dict(shuffled))
    assert {p: set(names) for p, names in again.items()} == {p: set(n) for p, n in parts.items()}


def test_a_name_called_as_a_group_is_does_not_make_the_order_count() -> None:
    groups = {**dict.fromkeys(["0", "$", "00", "41", "000", "e"]), "1": "e"}
    turned = dict(reversed(groups.items()))
    for part, names in split(groups).items():
        assert set(names) == set(split(turned)[part])


@given(st.integers(3, 400))
def test_shares_without_groups(count: int) -> None:
    parts = {n: len(p) for n, p in split(dict.fromkeys(map(str, range(count)))).items()}
    for name, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        assert abs(parts[name] - share * count) <= 1.3


def test_split_is_the_same_in_every_version() -> None:
    parts = split(dict.fromkeys(map(str, range(10))))
    assert {name: sorted(names) for name, names in parts.items()} == {
        "train": ["0", "1", "3", "4", "6", "8", "9"],
        "validation": ["5", "7"],
        "test": ["2"],
    }


def test_read_groups(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_bytes(b'\xef\xbb\xbfstem,hospital,group\r\na,1,"p, 1"\r\nb,1,p2\r\n')
    assert read_groups(path) == {"a": "p, 1", "b": "p2"}


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (b"", ["none", "stem", "group"]),
        (b"a,p1\nb,p2\n", ["['a', 'p1']", "stem", "group"]),
        (b"stem,group\na,p1\na,p2\n", ["a ", "line 3"]),
        (b"stem,group\na\n", ["line 2"]),
        (b"stem,group\n,p1\n", ["line 2"]),
        (b"stem,group\n\xff,p1\n", ["UTF-8", "byte 11"]),
        (b'stem,group\n"a,p1\n', ["CSV"]),
    ],
)
def test_groups_that_cannot_be_understood(tmp_path: Path, content: bytes, facts: list[str]) -> None:
    path = tmp_path / "groups.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_groups(path)
    (finding,) = caught.value.findings
    assert (finding.code, finding.files) == ("groups", ("groups.csv",))
    assert all(fact in finding.message for fact in facts)
