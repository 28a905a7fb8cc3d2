"""Converts our docstrings and signatures for Sphinx.

Docstrings refer to each other as ``[`Finding`][]`` and ``[`words`][headstart.errors.Finding]``:
these become references, and a broken one fails the build. Signatures and the comments after fields
are taken from the source, which has shapes as jaxtyping writes them (``Float[Tensor, "b k h w"]``).
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import tokenize
from collections.abc import Mapping
from io import StringIO
from types import MappingProxyType
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

REFERENCE = re.compile(r"\[`([^`\]]+)`\]\s*\[([\w.]*)\]")


def referring(text: str, names: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Markdown references as Sphinx references; short names are looked up in ``names``.

    >>> print(referring("see [`holm`][headstart.studies.statistics.holm]"))
    see :py:obj:`holm <headstart.studies.statistics.holm>`
    """

    def one(match: re.Match[str]) -> str:
        said, target = match[1], match[2] or match[1]
        named = names.get(target)
        if hasattr(named, "__qualname__"):
            target = f"{named.__module__}.{named.__qualname__}"
        return f":py:obj:`{said} <{target}>`"

    return REFERENCE.sub(one, text)


def tabled(lines: list[str]) -> list[str]:
    """Markdown tables as Sphinx tables; other lines stay as they are."""
    made: list[str] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            made.append(line)
        elif all(set(cell) <= set("-: ") for cell in cells):  # the rule below the head
            continue
        else:
            if not made or not made[-1].startswith("   "):
                made += ["", ".. list-table::", "   :header-rows: 1", ""]
            made += [f"   {'*' if k == 0 else ' '} - {cell}" for k, cell in enumerate(cells)]
    return made


def comments(source: str) -> dict[tuple[str, str], str]:
    """The comment after each field and constant, by class (or an empty string) and name.

    >>> comments("LEVEL = 0.95  # of an interval")
    {('', 'LEVEL'): 'of an interval'}
    """
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    behind = {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}
    found: dict[tuple[str, str], str] = {}

    def look(body: list[ast.stmt], of: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                look(node.body, node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno in behind:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                # Napoleon takes what stands before a colon for a type.
                said = behind[node.lineno].lstrip("# ").strip().replace(": ", "; ")
                named = isinstance(target, ast.Name) and not target.id.startswith("_")
                if named and not said.startswith(("type:", "noqa")):
                    found[of, target.id] = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", said)

    look(ast.parse(source).body, "")
    return found


_analyze = ModuleAnalyzer.analyze


def _analyze_with_comments(self: ModuleAnalyzer) -> None:
    """Sphinx reads comments that begin with ``#:``; we use every comment after a field."""
    begun = self._analyzed
    _analyze(self)
    if not begun:
        for place, said in comments(self.code).items():
            self.attr_docs.setdefault(place, [said, ""])


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    names = vars(sys.modules[_module_of(name)])
    lines[:] = referring("\n".join(tabled(lines)), names).split("\n")


def _module_of(name: str) -> str:
    while name not in sys.modules:
        name = name.rpartition(".")[0]
    return name


def _definition(obj: Any) -> ast.stmt | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(obj))))
    except (OSError, TypeError, SyntaxError):
        return None
    return tree.body[0] if tree.body else None


def _signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str | None] | None:
    # Sphinx asks before it leaves out what the module has imported.
    if isinstance(obj, property) or not getattr(obj, "__module__", "").startswith("headstart"):
        return None
    found = _definition(obj)
    if isinstance(found, ast.ClassDef):
        return (_fields_of(found, obj), None) if signature else None
    if not isinstance(found, ast.FunctionDef):
        return None
    arguments = found.args
    if what == "method" and arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments.args.pop(0)
    given = None if found.returns is None else ast.unparse(found.returns)
    return f"({ast.unparse(arguments)})", given


def _fields_of(found: ast.ClassDef, obj: type) -> str:
    """The arguments of a record; those of a pydantic model are among its attributes."""
    if not hasattr(obj, "__dataclass_fields__"):
        for node in found.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                node.args.args.pop(0)  # self
                return f"({ast.unparse(node.args)})"
        return ""
    fields = [
        ast.unparse(node.target) + ": " + ast.unparse(node.annotation)
        + ("" if node.value is None else " = " + ast.unparse(node.value))
        for node in found.body
        if isinstance(node, ast.AnnAssign)
    ]  # fmt: skip
    return f"({', '.join(fields)})"


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Skip pydantic's settings, which are not a field."""
    return True if name == "model_config" else None


def setup(app: Sphinx) -> dict[str, bool]:
    ModuleAnalyzer.analyze = _analyze_with_comments
    app.connect("autodoc-process-docstring", _docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
