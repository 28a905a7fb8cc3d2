"""Studies: starts x tunings x label budgets x seeds, everything else held fixed; what differs.

A study's folder::

    config.json            its settings
    ledger.jsonl           a line for each finished run: what it was, and the hash of its frames.csv
    study.json             records, comparisons with intervals, labels saved
    runs/START-TUNE-LABELS-SEED/    a run each
    starts/PRETEXT-SEED-HASH/       a pretext each, shared by all runs that start from it
    cache/                 decoded pictures

A run whose line is in the ledger is never run again: its ``frames.csv`` is all that a verdict
needs, so a study can be carried to another machine without its weights.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headstart.config import (
    IMAGENET,
    PRETEXTS,
    SCRATCH,
    SCRATCH_LONGER,
    PretextConfig,
    RunConfig,
    StudyConfig,
    differences,
    read_study_config,
    to_json,
    weights_file,
)
from headstart.data.batches import steps_per_epoch
from headstart.data.decoded import digest
from headstart.data.folders import Frame, open_dataset
from headstart.data.question import sizes_of
from headstart.disk import locked, write_atomic, write_json
from headstart.errors import DataError, Finding, InterruptedRun, UsageError
from headstart.fit import Listener
from headstart.models.classifiers import check_network, check_size
from headstart.models.encoder_unet import check_segmenter
from headstart.pretrain import find_pretext_pictures
from headstart.recipes import ClassifierRecipe
from headstart.run import refuse_other_data, try_starts
from headstart.run_folder import budget_too_large, strangers
from headstart.stopping import Stopping
from headstart.verdicts import METRIC, called, compare
from headstart.workers import Work, working

_OURS = (
    ".lock", "cache", "config.json", "ledger.jsonl", "study.json", "runs", "starts", "report",
    "report.html",
)  # fmt: skip
_MAY_GROW = ("starts", "tunes", "labels", "seeds")
_OF_PRETEXTS = ("pretext_recipe", "drop_leaks")


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    start: str
    tune: str
    labels: int
    seed: int

    @property
    def run(self) -> str:
        """Its folder inside the study's."""
        tune = self.tune.replace(":", "")
        return f"runs/{_plain(self.start)}-{tune}-{self.labels}-{self.seed}"

    def __str__(self) -> str:
        tune = "" if self.tune == "all" else f", tune {self.tune}"
        return f"{called(self.start)}{tune}, {self.labels} labels, seed {self.seed}"


def _plain(start: str) -> str:
    """A start as part of a folder's name; two paths never give the same."""
    if re.fullmatch(r"[a-z-]+", start):
        return start
    name = re.sub(r"[^A-Za-z0-9_]+", "_", Path(start).stem)[:40]
    return f"{name}_{hashlib.sha256(os.fsencode(start)).hexdigest()[:8]}"


def cells(config: StudyConfig) -> list[Cell]:
    """All runs, seed by seed, so that a study cut short has whole seeds."""
    return [
        Cell(start, tune, labels, seed)
        for seed in config.seeds
        for labels in config.labels
        for tune in config.tunes
        for start in config.starts
    ]


def pretext_config(config: StudyConfig, pretext: str, seed: int) -> PretextConfig:
    """The pretext that the runs of one seed start from."""
    return PretextConfig.model_validate(
        {
            "schema": 1,
            "data": config.data,
            "model": config.model,
            "width": config.width,
            "size": config.size,
            "seed": seed,
            "device": config.device,
            "threads": config.threads,
            "pretext": pretext,
            "drop_leaks": config.drop_leaks,
            "recipe": config.pretext_recipe,
        }
    )


def run_config(config: StudyConfig, cell: Cell, epochs_longer: int = 0) -> RunConfig:
    """The configuration of one run.

    Runs of one budget, tuning and seed differ in ``start`` and ``pretext`` and in nothing else;
    ``scratch-longer`` differs in its epochs too, which is what it is for.
    """
    recipe = config.recipe
    if cell.start == SCRATCH_LONGER:
        recipe = recipe.model_copy(update={"epochs": recipe.epochs + epochs_longer})
    pretext = cell.start in PRETEXTS
    return RunConfig.model_validate(
        {
            "schema": 1,
            "data": config.data,
            "task": config.task,
            "model": config.model,
            "start": SCRATCH if cell.start == SCRATCH_LONGER else cell.start,
            "pretext": pretext_config(config, cell.start, cell.seed) if pretext else None,
            "tune": cell.tune,
            "width": config.width,
            "size": config.size,
            "labels": cell.labels,
            "seed": cell.seed,
            "score": config.score,
            "device": config.device,
            "threads": config.threads,
            "recipe": recipe,
        }
    )


