"""What is recorded of each epoch, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

from headstart.runs.records import Recording
from tests.tiny_runs import Silent


def test_a_classifier_that_learns_nothing_is_called_collapsed_at_its_third_epoch(
    tmp_path: Path,
) -> None:
    listener = Silent()
    row = {"validation_loss": 2.303, "validation_accuracy": 0.1, "validation_collapsed": False}
    timing = {"train_seconds": 1.0, "validation_seconds": 1.0}
    first = Recording(listener, tmp_path, constant={"loss": 2.3026, "accuracy": 0.1})
    first.epoch({"epoch": 1, **row}, timing)
    first.epoch({"epoch": 2, **row}, timing)
    assert listener.warnings == []
    again = Recording(listener, tmp_path, constant={"loss": 2.3026, "accuracy": 0.1})
    again.resumed(20, [{"epoch": 1, **row}, {"epoch": 2, **row}])  # it counts those before
    again.epoch({"epoch": 3, **row}, timing)
    assert [finding.code for finding in listener.warnings] == ["collapsed"]
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]
