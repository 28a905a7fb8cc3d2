"""From a run's folder or an ONNX file to a trained network, ready for use."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from headstart.inference.classifier import Classifier
from headstart.inference.finished_run import FinishedRun, read_finished_run
from headstart.inference.onnx_file import OnnxFile, is_onnx, read_onnx
from headstart.inference.predictor import Predictor
from headstart.inference.segmenter import Segmenter
from headstart.training.config import read_config

PREDICTORS: dict[str, type[Predictor]] = {
    kind.task: kind for kind in (Segmenter, Classifier)
}  # a new task is a new file and an entry here
AnyPredictor = TypeVar("AnyPredictor", bound=Predictor)


def open_predictor(run_or_onnx: Path, device: str = "auto") -> Predictor:
    """Return the trained network in a run's folder or in an ONNX file, whatever its task.

    ONNX Runtime runs the file, and torch is not loaded.

    Args:
        run_or_onnx: a run's folder, or a file that ``headstart export`` wrote.
        device: ``"cpu"``, ``"cuda"`` or ``"auto"``.

    Raises:
        DataError: it is neither, or is not finished, or is the run of a pretext.
        UsageError: there is no such device.
        MissingExtraError: ONNX Runtime is not installed.
    """
    predictor: Predictor = _open(None, run_or_onnx, device)
    return predictor


def open_segmenter(run_or_onnx: Path, device: str = "auto") -> Segmenter:
    """Return the trained network that segments, as [`open_predictor`][].

    Raises:
        DataError: as [`open_predictor`][]; or it does not segment.
        UsageError, MissingExtraError: as [`open_predictor`][].
    """
    return open_as(Segmenter, run_or_onnx, device)


def open_classifier(run_or_onnx: Path, device: str = "auto") -> Classifier:
    """Return the trained classifier, as [`open_predictor`][].

    Raises:
        DataError: as [`open_predictor`][]; or it is no classifier.
        UsageError, MissingExtraError: as [`open_predictor`][].
    """
    return open_as(Classifier, run_or_onnx, device)


def open_as(kind: type[AnyPredictor], run_or_onnx: Path, device: str = "auto") -> AnyPredictor:
    """Return the trained network as [`open_predictor`][], and refuse one of another task.

    Raises:
        DataError: as [`open_predictor`][]; or it is of another task.
        UsageError, MissingExtraError: as [`open_predictor`][].
    """
    predictor: AnyPredictor = _open(kind, run_or_onnx, device)
    return predictor


def _open(kind: type[Predictor] | None, run_or_onnx: Path, device: str) -> Any:
    if is_onnx(run_or_onnx):
        from headstart.inference.onnx_session import check_device

        check_device(device)
        file = read_onnx(run_or_onnx)
        return kind_of_file(file, kind).from_onnx(file)
    import torch

    from headstart.system.devices import pick_device

    chosen = torch.device(pick_device(device))
    run = read_finished_run(run_or_onnx)
    return kind_of_run(run, kind).from_run(run, chosen)


def kind_of_file(file: OnnxFile, expected: type[Predictor] | None = None) -> type[Predictor]:
    """Return the implementation for an ONNX file.

    Raises:
        DataError: it is not the expected one.
    """
    return _kind(file.facts.task, expected, file.path, file.facts.model)


def kind_of_run(run: FinishedRun, expected: type[Predictor] | None = None) -> type[Predictor]:
    """Return the implementation for a finished run.

    Raises:
        DataError: it is not the expected one, or the run is one of a pretext.
    """
    return _kind(run.task, expected, run.folder, run.network_name)


def kind_at(run_or_onnx: Path) -> type[Predictor]:
    """Return the implementation for a run's folder or an ONNX file; no weights are read.

    If nothing says which, it is the segmentation's: opening then names what is wrong.

    Raises:
        DataError: ``config.json`` or the file is damaged, or the run is one of a pretext.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if is_onnx(run_or_onnx):
        return kind_of_file(read_onnx(run_or_onnx))
    path = run_or_onnx / "config.json"
    if not path.exists():
        return Segmenter
    config = read_config(path)
    return _kind(config.task, None, run_or_onnx, str(config.pretext))


def kind_for(dataset: Any) -> type[Predictor]:
    """Return the implementation that predicts and scores an opened dataset."""
    return next(kind for kind in PREDICTORS.values() if isinstance(dataset, kind.dataset))


def _kind(task: str, expected: type[Predictor] | None, path: Path, network: str) -> type[Predictor]:
    kind = PREDICTORS.get(task)
    if kind is None or (expected is not None and kind is not expected):
        raise (expected or Segmenter).refusal(path, task, network)
    return kind
