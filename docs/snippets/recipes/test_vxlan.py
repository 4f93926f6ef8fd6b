import errno
import os
import socket

import pytest

pytestmark = [pytest.mark.netns_requires("vxlan"), pytest.mark.netns_topology("left -- router -- right")]

ETH_P_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO = 0x0800, 10, 2  # <linux/if_ether.h>, <linux/in.h>
IP, UDP, VXLAN, ETHERNET = 20, 8, 8, 14  # bytes of each header


def tunnel(net, with_link=True):
    """Join two hosts by VXLAN; return a socket that sends, one that receives, and one that sees what is between."""
    for name, other, address in ("left", "right", "192.0.2.1"), ("right", "left", "192.0.2.2"):
        host = net[name]
        more = {"vxlan_link": host.interfaces["eth0"].index} if with_link else {}
        ends = {"vxlan_local": host.ip, "vxlan_group": net[other].ip}
        host.ipr.link("add", ifname="vxlan0", kind="vxlan", vxlan_id=42, vxlan_port=4789, **ends, **more)
        index = host.ipr.link_lookup(ifname="vxlan0")[0]
        host.ipr.addr("add", index=index, address=address, prefixlen=24)
        host.ipr.link("set", index=index, state="up")
    net["left"].reach("192.0.2.2")
    sender, receiver = (net[name].socket(type=socket.SOCK_DGRAM) for name in ("left", "right"))
    sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    receiver.bind(("192.0.2.2", 7))
    sender.connect(("192.0.2.2", 7))
    sniffer = net["router"].socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    receiver.settimeout(30)
    sniffer.settimeout(30)
    return sender, receiver, sniffer


def packet_with(sniffer, content):
    """Return the first IPv4 packet that contains this."""
    while True:
        packet = sniffer.recv(65536)
        if content in packet:
            return packet


def test_what_crosses_the_router(netns_topology):
    sender, receiver, sniffer = tunnel(netns_topology)
    sender.send(b"hello")
    assert receiver.recv(100) == b"hello"
    packet = packet_with(sniffer, b"hello")
    assert packet[9] == socket.IPPROTO_UDP
    assert int.from_bytes(packet[IP + 2 : IP + 4], "big") == 4789
    assert int.from_bytes(packet[IP + UDP + 4 : IP + UDP + 7], "big") == 42


def test_mtu(netns_topology):
    sender, receiver, sniffer = tunnel(netns_topology)
    largest = b"x" * (1500 - IP - UDP - VXLAN - ETHERNET - IP - UDP)
    sender.send(largest)
    assert receiver.recv(2000) == largest
    assert len(packet_with(sniffer, largest)) == 1500
    with pytest.raises(OSError, match=os.strerror(errno.EMSGSIZE)):
        sender.send(largest + b"x")


def test_without_the_link_below_packets_are_fragmented(netns_topology):
    sender, receiver, sniffer = tunnel(netns_topology, with_link=False)
    larger = b"x" * (1500 - IP - UDP)
    sender.send(larger)
    assert receiver.recv(2000) == larger
    assert packet_with(sniffer, b"x" * 1000)[6] & 0x20  # the flag "more fragments" (RFC 791)
