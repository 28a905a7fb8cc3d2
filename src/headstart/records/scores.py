"""What ``scores.json`` holds for each task: names and types of its entries."""

from __future__ import annotations

from pydantic import Field

from headstart.records.run_records import Record

Score = float | None


class SegmentationScores(Record):
    """The form of a segmentation's ``scores.json``; see [`headstart.scores.segmentation`][]."""

    split: str
    frames: int
    dice: Score
    dice_frame: Score
    dice_assignment: Score
    iou: Score
    endovis_iou: Score
    isi_iou: Score
    mc_iou: Score
    absent_fp_rate: Score
    frames_left_out: int = 0
    collapsed: bool
    trivial: dict[str, Score]
    classes: dict[str, _ClassOfPixels]
    reasons: dict[str, str] = Field(default_factory=dict)


class _ClassOfPixels(Record):
    dice: Score
    iou: Score
    precision: Score
    recall: Score
    frames: int
    pixels: int
    reason: str = ""


class ClassificationScores(Record):
    """The form of a classification's ``scores.json``."""

    split: str
    pictures: int
    accuracy: Score
    macro_f1: Score
    collapsed: bool
    trivial: dict[str, Score]
    classes: dict[str, _ClassOfPictures]


class _ClassOfPictures(Record):
    recall: Score
    precision: Score
    pictures: int


class PretextScores(Record):
    """The form of a pretext's ``scores.json``."""

    split: str
    pictures: int
    loss: float
    trivial: dict[str, float]
    epoch: int
    steps: int
