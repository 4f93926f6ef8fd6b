"""Tests that fail in each step, in which the network has to do with it."""

import signal

import pytest


@pytest.fixture
def fails_before(netns):
    netns.create_connection(("127.0.0.1", 80))


@pytest.fixture
def fails_after(netns):
    yield
    netns.create_connection(("127.0.0.1", 81))


@pytest.fixture
def on_time():
    """As pytest-timeout with the method ``signal``, but for that the test starts the time."""

    def out_of_time(number, frame):
        pytest.fail("Timeout (>0.2s) from pytest-timeout.")

    before = signal.signal(signal.SIGALRM, out_of_time)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.2)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_set_up(fails_before):
    pass


def test_call(netns):
    netns.create_connection(("127.0.0.1", 82))


def test_dynamic(request):
    request.getfixturevalue("netns").create_connection(("127.0.0.1", 88))


def test_teardown(fails_after):
    pass


def test_too_late(netns, on_time):
    listening = netns.create_server(("127.0.0.1", 83))
    client = netns.create_connection(("127.0.0.1", 83))
    client.sendall(b"hello")
    on_time()
    client.recv(100)
    assert listening


@pytest.fixture
def fails_itself(netns):
    yield
    listening = netns.create_server(("127.0.0.1", 87))
    client = netns.create_connection(("127.0.0.1", 87))
    client.sendall(b"hello")
    pytest.fail("Timeout, for example")
    assert listening


def test_that_fails_itself(fails_itself):
    pass


@pytest.fixture
def has_finalizer(netns, request):
    request.addfinalizer(lambda: netns.create_connection(("127.0.0.1", 84)))  # noqa: PT021 - it is a step of its own


def test_finalizer(has_finalizer):
    pass


def test_that_passes(netns):
    with pytest.raises(ConnectionRefusedError):
        netns.create_connection(("127.0.0.1", 85))


@pytest.mark.xfail(strict=True)
def test_that_is_expected_to_fail(netns):
    netns.create_connection(("127.0.0.1", 86))


def test_of_its_own(netns_topology):
    netns_topology.add("client -- router -- server")
    netns_topology["client"].reach(netns_topology["server"].ip)
    assert 1 == 2


def test_without_namespaces():
    assert 1 == 2
