"""An optimizer is torch's, without its compiler."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from headstart.config.recipe_records import Training
from headstart.config.recipes import ASSIGNMENT, DEFAULT
from headstart.training.step import make_optimizer


@pytest.mark.parametrize(
    ("recipe", "kind"), [(DEFAULT, torch.optim.AdamW), (ASSIGNMENT, torch.optim.Adam)]
)
def test_an_optimizer_does_as_torchs_and_loads_no_compiler(
    recipe: Training, kind: type[torch.optim.Adam], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To load the compiler takes two seconds of a training."""
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(4, 8, 5)

    def train(model: nn.Module, optimizer: torch.optim.Optimizer, batches: torch.Tensor) -> None:
        for batch in batches:
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            optimizer.step()

    settings = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    train(theirs, kind(theirs.parameters(), **settings, fused=True), inputs)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "torch._dynamo", None)
        first = make_optimizer(ours, recipe)
        train(ours, first, inputs[:2])
        continued = make_optimizer(ours, recipe)
        continued.load_state_dict(first.state_dict())
        train(ours, continued, inputs[2:])
    assert isinstance(continued, kind)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, two)
