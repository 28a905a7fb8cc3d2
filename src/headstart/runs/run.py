"""One run: load the start, train, score once, write figures and model card to one folder.

A pretext is a run as well; its weights are the start of other runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from headstart.config.files import to_json
from headstart.config.records import PretextConfig, RunConfig
from headstart.config.start_names import IMAGENET, is_published
from headstart.errors import Finding
from headstart.models.classifiers import versioned
from headstart.records.calibration import CALIBRATION
from headstart.records.run_records import (
    ENVIRONMENT,
    LEAKS,
    METRICS,
    SCORES,
    TIMING,
    WEIGHTS,
    read_environment,
)
from headstart.records.vouching import discard_manifest, write_manifest
from headstart.runs.card import model_card
from headstart.runs.folder import check_folder, how_to_continue, is_finished, weights_missing
from headstart.runs.initial_weights import given_source, moved_start, seen_by_start, source_of
from headstart.runs.records import Recording, record_environment, refuse_changed_data
from headstart.scores.frames_csv import FRAMES
from headstart.system.claims import Claim
from headstart.system.disk import disk_errors, json_text, locked, sweep, write_atomic, write_json
from headstart.system.signals import Stopping
from headstart.tasks.budgets import LABELS
from headstart.tasks.interface import Stage, Task
from headstart.tasks.lookup import task_named
from headstart.tasks.pretext import pictures_of
from headstart.training.checkpoint import save_weights
from headstart.training.fit import State, fit
from headstart.training.listener import Listener, ignore

_RECORDS = (
    "config.json", ENVIRONMENT, METRICS, TIMING, LEAKS, LABELS, FRAMES, WEIGHTS, CALIBRATION
)  # fmt: skip


def train(
    config: RunConfig | PretextConfig,
    out: Path,
    listener: Listener,
    checkpoint_seconds: float = 10.0,
    cache: Path | None = None,
    pretext_run: Path | None = None,
    dataset: Any = None,
    claim: Claim | None = None,
) -> dict[str, Any]:
    """Train and score one run in ``out``, or resume it; return at once if it is finished.

    Args:
        config: configuration of the run.
        out: folder of the run; created if necessary.
        listener: receives progress events.
        checkpoint_seconds: seconds between checkpoints.
        cache: folder for decoded pictures; by default inside ``out``.
        pretext_run: folder of the pretext that the run starts from, trained there if necessary; by
            default ``out/start``.
        dataset: result of the task's ``open`` for ``config.data``; opened here by default.
        claim: checked before anything is written, if other processes might train the run, too.

    Returns:
        The content of ``scores.json``.

    Raises:
        DataError: the data or the start cannot be used, or have changed since the run began.
        UsageError: ``out`` holds a run with other settings, or other files.
        LockedError: another process uses ``out``, or has taken over the claim.
        InterruptedRun: SIGINT or SIGTERM was received; the state is saved.
    """
    task = task_named(config.task)
    task.check(config)  # before the folder is created
    dataset = task.open(Path(config.data)) if dataset is None else dataset
    pretext_run = pretext_run or out / "start"
    check_claim = ignore if claim is None else claim.check
    check_folder(config, out)
    if is_finished(out, task.finished):  # reading needs no lock: the disk may be read-only
        return _finished_scores(task, config, dataset, out, listener)
    with locked(out), Stopping() as stopping:
        check_folder(config, out)
        if is_finished(out, task.finished):
            return _finished_scores(task, config, dataset, out, listener)
        check_claim()
        discard_manifest(out)
        torch.set_num_threads(config.threads)
        cache = cache or out / "cache"
        begins_published = config.start_pretext is not None and is_published(config.start)
        if begins_published and not (pretext_run / "weights.safetensors").exists():
            given_source(IMAGENET, config.model)  # fails before anything is written
        prepared = task.prepare(config, dataset, cache)
        for finding in prepared.findings:
            listener.finding(finding)
        if config.start_pretext is not None:
            write_atomic(
                out / "config.json", to_json(config)
            )  # marks the folder during the pretext
        pretrain = functools.partial(
            _pretrain, dataset, listener=listener, seconds=checkpoint_seconds, cache=cache
        )
        source = source_of(config, pretext_run, pretrain)
        if stopping.asked():  # while the pretext was being scored
            finding = how_to_continue(out, 0, 0, config.recipe.epochs)
            raise stopping.interrupted(finding)
        listener.begins(prepared.title)
        network, moved = prepared.network(source)
        check_claim()
        write_atomic(out / "config.json", to_json(config))  # only now: the start fits the network
        for name, record in prepared.records.items():
            write_json(out / name, record)
        data, facts = dict(prepared.data), dict(prepared.facts)
        if moved is not None:
            for finding in moved.findings:
                listener.finding(finding)
            facts = {"start": moved.to_json(), **facts}
            if moved.weights_sha256 is not None:
                data["start"] = moved.weights_sha256
        facts |= seen_by_start(config, pretext_run, dataset)
        executor = "local" if claim is None else claim.holder.executor
        record_environment(out, config, data, facts, executor)
        state, names = None, []
        for stage in prepared.stages(network):
            args = (stopping.asked, checkpoint_seconds, check_claim)
            state = _fit(stage, config, out, listener, *args)
            if stopping.asked():
                finding = how_to_continue(out, len(state.history), state.step, stage.recipe.epochs)
                raise stopping.interrupted(finding)
            assert state.best_weights is not None
            stage.model.load_state_dict(versioned(stage.model, state.best_weights))
            names += [stage.name] if stage.name else []
        assert state is not None
        check_claim()
        save_weights(out / WEIGHTS, network.state_dict(), prepared.weights_facts)
        scored = prepared.score(network, state, out)
        if stopping.asked():
            message = "asked to stop while the run was being scored: it is finished"
            listener.finding(Finding("stopped-after-the-end", "info", message))
        check_claim()
        write_atomic(out / "README.md", model_card(config, scored, state, out))
        content = json_text(scored.scores).encode()
        of_stages = (f"{name}/{METRICS}" for name in names)
        write_manifest(out, (*_RECORDS, *of_stages), {SCORES: content})
        write_atomic(out / SCORES, content)  # last: it marks the run as finished
        return scored.scores


def _finished_scores(
    task: Task,
    config: RunConfig | PretextConfig,
    dataset: Any,
    out: Path,
    listener: Listener,
) -> dict[str, Any]:
    """Return the scores of a finished run, which are those of the data that it began with."""
    before = read_environment(out).data
    now = {**task.hashes(dataset, config, out), **moved_start(config, out)}
    refuse_changed_data(out, before, now)
    if not (out / WEIGHTS).exists():
        listener.finding(weights_missing(out, "warning"))
    return task.read_scores(out)


def _pretrain(
    dataset: Any,
    config: PretextConfig,
    out: Path,
    *,
    listener: Listener,
    seconds: float,
    cache: Path,
) -> None:
    """Train the pretext that a run starts from, on the dataset that the run has opened."""
    train(config, out, listener, seconds, cache, dataset=pictures_of(dataset))


def _fit(
    stage: Stage,
    config: RunConfig | PretextConfig,
    out: Path,
    listener: Listener,
    stop: Callable[[], bool],
    checkpoint_seconds: float,
    check_claim: Callable[[], None],
) -> State:
    folder = out / stage.name
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
        if stage.name:  # the lock swept the folder of the run itself
            sweep(folder)
            sweep(folder / "checkpoint")
    recording = Recording(listener, out, stage.name, stage.constant, check_claim)
    if stage.seconds:
        recording.features(stage.seconds)
    return fit(
        stage.model,
        stage.source,
        stage.recipe,
        seed=config.seed,
        steps=stage.steps,
        device=torch.device(config.device),
        folder=folder / "checkpoint",
        stop=stop,
        listener=recording,
        checkpoint_seconds=checkpoint_seconds,
        before_saving=check_claim,
    )
