"""What a study consists of, and how much of it is left to do."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.batches import steps_per_epoch
from headstart.data.decoded_frames import digest
from headstart.errors import DataError, Finding, UsageError
from headstart.runs.folder import strangers
from headstart.runs.records import refuse_other_data
from headstart.studies.ledger import Ledger, read_ledger
from headstart.studies.verdicts import called
from headstart.tasks.budgets import budget_too_large
from headstart.tasks.interface import Sizes
from headstart.tasks.lookup import labelled_task, task_named
from headstart.tasks.pretext import PretextPictures, pictures_of
from headstart.training.config import (
    IMAGENET,
    PRETEXT_NAMES,
    SCRATCH,
    SCRATCH_LONGER,
    PretextConfig,
    RunConfig,
    StudyConfig,
    weights_file,
)
from headstart.training.config_files import differences, read_study_config

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
    pretext = cell.start in PRETEXT_NAMES
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
    has, will_have = (bool(set(its.starts) & set(PRETEXT_NAMES)) for its in (before, now))
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
        done: the ledger.
        todo: runs that are not in it.
        folders: of the pretexts, by pretext and seed.
        dataset: what the task's ``open`` gave.
        sizes: of the dataset.
        pictures: that pretexts are trained on; None without pretexts.
        found: content of ``config.json`` and ``ledger.jsonl`` that the plan was made from.
    """

    config: StudyConfig
    done: Ledger
    todo: tuple[Cell, ...]
    folders: dict[tuple[str, int], str]
    dataset: Any
    sizes: Sizes
    pictures: PretextPictures | None
    found: tuple[bytes | None, bytes | None]


def plan(config: StudyConfig, out: Path, dataset: Any = None) -> Plan:
    """What there is to do. Writes nothing, and loads no torch where nothing is.

    Args:
        config: of the study; what the folder already holds is added to it.
        out: the study's folder.
        dataset: what the task's ``open`` gave for ``config.data``; by default it is opened here.

    Raises:
        UsageError: ``out`` holds something else, or the starts make no study.
        DataError: the data are at fault, or others than the finished runs are of; or the ledger and
            its runs contradict each other.
    """
    task = labelled_task(config.task)
    dataset = task.open(Path(config.data)) if dataset is None else dataset
    sizes, found = task.sizes(dataset), _found(out)
    begun = out / "config.json"
    if begun.exists():
        config = grown(read_study_config(begun), config)
    elif (out / "ledger.jsonl").exists():
        message = f"{out} holds a ledger of runs, and no config.json that says what they are"
        hint = "restore config.json; or choose another --out"
        raise UsageError(Finding("not-a-study", "error", message, hint))
    elif strange := strangers(out, _OURS):
        message = f"{out} is not empty and holds no study"
        hint = "choose another --out"
        raise UsageError(Finding("not-a-study", "error", message, hint, strange))
    done = read_ledger(out)
    all_cells = cells(config)
    if unknown := tuple(sorted(done.keys() - {cell.run for cell in all_cells})):
        message = f"{len(unknown)} runs in the ledger do not belong to the study in config.json"
        hint = "restore config.json, or remove their lines from ledger.jsonl"
        raise DataError(Finding("ledger-differs", "error", message, hint, unknown))
    todo = tuple(cell for cell in all_cells if cell.run not in done)
    _check(config, sizes.pictures["train"], todo)
    runs = (out / run for run in done)
    refuse_other_data(task, run_config(config, all_cells[0]), dataset, out, runs)
    folders: dict[tuple[str, int], str] = {}
    pictures = None
    if pretexts := [start for start in config.starts if start in PRETEXT_NAMES]:
        pictures = pictures_of(dataset)
        pretext = pretext_config(config, pretexts[0], config.seeds[0])
        learned, unlabelled = _learned(out, done), " without labels"
        refuse_other_data(task_named("pretext"), pretext, pictures, out, learned, unlabelled)
        folders = _pretext_folders(config, pictures)
    return Plan(config, done, todo, folders, dataset, sizes, pictures, found)


