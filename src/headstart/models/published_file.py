"""Whether a file of weights is the one that was published: by its SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

from headstart.errors import DataError, Finding


def check_published(path: Path, sha256: str, hint: str) -> None:
    """Check that a file is the one that was published.

    Args:
        path: the file.
        sha256: its SHA-256 in hexadecimal digits, or the beginning of it.
        hint: what to do if the file is another.

    Raises:
        DataError: its hash is another.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(sha256):
        message = (
            f"{path} is not what was published: its SHA-256 begins with {digest[:8]}, expected "
            f"{sha256[:8]}"
        )
        raise DataError(Finding("bad-weights", "error", message, hint))
