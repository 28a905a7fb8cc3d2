"""A segmentation on a classifier's encoder, end to end: published weights in, masks out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from typer.testing import CliRunner

from headstart.cli.main import app
from headstart.config.files import read_run_config
from headstart.config.recipes import ENCODER_DEFAULT
from headstart.config.records import (
    RunConfig,
    make_pretext_config,
    make_run_config,
    make_study_config,
)
from headstart.data.label_map import LabelMap
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, Finding, InterruptedRun, UsageError
from headstart.exports.to_onnx import export_run
from headstart.inference.evaluation import evaluate_run
from headstart.inference.finished_run import read_finished_run
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import Segmenter
from headstart.labelling.suggestion import look
from headstart.models.encoder_unet import make_segmenter
from headstart.reports.write import write_report
from headstart.runs.run import train
from headstart.studies.study import study
from headstart.tasks.segmentation import frozen_at_random, hash_of_label_map
from headstart.training.checkpoint import load_weights
from headstart.training.starts import read_source
from tests.tiny_runs import PRETEXT_TINY, Silent, forked_workers, tiny, tiny_pretext

SAME_BYTES = ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv", "config.json",
              "README.md")  # fmt: skip
RECIPE = ENCODER_DEFAULT.with_epochs(3).model_copy(update={"batch": 4})


def encoded(data: Path, **changes: object) -> RunConfig:
    """``tiny`` with SqueezeNet as encoder."""
    settings = {"model": "squeezenet1_1", "size": (48, 56), "recipe": RECIPE, **changes}
    return tiny(data, **settings)


@pytest.fixture(scope="module")
def run(drawn: Path, squeezenet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Started from a classifier's weights."""
    out = tmp_path_factory.mktemp("encoded") / "run"
    train(encoded(drawn, start=str(squeezenet)), out, Silent())
    return out


def test_a_classifiers_weights_are_its_start(run: Path, squeezenet: Path) -> None:
    start = json.loads((run / "environment.json").read_text())["start"]
    assert start["moved"] and all(name.startswith("encoder.") for name in start["moved"])
    assert start["unused"] == ["classifier.1.bias", "classifier.1.weight"]
    weights, facts, _ = load_weights(run / "weights.safetensors")
    assert (facts["model"], facts["width"]) == ("squeezenet1_1", 2)
    given = read_source(squeezenet, "").weights["features.0.weight"]
    assert not torch.equal(weights["encoder.features.0.weight"], given)  # it was trained
    assert (weights["encoder.features.0.weight"] - given).abs().mean() < given.abs().mean() / 5
    assert "squeezenet1_1" in (run / "README.md").read_text()


def test_killed_and_continued_it_gives_the_same_bytes(
    drawn: Path, run: Path, tmp_path: Path
) -> None:
    class Stop(Silent):
        def step(self, done: int, total: int) -> None:
            if done == 5:
                os.kill(os.getpid(), signal.SIGTERM)

    config, out = read_run_config(run / "config.json"), tmp_path / "parts"
    with pytest.raises(InterruptedRun):
        train(config, out, Stop())
    listener = Silent()
    train(config, out, listener)
    assert listener.resumed_at == [5]
    for name in SAME_BYTES:
        assert (out / name).read_bytes() == (run / name).read_bytes(), name


def test_its_masks_score_what_the_run_scored(drawn: Path, run: Path) -> None:
    scores = json.loads((run / "scores.json").read_text())
    assert evaluate_run(run, open_dataset(drawn), "test", "cpu") == scores


def test_as_one_file_it_answers_the_same(run: Path, tmp_path: Path) -> None:
    written = export_run(run, tmp_path / "model.onnx")
    assert written["agreement"]["largest_difference"] < 1e-5
    assert len({tuple(c["size"]) for c in written["agreement"]["compared"]}) == 2
    segmenter = open_segmenter(tmp_path / "model.onnx")
    assert segmenter.size == (48, 56)


def test_what_to_label_next_looks_at_its_coarsest_features(drawn: Path, run: Path) -> None:
    frames = open_dataset(drawn).unlabelled["train"]
    finished = read_finished_run(run)
    network = Segmenter.network(finished)
    seen = look(network, finished.facts.size, "squeeze", frames, drawn, torch.device("cpu"))
    assert seen.features.shape == (len(frames), 512)


def test_a_pretext_on_the_same_encoder_is_a_start(drawn: Path, tmp_path: Path) -> None:
    same = {"model": "squeezenet1_1", "size": (48, 56), "width": 2, "seed": 3, "threads": 1}
    pretext = {"schema": 1, "data": str(drawn), "pretext": "colorization", **same,
               "recipe": PRETEXT_TINY}  # fmt: skip
    config = encoded(drawn, start="colorization", pretext=pretext)
    train(config, tmp_path / "run", Silent())
    start = json.loads((tmp_path / "run" / "environment.json").read_text())["start"]
    assert start["fresh"] == ["head.weight", "head.bias"]
    assert "encoder.features.0.weight" in start["moved"] and "norms.0.weight" in start["moved"]


