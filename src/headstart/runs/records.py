"""Records of a run: metrics and timing of each epoch, and the environment."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from headstart.config.records import PretextConfig, RunConfig
from headstart.config.task_settings import TIMM
from headstart.errors import DataError, Finding
from headstart.records.run_records import ENVIRONMENT, METRICS, TIMING, path_from, read_environment
from headstart.records.vouching import mend_lines
from headstart.system.disk import disk_errors, write_atomic, write_json
from headstart.system.host import host_class
from headstart.system.processor import cpu_model
from headstart.tasks.interface import Task
from headstart.training.collapse import collapse, nothing_confident
from headstart.training.listener import Listener, Row, ignore


class Recording:
    """A listener that writes ``metrics.jsonl`` and ``timing.jsonl``, and forwards all events.

    ``metrics.jsonl`` holds the epochs of the result: when a run resumes, it is cut back to the
    checkpoint. ``timing.jsonl`` holds all time spent, repeated epochs and computing features
    included.

    Args:
        listener: receives the events.
        out: folder of the run.
        stage: name of the stage; empty for the last. Earlier stages write their metrics to a
            subfolder of this name; timing of all stages goes to one file.
        constant: of the best constant prediction; see [`collapse`][].
        before_writing: called before an epoch is written; what it raises goes to the training.
    """

    def __init__(
        self,
        listener: Listener,
        out: Path,
        stage: str = "",
        constant: Mapping[str, float] = MappingProxyType({}),
        before_writing: Callable[[], None] = ignore,
    ) -> None:
        self._listener, self._stage, self._constant = listener, stage, constant
        self._before_writing = before_writing
        self._out, self._timing = out / stage, out / TIMING
        self._history: list[Row] = []
        mend_lines(self._timing)
        self._write()

    def _write(self) -> None:
        text = "".join(json.dumps(row) + "\n" for row in self._history)
        write_atomic(self._out / METRICS, text)

    def begins(self, what: str) -> None:
        """Forward the event."""
        self._listener.begins(what)

    def step(self, done: int, total: int) -> None:
        """Forward the event."""
        self._listener.step(done, total)

    def epoch(self, row: Row, timing: Row) -> None:
        """Write the epoch to both files, and forward the event; say if the model has collapsed."""
        self._before_writing()
        self._history.append(row)
        self._append(self._out / METRICS, row)
        self._append(self._timing, {**timing, "stage": self._stage} if self._stage else timing)
        self._listener.epoch(row, timing)
        if (finding := collapse(self._history, self._constant)) is not None:
            self._listener.finding(finding)
        if (finding := nothing_confident(self._history)) is not None:
            self._listener.finding(finding)

    def features(self, seconds: float) -> None:
        """Write the seconds spent on computing features before the first epoch."""
        timing = {"epoch": 0, "steps": 0, "train_seconds": seconds, "validation_seconds": 0.0}
        self._append(self._timing, {**timing, "stage": "features"})

    def _append(self, path: Path, line: Row) -> None:
        with disk_errors(path), path.open("a") as f:
            f.write(json.dumps(line) + "\n")

    def resumed(self, step: int, history: list[Row]) -> None:
        """Cut ``metrics.jsonl`` back to these epochs, and forward the event."""
        self._history = list(history)
        self._write()
        self._listener.resumed(step, history)

    def finding(self, finding: Finding) -> None:
        """Forward the event."""
        self._listener.finding(finding)


def version_of(package: str) -> str:
    """Return the installed version; a plain checkout of headstart is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def environment(device: str, *more: str) -> dict[str, Any]:
    """Return versions and hardware for ``environment.json``.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        more: packages that take part beside the usual ones.
    """
    packages = (*more, "headstart", "torch", "torchvision", "numpy", "pillow")
    return {
        "versions": {"python": platform.python_version(), **{p: version_of(p) for p in packages}},
        "system": platform.system(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "gpu": _gpu(device),
    }


def _gpu(device: str) -> str | None:
    """Return the name of the GPU that trains; None on a CPU."""
    import torch

    if device == "mps":
        return f"Apple GPU of {cpu_model()}"
    return None if device == "cpu" else torch.cuda.get_device_name(device)


def _where(config: RunConfig | PretextConfig, executor: str) -> dict[str, str]:
    """Return where and how a run is trained, without the name of the machine."""
    from headstart.training.placement import in_bfloat16

    return {
        "executor": executor,
        "host_class": host_class(),
        "device": config.device,
        "precision": "bfloat16" if in_bfloat16(config) else "float32",
    }


def refuse_changed_data(
    out: Path,
    before: dict[str, str],
    now: dict[str, str],
    hint: str = "restore the data, or start in a new folder beside it with --fresh",
) -> None:
    """Check that the data of a run have not changed.

    Args:
        out: folder of the run or study.
        before: hashes by name when it began.
        now: current hashes by name.
        hint: what to do if they differ.

    Raises:
        DataError: a hash differs.
    """
    if changed := [name for name in now if before.get(name) != now[name]]:
        message = f"the data of {out} have changed since it began: {', '.join(changed)}"
        raise DataError(Finding("data-changed", "error", message, hint))


def record_environment(
    out: Path,
    config: RunConfig | PretextConfig,
    data: dict[str, str],
    facts: dict[str, Any],
    executor: str = "local",
) -> None:
    """Write ``environment.json``; on resuming, check first that the data have not changed.

    Args:
        out: folder of the run.
        config: configuration of the run.
        data: hashes of its inputs, by name.
        facts: further entries.
        executor: what started the run.

    Raises:
        DataError: the data have changed since the run began.
    """
    path = out / ENVIRONMENT
    if path.exists():
        refuse_changed_data(out, read_environment(out).data, data)
    library = ("timm",) if config.model.startswith(TIMM) else ()
    hardware = {**environment(config.device, *library), **_where(config, executor)}
    record = {**hardware, "threads": config.threads, "data": data}
    if (data_path := path_from(out, config.data)) is not None:
        record["data_path"] = data_path
    write_json(path, {**record, **facts})


def refuse_other_data(
    task: Task,
    dataset: Any,
    study: Path,
    runs: Iterable[tuple[Path, RunConfig | PretextConfig]],
    suffix: str = "",
) -> None:
    """Check that the data are those of a study's finished runs, so that runs stay comparable.

    Args:
        task: task of the runs.
        dataset: the current dataset.
        study: folder of the study.
        runs: folders of the finished runs, and their configurations: methods use different data.
        suffix: appended to the names of the data in the message.

    Raises:
        DataError: the data have changed; says which.
    """
    hint = "restore the data, or begin another study in another --out"
    compared: list[dict[str, str]] = []
    for run, config in runs:
        if not (run / ENVIRONMENT).exists():
            continue
        recorded = read_environment(run).data
        before = {name: digest for name, digest in recorded.items() if name != "start"}
        if before not in compared:  # most runs share their pictures, and hashing takes time
            gone = dict.fromkeys(before, "")  # such as the unlabelled pictures
            now = {**gone, **task.hashes(dataset, config, run)}
            named_before, named_now = (
                {f"{name}{suffix}": digest for name, digest in data.items()}
                for data in (before, now)
            )
            refuse_changed_data(study, named_before, named_now, hint)
            compared.append(before)


def refuse_unknown_data(
    task: Task,
    config: RunConfig,
    dataset: Any,
    study: Path,
    run: str,
    known: list[dict[str, str]],
) -> None:
    """Check the data of a run that another process may have trained, with another copy of them.

    Args:
        task: task of the run.
        config: its configuration.
        dataset: the current dataset.
        study: folder of the study.
        run: the run's folder inside it.
        known: hashes that were compared before, extended here.

    Raises:
        DataError: the data differ; says which.
    """
    recorded = read_environment(study / run).data
    data = {name: digest for name, digest in recorded.items() if name != "start"}
    if data not in known:
        refuse_other_data(task, dataset, study, [(study / run, config)])
        known.append(data)
