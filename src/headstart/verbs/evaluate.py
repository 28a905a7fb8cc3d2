"""``headstart.evaluate``: all scores of a run, or of masks in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.question import task_of
from headstart.errors import Finding, UsageError
from headstart.inference.onnx_metadata import is_onnx


@dataclass(frozen=True)
class EvaluateResult:
    """The scores on a split.

    Attributes:
        scores: by name, as in ``scores.json``.
    """

    scores: dict[str, Any]


def evaluate(
    run_or_masks: Path | str,
    data: Path | str,
    *,
    split: str = "test",
    device: str = "auto",
) -> EvaluateResult:
    """Score a run, or masks from anywhere, on a split of a dataset; writes nothing.

    Args:
        run_or_masks: a finished run, its ONNX file, or a folder of masks that are named as the
            frames.
        data: the dataset's folder.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        device: ``"cpu"``, ``"cuda"`` or ``"auto"``.

    Raises:
        UsageError: there is no such split or device, or masks are given for pictures with a class.
        DataError: the run is not finished, or pictures or masks are at fault.
    """
    run_or_masks, data = Path(run_or_masks), Path(data)
    task = task_of(data)
    is_run = is_onnx(run_or_masks) or (run_or_masks / "config.json").exists()
    return EvaluateResult(_SCORES[task, is_run](run_or_masks, data, split, device))


def _of_classifier(run: Path, data: Path, split: str, device: str) -> dict[str, Any]:
    from headstart.data.layouts.class_folders import open_classes
    from headstart.inference.classes import evaluate_classifier

    return evaluate_classifier(run, open_classes(data), split, device)


def _of_segmenter(run: Path, data: Path, split: str, device: str) -> dict[str, Any]:
    from headstart.data.layouts.folders import open_dataset
    from headstart.inference.evaluation import evaluate_run

    return evaluate_run(run, open_dataset(data), split, device)


def _of_masks(folder: Path, data: Path, split: str, _device: str) -> dict[str, Any]:
    from headstart.data.layouts.folders import open_dataset
    from headstart.inference.evaluation import evaluate_masks

    return evaluate_masks(folder, open_dataset(data), split)


def _refuse(folder: Path, data: Path, _split: str, _device: str) -> dict[str, Any]:
    message = f"{data} has classes, and {folder} is no run"
    hint = "give the folder that train wrote, its --out"
    raise UsageError(Finding("not-a-run", "error", message, hint))


# By task, and by whether a run is given: else it is a folder of masks.
_SCORES = {
    ("classification", True): _of_classifier,
    ("classification", False): _refuse,
    ("segmentation", True): _of_segmenter,
    ("segmentation", False): _of_masks,
}
