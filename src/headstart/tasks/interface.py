"""What a run is about, opened: the interface between `run` and the tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from headstart.tasks.batches_and_maps import Task
from headstart.training.fit import State
from headstart.training.recipes import Training
from headstart.training.starts import Moved, Source


@dataclass(frozen=True)
class Stage:
    """One training of a run.

    Attributes:
        name: of its folder inside the run's; empty for the last, whose records are the run's own.
        model: what trains; its best weights are in it when the next stage begins.
        task: data and question.
        recipe: hyper-parameters.
        steps: an epoch.
        seconds: that were spent on what is computed once, before it: features of frozen parts,
            and their statistics.
    """

    name: str
    model: nn.Module
    task: Task
    recipe: Training
    steps: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Subject:
    """What a run is about, its pictures decoded.

    All of them are, so that a file that cannot be read is known before hours of training; those to
    be scored are looked at when they are over.

    Attributes:
        data: hashes of what it is made from, by name.
        labels: how many labelled pictures serve to train and to validate.
        facts: what stands in the file of weights beside them.
        network: new weights from the seed, and those of the start over them. What no start brings
            is the same for all starts of a seed.
        stages: the trainings, one after the other; each is asked for when the one before is done.
        score: reads the scored split for the first and only time; writes its records and figures
            into the run's folder and gives the content of ``scores.json``.
    """

    data: dict[str, str]
    labels: dict[str, int]
    facts: dict[str, Any]
    network: Callable[[Source | None], tuple[nn.Module, Moved]]
    stages: Callable[[nn.Module], Iterable[Stage]]
    score: Callable[[nn.Module, State, Path], dict[str, Any]]
