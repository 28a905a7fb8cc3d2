"""What a segmenter trains on: batches, losses and validation of frames."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.config.recipes import ASSIGNMENT, DEFAULT
from headstart.data.decoded_frames import Decoded
from headstart.data.label_map import IGNORE
from headstart.models.unet import UNet
from headstart.runs.run import train
from headstart.tasks.class_maps import class_maps
from headstart.tasks.segmentation_training import frame_batches, one_value_at_bottleneck
from headstart.training.losses import dice_cross_entropy_loss, dice_loss
from headstart.training.placement import to_input
from tests.scores.oracle import from_sklearn
from tests.tiny_runs import Silent, tiny

CPU = torch.device("cpu")


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


@pytest.mark.parametrize(
    ("model", "size", "single"),
    [
        ("unet", (8, 8), True),
        ("unet", (8, 16), False),
        ("unet", (16, 8), False),
        ("squeezenet1_1", (48, 48), False),
    ],
)
def test_which_networks_have_one_value_at_the_bottleneck(
    model: str, size: tuple[int, int], single: bool
) -> None:
    assert one_value_at_bottleneck(model, size) == single


def test_a_batch_of_one_is_repeated_only_where_it_must_be(splits: tuple[Decoded, Decoded]) -> None:
    for repeat, count in ((False, 1), (True, 2)):
        source = frame_batches(*splits, DEFAULT, 5, seed=0, device=CPU, repeat_single=repeat)
        assert len(source.batch(np.array([3]), 0)[0]) == count
        assert len(source.batch(np.array([3, 1, 2]), 0)[0]) == 3


def test_one_label_at_a_bottleneck_of_one_pixel_trains_and_scores(
    drawn: Path, tmp_path: Path
) -> None:
    """Batch norm has no statistics of a single value."""
    config = tiny(drawn, size=(8, 8), width=4, labels=1)
    scores = train(config, tmp_path / "run", Silent())
    assert scores["split"] == "test" and 0 <= scores["dice_assignment"] <= 1
    assert len((tmp_path / "run" / "labels.txt").read_text().splitlines()) == 1
    rows = [json.loads(row) for row in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 3 and all(math.isfinite(row["train_loss"]) for row in rows)


def test_a_last_batch_of_one_at_a_bottleneck_of_one_pixel(drawn: Path, tmp_path: Path) -> None:
    """Five labels in batches of four, in each epoch."""
    recipe = DEFAULT.with_epochs(2).model_copy(update={"batch": 4, "epoch": "pass"})
    config = tiny(drawn, size=(8, 8), width=4, labels=5, recipe=recipe)
    assert train(config, tmp_path / "run", Silent())["frames"] == 5


# --- pixels that do not count ---


def ignoring(data: Decoded, seed: int) -> Decoded:
    """The frames with a third of the pixels ignored, and of the first frame all."""
    rng = np.random.default_rng(seed)

    def some(mask: np.ndarray, k: int) -> np.ndarray:
        return np.where((rng.random(mask.shape) < 0.3) | (k == 0), np.uint8(IGNORE), mask)

    assert data.masks is not None
    masks = np.stack([some(m, k) for k, m in enumerate(data.masks)])
    return replace(data, masks=masks, truth=tuple(some(t, k) for k, t in enumerate(data.truth)))


@pytest.mark.parametrize("recipe", [ASSIGNMENT, DEFAULT])
def test_training_and_validation_leave_ignored_pixels_out(
    splits: tuple[Decoded, Decoded], recipe
) -> None:
    train_split, validation = (ignoring(part, k) for k, part in enumerate(splits))
    recipe = recipe.model_copy(update={"batch": 1})
    model = UNet(5, 2).eval()
    source = frame_batches(train_split, validation, recipe, 5, seed=0, device=CPU, ignore=IGNORE)
    mask = source.batch(np.array([3, 1]), 5)[1]
    assert (mask == IGNORE).any()
    logits = torch.randn(2, 5, 16, 24)
    other = torch.where((mask == IGNORE)[:, None], torch.randn(2, 5, 16, 24), logits)
    assert torch.equal(source.loss(logits, mask), source.loss(other, mask))

    scores = source.validate(model, lambda: False)
    assert scores is not None and validation.masks is not None
    with torch.no_grad():
        logits = model(to_input(torch.from_numpy(validation.images), CPU))
        losses = []
        for k in range(1, 4):  # the first frame has no pixel that counts
            valid = torch.from_numpy(validation.masks[k] != IGNORE)
            fewer = logits[k : k + 1, :, valid][:, :, None]
            truth = torch.from_numpy(validation.masks[k])[valid][None, None]
            losses.append(float(source.loss(fewer, truth)))
        maps = class_maps(logits, validation.sizes, recipe.min_area)
    assert scores["loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    pairs = [(m.numpy(), t) for m, t in zip(maps, validation.truth, strict=True)]
    fewer_pixels = [[x[t != IGNORE].astype(int) for x in (m, t)] for m, t in pairs]
    expected = from_sklearn([m for m, _ in fewer_pixels], [t for _, t in fewer_pixels], 5)
    assert scores["dice"] == pytest.approx(expected["dice"], abs=1e-12)
