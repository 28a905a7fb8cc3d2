"""A run's README: what it learned from, how good and how weak it is, what it may be used for.

Of the same run it has the same bytes: no time, no path, no host stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headstart.runs.provenance import not_said
from headstart.tasks.interface import CardFacts, Scored
from headstart.tasks.weaknesses import quoted
from headstart.training.config import SCRATCH, PretextConfig, RunConfig
from headstart.training.fit import State
from headstart.training.task_settings import UNET

_SHOWN = 4  # tensors of one kind, by name


def model_card(config: RunConfig | PretextConfig, scored: Scored, state: State, out: Path) -> str:
    """The README of a finished run.

    Args:
        config: of the run.
        scored: its scores, and what its card says of its task; a pretext's card is short.
        state: where its last training ended.
        out: its folder, which has ``environment.json``.
    """
    if isinstance(config, PretextConfig) or scored.card is None:
        assert isinstance(config, PretextConfig)
        return _pretext_card(config, scored.scores)
    return _card(config, scored.card, scored.scores, state, out)


def _card(
    config: RunConfig, facts: CardFacts, scores: Mapping[str, Any], state: State, out: Path
) -> str:
    environment = json.loads((out / "environment.json").read_bytes())
    start, things = _called(config.start), facts.things
    tune = f", tune `{config.tune}`" if facts.tuned else ""
    blocks = [
        f"# {config.model}, {config.recipe.name} recipe, start `{start}`{tune}",
        f"{facts.kind} into {len(facts.classes)} classes, learned from {facts.labels} labelled "
        f"{things} of {quoted(_dataset(config.data))}. For research; not a medical device.",
        "## What it was trained on",
        _items(_trained_on(config, facts, _steps(config, state, out), state, environment)),
        f"## Scores on the {scores['split']} split",
        _words_of_scores(scores, facts),
        _score_table(scores),
        _class_table(scores, things),
        "## Where it is weak",
        _items(facts.weak) or "No class is below 0.6, or hardly tested.",
        "## What the scores do not say",
        _items(not_said(config, facts, scores["split"], environment)),
        "## What it may be used for",
        _use(facts.unit),
        "## How to load it, without headstart",
        facts.usage,
        "## Figures",
        "![training and validation loss](curves.png)",
        facts.sheet,
    ]
    return "\n\n".join(blocks) + "\n"


def _pretext_card(config: PretextConfig, scores: Mapping[str, Any]) -> str:
    """The README of a pretext's folder."""
    height, width = config.size
    network = "" if config.model == UNET else f" --model {config.model}"
    blocks = [
        f"# {config.model}, pretext `{config.pretext}`, {config.recipe.name} recipe",
        f"Trained at {height} x {width} on pictures without labels, seed {config.seed}, "
        f"{scores['steps']} steps. Kept: epoch {scores['epoch']}.",
        f"Loss on {scores['pictures']} validation pictures: {scores['loss']:.5f}; without having "
        f"learned anything: {scores['trivial']['loss']:.5f}.",
        "These weights are a start, no result: `headstart train DATA --start THIS_FOLDER"
        f"{network} --width {config.width}`.",
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


def _steps(config: RunConfig, state: State, out: Path) -> str:
    """How many steps there were, of what batch; of two stages each, whose epochs are as long."""
    batch = f"of batch {config.recipe.batch}"
    if config.tune != "staged":
        return f"{state.step} steps {batch}"
    epochs = len((out / "head" / "metrics.jsonl").read_text().splitlines())
    first = epochs * state.step // len(state.history)
    return (
        f"{first} steps of the last layer alone ({epochs} epochs), then {state.step} of every "
        f"weight, {batch}"
    )


def _trained_on(
    config: RunConfig,
    facts: CardFacts,
    steps: str,
    state: State,
    environment: Mapping[str, Any],
) -> Iterable[str]:
    things, splits = facts.things, facts.splits
    counts = [f"{count} {name}" for name, count in splits.items()]
    yield f"Data: {quoted(_dataset(config.data))} ({facts.layout} layout): {', '.join(counts)}."
    if facts.labels < splits["train"]:
        yield f"Label budget: {facts.labels} of the {splits['train']} training {things}."
    else:
        yield f"Label budget: all {facts.labels} training {things}."
    named = [
        quoted(name) + ("" if grey is None else f" {grey}") for name, grey in facts.classes.items()
    ]
    grey = " and their grey levels" if None not in facts.classes.values() else ""
    yield f"Classes{grey}: {', '.join(named)}."
    height, width = config.size
    sizes = sorted(facts.sizes)
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
        f"Recipe `{recipe.name}`, seed {config.seed}: {steps}; "
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


def _words_of_scores(scores: Mapping[str, Any], facts: CardFacts) -> str:
    things = facts.things
    count = scores.get("frames", scores.get("pictures"))
    when = "read once, when the training was over"
    if scores["split"] == "validation":
        when = "which chose the epoch that was kept: scores of new ones would be lower"
    words = f"{count} {things}, {when}; beside {facts.constant}."
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


def _use(unit: str) -> str:
    return (
        "Meant for research, and for pictures like those above. It was tested on no others: other "
        "cameras, light, instruments, hospitals or subjects may give anything. "
        f"Every {unit} gets one of these classes, whatever it shows, and a probability is no proof: nobody "
        "has tested whether it is as often right as it says. Not a medical device: not for "
        "diagnosis, treatment or any decision about a person."
    )
