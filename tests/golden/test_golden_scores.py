"""Our scores and losses against other libraries' values, and the page that shows both."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from headstart.scores.counts import count
from headstart.scores.overlap import endovis_iou
from headstart.training.losses import dice_loss

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
GOLDEN: dict[str, Any] = json.loads((HERE / "scores.json").read_text())
TORCHMETRICS, MONAI, SMP = (
    {name: entry["value"] for name, entry in GOLDEN[library]["values"].items()}
    for library in ("torchmetrics", "MONAI", "segmentation-models-pytorch")
)


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_scores", DOCS / "draw_scores.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_where_the_conventions_agree(page: ModuleType) -> None:
    ours = page.our_scores()
    agreeing = [(library, name, same) for library, name, same, _ in page.CONVENTIONS if same]
    assert {same for *_, same in agreeing} == {
        *("dice", "dice_frame", "dice_assignment", "isi_iou", "mc_iou")
    }
    for library, name, same in agreeing:
        value = GOLDEN[library]["values"][name]["value"]
        assert ours[same] == pytest.approx(value, abs=1e-6), (library, name)


def test_classes(page: ModuleType) -> None:
    classes = page.our_scores()["classes"].values()
    assert [c["dice"] for c in classes] == pytest.approx(TORCHMETRICS["f1_classes"], abs=1e-6)
    assert [c["iou"] for c in classes] == pytest.approx(TORCHMETRICS["jaccard_classes"], abs=1e-6)
    foreground = np.mean(TORCHMETRICS["jaccard_classes"][1:])
    assert page.our_scores()["iou"] == pytest.approx(foreground, abs=1e-6)


def test_where_they_differ_it_is_for_the_reason_given(page: ModuleType) -> None:
    prediction, truth = (torch.from_numpy(x) for x in page.read_prediction())
    counts = count(prediction, truth, 4).numpy()
    ours = page.our_scores()
    # MONAI leaves a frame without truth out, whatever is predicted there.
    assert endovis_iou(counts[:4]) == pytest.approx(MONAI["iou_foreground"], abs=1e-6)
    assert ours["endovis_iou"] == pytest.approx(MONAI["iou_foreground"] * 3 / 4, abs=1e-6)
    # Background as a class among the others.
    with_background = np.mean([c["dice"] for c in ours["classes"].values()])
    assert with_background == pytest.approx(SMP["f1_macro"], abs=1e-6)
    # Micro averaging over exclusive classes is accuracy.
    accuracy = (prediction == truth).double().mean().item()
    assert accuracy == pytest.approx(SMP["f1_micro"], abs=1e-6)
    assert TORCHMETRICS["dice_score_foreground"] == "NaN"


def test_losses(page: ModuleType) -> None:
    probs = torch.from_numpy(page.probabilities())
    mask = torch.from_numpy(page.read_prediction()[1])
    for frames, smooth, value in (
        (5, 1e-6, MONAI["dice_loss"]),
        (2, 1.0, MONAI["dice_loss_first_two"]),
    ):
        loss = dice_loss(probs[:frames], mask[:frames], absent="count", smooth=smooth)
        assert loss.item() == pytest.approx(value, abs=1e-5)
    skip = [dice_loss(probs[:n], mask[:n], absent="skip").item() for n in (5, 2)]
    assert skip[0] == pytest.approx(SMP["dice_loss"], abs=1e-5)
    assert skip[1] * 3 / 4 == pytest.approx(SMP["dice_loss_first_two"], abs=1e-5)


def test_the_page_shows_what_the_code_gives(page: ModuleType) -> None:
    text = (DOCS / "scores.md").read_text()
    assert page.with_tables(text) == text, "run docs/draw_scores.py"
