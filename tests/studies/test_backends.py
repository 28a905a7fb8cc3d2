"""What a study needs on every machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.models import packaged_weights
from headstart.studies.backends import packages_of
from tests.studies.test_study import tiny_study

LITE0 = "timm/tf_efficientnet_lite0"


def test_packages_follow_the_network_and_the_starts(
    drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = packaged_weights.PACKAGED[LITE0].module
    monkeypatch.setattr(packaged_weights, "packaged_file", lambda network: Path(network))
    assert packages_of(tiny_study(drawn)) == []
    scratch = tiny_study(drawn, model=LITE0, starts=("scratch", "colorization"))
    assert packages_of(scratch) == ["timm"]
    for start in ("imagenet", "imagenet-colorization"):
        study = tiny_study(drawn, model=LITE0, starts=("scratch", start))
        assert packages_of(study) == ["timm", packaged]
    monkeypatch.setattr(packaged_weights, "packaged_file", lambda network: None)
    assert packages_of(study) == ["timm"], "the weights are a file that timm fetched"
