"""What several tests stand on: a small drawn dataset, and a run trained on it."""

from __future__ import annotations

import functools
import inspect
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from fontTools import subset
from hypothesis import settings
from matplotlib.figure import Figure
from PIL import Image
from safetensors.torch import save_file

from headstart.config.recipes import ASSIGNMENT_AUGMENTED, DEFAULT, PRETEXT_DEFAULT
from headstart.config.records import PretextConfig, RunConfig
from headstart.config.start_names import PRETEXT_NAMES
from headstart.config.task_settings import CLASSIFICATION
from headstart.data.drawn.dataset import write_dataset
from headstart.plots import curves, sheets
from headstart.reports import figure_files

CLASSIFIER = {
    "task": "classification",
    "model": CLASSIFICATION.model,
    "width": CLASSIFICATION.width,
    "size": CLASSIFICATION.size,
    "recipe": CLASSIFICATION.recipes["default"],
}
"""The default settings of a classification."""

REAL = Path(__file__).parents[2] / "shared" / "data" / "hw6"


# How long an example takes says more of the machine's other work than of the code.
settings.register_profile("headstart", deadline=None)
settings.load_profile("headstart")

torch.set_num_threads(1)  # as the runs in tests are; and the suite runs on several processes

# Tables for composing scripts, which a PDF does not use. To read them from matplotlib's font takes
# most of the time of a PDF figure.
subset.Options._drop_tables_default += ["GDEF", "GPOS", "GSUB"]


class Silent:
    """Listens and remembers."""

    def __init__(self) -> None:
        self.rows: list[dict] = []
        self.warnings: list = []
        self.resumed_at: list[int] = []
        self.steps: list[int] = []
        self.begun: list[str] = []

    def begins(self, what: str) -> None:
        self.begun.append(what)

    def step(self, done: int, total: int) -> None:
        self.steps.append(done)

    def epoch(self, row: dict, timing: dict) -> None:
        self.rows.append(row)

    def resumed(self, step: int, history: list) -> None:
        self.resumed_at.append(step)

    def finding(self, finding) -> None:
        self.warnings.append(finding)


@pytest.fixture
def listener() -> Silent:
    return Silent()


_FIGURES = tuple(
    (module, name, getattr(module, name))
    for module, name in (
        (curves, "curves"), (curves, "confusion"),
        (sheets, "predictions"), (sheets, "restorations"),
        (figure_files, "png"), (figure_files, "pdf"), (figure_files, "svg"),
    )
)  # fmt: skip


def _leave_figures_blank() -> None:
    """The figures of runs and reports are empty ones.

    To draw them takes longer than a tiny training.
    """
    png, pdf, svg = figure_files.png, figure_files.pdf, figure_files.svg
    blank = functools.cache(lambda save: save(Figure((1, 1))))
    for module, name, draw in _FIGURES:
        save, parameters = pdf if name == "pdf" else png, inspect.signature(draw)

        def leave_blank(*given: object, save=save, parameters=parameters) -> bytes:
            parameters.bind(*given)  # as the figure would be drawn
            return blank(save)

        setattr(module, name, leave_blank)
    figure_files.svg = lambda figure, name, alt: svg(Figure((1, 1)), name, alt)


_leave_figures_blank()


@contextmanager
def drawn_figures() -> Iterator[None]:
    """Figures are drawn."""
    with pytest.MonkeyPatch.context() as patched:
        for module, name, draw in _FIGURES:
            patched.setattr(module, name, draw)
        yield


@pytest.fixture(scope="module")
def figures() -> Iterator[None]:
    """``drawn_figures``, for modules that look at them."""
    with drawn_figures():
        yield