def grown(before: StudyConfig, now: StudyConfig) -> StudyConfig:
    """The study with what was added: starts, tunings, budgets and seeds of both.

    What they are compared with may change: no run depends on it. Settings of pretexts are of the
    study that has pretexts, where only one has.

    Raises:
        UsageError: anything else differs; says what.
    """
    both = {
        name: tuple(dict.fromkeys((*getattr(before, name), *getattr(now, name))))
        for name in _MAY_GROW
    }
    both["labels"], both["seeds"] = tuple(sorted(both["labels"])), tuple(sorted(both["seeds"]))
    has, will_have = (bool(set(its.starts) & set(PRETEXTS)) for its in (before, now))
    if not (has and will_have):
        both |= {name: getattr(before if has else now, name) for name in _OF_PRETEXTS}
    after = now.model_copy(update=both)
    same = before.model_copy(update={**both, "against": now.against})
    changed = [d for d in differences(same, after) if not d.startswith("data: ")]
    if changed:
        message = f"the study was begun with other settings (old -> new): {'; '.join(changed)}"
        hint = "starts, budgets and seeds may be added; for anything else choose another --out"
        raise UsageError(Finding("settings-differ", "error", message, hint))
    return after


@dataclass(frozen=True)
class Plan:
    """What a study consists of, and how much of it is done.

    Attributes:
        config: with what the folder already held.
        done: lines of the ledger, by run.
        todo: runs that are not in it.
        folders: of the pretexts, by pretext and seed.
    """

    config: StudyConfig
    done: dict[str, dict[str, Any]]
    todo: tuple[Cell, ...]
    folders: dict[tuple[str, int], str]


def plan(config: StudyConfig, out: Path) -> Plan:
    """What there is to do. Writes nothing.

    Raises:
        UsageError: ``out`` holds something else, or the starts make no study.
        DataError: the data are at fault, or others than the finished runs are of; or the ledger and
            its runs contradict each other.
    """
    whole = sizes_of(Path(config.data), config.task).pictures["train"]
    begun = out / "config.json"
    if begun.exists():
        config = grown(read_study_config(begun), config)
    elif found := strangers(out, _OURS):
        message = f"{out} is not empty and holds no study"
        hint = "choose another --out"
        raise UsageError(Finding("not-a-study", "error", message, hint, found))
    done = _read_ledger(out)
    todo = tuple(cell for cell in cells(config) if cell.run not in done)
    _check(config, whole, {cell.start for cell in todo})
    refuse_other_data(run_config(config, cells(config)[0]), out, done)
    return Plan(config, done, todo, _pretext_folders(config))


def _check(config: StudyConfig, whole: int, needed: set[str]) -> None:
    """Says all that would stop a study later; starts of finished runs are needed no more."""
    findings: list[Finding] = []
    if config.task == "classification":
        check_network(config.model)
        check_size(config.model, config.size)
    else:
        check_segmenter(config.model, config.size)
    for start in config.starts:
        if start in needed and start not in (SCRATCH, SCRATCH_LONGER, IMAGENET, *PRETEXTS):
            try:
                weights_file(start)
            except UsageError as e:
                findings += e.findings
    if SCRATCH_LONGER in config.starts and not set(config.starts) & set(PRETEXTS):
        message = f"{SCRATCH_LONGER} trains for as many steps more as a pretext takes"
        hint = "name a pretext among the --starts"
        findings.append(Finding("no-pretext", "error", message, hint))
    findings += [f for n in config.labels if n > whole for f in budget_too_large(n, whole).findings]
    if findings:
        raise UsageError(findings)


def _pretext_folders(config: StudyConfig) -> dict[tuple[str, int], str]:
    """By content of settings and pictures: what is trained once is found again by all runs."""
    names = [start for start in config.starts if start in PRETEXTS]
    if not names:
        return {}
    pictures = find_pretext_pictures(Path(config.data))
    content = digest((*pictures.train, *pictures.validation), pictures.root)
    folders = {}
    for name in names:
        for seed in config.seeds:
            settings = pretext_config(config, name, seed).model_dump(exclude={"data"})
            made_of = json.dumps([settings, content], sort_keys=True)
            short = hashlib.sha256(made_of.encode()).hexdigest()[:8]
            folders[name, seed] = f"starts/{name}-{seed}-{short}"
    return folders


