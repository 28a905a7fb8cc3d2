"""Strong changes: targets move with what is pasted; parameters depend on the generator alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.augmentation import StrongChanges
from headstart.data.strong_views import rectangles, strong_view

NOTHING = StrongChanges(brightness=0.0, contrast=0.0, saturation=0.0, grey=0.0, cutmix=0.0)


def batch(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures whose every pixel tells the picture and the class: red is the target."""
    rng = np.random.default_rng(3)
    target = torch.from_numpy(rng.integers(0, 200, (count, 12, 16)).astype(np.uint8))
    image = torch.stack([target / 255, target / 510, target / 1020], dim=1)
    return image, target


def test_without_changes_nothing_changes() -> None:
    image, target = batch()
    changed, found = strong_view(image, target, NOTHING, np.random.default_rng(1))
    assert torch.allclose(changed, image, atol=1e-6) and torch.equal(found, target)


def test_what_is_pasted_takes_its_target_with_it() -> None:
    image, target = batch()
    pasted = StrongChanges(brightness=0.0, contrast=0.0, saturation=0.0, grey=0.0, cutmix=1.0)
    changed, found = strong_view(image, target, pasted, np.random.default_rng(1))
    assert torch.allclose(changed[:, 0] * 255, found.float(), atol=1e-3)
    moved = (found != target).flatten(1).any(1)
    assert moved.all()  # each picture has a rectangle of another


def test_grey_and_colours_leave_the_targets() -> None:
    image, target = batch()
    grey = StrongChanges(grey=1.0, cutmix=0.0)
    changed, found = strong_view(image, target, grey, np.random.default_rng(1))
    assert torch.equal(found, target)
    assert torch.equal(changed[:, 0], changed[:, 1]) and not torch.allclose(changed, image)
    assert changed.min() >= 0 and changed.max() <= 1


@given(seed=st.integers(0, 2**32), height=st.integers(1, 40), width=st.integers(1, 40))
def test_rectangles_are_rectangles_of_the_promised_size(seed: int, height: int, width: int) -> None:
    for place in rectangles(np.random.default_rng(seed), 3, height, width, 1.0):
        rows, columns = place.any(1).nonzero()[0], place.any(0).nonzero()[0]
        assert place.sum() == len(rows) * len(columns) > 0
        assert place.sum() <= max(0.4 * height * width + height + width + 1, 1)


def test_one_share_does_not_move_the_others() -> None:
    whole = rectangles(np.random.default_rng(7), 400, 8, 8, 1.0)
    half = rectangles(np.random.default_rng(7), 400, 8, 8, 0.5)
    drawn = half.any((1, 2))
    assert 140 < drawn.sum() < 260 and (half[drawn] == whole[drawn]).all()


@pytest.mark.parametrize("wrong", [{"grey": 1.1}, {"cutmix": -0.1}, {"contrast": 1.0}])
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        StrongChanges(**wrong)
