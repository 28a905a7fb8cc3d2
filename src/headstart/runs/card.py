"""The model card of a run (README.md): training data, scores, weaknesses and intended use.

A repeated run writes the same bytes: the card has no time, path or host name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.config.records import PretextConfig, RunConfig
from headstart.config.start_names import SCRATCH, views
from headstart.errors import printable
from headstart.records.calibration import Calibration, read_calibration
from headstart.records.run_records import (
    Environment,
    MovedTensors,
    read_environment,
    read_metrics,
)
from headstart.runs.caveats import caveats
from headstart.tasks.interface import CardFacts, Scored
from headstart.tasks.weaknesses import FEW, WEAK, quoted
from headstart.training.fit import State

_SHOWN = 4  # tensors listed by name, per kind


def model_card(config: RunConfig | PretextConfig, scored: Scored, state: State, out: Path) -> str:
    """Return the README of a finished run.

    Args:
        config: configuration of the run.
        scored: its scores and the facts of its task; a pretext gets a short card.
        state: final state of its last training.
        out: folder of the run, with ``environment.json``.
    """
    if isinstance(config, PretextConfig):
        return _pretext_card(config, scored.scores, read_environment(out))
    assert scored.card is not None
    return _card(config, scored.card, scored.scores, state, out)


def _card(
    config: RunConfig, facts: CardFacts, scores: Mapping[str, Any], state: State, out: Path
) -> str:
    environment = read_environment(out)
    start, things = quoted(_start_name(config.start)), facts.things
    tune = f", tune `{config.tune}`" if facts.tuned else ""
    blocks = [
        f"# {config.model}, {printable(config.recipe.name)} recipe, start {start}{tune}",
        f"{facts.kind} into {len(facts.classes)} classes, trained on {facts.labels} labelled "
        f"{things} of {quoted(_dataset_name(config.data))}. For research; not a medical device.",
        "## Training data and settings",
        _items(_trained_on(config, facts, _steps(config, state, out), state, environment)),
        f"## Scores on the {scores['split']} split",
        _about_scores(scores, facts),
        _score_table(scores),
        _class_table(scores, things),
        "## Certainty",
        _certainty(read_calibration(out), facts.unit),
        "## Weaknesses",
        _items(facts.weak)
        or f"Every class scores {WEAK} or more, on at least {FEW} {scores['split']} {things}.",
        "## Limits of these scores",
        _items(caveats(config, facts, scores["split"], environment)),
        "## Intended use",
        _use(facts.unit),
        "## Use without headstart",
        facts.usage,
        "## Figures",
        "![training and validation loss](curves.png)",
        facts.sheet,
    ]
    return "\n\n".join(blocks) + "\n"


def cross_validation_card(
    config: RunConfig,
    scores: Mapping[str, Any],
    of_folds: Sequence[Mapping[str, Any]],
    environment: Environment,
    headline: str,
) -> str:
    """Return the README of a cross-validation.

    Args:
        config: its configuration.
        scores: over all labelled pictures.
        of_folds: the scores of each fold.
        environment: of one of the folds.
        headline: the score that verdicts compare.
    """
    things = "frames" if "frames" in scores else "pictures"
    count, labels = scores[things], environment.labels
    assert labels is not None
    tune = "" if config.tune == "all" else f", tune `{config.tune}`"
    height, width = config.size
    where = environment.gpu or f"{environment.cpu}, {environment.threads} threads"
    rows = [
        f"| [fold-{k}](fold-{k}/README.md) | {of_fold[things]} | {_shown(of_fold[headline])} |"
        for k, of_fold in enumerate(of_folds, 1)
    ]
    table = [f"| fold | {things} | {headline} |", "|---|--:|--:|", *rows]
    blocks = [
        f"# {config.model}, {printable(config.recipe.name)} recipe, start "
        f"{quoted(_start_name(config.start))}{tune}, {config.folds} folds",
        f"Cross-validation on the {count} labelled {things} of "
        f"{quoted(_dataset_name(config.data))}, seed {config.seed}, at {height}x{width} (height x "
        f"width). Each {things[:-1]} was predicted once, by a network that was trained on other "
        "folds. For research; not a medical device.",
        f"Each fold trained on {labels.train} labelled {things} or a few more, and chose its epoch "
        f"on {labels.validation} or more others.",
        f"Hardware: {where}; torch {environment.versions['torch']}.",
        f"## Scores over all {things}",
        "The last column is the best score of a constant prediction.",
        _score_table(scores),
        _class_table(scores, things),
        "## Folds",
        "\n".join(table),
        "The folds' networks share most of their training data, so these scores differ less than "
        "those of networks trained on different data would.",
        "## Use",
        "`headstart predict THIS_FOLDER PICTURES` averages the probabilities of the folds' "
        "networks. Each fold's folder is a run of its own, whose README counts the pictures that "
        "its test and training pictures share.",
    ]
    return "\n\n".join(blocks) + "\n"


def _pretext_card(
    config: PretextConfig, scores: Mapping[str, Any], environment: Environment
) -> str:
    """Return the README of a pretext run."""
    height, width = config.size
    start = environment.start
    begun = [] if start is None else [f"Start: {_moved(_start_name(config.start), start)}"]
    shown = "embedding, in colours" if views(config.pretext) > 1 else "restoration"
    blocks = [
        f"# {config.model}, pretext `{config.pretext}`, {printable(config.recipe.name)} recipe",
        f"Trained at {height}x{width} (height x width) on pictures without labels, seed "
        f"{config.seed}, {scores['steps']} steps. The weights are those of epoch "
        f"{scores['epoch']}, the best on the validation pictures.",
        *begun,
        f"Loss on {scores['pictures']} validation pictures: {scores['loss']:.5f}. Loss of the "
        f"trivial answer: {scores['trivial']['loss']:.5f}.",
        "To start another training from these weights: `headstart train DATA --start THIS_FOLDER"
        f" --width {config.width}`.",
        "![training and validation loss](curves.png)",
        f"![input, {shown}, original](restorations.png)",
    ]
    return "\n\n".join(blocks) + "\n"


def _items(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _dataset_name(data: str) -> str:
    """Return the last part of a dataset's path."""
    return Path(data).name or Path(data).resolve().name


