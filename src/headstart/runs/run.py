"""One run: start, fit, score once, figures, card; all its records in one folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import torch

from headstart.errors import DataError, Finding, InterruptedRun
from headstart.models.classifiers import make_network, versioned
from headstart.models.encoder_unet import make_segmenter
from headstart.models.published import fetch_published
from headstart.runs.folder import check_folder, how_to_continue
from headstart.runs.records import Recording, record_environment, refuse_changed_data
from headstart.system.disk import disk_errors, locked, write_atomic, write_json
from headstart.system.signals import Stopping
from headstart.tasks import classification, segmentation
from headstart.tasks.interface import Stage
from headstart.tasks.pretext import leaks_of, pretrain
from headstart.training.checkpoint import save_weights
from headstart.training.config import (
    IMAGENET,
    PRETEXT_NAMES,
    SCRATCH,
    SCRATCH_LONGER,
    RunConfig,
    StudyConfig,
    weights_file,
)
from headstart.training.config_files import read_run_config, to_json
from headstart.training.fit import Listener, State, fit
from headstart.training.starts import Source, move, read_source, start_of


def train(
    config: RunConfig,
    out: Path,
    listener: Listener,
    checkpoint_seconds: float = 10.0,
    cache: Path | None = None,
    pretext_run: Path | None = None,
) -> dict[str, Any]:
    """Trains and scores one run in ``out``; continues what is there; answers at once if finished.

    Args:
        config: all that decides the result.
        out: the run folder; made if need be.
        listener: told how it goes.
        checkpoint_seconds: at most about this much work is lost by a kill.
        cache: where decoded frames are kept; by default inside ``out``.
        pretext_run: where the pretext of the start is trained, if it is not yet; by default
            ``out/start``.

    Returns:
        The content of ``scores.json``.

    Raises:
        DataError: data or start cannot be used, or are not those the run began with.
        UsageError: ``out`` holds a run with other settings, or something else.
        LockedError: another process works there.
        InterruptedRun: SIGINT or SIGTERM came; the state is saved.
    """
    about = classification if config.task == "classification" else segmentation
    about.check(config)  # before anything is made
    check_folder(config, out)
    with locked(out), Stopping() as stopping:
        check_folder(config, out)
        done = out / "scores.json"
        if done.exists():  # it does not answer for other pictures than its own
            before = json.loads((out / "environment.json").read_bytes())["data"]
            refuse_changed_data(out, before, {**about.digests(config), **_moved_start(config, out)})
            scores: dict[str, Any] = json.loads(done.read_bytes())
            return scores
        torch.set_num_threads(config.threads)
        cache = cache or out / "cache"
        subject = about.read(config, cache)
        if config.pretext is not None:  # it trains for long, in this folder
            write_atomic(out / "config.json", to_json(config))
        source = _source(config, pretext_run or out / "start", listener, checkpoint_seconds, cache)
        listener.begins(f"{config.task} from {config.start}")
        network, moved = subject.network(source)
        write_atomic(out / "config.json", to_json(config))  # of a start that was there and fits
        data = dict(subject.data)
        if moved.weights_sha256 is not None:
            data["start"] = moved.weights_sha256
        facts = {"start": moved.to_json(), "labels": subject.labels}
        if (seen := _seen_by_start(config, pretext_run or out / "start")) is not None:
            facts["start_pictures"] = seen
        record_environment(out, config, data, facts)
        state = None
        for stage in subject.stages(network):
            state = _fit(stage, config, out, listener, stopping.asked, checkpoint_seconds)
            if stopping.signal is not None:
                finding = how_to_continue(out, state, stage.recipe.epochs)
                raise InterruptedRun(finding, stopping.signal)
            assert state.best_weights is not None
            stage.model.load_state_dict(versioned(stage.model, state.best_weights))
        assert state is not None
        save_weights(out / "weights.safetensors", network.state_dict(), subject.facts)
        scores = subject.score(network, state, out)
        write_json(done, scores)  # last: it says that the run is finished
        return scores


def refuse_other_data(config: RunConfig, folder: Path, runs: Iterable[str]) -> None:
    """Refuses data that are not those of finished runs: the two could not be compared.

    Args:
        config: of a run on the data; other settings than ``data`` and ``score`` do not matter.
        folder: of the study.
        runs: those that are finished, by their place in it.

    Raises:
        DataError: names what changed.
    """
    about = classification if config.task == "classification" else segmentation
    records = [folder / run / "environment.json" for run in runs]
    if not (records := [path for path in records if path.exists()]):
        return
    now = about.digests(config)
    for path in records:
        hint = "restore them, or begin another study in another --out"
        refuse_changed_data(folder, json.loads(path.read_bytes())["data"], now, hint)


def _moved_start(config: RunConfig, out: Path) -> dict[str, str]:
    """The hash of a start that is not where it was; of one that is, a finished run asks no more."""
    if config.start == read_run_config(out / "config.json").start:
        return {}
    return {"start": read_source(weights_file(config.start), config.start).sha256}


def _source(
    config: RunConfig,
    pretext_run: Path,
    listener: Listener,
    checkpoint_seconds: float,
    cache: Path,
) -> Source | None:
    """The weights to start from; a pretext is trained now unless it was before."""
    if config.start == SCRATCH:
        return None
    if config.pretext is None:
        return _given(config.start, config.model)
    pretrain(config.pretext, pretext_run, listener, checkpoint_seconds, cache)
    return read_source(pretext_run / "weights.safetensors", config.start)


def try_starts(starts: Collection[str], config: StudyConfig, classes: int) -> None:
    """Fetches published weights, and puts those that need not be trained into a new network.

    Args:
        starts: some of the study's.
        config: says which network.
        classes: what it tells apart.

    Raises:
        DataError: weights cannot be had, or are of another network; every such start is named.
    """
    findings: list[Finding] = []
    for start in config.starts:
        if start not in starts or start in (SCRATCH, SCRATCH_LONGER, *PRETEXT_NAMES):
            continue
        try:
            source = _given(start, config.model)
            with torch.random.fork_rng(devices=[]):
                if config.width is None:
                    network, head = make_network(config.model, classes)
                    move(network, source, (), f"{head.name}.", whole=True)
                else:
                    start_of(make_segmenter(config.model, classes, config.width), source, ())
        except DataError as e:
            findings += e.findings
    if findings:
        raise DataError(findings)


def _given(start: str, model: str) -> Source:
    """The weights of a start that need not be trained: published ones, a file's, a run's."""
    if start == IMAGENET:
        return read_source(fetch_published(model), IMAGENET)
    return read_source(weights_file(start), start)


def _seen_by_start(config: RunConfig, pretext_run: Path) -> dict[str, Any] | None:
    """How many pictures of a pretext that is the start are held out too."""
    if config.start in (SCRATCH, IMAGENET):
        return None
    folder = pretext_run if config.pretext else weights_file(config.start).parent
    return leaks_of(folder, Path(config.data))


def _fit(
    stage: Stage,
    config: RunConfig,
    out: Path,
    listener: Listener,
    stop: Callable[[], bool],
    checkpoint_seconds: float,
) -> State:
    folder = out / stage.name
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    recording = Recording(listener, out, stage.name)
    if stage.seconds:
        recording.features(stage.seconds)
    return fit(
        stage.model,
        stage.task,
        stage.recipe,
        seed=config.seed,
        steps=stage.steps,
        device=torch.device(config.device),
        folder=folder / "checkpoint",
        stop=stop,
        listener=recording,
        checkpoint_seconds=checkpoint_seconds,
    )
