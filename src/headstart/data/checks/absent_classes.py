"""Classes that a split lacks, or that few test frames show."""

from __future__ import annotations

from collections.abc import Mapping

from headstart.errors import Finding

_FEW = 5  # frames; the score of a class with fewer is hardly meaningful
_SHOWN = 8  # names in a message
_WITHOUT = {
    "train": "a class that train lacks is not learned",
    "validation": "a class that validation lacks does not count when the best epoch is chosen",
    "test": "a class that test lacks has no score",
}


def absent_classes(
    shows: Mapping[str, Mapping[str, int]], *, grouped: bool, drawn: bool
) -> list[Finding]:
    """Return warnings about classes that no frame of a split shows, or no frame at all.

    Args:
        shows: the number of frames that show each class, background first, by split; without
            splits of which no frame can be read.
        grouped: whether the groups of frames are known.
        drawn: whether headstart drew the splits.
    """
    names = _names(shows)
    # a background that no pixel shows was perhaps never declared: it is in every label map
    nowhere = [name for name in names if not any(of[name] for of in shows.values())]
    lacks = {
        split: [name for name, count in of.items() if not count and name not in nowhere]
        for split, of in shows.items()
    }
    lacks = {split: missing for split, missing in lacks.items() if missing}
    findings = _never_drawn([name for name in nowhere if name in names[1:]])
    if not lacks:
        return findings
    said, hints = [], []
    for split, missing in lacks.items():
        listed = (f"{name} ({_elsewhere(shows, name)})" for name in missing)
        said.append(f"{split} has no {', '.join(listed)}")
        hints.append(_WITHOUT[split])
    things = "whole groups (videos or patients)" if grouped else "frames"
    how = f"move {things} that show the class to that split"
    if drawn:
        how += (
            ". headstart drew the splits; to choose them, make the folders train, validation "
            "and test, or list the frames of each under [split] in dataset.toml"
        )
    hints.append(how)
    absent = Finding("class-absent", "warning", "; ".join(said), "; ".join(hints))
    return [*findings, absent]


def _never_drawn(names: list[str]) -> list[Finding]:
    if not names:
        return []
    listed = ", ".join(names[:_SHOWN]) + (
        f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else ""
    )
    message = f"classes that are declared, but that no frame of any split shows: {listed}"
    hint = (
        "annotate them, or remove them where they are declared (mapping.json, dataset.toml, "
        "data.yaml, COCO's categories); nothing is learned about them, and they have no score"
    )
    return [Finding("class-never-drawn", "warning", message, hint)]


def rare_in_test(shows: Mapping[str, int], frames: int) -> list[Finding]:
    """Return an info about classes that few test frames show.

    Args:
        shows: the number of test frames that show each class.
        frames: the number of test frames.
    """
    few = [f"{name} ({count})" for name, count in shows.items() if 0 < count < _FEW]
    if not few:
        return []
    message = f"classes in fewer than {_FEW} of the {frames} test frames: {', '.join(few)}"
    if frames < _FEW:
        number = "is only 1 test frame" if frames == 1 else f"are only {frames} test frames"
        message = f"there {number}. Number of frames that show each class: {', '.join(few)}"
    hint = "read their scores with caution, or add frames"
    return [Finding("few-test-frames", "info", message, hint)]


def _names(shows: Mapping[str, Mapping[str, int]]) -> list[str]:
    return [*next(iter(shows.values()), {})]


def _elsewhere(shows: Mapping[str, Mapping[str, int]], name: str) -> str:
    """Say how many frames of other splits show a class."""
    counts = [f"{of[name]} in {split}" for split, of in shows.items() if of[name]]
    return f"frames with it: {', '.join(counts)}"
