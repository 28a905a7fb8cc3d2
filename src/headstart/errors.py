"""Errors for people: what is wrong, where, what was expected, and what to do.

A [`Finding`][] is one problem. A check collects findings; a [`HeadstartError`][] carries one or
more of them to the command line, which prints them all and ends with the error's ``exit_status``.
Nothing else in the package decides an exit status.

Each finding has a code. [`read_codes`][] explains every code; the texts are in ``errors.toml``, and
docs/errors.md is generated from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

Severity = Literal["error", "warning", "info"]

_FILES_SHOWN = 3


def printable(text: str) -> str:
    r"""Return text that cannot move the cursor, break a line or fail to encode.

    File names may contain newlines, escape codes, right-to-left marks and bytes that are not UTF-8.

    >>> printable("a\x1b[31m\n.png")
    'a\\x1b[31m\\n.png'
    """
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in safe)


@dataclass(frozen=True)
class Finding:
    """One problem with some input, or one fact about it that is worth knowing.

    Attributes:
        code: a stable name in kebab case, e.g. ``"unknown-grey"``.
        severity: an ``"error"`` stops the work, a ``"warning"`` may bias a result, an ``"info"``
            needs no action.
        message: what was found and what was expected, in one or two sentences.
        hint: what to do; may be empty.
        files: the files concerned; paths inside the dataset are relative to it.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""
    files: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return ``{"code", "severity", "message", "files"}``; the hint ends the message."""
        message = f"{self.message} Hint: {self.hint}" if self.hint else self.message
        return {
            "code": self.code,
            "severity": self.severity,
            "message": message,
            "files": [printable(f) for f in self.files],
        }

    def __str__(self) -> str:
        lines = [f"{self.severity}[{self.code}]: {printable(self.message)}"]
        lines += [f"  {printable(f)}" for f in self.files[:_FILES_SHOWN]]
        if len(self.files) > _FILES_SHOWN:
            lines.append(f"  ... and {len(self.files) - _FILES_SHOWN} more")
        if self.hint:
            lines.append(f"  hint: {printable(self.hint)}")
        return "\n".join(lines)


class HeadstartError(Exception):
    """An error that a user can correct. It carries every problem found, not only the first."""

    exit_status = 1

    def __init__(self, findings: Finding | Iterable[Finding]) -> None:
        self.findings = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__("\n".join(str(f) for f in self.findings))

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:  # a worker process pickles it
        return type(self), (self.findings,)


class UsageError(HeadstartError):
    """The command line asks for something impossible (exit status 2)."""

    exit_status = 2


class DataError(HeadstartError):
    """Data are missing, damaged or contradictory (exit status 65)."""

    exit_status = 65


class MissingExtraError(HeadstartError):
    """An optional dependency is not installed (exit status 69)."""

    exit_status = 69


class DiskError(HeadstartError):
    """Reading or writing failed: the disk is full, read-only or gone (exit status 74)."""

    exit_status = 74


class OutOfMemory(HeadstartError):  # noqa: N818 - a message says "out of memory"
    """The machine or its accelerator is out of memory (exit status 74)."""

    exit_status = 74


class LockedError(HeadstartError):
    """Another process is using the folder (exit status 75)."""

    exit_status = 75


class InterruptedRun(HeadstartError):  # noqa: N818 - a stop is no error
    """A signal stopped the work after it was saved (exit status 128 + signal: 130 or 143)."""

    def __init__(self, finding: Finding, signal_number: int) -> None:
        super().__init__(finding)
        self.exit_status = 128 + signal_number

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.findings[0], self.exit_status - 128)


@dataclass(frozen=True)
class Code:
    """The explanation of a finding's code.

    Attributes:
        name: the code, in kebab case.
        severity: the severities that its findings can have.
        where: the verbs that report it.
        meaning: what is wrong.
        do: what to do.
    """

    name: str
    severity: tuple[str, ...]
    where: str
    meaning: str
    do: str

    def to_json(self) -> dict[str, object]:
        """Return the explanation as an object of schema 1."""
        return {
            "schema": 1,
            "code": self.name,
            "severity": list(self.severity),
            "where": self.where,
            "meaning": self.meaning,
            "do": self.do,
        }


def read_codes() -> dict[str, Code]:
    """Return the explanation of every code, by name, in alphabetical order."""
    import tomllib

    rows = tomllib.loads(files("headstart").joinpath("errors.toml").read_text("utf-8"))
    return {
        name: Code(name, tuple(row["severity"]), row["where"], row["meaning"], row["do"])
        for name, row in rows.items()
    }


def look_up(name: str) -> Code:
    """Return the explanation of a code, given alone or as a message shows it.

    Raises:
        UsageError: no finding has this code; the hint names the nearest codes.

    >>> look_up("error[unknown-grey]:").name
    'unknown-grey'
    """
    import difflib

    codes = read_codes()
    code = name.rpartition("[")[2].partition("]")[0].strip().lower()
    if code in codes:
        return codes[code]
    near = difflib.get_close_matches(code, codes, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "headstart explain lists all codes"
    raise UsageError(Finding("unknown-code", "error", f"there is no code {code}", hint))
