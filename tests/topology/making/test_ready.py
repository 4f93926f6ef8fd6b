"""A network is ready when it is said to be, and what it takes to know that does not grow with the number of hosts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence

import pytest

from pytest_netns import Host, MakeNetNS, NetNS, NetNSTimeoutError, Topology
from pytest_netns._linux import netlink, rtnetlink, syscalls
from pytest_netns._topology.making import ready, requests, switch
from pytest_netns._topology.making.channel import Channel
from pytest_netns._topology.making.requests import Request
from tests.support.helpers import eventually, listeners

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

PATIENCE = 60  # seconds


def soon() -> float:
    return syscalls.monotonic() + PATIENCE


def expect_no_listener(ns: NetNS) -> None:
    """Expect that nobody listens, or goes on to: the resident child closes what it has passed a moment later."""
    eventually(lambda: listeners(ns) == 0, "nobody listens")


def test_what_is_not_ready_in_time_is_named(make_netns: MakeNetNS) -> None:
    channel = Channel(make_netns("lab"))
    with pytest.raises(NetNSTimeoutError, match=r"not ready in time: eth0 of 'a'$"):
        ready.wait(channel, {7: "eth0 of 'a'"}, {}, syscalls.monotonic() + 0.05)
    with pytest.raises(NetNSTimeoutError, match=r"the address of 'a'$"):
        ready.wait(channel, {}, {(7, bytes(16)): "the address of 'a'"}, syscalls.monotonic() + 0.05)
    links = {number: f"eth{number}" for number in range(7, 14)}
    with pytest.raises(NetNSTimeoutError, match=r"eth7, eth8, eth9, eth10, eth11 and 2 more$"):
        ready.wait(channel, links, {}, syscalls.monotonic() + 0.05)
    channel.close()


def address_of(host: Host) -> tuple[int, bytes]:
    return host.interfaces["eth0"].index, socket.inet_pton(socket.AF_INET6, "2001:db8::77")


def bring_up_the_peer(net: Topology) -> None:
    net["right"].ipr.link("set", index=net["right"].interfaces["eth0"].index, state="up")


def operstate(host: Host) -> object:
    return host.ipr.link("get", ifname="eth0")[0].get("operstate")


def add_the_address(net: Topology) -> None:
    index, packed = address_of(net["left"])
    body = rtnetlink.address(socket.AF_INET6, packed, 64, index)
    channel = Channel(net["left"])
    channel.send([Request(rtnetlink.RTM_NEWADDR, body, "an address")], soon())
    channel.close()


@pytest.mark.parametrize("what", ["a link", "an address"])
@pytest.mark.netns_topology("left -- right")
def test_what_is_not_ready_is_waited_for(netns_topology: Topology, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, waits, left = netns_topology, threading.Event(), netns_topology["left"]
    links, addresses = (
        ({left.interfaces["eth0"].index: what}, {}) if what == "a link" else ({}, {address_of(left): what})
    )
    if what == "a link":
        net["right"].interfaces["eth0"].down()
        eventually(lambda: operstate(left) != "UP", "the kernel has told that there is no carrier")
    hear = Channel.hear

    def hear_and_say(self: Channel, *args: object) -> None:
        waits.set()
        hear(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Channel, "hear", hear_and_say)
    channel = Channel(left)
    thread = threading.Thread(target=ready.wait, args=(channel, links, addresses, soon()))
    thread.start()
    assert waits.wait(PATIENCE)  # it has looked in vain
    assert listeners(left) == 1
    (bring_up_the_peer if what == "a link" else add_the_address)(net)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    ready.wait(channel, links, addresses, syscalls.monotonic() + 1e-3)  # which would be too short to wait
    expect_no_listener(left)
    channel.close()


@pytest.mark.slow
@pytest.mark.netns_topology("left -- right")
def test_news_that_never_come_are_not_waited_for(netns_topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may have had no memory for them."""
    left, hear = netns_topology["left"], Channel.hear
    channel = Channel(left)

    def hear_nothing(self: Channel, news: socket.socket, deadline: float) -> None:
        add_the_address(netns_topology)
        with channel.listen(0) as silent:
            hear(self, silent, deadline)

    monkeypatch.setattr(Channel, "hear", hear_nothing)
    ready.wait(channel, {}, {address_of(left): "an address"}, soon())
    channel.close()


def test_nobody_listens_who_need_not_wait(netns_topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel looks through all who listen, in any namespace, for each thing that it tells."""
    looked: list[Channel] = []
    look = ready.wait_for

    def wait_for(channel: Channel, ports: Sequence[object], deadline: float) -> None:
        for host in netns_topology._hosts.values():
            expect_no_listener(host)
        looked.append(channel)
        look(channel, ports, deadline)  # type: ignore[arg-type]

    monkeypatch.setattr(ready, "wait_for", wait_for)
    netns_topology.add("sw [switch]\nsw -- {a b c}")
    netns_topology.wait_ready()
    assert len(looked) == 4


def test_a_switch_forwards_when_all_is_ready(netns_topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it sends what each host multicasts as its link comes up to all others, a million packets for a thousand."""
    order: list[object] = []
    send, look = Channel.send, ready.wait_for

    def note_requests(self: Channel, requests: Sequence[Request], *args: object) -> None:
        order.extend(one.body for one in requests)
        send(self, requests, *args)  # type: ignore[arg-type]

    def note_wait(channel: Channel, ports: object, deadline: float) -> None:
        order.append("is ready")
        look(channel, ports, deadline)  # type: ignore[arg-type]

    monkeypatch.setattr(Channel, "send", note_requests)
    monkeypatch.setattr(ready, "wait_for", note_wait)
    netns_topology.add("s1, s2 [switch]\ns1 -- {a b s2}\ns2 -- c")
    netns_topology.wait_ready()
    assert order[-3:] == ["is ready", switch.start().body, switch.start().body]
    assert order.count(switch.start().body) == 2


@pytest.mark.netns_topology("sw [switch]\nsw -- {a b}")
def test_an_interface_has_one_queue_each_way(netns_topology: Topology) -> None:
    """A veth has as many as there are CPUs, if nothing else is said, and lets go of all but one again."""
    for name in netns_topology:
        for interface in netns_topology[name].interfaces.values():
            link = netns_topology[name].ipr.get_links(interface.index)[0]
            assert link.get("num_tx_queues") == 1
            assert link.get("num_rx_queues") in (1, None)  # a kernel without CONFIG_RPS does not say


def test_news_that_are_lost_are_news(make_netns: MakeNetNS) -> None:
    ns = make_netns("lab")
    channel = Channel(ns)
    news = channel.listen(ready.RTMGRP_LINK)
    news.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for size in range(2000, 2100):
        mtu = netlink.attribute(rtnetlink.IFLA_MTU, netlink.number(size))
        channel.send(requests.settle(1, "lo", mtu, has_ipv6=False), soon())
    began = syscalls.monotonic()
    channel.hear(news, soon())
    assert syscalls.monotonic() - began < PATIENCE
    news.close()
    channel.close()
