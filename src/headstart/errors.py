"""What can be wrong, said so that it can be mended.

A [`Finding`][] is one problem: what was found, where, what was expected, what to do. A check
collects them; an error carries one or more of them to the command line, which prints them all
and ends with the error's ``exit_status``. Nothing else in the package decides an exit status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]

_FILES_SHOWN = 3


def printable(text: str) -> str:
    r"""Text that cannot move the cursor, break a line or fail to encode.

    File names may hold newlines, escape codes, right-to-left marks and bytes that are not UTF-8.

    >>> printable("a\x1b[31m\n.png")
    'a\\x1b[31m\\n.png'
    """
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in safe)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing, about some input.

    Attributes:
        code: a stable name in kebab case, e.g. ``"unknown-grey"``.
        severity: ``"error"`` stops the work, ``"warning"`` may bias it, ``"info"`` is for knowing.
        message: what was found and what was expected, in one sentence or two.
        hint: what to do about it; may be empty.
        files: the files it is about, relative to the dataset where they are inside it.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""
    files: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """As ``{"code", "severity", "message", "files"}``; the hint ends the message."""
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
    """Something a user can mend. Carries every problem found, not only the first."""

    exit_status = 1

    def __init__(self, findings: Finding | Iterable[Finding]) -> None:
        self.findings = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__("\n".join(str(f) for f in self.findings))

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:  # comes home from worker processes
        return type(self), (self.findings,)


class UsageError(HeadstartError):
    """The command was asked for something that cannot be meant (exit status 2)."""

    exit_status = 2


class DataError(HeadstartError):
    """Data are missing, damaged or contradict each other (exit status 65)."""

    exit_status = 65


class MissingExtraError(HeadstartError):
    """An optional part is not installed (exit status 69)."""

    exit_status = 69


class DiskError(HeadstartError):
    """Reading or writing failed: full, read-only, vanished (exit status 74)."""

    exit_status = 74


class LockedError(HeadstartError):
    """Another process works in the same folder (exit status 75)."""

    exit_status = 75


class InterruptedRun(HeadstartError):  # noqa: N818 - being stopped is no error
    """Stopped by a signal after saving (exit status 128 + signal: 130 or 143)."""

    def __init__(self, finding: Finding, signal_number: int) -> None:
        super().__init__(finding)
        self.exit_status = 128 + signal_number

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.findings[0], self.exit_status - 128)
