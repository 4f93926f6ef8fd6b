"""What works for whom: one suite, run as root and in the ways that take none, held against the table in the docs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.ordinary_user import UNPRIVILEGED, Start, needs_root, place, start

__all__ = ["place", "start"]  # fixtures

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "rootless.md"
SUITE = '''
    import os, socket, subprocess, threading
    import pytest

    @pytest.mark.parametrize("family, kind, proto", [
        (socket.AF_INET, socket.SOCK_STREAM, 0), (socket.AF_INET6, socket.SOCK_DGRAM, 0),
        (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), (socket.AF_PACKET, socket.SOCK_RAW, 0),
        (socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE),
    ])
    def test_0(netns, family, kind, proto):
        """sockets of every family, raw and packet sockets"""
        netns.socket(family, kind, proto)

    def test_1(netns_pair):
        """`ipr` in every thread, links, addresses, pairs"""
        left, right = netns_pair
        failures = []
        def add():
            try:
                left.ipr.link("add", ifname="br0", kind="bridge")
            except BaseException as error:
                failures.append(error)
        thread = threading.Thread(target=add)
        thread.start()
        thread.join()
        assert not failures
        right.create_server(("192.0.2.2", 80))
        left.create_connection(("192.0.2.2", 80))

    def test_2(netns):
        """`run`, `popen`"""
        netns.run(["ip", "addr", "add", "192.0.2.9/32", "dev", "lo"], check=True)

    @pytest.mark.netns_child_mode("fork", "mp:fork", "mp:forkserver", "mp:spawn")
    def test_3(netns, netns_child_mode):
        """the child modes `fork` and `mp`, and `call()` with them"""
        netns.socket()
        netns.call(os.getpid, child_mode=netns_child_mode)

    def test_4(make_netns):
        """`sysctl`"""
        assert make_netns(sysctl={"net.ipv4.ip_forward": 1}).sysctl["net.ipv4.ip_forward"] == "1"

    def test_5(netns):
        """`enter()`, `thread()`, `executor()`, `call()` in a thread"""
        with netns.enter():
            pass
        netns.call(os.getpid)
        thread = netns.thread(target=os.getpid)
        thread.start()
        thread.join()
        with netns.executor() as executor:
            executor.submit(os.getpid).result()

    def test_6(netns, make_netns):
        """`name=`, for commands of `run` and `popen`"""
        name = make_netns(name="column").name
        netns.run(["ip", "netns", "exec", name, "true"], check=True)

    def test_7(make_netns):
        """`name=`, for the test and what it starts by itself"""
        name = make_netns(name="column").name
        subprocess.run(["ip", "netns", "exec", name, "true"], check=True)

    def test_8(netns):
        """`path`, for a program that the test starts by itself"""
        subprocess.run(["nsenter", f"--net={netns.path}", "true"], check=True)

    @pytest.mark.netns_isolate
    def test_9():
        """the marker `netns_isolate`"""
        socket.create_server(("127.0.0.1", 80)).close()

    def test_10():
        """pytest itself keeps its network"""
        assert os.stat("/proc/self/ns/net").st_ino == int(os.environ["OUTSIDE"])
'''
FEATURES = re.findall(r'"""(.*)"""', SUITE)
WITHOUT_ADMIN = ["setpriv", "--bounding-set=-sys_admin,-net_admin,-net_raw", "--inh-caps=-all"]
COLUMNS: dict[str, tuple[Sequence[str], str]] = {
    "root": ([], "auto"),
    "ordinary user, `resident`": (UNPRIVILEGED, "resident"),
    "ordinary user, `process`": (UNPRIVILEGED, "process"),
    "root without CAP_SYS_ADMIN, `auto`": (WITHOUT_ADMIN, "auto"),
    "the same, `process`": (WITHOUT_ADMIN, "process"),
}


def column(start: Start, user: Sequence[str], userns: str) -> list[str]:
    """Return for each feature whether it works."""
    outside = str(Path("/proc/self/ns/net").stat().st_ino)
    run = start(SUITE, "-rA", "--tb=line", f"--netns-userns={userns}", user=user, OUTSIDE=outside)
    out, _ = run.communicate()
    found: dict[int, set[str]] = {}
    for outcome, number in re.findall(r"^(PASSED|FAILED|ERROR) test_suite.py::test_(\d+)", out, re.MULTILINE):
        found.setdefault(int(number), set()).add(outcome)
    assert sorted(found) == list(range(len(FEATURES))), out
    return ["yes" if found[number] == {"PASSED"} else "no" for number in sorted(found)]


@needs_root
def test_the_table_in_the_docs(start: Start) -> None:
    columns = [column(start, *who) for who in COLUMNS.values()]
    rows = [["", *COLUMNS], ["---"] * (len(COLUMNS) + 1), *map(list, zip(FEATURES, *columns, strict=True))]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    assert table in PAGE.read_text(), f"the table of today:\n{table}"


@pytest.mark.parametrize("options", [["--bounding-set=-all"], ["--bounding-set=-setfcap,-sys_admin"]])
@needs_root
def test_root_without_setfcap_is_told(start: Start, options: list[str]) -> None:
    """It may not be root in a user namespace (user_namespaces(7), since Linux 5.12)."""
    user = ["setpriv", *options, "--inh-caps=-all"]
    out, _ = start(SUITE, "-k", "test_2", user=user).communicate()
    assert "this machine lacks netns: no CAP_SYS_ADMIN, and no user namespace instead: mapping the user: EPERM" in out
