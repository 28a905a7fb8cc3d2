"""The network of a segmentation that names none: an encoder, where its weights are at hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import headstart
from headstart.config.task_settings import ENCODER
from headstart.errors import UsageError
from headstart.models.packaged_weights import packaged_file
from headstart.verbs import default_network
from tests.conftest import Silent

pytest.importorskip("timm", reason="timm is not installed: headstart[timm]")
AS_TINY: dict[str, Any] = {"size": 64, "width": 2, "threads": 1, "device": "cpu"}


@pytest.fixture(params=[True, False], ids=["at hand", "not at hand"])
def at_hand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(default_network, "encoder_at_hand", lambda: request.param)
    return bool(request.param)


def planned(data: Path, **options: Any) -> tuple[str, str]:
    """Network and start of a run with these options."""
    config = headstart.train(data, **{**AS_TINY, **options}, dry_run=True).config
    return config.model, config.start


def compared(data: Path, out: Path, **options: Any) -> tuple[str, tuple[str, ...]]:
    """Network and starts of a study with these options."""
    options = {"labels": 6, "seeds": 1, **AS_TINY, **options}
    config = headstart.study(data, out=out, **options, dry_run=True).config
    return config.model, config.starts


def test_a_run(drawn: Path, at_hand: bool) -> None:
    published, scratch = (ENCODER, "imagenet"), ("unet", "scratch")
    assert planned(drawn) == (published if at_hand else scratch)
    assert planned(drawn, recipe="default", tile=True) == (published if at_hand else scratch)
    assert planned(drawn, start="imagenet") == published, "which names no network"
    for options in (
        {"model": "unet"}, {"start": "scratch"}, {"recipe": "assignment"}, {"size": "32x64"},
    ):  # fmt: skip
        assert planned(drawn, **options) == scratch, options
    assert planned(drawn, start="colorization") == ("unet", "colorization")
    assert planned(drawn, model="unet", start="colorization") == ("unet", "colorization")


def test_a_study(drawn: Path, tmp_path: Path, at_hand: bool) -> None:
    published, own = (ENCODER, ("scratch", "imagenet")), ("unet", ("scratch", "colorization"))
    out = tmp_path / "S"
    assert compared(drawn, out) == (published if at_hand else own)
    several = "scratch,colorization,imagenet+semi-supervised"
    assert compared(drawn, out, starts=several) == (ENCODER, tuple(several.split(",")))
    for options in ({"model": "unet"}, {"pretext_steps": 3}, {"drop_leaks": True}):
        assert compared(drawn, out, **options) == own, options
    assert compared(drawn, out, starts="scratch,chroma") == ("unet", ("scratch", "chroma"))


def test_the_unet_has_no_published_weights(drawn: Path) -> None:
    with pytest.raises(UsageError, match="unet has no published weights"):
        planned(drawn, model="unet", start="imagenet")


@pytest.mark.skipif(packaged_file(ENCODER) is None, reason="the extra weights is not installed")
def test_a_begun_folder_keeps_its_network(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the real published weights."""
    listener, out = Silent(), tmp_path / "R"
    options = {**AS_TINY, "labels": 6, "steps": 2}
    first = headstart.train(drawn, out=out, **options, listener=listener)
    assert (first.config.model, first.config.start) == (ENCODER, "imagenet")
    assert "default-network" in {finding.code for finding in listener.warnings}
    old = shutil.copytree(out, tmp_path / "old")
    monkeypatch.setattr(default_network, "encoder_at_hand", lambda: False)
    assert headstart.train(drawn, out=out, **options).scores == first.scores
    with pytest.raises(UsageError, match="model"):
        headstart.train(drawn, out=old, **options, model="unet")
    scratch = headstart.train(drawn, out=tmp_path / "U", **options)
    monkeypatch.setattr(default_network, "encoder_at_hand", lambda: True)
    again = headstart.train(drawn, out=tmp_path / "U", **options)
    assert again.config.model == "unet" and again.scores == scratch.scores
