"""Class maps at each frame's own size, and a task that says what a training is about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.config.recipes import ASSIGNMENT, DEFAULT
from headstart.data.decoded_frames import Decoded, decode
from headstart.data.layouts.folders import open_dataset
from headstart.inference.segmenter import class_maps as in_numpy
from headstart.models.unet import UNet
from headstart.tasks.class_maps import class_maps, count_frames, segment
from headstart.tasks.segmentation_training import frame_batches
from headstart.training.losses import dice_cross_entropy_loss, dice_loss
from headstart.training.placement import to_input

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def splits(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Decoded, Decoded]:
    dataset, cache = open_dataset(drawn), tmp_path_factory.mktemp("cache")
    read = (dataset.label_map, dataset.root, cache)
    parts = [decode(dataset.splits[s], (16, 24), *read) for s in ("train", "validation")]
    return parts[0], parts[1]


def _one_hot(classes: torch.Tensor, num_classes: int) -> torch.Tensor:
    return 10 * nn.functional.one_hot(classes.long(), num_classes).permute(0, 3, 1, 2).float()


@given(st.integers(1, 4), st.integers(3, 9), st.integers(3, 9), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_at_the_same_size_it_is_the_argmax(b: int, h: int, w: int, seed: int) -> None:
    logits = torch.randn(b, 4, h, w, generator=torch.Generator().manual_seed(seed))
    maps = class_maps(logits, [(h, w)] * b, 0.0)
    assert torch.equal(torch.stack(maps), logits.argmax(1).to(torch.uint8))


@pytest.mark.parametrize("min_area", [0.0, 0.2])
def test_of_equally_probable_classes_it_is_the_first(min_area: float) -> None:
    """As ONNX Runtime and NumPy have it, which run the same network elsewhere."""
    levels = torch.randint(0, 3, (4, 5, 16, 24), generator=torch.Generator().manual_seed(0))
    logits = levels.float()
    found = class_maps(logits, [(16, 24)] * 4, min_area)
    expected = in_numpy(logits.softmax(1).numpy(), [(16, 24)] * 4, min_area)
    assert (logits == logits.max(1, keepdim=True).values).sum(1).max() == 5, "no ties, no test"
    assert all(np.array_equal(a.numpy(), b) for a, b in zip(found, expected, strict=True))


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


def test_count_frames_counts_every_pixel(splits: tuple[Decoded, Decoded]) -> None:
    counts = count_frames(UNet(5, 2), splits[1], 5, CPU, 0.0)
    assert counts.shape == (4, 5, 3)
    assert (counts[..., 0] + counts[..., 2]).sum(1).tolist() == [32 * 40] * 4


@pytest.mark.parametrize("recipe", [ASSIGNMENT, DEFAULT])
def test_the_loss_is_the_recipes(splits: tuple[Decoded, Decoded], recipe) -> None:
    source = frame_batches(*splits, recipe, 5, seed=0, device=CPU)
    logits = torch.randn(2, 5, 16, 24)
    mask = torch.randint(0, 5, (2, 16, 24), dtype=torch.uint8)
    if recipe is ASSIGNMENT:
        expected = dice_loss(logits.softmax(1), mask, absent="count")
    else:
        expected = dice_cross_entropy_loss(logits, mask, absent=recipe.absent)
    assert torch.equal(source.loss(logits, mask), expected)


def test_a_batch_is_a_function_of_its_indices_and_step(splits: tuple[Decoded, Decoded]) -> None:
    source = frame_batches(*splits, DEFAULT, 5, seed=0, device=CPU)
    indices = np.array([3, 1])
    (a, am), (b, bm), (c, _) = (source.batch(indices, step) for step in (5, 5, 6))
    assert torch.equal(a, b) and torch.equal(am, bm) and not torch.equal(a, c)
    assert a.shape == (2, 3, 16, 24) and am.shape == (2, 16, 24)
    assert float(a.min()) >= 0 and float(a.max()) <= 1 and am.dtype == torch.uint8


def test_without_augmentation_a_batch_is_the_pictures(splits: tuple[Decoded, Decoded]) -> None:
    train, _ = splits
    source = frame_batches(*splits, ASSIGNMENT, 5, seed=0, device=CPU)
    image, mask = source.batch(np.array([2, 7]), 0)
    assert torch.equal(image, to_input(torch.from_numpy(train.images[[2, 7]]), CPU))
    assert train.masks is not None and np.array_equal(mask.numpy(), train.masks[[2, 7]])


def test_validation_tells_collapse_and_can_be_interrupted(
    splits: tuple[Decoded, Decoded],
) -> None:
    model = UNet(5, 2)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([9.0, 0, 0, 0, 0]))
    source = frame_batches(*splits, DEFAULT, 5, seed=0, device=CPU)
    scores = source.validate(model, lambda: False)
    assert scores is not None and scores["collapsed"] is True and scores["dice"] == 0
    assert source.validate(model, lambda: True) is None


def test_the_validation_loss_is_a_mean_over_pictures(splits: tuple[Decoded, Decoded]) -> None:
    """The last batch is smaller and must not weigh more."""
    model, (train, validation) = UNet(5, 2), splits
    recipe = DEFAULT.model_copy(update={"batch": 3})
    source = frame_batches(train, validation, recipe, 5, seed=0, device=CPU)
    scores = source.validate(model, lambda: False)
    assert scores is not None and validation.masks is not None
    with torch.no_grad():
        logits = model(to_input(torch.from_numpy(validation.images), CPU))
        masks = torch.from_numpy(validation.masks)
        parts = [(slice(0, 3), 3), (slice(3, 4), 1)]
        expected = sum(float(source.loss(logits[s], masks[s])) * n for s, n in parts) / 4
    assert abs(scores["loss"] - expected) < 1e-5
