"""Shapes in annotations are checked while tests run; see ``conftest.py``."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from headstart.plots.overlay import overlay
from headstart.plots.sheets import Example


def test_arrays_of_other_shapes_or_types_are_refused() -> None:
    picture, mask = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    assert overlay(picture, mask).shape == picture.shape
    for wrong in (mask[:, :5], mask[None], mask.astype(np.float32)):
        with pytest.raises(TypeCheckError):
            overlay(picture, wrong)


def test_fields_of_other_shapes_are_refused() -> None:
    picture, mask = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    assert Example("a", picture, mask, mask).truth is mask
    with pytest.raises(TypeCheckError):
        Example("a", picture, mask, mask[:, :5])
