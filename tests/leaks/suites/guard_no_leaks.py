import os
import subprocess
import threading

import pytest

kept = []
go_on = threading.Event()


@pytest.fixture(scope="module")
def wide():
    read, write = os.pipe()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    child = subprocess.Popen(["sleep", "1000"])
    yield
    os.close(read)
    os.close(write)
    go_on.set()
    thread.join()
    child.kill()
    child.wait()


@pytest.fixture(scope="module")
def lab(netns_factory):
    with netns_factory("lab") as ns:
        yield ns


def test_what_a_wider_fixture_makes(netns, wide):
    pass


def test_what_is_open_in_a_wider_namespace(lab, netns_factory):
    lab.socket()
    lab.ipr.bind()
    netns_factory("open to the end").ipr.get_links()


def test_what_ends_a_little_later(netns):
    timer = threading.Timer(0.02, print)
    timer.start()


def test_what_only_a_cycle_holds(netns):
    cycle = [open("/dev/null")]  # noqa: SIM115
    cycle.append(cycle)
    with pytest.warns(ResourceWarning):
        import gc

        del cycle
        gc.collect()


def test_a_child_of_multiprocessing(netns):
    netns.socket(child_mode="mp:forkserver")


def test_what_ctypes_keeps_open(netns):
    import ctypes

    ctypes.CFUNCTYPE(None)(print)


def test_a_library_that_has_itself_open(netns):
    with open("/proc/self/maps") as maps:
        path = next(fields[5] for fields in map(str.split, maps) if "x" in fields[1] and "libc" in fields[-1])
    kept.append(os.open(path, os.O_RDONLY))


@pytest.mark.xfail(reason="a failed test's frames hold what it made", strict=True)
def test_what_a_failed_test_holds(netns):
    kept.append(os.dup(0))
    pytest.fail("on purpose")


def test_without_a_namespace():
    kept.append(os.dup(0))
