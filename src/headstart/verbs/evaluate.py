"""``headstart.evaluate``: all scores of a run, or of masks in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import Finding, UsageError
from headstart.inference.evaluation import evaluate_masks, evaluated
from headstart.inference.onnx_file import is_onnx
from headstart.inference.opening import kind_for
from headstart.tasks.lookup import find_task


@dataclass(frozen=True)
class EvaluateResult:
    """The scores on a split.

    Attributes:
        scores: by name, as in ``scores.json``.
        findings: which networks predict together, where a study or a cross-validation is given.
    """

    scores: dict[str, Any]
    findings: tuple[Finding, ...] = ()


def evaluate(
    run_or_masks: Path | str,
    data: Path | str,
    *,
    split: str = "test",
    tta: bool = False,
    device: str = "auto",
) -> EvaluateResult:
    """Score a run, or masks from anywhere, on a split of a dataset; writes nothing.

    Args:
        run_or_masks: a finished run, its ONNX file, or a folder of masks that are named as the
            frames; of a study or a cross-validation, several networks predict together, with
            folds each picture of their own dataset by those that have not seen it.
        data: the dataset's folder.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        tta: score the mean probability of each picture and of its mirror image; the scores then
            have the entry ``tta``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.

    Raises:
        UsageError: there is no such split or device, masks are given for class folders, or
            with ``tta``.
        DataError: the run is not finished, or pictures or masks are at fault.
    """
    run_or_masks, data = Path(run_or_masks), Path(data)
    _, open_data = find_task(data)
    dataset = open_data()
    if is_onnx(run_or_masks) or (run_or_masks / "config.json").exists():
        return EvaluateResult(*evaluated(run_or_masks, dataset, split, device, tta))
    if not run_or_masks.is_dir():
        message = f"there is no run or folder of masks {run_or_masks}"
        hint = "give the folder that train wrote, its --out, or a folder of masks"
        raise UsageError(Finding("no-run", "error", message, hint))
    if not kind_for(dataset).predicts_masks:
        message = f"{data} has classes, and {run_or_masks} is not a run"
        hint = "give the folder that train wrote, its --out"
        raise UsageError(Finding("not-a-run", "error", message, hint))
    if tta:
        message = f"--tta predicts mirror images too; {run_or_masks} holds masks, not a run"
        hint = "leave --tta out, or give the run's folder"
        raise UsageError(Finding("not-a-run", "error", message, hint))
    return EvaluateResult(evaluate_masks(run_or_masks, dataset, split))
