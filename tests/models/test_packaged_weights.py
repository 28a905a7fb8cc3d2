"""ImageNet's weights from a package: complete, checked by hash, under timm's names."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from headstart.errors import DataError
from headstart.models import packaged_weights
from headstart.models.packaged_weights import PACKAGED, packaged_file
from headstart.models.published import at_hand, fetch_published
from headstart.models.timm_networks import new_timm
from headstart.training.starts import read_published

NAME = "timm/tf_efficientnet_lite0"
REAL = Path(__file__).parents[3] / "shared/data/weights/tf_efficientnet_lite0-imagenet.safetensors"

pytest.importorskip("timm", reason="timm is not installed: headstart[timm]")
if packaged_file(NAME) is None:
    pytest.skip("no package of weights: headstart[weights]", allow_module_level=True)


def test_every_tensor_of_the_network_is_there_and_the_package_is_not_imported() -> None:
    source = read_published(NAME)
    network = new_timm(NAME, num_classes=1000)
    network.load_state_dict(source.weights, strict=True)
    assert source.name == "imagenet" and source.sha256 == PACKAGED[NAME].sha256
    assert PACKAGED[NAME].module not in sys.modules


def test_the_names_are_those_of_the_layers() -> None:
    """A permutation within equal shapes would show: variances are never negative, means are."""
    weights = read_published(NAME).weights
    for name, tensor in weights.items():
        if name.endswith("running_var"):
            assert (tensor >= 0).all(), name
        if name.endswith("running_mean"):
            assert (tensor < 0).any(), name


def test_the_network_knows_a_picture() -> None:
    """A flower that scikit-learn brings is a daisy, ImageNet's class 985."""
    load_sample_image = pytest.importorskip("sklearn.datasets").load_sample_image
    flower = np.array(load_sample_image("flower.jpg"))
    network = new_timm(NAME, num_classes=1000)
    network.load_state_dict(read_published(NAME).weights)
    picture = torch.from_numpy(flower).permute(2, 0, 1)[None].float() / 255
    picture = torch.nn.functional.interpolate(picture, (224, 224), mode="area")
    with torch.inference_mode():
        assert network.eval()((picture - 0.5) / 0.5).argmax() == 985


@pytest.mark.skipif(not REAL.exists(), reason="the same weights as safetensors are not here")
def test_they_are_those_that_somebody_else_renamed() -> None:
    others = load_file(REAL)
    weights = read_published(NAME).weights
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in others)


def test_a_file_that_was_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = packaged_file(NAME)
    assert whole is not None
    copy = tmp_path / PACKAGED[NAME].module / PACKAGED[NAME].file
    copy.parent.mkdir(parents=True)
    (tmp_path / PACKAGED[NAME].module / "__init__.py").write_text("raise SystemExit('ran')")
    shutil.copy(whole, copy)
    with copy.open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert packaged_file(NAME) == copy and at_hand(NAME)
    with pytest.raises(DataError, match="not what was published"):
        fetch_published(NAME)


def test_other_networks_are_not_in_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packaged_file("timm/resnet10t") is None and packaged_file("unet") is None
    monkeypatch.setattr(packaged_weights.importlib.util, "find_spec", lambda _: None)
    assert packaged_file(NAME) is None
