import contextlib
import shutil
import socket
import subprocess

import pytest

pytestmark = [
    pytest.mark.netns_requires("mount", "tun"),
    pytest.mark.skipif(shutil.which("wg") is None, reason="there is no wg; install wireguard-tools"),
    pytest.mark.skipif(shutil.which("wireguard-go") is None, reason="there is no WireGuard; install wireguard-go"),
]

ETH_P_IP = 0x0800  # <linux/if_ether.h>
IP, UDP, DATA = 20, 8, 4  # bytes of the headers, and WireGuard's number for a message that has data
# wg and wireguard-go meet in /run, of which each host has one of its own here.
SCRIPT = """
mount -t tmpfs none /run
wireguard-go wg0
wg setconf wg0 wg.conf
ip address add "$1/24" dev wg0
ip link set wg0 up
"""
CONFIG = """
[Interface]
PrivateKey = {key}
ListenPort = 51820
[Peer]
PublicKey = {peer}
Endpoint = {endpoint}:51820
AllowedIPs = 192.0.2.0/24
"""


def wg(command, given=None):
    shown = subprocess.run(["wg", command], input=given, check=True, stdout=subprocess.PIPE, text=True)
    return shown.stdout.strip()


def packets(sock):
    """Yield the packets that a socket has received so far."""
    with contextlib.suppress(BlockingIOError):
        while True:
            yield sock.recv(65536, socket.MSG_DONTWAIT)


@pytest.mark.netns_topology("left -- router -- right")
def test_wireguard(netns_topology, tmp_path):
    net = netns_topology
    sniffer = net["router"].socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    keys = {"left": wg("genkey"), "right": wg("genkey")}
    for name, other, address in ("left", "right", "192.0.2.1"), ("right", "left", "192.0.2.2"):
        (tmp_path / name).mkdir()
        config = CONFIG.format(key=keys[name], peer=wg("pubkey", keys[other]), endpoint=net[other].ip)
        (tmp_path / name / "wg.conf").write_text(config)
        net[name].run(["unshare", "--mount", "sh", "-ec", SCRIPT, "sh", address], cwd=tmp_path / name, check=True)
    sender, receiver = (net[name].socket(type=socket.SOCK_DGRAM) for name in ("left", "right"))
    receiver.bind(("192.0.2.2", 7))
    receiver.settimeout(30)
    sender.sendto(b"hello", ("192.0.2.2", 7))
    assert receiver.recv(100) == b"hello"

    seen = [packet for packet in packets(sniffer) if packet[9] == socket.IPPROTO_UDP]
    assert {int.from_bytes(packet[IP + 2 : IP + 4], "big") for packet in seen} == {51820}
    assert DATA in [packet[IP + UDP] for packet in seen]
    assert b"hello" not in b"".join(seen)