def _start_name(start: str) -> str:
    """Return the last part of a start's path; the run's name for a run's weights."""
    path = Path(start)
    if path.name == "weights.safetensors" and path.parent.name:
        return path.parent.name
    return path.name or start


def _steps(config: RunConfig, state: State, out: Path) -> str:
    """Say how many steps were trained, in each of the stages of ``staged``."""
    batch = f"with batches of {config.recipe.batch}"
    if config.tune != "staged":
        return f"{state.step} steps {batch}"
    epochs = len(read_metrics(out, "head"))
    head_steps = epochs * state.step // len(state.history)  # epochs of both stages are as long
    return (
        f"{head_steps} steps of the last layer alone ({epochs} epochs), then {state.step} steps of "
        f"all weights, {batch}"
    )


def _trained_on(
    config: RunConfig,
    facts: CardFacts,
    steps: str,
    state: State,
    environment: Environment,
) -> Iterable[str]:
    things, splits = facts.things, facts.splits
    counts = ", ".join(f"{count} {name}" for name, count in splits.items())
    yield f"Data: {quoted(_dataset_name(config.data))} ({facts.layout} layout): {counts}."
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
    at = "on tiles of" if config.framing == "tile" else "at"
    sizes = sorted(facts.sizes)
    if len(sizes) == 1:
        original = "x".join(map(str, sizes[0]))
        yield f"Size: {things} of {original} (height x width), trained {at} {height}x{width}."
    elif sizes:
        low, high = ("x".join(map(str, size)) for size in (sizes[0], sizes[-1]))
        yield (
            f"Size: {things} of {len(sizes)} sizes, from {low} to {high} (height x width), trained "
            f"{at} {height}x{width}."
        )
    else:
        yield f"Size: trained {at} {height}x{width} (height x width)."
    assert environment.start is not None
    yield f"Start: {_moved(_start_name(config.start), environment.start)}"
    assert state.best is not None
    recipe = config.recipe
    yield (
        f"Recipe {quoted(recipe.name)}, seed {config.seed}: {steps}. "
        f"The weights are those of epoch {state.best['epoch']} of {len(state.history)}, the best "
        f"on the validation split. `config.json` has every setting."
    )
    where = environment.gpu or f"{environment.cpu}, {environment.threads} threads"
    yield f"Hardware: {where}; torch {environment.versions['torch']}."


