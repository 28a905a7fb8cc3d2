"""Caveats of a run's scores: shared pictures, the start's pictures, patients and videos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headstart.config.records import RunConfig
from headstart.config.start_names import IMAGENET, PRETEXT_NAMES, SCRATCH, is_published
from headstart.config.task_settings import TIMM
from headstart.data.checks.leaks import Overlap
from headstart.data.pictures.duplicates import NEAR
from headstart.records.run_records import Environment, StartPictures, UnlabelledPictures
from headstart.tasks.interface import CardFacts


def caveats(
    config: RunConfig, facts: CardFacts, split: str, environment: Environment
) -> Iterable[str]:
    """Yield what limits the scores, one sentence each.

    Args:
        config: configuration of the run.
        facts: splits, overlaps and groups of its data.
        split: the scored split.
        environment: content of its ``environment.json``.
    """
    for (first, second), overlap in facts.overlaps.items():
        yield _overlap(first, second, overlap, facts.things)
    start = _start(config, environment.start_pictures, split)
    if start is not None:
        yield start
    if environment.unlabelled is not None:
        yield _unlabelled(environment.unlabelled)
    yield _groups(facts.groups, split)


def _unlabelled(pictures: UnlabelledPictures) -> str:
    """Say what was learned from pictures without labels."""
    left_out = "none" if not pictures.left_out else str(pictures.left_out)
    return (
        f"The network also learned from {pictures.pictures} pictures without labels "
        f"({pictures.source}); {left_out} {_is(pictures.left_out)} left out as a copy or "
        "near-duplicate of a validation or test frame."
    )


def _overlap(first: str, second: str, overlap: Overlap, things: str) -> str:
    compared = f"the {overlap.among} {second} {things}"
    if second == "training":
        compared += " of this run"
    sentence = (
        f"{overlap.same or 'None'} of the {overlap.pictures} {first} {things} {_is(overlap.same)} "
        f"also among {compared}; "
    )
    if overlap.near is None:
        return f"{sentence}near-duplicates were not searched."
    has = "has" if overlap.near < 2 else "have"
    near = f"{overlap.near or 'none'} {has} a near-duplicate among them"
    return f"{sentence}{near} (within {NEAR:g} grey levels)."


def _is(count: int) -> str:
    return "is" if count < 2 else "are"


def _start(config: RunConfig, pictures: StartPictures | None, split: str) -> str | None:
    """Say whether the start was trained on scored pictures; None for new weights."""
    if config.start == SCRATCH:
        return None
    if not is_published(config.start):
        return _start_pictures(config, pictures, split)
    said = "The start was trained on ImageNet; its pictures were not compared with these."
    if config.model.startswith(TIMM):  # not all of ImageNet
        said = "The pictures that trained the published weights were not compared with these."
    if config.start == IMAGENET:
        return said
    return f"{said} {_start_pictures(config, pictures, split)}"


def _start_pictures(config: RunConfig, pictures: StartPictures | None, split: str) -> str:
    """Say whether the pictures of a pretext, or of another run, are also scored ones."""
    if pictures is None or not pictures.same_data or split not in pictures.compared_with:
        return f"The pictures that trained the start were not compared with the {split} split."
    pretext = config.start if config.start in PRETEXT_NAMES else "pretext"
    same, near = pictures.copies, pictures.near
    sentence = (
        f"{same or 'None'} of the {pictures.pictures} {pretext} pictures {_is(same)} also a "
        f"validation or test picture, and {near or 'none'} {_is(near)} a near-duplicate of one"
    )
    if not same + near:
        return f"{sentence}."
    used = "were left out" if pictures.dropped else "were used to train the start"
    return f"{sentence}; these {used}."


def _groups(groups: Mapping[str, frozenset[str | None]], split: str) -> str:
    """Say whether the scored patients or videos are new to the network."""
    if not any(of_split - {None} for of_split in groups.values()):
        return (
            "The patient or video of each picture is not known, so the scores say nothing about "
            "new patients or videos."
        )
    held_out = groups.get(split, frozenset()) - {None}
    number = f"{len(held_out)} {'group' if len(held_out) == 1 else 'groups'}"
    if shared := held_out & groups.get("train", frozenset()):
        return (
            f"{len(shared)} of the {number} (patients, videos) of the {split} split "
            f"{_is(len(shared))} also in the training split, so the scores say little about new "
            "ones."
        )
    if unknown := [name for name in ("train", split) if None in groups.get(name, ())]:
        of = " and ".join(f"the {name} split" for name in unknown)
        return (
            f"The patient or video of some pictures of {of} is not known, so the scores say "
            "nothing about new patients or videos."
        )
    return (
        f"The {split} split has {number} (patients, videos), none of them in the training split: "
        "the scores are those of new groups, though of few if the number is small."
    )
