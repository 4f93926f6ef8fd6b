import os
import signal

import pytest

from pytest_netns._plugin.keys import session_key


@pytest.fixture(scope="session")
def lab(netns_factory):
    with netns_factory("lab") as ns:
        yield ns


@pytest.fixture
def recorder(lab, request):
    (pid,) = request.config.stash[session_key].recorder.program.pids()
    return pid


def test_killed(lab, recorder):
    lab.reach("127.0.0.1")
    os.kill(recorder, signal.SIGKILL)
    raise AssertionError("after it was killed")


def test_killed_and_passed(lab, recorder):
    os.kill(recorder, signal.SIGKILL)


def test_again(lab, netns):
    lab.reach("127.0.0.1")
    netns.reach("127.0.0.1")
    raise AssertionError("all is recorded again")


def test_stopped(netns, recorder):
    netns.reach("127.0.0.1")
    os.kill(recorder, signal.SIGSTOP)


def test_recorded_anew(netns):
    netns.reach("127.0.0.1")
    raise AssertionError("recorded by the next one")


def test_by_hand(netns, lab, recorder):
    capture = netns.capture()
    os.kill(recorder, signal.SIGKILL)
    with pytest.raises(ChildProcessError, match=r"by signal 9|was killed"):
        while True:
            len(capture.frames)
    netns.capture().close()
