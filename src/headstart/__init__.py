"""headstart: a head start for your segmentation model, and proof of whether you needed one.

One function for each verb of the command line, with the same options, and the public names behind
them in the order in which data flow. Importing the package loads little: each name is loaded when
it is first used, because some of them load torch.
"""

from __future__ import annotations

import importlib
from typing import Any

from headstart.system.processor import spin_briefly

spin_briefly()  # here, because it must come before torch

_WHERE = {
    "check": "verbs.check",
    "train": "verbs.train",
    "pretrain": "verbs.pretrain",
    "study": "verbs.study",
    "status": "verbs.status",
    "report": "verbs.report",
    "evaluate": "verbs.evaluate",
    "predict": "verbs.predict",
    "suggest": "verbs.suggest",
    "export": "verbs.export",
    "demo": "verbs.demo",
    "homework": "verbs.homework",
    "HeadstartError": "errors",
    "Finding": "errors",
    "LabelMap": "data.label_map",
    "Frame": "data.pictures.frame",
    "Dataset": "data.layouts.dataset",
    "open_dataset": "data.layouts.recognise",
    "check_dataset": "data.checks.segmentation",
    "write_dataset": "data.drawn.dataset",
    "UNet": "models.unet",
    "EncoderUNet": "models.encoder_unet",
    "dice_loss": "training.losses",
    "dice_cross_entropy_loss": "training.losses",
    "count": "scores.counts",
    "score": "scores.segmentation",
    "Recipe": "config.recipe_records",
    "RunConfig": "config.records",
    "read_recipe": "config.recipes",
    "open_segmenter": "inference.opening",
    "evaluate_run": "inference.evaluation",
    "evaluate_masks": "inference.evaluation",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"headstart.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_WHERE]
