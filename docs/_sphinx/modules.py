"""A page for each module, in the order of the tree in README.md, written into ``api/``.

The tree there is tested to be the tree; so a module cannot be forgotten here.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from docstrings import REFERENCE
from sphinx.application import Sphinx

import headstart

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "headstart"


def modules() -> dict[str, str]:
    """Module to what the tree says of it, as data flows; of folders only files that are named."""
    tree = re.search(r"```\nsrc/headstart/\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert tree is not None
    found: dict[str, str] = {}
    folder = ""
    for line in tree[1].splitlines():
        match = re.match(r"(\s+)(\S.*?)(?:\s{2,}(.*))?$", line)
        if match is None:
            break  # what stands left of the package is not in it
        if len(match[1]) <= 2:
            folder = ""
        for name in match[2].split(", "):
            path = PACKAGE / folder / name
            if name == "data/":
                folder = name
            elif path.is_file():
                found[".".join(path.relative_to(PACKAGE).with_suffix("").parts)] = match[3]
    return found


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "api"
    named = modules()
    for old in folder.glob("headstart.*.md"):
        if old.stem.removeprefix("headstart.") not in named:
            old.unlink()
    for name in named:
        module = f"headstart.{name}"
        text = f"# `{module}`\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n"
        page = folder / f"{module}.md"
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def _list(app: Sphinx, document: str, source: list[str]) -> None:
    """Where a page says ``<!-- modules -->`` or ``<!-- public names -->``, their list."""
    if "<!-- modules -->" in source[0]:
        pages = modules()
        rows = [f"| [`{m}`](headstart.{m}.md) | {said} |" for m, said in pages.items()]
        table = "\n".join(["| module | |", "|---|---|", *rows])
        toc = "\n".join(f"headstart.{m}" for m in pages)
        tree = f"```{{toctree}}\n:hidden:\n\n{toc}\n```"
        source[0] = source[0].replace("<!-- modules -->", f"{table}\n\n{tree}")
    if "<!-- public names -->" in source[0]:
        rows = ["| name | |", "|---|---|"]
        for name in headstart.__all__:
            named = headstart.__getattr__(name)  # a module may bear the name too
            said = (inspect.getdoc(named) or "").split("\n\n")[0].replace("\n", " ")
            said = REFERENCE.sub(r"`\1`", said).replace("``", "`").replace("|", "\\|")
            rows.append(
                f"| {{py:obj}}`{name} <{named.__module__}.{named.__qualname__}>` | {said} |"
            )
        source[0] = source[0].replace("<!-- public names -->", "\n".join(rows))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", _write)
    app.connect("source-read", _list)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
