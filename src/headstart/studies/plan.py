"""The plan of a study: its finished runs, and the runs left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.config.files import differences, read_study_config
from headstart.config.methods import SEMI_SUPERVISED, parted, start_of_arm
from headstart.config.records import StudyConfig
from headstart.config.start_files import weights_file
from headstart.config.start_names import IMAGENET, PRETEXT_NAMES, SCRATCH, SCRATCH_LONGER
from headstart.data.decoded_frames import digest
from headstart.data.layouts.dataset import LABELLED
from headstart.errors import DataError, Finding, UsageError
from headstart.records.run_records import ENVIRONMENT, read_environment
from headstart.records.vouching import STUDY
from headstart.runs.folder import strangers
from headstart.runs.records import refuse_other_data
from headstart.runs.seen_starts import refuse_seen_starts
from headstart.scores.pooled import Groups
from headstart.studies.cells import Cell, cells, pretext_config, pretexts_of, run_config
from headstart.studies.counts_of_runs import numbered_groups
from headstart.studies.ledger import Ledger, read_ledger
from headstart.studies.looks import seen_by
from headstart.studies.verdicts import prospects
from headstart.tasks.budgets import budget_too_large, sizes_in_folds
from headstart.tasks.interface import DatasetSize
from headstart.tasks.lookup import labelled_task, task_named
from headstart.tasks.pretext import PretextPictures, hashes_of_folds, pictures_of

_OURS = (
    ".lock", "cache", "config.json", "ledger.jsonl", "study.json", "runs", "starts", "ensembles",
    "report", "report.html", "claims", "units.json",
)  # fmt: skip
_NAMED = (SCRATCH, SCRATCH_LONGER, IMAGENET, *PRETEXT_NAMES)  # any other start is a file
_MAY_GROW = ("starts", "tunes", "labels", "seeds")
_OF_PRETEXTS = ("pretext_recipe", "drop_leaks")


def grown(before: StudyConfig, now: StudyConfig) -> StudyConfig:
    """Return the study with the starts, tunings, budgets and seeds of both configurations.

    The reference start (``against``) may change, as no run depends on it. If only one of the two
    has pretexts, their settings come from that one.

    Args:
        before: configuration in the study's folder.
        now: the new configuration.

    Raises:
        UsageError: another setting differs; lists the differences.
    """
    united = {
        name: tuple(dict.fromkeys((*getattr(before, name), *getattr(now, name))))
        for name in _MAY_GROW
    }
    for name in ("labels", "seeds"):
        united[name] = tuple(sorted(united[name]))
    had, has = (bool(pretexts_of(config)) for config in (before, now))
    if not (had and has):
        united |= {name: getattr(before if had else now, name) for name in _OF_PRETEXTS}
    united["seen"] = before.seen
    after = now.model_copy(update=united)
    same = before.model_copy(update={**united, "against": now.against})
    changed = [d for d in differences(same, after) if not d.startswith("data: ")]
    if changed:
        message = f"the study has other settings (old -> new): {'; '.join(changed)}"
        hint = "add starts, budgets or seeds only; to change other settings choose another --out"
        raise UsageError(Finding("settings-differ", "error", message, hint))
    return after


@dataclass(frozen=True)
class Plan:
    """The finished runs of a study, and the runs left.

    Attributes:
        config: configuration, merged with the one in the study's folder.
        done: ledger of the finished runs.
        todo: runs that are not in the ledger.
        folders: folders of the pretexts of each pretext and seed: one, or one for each fold.
        dataset: result of the task's ``open``.
        sizes: numbers of classes and pictures.
        pictures: pictures of the pretexts; None without pretexts.
        files: content of ``config.json`` and ``ledger.jsonl`` that the plan is based on.
    """

    config: StudyConfig
    done: Ledger
    todo: tuple[Cell, ...]
    folders: dict[tuple[str, int], tuple[str, ...]]
    dataset: Any
    sizes: DatasetSize
    pictures: PretextPictures | None
    files: tuple[bytes | None, bytes | None]


def plan(config: StudyConfig, out: Path, dataset: Any = None) -> Plan:
    """Plan a study, without writing anything; a finished study needs no torch.

    Args:
        config: configuration of the study; merged with the one in ``out``.
        out: folder of the study.
        dataset: result of the task's ``open`` for ``config.data``; opened here by default.

    Raises:
        UsageError: ``out`` holds other files or a study with other settings, or a start or budget
            cannot be used.
        DataError: the data cannot be used or have changed since a run finished; or the ledger
            contradicts the runs.
    """
    task = labelled_task(config.task)
    dataset = task.open(Path(config.data)) if dataset is None else dataset
    files = _files(out)
    path = out / "config.json"
    before = read_study_config(path) if path.exists() else None
    if before is not None:
        config = grown(before, config)
    elif (out / "ledger.jsonl").exists():
        message = f"{out} holds a ledger of runs without the config.json of its study"
        hint = "restore config.json, or choose another --out"
        raise UsageError(Finding("not-a-study", "error", message, hint))
    elif others := strangers(out, _OURS):
        message = f"{out} is not empty and holds no study"
        hint = "choose another --out"
        raise UsageError(Finding("not-a-study", "error", message, hint, others))
    sizes = _sizes(config, dataset)
    done = read_ledger(out)
    if before is not None:
        finished = (out / STUDY).exists() and all(cell.run in done for cell in cells(before))
        config = config.model_copy(update={"seen": seen_by(before, config, finished)})
    all_cells = cells(config)
    if unknown := tuple(sorted(done.keys() - {cell.run for cell in all_cells})):
        message = f"{len(unknown)} runs in the ledger do not belong to the study in config.json"
        hint = "restore config.json, or remove their lines from ledger.jsonl"
        raise DataError(Finding("ledger-differs", "error", message, hint, unknown))
    todo = tuple(cell for cell in all_cells if cell.run not in done)
    _check(config, dataset, sizes.pictures["train"], todo)
    finished_cells = [cell for cell in all_cells if cell.run in done]
    runs = ((out / cell.run, run_config(config, cell)) for cell in finished_cells)
    refuse_other_data(task, dataset, out, runs)
    _refuse_other_starts(out, finished_cells, todo)
    folders: dict[tuple[str, int], tuple[str, ...]] = {}
    pictures = None
    if pretexts := pretexts_of(config):
        pictures = pictures_of(dataset)
        fold = _folds_of_pretexts(config, pictures)[0]
        pretext = pretext_config(config, pretexts[0], config.seeds[0], fold)
        pretext_runs = ((run, pretext) for run in _used_pretexts(out, done))
        suffix = " without labels"
        refuse_other_data(task_named("pretext"), pictures, out, pretext_runs, suffix)
        folders = _pretext_folders(config, pictures)
    return Plan(config, done, todo, folders, dataset, sizes, pictures, files)


def unbegun(config: StudyConfig, dataset: Any) -> Plan:
    """Plan a study that has not begun and whose starts may not exist yet, without hashing pictures.

    The names of its pretexts' folders are not those that it will have.
    """
    sizes, todo = _sizes(config, dataset), tuple(cells(config))
    names = pretexts_of(config)
    if not names:
        return Plan(config, {}, todo, {}, dataset, sizes, None, (None, None))
    pictures = pictures_of(dataset)
    folds = _folds_of_pretexts(config, pictures)
    folders = {
        (name, seed): tuple(f"starts/{name}-{seed}-{fold}" for fold in folds)
        for name in names
        for seed in config.seeds
    }
    return Plan(config, {}, todo, folders, dataset, sizes, pictures, (None, None))


def _sizes(config: StudyConfig, dataset: Any) -> DatasetSize:
    task = labelled_task(config.task)
    if config.folds is None:
        return task.sizes(dataset)
    return sizes_in_folds(task, dataset, config.folds)


def scored_groups(config: StudyConfig, dataset: Any) -> Groups | None:
    """Return the groups of the frames that every run of a study is scored on, as numbers."""
    task = labelled_task(config.task)
    if config.folds is None:
        return numbered_groups(task.groups(dataset, config.score))
    return numbered_groups(task.groups(task.pooled(dataset), LABELLED))


def replanned(planned: Plan, out: Path) -> Plan:
    """Return the plan, made again only if another process has changed the folder.

    Planning hashes all pictures, which takes time.

    Raises:
        HeadstartError: as [`plan`][].
    """
    unchanged = _files(out) == planned.files
    return planned if unchanged else plan(planned.config, out, planned.dataset)


def _files(out: Path) -> tuple[bytes | None, bytes | None]:
    paths = (out / "config.json", out / "ledger.jsonl")
    config, ledger = (path.read_bytes() if path.is_file() else None for path in paths)
    return config, ledger


def _check(config: StudyConfig, dataset: Any, available: int, todo: tuple[Cell, ...]) -> None:
    """Report everything that would stop a study later; starts of finished runs are not needed."""
    findings: list[Finding] = []
    if todo:
        labelled_task(config.task).check(config)
    needed = {start_of_arm(cell.start) for cell in todo}
    for start in dict.fromkeys(map(start_of_arm, config.starts)):
        if start in needed and start not in _NAMED:
            try:
                weights_file(start)
            except UsageError as e:
                findings += e.findings
    if config.folds is not None:
        try:
            refuse_seen_starts(config, needed, dataset)
        except UsageError as e:
            findings += e.findings
    if SCRATCH_LONGER in config.starts and not pretexts_of(config):
        message = f"{SCRATCH_LONGER} adds the training steps of a pretext, and --starts has none"
        hint = f"add a pretext to --starts: {', '.join(PRETEXT_NAMES)}"
        findings.append(Finding("no-pretext", "error", message, hint))
    findings += _without_unlabelled(config, dataset, available, todo)
    too_large = (budget_too_large(n, available) for n in config.labels if n > available)
    findings += [finding for error in too_large for finding in error.findings]
    if findings:
        raise UsageError(findings)


def _without_unlabelled(
    config: StudyConfig, dataset: Any, available: int, todo: Sequence[Cell]
) -> list[Finding]:
    """Return an error if semi-supervised runs have no pictures beyond their labels."""
    taught = [c.labels for c in todo if parted(c.start)[1] == SEMI_SUPERVISED]
    if not taught or max(taught) < available or any(dataset.unlabelled.values()):
        return []
    message = f"{config.data} has no pictures without labels, and {max(taught)} labels leave none"
    hint = "add a folder of unlabelled pictures, or give smaller budgets, or leave out the method"
    return [Finding("no-unlabelled", "error", message, hint)]


def _refuse_other_starts(out: Path, finished: Sequence[Cell], todo: Sequence[Cell]) -> None:
    """Refuse to train from a file that is not the one which finished runs started from.

    Pretexts are trained anew for each seed, and published weights come as several files.

    Raises:
        DataError: a file changed; every such start is named.
    """
    findings = []
    for start in dict.fromkeys(start_of_arm(cell.start) for cell in todo):
        if start in _NAMED:
            continue
        runs = [out / cell.run for cell in finished if start_of_arm(cell.start) == start]
        used = {read_environment(r).data.get("start") for r in runs if (r / ENVIRONMENT).exists()}
        if used - {None, hashlib.sha256(weights_file(start).read_bytes()).hexdigest()}:
            message = f"{out} was trained from other weights than those of the start {start} now"
            hint = "restore the file, or begin another study in another --out"
            findings.append(Finding("data-changed", "error", message, hint))
    if findings:
        raise DataError(findings)


def _used_pretexts(out: Path, done: Ledger) -> list[Path]:
    """Return the folders of pretexts from which finished runs started."""
    used = {(start_of_arm(line["start"]), str(line["seed"])) for line in done.values()}
    finished = sorted(path.parent for path in out.glob("starts/*/scores.json"))
    return [folder for folder in finished if tuple(folder.name.rsplit("-", 2)[:2]) in used]


def _folds_of_pretexts(config: StudyConfig, pictures: PretextPictures) -> tuple[int | None, ...]:
    """Return the folds that need a pretext of their own; None once if they all share one."""
    if config.folds is None or pictures.shared_by_folds:
        return (None,)
    return tuple(range(1, config.folds + 1))


def _pretext_folders(
    config: StudyConfig, pictures: PretextPictures
) -> dict[tuple[str, int], tuple[str, ...]]:
    """Return the pretext folders, named by a hash of settings and pictures."""
    folds = _folds_of_pretexts(config, pictures)
    if folds == (None,):
        content = digest(pictures.pool, pictures.root)
    else:  # the pictures of a fold are drawn from all of these
        content = json.dumps(hashes_of_folds(pictures))

    def folder(name: str, seed: int, fold: int | None) -> str:
        settings = pretext_config(config, name, seed, fold).model_dump(exclude={"data"})
        # as in older versions, which had no such settings
        absent = [(settings, key) for key in ("precision", "folds", "fold")]
        for place, setting in (*absent, (settings["recipe"], "steps")):
            if place[setting] is None:
                del place[setting]
        if settings["framing"] == "squeeze":
            del settings["framing"]
        inputs = json.dumps([settings, content], sort_keys=True)
        short_hash = hashlib.sha256(inputs.encode()).hexdigest()[:8]
        return f"starts/{name}-{seed}-{short_hash}"

    return {
        (name, seed): tuple(folder(name, seed, fold) for fold in folds)
        for name in pretexts_of(config)
        for seed in config.seeds
    }


def prospects_of(planned: Plan, out: Path) -> tuple[dict[str, Any], ...]:
    """Return what the study could show, from its finished runs: see [`prospects`][]."""
    groups = scored_groups(planned.config, planned.dataset)
    return prospects(list(planned.done.values()), out, planned.config, groups)


def steps_of(planned: Plan, cell: Cell) -> int:
    """Return the most optimizer steps of a run's trainings, without those of its pretext.

    Of a cross-validation, those of one fold.
    """
    task, available = labelled_task(planned.config.task), planned.sizes.pictures["train"]
    trainings = task.trainings(run_config(planned.config, cell))
    return sum(run.recipe.total_steps(cell.labels, available) for run in trainings)


def expected_steps(planned: Plan, runs: Sequence[Cell] | None = None) -> tuple[int, int, int]:
    """Return the most optimizer steps of the runs left, and of their pretexts.

    Args:
        planned: plan of the study.
        runs: count only these of the runs left; by default all. Pretexts are counted anyway.

    Returns:
        Steps of the runs, steps of the pretexts, and number of pretexts.
    """
    config = planned.config
    folds = config.folds or 1
    counted = planned.todo if runs is None else runs
    steps = sum(steps_of(planned, cell) for cell in counted)
    starts = {(start_of_arm(c.start), c.seed) for c in planned.todo}
    needed = {(start, seed) for start, seed in starts if start in PRETEXT_NAMES}
    if not needed or planned.pictures is None:
        return folds * steps, 0, 0
    pretexts = sum(len(planned.folders[key]) for key in needed)
    pictures = len(planned.pictures.train)
    pretext_steps = config.pretext_recipe.total_steps(pictures, pictures)
    longer = sum(c.start == SCRATCH_LONGER for c in counted)
    return folds * (steps + longer * pretext_steps), pretexts * pretext_steps, pretexts
