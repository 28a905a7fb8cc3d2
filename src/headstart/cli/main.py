"""The command line: verbs, exit statuses, and what a person sees when something is wrong."""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import io
import os
import signal
import sys
from stat import S_ISFIFO
from typing import Any

import typer

from headstart.cli.check import check
from headstart.cli.demo import demo
from headstart.cli.doctor import doctor
from headstart.cli.evaluate import evaluate
from headstart.cli.explain import explain
from headstart.cli.export import export
from headstart.cli.homework import homework
from headstart.cli.predict import predict
from headstart.cli.pretrain import pretrain
from headstart.cli.progress import say
from headstart.cli.report import report
from headstart.cli.serve import serve
from headstart.cli.status import status
from headstart.cli.study import study
from headstart.cli.suggest import suggest
from headstart.cli.train import train
from headstart.errors import Finding, HeadstartError
from headstart.system.memory import out_of_memory

app = typer.Typer(
    name="headstart",
    help="A head start for your segmentation model, and proof of whether you needed one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Frames and colours for a terminal; a pipe, and a shell that completes, get plain text sooner.
    rich_markup_mode="rich" if sys.stdout is not None and sys.stdout.isatty() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    demo, check, train, pretrain, study, status, report, evaluate, predict, suggest,
    export, serve, doctor, explain, homework,
):  # fmt: skip
    app.command()(verb)


@app.callback(invoke_without_command=True)
def options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Options that belong to no verb."""
    if version:
        from importlib.metadata import version as installed

        print(f"headstart {installed('headstart')}")  # noqa: T201
        raise typer.Exit


def main() -> None:
    """Run one verb and exit with its status; errors that a user can mend show no traceback."""
    _open_closed_streams()
    if not faulthandler.is_enabled():  # a crash in native code says where it was
        with contextlib.suppress(OSError, ValueError):  # no file behind stderr
            faulthandler.enable()
    _leave_when_nobody_reads()
    for stream in (sys.stdout, sys.stderr):  # file names may hold characters it cannot encode
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except HeadstartError as error:
        for finding in error.findings:
            say(str(finding))
        _leave(error.exit_status)
    except OSError as error:
        path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        long = error.errno == errno.ENAMETOOLONG
        hint = "give a shorter path" if long else "check that it exists, and that you may use it"
        hint = "make room on the disk" if error.errno == errno.ENOSPC else hint
        where = f"{path[:500]}{'...' * (len(path) > 500)}: " if path else ""
        say(str(Finding("disk", "error", f"{where}{error.strerror or error}", hint)))
        _leave(74)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        hint = "choose a smaller --size, or a smaller batch in a recipe of your own"
        say(str(Finding("memory", "error", "out of memory", hint)))
        _leave(74)


def _open_closed_streams() -> None:
    """Open stdin, stdout and stderr if they are closed.

    Otherwise the next file we open gets the number of a stream, and messages go into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


class _Pipe(io.FileIO):
    """A pipe to another program; ends the process when that program reads no more.

    The status is that of a process killed by SIGPIPE, as a shell shows it. The signal itself would
    also end a server whose client has left.
    """

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except BrokenPipeError:
            os._exit(128 + signal.SIGPIPE)


def _leave_when_nobody_reads() -> None:
    """End quietly when ``headstart ... | head`` has seen enough; results are printed last."""
    stream = sys.stdout
    with contextlib.suppress(OSError):  # no file behind it
        if isinstance(stream, io.TextIOWrapper) and S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            sys.stdout = io.TextIOWrapper(
                io.BufferedWriter(_Pipe(stream.fileno(), "wb", closefd=False)),
                encoding=stream.encoding,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )


def _leave(status: int) -> None:
    """Exit at once, without waiting for torch and its threads to be torn down."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a full disk
            stream.flush()
    os._exit(status)
