"""Decoded frames, and pictures of three classes with weights to start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.decoded_frames import Decoded, decode
from headstart.data.layouts.recognise import open_dataset
from headstart.runs.run import train
from tests.tasks.classifier_runs import COLOURS, classifier
from tests.tiny_runs import Silent


@pytest.fixture(scope="session")
def splits(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Decoded, Decoded]:
    """Training and validation frames of the drawn data, decoded at 16 x 24."""
    dataset, cache = open_dataset(drawn), tmp_path_factory.mktemp("cache")
    read = (dataset.label_map, dataset.root, cache)
    parts = [decode(dataset.splits[s], (16, 24), *read) for s in ("train", "validation")]
    return parts[0], parts[1]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in three colours: of each class eight to learn, two to validate, four to test."""
    root = tmp_path_factory.mktemp("coloured") / "data"
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("validation", 2), ("test", 4)):
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                noisy = np.clip(colour + rng.normal(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(noisy).save(root / split / name / f"{k}.png")
    return root


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in torchvision's names and shapes, of a thousand classes."""
    from torchvision import models

    with torch.random.fork_rng():
        torch.manual_seed(7)
        path = tmp_path_factory.mktemp("weights") / "squeezenet1_0.pth"
        torch.save(models.squeezenet1_0(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def probed(data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: a new head on weights from a file."""
    out = tmp_path_factory.mktemp("probed") / "run"
    train(classifier(data, start=str(weights)), out, Silent())
    return out
