"""Other libraries' scores and losses of the prediction in ``prediction.txt``.

Those libraries take 20 to 50 seconds to import and much to install, so that the suite compares with
``scores.json``, which this script writes. In an environment of its own::

    uv venv /tmp/golden-venv
    uv pip install --python /tmp/golden-venv/bin/python torch==2.15.0 torchvision \
        torchmetrics monai segmentation-models-pytorch
    /tmp/golden-venv/bin/python tests/golden/make_scores.py
"""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from monai.losses import DiceLoss as MonaiDiceLoss
from monai.metrics import compute_dice, compute_iou, do_metric_reduction
from segmentation_models_pytorch.losses import DiceLoss as SmpDiceLoss
from segmentation_models_pytorch.metrics import f1_score, get_stats, iou_score
from torch import Tensor
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index
from torchmetrics.functional.segmentation import dice_score, mean_iou

HERE = Path(__file__).parent

# What was called is kept as text and evaluated, so that the page shows just that. `x` is prediction
# and truth as class indices, `hot` the same one-hot, `stats` smp's counts of them.
CALLS = {
    "torchmetrics": {
        "dice_score": "dice_score(*x, 4, input_format='index').mean()",
        "dice_score_foreground": (
            "dice_score(*x, 4, include_background=False, input_format='index').mean()"
        ),
        "dice_score_nanmean": (
            "dice_score(*x, 4, include_background=False, input_format='index').nanmean()"
        ),
        "dice_score_global": (
            "dice_score(*x, 4, include_background=False, input_format='index',"
            " aggregation_level='global')"
        ),
        "mean_iou": "mean_iou(*x, 4, input_format='index').mean()",
        "mean_iou_nanmean": (
            "mean_iou(*x, 4, include_background=False, input_format='index').nanmean()"
        ),
        "jaccard_macro": "multiclass_jaccard_index(*x, 4)",
        "f1_micro": "multiclass_f1_score(*x, 4, average='micro')",
        "f1_classes": "multiclass_f1_score(*x, 4, average='none')",
        "jaccard_classes": "multiclass_jaccard_index(*x, 4, average='none')",
    },
    "MONAI": {
        "dice": "do_metric_reduction(compute_dice(*hot), 'mean')[0]",
        "dice_foreground": (
            "do_metric_reduction(compute_dice(*hot, include_background=False), 'mean')[0]"
        ),
        "dice_not_ignore_empty": (
            "do_metric_reduction(compute_dice(*hot, ignore_empty=False), 'mean')[0]"
        ),
        "iou_foreground": (
            "do_metric_reduction(compute_iou(*hot, include_background=False), 'mean')[0]"
        ),
        "iou_mean_batch": (
            "do_metric_reduction(compute_iou(*hot, include_background=False), 'mean_batch')[0]"
            ".mean()"
        ),
        "dice_loss": "MonaiDiceLoss(batch=True, smooth_nr=1e-6, smooth_dr=1e-6)(probs, hot[1])",
        "dice_loss_first_two": (
            "MonaiDiceLoss(batch=True, smooth_nr=1, smooth_dr=1)(probs[:2], hot[1][:2])"
        ),
    },
    "segmentation-models-pytorch": {
        "f1_micro": "f1_score(*stats, reduction='micro')",
        "f1_macro": "f1_score(*stats, reduction='macro')",
        "f1_macro_imagewise": "f1_score(*stats, reduction='macro-imagewise')",
        "iou_macro_imagewise": "iou_score(*stats, reduction='macro-imagewise')",
        "dice_loss": "SmpDiceLoss('multiclass', from_logits=False)(probs, x[1])",
        "dice_loss_first_two": "SmpDiceLoss('multiclass', from_logits=False)(probs[:2], x[1][:2])",
    },
}
FUNCTIONS = (
    *(dice_score, mean_iou, multiclass_f1_score, multiclass_jaccard_index),
    *(do_metric_reduction, compute_dice, compute_iou, f1_score, iou_score),
)


def read_prediction() -> tuple[Tensor, Tensor]:
    """Prediction and truth, both ``(frame, height, width)``."""
    digits = np.genfromtxt(HERE / "prediction.txt", dtype=int, delimiter=1)
    frames = torch.from_numpy(digits.reshape(5, 8, 26))
    return frames[:, :, 14:], frames[:, :, :12]


def evaluate(call: str) -> float | list[float] | str:
    x = read_prediction()
    hot = [F.one_hot(indices, 4).movedim(-1, 1) for indices in x]
    inputs = {
        "x": x,
        "hot": hot,
        "stats": get_stats(*x, mode="multiclass", num_classes=4),
        "probs": 0.1 + 0.6 * hot[0].float(),  # 0.7 for the predicted class, 0.1 for the others
        "MonaiDiceLoss": MonaiDiceLoss,
        "SmpDiceLoss": SmpDiceLoss,
    }
    value = eval(call, {function.__name__: function for function in FUNCTIONS} | inputs)
    return "NaN" if value.isnan().any() else value.squeeze().tolist()


def main() -> None:
    document = {
        library: {
            "version": importlib.metadata.version(library.lower()),
            "values": {
                name: {"call": call, "value": evaluate(call)} for name, call in calls.items()
            },
        }
        for library, calls in CALLS.items()
    }
    (HERE / "scores.json").write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
