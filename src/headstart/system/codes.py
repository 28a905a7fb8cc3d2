"""What each code of a finding means, and what to do: the one source of docs/errors.md.

The rows stand in ``codes.toml``, beside this module: text, which is no program.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from importlib.resources import files

from headstart.errors import Finding, UsageError


@dataclass(frozen=True)
class Code:
    """What is known about a code.

    Attributes:
        name: in kebab case.
        severity: those it is found with.
        where: verbs, or what they do when it is found.
        meaning: what was found.
        do: what to do about it.
    """

    name: str
    severity: tuple[str, ...]
    where: str
    meaning: str
    do: str

    def to_json(self) -> dict[str, object]:
        """As an object of schema 1."""
        return {
            "schema": 1,
            "code": self.name,
            "severity": list(self.severity),
            "where": self.where,
            "meaning": self.meaning,
            "do": self.do,
        }


def read_codes() -> dict[str, Code]:
    """All codes by name, in alphabetical order."""
    rows = tomllib.loads(files("headstart.system").joinpath("codes.toml").read_text("utf-8"))
    return {
        name: Code(name, tuple(row["severity"]), row["where"], row["meaning"], row["do"])
        for name, row in rows.items()
    }


def look_up(name: str) -> Code:
    """The code of that name, also as it stands in a message: ``error[unknown-grey]:``.

    Raises:
        UsageError: there is none; names the nearest.

    >>> look_up("error[unknown-grey]:").name
    'unknown-grey'
    """
    codes = read_codes()
    bare = name.rpartition("[")[2].partition("]")[0].strip().lower()
    if bare in codes:
        return codes[bare]
    near = difflib.get_close_matches(bare, codes, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "headstart explain lists all codes"
    message = f"there is no code {bare}"
    raise UsageError(Finding("unknown-code", "error", message, hint))
