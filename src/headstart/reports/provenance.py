"""What a result was made from and with: settings, start weights, hardware, versions, hashes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headstart.errors import printable
from headstart.reports.command import reproduce_command
from headstart.reports.formatting import Entry, Table, duration, flat, listed
from headstart.reports.records import Records
from headstart.studies.wording import called
from headstart.tasks.lookup import task_named


def settings_section(records: Records) -> dict[str, Any]:
    """Return every setting.

    Returns:
        ``run``: the table of settings; ``recipes``: a table for each recipe.
    """
    settings = records.config.model_dump(by_alias=True)
    recipes = {name: settings.pop(name, None) for name in ("recipe", "pretext_recipe")}
    if records.run is not None:
        pretext = settings.pop("pretext")
        recipes["pretext_recipe"] = pretext["recipe"] if pretext else None
        settings["labels"] = settings["labels"] or "all"
        frames = settings.pop("frames")
        settings["which labels"] = "drawn by the seed" if frames is None else ", ".join(frames)
    if records.study is not None and not records.pretexts:
        recipes["pretext_recipe"] = None
    height, width = settings.pop("size")
    settings["size"] = f"{height} high, {width} wide"
    for name in ("schema", *task_named(records.config.task).measures.hidden_settings):
        settings.pop(name, None)
    captions = {"recipe": "Hyper-parameters", "pretext_recipe": "Hyper-parameters of the pretexts"}
    return {
        "run": _settings_table("Settings.", settings),
        "recipes": [
            _settings_table(f"{captions[name]} (recipe “{recipe['name']}”).", recipe)
            for name, recipe in recipes.items()
            if recipe is not None
        ],
    }


def _settings_table(caption: str, settings: Mapping[str, Any]) -> Table:
    rows = tuple((printable(name), printable(value)) for name, value in flat(settings))
    return Table(caption, ("setting", "value"), rows, left=(1,))


_PARTS = ("moved", "adapted", "fresh", "unused")


def starts_section(records: Records) -> list[dict[str, Any]]:
    """Return how the weights of each start entered the network.

    Returns:
        For each start ``words``, a sentence, and ``parts``, the names of the tensors that moved,
        were adapted, are fresh, or were not used.
    """
    sections: dict[str, dict[str, Any]] = {}
    for run in records.runs:
        start = run.environment.start
        if run.start in sections or start is None:
            continue
        name = printable(called(run.start))
        parts = {part: list(map(printable, getattr(start, part))) for part in _PARTS}
        if parts["moved"] or parts["adapted"]:
            counts = [f"{len(tensors)} {part}" for part, tensors in parts.items() if tensors]
            words = f"{name}: tensors by origin: {listed(counts)}."
        else:
            words = f"{name}: all weights are new."
        sections[run.start] = {"words": words, "parts": {k: v for k, v in parts.items() if v}}
    return list(sections.values())


def machines_section(records: Records, out: Path) -> dict[str, Any]:
    """Return how to make the folder again, and on what it was made.

    ``out`` is the folder that the report is written to.

    Returns:
        ``machines``: hardware and versions; ``hashes`` of the data and start weights;
        ``command``; ``files`` that the command names, by file name; ``took``: computing time.
    """
    seconds = {
        "runs": sum(run.seconds for run in records.runs),
        "pretexts": sum(pretext.seconds for pretext in records.pretexts),
    }
    times = [f"{duration(spent)} ({kind})" for kind, spent in seconds.items() if spent]
    command, files = reproduce_command(records, out)
    return {
        "machines": _distinct("Hardware and versions.", _machine_facts(records)),
        "hashes": _distinct("SHA-256 of the data and the start weights.", _hashes(records)),
        "command": printable(command),
        "files": files,
        "took": f"Computing time: {listed(times)}.",
    }


def _machine_facts(records: Records) -> Iterable[tuple[str, str]]:
    environments = [p.environment for p in records.pretexts]
    environments += [r.environment for r in records.runs]
    for environment in environments:
        facts = {
            "processor": environment.cpu,
            "cores": environment.cores,
            "threads": environment.threads,
            "GPU": environment.gpu or "none",
            "precision": environment.precision or "not recorded",
            "host class": environment.host_class or "not recorded",
            "executor": environment.executor or "not recorded",
            "system": environment.system,
            **environment.versions,
        }
        for name, value in facts.items():
            yield name, str(value)


def _hashes(records: Records) -> Iterable[tuple[str, str]]:
    units = task_named(records.config.task).measures.units
    environments = [
        *(("pictures of pretexts", pretext.environment) for pretext in records.pretexts),
        *((units, run.environment) for run in records.runs),
    ]
    for kind, environment in environments:
        for part, value in environment.data.items():
            if part != "start":  # follows below, with its seed
                yield f"{kind}: {part}", value
    starts = [
        *((f"start of {p.pretext}, seed {p.seed}", p.environment.start) for p in records.pretexts),
        *((f"start {run.start}, seed {run.seed}", run.environment.start) for run in records.runs),
    ]
    for name, start in starts:
        if start is not None and start.weights_sha256:
            yield name, start.weights_sha256


def _distinct(caption: str, facts: Iterable[tuple[str, str]]) -> Table:
    """Return a table with a row for each name, holding its distinct values."""
    values: dict[str, list[str]] = {}
    for name, value in facts:
        values.setdefault(name, []).append(value)
    rows: tuple[tuple[Entry, ...], ...] = tuple(
        (printable(name), printable(", ".join(dict.fromkeys(each))))
        for name, each in values.items()
    )
    return Table(caption, ("what", "value"), rows, left=(1,))
