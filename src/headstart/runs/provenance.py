"""What a run was made from, and what its scores therefore do not say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headstart.data.checks.leaks import Overlap
from headstart.data.pictures.duplicates import NEAR
from headstart.tasks.interface import CardFacts
from headstart.training.config import IMAGENET, PRETEXT_NAMES, SCRATCH, RunConfig


def not_said(
    config: RunConfig, facts: CardFacts, split: str, environment: Mapping[str, Any]
) -> Iterable[str]:
    """What the scores do not tell, a sentence each.

    Args:
        config: of the run.
        facts: what it was made from.
        split: that was scored.
        environment: content of its ``environment.json``.
    """
    for (of, among), its in facts.overlaps.items():
        yield _overlap(of, among, its, facts.things)
    if (words := _of_the_start(config, environment.get("start_pictures"), split)) is not None:
        yield words
    yield _groups(facts.groups, split)


def _overlap(of: str, among: str, its: Overlap, things: str) -> str:
    there = f"the {its.among} {among} {things}"
    if among == "training":
        there += " it learned from"
    words = f"{its.same or 'None'} of the {its.pictures} {of} {things} {_is(its.same)} also among "
    if its.near is None:
        return f"{words}{there}; near-duplicates were not looked for."
    near = f"{its.near or 'none'} {'has' if its.near < 2 else 'have'} a near-duplicate there"
    return f"{words}{there}; {near} (within {NEAR:g} grey levels)."


def _is(count: int) -> str:
    return "is" if count < 2 else "are"


def _of_the_start(config: RunConfig, pictures: Mapping[str, Any] | None, split: str) -> str | None:
    """Whether the start has seen what the run is scored on."""
    if config.start == SCRATCH:
        return None
    if config.start == IMAGENET:
        return "The start was trained on ImageNet; its pictures were not compared with these."
    if pictures is None or not pictures["same_data"] or split not in pictures["compared_with"]:
        return f"Which pictures the start has seen was not compared with the {split} split."
    kind = config.start if config.start in PRETEXT_NAMES else "pretext"
    same, near = pictures["copies"], pictures["near"]
    words = (
        f"{same or 'None'} of the {pictures['pictures']} pictures of its {kind} {_is(same)} a "
        f"validation or test picture too, and {near or 'none'} nearly {_is(near)}"
    )
    if not same + near:
        return f"{words}."
    return f"{words}: {'they were left out' if pictures['dropped'] else 'it has seen them'}."


def _groups(groups: Mapping[str, frozenset[str]], split: str) -> str:
    """What is known about videos or patients."""
    if not any(groups.values()):
        return (
            "It is not known which patient or video a picture comes from: the scores say nothing "
            "about new ones."
        )
    held_out = groups.get(split, frozenset())
    both = held_out & groups.get("train", frozenset())
    if both:
        return (
            f"{len(both)} of the {len(held_out)} groups (patients, videos) of the {split} split "
            "are in the training split too: the scores say little about new ones."
        )
    return (
        f"The {len(held_out)} groups (patients, videos) of the {split} split are not in the "
        "training split: the scores are of groups it has not learned from, as few as these are."
    )
