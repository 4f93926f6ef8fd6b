import pytest

from pytest_netns._topology.drawing import as_text

LINE = "client -- router -- server"


@pytest.fixture(scope="module")
def lab(netns_topology_factory):
    with netns_topology_factory("labclient -- labserver") as net:
        yield net


@pytest.fixture(scope="module")
def server(netns_topology_factory):
    with netns_topology_factory("hostclient -- hostserver") as net:
        yield net["hostserver"]


@pytest.fixture
def fails(netns_topology):
    raise RuntimeError("of the fixture")


@pytest.mark.netns_topology(LINE)
def test_marker(netns_topology):
    print("expected", netns_topology, "end", sep="\n")
    assert not netns_topology


def test_builder(netns_topology):
    netns_topology.line("client", "server")
    netns_topology["client"].create_connection(("127.0.0.1", 1))


def test_factory_of_another_scope(lab):
    assert not lab


def test_passes_too(server):
    assert server


def test_host_of_another_scope(server):
    assert not server


def test_without_it(netns, netns_topology_factory):
    assert not netns


def test_pair(netns_pair):
    assert not netns_pair


def test_asked_for_later(request):
    request.getfixturevalue("netns_pair")
    raise RuntimeError("of the test")


def test_closed(netns_topology_factory):
    with netns_topology_factory("client -- server"):
        raise RuntimeError("of the test")


@pytest.mark.netns_topology("client -- server")
def test_two(netns_topology, netns_pair):
    assert not netns_pair


@pytest.mark.netns_topology(LINE)
def test_set_up(fails):
    pass


@pytest.mark.netns_topology("sw1 [switch]\nsw2 [switch]\nsw1 -- sw2\nsw1 -- h\nsw2 -- client")
def test_changed(netns_topology):
    netns_topology["client"].replug("eth0", "sw1")
    print("expected", netns_topology, "end", sep="\n")
    assert not netns_topology


def test_large(netns_topology):
    netns_topology.lan("sw", *(f"h{number}" for number in range(60)))
    netns_topology.line("sw", "r1", "r2", "last")
    netns_topology.wait_ready()
    assert not netns_topology


def test_no_network_yet(netns_topology):
    assert netns_topology


def test_no_network_at_all(netns_topology):
    netns_topology.add("a [swtich]")


@pytest.mark.netns_topology(LINE)
def test_broken(netns_topology, monkeypatch):
    def draw(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr(as_text, "draw", draw)
    assert not netns_topology


@pytest.mark.netns_topology(LINE)
def test_passes(netns_topology):
    assert netns_topology
