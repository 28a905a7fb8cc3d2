"""Runs the commands of pages that contain ``<!-- executed -->`` when the site is built.

The output appears below each block. ``<!-- show: FILE words -->`` shows a picture that the commands
made, with these words as its description. A failing command or a missing picture fails the build.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from shell import BLOCK, Block, run
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

MARK = "<!-- executed -->"
SHOWN = re.compile(r"<!-- show: (\S+) (.*?) -->", re.DOTALL)


def _execute(app: Sphinx, document: str, source: list[str]) -> None:
    if MARK not in source[0]:
        return
    pictures = Path(app.srcdir) / "images" / "made"
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)

        def executed(match: re.Match[str]) -> str:
            if match[3]:
                name = f"{document.replace('/', '-')}-{Path(match[3]).name}"
                shutil.copyfile(here / match[3], pictures / name)
                return f"![{' '.join(match[4].split())}](images/made/{name})"
            block = Block(match[1] or "", match[2])
            if block.mark:
                return match[0]
            said = "".join(_said(document, command, here) for command in block.commands).rstrip()
            return (
                f"{match[0]}\n\n:::{{container}} executed\n````text\n{said}\n````\n:::"
                if said
                else match[0]
            )

        both = re.compile(f"{BLOCK.pattern}|{SHOWN.pattern}", re.DOTALL | re.MULTILINE)
        source[0] = both.sub(executed, source[0])


def _said(document: str, command: str, folder: Path) -> str:
    status, said = run(command, folder)
    if status:
        raise ExtensionError(f"{document}: {command!r} ended with {status}:\n{said}")
    lines = [line.rstrip() for line in said.splitlines()]
    return "\n".join(lines) + "\n" if lines else ""


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _execute)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
