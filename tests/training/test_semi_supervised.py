"""The averaged teacher: what it is sure of is learned, and a stopped training resumes exactly."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from headstart.config.methods import Teacher
from headstart.config.recipe_records import Recipe
from headstart.config.recipes import DEFAULT
from headstart.data.augmentation import StrongChanges
from headstart.data.label_map import IGNORE
from headstart.models.unet import UNet
from headstart.seeding import key
from headstart.training.batch_source import Batches
from headstart.training.collapse import nothing_confident
from headstart.training.fit import State, fit
from headstart.training.semi_supervised import (
    SemiSupervised,
    dropped_channels,
    sure_classes,
    sure_cross_entropy,
)
from tests.tiny_runs import Silent
from tests.training.small_training import CPU, same

STEPS = 12
CALM = StrongChanges(brightness=0.0, contrast=0.0, saturation=0.0, grey=0.0, cutmix=0.0)
INDICES = np.array([0, 1, 2])
USUAL = Teacher(batch=4, confidence=0.55)
EVERYTHING = Teacher(batch=4, confidence=0.55, by_class=True, balance=0.5, dropped=0.5)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(key(5, "weights"))
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)
        )


def small_unet() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(key(5, "weights"))
        return UNet(2, width=2)


def pictures(purpose: str, step: int, count: int) -> torch.Tensor:
    return torch.rand(
        count, 3, 8, 10, generator=torch.Generator().manual_seed(key(1, purpose, step))
    )


def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if not (target != IGNORE).any():
        return logits.sum() * 0
    return F.cross_entropy(logits.float(), target.long(), ignore_index=IGNORE)


def source(teacher: Teacher, padded: bool = False) -> SemiSupervised:
    def batch(indices: np.ndarray, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = pictures("labelled", step, len(indices))
        return image, (image[:, 0] > 0.5).to(torch.uint8)

    def views(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        area = torch.zeros(teacher.batch, 8, 10, dtype=torch.uint8)
        area[:, 6:] = IGNORE if padded else 0
        return pictures("unlabelled", step, teacher.batch), area

    labelled = Batches(
        names=("a", "b", "c"), weights=None, batch=batch, loss=loss,
        validation=lambda model, stop: {"loss": 1.0, "dice": 0.5},
    )  # fmt: skip
    return SemiSupervised(labelled, views, views(10**6), teacher, STEPS, seed=3)


def recipe(teacher: Teacher) -> Recipe:
    return DEFAULT.model_copy(
        update={"epochs": 3, "steps": STEPS, "batch": 3, "average": 0.9, "teacher": teacher}
    )


def test_sure_classes_are_those_above_the_confidence() -> None:
    logits = torch.tensor([[3.0, 0.2, -3.0, 3.0], [0.0, 0.0, 0.0, 0.0]])[None, :, None]
    area = torch.tensor([[[0, 0, 0, IGNORE]]], dtype=torch.uint8)
    assert sure_classes(logits, area, 0.9).tolist() == [[[0, IGNORE, 1, IGNORE]]]


def test_a_teacher_that_is_sure_of_nothing_leaves_the_labelled_loss() -> None:
    taught = source(Teacher(batch=4, confidence=0.9999999, ramp=0.0, changes=CALM))
    model, averaged = network().eval(), network().eval()
    image, target = taught.labelled.batch(INDICES, 7)
    expected = loss(model(image), target)
    assert torch.allclose(taught.step(model, averaged, INDICES, 7), expected, atol=1e-6)


def test_the_loss_is_the_sum_that_is_documented() -> None:
    """Against the formula, written out; the teacher is sure of a part of the pixels."""
    teacher = Teacher(batch=4, confidence=0.55, weight=0.7, ramp=0.5, changes=CALM)
    taught, model, averaged, step = (
        source(teacher, padded=True),
        network().eval(),
        network().eval(),
        2,
    )
    with torch.no_grad():
        averaged[3].weight.mul_(3)
    image, target = taught.labelled.batch(INDICES, step)
    weak, area = taught.views(step)
    probs = averaged(weak).softmax(1)
    sure = (probs.max(1).values >= 0.55) & (area != IGNORE)
    assert 0 < sure.float().mean() < 1
    own = probs.argmax(1)
    terms = F.cross_entropy(model(weak), own, reduction="none")
    risen = 0.7 * (step / (0.5 * STEPS))
    expected = loss(model(image), target) + risen * terms[sure].sum() / sure.numel()
    assert torch.allclose(taught.step(model, averaged, INDICES, step), expected, atol=1e-5)


def test_a_class_that_the_teacher_is_less_sure_of_needs_less() -> None:
    """Class 1 has 0.7 and 0.6 at best, so it needs 0.9 * 0.65 / 0.95; padding does not count."""
    probs = torch.tensor([[0.95, 0.95, 0.30, 0.40, 0.05], [0.05, 0.05, 0.70, 0.60, 0.95]])
    logits, area = probs.log()[None, :, None], torch.zeros(1, 1, 5, dtype=torch.uint8)
    area[0, 0, 4] = IGNORE
    assert sure_classes(logits, area, 0.9).tolist() == [[[0, 0, IGNORE, IGNORE, IGNORE]]]
    assert sure_classes(logits, area, 0.9, by_class=True).tolist() == [[[0, 0, 1, IGNORE, IGNORE]]]
    least = 0.9 * 0.65 / 0.95
    assert 0.6 < least < 0.7


@pytest.mark.parametrize("balance", [0.0, 0.3, 1.0])
def test_a_balanced_loss_weighs_pixels_by_how_many_their_class_has(balance: float) -> None:
    rng = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 3, 4, 5, generator=rng)
    found = torch.zeros(2, 4, 5, dtype=torch.uint8)
    found[0, 0, :3], found[1, 3] = 1, IGNORE  # 32 pixels of class 0, 3 of class 1, none of class 2
    losses = F.cross_entropy(logits, found.long(), ignore_index=IGNORE, reduction="none")
    weights = torch.tensor([32**-balance, 3**-balance])
    weights = weights * 35 / (weights * torch.tensor([32, 3])).sum()
    expected = (losses[found == 0].sum() * weights[0] + losses[found == 1].sum() * weights[1]) / 40
    assert torch.allclose(sure_cross_entropy(logits, found, balance), expected, rtol=1e-5)
    nothing = torch.full_like(found, IGNORE)
    assert float(sure_cross_entropy(logits, nothing, balance)) == 0


def test_channels_are_dropped_of_pictures_without_labels_alone() -> None:
    model, image = UNet(2, width=4).eval(), torch.rand(6, 3, 16, 16)
    seen: list[torch.Tensor] = []
    with torch.no_grad():
        with dropped_channels(model, 0.5, 2, seed=1, step=7):
            handle = model.deepest.register_forward_hook(lambda _, __, out: seen.append(out))
            changed = model(image)
            again = model(image)
            handle.remove()
        usual = model(image)
        x = (image - model.mean) / model.std
        for level, stage in enumerate(model.encoder):
            x = stage(F.max_pool2d(x, 2) if level else x)
    assert torch.equal(changed[:2], usual[:2]) and not torch.equal(changed[2:], usual[2:])
    assert not torch.equal(changed, again)  # drawn anew for each pass
    dropped = (seen[0][2:] == 0).all((2, 3)) & (x[2:] != 0).any(2).any(2)
    assert 0.3 < dropped.float().mean() < 0.7
    kept = ~dropped
    assert torch.allclose(seen[0][2:][kept], 2 * x[2:][kept])
    assert not model.deepest._forward_hooks


def test_the_teacher_gets_no_gradient() -> None:
    taught = source(Teacher(batch=4, confidence=0.5, ramp=0.0))
    model, averaged = network(), network().eval()
    before = copy.deepcopy(averaged.state_dict())
    taught.step(model, averaged, INDICES, 3).backward()
    assert all(p.grad is None for p in averaged.parameters())
    after = averaged.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is not None for p in model.parameters())


def fitted(
    folder: Path, stop_at: int | None = None, teacher: Teacher = USUAL
) -> tuple[State, nn.Module]:
    made, model = recipe(teacher), network() if not teacher.dropped else small_unet()
    heard = Silent()

    def stop() -> bool:
        return stop_at is not None and bool(heard.steps) and heard.steps[-1] >= stop_at

    assert made.teacher is not None
    state = fit(
        model, source(made.teacher), made, seed=1, steps=STEPS, device=CPU, folder=folder,
        stop=stop, listener=heard, checkpoint_seconds=0.0,
    )  # fmt: skip
    return state, model


@pytest.mark.parametrize("teacher", [USUAL, EVERYTHING], ids=["usual", "everything"])
def test_stopped_anywhere_and_continued_gives_the_same_bits(
    tmp_path: Path, teacher: Teacher
) -> None:
    whole, model = fitted(tmp_path / "whole", teacher=teacher)
    for stop_at in (1, 3, 4, 8, 11):
        fitted(tmp_path / "parts", stop_at, teacher)
    parts, continued = fitted(tmp_path / "parts", teacher=teacher)
    assert same(whole, parts)
    for a, b in zip(model.state_dict().values(), continued.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert all(0 < row["validation_confident"] <= 1 for row in whole.history)


def test_a_teacher_that_stays_unsure_is_named_at_the_third_epoch() -> None:
    def rows(*shares: float) -> list[dict[str, float]]:
        return [{"validation_confident": share} for share in shares]

    assert nothing_confident(rows(0, 0)) is None and nothing_confident([{}] * 5) is None
    finding = nothing_confident(rows(0, 0, 0))
    assert finding is not None and finding.code == "nothing-confident"
    assert nothing_confident(rows(0, 0, 0, 0)) is None  # said once
    assert nothing_confident(rows(0, 0.1, 0)) is None
    assert nothing_confident(rows(0.2, 0, 0, 0)) is not None


def test_a_teacher_needs_an_average() -> None:
    with pytest.raises(ValueError, match="average is 0"):
        Recipe.model_validate({**DEFAULT.model_dump(), "average": 0.0, "teacher": {}})
