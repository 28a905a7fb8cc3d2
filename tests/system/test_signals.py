"""A signal is a question; a second one is an order."""

from __future__ import annotations

import os
import signal

import pytest

from headstart.system.signals import Stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_become_a_question_and_a_second_interrupt_ends_at_once(number: int) -> None:
    of_the_process = signal.signal(number, signal.default_int_handler)
    before = signal.getsignal(number)
    with Stopping() as stopping:
        assert not stopping.asked()
        os.kill(os.getpid(), number)
        assert stopping.asked() and stopping.signal == number
        if number == signal.SIGINT:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    signal.signal(number, of_the_process)


def test_a_signal_inside_is_known_outside() -> None:
    with Stopping() as study:
        with Stopping() as run:
            os.kill(os.getpid(), signal.SIGTERM)
        assert run is study and study.signal == signal.SIGTERM
        assert study.asked()
    with Stopping() as later:
        assert not later.asked()


def test_a_second_interrupt_is_handled_as_before_the_block() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with Stopping():
            os.kill(os.getpid(), signal.SIGINT)
            assert not heard
            os.kill(os.getpid(), signal.SIGINT)
            assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
