"""Files with their SHA-256: written so that a reader can tell whether they changed.

The files of a finished run are listed with their hashes in its ``manifest.json``. A record that
changes while a study grows has the hash of its own content under the key ``sha256``. Older versions
of headstart wrote neither; such records are read, and only their form is checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from headstart.errors import DataError, Finding
from headstart.system.disk import disk_errors, write_atomic, write_json

MANIFEST = "manifest.json"
_SEAL = "sha256"


def write_manifest(run: Path, names: Iterable[str], unwritten: Mapping[str, bytes]) -> None:
    """Write ``manifest.json``: the SHA-256 of each file of a run.

    Args:
        run: folder of the run.
        names: files in the folder; those that do not exist are left out.
        unwritten: content of files that are written after the manifest.

    Raises:
        DiskError: a file cannot be read or written.
    """
    files: dict[str, str] = {}
    with disk_errors(run):
        for name in names:
            if (path := run / name).exists():
                with path.open("rb") as file:
                    files[name] = hashlib.file_digest(file, "sha256").hexdigest()
    files |= {name: hashlib.sha256(content).hexdigest() for name, content in unwritten.items()}
    write_json(run / MANIFEST, sealed({"files": files}))


def discard_manifest(run: Path) -> None:
    """Remove the manifest of a run that is trained or scored again, whose files will change."""
    with disk_errors(run):
        (run / MANIFEST).unlink(missing_ok=True)


def read_record(folder: Path, name: str) -> bytes:
    """Return the content of a file, checked against the folder's manifest if there is one.

    Args:
        folder: folder of a run.
        name: path of the file in the folder, with ``/``.

    Raises:
        DataError: the file is missing, cannot be read or has changed, or the manifest has.
    """
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(Finding("unreadable", "error", f"{path}: {error.strerror}")) from None
    hashes = _manifest(folder)
    if hashes is not None:
        if name not in hashes:
            raise damaged(path, f"{MANIFEST} does not list it")
        if hashes[name] != hashlib.sha256(content).hexdigest():
            raise damaged(path, f"its SHA-256 is not the one in {MANIFEST}")
    return content


def _manifest(folder: Path) -> dict[str, str] | None:
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(Finding("unreadable", "error", f"{path}: {error.strerror}")) from None
    manifest = unsealed(parse_json(content, path), path)
    files = manifest.get("files")
    if len(manifest) > 1 or not isinstance(files, dict) or not all(map(_is_text, files.values())):
        raise damaged(path, "expected the hash of each file under files, and nothing else")
    return files


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with the SHA-256 of its content as the last entry.

    The content is the JSON of the record with sorted keys, so layout and order do not matter.

    >>> unsealed(sealed({"steps": 3}), Path("a.json"))
    {'steps': 3}
    """
    return {**record, _SEAL: _digest(record)}


def unsealed(record: Any, path: Path) -> dict[str, Any]:
    """Return a record without its hash; one of an older version has none.

    Args:
        record: the JSON value.
        path: where it was read, for the message.

    Raises:
        DataError: it is not an object, or its content does not have this hash.
    """
    if not isinstance(record, dict):
        raise damaged(path, "expected a JSON object")
    content = {name: value for name, value in record.items() if name != _SEAL}
    if _SEAL in record and record[_SEAL] != _digest(content):
        raise damaged(path, "its content does not have the SHA-256 that stands in it")
    return content


def _digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def parse_json(content: bytes, path: Path) -> Any:
    """Return the JSON value in a record; ``path`` is for the message.

    Raises:
        DataError: the content is not JSON, or holds NaN or infinity.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise damaged(path, reason) from None


def mend_lines(path: Path) -> None:
    """Cut off the last line of a file of lines if a kill or a full disk tore it.

    Raises:
        DiskError: the file cannot be written.
    """
    with disk_errors(path):
        if path.exists() and not (content := path.read_bytes()).endswith(b"\n") and content:
            write_atomic(path, content[: content.rfind(b"\n") + 1])


def damaged(path: Path, reason: str) -> DataError:
    """Return the error for a record that is not as headstart wrote it."""
    hint = f"restore it from a copy; or delete {path.parent} and repeat the command that made it"
    message = f"the record {path} is damaged: {reason}"
    return DataError(Finding("bad-record", "error", message, hint))
