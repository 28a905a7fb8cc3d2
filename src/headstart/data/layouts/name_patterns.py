"""What names of files and folders say: the split, and which part of a name is the same in all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile

SPLIT_WORDS = {
    "train": ("train", "training", "trainset"),
    "validation": ("validation", "valid", "val", "validate", "valset", "dev"),
    "test": ("test", "testing", "testset"),
}
"""Usual names of the splits, in any case."""

_SPLITS = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_SHORT = {"Tr": "train", "Va": "validation", "Vd": "validation", "Ts": "test"}
_VERSION = re.compile(r"[vV]\d+")
_SHARE = 0.9  # of the names that have an affix; the others may be strays


def usual_split(name: str) -> str | None:
    """Return the split that a folder, list or subset with a usual name means; None if none.

    >>> usual_split("Valid"), usual_split("train2017"), usual_split("default")
    ('validation', 'train', None)
    """
    return _SPLITS.get(re.sub("[-_ ]?[0-9]*$", "", name.lower()))


def split_of(name: str, siblings: Collection[str] = ()) -> tuple[str, str] | None:
    """Return the split that a folder's name means and the rest of the name; None if none.

    Args:
        name: the folder's name.
        siblings: names of the folders beside it. A name such as ``trainannot``, which only begins
            with a split's name, needs a sibling ``train``.

    >>> split_of("Training"), split_of("imagesTr"), split_of("val_masks"), split_of("valley")
    (('train', ''), ('train', 'images'), ('validation', 'masks'), None)
    >>> split_of("trainannot", ["train", "trainannot"])
    ('train', 'annot')
    """
    if split := usual_split(name):
        return split, ""
    if name[-2:] in _SHORT and name[:-2][-1:].islower():
        return _SHORT[name[-2:]], name[:-2]
    words = re.split(r"[_\-. ]+", name)
    for position, word in enumerate(words):
        if split := _SPLITS.get(word.lower()):
            return split, "_".join(words[:position] + words[position + 1 :])
    lower = {sibling.lower() for sibling in siblings}
    for word, split in sorted(_SPLITS.items(), key=lambda item: -len(item[0])):
        if word in lower and name.lower().startswith(word):
            return split, name[len(word) :]
    return None


def splits_of(siblings: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return the split and the rest of the name of the folders beside each other that mean one.

    As [`split_of`][] for each, but a version is no part of a name's rest where it alone tells the
    folders of different splits apart, and folders of one split stay apart by their whole names.

    >>> splits_of(["Training_Data", "Test_v2_Data", "notes"])
    {'Training_Data': ('train', 'Data'), 'Test_v2_Data': ('test', 'Data')}
    >>> splits_of(["Test_Data", "Test_v2_Data"])["Test_v2_Data"]  # two folders of one split
    ('test', 'v2_Data')
    >>> splits_of(["train1", "train2", "test"])
    {'train1': ('train', 'train1'), 'train2': ('train', 'train2'), 'test': ('test', '')}
    """
    words = [name for name in siblings if name.lower() in _SPLITS]  # split_of needs no others
    found = {name: of for name in siblings if (of := split_of(name, words)) is not None}
    alike: dict[str, list[str]] = {}
    for name, (_, rest) in found.items():
        alike.setdefault(_without_version(rest), []).append(name)
    for rest, names in alike.items():
        if 1 < len(names) == len({found[name][0] for name in names}):
            found |= {name: (found[name][0], rest) for name in names}
    counts = Counter(found.values())
    return {name: (of[0], name) if counts[of] > 1 else of for name, of in found.items()}


def _without_version(name: str) -> str:
    """Return a name without words such as ``v2``.

    >>> _without_version("ISIC_2017_v2_Data"), _without_version("v2")
    ('ISIC_2017_Data', '')
    """
    return "_".join(word for word in name.split("_") if not _VERSION.fullmatch(word))


def split_word(name: str, split: str) -> str:
    """Return the word in a folder's name that means a split.

    >>> split_word("trainannot", "train"), split_word("labelsTs", "test")
    ('train', 'Ts')
    """
    for word in sorted(SPLIT_WORDS[split], key=len, reverse=True):
        if (position := name.lower().find(word)) >= 0:
            return name[position : position + len(word)]
    return name[-2:]


def constant_affixes(stems: Collection[str]) -> tuple[str, str]:
    """Return the prefix and the suffix that nearly all stems share.

    A number is never cut: the prefix of ``img_01`` and ``img_02`` is ``img_``.

    >>> constant_affixes(["21_training", "22_training"])
    ('', '_training')
    >>> constant_affixes(["img_01", "img_02"])
    ('img_', '')
    """
    if len(stems) < 2:
        return "", ""
    suffix = _common_end(stems)
    prefix = _common_end([stem[::-1] for stem in stems])[::-1]
    shortest = min(len(stem) for stem in stems)
    return (prefix, suffix) if len(prefix) + len(suffix) < shortest else ("", suffix)


def _common_end(stems: Collection[str]) -> str:
    """Return the longest end that nine in ten stems share and that cuts no number."""
    needed = _SHARE * len(stems)
    first, last = min(reversed_stems := [stem[::-1] for stem in stems]), max(reversed_stems)
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    end = "".join(a for a, _ in pairs)[::-1]
    if not end:  # strays may hide it: try the ends of the most frequent kind
        ends = Counter(tail for stem in stems for tail in tails(stem))
        frequent = [tail for tail, count in ends.items() if count >= needed]
        end = max(frequent, key=len, default="")
    while end and any(_cuts_number(stem, end) for stem in stems if stem.endswith(end)):
        end = end[1:]
    return end


def _cuts_number(stem: str, end: str) -> bool:
    return len(end) < len(stem) and end[:1].isdigit() and stem[-len(end) - 1].isdigit()


def tails(stem: str) -> Iterable[str]:
    """Return the ends of a stem that begin with a separator, the shortest first.

    >>> list(tails("case 7_mask_2"))
    ['_2', '_mask_2', ' 7_mask_2']
    """
    for match in reversed(list(re.finditer(r"[_\-. (]", stem))):
        if match.start():
            yield stem[match.start() :]


def without_affixes(stem: str, affixes: tuple[str, str]) -> str:
    """Return a stem without a prefix and a suffix, where it has them.

    >>> without_affixes("21_manual1", ("", "_manual1"))
    '21'
    """
    prefix, suffix = affixes
    if len(stem) > len(prefix) + len(suffix):
        stem = stem.removeprefix(prefix).removesuffix(suffix)
    return stem


def outermost_difference(folders: Collection[Sequence[str]]) -> int:
    """Return the first level at which paths differ.

    >>> outermost_difference([("data", "p1", "day 1"), ("data", "p2", "day 1")])
    1
    """
    same = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    return sum(1 for _ in same)


def ordinal_free(name: str) -> str:
    """Return a name without numbers and ordinals, to tell whether two names differ only in them.

    >>> ordinal_free("1st_manual") == ordinal_free("2nd_manual")
    True
    """
    return re.sub(r"\d+(st|nd|rd|th)?", "", name.lower()).strip("_-. ")
