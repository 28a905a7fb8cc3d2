"""Files with their SHA-256: written so that a reader can tell whether they changed.

The files of a finished run are listed with their hashes in its ``manifest.json``. A record that
changes while a study grows has the hash of its own content under the key ``sha256``. Older versions
of headstart wrote neither; such records are read, and only their form is checked. Files of other
programs that have the same names are left alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from headstart.errors import DataError, Finding
from headstart.system.disk import disk_errors, write_atomic, write_json

CONFIG = "config.json"
MANIFEST = "manifest.json"
LEDGER = "ledger.jsonl"
STUDY = "study.json"
UNITS = "units.json"
_SEAL = "sha256"
_HASH = re.compile("[0-9a-f]{64}")
_SETTINGS = {"schema", "data", "model", "recipe", "threads"}  # in every config.json
_REPAIR = "restore it from a copy; or delete the run's folder and repeat the command that made it"
_REPAIRS = {
    STUDY: f"repeat the study's command: it writes {STUDY} again from the finished runs",
    UNITS: f"delete it and repeat the study's command, which writes {UNITS} again",
    LEDGER: "restore it from a copy; or remove this line, delete the folder of its run, and repeat "
    "the study's command",
    MANIFEST: f"{_REPAIR}; if headstart did not write this {MANIFEST}, move it to another folder",
}


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
    content = content_of(path)
    hashes = _manifest(folder)
    if hashes is not None:
        if name not in hashes:
            hint = f"if headstart did not write {path.name}, move it to another folder"
            message = f"nothing vouches for {path}: {MANIFEST} in {folder} does not list it"
            raise DataError(Finding("bad-record", "error", message, hint))
        if hashes[name] != hashlib.sha256(content).hexdigest():
            raise damaged(path, f"its SHA-256 is not the one in {MANIFEST}")
    return content


def is_recorded(folder: Path, name: str) -> bool:
    """Return whether a folder has a record that older versions did not write.

    It has if the file is there, or if the manifest lists it: then reading it says that it is gone.

    Raises:
        DataError: the manifest is damaged.
    """
    return (folder / name).exists() or name in (_manifest(folder) or {})


def content_of(path: Path) -> bytes:
    """Return the content of a file, which nothing vouches for.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(Finding("unreadable", "error", f"{path}: {error.strerror}")) from None


def holds_run(folder: Path) -> bool:
    """Return whether headstart wrote a folder of a run or study, even if its records are damaged.

    Other programs write files that are called ``config.json``, ``manifest.json`` or
    ``weights.safetensors``, too.
    """
    config = folder / CONFIG
    try:
        if _manifest(folder) is not None:
            return True
        settings = parse_json(content_of(config), config)
    except DataError:  # whoever reads the record says what is wrong with it
        return config.exists()
    # one fewer, as the name of one may be what is damaged
    return isinstance(settings, dict) and len(_SETTINGS & settings.keys()) >= len(_SETTINGS) - 1


def _manifest(folder: Path) -> dict[str, str] | None:
    """Return the hashes by name; None if there is no manifest, or another program wrote it."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    record = parse_json(content_of(path), path)
    # not both of its entries can be unrecognisable after one bit has flipped
    if not isinstance(record, dict) or not (_SEAL in record or _are_hashes(record.get("files"))):
        return None
    manifest = unsealed(record, path)
    files = manifest.get("files")
    if len(manifest) > 1 or not isinstance(files, dict) or not _are_hashes(files):
        raise damaged(path, "expected the hash of each file under files, and nothing else")
    return files


def _are_hashes(files: object) -> bool:
    return isinstance(files, dict) and all(
        isinstance(value, str) and _HASH.fullmatch(value) for value in files.values()
    )


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with the SHA-256 of its content as the last entry.

    The content is the JSON of the record with sorted keys, so layout and order do not matter.

    >>> unsealed(sealed({"steps": 3}), Path("a.json"))
    {'steps': 3}
    """
    return {**record, _SEAL: _digest(record)}


def unsealed(record: Any, path: Path, line: int | None = None) -> dict[str, Any]:
    """Return a record without its hash; one of an older version has none.

    Args:
        record: the JSON value.
        path: where it was read, for the message.
        line: the number of its line, if the file has several records.

    Raises:
        DataError: it is not an object, or its content does not have this hash.
    """
    if not isinstance(record, dict):
        raise damaged(path, "expected a JSON object", line)
    content = {name: value for name, value in record.items() if name != _SEAL}
    if _SEAL in record and record[_SEAL] != _digest(content):
        raise damaged(path, "its content does not have the SHA-256 that stands in it", line)
    return content


def _digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def parse_json(content: bytes, path: Path, line: int | None = None) -> Any:
    """Return the JSON value in a record; ``path`` and ``line`` are for the message.

    Raises:
        DataError: the content is not JSON, or holds NaN or infinity.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise damaged(path, reason, line) from None


def mend_lines(path: Path) -> None:
    """Cut off the last line of a file of lines if a kill or a full disk tore it.

    Raises:
        DiskError: the file cannot be written.
    """
    with disk_errors(path):
        if path.exists() and not (content := path.read_bytes()).endswith(b"\n") and content:
            write_atomic(path, content[: content.rfind(b"\n") + 1])


def damaged(path: Path, reason: str, line: int | None = None) -> DataError:
    """Return the error for a record that is not as headstart wrote it.

    Args:
        path: the file; what to do depends on which it is.
        reason: what is wrong, with what was expected.
        line: the number of the line, if the file has several records.
    """
    where = "" if line is None else f", line {line},"
    hint = _REPAIRS.get(path.name, _REPAIR)
    if path.name == CONFIG and (path.parent / LEDGER).exists():
        hint = (
            "restore it from a copy; or begin the same study in another --out, and copy its "
            f"{CONFIG} to {path.parent}"
        )
    message = f"the record {path}{where} is damaged: {reason}"
    return DataError(Finding("bad-record", "error", message, hint))
