"""The host names of a network: in sockets, in commands, and in threads that are inside."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_netns import MakeNetNS, NetNS
from pytest_netns._linux import proc
from pytest_netns._netns import names as module
from pytest_netns._netns.factory import Session
from pytest_netns._netns.names import Names
from tests.support.helpers import end_resident, needs_privilege
from tests.support.sabotaging import Sabotage, sabotaging

__all__ = ["sabotaging"]  # a fixture

pytestmark = pytest.mark.core

LEFT, RIGHT = ("192.0.2.1", "2001:db8::1"), ("192.0.2.2", "2001:db8::2")
Pair = tuple[NetNS, NetNS]


@pytest.fixture
def names() -> Names:
    return Names({"client": LEFT, "Server": RIGHT, "only4": RIGHT[:1], "only6": RIGHT[1:]})


@pytest.fixture
def pair(netns_pair: Pair, names: Names) -> Pair:
    for ns in netns_pair:
        ns._set_names(names)
    return netns_pair


def output(ns: NetNS, *command: str, **kwargs: Any) -> str:
    """Return what a command prints in a namespace."""
    done = ns.run(list(command), stdout=subprocess.PIPE, check=True, **kwargs)
    return str(done.stdout, encoding="utf-8")


# Sockets


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, RIGHT[0]), (socket.AF_INET6, RIGHT[1])])
def test_sockets_find_a_host_by_its_name(pair: Pair, family: int, address: str) -> None:
    left, right = pair
    with right.create_server(("server", 80), family=family) as server:
        assert server.getsockname()[:2] == (address, 80)
        with left.create_connection(("server", 80)) as client:
            assert client.getpeername()[:2] == (address, 80)


@pytest.mark.parametrize("host", ["server", "SERVER", "Server", b"server"])
def test_a_name_is_the_same_in_capitals_and_as_bytes(pair: Pair, host: Any) -> None:
    with pair[1].create_server(("server", 80)), pair[0].create_connection((host, 80)) as client:
        assert client.getpeername() == (RIGHT[0], 80)


def test_the_addresses_come_in_the_order_of_the_standard_library(pair: Pair) -> None:
    """IPv6 before IPv4 (RFC 6724); and each has its error."""
    left, _ = pair
    with pytest.raises(ConnectionRefusedError, match=r"\('server', 80\), which is 192\.0\.2\.2, in namespace 'left'"):
        left.create_connection(("server", 80))
    if sys.version_info >= (3, 11):
        with pytest.raises(ExceptionGroup) as caught:  # noqa: F821 - ruff looks at Python 3.10
            left.create_connection(("server", 80), all_errors=True)
        assert [RIGHT[1] in str(caught.value.exceptions[0]), RIGHT[0] in str(caught.value.exceptions[1])] == [
            True,
            True,
        ]


def test_a_source_address_may_be_a_name(pair: Pair) -> None:
    left, right = pair
    with right.create_server(("server", 80)) as server:
        with left.create_connection(("only4", 80), source_address=("client", 0)), server.accept()[0] as accepted:
            assert accepted.getpeername()[0] == LEFT[0]


def test_no_child_is_asked_for_a_name(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = pair
    right.create_server(("server", 80))
    monkeypatch.setattr(left, "run", None)
    monkeypatch.setattr(left, "call", None)
    left.create_connection(("server", 80)).close()


def test_a_name_without_an_address_of_the_family(pair: Pair) -> None:
    with pytest.raises(socket.gaierror, match="only6 has no address of this family") as caught:
        pair[1].create_server(("only6", 80))
    assert caught.value.errno == socket.EAI_NODATA


# Commands


def test_commands_find_a_host_by_its_name(pair: Pair) -> None:
    found = output(pair[0], "getent", "ahosts", "server").split()
    assert [found[0], "192.0.2.2" in found] == [RIGHT[1], True]
    assert output(pair[1], "getent", "hosts", "localhost")


def test_only_commands_with_names_see_them(pair: Pair, make_netns: MakeNetNS) -> None:
    hosts = Path("/etc/hosts").read_text()
    assert output(make_netns(), "cat", "/etc/hosts") == hosts
    assert output(pair[0], "cat", "/etc/hosts") != hosts
    assert output(make_netns(), "cat", "/etc/hosts") == hosts
    assert Path("/etc/hosts").read_text() == hosts


def test_commands_that_ran_before_have_none(netns_pair: Pair, names: Names) -> None:
    left, _ = netns_pair
    hosts = output(left, "cat", "/etc/hosts")
    left._set_names(names)
    assert "2001:db8::2\tserver\n" in output(left, "cat", "/etc/hosts")
    assert "server" not in hosts


def test_an_unknown_name_fails_at_once(pair: Pair) -> None:
    script = (
        "import socket\ntry: socket.getaddrinfo('unknown', 80)\nexcept socket.gaierror as error: print(error.errno)"
    )
    assert output(pair[0], sys.executable, "-c", script, timeout=60) == f"{socket.EAI_AGAIN}\n"
    assert "nameserver 127.0.0.1\n" in output(pair[0], "cat", "/etc/resolv.conf")


def test_an_update_reaches_commands_that_run(pair: Pair, names: Names) -> None:
    with pair[0].popen(["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        names.update({"later": ("192.0.2.7",)})
        names.use_servers(["192.0.2.53"])
        out, _ = shell.communicate("getent hosts later; cat /etc/resolv.conf")
    assert out.split() == ["192.0.2.7", "later", "nameserver", "192.0.2.53"]
    names.use_servers([])
    assert output(pair[1], "cat", "/etc/resolv.conf") == module.RESOLV_CONF
    assert names.addresses("server") is None


def test_a_command_has_the_directory_and_the_umask_of_who_starts_it(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, _ = pair
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\npwd; umask")
    script.chmod(0o755)
    (tmp_path / "below").mkdir()
    for directory, command, umask in ((tmp_path, "./script", 0o027), (tmp_path / "below", "../script", 0o077)):
        monkeypatch.chdir(directory)
        before = os.umask(umask)
        try:
            assert output(left, command).split() == [str(directory), f"{umask:04o}"]
        finally:
            os.umask(before)
    assert output(left, "pwd", cwd="/usr") == "/usr\n"
    assert output(left, "pwd", cwd="..").strip() == str(tmp_path)


def test_a_forked_child_has_a_thread_of_its_own_for_commands(pair: Pair) -> None:
    left, _ = pair
    hosts = output(left, "cat", "/etc/hosts")
    assert left.call(output, left, "cat", "/etc/hosts", child_mode="fork") == hosts


def test_the_test_process_stays_in_its_mount_namespace(pair: Pair) -> None:
    before = {path: os.readlink(path) for path in ("/proc/self/ns/mnt", "/proc/self/cwd", "/proc/self/root")}
    output(pair[0], "true")
    assert {path: os.readlink(path) for path in before} == before


def test_a_network_has_one_mount_namespace_that_goes_with_its_last_namespace(pair: Pair, names: Names) -> None:
    left, right = pair
    assert names.descriptors() == set()
    of_left, of_right = (output(ns, "readlink", "/proc/self/ns/mnt") for ns in pair)
    assert of_left == of_right != os.readlink("/proc/self/ns/mnt")
    fds = names.descriptors()
    assert len(fds) in (3, 4)  # with nsswitch.conf, where that of the machine does not do
    left.close()
    assert names.descriptors() == fds
    right.close()
    assert names.descriptors() == set()


@needs_privilege
def test_names_under_run_netns_are_seen_too(pair: Pair, make_netns: MakeNetNS) -> None:
    ns = make_netns(name=f"named-{os.getpid()}")
    assert output(pair[0], "stat", "-c", "%i", f"/run/netns/{ns.name}") == f"{ns.inode}\n"


@pytest.mark.parametrize("when", ["before", "after"])
def test_names_of_the_resident_childs_own_are_seen_too(names: Names, when: str) -> None:
    session = Session(userns="resident")
    try:
        ns = session.namespace()
        ns._set_names(names)
        if when == "after":
            output(ns, "true")
        inode = session.namespace(name="lab").inode
        assert output(ns, "stat", "-c", "%i", "/run/netns/lab") == f"{inode}\n"
        assert "server" in output(ns, "cat", "/etc/hosts")
    finally:
        session.close()


def test_the_resident_child_may_be_another(names: Names) -> None:
    session = Session(userns="resident")
    try:
        for ns in (session.namespace(), session.namespace()):
            ns._set_names(names)
            assert "server" in output(ns, "cat", "/etc/hosts")
            end_resident(session)
    finally:
        session.close()


@pytest.mark.parametrize(("step", "number"), [("mount", "EACCES"), ("unshare", "EPERM")])
def test_where_mounts_are_forbidden_all_else_works(names: Names, sabotaging: Sabotage, step: str, number: str) -> None:
    session = Session()
    try:
        sabotaging()
        left, right = session.namespace("left"), session.namespace("right")
        sabotaging("resident", step, number)
        for ns in (left, right):
            ns._set_names(names)
        assert output(left, "cat", "/etc/hosts") == Path("/etc/hosts").read_text()
        assert os.strerror(getattr(errno, number)) in names.trouble
        assert names.trouble == session.without_own_etc
        assert "--security-opt apparmor=unconfined" in names.trouble
        names.update({"here": ("127.0.0.1",)})
        with pytest.raises(ConnectionRefusedError):
            left.create_connection(("here", 80))
    finally:
        session.close()


def test_a_run_says_why_commands_find_no_names(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("")
    pytester.makepyfile("""
        from pytest_netns._plugin.keys import session_key
        def test_x(netns, request):
            request.config.stash[session_key].modes.resident.without_own_etc = "mounts are forbidden"
    """)
    result = pytester.runpytest("-Werror")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*commands did not find the hosts of a network by name: mounts are forbidden*"])


# Threads that are inside


@pytest.mark.needs_thread_inside
def test_code_inside_finds_a_host_by_its_name(pair: Pair) -> None:
    left, right = pair
    right.create_server(("server", 80))
    with left.enter():
        assert socket.gethostbyname("Server") == RIGHT[0]
        assert socket.gethostbyname_ex("server") == ("server", [], [RIGHT[0]])
        with socket.create_connection(("server", 80)) as client:
            assert client.getpeername() == (RIGHT[0], 80)
    assert left.call(socket.gethostbyname, "client") == LEFT[0]
    with left.executor() as pool:
        assert pool.submit(socket.getaddrinfo, "only6", 80, type=socket.SOCK_STREAM).result() == [
            (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (RIGHT[1], 80, 0, 0))
        ]
    with pytest.raises(socket.gaierror):
        left.call(socket.gethostbyname, "unknown")


def test_a_forked_child_inside_finds_a_host_by_its_name(pair: Pair) -> None:
    assert pair[0].call(socket.gethostbyname, "server", child_mode="fork") == RIGHT[0]


@needs_privilege
def test_an_isolated_test_finds_a_host_by_its_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import asyncio, socket
        import pytest
        from pytest_netns._netns.names import Names

        @pytest.mark.netns_isolate
        def test_x(netns):
            netns._set_names(Names({"server": ("127.0.0.2",)}))
            with socket.create_server(("127.0.0.2", 80)), socket.create_connection(("server", 80)) as client:
                assert client.getpeername() == ("127.0.0.2", 80)
            assert asyncio.run(find()) == [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 80))]

        async def find():  # in a thread of the loop
            return await asyncio.get_running_loop().getaddrinfo("server", 80, type=socket.SOCK_STREAM)
    """)
    pytester.runpytest().assert_outcomes(passed=1)


