"""What a report shows that depends on the task: scores, words, figures, settings, options.

A new task needs one record here; no other module of a report asks which task it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.checks.classification import check_classes
from headstart.data.checks.segmentation import check_dataset
from headstart.errors import Finding
from headstart.scores.segmentation import SCORES
from headstart.training.recipes import (
    CLASSIFIER_RECIPES,
    ENCODER_PRETEXT_RECIPES,
    ENCODER_RECIPES,
    PRETEXT_RECIPES,
    RECIPES,
)


@dataclass(frozen=True)
class Sheet:
    """The figure of a run that shows its answers.

    Attributes:
        file: its name in the run's folder.
        private: whether it shows pictures of the dataset, coloured by class.
        alt: a description for screen readers; ``{name}`` and ``{split}`` are filled in.
        caption: what it shows; ``{split}`` is filled in.
    """

    file: str
    private: bool
    alt: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Measures:
    """What a report shows for a task.

    Attributes:
        headline: the score that verdicts are about.
        scores: all scores of a split, as ``scores.json`` names them.
        shown: the scores in the table of all runs.
        by_class: the scores of each class; the first one stands in the main table.
        counts: what ``scores.json`` counts for each class.
        class_mean: whether the headline is a mean over foreground classes; else it is one number
            over everything that was scored.
        meanings: an explanation of each score.
        unit: what is scored, in the singular.
        sheet: the figure of a run's answers.
        check: returns the findings of ``headstart check``; raises DataError where the folder is no
            dataset.
        any_folder: whether a folder of pictures that is no dataset will do, too.
        grouped: whether pictures may be known to come from one video or patient.
        hidden_settings: settings that mean nothing for the task and are left out.
        options: command-line options that name the task; none for the default task.
        recipes: recipes with a name, for the U-Net.
        encoder_recipes: the same for all other networks.
        pretext_recipe: whether a study's command names the recipe of its pretexts.
    """

    headline: str
    scores: tuple[str, ...]
    shown: tuple[str, ...]
    by_class: tuple[str, ...]
    counts: tuple[str, ...]
    class_mean: bool
    meanings: tuple[tuple[str, str], ...]
    unit: str
    sheet: Sheet
    check: Callable[[Path], tuple[Finding, ...]]
    any_folder: bool
    grouped: bool
    hidden_settings: tuple[str, ...]
    options: tuple[str, ...]
    recipes: Mapping[str, Any]
    encoder_recipes: Mapping[str, Any]
    pretext_recipe: bool

    @property
    def units(self) -> str:
        """The plural of ``unit``, which is also the name of their number in ``scores.json``."""
        return f"{self.unit}s"


SEGMENTATION = Measures(
    headline="dice",
    scores=SCORES,
    shown=("dice", "dice_assignment"),
    by_class=("dice", "iou", "precision", "recall"),
    counts=("frames", "pixels"),
    class_mean=True,
    meanings=(
        ("dice", "2 TP / (2 TP + FP + FN) of each class over the pixels of all frames together; "
         "mean over the foreground classes present in the truth. The headline score"),
        ("dice_frame", "mean Dice of each frame over the foreground classes in its truth or its "
         "prediction, where a class that is only predicted counts 0; mean over frames"),
        ("dice_assignment", "mean Dice of each frame over all classes, background included; a "
         "class absent from the truth counts 1 if no pixel of it is predicted, else 0; mean over "
         "frames"),
        ("iou", "as dice, with the Jaccard index TP / (TP + FP + FN)"),
        ("endovis_iou", "mean IoU of each frame over the foreground classes in its truth; mean "
         "over frames"),
        ("isi_iou", "as endovis_iou, but classes that are only predicted count 0"),
        ("mc_iou", "mean IoU of each class over the frames that show it; mean over classes"),
        ("absent_fp_rate", "among all pairs of a frame and a foreground class absent from it, the "
         "share with any pixel of the class predicted. Lower is better"),
    ),
    unit="frame",
    sheet=Sheet(
        "predictions.png",
        private=True,
        alt="Best, typical and worst {split} frames of {name}: picture, truth, prediction.",
        caption="From above, the best, typical and worst {split} frames: picture, truth, "
        "prediction.",
    ),
    check=lambda root: check_dataset(root).findings,
    any_folder=False,
    grouped=True,
    hidden_settings=(),
    options=(),
    recipes=RECIPES,
    encoder_recipes=ENCODER_RECIPES,
    pretext_recipe=True,
)  # fmt: skip

CLASSIFICATION = Measures(
    headline="accuracy",
    scores=("accuracy", "macro_f1"),
    shown=("accuracy", "macro_f1"),
    by_class=("recall", "precision"),
    counts=("pictures",),
    class_mean=False,
    meanings=(
        ("accuracy", "the share of pictures whose class is predicted correctly. The headline "
         "score"),
        ("macro_f1", "2 TP / (2 TP + FP + FN) of each class over all pictures; mean over the "
         "classes present in the truth"),
    ),
    unit="picture",
    sheet=Sheet(
        "confusion.png",
        private=False,
        alt="Confusion matrix of {name} on the {split} pictures; recall and precision by class are "
        "in the table.",
        caption="Rows are the true classes of the {split} pictures; columns show the share "
        "predicted as each class.",
    ),
    check=lambda root: check_classes(root).findings,
    any_folder=False,
    grouped=False,
    hidden_settings=("width", "drop_leaks"),
    options=("--task", "classification"),
    recipes=CLASSIFIER_RECIPES,
    encoder_recipes=CLASSIFIER_RECIPES,
    pretext_recipe=False,
)  # fmt: skip

PRETEXT = Measures(
    headline="loss",
    scores=("loss",),
    shown=("loss",),
    by_class=(),
    counts=(),
    class_mean=False,
    meanings=(),
    unit="picture",
    sheet=Sheet("restorations.png", private=True),
    check=lambda root: check_dataset(root).findings,
    any_folder=True,
    grouped=False,
    hidden_settings=(),
    options=(),
    recipes=PRETEXT_RECIPES,
    encoder_recipes=ENCODER_PRETEXT_RECIPES,
    pretext_recipe=False,
)

_BY_TASK = {
    "segmentation": SEGMENTATION,
    "classification": CLASSIFICATION,
    "pretext": PRETEXT,
}


def measures_of(task: str) -> Measures:
    """Return what a report shows for ``segmentation``, ``classification`` or ``pretext``."""
    return _BY_TASK[task]
