"""Draws the picture of ``scores.md`` and rewrites its tables with what the code gives now.

    python docs/draw_scores.py

The values of other libraries come from ``tests/golden/scores.json``, which
``tests/golden/make_scores.py`` measures.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float, Int64
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from headstart.scores.counts import count
from headstart.scores.segmentation import Scores, score
from headstart.training.losses import dice_loss

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "tests/golden"
NAMES = ("background", "forceps", "driver", "sealer")
COLOURS = ("#eeeeee", "#0072b2", "#e69f00", "#cc79a7")  # three of Okabe and Ito's
CAPTIONS = (
    "1: both found, roughly",
    "2: found, and two stray pixels",
    "3: nothing there, nothing found",
    "4: sealer taken for a driver",
    "5: nothing there, a stray pixel",
)
EIGHT = (
    *("dice", "dice_frame", "dice_assignment", "iou"),
    *("endovis_iou", "isi_iou", "mc_iou", "absent_fp_rate"),
)

# Library, its value in scores.json, which of ours it is, and what it does.
CONVENTIONS = (
    (
        "torchmetrics",
        "dice_score_global",
        "dice",
        "only if the ground truth has every class: an absent one would count 0 if predicted",
    ),
    ("torchmetrics", "dice_score_nanmean", "dice_frame", "as does its metric `DiceScore`"),
    ("MONAI", "dice_not_ignore_empty", "dice_assignment", ""),
    (
        "segmentation-models-pytorch",
        "f1_macro_imagewise",
        "dice_assignment",
        "by its default `zero_division=1.0`",
    ),
    ("torchmetrics", "mean_iou_nanmean", "isi_iou", ""),
    ("MONAI", "iou_mean_batch", "mc_iou", ""),
    (
        "MONAI",
        "iou_foreground",
        None,
        "`endovis_iou` without frame 5: false positives without any instrument do not count",
    ),
    ("torchmetrics", "dice_score_foreground", None, "one empty frame makes the plain mean NaN"),
    (
        "torchmetrics",
        "dice_score",
        None,
        "`dice_frame` with background as a class: the empty frame 3 counts 1",
    ),
    ("MONAI", "dice", None, "with background; classes that are only predicted are ignored"),
    (
        "MONAI",
        "dice_foreground",
        None,
        "ignores classes that are only predicted, and frame 5",
    ),
    ("torchmetrics", "mean_iou", None, "`isi_iou` with background as a class"),
    ("torchmetrics", "jaccard_macro", None, "`iou` with background as a class"),
    ("segmentation-models-pytorch", "f1_macro", None, "`dice` with background as a class"),
    ("segmentation-models-pytorch", "iou_macro_imagewise", None, "`dice_assignment` with IoU"),
    ("torchmetrics", "f1_micro", None, "the share of right pixels, under another name"),
    ("segmentation-models-pytorch", "f1_micro", None, "the same"),
)


def read_prediction() -> tuple[Int64[np.ndarray, "n h w"], Int64[np.ndarray, "n h w"]]:
    """Prediction and truth of the five frames."""
    frames = np.genfromtxt(GOLDEN / "prediction.txt", dtype=np.int64, delimiter=1).reshape(5, 8, 26)
    return frames[:, :, 14:], frames[:, :, :12]


def our_scores() -> Scores:
    prediction, truth = (torch.from_numpy(x) for x in read_prediction())
    return score(count(prediction, truth, len(NAMES)).numpy(), NAMES)


def probabilities() -> Float[np.ndarray, "n k h w"]:
    """0.7 for the predicted class and 0.1 for each other one, as in ``make_scores.py``."""
    prediction, _ = read_prediction()
    hot = prediction[:, None] == np.arange(len(NAMES))[:, None, None]
    return 0.1 + 0.6 * hot


def tables() -> dict[str, str]:
    """The page's tables in Markdown, by name."""
    golden = json.loads((GOLDEN / "scores.json").read_text())
    scores = our_scores()
    ours = ["| score | this prediction | best constant prediction |", "|---|--:|--:|"]
    ours += [
        f"| `{name}` | {_number(scores[name])} | {_number(scores['trivial'][name])} |"  # type: ignore[literal-required]
        for name in EIGHT
    ]
    keys = ("dice", "iou", "precision", "recall")
    classes = [f"| class | {' | '.join(keys)} | frames | pixels |", "|---|--:|--:|--:|--:|--:|--:|"]
    for name, entry in scores["classes"].items():
        values = " | ".join(_number(entry[key]) for key in keys)  # type: ignore[literal-required]
        classes.append(f"| {name} | {values} | {entry['frames']} | {entry['pixels']} |")
    theirs = ["| library and call | value | equals ours | |", "|---|--:|---|---|"]
    for library, name, same, words in CONVENTIONS:
        entry = golden[library]["values"][name]
        equal = f"`{same}`" if same else "none"
        theirs.append(
            f"| {library} `{entry['call']}` | {_number(entry['value'])} | {equal} | {words} |"
        )
    versions = ", ".join(f"{library} {golden[library]['version']}" for library in golden)
    theirs += ["", f"Measured with {versions}."]
    rows = {"ours": ours, "classes": classes, "theirs": theirs, "losses": _losses(golden)}
    return {name: "\n".join(lines) for name, lines in rows.items()}


