"""``headstart ARGUMENTS`` in processes of their own, for tests of the command line.

They are forked from a server, ``python -m tests.cli.command``, that has loaded torch and done no
more. The process of the tests cannot be forked as safely: by then it has threads of its own.
"""

from __future__ import annotations

import functools
import gc
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from headstart.cli.main import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def headstart(*arguments: object, cwd: Path | None = None) -> Done:
    """Run ``headstart ARGUMENTS`` and wait for it, for at most four minutes: then it is killed."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "stdout"), Path(folder, "stderr")
        words = [str(a) for a in arguments]
        request = [str(out), str(err), words, str(cwd or Path.cwd()), dict(os.environ)]
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        done = Done(int(server.stdout.readline()), out.read_text(), err.read_text())
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


@functools.cache
def _server() -> subprocess.Popen[str]:
    """The server of this process, which ends with it."""
    command = [sys.executable, "-m", "tests.cli.command"]
    root = Path(__file__).parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, cwd=root, text=True, **pipes)


def _serve() -> None:
    """Fork a child for each request, a line on stdin, and answer with its exit status."""
    import torch

    import headstart.reports.write
    import headstart.studies.study  # noqa: F401

    torch.set_num_threads(1)  # as the suite's own processes
    gc.freeze()  # a collection in a child would copy the pages that it shares with this process
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            out, err, arguments, cwd, environment = json.loads(line)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            os.environ.clear()
            os.environ.update(environment)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            with Path(out).open("wb") as stdout, Path(err).open("wb") as stderr:
                become_headstart(stdout.fileno(), stderr.fileno(), arguments, Path(cwd))
        signal.signal(signal.SIGALRM, lambda *_, child=child: os.kill(child, signal.SIGKILL))
        signal.alarm(240)
        _, status = os.waitpid(child, 0)
        signal.alarm(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


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


if __name__ == "__main__":
    _serve()
