"""A run's README: what it learned from, how good and how weak it is, what it may be used for.

Of the same run it has the same bytes: no time, no path, no host stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from headstart.config import IMAGENET, PRETEXTS, SCRATCH, PretextConfig, RunConfig
from headstart.data.duplicates import NEAR, Fingerprints
from headstart.data.leaks import Overlap, find_overlap
from headstart.fit import State
from headstart.weaknesses import quoted

_SHOWN = 4  # tensors of one kind, by name


@dataclass(frozen=True)
class Material:
    """What a run was made from.

    Attributes:
        layout: of the dataset.
        things: what its pictures are called: frames, or pictures.
        splits: how many of them there are, by split.
        labels: of how many of the training split it learned.
        sizes: heights and widths of the training pictures; empty where all came at one size.
        classes: each with what stands for it in the data: a grey level, or nothing.
        overlaps: of two splits, by their names: how many pictures of the first are in the second.
        groups: the videos or patients of each split; empty where they are not known.
    """

    layout: str
    things: str
    splits: dict[str, int]
    labels: int
    sizes: tuple[tuple[int, int], ...]
    classes: dict[str, int | None]
    overlaps: dict[tuple[str, str], Overlap]
    groups: dict[str, frozenset[str]]


def overlaps(
    prints: Mapping[str, Fingerprints], chosen: Int64[np.ndarray, "m"], scored: str, cache: Path
) -> dict[tuple[str, str], Overlap]:
    """Compares what is scored and what validates with what is learned from, and with each other.

    Args:
        prints: of the pictures of each split.
        chosen: the label budget: which of the training pictures are learned from.
        scored: the split that is scored.
        cache: a folder inside the output folder.
    """
    train, validation = prints["train"], prints["validation"]
    found = {}
    for split in dict.fromkeys((scored, "validation")):
        found[split, "training"] = find_overlap(prints[split], train, cache, chosen)
    if scored != "validation":
        found[scored, "validation"] = find_overlap(prints[scored], validation, cache)
    return found


def card(
    config: RunConfig,
    material: Material,
    scores: Mapping[str, Any],
    state: State,
    out: Path,
    *,
    weak: Sequence[str],
    how: str,
) -> str:
    """The README of a run that learned from labels.

    Args:
        config: of the run.
        material: what it was made from.
        scores: content of its ``scores.json``.
        state: where its last training ended.
        out: its folder, which has ``environment.json``.
        weak: where it is weak, a sentence each.
        how: how to load it, in Markdown.
    """
    environment = json.loads((out / "environment.json").read_bytes())
    start, things = _called(config.start), material.things
    segments = config.task == "segmentation"
    kind = "Segmentation" if segments else "Classification"
    tune = "" if segments else f", tune `{config.tune}`"
    sheet = "![predictions](predictions.png)" if segments else "![confusion](confusion.png)"
    blocks = [
        f"# {config.model}, {config.recipe.name} recipe, start `{start}`{tune}",
        f"{kind} into {len(material.classes)} classes, learned from {material.labels} labelled "
        f"{things} of {quoted(_dataset(config.data))}. For research; not a medical device.",
        "## What it was trained on",
        _items(_trained_on(config, material, state, environment)),
        f"## Scores on the {scores['split']} split",
        _words_of_scores(scores, things),
        _score_table(scores),
        _class_table(scores, things),
        "## Where it is weak",
        _items(weak) or "No class is below 0.6, or hardly tested.",
        "## What the scores do not say",
        _items(_not_said(config, material, scores["split"], environment)),
        "## What it may be used for",
        _use(segments),
        "## How to load it, without headstart",
        how,
        "## Figures",
        "![training and validation loss](curves.png)",
        sheet,
    ]
    return "\n\n".join(blocks) + "\n"


def pretext_card(config: PretextConfig, scores: Mapping[str, Any]) -> str:
    """The README of a pretext's folder."""
    height, width = config.size
    blocks = [
        f"# {config.model}, pretext `{config.pretext}`, {config.recipe.name} recipe",
        f"Trained at {height} x {width} on pictures without labels, seed {config.seed}, "
        f"{scores['steps']} steps. Kept: epoch {scores['epoch']}.",
        f"Loss on {scores['pictures']} validation pictures: {scores['loss']:.5f}; without having "
        f"learned anything: {scores['trivial']['loss']:.5f}.",
        "These weights are a start, no result: `headstart train DATA --start THIS_FOLDER`.",
        "![training and validation loss](curves.png)",
        "![seen, restored, true](restorations.png)",
    ]
    return "\n\n".join(blocks) + "\n"


