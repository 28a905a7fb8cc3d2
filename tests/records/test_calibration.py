"""``calibration.json``: read as written, refused when damaged or gone, absent in old folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.records.calibration import (
    CALIBRATION,
    Calibration,
    pooled_calibration,
    read_calibration,
    reliability,
    temperature_of,
    to_json,
)
from headstart.records.vouching import write_manifest
from headstart.scores.calibration import BINS, bins_of
from headstart.system.disk import json_text


def record(seed: int, temperature: float, n: int = 60) -> Calibration:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.5, 0.5, 0.5], n).astype(np.float32)
    truth = rng.integers(0, 3, n)
    before, after = (reliability(bins_of(probs, truth, t)) for t in (1.0, temperature))
    return Calibration(
        temperature=temperature, fitted_on="validation", fitted_predictions=n, split="test",
        before=before, after=after,
    )  # fmt: skip


def written(folder: Path, one: Calibration) -> Path:
    (folder / CALIBRATION).write_text(json_text(to_json(one)))
    write_manifest(folder, [CALIBRATION], {})
    return folder


def test_it_is_read_as_written(tmp_path: Path) -> None:
    one = record(1, 2.25)
    assert read_calibration(written(tmp_path, one)) == one
    assert temperature_of(tmp_path) == 2.25
    assert one.before.sums.shape == (BINS, 4) and one.before.sums[:, 0].sum() == 60


def test_a_folder_of_an_older_version_has_temperature_1(tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is None and temperature_of(tmp_path) == 1.0
    write_manifest(tmp_path, [], {"scores.json": b"{}"})
    assert read_calibration(tmp_path) is None and temperature_of(tmp_path) == 1.0


def test_a_record_that_is_gone_or_changed_is_not_taken_for_1(tmp_path: Path) -> None:
    path = written(tmp_path, record(1, 2.25)) / CALIBRATION
    content = path.read_text()
    path.write_text(content.replace("2.25", "1.25"))
    with pytest.raises(DataError, match=r"bad-record.*calibration\.json"):
        temperature_of(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"calibration\.json"):
        temperature_of(tmp_path)


@pytest.mark.parametrize(("name", "value"), [("temperature", 0), ("before", None), ("after", {})])
def test_a_record_of_another_form_is_refused(tmp_path: Path, name: str, value: object) -> None:
    content = json.loads(json_text(to_json(record(1, 2.25))))
    (tmp_path / CALIBRATION).write_text(json.dumps({**content, name: value}))
    with pytest.raises(DataError, match=name):
        read_calibration(tmp_path)


def test_folds_add_up() -> None:
    folds = [record(1, 0.5), record(2, 2.0), record(3, 8.0, n=30)]
    pooled = pooled_calibration(folds)
    assert pooled.temperature == 2.0 and pooled.fitted_predictions == 150
    assert pooled.before.sums[:, 0].sum() == 150
    for part in ("before", "after"):
        counts = [60, 60, 30]
        losses = [getattr(fold, part).nll for fold in folds]
        assert getattr(pooled, part).nll == pytest.approx(np.average(losses, weights=counts))
