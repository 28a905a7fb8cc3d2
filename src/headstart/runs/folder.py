"""Which run may use a folder, and the message for an interrupted run.

One process at a time writes into it: [`headstart.system.disk.locked`][].
"""

from __future__ import annotations

from pathlib import Path

from headstart.config.files import differences, read_config
from headstart.config.records import PretextConfig, RunConfig
from headstart.config.start_names import NAMED_STARTS
from headstart.errors import Finding, Severity, UsageError
from headstart.records.run_records import WEIGHTS
from headstart.system.disk import disk_errors

_OURS = (".lock", "cache")
_PATHS = ("data: ", "pretext.data: ")  # may differ: hashes say whether the data are the same


def fresh_folder(out: Path) -> Path:
    """Return the first of ``out``, ``out-2``, ``out-3``, ... that does not exist."""
    candidates = (out if n == 1 else out.with_name(f"{out.name}-{n}") for n in range(1, 10_000))
    return next(path for path in candidates if not path.exists())


def strangers(folder: Path, ours: tuple[str, ...] = _OURS) -> tuple[str, ...]:
    """Return the names in a folder that are neither in ``ours`` nor temporary files."""
    if not folder.exists():
        return ()
    return tuple(p.name for p in folder.iterdir() if p.name not in ours and ".tmp-" not in p.name)


def check_folder(config: RunConfig | PretextConfig, out: Path) -> None:
    """Check that a folder is empty or holds the same run.

    Raises:
        UsageError: the folder holds other files, or a run with other settings.
        DataError: its ``config.json`` cannot be read.
    """
    path = out / "config.json"
    with disk_errors(out):
        if not path.exists():
            if not (others := strangers(out)):
                return
            message = f"{out} is not empty and holds no run"
            hint = "choose another --out, or start in a new folder beside it with --fresh"
            raise UsageError(Finding("not-a-run", "error", message, hint, others))
    before = read_config(path)
    changed = [d for d in differences(before, config) if not d.startswith(_PATHS)]
    if before.start not in NAMED_STARTS and config.start not in NAMED_STARTS:
        # Both starts are files, whose content is compared later.
        changed = [d for d in changed if not d.startswith("start: ")]
    if changed:
        message = f"{out} holds a run with other settings (old -> new): {'; '.join(changed)}"
        hint = "choose another --out, or start in a new folder beside it with --fresh"
        raise UsageError(Finding("settings-differ", "error", message, hint))


def how_to_continue(out: Path, done: int, step: int, epochs: int) -> Finding:
    """Return the message for a training that a signal stopped after ``done`` epochs."""
    message = f"stopped after epoch {done} of at most {epochs}, step {step}; saved in {out}"
    hint = f"run the same command again to resume (--out {out}, without --fresh)"
    return Finding("interrupted", "info", message, hint)


def weights_missing(out: Path, severity: Severity) -> Finding:
    """Return the message for a finished run without weights, which is not trained again there."""
    message = f"{out} holds a finished run, but its {WEIGHTS} is missing"
    hint = (
        f"restore {WEIGHTS} from a copy; or train the run again in a new folder: give the command "
        "that made it with --fresh"
    )
    return Finding("no-weights", severity, message, hint)


def is_finished(out: Path, files: tuple[str, ...]) -> bool:
    """Return whether ``out`` has all files of a finished run."""
    return all((out / name).exists() for name in files)
