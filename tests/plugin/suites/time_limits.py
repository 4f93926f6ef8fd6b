"""Tests that run out of their time, which is over when they say so."""

import importlib
import os
import threading

import pytest
import pytest_timeout


def timers():
    return [one for one in threading.enumerate() if isinstance(one, threading.Timer)]


@pytest.fixture
def ring(netns):
    """Let the time be over, as the timer of pytest-timeout does."""
    netns.socket(2, 2).sendto(b"nobody is there", ("127.0.0.1", 9))
    (timer,) = timers()
    return threading.Thread(target=timer.function, args=timer.args)


def test_holds_a_lock(ring):
    """Of what is imported to look at the network."""
    lock = importlib._bootstrap._get_module_lock("pytest_netns._report.diagnosis.gathering")
    lock.acquire()
    ring.start()
    ring.join()


def test_is_debugged(ring, monkeypatch):
    """Nothing ends then."""
    monkeypatch.setattr(pytest_timeout, "SUPPRESS_TIMEOUT", True)
    ring.start()
    ring.join()


@pytest.fixture(scope="session")
def other():
    """A timer that has nothing to do with the limit of a test."""
    timer = threading.Timer(3000, os.write, (1, b"the other timer\n"))
    timer.start()
    yield timer
    timer.cancel()
    timer.join()


def test_before(other): ...


def test_has_another_timer(netns, other):
    netns.socket(2, 2).sendto(b"nobody is there", ("127.0.0.1", 9))
    assert len(timers()) == 2
    other.function(*other.args)


def test_without_namespaces():
    (timer,) = timers()
    timer.function(*timer.args)
