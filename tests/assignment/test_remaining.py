"""The time left over the whole, on a clock that is set by hand."""

from __future__ import annotations

from headstart.assignment.remaining import Remaining
from tests.tiny_runs import Silent


def test_what_is_left_follows_the_parts() -> None:
    now, lines = [0.0], []
    whole = {"1(a)": 600.0, "1(b)": 1200.0, "1(c)": 600.0, "2(a)": 7200.0}
    remaining = Remaining(whole, Silent(), lines.append, lambda: now[0])
    remaining.part("1(a)")
    assert lines[-1] == "1(a); about 2.7 hours left in all"
    now[0] = 300.0
    remaining.tell("a run")
    assert lines[-1] == "a run; about 2.6 hours left in all"
    now[0] = 6000.0  # late: the parts to come still take their time
    assert remaining.left() == "about 2.5 hours left in all"
    remaining.part("1(b)", "1(c)", of="with StepLR")
    assert lines[-1] == "1(b), 1(c), with StepLR; about 2.5 hours left in all"
    remaining.part("2(a)")
    now[0] += 7140
    row = {"epoch": 9, "validation_loss": 0.25}
    remaining.begins("vgg16")
    remaining.epoch(row, {"train_seconds": 1.0, "validation_seconds": 1.0})
    assert lines[-1] == "vgg16: epoch 9, validation loss 0.2500; about 1 minute left in all"
    remaining.epoch(row, {"train_seconds": 1.0, "validation_seconds": 1.0})
    assert len(lines) == 5, "quick epochs are not told one by one"
