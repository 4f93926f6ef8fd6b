"""NetNS: identity, entering it, and its lifetime."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pyroute2
import pytest

from pytest_netns import ChildModeName, NetNS, NetNSClosedError, NetNSError
from tests.support.helpers import eventually, is_gone, named_namespaces, names_mounted, needs_privilege, output

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

MakeNetNS = Callable[..., NetNS]


def here() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_identity(make_netns: MakeNetNS) -> None:
    ns = make_netns("lab")
    assert (ns.label, ns.name, str(ns), ns.closed) == ("lab", None, "namespace 'lab'", False)
    assert repr(ns) == f"<NetNS 'lab' inode={ns.inode}>"
    assert os.fstat(ns.fileno()).st_ino == ns.inode == ns.path.stat().st_ino
    assert not os.get_inheritable(ns.fileno())
    ns.close()
    assert (ns.fileno(), ns.closed, repr(ns)) == (-1, True, "<NetNS 'lab' closed>")


def test_labels(make_netns: MakeNetNS) -> None:
    first, second = make_netns(), make_netns()
    assert first.label != second.label
    assert make_netns(name=f"labels-{os.getpid()}").label.startswith(f"labels-{os.getpid()}")


@needs_privilege
def test_the_path_is_good_for_others(netns: NetNS) -> None:
    assert "lo" in output("nsenter", f"--net={netns.path}", "ip", "-o", "link")
    with pyroute2.IPRoute(netns=str(netns.path)) as ipr:
        ipr.link("add", ifname="br0", kind="bridge")
    assert netns.ipr.link_lookup(ifname="br0")


@needs_privilege
def test_a_name_is_seen_by_ip_netns_until_the_end(make_netns: MakeNetNS) -> None:
    ns = make_netns(name=f"named-{os.getpid()}")
    assert ns.name is not None
    assert ns.name in output("ip", "netns", "list")
    assert output("ip", "netns", "exec", ns.name, "readlink", "/proc/self/ns/net") == f"net:[{ns.inode}]\n"
    ns.close()
    assert ns.name not in named_namespaces()
    assert not any(ns.name in mount for mount in names_mounted())


@needs_privilege
def test_a_name_that_another_has_removed_is_no_error(make_netns: MakeNetNS) -> None:
    ns = make_netns(name=f"removed-{os.getpid()}")
    output("ip", "netns", "del", str(ns.name))
    ns.close()


def test_a_namespace_ends_with_its_last_descriptor(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    ns.socket()
    ns.close()
    eventually(lambda: is_gone(ns), "nobody holds the namespace")


def test_loopback_can_stay_down(make_netns: MakeNetNS) -> None:
    ns = make_netns(lo=False)
    with ns.socket() as sock, pytest.raises(OSError, match="Network is unreachable"):
        sock.connect(("127.0.0.1", 80))


def test_close_is_idempotent_also_from_many_threads(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    closed: list[str] = []
    ns._on_close(closed.append, "once")
    threads = [threading.Thread(target=ns.close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ns.close()
    assert closed == ["once"]


@pytest.mark.parametrize(
    "act",
    [
        lambda ns: ns.socket(),
        lambda ns: ns.sockets([]),
        lambda ns: ns.create_server(("127.0.0.1", 0)),
        lambda ns: ns.create_connection(("127.0.0.1", 1)),
        lambda ns: ns.enter().__enter__(),
        lambda ns: ns.call(int),
        lambda ns: ns.call(int, child_mode="fork"),
        lambda ns: ns.run(["true"]),
        lambda ns: ns.popen(["true"]),
        lambda ns: ns.ipr,
        lambda ns: ns.iproute(),
        lambda ns: ns.async_iproute(),
        lambda ns: ns.sysctl,
        lambda ns: ns.path,
        lambda ns: ns.__enter__(),
    ],
)
def test_any_use_after_close_is_an_error(make_netns: MakeNetNS, act: Callable[[NetNS], object]) -> None:
    ns = make_netns("lab")
    ns.close()
    with pytest.raises(NetNSClosedError) as raised:
        act(ns)
    assert str(raised.value) == ("[Errno 9] namespace 'lab' is closed; a namespace ends with the fixture that made it")


def test_a_namespace_does_not_cross_to_another_process(netns: NetNS) -> None:
    with pytest.raises(TypeError, match="belongs to this process; pass its sockets, or str"):
        pickle.dumps(netns)


@pytest.mark.needs_thread_inside
def test_enter_moves_the_thread_and_back(netns: NetNS, make_netns: MakeNetNS) -> None:
    home, other = here(), make_netns()
    with netns.enter():
        assert here() == netns.inode
        with other.enter():
            assert here() == other.inode
        assert here() == netns.inode
    assert here() == home
    with pytest.raises(KeyError), netns.enter():
        raise KeyError
    assert here() == home


@needs_privilege
def test_enter_moves_the_calling_thread_only(netns: NetNS) -> None:
    home, seen = here(), []
    inside, seen_by_other = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait()
        seen.append(here())
        seen_by_other.set()

    thread = threading.Thread(target=other)
    thread.start()
    with netns.enter():
        inside.set()
        seen_by_other.wait()
    thread.join()
    assert seen == [home]


@pytest.mark.needs_thread_inside
def test_what_starts_inside_is_inside(netns: NetNS) -> None:
    with netns.enter():
        assert output("readlink", "/proc/self/ns/net") == f"net:[{netns.inode}]\n"


@pytest.mark.needs_thread_inside
@pytest.mark.parametrize("mode", ["mp:spawn", "mp:forkserver"])
def test_a_child_started_from_inside_starts_at_home(netns: NetNS, make_netns: MakeNetNS, mode: ChildModeName) -> None:
    from multiprocessing import forkserver, resource_tracker

    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
    with make_netns().enter():
        netns.socket(child_mode=mode).close()
    helpers = [resource_tracker._resource_tracker._pid]  # type: ignore[attr-defined]
    if mode == "mp:forkserver":
        helpers.append(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
    for pid in helpers:
        assert os.stat(f"/proc/{pid}/ns/net").st_ino == here()


@needs_privilege
def test_a_forked_child_uses_and_closes_its_own_copies_only(make_netns: MakeNetNS) -> None:
    ns = make_netns(name=f"forked-{os.getpid()}")
    sock = ns.socket()
    process = ns.popen(["sleep", "1000"])
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ns.socket(child_mode="fork").close()
            try:
                ns.socket()
            except NetNSError as error:
                code = 0 if "this is a forked child of it" in str(error) else 2
            ns.close()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert ns.name in named_namespaces()
    assert process.poll() is None
    sock.bind(("127.0.0.1", 80))
    ns.socket().close()


@pytest.mark.slow
def test_a_program_in_user_namespace_of_its_own(pytester: pytest.Pytester) -> None:
    """Inside a user namespace there is no way back home, so nothing must need one that can do without."""
    pytester.makepyfile("""
        import pytest
        from pytest_netns import NetNSPermissionError

        def test_x(netns):
            netns.create_server(("127.0.0.1", 80))
            netns.create_connection(("127.0.0.1", 80))
            assert netns.call(lambda: 1) == 1
            assert netns.run(["true"]).returncode == 0
            netns.ipr.link("add", ifname="br0", kind="bridge")
            with pytest.raises(NetNSPermissionError, match="to which it returns|return to it"):
                with netns.enter():
                    pass

        @pytest.mark.netns_child_mode("fork", "mp:fork", "mp:spawn")
        def test_modes(netns):
            netns.socket().close()
    """)
    command = ["unshare", "--user", "--map-root-user", os.fspath(Path("/proc/self/exe").readlink())]
    import sys

    command[-1] = sys.executable
    pytester.run(*command, "-m", "pytest", "-p", "no:cacheprovider").assert_outcomes(passed=4)


def test_sockets_of_two_namespaces_in_one_process(netns: NetNS, make_netns: MakeNetNS) -> None:
    other = make_netns()
    for ns in (netns, other):
        ns.create_server(("127.0.0.1", 80))
    with socket.socket() as at_home:
        assert at_home.connect_ex(("127.0.0.1", 80)) in (0, 111)  # whatever is there, it is not ours
    with pytest.raises(OSError, match="Address already in use"):
        netns.create_server(("127.0.0.1", 80))


def test_nothing_is_inherited_by_a_program(netns: NetNS) -> None:
    netns.socket()
    listing = subprocess.run(["ls", "-l", "/proc/self/fd"], check=True, capture_output=True, text=True).stdout
    assert "net:[" not in listing
    assert "socket:[" not in listing
