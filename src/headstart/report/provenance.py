"""Where a report comes from: data, settings, weights, machines; as plain values for its page."""

from __future__ import annotations

import json
from typing import Any

from headstart.errors import Finding, printable
from headstart.report.command import again
from headstart.report.dataset import Seen
from headstart.report.measures import measures_of
from headstart.report.read import Records
from headstart.report.words import Entry, Table, duration, flat, listed, plural
from headstart.studies.verdicts import called
from headstart.training.config import RunConfig, StudyConfig

_GROUPS = {
    "no-groups": "It is not known which video or patient a frame comes from. Without groups the "
    "score says nothing about new patients.",
    "group-across-splits": "Some videos or patients are on both sides of a split: the score says "
    "less about new patients than it seems to.",
}


def of_data(records: Records, seen: Seen) -> dict[str, Any]:
    """Leaks, what a check of the dataset finds, and what is known of patients."""
    said = [_GROUPS[f.code] for f in seen.findings if f.code in _GROUPS]
    if not records.runs:
        said = []
    elif not said and seen.missing:
        said = [
            "Whether the splits keep whole videos or patients apart is not known here. Without "
            "groups the score says nothing about new patients."
        ]
    elif not said:
        said = ["No video or patient is on both sides of a split."]
    return {
        "missing": seen.missing,
        "groups": said,
        "findings": [_finding(f) for f in seen.findings],
        "leaks": _leaks(records),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity,
        "code": finding.code,
        "message": printable(finding.message),
        "hint": printable(finding.hint),
        "files": [printable(f) for f in finding.files],
    }


def _leaks(records: Records) -> list[dict[str, Any]]:
    """What the pretexts found; once for all that saw the same pictures."""
    told: list[dict[str, Any]] = []
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for p in records.pretexts:
        found.setdefault(json.dumps(p.leaks), (p.leaks, []))[1].append(p.pretext)
    for leaks, pretexts in found.values():
        same, near = leaks["copies"], leaks["near"]
        words = f"{plural(leaks['pictures'], 'picture')} without labels. "
        if not leaks["compared_with"]:
            words += "There are no labelled frames beside them to compare them with."
        elif not same and not near:
            words += "None is, exactly or nearly, a validation or test frame."
        else:
            words += f"Also validation or test frames: {len(same)} exactly, {len(near)} nearly. "
            words += "They were left out." if leaks["dropped"] else (
                "They were not left out (--drop-leaks does): pre-training has seen frames that "
                "scores are taken on."
            )  # fmt: skip
        files = [*(f"{printable(f)} (the same)" for f in same), *map(printable, near)]
        told.append(
            {"pretexts": listed(list(dict.fromkeys(pretexts))), "words": words, "files": files}
        )
    return told


def of_settings(records: Records) -> dict[str, Any]:
    """Every hyper-parameter."""
    config = records.config
    whole = config.model_dump(by_alias=True)
    recipes = {name: whole.pop(name, None) for name in ("recipe", "pretext_recipe")}
    if isinstance(config, RunConfig):
        its = whole.pop("pretext")
        recipes["pretext_recipe"] = its["recipe"] if its else None
        whole["labels"] = whole["labels"] or "all"
        named = whole.pop("frames")
        whole["which labels"] = "drawn by the seed" if named is None else ", ".join(named)
    if isinstance(config, StudyConfig) and not records.pretexts:
        recipes["pretext_recipe"] = None
    size = whole.pop("size")
    whole["size"] = f"{size[0]} high, {size[1]} wide"
    whole.pop("schema")
    if config.task == "classification":
        for name in ("width", "drop_leaks"):  # of segmentations and pretexts
            whole.pop(name, None)

    def table(caption: str, settings: dict[str, Any]) -> Table:
        rows = tuple((printable(name), printable(value)) for name, value in flat(settings))
        return Table(caption, ("setting", "value"), rows, left=(1,))

    captions = {"recipe": "Hyper-parameters", "pretext_recipe": "Hyper-parameters of the pretexts"}
    return {
        "run": table("What was run.", whole),
        "recipes": [
            table(f"{captions[name]} (recipe “{recipe['name']}”).", recipe)
            for name, recipe in recipes.items()
            if recipe is not None
        ],
    }


def of_starts(records: Records) -> list[dict[str, Any]]:
    """What of each start's weights moved into the network."""
    told: dict[str, dict[str, Any]] = {}
    for run in records.runs:
        start = run.environment["start"]
        if run.start in told or not isinstance(start, dict):
            continue
        name = printable(called(run.start))
        parts = {k: list(map(printable, start.get(k) or ())) for k in _PARTS}
        if not parts["moved"] and not parts["adapted"]:
            words = f"{name}: all weights are new."
        else:
            counts = [f"{len(v)} {k}" for k, v in parts.items() if v]
            words = f"{name}: of the network’s tensors {listed(counts)}."
        told[run.start] = {"words": words, "parts": {k: v for k, v in parts.items() if v}}
    return list(told.values())


_PARTS = ("moved", "adapted", "fresh", "unused")


def of_machines(records: Records) -> dict[str, Any]:
    """Hardware, versions and hashes, each value once; and the command."""
    environments = [p.environment for p in records.pretexts] + [r.environment for r in records.runs]
    rows: dict[str, list[str]] = {}
    for environment in environments:
        facts = {
            "processor": environment["cpu"],
            "cores": environment["cores"],
            "threads": environment["threads"],
            "GPU": environment["gpu"] or "none",
            "system": environment["system"],
            **environment["versions"],
        }
        for name, value in facts.items():
            rows.setdefault(name, []).append(str(value))
    hashes: dict[str, list[str]] = {}
    scored = measures_of(records).units
    for kind, members in (("pictures of pretexts", records.pretexts), (scored, records.runs)):
        for member in members:
            for part, value in member.environment["data"].items():
                if part != "start":  # below, by seed
                    hashes.setdefault(f"{kind}: {part}", []).append(value)
    for run in records.runs:
        start = run.environment["start"]
        if isinstance(start, dict) and start.get("weights_sha256"):
            name = f"start {run.start}, seed {run.seed}"
            hashes.setdefault(name, []).append(start["weights_sha256"])
    spent = [sum(m.seconds for m in members) for members in (records.runs, records.pretexts)]
    kinds = ("runs", "pretexts")
    took = [f"{duration(s)} ({kind})" for s, kind in zip(spent, kinds, strict=True) if s]
    command, files = again(records.config, records.folder.resolve().name)
    return {
        "machines": _distinct("Hardware and versions.", rows),
        "hashes": _distinct("SHA-256 of what went in.", hashes),
        "command": printable(command),
        "files": files,
        "took": f"Computing time: {listed(took)}.",
    }


def _distinct(caption: str, values: dict[str, list[str]]) -> Table:
    rows: tuple[tuple[Entry, ...], ...] = tuple(
        (printable(name), printable(", ".join(dict.fromkeys(each))))
        for name, each in values.items()
    )
    return Table(caption, ("what", "value"), rows, left=(1,))