def unbegun(config: StudyConfig) -> Plan:
    """The plan of a study that has not begun, whether or not its starts are there yet."""
    task = labelled_task(config.task)
    dataset = task.open(Path(config.data))
    sizes = task.sizes(dataset)
    return Plan(config, {}, tuple(cells(config)), {}, dataset, sizes, None, (None, None))


def replanned(planned: Plan, out: Path) -> Plan:
    """The plan, made anew if another process has changed the folder since: hashing takes time."""
    same = _found(out) == planned.found
    return planned if same else plan(planned.config, out, planned.dataset)


def _found(out: Path) -> tuple[bytes | None, bytes | None]:
    paths = (out / "config.json", out / "ledger.jsonl")
    config, ledger = (path.read_bytes() if path.is_file() else None for path in paths)
    return config, ledger


def _check(config: StudyConfig, available: int, todo: tuple[Cell, ...]) -> None:
    """Says all that would stop a study later; starts of finished runs are needed no more."""
    findings: list[Finding] = []
    if todo:
        labelled_task(config.task).check(config)
    needed = {cell.start for cell in todo}
    for start in config.starts:
        if start in needed and start not in (SCRATCH, SCRATCH_LONGER, IMAGENET, *PRETEXT_NAMES):
            try:
                weights_file(start)
            except UsageError as e:
                findings += e.findings
    if SCRATCH_LONGER in config.starts and not set(config.starts) & set(PRETEXT_NAMES):
        message = f"{SCRATCH_LONGER} trains for as many steps more as a pretext takes"
        hint = "name a pretext among the --starts"
        findings.append(Finding("no-pretext", "error", message, hint))
    too_large = (budget_too_large(n, available) for n in config.labels if n > available)
    findings += [finding for error in too_large for finding in error.findings]
    if findings:
        raise UsageError(findings)


def _learned(out: Path, done: Ledger) -> list[Path]:
    """The folders of pretexts that finished runs started from."""
    used = {(line["start"], str(line["seed"])) for line in done.values()}
    finished = sorted(path.parent for path in out.glob("starts/*/scores.json"))
    return [folder for folder in finished if tuple(folder.name.rsplit("-", 2)[:2]) in used]


def _pretext_folders(config: StudyConfig, pictures: PretextPictures) -> dict[tuple[str, int], str]:
    """By content of settings and pictures: what is trained once is found again by all runs."""
    content = digest(pictures.pool, pictures.root)
    folders = {}
    for name in config.starts:
        for seed in config.seeds if name in PRETEXT_NAMES else ():
            settings = pretext_config(config, name, seed).model_dump(exclude={"data"})
            made_of = json.dumps([settings, content], sort_keys=True)
            short = hashlib.sha256(made_of.encode()).hexdigest()[:8]
            folders[name, seed] = f"starts/{name}-{seed}-{short}"
    return folders


def steps_an_epoch(planned: Plan, labels: int) -> int:
    """Optimizer steps of an epoch of a run with so many labels."""
    recipe = planned.config.recipe
    pictures = planned.sizes.pictures["train"] if recipe.epoch == "steps" else labels
    return steps_per_epoch(pictures, recipe.batch)


def expected_steps(planned: Plan, tune: str | None = None) -> tuple[int, int, int]:
    """Optimizer steps of the runs to do and of their pretexts, at most, and how many pretexts.

    Args:
        planned: the study.
        tune: of one tuning only; by default of all.
    """
    config, task = planned.config, labelled_task(planned.config.task)
    steps = sum(
        epochs * steps_an_epoch(planned, cell.labels)
        for cell in planned.todo
        if tune in (None, cell.tune)
        for _, epochs in task.trainings(run_config(config, cell))
    )
    needed = {(c.start, c.seed) for c in planned.todo if c.start in PRETEXT_NAMES}
    if not needed or planned.pictures is None:
        return steps, 0, 0
    recipe = config.pretext_recipe
    each = recipe.epochs * steps_per_epoch(len(planned.pictures.train), recipe.batch)
    longer = sum(c.start == SCRATCH_LONGER for c in planned.todo)
    return steps + longer * each, len(needed) * each, len(needed)
