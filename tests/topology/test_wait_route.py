"""Host.wait_route: what changes routes, such as a routing daemon, is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_netns import Host, NetNSTimeoutError, Topology
from pytest_netns._topology import paths

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

RING = "r1, r2, r3, r4 [routes=off]\nr1 -- r2 -- r3 -- r4 -- r1"


@pytest.fixture
def net(netns_topology: Topology) -> Topology:
    """Return a ring of routers of which r4 knows the first address of r3, and r1 does not."""
    netns_topology.add(RING)
    route(netns_topology, "r4", "r3", "r3")
    return netns_topology


def route(net: Topology, router: str, to: str, gateway: str) -> None:
    """Set the route of a router to the address of another, by an interface of a neighbour."""
    (address,) = (one.peer.addresses[0].ip for one in net[router].interfaces.values() if one.peer.host is net[gateway])
    net[router].ipr.route("replace", dst=f"{net[to].ip}/32", gateway=str(address))


def test_it_is_there_already(net: Topology) -> None:
    assert net["r1"].wait_route("r2") == ["r2"]
    assert net["r1"].wait_route(net["r2"].ip6, ["r2"]) == ["r2"]
    assert net["r1"].wait_route("r1") == []


def test_it_comes_and_changes(net: Topology) -> None:
    waits, has_come = threading.Event(), threading.Event()
    results: list[list[str]] = []

    def wait(host: Host) -> None:
        waits.set()
        results.append(host.wait_route("r3", timeout=60))
        has_come.set()
        results.append(host.wait_route("r3", ["r4", "r3"], timeout=60))

    thread = threading.Thread(target=wait, args=[net["r1"]])
    thread.start()
    waits.wait()
    route(net, "r1", "r3", "r2")
    has_come.wait()
    route(net, "r1", "r3", "r4")
    thread.join()
    assert results == [["r2", "r3"], ["r4", "r3"]]


def test_it_does_not_come(net: Topology) -> None:
    r1, r3 = net["r1"], net["r3"]
    text = rf"no route leads to r3 within 0.1 s; after \d+\.\d s it ends here: there is no route to {r3.ip}"
    with pytest.raises(NetNSTimeoutError, match=text):
        r1.wait_route("r3", timeout=0.1)
    route(net, "r1", "r3", "r4")
    text = r"namespace 'r1': no route leads to r3 over r2, r3 within 0.1 s; after \d+\.\d s it leads over r4, r3$"
    with pytest.raises(NetNSTimeoutError, match=text):
        r1.wait_route("r3", ["r2", "r3"], timeout=0.1)


@pytest.mark.slow
def test_what_there_was_meanwhile_is_told(net: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    real, looks = paths.follow, []

    def follow(host: Host, address: str) -> Iterator[paths.Step]:
        looks.append(address)
        if len(looks) == 2:
            host.interfaces["eth0"].down()
        return real(host, address)

    monkeypatch.setattr(paths, "follow", follow)
    route(net, "r1", "r3", "r2")
    text = r"; after \d+\.\d s it leads over r2, r3; after \d+\.\d s it ends here: there is no route to [^;]*$"
    with pytest.raises(NetNSTimeoutError, match=text):
        net["r1"].wait_route("r3", ["r4", "r3"], timeout=5)  # in which it looks three times


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"hops": "r3"}, TypeError, r"hops are the names of hosts, such as \['r1', 'server'\], not 'r3'"),
        ({"hops": ["r3", 3]}, TypeError, r"hops are the names of hosts, .* not \['r3', 3\]"),
        ({"hops": ["r9", "r3"]}, ValueError, "there is no 'r9' in the network, which has r1, r2, r3, r4"),
        ({"timeout": 0}, ValueError, "timeout is a number of seconds above 0"),
    ],
)
def test_what_can_never_be(net: Topology, arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        net["r1"].wait_route("r3", **arguments)