def test_code_outside_finds_what_it_found_before(pair: Pair) -> None:
    assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"
    assert socket.gethostbyname_ex("127.0.0.1") == ("127.0.0.1", [], ["127.0.0.1"])
    assert socket.getaddrinfo(host="127.0.0.1", port=80, type=socket.SOCK_STREAM) == [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80))
    ]
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("127.0.0.1.", 80, flags=socket.AI_NUMERICHOST)


FUNCTIONS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")


def functions() -> list[Any]:
    return [getattr(socket, name) for name in FUNCTIONS]


def test_functions_are_replaced_as_long_as_there_are_names(make_netns: MakeNetNS, names: Names) -> None:
    before = functions()
    first, second, third = (make_netns() for _ in range(3))
    first._set_names(names)
    second._set_names(Names({"other": ("192.0.2.9",)}))
    assert not set(before) & set(functions())
    assert [function.__name__ for function in functions()] == list(FUNCTIONS)
    first.close()
    assert not set(before) & set(functions())
    third.close()
    second.close()
    assert functions() == before


def test_what_a_test_puts_in_their_place_stays(
    make_netns: MakeNetNS, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = functions()
    ns = make_netns()
    ns._set_names(names)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostbyname", len)
        ns.close()
        assert getattr(socket, "gethostbyname") is len  # noqa: B009 - for mypy it is what it was
    assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"  # ours, which does nothing any more
    socket.gethostbyname = before[1]
    assert functions() == before


@pytest.mark.needs_thread_inside
def test_flags_mean_what_they_do_for_other_names(pair: Pair) -> None:
    def found(host: str, flags: int, family: int = 0) -> list[Any]:
        return list(pair[0].call(socket.getaddrinfo, host, 80, family, socket.SOCK_STREAM, 0, flags))

    assert [one[3] for one in found("SERVER", socket.AI_CANONNAME)] == ["SERVER", ""]
    assert [one[4][0] for one in found("server", socket.AI_ADDRCONFIG)] == [RIGHT[1], RIGHT[0]]
    six, mapped, both = socket.AF_INET6, socket.AI_V4MAPPED, socket.AI_V4MAPPED | socket.AI_ALL
    assert [one[4][0] for one in found("only4", mapped, six)] == [f"::ffff:{RIGHT[0]}"]
    assert [one[4][0] for one in found("server", mapped, six)] == [RIGHT[1]]
    assert [one[4][0] for one in found("server", both, six)] == [RIGHT[1], f"::ffff:{RIGHT[0]}"]
    with pytest.raises(socket.gaierror):
        found("server", socket.AI_NUMERICHOST)


# What they are


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ([], TypeError, "the host names of a network is a mapping"),
        ({1: ("192.0.2.2",)}, TypeError, "is not a name and its addresses"),
        ({"x": "192.0.2.2"}, TypeError, "is not a name and its addresses"),
        ({"": ("192.0.2.2",)}, ValueError, "'' is no host name"),
        ({"a b": ("192.0.2.2",)}, ValueError, "'a b' is no host name"),
        ({"a\nb": ("192.0.2.2",)}, ValueError, r"'a\\nb' is no host name"),
        ({"a#b": ("192.0.2.2",)}, ValueError, "'a#b' is no host name"),
        ({"x" * 254: ("192.0.2.2",)}, ValueError, "up to 253 letters"),
        ({"192.0.2.9": ("192.0.2.2",)}, ValueError, "'192.0.2.9' is an address, and no host name"),
        ({"x": ("192.0.2",)}, ValueError, "'192.0.2' of 'x' is no address; write one such as 192.0.2.2"),
        ({"x": (None,)}, ValueError, "None of 'x' is no address"),
    ],
)
def test_what_are_no_names(given: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Names(given)


@pytest.mark.parametrize(
    ("nsswitch", "is_kept"),
    [
        ("hosts: files dns\n", True),
        ("passwd: files\nhosts:\tfiles myhostname dns # as ever\n", True),
        ("hosts: dns files\n", False),
        ("hosts: dns\n", False),
        ("hosts: files resolve [!UNAVAIL=return] dns\n", False),
        ("hosts: mymachines resolve [!UNAVAIL=return] files dns\n", False),
        ("hosts: files mdns4_minimal [NOTFOUND=return] dns\n", False),
        ("passwd: files\n", False),
        (None, True),
    ],
)
def test_hosts_are_looked_for_in_the_file_first(
    names: Names, monkeypatch: pytest.MonkeyPatch, nsswitch: str | None, is_kept: bool
) -> None:
    read = {"/etc/nsswitch.conf": nsswitch, "/etc/hosts": "127.0.0.1 localhost"}
    monkeypatch.setattr(module, "_read", read.get)
    files = names._files()
    if is_kept:
        assert "nsswitch.conf" not in files
    else:
        lines = files["nsswitch.conf"].splitlines()
        assert [line for line in lines if line.startswith("hosts")] == ["hosts:\tfiles dns"]
        assert ("passwd: files" in lines) == ("passwd" in (nsswitch or ""))


def test_commands_obey_an_nsswitch_of_their_own(pair: Pair, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    given = proc.read("/etc/nsswitch.conf").decode() if Path("/etc/nsswitch.conf").exists() else ""
    monkeypatch.setattr(module, "_asks_files_first", lambda text: False)
    monkeypatch.setattr(module, "_with_files_first", lambda text: given + "hosts: dns\n")
    if not given:
        pytest.skip("this machine has none")
    assert pair[0].run(["getent", "-s", "files", "hosts", "server"], stdout=subprocess.DEVNULL).returncode == 0
    assert output(pair[0], "tail", "-n", "1", "/etc/nsswitch.conf") == "hosts: dns\n"


@pytest.mark.parametrize(
    ("hosts", "kept"),
    [
        (
            "127.0.0.1 localhost # here\n::1 localhost ip6-localhost\n",
            "127.0.0.1\tlocalhost\n::1\tlocalhost\tip6-localhost\n",
        ),
        ("127.0.1.1 server laptop\n192.0.2.77 elsewhere\nff02::1 ip6-allnodes\n", "127.0.1.1\tlaptop\n"),
        ("127.0.1.1 Server\n\n# nothing\n", "127.0.0.1\tlocalhost\n::1\tlocalhost\n"),
    ],
)
def test_what_the_machine_is_called_on_loopback_stays(
    names: Names, monkeypatch: pytest.MonkeyPatch, hosts: str, kept: str
) -> None:
    monkeypatch.setattr(module, "_read", {"/etc/hosts": hosts}.get)
    text = names._files()["hosts"]
    assert text.startswith(kept + "2001:db8::1\tclient\n192.0.2.1\tclient\n2001:db8::2\tserver\n")


def mounts() -> set[str]:
    """Return what is mounted here, but for the names of namespaces, which other tests make at the same time."""
    return {line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/run/netns" not in line}


def test_a_run_that_is_killed_leaves_no_mount(names: Names) -> None:
    before = mounts()
    program = """
import os, signal
from pytest_netns._netns.factory import Session
from pytest_netns._netns.names import Names
session = Session()
ns = session.namespace()
ns._set_names(Names({"server": ("192.0.2.2",)}))
ns.run(["grep", "server", "/etc/hosts"], check=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"192.0.2.2\tserver\n")
    assert mounts() == before


def test_a_thousand_names_are_one_object(make_netns: MakeNetNS) -> None:
    many = Names(
        {f"host{number}": (f"10.0.{number // 250}.{number % 250}", f"2001:db8::{number:x}") for number in range(1000)}
    )
    ns = make_netns()
    ns._set_names(many)
    assert output(ns, "getent", "hosts", "host999") == "2001:db8::3e7   host999\n"
    assert ns._descriptors() >= many.descriptors() != set()
