"""Says where a test split is too small for a verdict, and folds would do better."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.errors import Finding

ENOUGH = 20
"""Test frames (groups, if known) below which a study would rarely show a difference that matters:
docs/decisions/0031-folds.md."""


_FOLDS = 5
_FEWEST = 3  # groups that can be cross-validated: one to test, one to validate, one to train


def small_test_split(
    tested: Sequence[str | None], labelled: Sequence[str | None], things: str = "frames"
) -> list[Finding]:
    """Return a finding if the test split has few pictures, or few groups.

    Args:
        tested: the group of each test picture.
        labelled: the group of each labelled picture of all splits.
        things: the word for pictures.
    """
    units, of_all = _units(tested), _units(labelled)
    if not tested or units >= ENOUGH:
        return []
    kind = "groups" if any(tested) else things
    few = f"{units} {kind.removesuffix('s') if units == 1 else kind}"
    message = f"the test split has only {few}, often too few to tell two starts apart"
    folds = min(_FOLDS, of_all)
    hint = (
        f"study and train with --folds {folds}: each of the {len(labelled)} labelled {things} is "
        f"then a test picture once for each seed. It takes {folds} times as long"
    )
    if of_all < _FEWEST:
        hint = f"label more groups: there are {of_all}, too few for --folds"
    return [Finding("small-test-split", "info", message, hint)]


def _units(groups: Sequence[str | None]) -> int:
    """Return the number of groups; a picture without one is a group of its own."""
    return len({(i,) if group is None else group for i, group in enumerate(groups)})
