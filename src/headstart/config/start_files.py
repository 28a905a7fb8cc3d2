"""The file of weights that a start names."""

from __future__ import annotations

from pathlib import Path

from headstart.config.files import read_config
from headstart.config.start_names import IMAGENET, PRETEXT_NAMES, SCRATCH
from headstart.errors import DataError, Finding, UsageError


def weights_file(start: str) -> Path:
    """Return the file of weights that a start names: one in a run's folder, or the file itself.

    Raises:
        UsageError: it is neither.
    """
    path = Path(start)
    if path.is_dir():
        if (path / "weights.safetensors").exists():
            return path / "weights.safetensors"
        message = f"the start {start} is a folder without weights.safetensors"
        hint = "expected a finished run: repeat the command of that run, which resumes it"
        raise UsageError(Finding("no-weights", "error", message, hint))
    if path.exists():
        return path
    known = ", ".join((SCRATCH, *PRETEXT_NAMES, IMAGENET))
    message = f"there is no start {start}; expected {known}, a run's folder or a file of weights"
    raise UsageError(Finding("unknown-start", "error", message))


def network_of_start(start: str) -> str | None:
    """Return the network of a start that is the folder of a segmentation or pretext, else None.

    A folder that cannot be read has none: [`weights_file`][] and whoever reads it say why.
    """
    path = Path(start) / "config.json"
    try:
        config = read_config(path) if path.is_file() else None
    except DataError:
        return None
    return None if config is None or config.width is None else config.model  # None: a classifier's