def expected_steps(todo: Plan, tune: str | None = None) -> tuple[int, int, int]:
    """Optimizer steps of the runs to do and of their pretexts, at most, and how many pretexts.

    Args:
        todo: the study.
        tune: of one tuning only; by default of all.
    """
    config = todo.config
    whole = sizes_of(Path(config.data), config.task).pictures["train"]
    recipe = config.recipe
    before = recipe.head_epochs if isinstance(recipe, ClassifierRecipe) else 0
    steps = sum(
        (recipe.epochs + before * (cell.tune == "staged"))
        * steps_per_epoch(whole if recipe.epoch == "steps" else cell.labels, recipe.batch)
        for cell in todo.todo
        if tune in (None, cell.tune)
    )
    needed = {(c.start, c.seed) for c in todo.todo if c.start in PRETEXTS}
    if not needed:
        return steps, 0, 0
    pictures = len(find_pretext_pictures(Path(config.data)).train)
    each = config.pretext_recipe.epochs * steps_per_epoch(pictures, config.pretext_recipe.batch)
    longer = sum(c.start == SCRATCH_LONGER for c in todo.todo)
    return steps + longer * each, len(needed) * each, len(needed)


def study(
    config: StudyConfig,
    out: Path,
    listener: Listener,
    tell: Callable[[str], None],
    jobs: int = 1,
    checkpoint_seconds: float = 10.0,
) -> dict[str, Any]:
    """Runs what is missing of a study, compares, and writes ``study.json``.

    Args:
        config: all that decides the result; what the folder already holds is added to it.
        out: the study's folder; made if need be.
        listener: told how each training goes, where one runs at a time.
        tell: told in words what is done.
        jobs: how many runs at a time, each in a process of its own. The results do not depend on
            it, for the threads of a run are part of its settings.
        checkpoint_seconds: at most about this much work of each run is lost by a kill.

    Returns:
        The content of ``study.json``.

    Raises:
        HeadstartError: as [`plan`][] and [`train`][headstart.run.train]; what is finished is kept.
    """
    planned = plan(config, out)
    # What would stop it after hours, and then be one of its starts for good, is refused now.
    classes = sizes_of(Path(config.data), config.task).classes
    try_starts({cell.start for cell in planned.todo}, planned.config, classes)
    with locked(out), Stopping() as stopping:
        todo = plan(config, out)
        write_atomic(out / "config.json", to_json(todo.config))
        ledger = dict(todo.done)
        _write_ledger(out, ledger, todo.config)
        whole = len(cells(todo.config))
        works = _works(todo, out, checkpoint_seconds)
        for work, scores in working(works, jobs, listener, stopping):
            cell = work.about
            if isinstance(cell, Cell):
                ledger[cell.run] = _entry(cell, out / cell.run)
                _write_ledger(out, ledger, todo.config)
                without_checkpoints(out / cell.run)
                seconds = ledger[cell.run]["seconds"]
                metric = METRIC[todo.config.task]
                tell(
                    f"[{len(ledger)}/{whole}] {cell}: {metric} {_shown(scores[metric])} (constant "
                    f"{_shown(scores['trivial'][metric])}), {seconds / 60:.1f} min"
                )
                if not any(c.seed == cell.seed and c.run not in ledger for c in todo.todo):
                    _write_study(out, todo.config, ledger)
            else:
                shutil.rmtree(work.out / "checkpoint", ignore_errors=True)
                tell(
                    f"{work.about}: loss {scores['loss']:.5f} (without learning "
                    f"{scores['trivial']['loss']:.5f})"
                )
        if stopping.signal is not None:
            message = f"stopped with {len(ledger)} of {whole} runs done; all is saved in {out}"
            hint = f"the same command again continues (--out {out})"
            finding = Finding("interrupted", "info", message, hint)
            raise InterruptedRun(finding, stopping.signal)
        return _write_study(out, todo.config, ledger)


