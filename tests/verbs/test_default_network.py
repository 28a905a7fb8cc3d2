"""The network of a segmentation that names none: an encoder, where its weights are at hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import headstart
from headstart.config.recipes import ENCODER_DEFAULT
from headstart.config.task_settings import ENCODER
from headstart.errors import UsageError
from headstart.models import published
from headstart.models.packaged_weights import packaged_file
from headstart.verbs import default_network
from tests.tiny_runs import Silent

pytest.importorskip("timm", reason="timm is not installed: headstart[timm]")
pytestmark = pytest.mark.usefixtures("untimed")
AS_TINY: dict[str, Any] = {"size": 64, "width": 2, "threads": 1, "device": "cpu"}


@pytest.fixture(params=[True, False], ids=["at hand", "not at hand"])
def at_hand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(default_network, "encoder_at_hand", lambda: request.param)
    monkeypatch.setattr(published, "at_hand", lambda _: request.param)
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


def codes(planned: Any) -> set[str]:
    return {finding.code for finding in planned.findings}


def test_a_run(drawn: Path, at_hand: bool) -> None:
    imagenet, scratch = (ENCODER, "imagenet"), ("unet", "scratch")
    assert planned(drawn) == (imagenet if at_hand else scratch)
    assert planned(drawn, recipe="default", tile=True) == (imagenet if at_hand else scratch)
    assert planned(drawn, start="imagenet") == imagenet, "which names no network"
    for options in (
        {"model": "unet"}, {"start": "scratch"}, {"recipe": "assignment"}, {"size": "32x64"},
        {"size": None},  # the pictures' own, 32 x 40
    ):  # fmt: skip
        assert planned(drawn, **options) == scratch, options
    assert planned(drawn, start="colorization") == ("unet", "colorization")
    assert planned(drawn, model="unet", start="colorization") == ("unet", "colorization")


def test_it_is_said_where_no_option_says_it(drawn: Path, tmp_path: Path, at_hand: bool) -> None:
    for options, said in (
        ({}, True), ({"start": "imagenet"}, True), ({"size": "32x64"}, True),
        ({"model": "unet"}, False), ({"start": "scratch"}, False),
        ({"recipe": "assignment"}, False), ({"model": ENCODER, "start": "imagenet"}, False),
    ):  # fmt: skip
        run = headstart.train(drawn, **{**AS_TINY, **options}, dry_run=True)
        (line,) = [str(f) for f in run.findings if f.code == "default-network"] or ("",)
        assert bool(line) == said, options
        assert ("U-Net (unet)" in line) == (said and run.config.model == "unet"), options
    for options, said in (({}, at_hand), ({"starts": "scratch,imagenet"}, True)):
        options = {"labels": 6, "seeds": 1, **AS_TINY, **options}
        study = headstart.study(drawn, out=tmp_path / "S", **options, dry_run=True)
        assert ("default-network" in codes(study)) == said, options


def test_a_study(drawn: Path, tmp_path: Path, at_hand: bool) -> None:
    own, out = ("unet", ("scratch", "colorization")), tmp_path / "S"
    three = ENCODER, ("scratch", "colorization", "imagenet")
    assert compared(drawn, out) == (three if at_hand else own)
    assert compared(drawn, out, against="colorization") == own
    if at_hand:
        assert compared(drawn, out, against="imagenet") == three
        arms = {"methods": "supervised,semi-supervised", "against": "scratch+semi-supervised"}
        for options in (arms, {**arms, "hours": 8.0, "labels": None}):
            network, starts = compared(drawn, out, **options)
            assert network == ENCODER and starts[:3] == three[1] and len(starts) == 6, options
    several = "scratch,chroma,imagenet+semi-supervised"
    assert compared(drawn, out, starts=several) == (ENCODER, tuple(several.split(",")))
    for options in ({"model": "unet"}, {"pretext_steps": 3}, {"drop_leaks": True}):
        assert compared(drawn, out, **options) == own, options
    assert compared(drawn, out, starts="scratch,chroma") == ("unet", ("scratch", "chroma"))
    data = shutil.copytree(drawn, tmp_path / "without unlabelled pictures")
    shutil.rmtree(data / "colorization")
    without = ENCODER, ("scratch", "imagenet")
    assert compared(data, out) == (without if at_hand else own)


def test_a_run_that_is_a_start_says_the_network(drawn: Path, trained: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    config = json.loads((trained / "config.json").read_text())
    (begun / "config.json").write_text(json.dumps({**config, "model": "resnet18"}))
    shutil.copy(trained / "weights.safetensors", begun)
    assert planned(drawn, start=str(begun)) == ("resnet18", str(begun))
    assert planned(drawn, start=str(trained)) == ("unet", str(trained))
    model, _ = compared(drawn, tmp_path / "S", starts=f"scratch,{begun}")
    assert model == "resnet18"
    (begun / "config.json").write_text("{")
    assert planned(drawn, start=str(begun))[0] == "unet"


def test_another_recipe_takes_the_unet(drawn: Path) -> None:
    with pytest.raises(UsageError, match="unet has no published weights"):
        planned(drawn, start="imagenet", recipe="assignment")


def test_a_recipe_of_ones_own_takes_the_network_that_the_start_needs(
    drawn: Path, tmp_path: Path, at_hand: bool
) -> None:
    (tmp_path / "my.toml").write_text('base = "default"\nepochs = 3\n')
    recipe = str(tmp_path / "my.toml")
    assert planned(drawn, recipe=recipe) == ("unet", "scratch")
    options = {**AS_TINY, "recipe": recipe, "start": "imagenet"}
    config = headstart.train(drawn, **options, dry_run=True).config
    assert (config.model, config.recipe.epochs) == (ENCODER, 3)
    assert config.recipe.learning_rate == ENCODER_DEFAULT.learning_rate, "its base is the encoder's"


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
    with pytest.raises(UsageError) as caught:
        headstart.train(drawn, out=out, **{**options, "size": 32})
    assert "size" in str(caught.value) and "model" not in str(caught.value)
    with pytest.raises(UsageError, match="model"):
        headstart.train(drawn, out=old, **options, model="unet")
    scratch = headstart.train(drawn, out=tmp_path / "U", **options)
    monkeypatch.setattr(default_network, "encoder_at_hand", lambda: True)
    again = headstart.train(drawn, out=tmp_path / "U", **options)
    assert again.config.model == "unet" and again.scores == scratch.scores
