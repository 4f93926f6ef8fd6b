import subprocess

import pytest


def test_network(netns_topology):
    netns_topology.line("client", "router", "server")
    netns_topology["server"].popen(["sleep", "1000"])
    # It waits for who opens the other end, and then writes more than a pipe has room for.
    script = "cat go; head -c 200000 /dev/zero; echo written > written; exec sleep 1000"
    netns_topology["client"].popen(["sh", "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    netns_topology["client"].run(["true"], check=True)
    netns_topology["client"].create_server(("", 80))
    pytest.fail("on purpose")


def test_passes(netns):
    netns.popen(["sleep", "1000"])


@pytest.fixture
def broken(make_netns):
    make_netns("of the set-up")
    raise ValueError


def test_set_up(broken): ...


def test_named(make_netns):
    make_netns("first").close()
    make_netns("second", name="keep-name")
    pytest.fail("on purpose")


def test_named_again(make_netns):
    make_netns(name="keep-name")


@pytest.fixture(scope="module")
def shared(netns_factory):
    with netns_factory("shared") as ns:
        yield ns


def test_shared(shared):
    pytest.fail("on purpose")


def test_shared_after_that(shared): ...