def _items(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _dataset(data: str) -> str:
    """A dataset's name: the last part of its path, whatever led to it."""
    return Path(data).name or Path(data).resolve().name


def _called(start: str) -> str:
    """A start's name: of a path its last part, that of the run where it is a run's file."""
    path = Path(start)
    if path.name == "weights.safetensors" and path.parent.name:
        return path.parent.name
    return path.name or start


def _trained_on(
    config: RunConfig, material: Material, state: State, environment: Mapping[str, Any]
) -> Iterable[str]:
    things, splits = material.things, material.splits
    counts = [f"{count} {name}" for name, count in splits.items()]
    yield f"Data: {quoted(_dataset(config.data))} ({material.layout} layout): {', '.join(counts)}."
    if material.labels < splits["train"]:
        yield f"Label budget: {material.labels} of the {splits['train']} training {things}."
    else:
        yield f"Label budget: all {material.labels} training {things}."
    named = [
        quoted(name) + ("" if grey is None else f" {grey}")
        for name, grey in material.classes.items()
    ]
    grey = " and their grey levels" if None not in material.classes.values() else ""
    yield f"Classes{grey}: {', '.join(named)}."
    height, width = config.size
    sizes = sorted(material.sizes)
    if len(sizes) == 1:
        its = "x".join(map(str, sizes[0]))
        yield f"Size: {things} of {its} (height x width), trained at {height}x{width}."
    elif sizes:
        low, high = ("x".join(map(str, size)) for size in (sizes[0], sizes[-1]))
        yield (
            f"Size: {things} of {len(sizes)} sizes from {low} to {high} (height x width), trained "
            f"at {height}x{width}."
        )
    else:
        yield f"Size: trained at {height}x{width} (height x width)."
    yield f"Start: {_moved(_called(config.start), environment['start'])}"
    assert state.best is not None
    recipe = config.recipe
    yield (
        f"Recipe `{recipe.name}`, seed {config.seed}: {state.step} steps of batch {recipe.batch}; "
        f"kept are the weights of epoch {state.best['epoch']} of {len(state.history)}, best on the "
        f"validation split. `config.json` has every setting."
    )
    where = environment["gpu"] or f"{environment['cpu']}, {environment['threads']} threads"
    yield f"Hardware: {where}; torch {environment['versions']['torch']}."


def _moved(name: str, start: Mapping[str, Any]) -> str:
    """What became of the start's tensors; as in ``environment.json``."""
    if start["weights_sha256"] is None:
        return f"`{SCRATCH}`: all weights were new."
    parts = [f"{len(start['moved'])} tensors were taken over"]
    for kind, words in (("adapted", "adapted in shape"), ("fresh", "new"), ("unused", "unused")):
        if tensors := start[kind]:
            few = ", ".join(f"`{tensor}`" for tensor in tensors[:_SHOWN])
            more = f" and {len(tensors) - _SHOWN} more" if len(tensors) > _SHOWN else ""
            parts.append(f"{len(tensors)} {words} ({few}{more})")
    return f"{quoted(name)}: {', '.join(parts)}."


def _words_of_scores(scores: Mapping[str, Any], things: str) -> str:
    constant = "the best that a constant prediction (one class everywhere) reaches"
    if things == "pictures":
        constant = "what naming the most frequent class every time reaches"
    count = scores.get("frames", scores.get("pictures"))
    words = f"{count} {things}, read once, when the training was over; beside {constant}."
    if scores["collapsed"]:
        words += f"\n\n**Collapsed: all of these {things} are predicted as one class.**"
    return words


def _score_table(scores: Mapping[str, Any]) -> str:
    trivial = scores["trivial"]
    named = [*trivial, *(name for name in ("macro_f1",) if name in scores)]
    rows = [f"| `{n}` | {_shown(scores[n])} | {_shown(trivial.get(n))} |" for n in named]
    return "\n".join(["| score | this model | constant prediction |", "|---|--:|--:|", *rows])


def _class_table(scores: Mapping[str, Any], things: str) -> str:
    columns = [c for c in ("dice", "precision", "recall") if c in _first(scores["classes"])]
    lines = [f"| class | {' | '.join(columns)} | {things} |", "|---|" + "--:|" * (len(columns) + 1)]
    for name, its in scores["classes"].items():
        values = " | ".join(_shown(its[column]) for column in columns)
        lines.append(f"| {quoted(name)} | {values} | {its[things]} |")
    return "\n".join(lines)


def _first(classes: Mapping[str, Any]) -> Any:
    return next(iter(classes.values()))


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _not_said(
    config: RunConfig, material: Material, split: str, environment: Mapping[str, Any]
) -> Iterable[str]:
    for (of, among), its in material.overlaps.items():
        yield _overlap(of, among, its, material.things)
    if (words := _of_the_start(config, environment.get("start_pictures"), split)) is not None:
        yield words
    yield _groups(material.groups, split)


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
    kind = config.start if config.start in PRETEXTS else "pretext"
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


def _use(segments: bool) -> str:
    always = "Every pixel gets" if segments else "Every picture gets"
    return (
        "Meant for research, and for pictures like those above. It was tested on no others: other "
        "cameras, light, instruments, hospitals or subjects may give anything. "
        f"{always} one of these classes, whatever it shows, and a probability is no proof: nobody "
        "has tested whether it is as often right as it says. Not a medical device: not for "
        "diagnosis, treatment or any decision about a person."
    )
