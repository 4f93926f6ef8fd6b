"""netns_pair: usable at once, in both directions, by IPv4 and IPv6."""

from __future__ import annotations

import errno
import socket

import pytest

from pytest_netns import MakeTopology, NetNS, NetNSPair
from pytest_netns._topology import described
from tests.support.helpers import links_of_networks
from tests.support.neighbours import PATIENCE, ask_once

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

FAMILIES = {
    socket.AF_INET: ("192.0.2.1", "192.0.2.2"),
    socket.AF_INET6: ("2001:db8::1", "2001:db8::2"),
}


@pytest.mark.smoke
@pytest.mark.parametrize("run", range(5))
@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_packet_arrives(netns_pair: NetNSPair, family: int, run: int) -> None:
    left, right = netns_pair
    ask_once(left, right)
    addresses = FAMILIES[socket.AddressFamily(family)]
    receiver, sender = right.socket(family, socket.SOCK_DGRAM), left.socket(family, socket.SOCK_DGRAM)
    receiver.bind((addresses[1], 53))
    sender.bind((addresses[0], 53))
    receiver.settimeout(PATIENCE)
    sender.sendto(b"first", (addresses[1], 53))
    assert receiver.recvfrom(100)[1][:2] == (addresses[0], 53)


def test_both_sides_are_servers(netns_pair: tuple[NetNS, NetNS]) -> None:
    for family, addresses in FAMILIES.items():
        for here, there, address in zip(netns_pair, netns_pair[::-1], addresses[::-1], strict=True):
            with (
                there.create_server((address, 80), family=family),
                here.create_connection((address, 80), timeout=20) as client,
            ):
                assert client.getpeername()[:2] == (address, 80)


def test_the_link(netns_pair: tuple[NetNS, NetNS]) -> None:
    for ns in netns_pair:
        eth0 = ns.ipr.link("get", ifname="eth0")[0]
        assert eth0.get("operstate") == "UP"
        assert eth0.get(("linkinfo", "kind")) == "veth"


def test_a_pair_leaves_no_link_in_the_original_namespace(pytester: pytest.Pytester) -> None:
    before = links_of_networks()
    pytester.makepyfile("def test_x(netns_pair): pass")
    pytester.runpytest().assert_outcomes(passed=1)
    assert links_of_networks() == before


def test_pairs_one_after_another_of_the_same_names(netns_topology_factory: MakeTopology) -> None:
    """A veth's name may linger in a namespace that goes; ours are new each time."""
    for _ in range(20):
        with netns_topology_factory("left -- right") as net:
            assert net["left"].interfaces["eth0"].peer.host is net["right"]


def test_the_news_of_the_carrier_does_not_wait(netns_pair: tuple[NetNS, NetNS]) -> None:
    """The kernel holds it back for a second where both ends have the same index; see the comment in planner.py."""
    for ns in netns_pair:
        eth0 = next(link for link in ns.ipr.link("dump") if link.get("ifname") == "eth0")
        assert eth0.get("operstate") == "UP"
        assert eth0["index"] != eth0.get("link")


def test_a_kernel_without_ipv6(netns_topology_factory: MakeTopology, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_ipv6(family: int, *args: int) -> socket.socket:
        assert family == socket.AF_INET6
        raise OSError(errno.EAFNOSUPPORT, "as without IPv6")

    monkeypatch.setattr(described, "Socket", without_ipv6)
    with netns_topology_factory("left -- router -- right") as net:
        server = net["right"].create_server((net["right"].ip, 80))
        net["left"].create_connection((net["right"].ip, 80)).close()
        server.close()
        with pytest.raises(ValueError, match="host 'left' has no address of IPv6"):
            net["left"].ip6  # noqa: B018
