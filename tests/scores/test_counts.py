"""Pixels counted in parts."""

from __future__ import annotations

import pytest
import torch

from headstart.scores.counts import count


@pytest.mark.parametrize("ignore", [None, 255])
def test_strips_of_a_large_picture_add_up(
    monkeypatch: pytest.MonkeyPatch, ignore: int | None
) -> None:
    drawn = torch.Generator().manual_seed(0)
    predicted, mask = torch.randint(0, 3, (2, 2, 11, 7), generator=drawn, dtype=torch.uint8)
    if ignore is not None:
        mask[:, 4:6, 1:5] = ignore
    at_once = count(predicted, mask, 3, ignore)
    monkeypatch.setattr("headstart.scores.counts._AT_ONCE", 30)
    assert torch.equal(count(predicted, mask, 3, ignore), at_once)
