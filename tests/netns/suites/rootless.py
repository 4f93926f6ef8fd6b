import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from pytest_netns._plugin.keys import session_key


def test_who(netns):
    assert os.getuid() == int(os.environ["UID_OUTSIDE"])
    assert "CapEff:\t0000000000000000" in Path("/proc/self/status").read_text()


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (socket.AF_INET, socket.SOCK_STREAM),
        (socket.AF_INET6, socket.SOCK_DGRAM),
        (socket.AF_INET, socket.SOCK_RAW),
        (socket.AF_PACKET, socket.SOCK_RAW),
        (socket.AF_NETLINK, socket.SOCK_RAW),
    ],
)
def test_families(netns, family, kind):
    netns.socket(family, kind, socket.IPPROTO_ICMP if (family, kind) == (socket.AF_INET, socket.SOCK_RAW) else 0)


@pytest.mark.netns_child_mode("resident", "fork", "mp", "mp:fork", "mp:forkserver", "mp:spawn")
def test_modes(netns, netns_child_mode):
    netns.create_server(("127.0.0.1", 80))
    netns.create_connection(("127.0.0.1", 80))
    netns.ipr.link("add", ifname="br0", kind="bridge")
    if netns_child_mode != "resident":
        assert netns.call(os.getuid, child_mode=netns_child_mode) == 0


def test_pair(netns_pair):
    left, right = netns_pair
    right.create_server(("192.0.2.2", 80))
    left.create_connection(("192.0.2.2", 80))
    assert "192.0.2.1" in left.run(["ip", "addr"], capture_output=True, text=True).stdout


def test_sysctl(make_netns):
    ns = make_netns(sysctl={"net.ipv4.ip_forward": 1})
    assert ns.sysctl["net.ipv4.ip_forward"] == "1"


def test_asyncio(netns):
    async def main():
        ipr = netns.async_iproute()
        await ipr.bind()
        return [link.get("ifname") async for link in await ipr.link("dump")]

    assert asyncio.run(main()) == ["lo"]


def test_another_resident_child(netns, pytestconfig):
    os.kill(pytestconfig.stash[session_key].modes.resident.pid, signal.SIGKILL)
    netns.socket()


@pytest.mark.parametrize("way", ["enter", "call", "thread", "executor"])
def test_what_cannot_be(netns, way):
    with pytest.raises(PermissionError, match="which a process with threads cannot join; give --netns-userns"):
        if way == "enter":
            netns.enter().__enter__()
        elif way == "call":
            netns.call(os.getpid)
        else:
            getattr(netns, way)()


def test_a_name(make_netns):
    ns = make_netns(name="rootless")
    command = ["ip", "netns", "exec", ns.name, "readlink", "/proc/self/ns/net"]
    done = make_netns().run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"net:[{ns.inode}]\n"
