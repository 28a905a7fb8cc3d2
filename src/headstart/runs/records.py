"""What a run writes down beside its weights: epochs, what they took, the environment."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from headstart.errors import DataError, Finding
from headstart.system.disk import disk_errors, write_atomic, write_json
from headstart.system.processor import cpu_model
from headstart.tasks.interface import Task
from headstart.training.config import PretextConfig, RunConfig
from headstart.training.listener import Listener, Row


class Recording:
    """A listener that passes on what it hears and writes ``metrics.jsonl`` and ``timing.jsonl``.

    ``metrics.jsonl`` says what was computed: it is brought back to the checkpoint when a run goes
    on. ``timing.jsonl`` says what was spent: it keeps also what had to be repeated, and what is
    not of an epoch.

    Args:
        listener: whom to tell.
        out: the run's folder.
        stage: which training of the run it is; that of its last has no name. The others write
            their epochs into a folder of that name, and what they spent beside that of the last.
    """

    def __init__(self, listener: Listener, out: Path, stage: str = "") -> None:
        self._listener, self._stage = listener, stage
        self._out, self._timing = out / stage, out / "timing.jsonl"
        self._history: list[Row] = []
        self._write()

    def _write(self) -> None:
        text = "".join(json.dumps(row) + "\n" for row in self._history)
        write_atomic(self._out / "metrics.jsonl", text)

    def begins(self, what: str) -> None:
        """Passed on."""
        self._listener.begins(what)

    def step(self, done: int, total: int) -> None:
        """Passed on."""
        self._listener.step(done, total)

    def epoch(self, row: Row, timing: Row) -> None:
        """Written to both files, then passed on."""
        self._history.append(row)
        self._append(self._out / "metrics.jsonl", row)
        self._append(self._timing, {**timing, "stage": self._stage} if self._stage else timing)
        self._listener.epoch(row, timing)

    def features(self, seconds: float) -> None:
        """What was spent before the first epoch, on what is computed once."""
        spent = {"epoch": 0, "steps": 0, "train_seconds": seconds, "validation_seconds": 0.0}
        self._append(self._timing, {**spent, "stage": "features"})

    def _append(self, path: Path, line: Row) -> None:
        with disk_errors(path), path.open("a") as f:
            f.write(json.dumps(line) + "\n")

    def resumed(self, step: int, history: list[Row]) -> None:
        """``metrics.jsonl`` brought back to these epochs, then passed on."""
        self._history = list(history)
        self._write()
        self._listener.resumed(step, history)

    def warning(self, finding: Finding) -> None:
        """Passed on."""
        self._listener.warning(finding)


def version_of(package: str) -> str:
    """The installed version; headstart also runs from a checkout that is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def environment(device: str) -> dict[str, Any]:
    """Versions and hardware, for the record.

    Args:
        device: ``"cpu"``, or the CUDA device that trains.
    """
    import torch

    packages = ("headstart", "torch", "torchvision", "numpy", "pillow")
    return {
        "versions": {"python": platform.python_version(), **{p: version_of(p) for p in packages}},
        "system": platform.system(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "gpu": None if device == "cpu" else torch.cuda.get_device_name(device),
    }


def refuse_changed_data(
    out: Path,
    before: dict[str, str],
    now: dict[str, str],
    hint: str = "restore them, or give --fresh to start beside it",
) -> None:
    """Compares hashes by name.

    Raises:
        DataError: one of ``now`` is not what it was.
    """
    if changed := [name for name in now if before.get(name) != now[name]]:
        message = f"{out} was begun with other data; changed since: {', '.join(changed)}"
        raise DataError(Finding("data-changed", "error", message, hint))


def record_environment(
    out: Path,
    config: RunConfig | PretextConfig,
    data: dict[str, str],
    facts: dict[str, Any],
) -> None:
    """Writes ``environment.json``; on going on, refuses data that changed under the run.

    Args:
        out: the run's folder.
        config: its configuration.
        data: hashes of what it is made from, by name.
        facts: what else is worth knowing.
    """
    path = out / "environment.json"
    if path.exists():
        refuse_changed_data(out, json.loads(path.read_bytes())["data"], data)
    machine = environment(config.device)
    write_json(path, {**machine, "threads": config.threads, "data": data, **facts})


def refuse_other_data(
    task: Task,
    config: RunConfig | PretextConfig,
    dataset: Any,
    study: Path,
    runs: Iterable[Path],
    suffix: str = "",
) -> None:
    """Refuses data that are not those of a study's finished runs, which could not be compared.

    Args:
        task: of the runs.
        config: of one of them.
        dataset: as it is now.
        study: the study's folder.
        runs: folders of the finished runs.
        suffix: added to what the message calls the data.

    Raises:
        DataError: names what changed.
    """
    hint = "restore them, or begin another study in another --out"
    compared: list[dict[str, str]] = []
    for run in runs:
        path = run / "environment.json"
        if not path.exists():
            continue
        before = json.loads(path.read_bytes())["data"]
        before.pop("start", None)
        if before not in compared:  # runs share their pictures, and hashing them takes time
            now = task.hashes(dataset, config, run)
            named_before, named_now = (
                {f"{name}{suffix}": digest for name, digest in data.items()}
                for data in (before, now)
            )
            refuse_changed_data(study, named_before, named_now, hint)
            compared.append(before)
