"""headstart: a head start for your segmentation model, and proof of whether you needed one.

The public names, in the order in which data flow through them. Importing the package does nothing
else: each name is loaded when it is first asked for, because some of them load torch.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_WHERE = {
    "HeadstartError": "errors",
    "Finding": "errors",
    "LabelMap": "data.label_map",
    "Frame": "data.folders",
    "Dataset": "data.folders",
    "open_dataset": "data.folders",
    "check_dataset": "checks",
    "write_dataset": "data.synthetic",
    "UNet": "models.unet",
    "EncoderUNet": "models.encoder_unet",
    "dice_loss": "losses",
    "dice_cross_entropy_loss": "losses",
    "count": "metrics",
    "score": "metrics",
    "Recipe": "config",
    "RunConfig": "config",
    "read_recipe": "config",
    "train": "run",
    "open_segmenter": "predict",
    "predict": "predict",
    "evaluate_run": "evaluate",
    "evaluate_masks": "evaluate",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"headstart.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_WHERE]


class _Package(ModuleType):
    """Keeps ``headstart.predict`` the function, whoever imports the module of that name first."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _WHERE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
