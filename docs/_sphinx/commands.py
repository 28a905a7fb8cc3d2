"""Replaces ``<!-- every verb -->`` in a page by the help of each verb, as a terminal shows it."""

from __future__ import annotations

from pathlib import Path

from shell import run
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def _verbs(app: Sphinx, document: str, source: list[str]) -> None:
    if "<!-- every verb -->" not in source[0]:
        return
    from headstart.cli.main import app as commands

    sections = []
    for command in commands.registered_commands:
        verb = command.name or command.callback.__name__
        status, said = run(f"headstart {verb} --help", Path.cwd())
        if status:
            raise ExtensionError(f"headstart {verb} --help ended with {status}:\n{said}")
        lines = "\n".join(line.rstrip() for line in said.strip("\n").splitlines())
        sections.append(f"## {verb}\n\n```text\n{lines}\n```")
    source[0] = source[0].replace("<!-- every verb -->", "\n\n".join(sections))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _verbs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
