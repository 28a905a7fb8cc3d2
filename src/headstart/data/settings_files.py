"""Files of settings: read as TOML or JSON; every wrong setting is a finding of its own."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from headstart.errors import DataError, Finding

# pydantic puts the kind of a recipe into the place of an error; it is no setting's name.
_RECIPE_TAGS = ("segmentation", "classification")


class FrozenModel(BaseModel):
    """A value that cannot change. Unknown settings are refused, nested values checked again."""

    model_config = ConfigDict(frozen=True, extra="forbid", revalidate_instances="always")


def explain(error: ValidationError, where: str, known: Iterable[str]) -> list[Finding]:
    """Return a finding for each wrong setting.

    Args:
        error: pydantic's.
        where: the file, or ``"command line"``.
        known: names of settings; the one nearest to an unknown name is suggested.
    """
    names = list(known)
    return [_finding(details, where, names) for details in error.errors()]


def _finding(details: ErrorDetails, where: str, known: list[str]) -> Finding:
    name = ".".join(str(part) for part in details["loc"] if part not in _RECIPE_TAGS)
    if details["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        near = difflib.get_close_matches(name.rsplit(".", 1)[-1], known, 1)
        hint = f"did you mean {near[0]}?" if near else ""
        return Finding("bad-setting", "error", f"{where}: there is no setting {name}", hint)
    # pydantic puts these words before the message of a ValueError that a validator of ours raised.
    reason = details["msg"].removeprefix("Value error, ")
    message = ": ".join(part for part in (where, name, reason) if part)
    return Finding("bad-setting", "error", message)


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML or JSON file, by name.

    Raises:
        DataError: it cannot be read, or is neither.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        settings = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as e:
        raise DataError(Finding("unreadable", "error", f"{path}: {e.strerror}")) from None
    except (ValueError, RecursionError) as e:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        message = f"{path} is not valid {kind}: {e}"
        raise DataError(Finding("bad-setting", "error", message)) from None
    if not isinstance(settings, dict):
        raise DataError(Finding("bad-setting", "error", f"{path}: expected settings by name"))
    return settings
