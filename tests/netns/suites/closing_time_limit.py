import signal
import subprocess

import pytest

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1000; done"


def start(netns):
    process = netns.popen(["sh", "-c", STUBBORN], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    with open("pids", "a") as file:
        print(process.pid, file=file)


def limit(number, frame):
    pytest.fail("out of time")  # as pytest-timeout has it


@pytest.fixture
def time_limit():
    signal.signal(signal.SIGALRM, limit)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.2)  # in the teardown of netns


def test_one(netns, time_limit):
    start(netns)


def test_two():
    with open("pids") as file:
        pid = int(file.read())
    with pytest.raises(ProcessLookupError):
        signal.pidfd_send_signal(__import__("os").pidfd_open(pid), 0)
