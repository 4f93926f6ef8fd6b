import os
import ssl

import pytest


@pytest.fixture
def fails_in_setup(netns):
    netns.reach("127.0.0.1")
    raise AssertionError("in the set-up")


@pytest.fixture
def fails_in_teardown(netns):
    yield
    netns.reach("127.0.0.1")
    raise AssertionError("in the teardown")


@pytest.fixture(scope="module")
def lab(netns_factory):
    with netns_factory("lab") as ns:
        yield ns


def test_passes(lab):
    for _ in range(5):
        lab.reach("127.0.0.1")
    assert "SSLKEYLOGFILE" in os.environ
    assert ssl.create_default_context().keylog_filename == os.environ["SSLKEYLOGFILE"]


def test_fails(lab):
    lab.reach("127.0.0.1")
    raise AssertionError("in the call")


def test_setup(fails_in_setup):
    pass


def test_teardown(fails_in_teardown):
    pass


def test_silent(netns):
    raise AssertionError("nothing was sent")


@pytest.mark.xfail
def test_expected(netns):
    netns.reach("127.0.0.1")
    raise AssertionError("as expected")


@pytest.mark.parametrize("text", ["a/b::c", "\N{SNOWMAN}" * 100, "."])
def test_names(netns, text):
    netns.reach("127.0.0.1")
    raise AssertionError("with a strange name")


@pytest.mark.netns_topology("client -- router -- server")
def test_network(netns_topology):
    netns_topology["client"].reach("server")
    raise AssertionError("in a network")


def test_without(request):
    assert "SSLKEYLOGFILE" not in os.environ
