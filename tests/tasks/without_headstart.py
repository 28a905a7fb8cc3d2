"""Run the code of a card where headstart cannot be imported.

The processes come from a server that has loaded the libraries and has computed nothing: a process
that computes after a fork of one that has computed may crash in the libraries' thread pools.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

LIBRARIES = ["onnxruntime", "PIL.Image", "safetensors.torch", "scipy.ndimage", "torchvision.models"]


class _NoHeadstart:
    """Finds nothing of headstart, and says so."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] == "headstart":
            raise ModuleNotFoundError(f"No module named {name!r}")


def _run(code: str, folder: Path) -> None:
    os.chdir(folder)
    sys.meta_path.insert(0, _NoHeadstart())  # type: ignore[arg-type]
    try:
        import headstart  # noqa: F401
    except ModuleNotFoundError:
        pass
    else:
        raise AssertionError("headstart can be imported here: the test would show nothing")
    with Path("stdout.txt").open("w") as out, redirect_stdout(out):
        try:
            exec(compile(code, "card", "exec"), {"__name__": "__main__"})
        except BaseException:
            Path("stderr.txt").write_text(traceback.format_exc())
            raise


def run_without_headstart(code: str, folder: Path) -> str:
    """Stdout of ``code``, run in ``folder`` by a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    process = context.Process(target=_run, args=(code, folder))
    process.start()
    process.join()
    said = folder / "stderr.txt"
    assert process.exitcode == 0, said.read_text() if said.exists() else process.exitcode
    return (folder / "stdout.txt").read_text()
