"""``calibration.json``: the temperature of a run, and its calibration before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from headstart.records.run_records import Record, checked
from headstart.records.vouching import is_recorded, parse_json, read_record
from headstart.scores.calibration import (
    BINS,
    Bins,
    expected_calibration_error,
    mean_temperature,
    negative_log_likelihood,
)

CALIBRATION = "calibration.json"

_Sum = Annotated[float, Field(ge=0)]


class BinSums(Record):
    """Predictions of a split whose confidence is in one of 15 bins of equal width.

    Attributes:
        predictions: how many.
        right: how many of them are right.
        confidence: sum of their confidences.
        nll: sum of their negative log likelihoods.
    """

    predictions: int = Field(ge=0)
    right: int = Field(ge=0)
    confidence: _Sum
    nll: _Sum


class Reliability(Record):
    """How well confidence matches accuracy on a split.

    Attributes:
        ece: expected calibration error; None without predictions.
        nll: mean negative log likelihood; None without predictions.
        bins: the predictions by confidence, lowest first.
    """

    ece: float | None
    nll: float | None
    bins: Annotated[tuple[BinSums, ...], Field(strict=False, min_length=BINS, max_length=BINS)]

    @property
    def sums(self) -> Bins:
        """The bins as an array; see [`Bins`][headstart.scores.calibration.Bins]."""
        return np.array([list(b.model_dump().values()) for b in self.bins], dtype=np.float64)


class Calibration(Record):
    """The content of ``calibration.json``.

    Attributes:
        temperature: logits are divided by it before the softmax.
        reason: why it is 1, if none could be fitted; or how several became one.
        fitted_on: the split that it was fitted on.
        fitted_predictions: the number of pixels or pictures that it was fitted on.
        split: the split of ``before`` and ``after``.
        before: with temperature 1.
        after: with this temperature.
    """

    temperature: float = Field(gt=0)
    reason: str = ""
    fitted_on: str
    fitted_predictions: int
    split: str
    before: Reliability
    after: Reliability


def reliability(bins: Bins) -> Reliability:
    """Return the record of predictions by confidence; sums are rounded to six decimals."""
    rows = (
        BinSums(predictions=int(n), right=int(right), confidence=round(c, 6), nll=round(loss, 6))
        for n, right, c, loss in bins.tolist()
    )
    ece, nll = expected_calibration_error(bins), negative_log_likelihood(bins)
    return Reliability(ece=_rounded(ece), nll=_rounded(nll), bins=tuple(rows))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def pooled_calibration(folds: Sequence[Calibration]) -> Calibration:
    """Return the calibration of a cross-validation.

    Every picture was predicted by the network that has not seen it, with the temperature of that
    network. No picture is new to all networks, so none can say which temperature suits all of them
    together: that is the geometric mean.
    """
    return Calibration(
        temperature=mean_temperature([fold.temperature for fold in folds]),
        reason="geometric mean over the folds, each fitted on its own validation pictures",
        fitted_on=folds[0].fitted_on,
        fitted_predictions=sum(fold.fitted_predictions for fold in folds),
        split=folds[0].split,
        before=reliability(sum((fold.before.sums for fold in folds), np.zeros((BINS, 4)))),
        after=reliability(sum((fold.after.sums for fold in folds), np.zeros((BINS, 4)))),
    )


def read_calibration(folder: Path) -> Calibration | None:
    """Return the calibration in a folder; None if an older version finished it.

    Args:
        folder: of a run, of a cross-validation, or of an ensemble in a study.

    Raises:
        DataError: the record is damaged, or ``manifest.json`` lists it and it is missing.
    """
    if not is_recorded(folder, CALIBRATION):
        return None
    path = folder / CALIBRATION
    return checked(parse_json(read_record(folder, CALIBRATION), path), Calibration, path)


def temperature_of(folder: Path) -> float:
    """Return the temperature of a run; 1 if an older version finished it.

    Raises:
        DataError: as [`read_calibration`][].
    """
    record = read_calibration(folder)
    return 1.0 if record is None else record.temperature


def to_json(record: Calibration) -> dict[str, Any]:
    """Return the content of the file."""
    return {"schema": 1, **record.model_dump()}
