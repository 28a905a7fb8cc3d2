"""What a pretext trains on: a resumed training hides the same blocks; the trivial loss."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.config.recipes import PRETEXT_DEFAULT
from headstart.data.augmentation import Augmentation
from headstart.data.decoded_frames import Decoded
from headstart.data.pictures.duplicates import joined
from headstart.data.transforms import augment, augment_image
from headstart.runs.run import train
from headstart.seeding import generator
from headstart.tasks.pretext_training import pretext_batches, restored, trivial_loss
from headstart.training.joint_embedding import agreement_loss
from headstart.training.pretexts import (
    PRETEXTS,
)
from tests.tiny_runs import Silent, tiny_pretext

CPU = torch.device("cpu")
RECIPE = PRETEXT_DEFAULT.model_copy(update={"batch": 2})
SIZE = 16, 24


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pictures() -> Decoded:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 24), np.uint8)
    names, sizes = tuple("abcde"), ((16, 24),) * 5
    return Decoded(names, images, None, np.zeros((5, 1), bool), (), sizes, "x", joined(()))


def test_a_step_is_a_function_of_seed_and_step(pictures):
    pretext = PRETEXTS["masked-colorization"]
    sources = [
        pretext_batches(pretext, pictures, pictures.images, RECIPE, seed, CPU, SIZE)
        for seed in (1, 1, 2)
    ]
    batches = [source.batch(np.array([0, 3]), 7) for source in sources]
    assert torch.equal(batches[0][0], batches[1][0]) and torch.equal(batches[0][1], batches[1][1])
    assert not torch.equal(batches[0][0], batches[2][0])


def test_validation_hides_always_the_same_and_can_be_stopped(pictures):
    pretext, held_out = PRETEXTS["masked-denoising"], pictures.images
    source = pretext_batches(pretext, pictures, held_out, RECIPE, 1, CPU, SIZE)
    model = torch.nn.Conv2d(3, 3, 1)
    first = source.validate(model, lambda: False)
    assert first == source.validate(model, lambda: False) and set(first) == {"loss"}
    assert source.validate(model, lambda: True) is None


def test_pictures_that_are_compared_are_validated_beside_others_than_their_neighbours() -> None:
    """Eight of each of two pictures: in order, no batch would hold anything that varies."""
    two = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 24), np.uint8)
    names, sizes = tuple(map(str, range(16))), ((16, 24),) * 16
    images = two.repeat(8, axis=0)
    many = Decoded(names, images, None, np.zeros((16, 1), bool), (), sizes, "x", joined(()))
    recipe = RECIPE.model_copy(update={"batch": 8, "noise": 0.0, "hidden": 0.0})
    pretext = replace(PRETEXTS["vicreg"], spoil=lambda clean, _, __: torch.cat([clean, clean]))
    model = torch.nn.Conv2d(3, pretext.channels, 1)
    torch.nn.init.normal_(model.weight, std=10, generator=rng())
    source = pretext_batches(pretext, many, images, recipe, 1, CPU, SIZE)
    scores = source.validate(model, lambda: False)
    assert scores is not None and scores["loss"] != pytest.approx(1.98, abs=0.1)
    clean = torch.from_numpy(images)
    with torch.no_grad():
        alike = agreement_loss(model(torch.from_numpy(images[:8]).repeat(2, 1, 1, 1) / 255), clean)
    assert float(alike) == pytest.approx(1.98, abs=0.001)


@pytest.mark.parametrize("name", PRETEXTS)
def test_the_trivial_loss_is_that_of_the_trivial_answer(name, pictures):
    """An oracle model that gives the trivial answer validates at the trivial loss."""
    pretext = PRETEXTS[name]
    trivial = trivial_loss(pretext, pictures.images, RECIPE, 1, CPU)
    if name == "chroma":  # nothing is drawn, so it does not depend on the batches
        one = RECIPE.model_copy(update={"batch": 1})
        again = trivial_loss(pretext, pictures.images, one, 1, CPU)
        assert math.isclose(again, trivial, rel_tol=1e-5)
    if pretext.channels == 3:
        source = pretext_batches(pretext, pictures, pictures.images, RECIPE, 1, CPU, SIZE)
        assert math.isclose(
            source.validate(torch.nn.Identity(), lambda: False)["loss"], trivial, rel_tol=1e-5
        )
    elif name == "vicreg":  # any constant embedding
        other = torch.full((10, pretext.channels, 16, 24), 3.0)
        assert math.isclose(pretext.loss(other, other[:5, :3]), trivial, rel_tol=1e-5)
    else:  # no other constant histogram does better
        clean = torch.from_numpy(pictures.images) / 255
        for seed in range(5):
            constant = torch.randn(1, 64, 1, 1, generator=rng(seed)).expand(5, 64, 16, 24)
            assert float(pretext.loss(constant, clean)) > trivial


@pytest.mark.parametrize("name", ["colorization", "vicreg"])
def test_pictures_to_look_at(pictures: Decoded, name: str) -> None:
    pretext, images = PRETEXTS[name], pictures.images
    model = torch.nn.Conv2d(3, pretext.channels, 1)
    seen, answer, clean = restored(model, pretext, images, RECIPE, 1, CPU)
    assert seen.shape == answer.shape == clean.shape == (5, 16, 24, 3)
    assert min(answer.min(), seen.min()) >= 0 and max(answer.max(), clean.max()) <= 1


def test_a_picture_alone_moves_as_with_its_mask():
    image = torch.rand(2, 3, 16, 24, generator=rng())
    mask = torch.zeros(2, 16, 24, dtype=torch.uint8)
    for movement in (Augmentation(rotation=10.0, scale=1.2), Augmentation(flip_horizontal=True)):
        with_mask, _ = augment(image, mask, movement, generator(1, "x"))
        assert torch.equal(with_mask, augment_image(image, movement, generator(1, "x")))


@pytest.mark.parametrize("name", PRETEXTS)
def test_a_last_batch_of_one_at_a_bottleneck_of_one_pixel(
    name: str, drawn: Path, tmp_path: Path
) -> None:
    """Batch norm has no statistics of a single value; thirteen pictures in batches of four."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in sorted((drawn / "segmentation" / "train").glob("*/*_input.*")):
        shutil.copy(path, folder / path.name)
    for path in sorted((drawn / "segmentation" / "test").glob("*/*_input.*"))[:2]:
        shutil.copy(path, folder / f"other-{path.name}")
    config = tiny_pretext(folder, pretext=name, size=(8, 8), width=4)
    scores = train(config, tmp_path / "run", Silent())
    pictures = json.loads((tmp_path / "run" / "environment.json").read_text())["pictures"]
    assert pictures["train"] % config.recipe.batch == 1
    assert scores["steps"] == 2 * 4 and math.isfinite(scores["loss"])
