import getpass
import os
import pwd
import socket
import subprocess
from pathlib import Path

import pytest

UID = int(os.environ["UID_OUTSIDE"])
USER = pwd.getpwuid(UID).pw_name


def place():
    return os.stat("/proc/thread-self/ns/net").st_ino


HOME = place()  # at import, too, it is in there


def test_who(tmp_path):
    assert os.getuid() == 0
    assert Path("/proc/self/uid_map").read_text().split()[:3] == ["0", str(UID), "1"]
    assert getpass.getuser() == USER
    assert f"pytest-of-{USER}" in str(tmp_path)
    assert Path.home() == Path.cwd()
    (Path.home() / "mine").write_text("")
    (tmp_path / "mine").write_text("")


def test_no_network():
    with pytest.raises(OSError, match="Network is unreachable"):
        socket.create_connection(("192.0.2.1", 80))
    socket.create_server(("127.0.0.1", 80)).close()


def test_enter(netns):
    with netns.enter():
        assert place() == netns.inode
    assert place() == HOME
    assert netns.call(place) == netns.inode
    thread = netns.thread(target=lambda: netns.create_server(("127.0.0.1", 80)))
    thread.start()
    thread.join()


@pytest.mark.netns_child_mode("resident", "fork", "mp:fork", "mp:forkserver", "mp:spawn")
def test_modes(netns, netns_child_mode):
    netns.socket(socket.AF_PACKET, socket.SOCK_RAW)
    netns.ipr.link("add", ifname="br0", kind="bridge")
    netns.run(["ip", "addr", "add", "192.0.2.1/24", "dev", "br0"], check=True)


def test_pair(netns_pair):
    left, right = netns_pair
    right.create_server(("192.0.2.2", 80))
    left.create_connection(("192.0.2.2", 80))


def test_names(make_netns):
    ns = make_netns(name="rootless")
    assert ns.name in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    ns.close()
    assert not os.path.exists(f"/run/netns/{ns.name}")


@pytest.mark.netns_isolate
def test_isolated():
    assert place() != HOME


def test_sysctl(make_netns):
    assert make_netns(sysctl={"net.ipv4.ip_forward": 1}).sysctl["net.ipv4.ip_forward"] == "1"
