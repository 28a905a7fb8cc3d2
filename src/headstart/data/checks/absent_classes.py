"""Classes that a split lacks, or that few test frames show."""

from __future__ import annotations

from collections.abc import Mapping

from headstart.errors import Finding

_FEW = 5  # frames; the score of a class with fewer is hardly meaningful
_WITHOUT = {
    "train": "a class that train lacks is not learned",
    "validation": "a class that validation lacks does not count when the best epoch is chosen",
    "test": "a class that test lacks has no score",
}


def absent_classes(
    shows: Mapping[str, Mapping[str, int]], *, grouped: bool, drawn: bool
) -> list[Finding]:
    """Return a warning about classes that no frame of a split shows.

    Args:
        shows: the number of frames that show each class, by split; without splits of which no
            frame can be read.
        grouped: whether the groups of frames are known.
        drawn: whether headstart drew the splits.
    """
    nowhere = [name for name in _names(shows) if not any(of[name] for of in shows.values())]
    lacks = {
        split: [name for name, count in of.items() if not count and name not in nowhere]
        for split, of in shows.items()
    }
    lacks = {split: names for split, names in lacks.items() if names}
    if not nowhere and not lacks:
        return []
    said, hints = [], []
    if nowhere:
        said.append(f"no frame shows {', '.join(nowhere)}")
        hints.append("check the values of classes that no frame shows, or remove the classes")
    for split, names in lacks.items():
        listed = (f"{name} ({_elsewhere(shows, name)})" for name in names)
        said.append(f"{split} has no {', '.join(listed)}")
        hints.append(_WITHOUT[split])
    if lacks:
        things = "whole groups (videos or patients)" if grouped else "frames"
        how = f"move {things} that show the class to that split"
        if drawn:
            how += (
                ". headstart drew the splits; to choose them, make the folders train, validation "
                "and test, or list the frames of each under [split] in dataset.toml"
            )
        hints.append(how)
    return [Finding("class-absent", "warning", "; ".join(said), "; ".join(hints))]


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
