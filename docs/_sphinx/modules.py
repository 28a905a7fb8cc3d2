"""A page for each module, room by room, written into ``api/``.

The rooms and their order are those of the import contract in ``pyproject.toml``; what a module is
about is the first line of its docstring. Nothing is listed by hand, so no module can be forgotten.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import tomllib
from pathlib import Path

from docstrings import REFERENCE
from sphinx.application import Sphinx

import headstart

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "headstart"
WITHOUT_PAGES = {"cli"}  # each verb has its help on the page of commands
OUTSIDE = "outside the rooms"


def rooms() -> list[str]:
    """The rooms, bottom-up, as the import contract of the whole package lists them."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (c["layers"] for c in linter["contracts"] if c.get("containers") == ["headstart"])
    names = [name for layer in reversed(layers) for name in re.split(r"\s*[|:]\s*", layer)]
    return [name for name in names if (PACKAGE / name).is_dir()]


def summary(path: Path) -> str:
    """The first line of a file's docstring, without its full stop.

    >>> summary(Path(__file__))
    'A page for each module, room by room, written into ``api/``'
    """
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").removesuffix(".")


@functools.cache
def modules() -> dict[str, dict[str, str]]:
    """For each room its modules, by dotted name without ``headstart``, and their summaries."""
    files = {OUTSIDE: sorted(PACKAGE.glob("*.py"))}
    files |= {room: sorted((PACKAGE / room).rglob("*.py")) for room in rooms()}
    return {
        room: {
            ".".join(path.relative_to(PACKAGE).with_suffix("").parts): summary(path)
            for path in paths
            if not path.name.startswith("__")
        }
        for room, paths in files.items()
    }


def _pages() -> dict[str, dict[str, str]]:
    return {room: named for room, named in modules().items() if room not in WITHOUT_PAGES}


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "api"
    names = {name for named in _pages().values() for name in named}
    for old in folder.glob("headstart.*.md"):
        if old.stem.removeprefix("headstart.") not in names:
            old.unlink()
    for name in names:
        module = f"headstart.{name}"
        content = f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```"
        text = f"---\norphan: true\n---\n\n# `{module}`\n\n{content}\n"
        page = folder / f"{module}.md"
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def _row(link: str, text: str) -> str:
    text = REFERENCE.sub(r"`\1`", text).replace("``", "`").replace("|", "\\|")
    return f"| {link} | {text} |"


def _tables() -> str:
    """The modules of each room as a table. Their pages are not in the sidebar: it would be long."""
    parts = []
    for room, named in _pages().items():
        init = PACKAGE / room / "__init__.py"
        about = summary(init) if init.is_file() else ""
        rows = [_row(f"[`{name}`](headstart.{name}.md)", text) for name, text in named.items()]
        heading = f"### {room}" + (f"\n\n{about}." if about else "")
        parts.append("\n".join([heading, "", "| module | |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _public_names() -> str:
    rows = ["| name | |", "|---|---|"]
    for name in headstart.__all__:
        named = headstart.__getattr__(name)  # a module may bear the name too
        text = (inspect.getdoc(named) or "").split("\n\n")[0].replace("\n", " ")
        rows.append(_row(f"{{py:obj}}`{name} <{named.__module__}.{named.__qualname__}>`", text))
    return "\n".join(rows)


def _list(app: Sphinx, document: str, source: list[str]) -> None:
    """Replaces ``<!-- modules -->`` and ``<!-- public names -->`` by the lists themselves."""
    for mark, make in (("<!-- modules -->", _tables), ("<!-- public names -->", _public_names)):
        if mark in source[0]:
            source[0] = source[0].replace(mark, make())


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", _write)
    app.connect("source-read", _list)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
