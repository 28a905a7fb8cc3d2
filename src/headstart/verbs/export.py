"""``headstart.export``: a run as one ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headstart.training.listener import ignore


@dataclass(frozen=True)
class ExportResult:
    """The file of a run.

    Attributes:
        file: the ONNX file.
        written: whether it was written now; else it was there, made from these weights.
        bytes: its size.
        sha256: its hash.
        weights_sha256: the hash of the run's weights.
        agreement: how PyTorch and ONNX Runtime compare on real pictures; None where the file was
            there.
    """

    file: Path
    written: bool
    bytes: int
    sha256: str
    weights_sha256: str
    agreement: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """Return an object of schema 1."""
        return {"schema": 1, **asdict(self), "file": str(self.file)}


def export(
    run: Path | str,
    *,
    out: Path | str | None = None,
    pictures: Path | str | None = None,
    fresh: bool = False,
    tell: Callable[[str], None] | None = None,
) -> ExportResult:
    """Write a run as one ONNX file, if it agrees with PyTorch, as ``headstart export`` does.

    Args:
        run: a finished run; of a study or a cross-validation, several networks as one.
        out: the file; by default ``RUN/model.onnx``.
        pictures: real pictures to compare on; by default the run's test and validation frames.
        fresh: write beside a file that exists, and never overwrite.
        tell: hears what takes long.

    Raises:
        HeadstartError: as [`export_run`][headstart.exports.to_onnx.export_run].
    """
    from headstart.exports.to_onnx import export_run
    from headstart.inference.members import told

    for finding in told(Path(run)):
        (tell or ignore)(str(finding))
    written = export_run(
        Path(run),
        None if out is None else Path(out),
        None if pictures is None else Path(pictures),
        fresh,
        tell or ignore,
    )
    return ExportResult(
        file=Path(written["file"]),
        written=written["written"],
        bytes=written["bytes"],
        sha256=written["sha256"],
        weights_sha256=written["weights_sha256"],
        agreement=written["agreement"],
    )
