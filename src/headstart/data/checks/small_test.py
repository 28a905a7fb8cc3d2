"""Says where a test split is too small for a verdict, and folds would do better."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.errors import Finding

ENOUGH = 20
"""Test frames (groups, if known) below which a study would rarely show a difference that matters:
docs/decisions/0031-folds.md."""


def small_test_split(
    groups: Sequence[str | None], labelled: int, things: str = "frames"
) -> list[Finding]:
    """Return a finding if the test split has few pictures, or few groups.

    Args:
        groups: the group of each test picture.
        labelled: number of labelled pictures of all splits.
        things: the word for pictures.
    """
    units = len({(i,) if group is None else group for i, group in enumerate(groups)})
    if not groups or units >= ENOUGH:
        return []
    kind = "groups" if any(groups) else things
    if units == 1:
        kind = kind.removesuffix("s")
    message = f"the test split has only {units} {kind}, often too few to tell two starts apart"
    hint = (
        f"study and train with --folds 5: each of the {labelled} labelled {things} is then a test "
        "picture once for each seed. It takes five times as long"
    )
    return [Finding("small-test-split", "info", message, hint)]
