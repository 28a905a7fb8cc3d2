"""Who may work in a run's folder, and what is said when it cannot or must stop."""

from __future__ import annotations

from pathlib import Path

from headstart.errors import Finding, UsageError
from headstart.system.disk import disk_errors
from headstart.training.config import IMAGENET, PRETEXT_NAMES, SCRATCH, PretextConfig, RunConfig
from headstart.training.config_files import differences, read_config

_OURS = (".lock", "cache")
_PLACES = ("data: ", "pretext.data: ")  # a moved dataset is the same one if its content is
NAMED_STARTS = (SCRATCH, IMAGENET, *PRETEXT_NAMES)
"""Starts that are no file."""


def fresh_folder(out: Path) -> Path:
    """``out``, or the first of ``out-2``, ``out-3``, ... that does not exist."""
    candidates = (out if n == 1 else out.with_name(f"{out.name}-{n}") for n in range(1, 10_000))
    return next(path for path in candidates if not path.exists())


def strangers(folder: Path, ours: tuple[str, ...] = _OURS) -> tuple[str, ...]:
    """What lies in a folder and is neither ours nor a temporary file."""
    if not folder.exists():
        return ()
    return tuple(p.name for p in folder.iterdir() if p.name not in ours and ".tmp-" not in p.name)


def check_folder(config: RunConfig | PretextConfig, out: Path) -> None:
    """Refuses a folder that holds another run, or something that is no run.

    Raises:
        UsageError: it does; says what differs.
        DataError: its ``config.json`` cannot be understood.
    """
    path = out / "config.json"
    with disk_errors(out):
        if not path.exists():
            if not (strange := strangers(out)):
                return
            message = f"{out} is not empty and holds no run"
            hint = "choose another --out, or give --fresh to start beside it"
            raise UsageError(Finding("not-a-run", "error", message, hint, strange))
    before = read_config(path)
    changed = [d for d in differences(before, config) if not d.startswith(_PLACES)]
    if isinstance(before, RunConfig) and isinstance(config, RunConfig):
        changed = [d for d in changed if not d.startswith("start: ") or not _moved(before, config)]
    if changed:
        message = f"{out} holds a run with other settings (old -> new): {'; '.join(changed)}"
        hint = "choose another --out, or give --fresh to start beside it"
        raise UsageError(Finding("settings-differ", "error", message, hint))


def _moved(before: RunConfig, now: RunConfig) -> bool:
    """Whether both starts are files; that they are the same is seen from their content."""
    return before.start not in NAMED_STARTS and now.start not in NAMED_STARTS


def how_to_continue(out: Path, done: int, step: int, epochs: int) -> Finding:
    """Said when a signal stopped a training after ``done`` of at most ``epochs`` epochs."""
    message = f"stopped after epoch {done} of at most {epochs}, step {step}; saved in {out}"
    hint = f"give the same command again to resume (--out {out}, without --fresh)"
    return Finding("interrupted", "info", message, hint)


def is_finished(out: Path, files: tuple[str, ...]) -> bool:
    """Whether all files of a finished run are in ``out``."""
    return all((out / name).exists() for name in files)
