"""Who may work in a run's folder, and what is said when it cannot or must stop."""

from __future__ import annotations

from pathlib import Path

from headstart.errors import DataError, Finding, UsageError
from headstart.system.disk import disk_errors
from headstart.training.config import IMAGENET, PRETEXT_NAMES, SCRATCH, PretextConfig, RunConfig
from headstart.training.config_files import differences, read_config
from headstart.training.fit import State

LABELS = "labels.txt"
"""In a run's folder: the names of the labelled frames it learned from, one a line."""

_OURS = (".lock", "cache")
_PLACES = ("data: ", "pretext.data: ")  # a moved dataset is the same one if its content is
_NAMED = (SCRATCH, IMAGENET, *PRETEXT_NAMES)


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
            if not (found := strangers(out)):
                return
            message = f"{out} is not empty and holds no run"
            hint = "choose another --out, or give --fresh to start beside it"
            raise UsageError(Finding("not-a-run", "error", message, hint, found))
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
    return before.start not in _NAMED and now.start not in _NAMED


def how_to_continue(out: Path, state: State, epochs: int) -> Finding:
    """Said when a signal stopped a training."""
    message = (
        f"stopped after epoch {len(state.history)} of at most {epochs}, step "
        f"{state.step}; everything is saved in {out}"
    )
    hint = f"the same command again continues exactly there (--out {out}, without --fresh)"
    return Finding("interrupted", "info", message, hint)


def budget_too_large(labels: int, whole: int) -> DataError:
    """A label budget that the training split cannot fill."""
    message = (
        f"a budget of {labels} labels was asked for, "
        f"but the training split has {whole} labelled frames"
    )
    hint = f"--labels takes 1 to {whole}, or all"
    return DataError(Finding("budget-too-large", "error", message, hint))
