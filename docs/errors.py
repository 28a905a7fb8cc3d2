"""Generates errors.md from the package's errors.toml, and compares both with the source.

``uv run python docs/errors.py`` writes the page. With ``--missing`` it prints a skeleton row for
each code of the source that errors.toml lacks; write its texts by hand.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "headstart"
PAGE = ROOT / "docs" / "errors.md"

_HEAD = """\
# Messages by code

Generated from `src/headstart/errors.toml` by `uv run python docs/errors.py`; a test compares them
with the source. Each message begins with its severity and its code: `error[unknown-grey]: ...`.
Codes are stable names ([0007](decisions/0007-finding-codes.md)). `headstart explain unknown-grey`
prints a row of this page offline.

An `error` stops the work, a `warning` may make a score less reliable, an `info` needs no action.
*Reading data* means `check`, `train`, `pretrain`, `study`, `homework`,
`evaluate`, `predict` and `suggest`.

| code | severity | where | what it means | what to do |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Use:
    """A place in the source that makes a finding; ``severity`` is None where it is computed."""

    code: str
    severity: str | None
    place: str


@functools.cache
def uses_in_source(package: Path = PACKAGE) -> list[Use]:
    """Return every use of a code in the package.

    A use is ``Finding(code, ...)`` or a call of a local function that passes its code on to it. The
    code is a literal, or a name bound by a loop over literals.

    Raises:
        ValueError: a code is computed, so that nobody could look it up.
    """
    uses: list[Use] = []
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text())
        uses += _uses(tree, str(path.relative_to(package)))
    return uses


def _uses(tree: ast.Module, file: str) -> Iterator[Use]:
    for node in ast.walk(tree):  # so that a call can find its functions and loops
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    makers: dict[str, tuple[str | int, str | int | None]] = {
        "Finding": (0, 1),
        "add_finding": (0, 1),  # of the layouts' FrameSearch, which several modules call
        "picture_error": (1, "error"),  # of the readers of pictures and masks, the same
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    pending = set(makers)
    while pending:
        maker = pending.pop()
        for call in calls:
            if _called(call) != maker:
                continue
            code, severity = (_argument(call, which) for which in makers[maker])
            passed = _parameter_of(call, code)
            if passed is not None:  # a local function hands its own argument on
                function, position = passed
                level = severity.value if isinstance(severity, ast.Constant) else None
                if level is None and (parameter := _parameter_of(call, severity)) is not None:
                    level = parameter[1]
                if function not in makers:
                    makers[function] = (position, level)
                    pending.add(function)
                continue
            fixed = makers[maker][1] if makers[maker] != (0, 1) else None
            known = fixed if isinstance(fixed, str) else None
            if isinstance(severity, ast.Constant):
                known = severity.value
            for text in _literals(call, code, file):
                yield Use(text, known, f"{file}:{call.lineno}")


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _argument(call: ast.Call, which: str | int | None) -> ast.expr | None:
    """Return the argument at a position; None where ``which`` is a value and not a position."""
    if isinstance(which, int) and which < len(call.args):
        return call.args[which]
    return None


def _parameter_of(call: ast.Call, name: ast.expr | None) -> tuple[str, int] | None:
    """Return the enclosing function that has the parameter ``name``, and its position."""
    node: ast.AST | None = call
    while isinstance(name, ast.Name) and node is not None:
        if isinstance(node, ast.FunctionDef):
            names = [a.arg for a in node.args.args if a.arg != "self"]
            if name.id in names:
                return node.name, names.index(name.id)
        node = getattr(node, "parent", None)
    return None


def _literals(call: ast.Call, code: ast.expr | None, file: str) -> list[str]:
    if isinstance(code, ast.Constant):
        return [code.value]
    if isinstance(code, ast.Attribute) and code.attr == "code":
        return []  # copied from another finding
    node: ast.AST | None = call
    while isinstance(code, ast.Name) and node is not None:
        if isinstance(node, ast.For) and isinstance(node.target, ast.Tuple):
            names = [getattr(element, "id", "") for element in node.target.elts]
            if code.id in names:
                rows = ast.literal_eval(ast.unparse(_plain(node.iter)))
                return [row[names.index(code.id)] for row in rows]
        node = getattr(node, "parent", None)
    raise ValueError(f"{file}:{call.lineno}: the code of this finding is no literal")


def _plain(rows: ast.expr) -> ast.expr:
    """Return the rows with computed values replaced by None."""
    for row in getattr(rows, "elts", []):
        row.elts = [e if isinstance(e, ast.Constant) else ast.Constant(None) for e in row.elts]
    return rows


def missing_rows(known: set[str]) -> str:
    """Return a skeleton row of errors.toml for each code that it lacks."""
    by_code: dict[str, list[Use]] = defaultdict(list)
    for use in uses_in_source():
        if use.code not in known:
            by_code[use.code].append(use)
    rows = []
    for code, uses in sorted(by_code.items()):
        severities = sorted({use.severity or "error" for use in uses})
        places = ", ".join(use.place for use in uses)
        rows.append(
            f"[{code}]  # {places}\nseverity = {str(severities).replace(chr(39), chr(34))}\n"
            'where = ""\nmeaning = ""\ndo = ""\n'
        )
    return "\n".join(rows)


def page() -> str:
    """Return the text of errors.md."""
    from headstart.errors import read_codes

    rows = [
        f"| `{name}` | {', '.join(code.severity)} | {code.where} | {code.meaning} | {code.do} |\n"
        for name, code in read_codes().items()
    ]
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    from headstart.errors import read_codes

    if "--missing" in sys.argv:
        print(missing_rows(set(read_codes())), end="")
    else:
        PAGE.write_text(page())
