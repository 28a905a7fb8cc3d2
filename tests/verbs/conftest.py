"""Figures are blank here: ``tests/plots`` and the tests of each task look at them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _figures(unseen: None) -> None:
    """Every test of a verb."""