def without_checkpoints(run: Path) -> None:
    """Removes what a finished run needs no more: of large networks it is gigabytes."""
    for folder in (run / "checkpoint", *run.glob("*/checkpoint")):
        shutil.rmtree(folder, ignore_errors=True)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _works(todo: Plan, out: Path, checkpoint_seconds: float) -> list[Work]:
    """What is to be done, seed by seed, pretexts before their runs."""
    config = todo.config
    works: list[Work] = []
    pretexts = [start for start in config.starts if start in PRETEXTS]
    for seed in config.seeds:
        mine = [cell for cell in todo.todo if cell.seed == seed]
        longer = any(cell.start == SCRATCH_LONGER for cell in mine)
        needed = {cell.start for cell in mine} & set(PRETEXTS) | set(pretexts[:1] if longer else ())
        for name in pretexts:
            if name in needed:
                folder = out / todo.folders[name, seed]
                make = functools.partial(pretext_config, config, name, seed)
                about = f"pretext {name}, seed {seed}"
                works.append(Work(about, folder, make, out / "cache", checkpoint_seconds))
        for cell in mine:
            before = cell.start if cell.start in PRETEXTS else None
            if cell.start == SCRATCH_LONGER:
                before = pretexts[0]
            needs = out / todo.folders[before, seed] if before else None
            its = functools.partial(_run_config, config, cell, needs)
            works.append(Work(cell, out / cell.run, its, out / "cache", checkpoint_seconds, needs))
    return works


def _run_config(config: StudyConfig, cell: Cell, pretext: Path | None) -> RunConfig:
    return run_config(config, cell, _epochs_longer(config, cell, pretext))


def _epochs_longer(config: StudyConfig, cell: Cell, pretext: Path | None) -> int:
    """How many epochs of this study's recipe have the steps that the pretext took."""
    if cell.start != SCRATCH_LONGER or pretext is None:
        return 0
    steps = json.loads((pretext / "scores.json").read_bytes())["steps"]
    whole = sizes_of(Path(config.data), config.task).pictures["train"]
    passes = whole if config.recipe.epoch == "steps" else cell.labels
    return int(-(-steps // steps_per_epoch(passes, config.recipe.batch)))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _entry(cell: Cell, run: Path) -> dict[str, Any]:
    timing = [json.loads(line) for line in (run / "timing.jsonl").read_text().splitlines()]
    return {
        "run": cell.run,
        **asdict(cell),
        "frames_sha256": _sha256(run / "frames.csv"),
        "steps": sum(row["steps"] for row in timing),
        "seconds": sum(row["train_seconds"] + row["validation_seconds"] for row in timing),
    }


def _write_ledger(out: Path, ledger: dict[str, dict[str, Any]], config: StudyConfig) -> None:
    order = {cell.run: i for i, cell in enumerate(cells(config))}
    lines = sorted(ledger.values(), key=lambda line: order[line["run"]])
    write_atomic(out / "ledger.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def _read_ledger(out: Path) -> dict[str, dict[str, Any]]:
    """Its lines by run, each checked against the run it tells of."""
    path = out / "ledger.jsonl"
    if not path.exists():
        return {}
    try:
        lines = {entry["run"]: entry for entry in map(json.loads, path.read_text().splitlines())}
    except (ValueError, KeyError, TypeError):
        message = f"{path} is damaged: expected a JSON object with run in each line"
        raise DataError(Finding("bad-ledger", "error", message, "restore it from a copy")) from None
    wrong = []
    for name, line in lines.items():
        frames = out / name / "frames.csv"
        scores = out / name / "scores.json"
        if not (frames.exists() and scores.exists() and _sha256(frames) == line["frames_sha256"]):
            wrong.append(name)
    if wrong:
        message = f"{len(wrong)} runs are in the ledger, but their frames.csv is gone or changed"
        hint = "restore them, or remove their lines from ledger.jsonl to run them again"
        raise DataError(Finding("ledger-differs", "error", message, hint, tuple(wrong)))
    return lines


def _write_study(out: Path, config: StudyConfig, ledger: dict[str, Any]) -> dict[str, Any]:
    records = []
    for cell in cells(config):
        if cell.run in ledger:
            scores = json.loads((out / cell.run / "scores.json").read_bytes())
            records.append({**asdict(cell), "run": cell.run, "scores": scores})
    frames: tuple[Frame, ...] = ()
    if config.task == "segmentation":
        frames = open_dataset(Path(config.data)).splits[config.score]
    record = {"schema": 1, "records": records, **compare(records, out, config, frames)}
    write_json(out / "study.json", record)
    return record
