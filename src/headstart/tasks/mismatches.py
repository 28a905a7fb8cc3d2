"""Settings that do not fit the labelled frames: changed or named before training."""

from __future__ import annotations

from decimal import ROUND_DOWN, Context

import numpy as np
from jaxtyping import Float

from headstart.config.recipe_records import Recipe
from headstart.data.decoded_frames import Decoded
from headstart.data.pictures.mask_levels import pixels_by_level
from headstart.errors import Finding

_TWO_DIGITS = Context(prec=2, rounding=ROUND_DOWN)
_SMALL = 0.05  # the share of each class's objects that min_area may remove


def fitting_recipe(
    budget: Decoded, recipe: Recipe, names: tuple[str, ...]
) -> tuple[Recipe, tuple[Finding, ...]]:
    """Return the recipe with a ``min_area`` that fits the labelled frames, and what was changed.

    Of the frames that show a class, at most one in twenty may show less of it than ``min_area``;
    else it is lowered, for all classes, until this holds.

    Args:
        budget: the frames to train on, with masks.
        recipe: the hyper-parameters.
        names: the classes, background first.
    """
    areas = _areas(budget, len(names))
    fitting, small = recipe.min_area, []
    for k, name in enumerate(names[1:]):
        shown = areas[areas[:, k] > 0, k]
        below = int((shown < recipe.min_area).sum())
        if below > _SMALL * len(shown):
            small.append(f"{name} in {below} of {len(shown)}")
            of_class = float(np.quantile(shown, _SMALL, method="lower"))
            fitting = min(fitting, float(_TWO_DIGITS.create_decimal_from_float(of_class)))
    if not small:
        return recipe, ()
    message = (
        f"min_area is lowered from {recipe.min_area:g} to {fitting:g} of a picture, because some "
        f"classes cover less than {recipe.min_area:g} of it in training frames that show them: "
        f"{', '.join(small[:5])}"
    )
    finding = Finding("min-area", "info", message)
    return recipe.model_copy(update={"min_area": fitting}), (finding,)


def _areas(budget: Decoded, num_classes: int) -> Float[np.ndarray, "n k"]:
    """Return the share of each frame that shows each foreground class."""
    masks = budget.truth if budget.masks is None else budget.masks
    contents = budget.contents or [mask.shape for mask in masks]
    pixels = map(pixels_by_level, masks)
    areas = [p[1:num_classes] / (h * w) for p, (h, w) in zip(pixels, contents, strict=True)]
    return np.stack(areas)


def mismatches(budget: Decoded, recipe: Recipe, single: bool) -> tuple[Finding, ...]:
    """Return warnings about settings that do not fit the labelled frames.

    Args:
        budget: the frames to train on.
        recipe: the hyper-parameters.
        single: whether one picture leaves a single value at the network's bottleneck.
    """
    count = len(budget.names)
    if not single or 1 not in (recipe.batch, count, count % recipe.batch):
        return ()
    message = (
        "in batches of one picture, the picture is used twice: at this size, one picture gives a "
        "single value per channel at the bottleneck, and batch norm needs at least two"
    )
    hint = "train at a larger --size, or on more pictures"
    return (Finding("batch-of-one", "warning", message, hint),)


def sampled_windows(predicted: int, all: int) -> tuple[Finding, ...]:  # noqa: A002
    """Return that a sample of windows validates each epoch, if it does.

    Args:
        predicted: number of windows in the sample.
        all: number of windows of the validation frames.
    """
    if predicted == all:
        return ()
    message = (
        f"each validation during training predicts {predicted:,} of the {all:,} tiles of the "
        "validation pictures, always the same; the scores at the end are of all pixels"
    )
    return (Finding("validation-windows", "info", message),)
