"""Sources of batches: any that keeps to the interface trains, and resumes exactly."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.training.batch_source import Batches, BatchSource, Stop, at_least_two
from tests.training.small_training import fitted, lines, same, short, small_model


@dataclass
class MeanTeacher:
    """The loss on labels, and the distance to what the averaged network says of other pictures."""

    labelled: Batches
    weight: float = 1.0
    teachers: list[nn.Module] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        return self.labelled.names

    @property
    def weights(self) -> tuple[float, ...] | None:
        return self.labelled.weights

    def step(
        self, model: nn.Module, averaged: nn.Module, indices: np.ndarray, step: int
    ) -> torch.Tensor:
        assert averaged is not model and model.training and not averaged.training
        self.teachers.append(averaged)
        supervised = self.labelled.step(model, averaged, indices, step)
        others, _ = self.labelled.batch((indices + 1) % len(self.names), step + 1000)
        with torch.no_grad():
            target = averaged(others)
        return supervised + self.weight * nn.functional.mse_loss(model(others), target)

    def validate(self, model: nn.Module, stop: Stop) -> dict[str, float] | None:
        return self.labelled.validate(model, stop)


RECIPE = short(average=0.8)


def test_both_kinds_of_source_keep_to_the_interface() -> None:
    assert isinstance(lines(), BatchSource) and isinstance(MeanTeacher(lines()), BatchSource)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(0, 7), max_size=4))
def test_a_teacher_trains_and_resumes_to_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int]
) -> None:
    whole, model = fitted(tmp_path_factory.mktemp("whole"), RECIPE, source=MeanTeacher(lines()))
    folder = tmp_path_factory.mktemp("parts")
    for stop in stops:
        fitted(folder, RECIPE, stop_at=stop, source=MeanTeacher(lines()))
    parts, resumed = fitted(folder, RECIPE, source=MeanTeacher(lines()))
    assert same(whole, parts)
    for a, b in zip(model.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_teacher_takes_part_and_is_the_network_that_is_validated(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    source = MeanTeacher(lines())
    with_teacher, _ = fitted(tmp_path_factory.mktemp("with"), RECIPE, source=source)
    without, _ = fitted(
        tmp_path_factory.mktemp("without"), RECIPE, source=MeanTeacher(lines(), weight=0.0)
    )
    assert with_teacher.history != without.history
    (teacher,) = {id(t): t for t in source.teachers}.values()  # one network, updated in place
    scores = source.validate(teacher, lambda: False)
    assert scores is not None
    assert scores["loss"] == with_teacher.history[-1]["validation_loss"]


def test_without_an_average_the_averaged_network_is_the_trained_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    pairs: list[bool] = []

    class Watching(MeanTeacher):
        def step(
            self, model: nn.Module, averaged: nn.Module, indices: np.ndarray, step: int
        ) -> torch.Tensor:
            pairs.append(averaged is model)
            return self.labelled.step(model, averaged, indices, step)

    fitted(tmp_path_factory.mktemp("run"), short(average=0.0), source=Watching(lines()))
    assert pairs and all(pairs)


def test_one_picture_is_taken_twice_and_more_are_left_alone() -> None:
    for count in range(4):
        indices = np.arange(count) + 5
        taken = at_least_two(indices)
        assert taken.tolist() == ([5, 5] if count == 1 else indices.tolist())


def test_taken_twice_a_picture_has_the_same_mean_loss_and_trains_batch_norm() -> None:
    source, model = lines(), small_model().eval()
    image, target = source.batch(np.array([3]), 0)
    with torch.no_grad():
        alone = source.loss(model(image), target)
        twice = source.loss(model(image.repeat(2, 1)), target.repeat(2, 1))
    assert torch.allclose(alone, twice)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model.train()(image)
    assert model.train()(image.repeat(2, 1)).shape == (2, 1)
