"""A signal is a question; a second one is an order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

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


def test_a_signal_may_arrive_right_after_its_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    install = signal.signal

    def install_and_send(number: int, handler: Any) -> Any:
        before = install(number, handler)
        if number == signal.SIGTERM and handler is not before:
            os.kill(os.getpid(), number)
        return before

    of_the_process = install(signal.SIGTERM, lambda *_: None)
    try:
        monkeypatch.setattr(signal, "signal", install_and_send)
        with Stopping() as stopping:
            assert stopping.signal == signal.SIGTERM
    finally:
        monkeypatch.undo()
        install(signal.SIGTERM, of_the_process)


def test_another_thread_cannot_own_the_signals() -> None:
    refused: list[ValueError] = []

    def enter() -> None:
        try:
            with Stopping():
                pass
        except ValueError as error:
            refused.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert len(refused) == 1
    with Stopping() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.signal == signal.SIGTERM


def test_a_second_interrupt_ends_a_process_without_a_handler() -> None:
    code = (
        "import os, signal\n"
        "from headstart.system.signals import Stopping\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "with Stopping():\n"
        "    for _ in range(2): os.kill(os.getpid(), signal.SIGINT)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGINT


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
