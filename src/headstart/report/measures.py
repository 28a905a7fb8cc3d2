"""By what a task is measured, and what each score means: all that differs between reports."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.report.read import Records
from headstart.scores.segmentation import SCORES


@dataclass(frozen=True)
class Measures:
    """The scores of a task.

    Attributes:
        headline: what verdicts are made from.
        scores: all of a split, as ``scores.json`` names them.
        shown: those of one run that a list of runs has room for.
        by_class: those of each class; the first stands in the main table.
        unit: what is scored.
        sheet: the picture of a run that shows its answers.
        meanings: of each score, in words.
    """

    headline: str
    scores: tuple[str, ...]
    shown: tuple[str, ...]
    by_class: tuple[str, ...]
    unit: str
    sheet: str
    meanings: tuple[tuple[str, str], ...]

    @property
    def units(self) -> str:
        """Several of them; also how ``scores.json`` names their number."""
        return f"{self.unit}s"


SEGMENTATION = Measures(
    headline="dice",
    scores=SCORES,
    shown=("dice", "dice_assignment"),
    by_class=("dice", "iou", "precision", "recall"),
    unit="frame",
    sheet="predictions.png",
    meanings=(
        ("dice", "per class 2 TP / (2 TP + FP + FN) of the pixels of all frames together; mean "
         "over the foreground classes that the truth holds. The headline"),
        ("dice_frame", "per frame, over the foreground classes in its truth or prediction (one "
         "only predicted counts 0); mean over frames"),
        ("dice_assignment", "per frame, over all classes, background too; a class absent from the "
         "truth counts 1 if no pixel of it is predicted, else 0; mean over frames"),
        ("iou", "as dice, with the Jaccard index TP / (TP + FP + FN)"),
        ("endovis_iou", "per frame, mean IoU over the foreground classes in its truth; mean over "
         "frames"),
        ("isi_iou", "as endovis_iou, but classes only predicted enter too, as 0"),
        ("mc_iou", "per class, mean IoU over the frames that hold it; mean over classes"),
        ("absent_fp_rate", "share of the pairs of a frame and a foreground class absent from it "
         "in which any pixel of the class is predicted. Lower is better"),
    ),
)  # fmt: skip

CLASSIFICATION = Measures(
    headline="accuracy",
    scores=("accuracy", "macro_f1"),
    shown=("accuracy", "macro_f1"),
    by_class=("recall", "precision"),
    unit="picture",
    sheet="confusion.png",
    meanings=(
        ("accuracy", "the share of the pictures that are recognised. The headline"),
        ("macro_f1", "per class 2 TP / (2 TP + FP + FN) of the pictures; mean over the classes "
         "that the truth holds"),
    ),
)  # fmt: skip


def measures_of(records: Records) -> Measures:
    """Those of the records' task."""
    return CLASSIFICATION if records.config.task == "classification" else SEGMENTATION
