"""A signal is a question; a second one is an order."""

from __future__ import annotations

import os
import signal

import pytest

from headstart.system.signals import Stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_become_a_question_and_a_second_interrupt_ends_at_once(number: int) -> None:
    before = signal.getsignal(number)
    with Stopping() as stopping:
        assert not stopping.asked()
        os.kill(os.getpid(), number)
        assert stopping.asked() and stopping.signal == number
        if number == signal.SIGINT:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