def test_starts_of_one_seed_differ_in_the_encoder_alone(
    drawn: Path, squeezenet: Path, tmp_path: Path
) -> None:
    begun = {}

    class First(Silent):
        def step(self, done: int, total: int) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    slow = RECIPE.model_copy(update={"learning_rate": 1e-30, "weight_decay": 0.0, "average": 0.0})
    for name, start in (("scratch", "scratch"), ("given", str(squeezenet))):
        with pytest.raises(InterruptedRun):
            train(encoded(drawn, start=start, recipe=slow), tmp_path / name, First())
        (saved,) = (tmp_path / name / "checkpoint").glob("*.pt")
        begun[name] = torch.load(saved, weights_only=True)["model"]
    trained = [n for n in begun["scratch"] if n.endswith(("weight", "bias"))]
    a, b = begun["scratch"], begun["given"]
    differ = [n for n in trained if not torch.allclose(a[n], b[n], rtol=0, atol=1e-20)]
    assert differ and all(name.startswith("encoder.") for name in differ)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "vit_b_16"}, r"not-an-encoder.*vit_b_16"),
        ({"model": "squeeznet1_1"}, r"(?s)unknown-network.*squeezenet1_1"),
        ({"size": (32, 32)}, r"(?s)bad-size.*--size 48"),
    ],
)
def test_what_cannot_be_an_encoder_is_refused_before_anything_is_made(
    drawn: Path, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        train(encoded(drawn, **changes), tmp_path / "run", Silent())
    assert not (tmp_path / "run").exists()


def test_a_start_of_another_network_says_what_differs(
    drawn: Path, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"\[nothing-moved|\[shapes-differ"):
        train(encoded(drawn, start=str(trained)), tmp_path / "run", Silent())


def test_a_study_refuses_what_would_stop_it_later_before_anything_is_made(
    drawn: Path, trained: Path, squeezenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once among its starts, one that cannot be used stays there."""

    def offline(network: str) -> Path:
        raise DataError(Finding("no-network", "error", f"no weights of {network}"))

    monkeypatch.setattr("headstart.training.starts.fetch_published", offline)
    settings = encoded(drawn).model_dump(
        exclude={"start", "pretext", "tune", "frames", "fold", "seed"}
    )
    starts = ("scratch", "imagenet", str(trained), str(squeezenet))
    config = make_study_config(**{**settings, "starts": starts, "labels": [3], "seeds": [1]})
    with pytest.raises(DataError, match=r"(?s)no weights of squeezenet1_1.*shapes-differ"):
        study(config, tmp_path / "S", Silent(), lambda _: None)
    assert not (tmp_path / "S").exists()


def test_a_recipe_of_the_other_kind_of_network_is_not_taken_in_silence(
    trained: Path, run: Path, tmp_path: Path
) -> None:
    for config, model in ((trained, "squeezenet1_1"), (run, "unet")):
        words = ["train", str(tmp_path), "--task", "segmentation", "--model", model]
        result = CliRunner().invoke(app, [*words, "--config", str(config / "config.json")])
        assert isinstance(result.exception, UsageError)
        assert "--recipe default" in str(result.exception)


def test_imagenet_is_the_start_of_a_classifiers_encoder_only() -> None:
    assert make_run_config(data="d", model="resnet18", start="imagenet").width == 32
    with pytest.raises(UsageError, match=r"unet .*--model resnet18"):
        make_run_config(data="d", start="imagenet")
    with pytest.raises(ValidationError, match="tune is staged, but a segmentation takes all or"):
        RunConfig(data="d", model="resnet18", start="imagenet", tune="staged")
    with pytest.raises(ValidationError, match="a classifier as the encoder, and unet has none"):
        RunConfig(data="d", tune="head")


def test_the_hash_of_the_label_map_knows_what_is_ignored_and_colours() -> None:
    names, greys = ("ground", "tool"), (0, 1)
    black, red, green = (0, 0, 0), (255, 0, 0), (0, 255, 0)
    hashes = [
        hash_of_label_map(LabelMap(names, greys, *rest))
        for rest in (
            (),
            ((9,),),
            ((), (black, red)),
            ((), (black, green)),
            ((), (black, red), (green,)),
        )
    ]
    assert len(set(hashes)) == 5
    named = json.dumps([["ground", 0], ["tool", 1]])  # as in records of earlier versions
    assert hashes[0] == hashlib.sha256(named.encode()).hexdigest()


def test_a_frozen_encoder_stays_as_it_began_and_the_rest_trains(
    run: Path, drawn: Path, tmp_path: Path
) -> None:
    """Its weights and its running statistics; ResNet has both."""
    config = encoded(drawn, model="resnet18", size=(64, 64), tune="head")
    trained_from = tmp_path / "from.safetensors"
    torch.manual_seed(1)
    begun = make_segmenter("resnet18", 3, 2)
    save_file({f"encoder.{n}": t for n, t in begun.encoder.state_dict().items()}, trained_from)
    config = config.model_copy(update={"start": str(trained_from)})
    listener = Silent()
    train(config, tmp_path / "frozen", listener)
    assert "random-encoder" not in {finding.code for finding in listener.warnings}
    assert "tune `head`" in (tmp_path / "frozen" / "README.md").read_text()
    (at_random,) = frozen_at_random(config.model_copy(update={"start": "scratch"}))
    assert at_random.code == "random-encoder"
    after, _, _ = load_weights(tmp_path / "frozen" / "weights.safetensors")
    encoder = begun.encoder.state_dict()
    assert all(torch.equal(after[f"encoder.{name}"], tensor) for name, tensor in encoder.items())
    norms = {n: t for n, t in begun.norms.state_dict().items() if t.is_floating_point()}
    assert not any(torch.equal(after[f"norms.{name}"], tensor) for name, tensor in norms.items())
    assert (tmp_path / "frozen" / "scores.json").exists()


def begun_hash(run: Path) -> str:
    return str(json.loads((run / "environment.json").read_text())["start"]["weights_sha256"])


def test_without_published_weights_nothing_is_begun(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(network: str) -> Path:
        raise DataError(Finding("no-network", "error", f"no weights of {network}"))

    monkeypatch.setattr("headstart.training.starts.fetch_published", offline)
    pretext = tiny_pretext(
        drawn, pretext="imagenet-colorization", model="squeezenet1_1", size=(48, 56)
    )
    config = encoded(drawn, start="imagenet-colorization", pretext=pretext)
    with pytest.raises(DataError, match="no weights of squeezenet1_1"):
        train(config, tmp_path / "run", Silent())
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_pretext_from_published_weights(
    drawn: Path, squeezenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the pretext's start; the run starts from what it made of them."""

    def gone(network: str) -> Path:
        raise AssertionError(f"weights of {network} are fetched again")

    monkeypatch.setattr("headstart.training.starts.fetch_published", lambda _network: squeezenet)
    settings = encoded(drawn).model_dump(
        exclude={"start", "pretext", "tune", "frames", "fold", "seed"}
    )
    starts = ("imagenet", "imagenet-colorization")
    changes = {"starts": starts, "labels": [3], "seeds": [1], "pretext_recipe": PRETEXT_TINY}
    config = make_study_config(**{**settings, **changes})
    with forked_workers():
        record = study(config, tmp_path / "S", Silent(), lambda _: None)
    assert [row["start"] for row in record["records"]] == [*starts]
    (pretext,) = (tmp_path / "S" / "starts").iterdir()
    start = json.loads((pretext / "environment.json").read_text())["start"]
    assert start["moved"] and all(name.startswith("encoder.") for name in start["moved"])
    begun = read_source(squeezenet, "published").weights
    after, facts, _ = load_weights(pretext / "weights.safetensors")
    assert facts["pretext"] == "imagenet-colorization"
    first = next(name for name in begun if name.endswith("0.weight"))
    assert not torch.equal(after[f"encoder.{first}"], begun[first]), "it trained them"
    assert "Start: `imagenet`" in (pretext / "README.md").read_text()
    run = tmp_path / "S" / record["records"][1]["run"]
    limits = (run / "README.md").read_text()
    assert "The start was trained on ImageNet; its pictures were not compared" in limits
    assert "imagenet-colorization pictures" in limits
    assert begun_hash(pretext) in write_report(tmp_path / "S")[0].read_text()
    start = json.loads((run / "environment.json").read_text())["start"]
    assert f"encoder.{first}" in start["moved"]
    # of a study that was stopped after the pretext, the run goes on without published weights
    ledger, scored = tmp_path / "S" / "ledger.jsonl", (run / "scores.json").read_bytes()
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(line for line in lines if run.name not in line))
    shutil.rmtree(run)
    monkeypatch.setattr("headstart.training.starts.fetch_published", gone)
    with forked_workers():
        assert study(config, tmp_path / "S", Silent(), lambda _: None) == record
    assert (run / "scores.json").read_bytes() == scored
    for make in (make_run_config, make_pretext_config):
        given = {"start": "imagenet-chroma"} if make is make_run_config else {}
        with pytest.raises(UsageError, match="unet has no published weights"):
            make(data="d", **(given or {"pretext": "imagenet-chroma"}))