def _moved(name: str, start: MovedTensors) -> str:
    """Say which tensors came from the start, as recorded in ``environment.json``."""
    if start.weights_sha256 is None:
        return f"`{SCRATCH}` (all weights new)."
    parts = [f"{len(start.moved)} tensors copied"]
    kinds = (
        (start.adapted, "adapted in shape"), (start.fresh, "new"), (start.unused, "unused")
    )  # fmt: skip
    for tensors, words in kinds:
        if tensors:
            shown = ", ".join(f"`{tensor}`" for tensor in tensors[:_SHOWN])
            more = f" and {len(tensors) - _SHOWN} more" if len(tensors) > _SHOWN else ""
            parts.append(f"{len(tensors)} {words} ({shown}{more})")
    if start.prefix:
        parts.append(f"names without the prefix `{start.prefix}`")
    return f"{quoted(name)}: {', '.join(parts)}."


def _about_scores(scores: Mapping[str, Any], facts: CardFacts) -> str:
    """Say on what the scores are based and what stands beside them."""
    things = facts.things
    count = scores.get("frames", scores.get("pictures"))
    when = "read once, after training"
    if scores["split"] == "validation":
        when = f"which also chose the epoch: expect lower scores on new {things}"
    words = f"{count} {things}, {when}. The last column is {facts.constant}."
    if scores["collapsed"]:
        words += f"\n\n**Collapsed: the network predicts one class for all of these {things}.**"
    return words


def _certainty(record: Calibration | None, unit: str) -> str:
    """Return how well confidence matches accuracy."""
    assert record is not None  # it is written with the scores
    if record.reason:
        return f"Probabilities are as the network gives them (temperature 1): {record.reason}."
    before, after = record.before, record.after
    return (
        f"`headstart predict` divides the logits by the temperature {record.temperature:.2f}, "
        f"fitted on the validation split. On the {record.split} {unit}s that changes the expected "
        f"calibration error from {_shown(before.ece)} to {_shown(after.ece)}, and the negative log "
        f"likelihood from {_shown(before.nll)} to {_shown(after.nll)} (lower is better)."
    )


def _score_table(scores: Mapping[str, Any]) -> str:
    trivial = scores["trivial"]
    named = [*trivial, *(name for name in ("macro_f1",) if name in scores)]
    rows = [f"| `{n}` | {_shown(scores[n])} | {_shown(trivial.get(n))} |" for n in named]
    return "\n".join(["| score | this model | constant prediction |", "|---|--:|--:|", *rows])


def _class_table(scores: Mapping[str, Any], things: str) -> str:
    of_any = next(iter(scores["classes"].values()))
    columns = [c for c in ("dice", "precision", "recall") if c in of_any]
    lines = [f"| class | {' | '.join(columns)} | {things} |", "|---|" + "--:|" * (len(columns) + 1)]
    for name, of_class in scores["classes"].items():
        values = " | ".join(_shown(of_class[column]) for column in columns)
        lines.append(f"| {quoted(name)} | {values} | {of_class[things]} |")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _use(unit: str) -> str:
    return (
        "For research, on pictures like those it was trained on. It was not tested on others: with "
        "other cameras, light, instruments, hospitals or subjects, results may be arbitrary. "
        f"Every {unit} gets one of these classes, whatever it shows. Probabilities were not tested "
        "for calibration: 0.9 need not mean right in nine of ten cases. Not a medical device: not "
        "for diagnosis, treatment or any decision about a person."
    )
