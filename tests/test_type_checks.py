"""Annotations are checked while tests run: shapes, and everything else; see ``conftest.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from headstart.errors import Finding, printable
from headstart.plots.overlay import overlay
from headstart.system.disk import write_atomic

WRONG = (TypeCheckError, BeartypeCallHintViolation)


def test_arrays_of_other_shapes_or_types_are_refused() -> None:
    picture, mask = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    assert overlay(picture, mask).shape == picture.shape
    for wrong in (mask[:, :5], mask[None], mask.astype(np.float32)):
        with pytest.raises(TypeCheckError):
            overlay(picture, wrong)


def test_values_of_other_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WRONG):
        printable(3)
    with pytest.raises(WRONG):
        write_atomic(tmp_path / "a", 3)
    with pytest.raises(WRONG):
        Finding("code", "error", "what", 7)