def _losses(golden: dict[str, dict[str, dict[str, dict[str, float]]]]) -> list[str]:
    probs = torch.from_numpy(probabilities())[:2]
    mask = torch.from_numpy(read_prediction()[1])[:2]
    lines = ["| loss of frames 1 and 2 | value |", "|---|--:|"]
    for absent, smooth in (("count", 1e-6), ("count", 1.0), ("skip", 1e-6), ("skip", 1.0)):
        value = dice_loss(probs, mask, absent=absent, smooth=smooth).item()
        call = f"dice_loss(probs, mask, absent={absent!r}, smooth={smooth:g})"
        lines.append(f"| `{call}` | {_number(value)} |")
    for library in ("MONAI", "segmentation-models-pytorch"):
        entry = golden[library]["values"]["dice_loss_first_two"]
        lines.append(f"| {library} `{entry['call']}` | {_number(entry['value'])} |")
    return lines


def _number(value: float | str | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def with_tables(page: str) -> str:
    """The page with its tables replaced."""
    for name, table in tables().items():
        block = f"<!-- {name} -->\n{table}\n<!-- end -->"
        pattern = rf"<!-- {name} -->\n.*?<!-- end -->"
        page, replaced = re.subn(pattern, lambda _, b=block: b, page, flags=re.DOTALL)
        assert replaced == 1, f"the page must hold the table {name} once"
    return page


def draw(path: Path) -> None:
    prediction, truth = read_prediction()
    figure, axes = plt.subplots(2, 5, figsize=(11, 3.9), layout="constrained")
    palette = ListedColormap(COLOURS)
    for row, (label, indices) in enumerate((("truth", truth), ("prediction", prediction))):
        for column, frame in enumerate(indices):
            axis = axes[row, column]
            axis.pcolormesh(frame, cmap=palette, vmin=0, vmax=3, edgecolors="white", linewidth=0.7)
            axis.invert_yaxis()
            axis.set(aspect="equal", xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if row == 0:
                axis.set_title(CAPTIONS[column], fontsize=8.5)
            else:
                y, x = np.nonzero(frame != truth[column])
                axis.plot(x + 0.5, y + 0.5, "x", color="black", markersize=4.5)
        axes[row, 0].set_ylabel(label, fontsize=10)
    handles: list[object] = [Patch(color=c, label=n) for c, n in zip(COLOURS, NAMES, strict=True)]
    handles.append(plt.Line2D([], [], color="black", marker="x", ls="", label="wrong pixel"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    (HERE / "images").mkdir(exist_ok=True)
    draw(HERE / "images/scores.png")
    page = HERE / "scores.md"
    page.write_text(with_tables(page.read_text()))


if __name__ == "__main__":
    main()
