"""Functions that no signal handler interrupts."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from types import FrameType

import pytest

from pytest_netns._child.background import Background, shielded
from tests.support.helpers import PATIENCE


class Interrupt(Exception):
    """What the handler raises."""


def test_a_function_returns_and_raises() -> None:
    assert shielded(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        shielded(lambda: 1 / 0)


def test_a_function_is_waited_for_within_a_bound() -> None:
    go_on = threading.Event()
    background = Background(go_on.wait)
    assert not background.wait(0)
    assert not background.wait(0.01)
    go_on.set()
    assert background.wait(PATIENCE)
    assert background.result() is True


def test_a_signal_handler_interrupts_the_wait_alone() -> None:
    done: list[bool] = []

    def handler(number: int, frame: FrameType | None) -> None:
        raise Interrupt

    def function() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        deadline = time.monotonic() + 0.05
        while time.monotonic() < deadline:
            pass
        done.append(True)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(Interrupt):
            shielded(function)
        assert done == [True]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_without_another_thread_it_is_called_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    assert shielded(threading.get_ident) == threading.get_ident()
