"""``headstart ARGUMENTS`` in processes of their own, for tests of the command line.

They are forked from a server that has loaded torch and done no more. The process of the tests
cannot be forked as safely: by then it has threads of its own.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

import headstart.reports.write
import headstart.studies.study
from headstart.cli.main import main
from headstart.config.recipes import DEFAULT
from headstart.training.step import make_optimizer

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


def _load() -> None:
    """What a first optimizer step loads is loaded once, for all children."""
    layer = torch.nn.Linear(1, 1)
    layer(torch.zeros(1, 1)).sum().backward()
    make_optimizer(layer, DEFAULT).step()


_load()


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def headstart(*arguments: object, cwd: Path | None = None) -> Done:
    """Run ``headstart ARGUMENTS`` and wait for it."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "stdout"), Path(folder, "stderr")
        words = [str(a) for a in arguments]
        child = _SERVER.Process(
            target=_run, args=(out, err, words, cwd or Path.cwd(), dict(os.environ))
        )
        child.start()
        child.join()
        assert child.exitcode is not None
        done = Done(child.exitcode, out.read_text(), err.read_text())
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def _run(
    out: Path, err: Path, arguments: list[str], cwd: Path, environment: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with out.open("wb") as stdout, err.open("wb") as stderr:
        become_headstart(stdout.fileno(), stderr.fileno(), arguments, cwd)


def become_headstart(out: int, err: int, arguments: list[str], cwd: Path | None) -> NoReturn:
    """Be ``headstart ARGUMENTS`` from here on, with these files as stdout and stderr."""
    status = 70
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), write_through=True)
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), write_through=True)
        os.environ["COLUMNS"] = "80"
        os.chdir(cwd or Path.cwd())
        sys.argv = ["headstart", *arguments]
        main()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
