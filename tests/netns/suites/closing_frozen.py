import subprocess
import threading

import freezegun
import pytest


@pytest.fixture(autouse=True)
def frozen():
    with freezegun.freeze_time("2026-01-01"):
        yield


go_on = threading.Event()


@pytest.fixture
def last(netns):
    go_on.clear()
    yield netns
    try:
        netns.close()  # the clock still stands
    finally:
        go_on.set()


def test_processes(last):
    script = "trap '' TERM; echo ready; while :; do sleep 1000; done"
    process = last.popen(["sh", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"


def test_threads(last):
    last.thread(target=go_on.wait).start()


@pytest.mark.parametrize("mode", ["resident", "fork", "mp:fork", "mp:spawn", "mp:forkserver"])
def test_modes(last, mode):
    last.socket(child_mode=mode)


def test_pair(netns_pair):
    pass