@contextmanager
def forked_workers() -> Iterator[None]:
    """Workers of a study begin as forks: they need not load torch, which takes seconds each.

    ``test_workers_give_the_same_files`` in ``studies/test_study.py`` starts them as a study does.
    """
    fork = multiprocessing.get_context("fork")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(multiprocessing, "get_context", lambda _: fork)
        yield


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve, four and five labelled frames, 32 x 40, as headstart draws them."""
    root = tmp_path_factory.mktemp("drawn") / "data"
    return write_dataset(root, train=12, validation=4, test=5, unlabelled=3, height=32, width=40)


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes that differ in their colour: eight pictures to learn, six to test of each."""
    root, rng = tmp_path_factory.mktemp("classes") / "photos", np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 6)):
        for k, name in enumerate(("ape", "bee", "cat")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 60, (18, 20, 3))
                pixels[..., k] += 150
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def squeezenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with the names and shapes of a SqueezeNet that knows ImageNet's classes."""
    from torchvision.models import squeezenet1_1

    path = tmp_path_factory.mktemp("weights") / "squeezenet1_1-imagenet.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(squeezenet1_1().state_dict(), path)
    return path


@pytest.fixture(scope="session")
def real() -> Path:
    """The frames of EndoVis 2017 that the assignment came with."""
    if not REAL.is_dir():
        pytest.skip(f"the real frames are not at {REAL}; they are not part of the project")
    return REAL


def tiny(data: Path, **changes: object) -> RunConfig:
    """A configuration that trains in about a second."""
    recipe = DEFAULT.with_epochs(3).model_copy(update={"batch": 4})
    settings = {
        "schema": 1, "data": str(data), "width": 2, "size": (16, 24), "threads": 1,
        "recipe": recipe, "seed": 3, **changes,
    }  # fmt: skip
    return RunConfig.model_validate(settings)


PRETEXT_TINY = PRETEXT_DEFAULT.with_epochs(2).model_copy(update={"batch": 4})


def tiny_pretext(data: Path, **changes: object) -> PretextConfig:
    """The same for a pretext, colorization unless another is named."""
    settings = {
        "schema": 1, "data": str(data), "width": 2, "size": (16, 24), "threads": 1, "seed": 3,
        "pretext": "colorization", "recipe": PRETEXT_TINY, **changes,
    }  # fmt: skip
    return PretextConfig.model_validate(settings)


def started(data: Path, start: str, **changes: object) -> RunConfig:
    """``tiny`` from a start; a pretext is the tiny one."""
    pretext = tiny_pretext(data, pretext=start) if start in PRETEXT_NAMES else None
    return tiny(data, **{"start": start, "pretext": pretext, **changes})


ASSIGNMENT_TINY = ASSIGNMENT_AUGMENTED.model_copy(update={"batch": 4, "epochs": 3})


@pytest.fixture(scope="session")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the drawn data."""
    from headstart.runs.run import train

    out = tmp_path_factory.mktemp("trained") / "run"
    train(tiny(drawn), out, Silent())
    return out


@pytest.fixture(scope="session")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A copy of the run with its ONNX file, and what was answered. It takes long."""
    import shutil

    from headstart.exports.to_onnx import export_run

    run = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(trained, run)
    messages: list[str] = []
    answer = export_run(run, tell=messages.append)
    assert len(messages) == 2 and "export" in messages[0] and "8 pictures" in messages[1]
    return run, answer


@pytest.fixture(scope="session")
def sharp(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that predicts several classes, far too surely, with temperature 3."""
    import json
    import shutil

    from headstart.training.checkpoint import load_weights, save_weights

    run = tmp_path_factory.mktemp("sharp") / "run"
    shutil.copytree(trained, run, ignore=shutil.ignore_patterns("cache", "checkpoint"))
    (run / "manifest.json").unlink()  # as in a run of an older version
    weights, facts, _ = load_weights(run / "weights.safetensors")
    weights["head.weight"] = 200 * weights["head.weight"]
    weights["head.bias"] = 0 * weights["head.bias"]
    save_weights(run / "weights.safetensors", weights, {**facts, "min_area": 0.0})
    record = json.loads((run / "calibration.json").read_text())
    (run / "calibration.json").write_text(json.dumps({**record, "temperature": 3.0, "reason": ""}))
    return run
