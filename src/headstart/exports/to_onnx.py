"""A run as one ONNX file, written only if it agrees with PyTorch on real pictures."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headstart.config.files import read_run_config
from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.pictures.frame import read_by, read_frame
from headstart.errors import DataError, Finding, UsageError
from headstart.exports.agreement import TOLERANCE, Agreement, compare
from headstart.inference.finished_run import FinishedRun, read_finished_run
from headstart.inference.members import members_of
from headstart.inference.onnx_file import (
    Checked,
    Facts,
    OnnxFile,
    metadata,
    parse_onnx,
    read_onnx,
    sealed_onnx,
)
from headstart.inference.onnx_session import INPUT, OUTPUT
from headstart.inference.opening import kind_of_file, kind_of_run
from headstart.inference.predictor import ExportForm, Images, Predictor, spread
from headstart.records.run_records import WEIGHTS, data_folder, looked_for
from headstart.system.disk import disk_errors, locked, sweep, write_atomic
from headstart.system.packages import require

_PICTURES = 8


def export_run(
    run: Path,
    out: Path | None = None,
    pictures: Path | None = None,
    fresh: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write a finished run as one ONNX file, unless the file exists.

    Args:
        run: the run's folder.
        out: the file; by default ``run/model.onnx``.
        pictures: a folder of real pictures to compare on; by default pictures of the run's own test
            and validation splits.
        fresh: write beside an existing file.
        tell: hears what takes long.

    Returns:
        ``file``, ``written`` (false: it existed), ``bytes``, ``sha256``, ``weights_sha256``, and
        ``agreement``, an [`Agreement`][headstart.exports.agreement.Agreement]; None if the file
        existed.

    Raises:
        DataError: ``run`` is not a finished run, or there are no pictures to compare on.
        UsageError: the file exists and was made from other weights, or is another file.
        HeadstartError: PyTorch and ONNX Runtime do not agree; nothing is written.
        MissingExtraError: a package of the extra ``onnx`` is not installed.
    """
    path = out or run / "model.onnx"
    path = free_file(path) if fresh else path
    if path.exists():  # reading needs no lock: the disk may be read-only
        return _existing(path, run)
    alone = locked(run) if path.parent == run and run.is_dir() else contextlib.nullcontext()
    with alone:
        if path.exists():
            return _existing(path, run)
        require("onnx")
        return _export(run, path, pictures, tell)


def free_file(path: Path) -> Path:
    """Return ``path``, or the first of ``model-2.onnx``, ``model-3.onnx``, ... that is free."""
    others = (path.with_stem(f"{path.stem}-{n}") for n in range(2, 10_000))
    return next(p for p in (path, *others) if not p.exists())


def _existing(path: Path, run: Path) -> dict[str, Any]:
    """Return the description of a file that was written before.

    Raises:
        UsageError: it is not headstart's, is damaged, or was made from other weights.
    """
    hint = "choose another --out, or give --fresh to write beside it: nothing is overwritten"
    try:
        file = read_onnx(path)
        kind_of_file(file).from_onnx(file)
    except DataError as error:
        message = f"{path} exists and cannot be used"
        raise UsageError([*error.findings, Finding("not-ours", "error", message, hint)]) from None
    if (own := _digest(run)) is None:
        read_finished_run(run)  # which says what is missing
    if own != file.facts.weights_sha256:
        message = f"{path} was made from other weights than those of {run}"
        raise UsageError(Finding("other-weights", "error", message, hint))
    return _description(file, None)


def _digest(run: Path) -> str | None:
    """Return the hash of a run's weights as its file records it; None without weights."""
    several = members_of(run)
    paths = [member / WEIGHTS for member in (several.runs if several else (run,))]
    if not all(path.exists() for path in paths):
        return None
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return hashlib.sha256("".join(digests).encode()).hexdigest() if several else digests[0]


def _description(file: OnnxFile, agreement: Agreement | None) -> dict[str, Any]:
    return {
        "schema": 1,
        "file": str(file.path),
        "written": agreement is not None,
        "bytes": len(file.content),
        "sha256": file.digest,
        "weights_sha256": file.facts.weights_sha256,
        "agreement": None if agreement is None else asdict(agreement),
    }


def _export(
    folder: Path, path: Path, pictures: Path | None, tell: Callable[[str], None]
) -> dict[str, Any]:
    import torch

    run = read_finished_run(folder)
    kind = kind_of_run(run)
    original = kind.from_run(run, torch.device("cpu"))
    images = _images(original, folder, pictures, tell)
    tell("exporting to ONNX, which takes some seconds")
    form = kind.export_form(run)
    content = _content(run, form, len(images))
    tell(f"comparing with PyTorch on {len(images)} pictures")
    return write_checked(parse_onnx(path, content), original, images)


def write_checked(file: OnnxFile, original: Predictor, images: Images) -> dict[str, Any]:
    """Write an ONNX file if it agrees with the original network on pictures.

    Returns:
        See [`export_run`][].

    Raises:
        HeadstartError: they do not agree; nothing is written.
        DiskError: the file cannot be written.
    """
    agreement = compare(kind_of_file(file).from_onnx(file), original, images)
    with disk_errors(file.path):
        file.path.parent.mkdir(parents=True, exist_ok=True)
        sweep(file.path.parent, file.path.name)
    write_atomic(file.path, file.content)
    return _description(file, agreement)


def _content(run: FinishedRun, form: ExportForm, pictures: int) -> bytes:
    """Return the bytes of the file."""
    from headstart.exports.graph import Answering, onnx_graph
    from headstart.runs.records import version_of

    facts = Facts.model_validate(
        {
            "schema": 1,
            "headstart": version_of("headstart"),
            "task": run.facts.task,
            "model": run.network_name,
            "names": run.facts.names,
            "greys": form.greys,
            "colours": form.colours,
            "size": run.facts.size,
            "framing": run.facts.framing,
            "min_area": form.min_area,
            "temperature": run.temperature,
            "range": run.facts.range,
            "page": run.facts.page,
            "input": form.input,
            "normalisation": form.normalisation,
            "mean": form.mean,
            "std": form.std,
            "weights_sha256": run.digest,
            "checked": Checked(pictures=pictures, tolerance=TOLERANCE),
        }
    )
    standardise = () if form.standardises else (form.mean, form.std)
    network = Answering(form.network, *standardise)
    graph = onnx_graph(network, form.fixed_size, (INPUT, OUTPUT), metadata(facts))
    return sealed_onnx(graph)


def _images(
    original: Predictor, run: Path, folder: Path | None, tell: Callable[[str], None]
) -> Images:
    """Return pictures to compare on: some of a folder, or of the run's dataset.

    Raises:
        DataError: there are none, or they cannot be read.
    """
    if folder is not None:
        found = find_pictures(folder, "the comparison needs pictures")
        for finding in found.passed_over:
            tell(str(finding))
        frames = read_by(spread(found.frames, _PICTURES), found.root, original.rules)
        return [original.as_sample(read_frame(frame, found.root)) for frame in frames]
    several = members_of(run)
    run = several.runs[0] if several else run
    config = read_run_config(run / "config.json")
    data = data_folder(run, config.data)
    # A dataset that is not a folder but a word is not fetched again.
    images = original.sample(data, config.score, _PICTURES) if data.exists() else []
    if not images:
        message = f"the pictures that {run} was scored on are not at {looked_for(run, config.data)}"
        hint = "give real pictures to compare PyTorch and ONNX Runtime on: --pictures FOLDER"
        raise DataError(Finding("no-pictures", "error", message, hint))
    return images
