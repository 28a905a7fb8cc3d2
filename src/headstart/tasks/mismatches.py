"""Settings that do not fit the labelled frames, told before training."""

from __future__ import annotations

import numpy as np

from headstart.config.recipes import Recipe
from headstart.data.decoded_frames import Decoded
from headstart.errors import DataError, Finding, Severity


def mismatches(
    budget: Decoded, recipe: Recipe, names: tuple[str, ...], single: bool
) -> tuple[Finding, ...]:
    """Return warnings about settings that do not fit the labelled frames.

    Args:
        budget: the frames to train on, with masks.
        recipe: the hyper-parameters.
        names: the classes, background first.
        single: whether one picture leaves a single value at the network's bottleneck.

    Raises:
        DataError: ``min_area`` would remove every object.
    """
    masks = budget.truth if budget.masks is None else budget.masks
    areas = np.array([np.bincount(m.ravel(), minlength=256) / m.size for m in masks])
    largest = areas[:, 1 : len(names)].max(0)
    shown = largest > 0
    too_small = shown & (largest < recipe.min_area)
    findings = []
    if too_small.any():
        listed = ", ".join(names[1:][k] for k in np.flatnonzero(too_small)[:5])
        message = (
            f"min_area = {recipe.min_area:g} removes predicted classes that cover less of a "
            f"picture, and no training frame shows more of {listed}"
        )
        hint = "set min_area = 0, or less than the largest of these objects, in a recipe file"
        severity: Severity = "error" if (too_small == shown).all() else "warning"
        findings.append(Finding("min-area", severity, message, hint))
        if severity == "error":
            raise DataError(findings)
    count = len(budget.names)
    if single and 1 in (recipe.batch, count, count % recipe.batch):
        message = (
            "batches of one picture hold it twice: at this size one picture leaves a single value "
            "at the bottleneck, and batch norm needs two"
        )
        hint = "train at a larger --size, or on more pictures"
        findings.append(Finding("batch-of-one", "warning", message, hint))
    return tuple(findings)
