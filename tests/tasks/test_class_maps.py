"""Class maps at each frame's own size, and counts of their pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.data.decoded_frames import Decoded
from headstart.inference.segmenter import class_maps as in_numpy
from headstart.models.unet import UNet
from headstart.tasks.class_maps import class_maps, count_maps, segment, segment_decoded

CPU = torch.device("cpu")


def _one_hot(classes: torch.Tensor, num_classes: int) -> torch.Tensor:
    return 10 * nn.functional.one_hot(classes.long(), num_classes).permute(0, 3, 1, 2).float()


@given(st.integers(1, 4), st.integers(3, 9), st.integers(3, 9), st.integers(0, 99))
@settings(max_examples=25)
def test_at_the_same_size_it_is_the_argmax(b: int, h: int, w: int, seed: int) -> None:
    logits = torch.randn(b, 4, h, w, generator=torch.Generator().manual_seed(seed))
    maps = class_maps(logits, [(h, w)] * b, 0.0)
    assert torch.equal(torch.stack(maps), logits.argmax(1).to(torch.uint8))


@pytest.mark.parametrize("min_area", [0.0, 0.2])
def test_of_equally_probable_classes_it_is_the_first(min_area: float) -> None:
    """As ONNX Runtime and NumPy have it, which run the same network elsewhere."""
    levels = torch.randint(0, 3, (4, 5, 16, 24), generator=torch.Generator().manual_seed(0))
    logits = levels.float()
    maps = class_maps(logits, [(16, 24)] * 4, min_area)
    expected = in_numpy(logits.softmax(1).numpy(), [(16, 24)] * 4, min_area)
    assert (logits == logits.max(1, keepdim=True).values).sum(1).max() == 5, "no ties, no test"
    assert all(np.array_equal(a.numpy(), b) for a, b in zip(maps, expected, strict=True))


def test_probabilities_are_resized_and_not_classes() -> None:
    """Between a sure pixel of class 0 and a less sure one of class 2 there is no class 1."""
    logits = torch.tensor([[[[9.0, 0.0]], [[0.0, 0.0]], [[0.0, 2.0]]]])
    (wide,) = class_maps(logits, [(1, 64)], 0.0)
    assert set(wide.unique().tolist()) == {0, 2}
    assert (wide == 0).sum() > 32  # the sure pixel reaches beyond the middle


def test_frames_of_several_sizes_equal_each_alone() -> None:
    logits = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    sizes = [(8, 8), (20, 13), (5, 30)]
    together = class_maps(logits, sizes, 0.02)
    for i, size in enumerate(sizes):
        assert together[i].shape == size
        assert torch.equal(together[i], class_maps(logits[i : i + 1], [size], 0.02)[0])


def test_a_class_on_too_small_a_share_is_not_predicted() -> None:
    classes = torch.zeros(1, 10, 10)
    classes[0, 0, 0] = 1  # 1 %
    classes[0, 5:7, :2] = 2  # 4 %
    logits = _one_hot(classes, 3)
    logits[0, 2, 0, 0] = 5  # what is most probable without class 1
    (kept,) = class_maps(logits, [(10, 10)], 0.01)
    assert torch.equal(kept.long(), classes[0].long())
    (dropped,) = class_maps(logits, [(10, 10)], 0.02)
    assert dropped[0, 0] == 2 and (dropped == 2).sum() == 5 and not (dropped == 1).any()
    (background,) = class_maps(logits, [(10, 10)], 0.5)
    assert not background.any()


def test_the_background_is_never_dropped() -> None:
    classes = torch.ones(1, 10, 10)
    classes[0, 0, 0] = 0
    (kept,) = class_maps(_one_hot(classes, 2), [(10, 10)], 0.1)
    assert kept[0, 0] == 0


def test_segment_does_not_depend_on_the_batch(splits: tuple[Decoded, Decoded]) -> None:
    torch.manual_seed(0)
    model, (data, _) = UNet(5, 2), splits
    one = list(segment(model, data.images, data.sizes, CPU, 0.0, batch=1))
    many = list(segment(model, data.images, data.sizes, CPU, 0.0, batch=8))
    share = np.mean([(a == b).float().mean().item() for a, b in zip(one, many, strict=True)])
    assert share > 0.999  # sums in another order may tip a pixel that is on the edge


def test_count_maps_counts_every_pixel(splits: tuple[Decoded, Decoded]) -> None:
    maps = segment_decoded(UNet(5, 2), splits[1], (32, 40), CPU, 0.0)
    counts = count_maps(maps, splits[1], 5)
    assert counts.shape == (4, 5, 3)
    assert (counts[..., 0] + counts[..., 2]).sum(1).tolist() == [32 * 40] * 4


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("min_area", [0.0, 0.05, 0.3])
def test_a_large_photograph_gets_the_same_classes_class_by_class(
    monkeypatch: pytest.MonkeyPatch, min_area: float, layout: torch.memory_format
) -> None:
    logits = torch.randn(2, 5, 8, 10, generator=torch.Generator().manual_seed(0))
    logits = logits.contiguous(memory_format=layout)
    sizes = [(33, 47), (8, 10)]
    at_once = class_maps(logits, sizes, min_area)
    monkeypatch.setattr("headstart.tasks.class_maps._AT_ONCE", 1)
    before = logits.clone()
    for a, b in zip(at_once, class_maps(logits, sizes, min_area), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(logits, before)
