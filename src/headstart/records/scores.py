"""What ``scores.json`` holds for each task: names and types of its entries."""

from __future__ import annotations

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from headstart.records.run_records import Record

Score = float | None


class _Trivial(Record):
    """The scores of the best constant prediction; those that are named must be there."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Score]


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
    trivial: _TrivialOfPixels
    classes: dict[str, _ClassOfPixels]
    reasons: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_why(self) -> SegmentationScores:
        if self.dice is None and "dice" not in self.reasons:
            raise PydanticCustomError("no_reason", "dice is null, and reasons do not say why")
        return self


class _TrivialOfPixels(_Trivial):
    dice: Score
    dice_assignment: Score


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
    accuracy: float
    macro_f1: float
    collapsed: bool
    trivial: _TrivialOfPictures
    classes: dict[str, _ClassOfPictures]


class _TrivialOfPictures(_Trivial):
    accuracy: float


class _ClassOfPictures(Record):
    recall: Score
    precision: Score
    pictures: int


class PretextScores(Record):
    """The form of a pretext's ``scores.json``."""

    split: str
    pictures: int
    loss: float
    trivial: _TrivialLoss
    epoch: int
    steps: int


class _TrivialLoss(_Trivial):
    loss: float
