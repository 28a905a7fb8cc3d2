"""Finds the commands in the ``sh`` blocks of a page, and runs them as a reader would."""

from __future__ import annotations

import gc
import logging
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^(?:<!-- ([^>]*?) -->\n)?```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of commands."""

    mark: str  # the comment right above it, or empty
    text: str

    @property
    def commands(self) -> list[str]:
        """Its commands, without comments; a backslash at the end of a line continues it."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [c for line in lines if (c := re.sub(r"(^|\s)#.*", "", line).strip())]


def blocks(page: str) -> list[Block]:
    """All ``sh`` blocks of a page, in order.

    >>> blocks("<!-- needs: gpu -->\\n```sh\\nheadstart check a  # looks\\n```\\n")[0].commands
    ['headstart check a']
    """
    return [Block(mark, text) for mark, text in BLOCK.findall(page)]


def words(command: str) -> list[str] | None:
    """The arguments of a ``headstart`` command, with or without ``uv run``; None for others."""
    parts = shlex.split(command)
    parts = parts[2:] if parts[:2] == ["uv", "run"] else parts
    return parts[1:] if parts[:1] == ["headstart"] else None


joined = shlex.join


def run(command: str, folder: Path) -> tuple[int, str]:
    """Run a command in a folder; return its exit status and its output on 80 columns.

    ``headstart`` runs in a process forked from this one, so PyTorch is loaded only once.
    """
    arguments = words(command)
    with tempfile.TemporaryFile() as said:
        if arguments is None:
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            status = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command], check=False,
                cwd=folder, stdout=said, stderr=subprocess.STDOUT, env={**os.environ, "PATH": path},
            ).returncode  # fmt: skip
        else:
            status = _forked(arguments, folder, said.fileno())
        said.seek(0)
        return status, said.read().decode()


def _forked(arguments: list[str], folder: Path, said: int) -> int:
    # Loaded here, once, for all children.
    import headstart.studies.study  # noqa: F401
    from headstart.cli.main import main

    if arguments[0] == "export":  # torch's exporter takes as long to load as to export
        import onnxscript.function_libs.torch_lib.ops  # noqa: F401
        import torch._dynamo
        import torch.export._trace
        import torch.onnx._internal.exporter._core  # noqa: F401

    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 70
        gc.freeze()  # a collection would copy the pages that this process shares with its parent
        try:
            os.dup2(said, 1)
            os.dup2(said, 2)
            sys.stdout = os.fdopen(os.dup(1), "w", buffering=1)
            sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
            os.environ["COLUMNS"] = "80"
            logging.disable(logging.INFO)  # Sphinx, whose process this was, listens to all
            os.chdir(folder)
            sys.argv = ["headstart", *arguments]
            main()
            status = 0
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
