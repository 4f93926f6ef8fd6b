"""Who listens in a namespace, and programs that are ready when they do."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSTimeoutError, listening
from pytest_netns._linux import family, sock_diag
from pytest_netns._netns.listening import Look

pytestmark = pytest.mark.core

PATIENCE = 120.0  # seconds: how long a test may hang before it fails; none waits for it
SOON = 0.05  # seconds, where what is waited for never comes
TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
ADDRESSES = [  # that a server has, and that it is to be reached at
    ("127.0.0.1", None),
    ("127.0.0.1", "127.0.0.1"),
    ("0.0.0.0", "127.0.0.1"),
    ("::1", None),
    ("::1", "::1"),
    ("::", "::1"),
    ("::", "127.0.0.1"),
    ("::ffff:127.0.0.1", "127.0.0.1"),
]

SERVER = """
import os, socket, sys
kind, host, port, only = sys.argv[1:]
type = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[kind]
sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, type)
if ":" in host:
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only))
sock.bind((host, int(port)))
if kind == "tcp":
    sock.listen()
"""


def python(program: str, *args: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program, *args]


def server(kind: str = "tcp", host: str = "127.0.0.1", port: int = 80, only: int = 0, then: str = "") -> list[str]:
    return python(SERVER + (then or "import signal; signal.pause()"), kind, host, str(port), str(only))


def error_of(ns: NetNS, args: list[str], ready: Any, pattern: str = "", **kwargs: Any) -> re.Match[str]:
    """Return how the text of the error of a program that is never ready matches a pattern.

    A busy machine may take longer to start the program, which then is started again with more time.
    """
    timeout = SOON
    while timeout < PATIENCE:
        with pytest.raises(NetNSTimeoutError) as info:
            ns.popen(args, ready=ready, ready_timeout=timeout, **kwargs)
        match = re.search(pattern, str(info.value))
        if match:
            return match
        timeout *= 3
    raise AssertionError(f"{pattern!r} is not in {info.value}")


@pytest.mark.second_kernel
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("host", "address"), ADDRESSES)
def test_a_server_listens_when_popen_returns(netns: NetNS, kind: str, host: str, address: str | None) -> None:
    process = netns.popen(server(kind, host), ready=listening(80, kind, address), ready_timeout=PATIENCE)
    assert process.poll() is None
    with netns.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, TYPES[kind]) as sock:
        with pytest.raises(OSError, match="in use"):
            sock.bind((host, 80))


def test_a_server_that_is_late_is_waited_for(netns: NetNS) -> None:
    read, write = os.pipe()
    asked: list[int] = []

    def let_it_begin() -> bool:
        asked.append(len(asked))
        return len(asked) > 3 and bool(os.write(write, b"\n"))

    program = server()
    program[4] = f"input()\n{program[4]}"
    try:
        netns.popen(program, stdin=read, ready=[let_it_begin, listening(80)], ready_timeout=PATIENCE)
        netns.create_connection(("127.0.0.1", 80)).close()
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        (("tcp", "127.0.0.1", 81), listening(80)),
        (("udp", "127.0.0.1", 80), listening(80)),
        (("tcp", "127.0.0.1", 80), listening(80, "udp")),
        (("tcp", "127.0.0.1", 80), listening(80, address="127.0.0.2")),
        (("tcp", "127.0.0.1", 80), listening(80, address="::1")),
        (("tcp", "0.0.0.0", 80), listening(80, address="::1")),
        (("tcp", "::", 80, 1), listening(80, address="127.0.0.1")),
        (("udp", "::", 80, 1), listening(80, "udp", address="127.0.0.1")),
    ],
)
def test_one_that_listens_elsewhere_is_not_ready_and_the_error_says_where(
    netns: NetNS, given: tuple[Any, ...], condition: Any
) -> None:
    kind, host, port, *only = given
    program = server(kind, host, port, *only)
    seen = error_of(netns, program, condition, r"; what listens there: (\S+ \S+) \(process \d+, .*python")
    assert seen[1] == (f"{kind} [{host}]:{port}" if ":" in host else f"{kind} {host}:{port}")
    netns.popen(program, ready=listening(port, kind), ready_timeout=PATIENCE)


def test_a_server_of_the_test_is_not_the_program(netns: NetNS) -> None:
    with netns.create_server(("127.0.0.1", 80)):
        text = rf"; what listens there: tcp 127\.0\.0\.1:80 \(process {os.getpid()}, "
        error_of(netns, ["sleep", "1000"], listening(80), text)


@pytest.mark.parametrize("then", ["", "os.fork() and os._exit(0)\nimport signal; signal.pause()"], ids=["", "daemon"])
def test_another_program_that_was_there_before_is_not_the_program(netns: NetNS, then: str) -> None:
    netns.popen(server(then=then), ready=listening(80), ready_timeout=PATIENCE)
    error_of(netns, ["sleep", "1000"], listening(80))


def test_another_program_that_came_meanwhile_is_not_the_program(netns: NetNS) -> None:
    def start_another() -> object:
        return netns.popen(server(), ready=listening(80), ready_timeout=PATIENCE)

    text = "the test waited for a socket of its own that listens on tcp port 80;"
    error_of(netns, ["sleep", "1000"], [start_another, listening(80)], text)


def test_a_socket_that_the_program_was_given_is_its_own(netns: NetNS) -> None:
    with netns.create_server(("127.0.0.1", 80)) as sock:
        netns.popen(["sleep", "1000"], pass_fds=[sock.fileno()], ready=listening(80), ready_timeout=PATIENCE)


DESCENDANTS = {
    "a child": "os.fork() or __import__('signal').pause(); sock.close(); os.wait()",
    "a daemon whose parent goes on": (
        "import signal\n"
        "if os.fork() == 0:\n    os.fork() and os._exit(0)\n    os.setsid(); signal.pause()\n"
        "sock.close(); os.wait(); signal.pause()"
    ),
    "a daemon whose parent has ended": "os.fork() and os._exit(0)\nos.setsid(); __import__('signal').pause()",
}


@pytest.mark.parametrize("which", DESCENDANTS)
def test_a_socket_of_what_the_program_has_started_is_its_own(netns: NetNS, which: str) -> None:
    process = netns.popen(server(then=DESCENDANTS[which]), ready=listening(80), ready_timeout=PATIENCE)
    netns.create_connection(("127.0.0.1", 80)).close()
    if which == "a daemon whose parent has ended":
        assert process.wait(PATIENCE) == 0
    else:
        assert process.poll() is None


def test_a_connection_is_no_server(netns: NetNS) -> None:
    program = "import socket, signal\nsock = socket.create_connection(('127.0.0.1', 80), source_address=('', 81))\n"
    then = "udp = socket.socket(type=socket.SOCK_DGRAM); udp.bind(('', 81)); udp.connect(('127.0.0.1', 80))\n"
    with netns.create_server(("127.0.0.1", 80)) as sock:
        process = netns.popen(python(program + then + "print(1, flush=True); signal.pause()"), stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        assert {str(each) for kind in TYPES for each in Look(netns, [sock]).listeners(kind)} == {"tcp 127.0.0.1:80"}


# What the kernel tells


@pytest.mark.second_kernel
def test_the_files_of_proc_say_the_same(netns: NetNS) -> None:
    made = []
    for kind in TYPES:
        for host in dict.fromkeys(host for host, _ in ADDRESSES):
            sock = netns.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, TYPES[kind])
            made.append((kind, sock))
            sock.bind((host, 0))
            if kind == "tcp":
                sock.listen()
    look = Look(netns, [])
    told = {kind: look.listeners(kind) for kind in TYPES}
    expected = {(kind, sock.getsockname()[1], os.fstat(sock.fileno()).st_ino) for kind, sock in made}
    assert {(each.kind, each.port, each.inode) for found in told.values() for each in found} == expected
    for kind, found in told.items():
        text = netns.run(["cat", *sock_diag.files(kind)], capture_output=True, text=True).stdout
        assert set(sock_diag.from_files(kind, text)) == {each._replace(only_ipv6=False) for each in found}


def test_a_kernel_without_the_module_is_asked_by_the_files(netns: NetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object) -> None:
        raise OSError(errno.ENOENT, "as a kernel without CONFIG_INET_UDP_DIAG")

    monkeypatch.setattr(sock_diag, "listeners", lacking)
    netns.popen(server("udp"), ready=listening(80, "udp"), ready_timeout=PATIENCE)


def test_a_family_is_a_process_and_what_descends_from_it(netns: NetNS) -> None:
    script = "sh -c 'sleep 1000 & echo $!; wait' & echo $!; wait"
    process = netns.popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = {int(process.stdout.readline()), int(process.stdout.readline())}
    assert set(family.descendants(process.pid)) == {process.pid, *pids}
    assert family.parent_of(process.pid) == os.getpid()


# Servers of the test itself


def test_a_server_in_a_thread_is_waited_for(netns: NetNS) -> None:
    sock = netns.socket()
    sock.bind(("127.0.0.1", 80))
    begin = threading.Event()

    def listen() -> None:
        begin.wait()
        sock.listen()

    thread = threading.Thread(target=listen)
    thread.start()
    with pytest.raises(NetNSTimeoutError) as info:
        netns.wait_listening(80, timeout=SOON)
    assert str(info.value) == (
        "[Errno 110] namespace 'netns': nothing listens on tcp port 80 after 0.05 s; what listens there: nothing"
    )
    begin.set()
    netns.wait_listening(80, timeout=PATIENCE)
    thread.join()
    netns.create_connection(("127.0.0.1", 80)).close()


def test_where_a_server_is_to_listen_can_be_said(netns: NetNS) -> None:
    with netns.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 53))
        netns.wait_listening(53, "udp", "127.0.0.1", PATIENCE)
        with pytest.raises(NetNSTimeoutError, match=r"on udp port 53 at 127\.0\.0\.2 after .*: udp 127\.0\.0\.1:53 \("):
            netns.wait_listening(53, "udp", "127.0.0.2", SOON)


def test_each_namespace_has_listeners_of_its_own(make_netns: MakeNetNS) -> None:
    one, other = make_netns(), make_netns()
    one.create_server(("127.0.0.1", 80))
    one.wait_listening(80, timeout=PATIENCE)
    with pytest.raises(NetNSTimeoutError):
        other.wait_listening(80, timeout=SOON)


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        (("80",), TypeError, "a port is a number, such as 80, not '80'"),
        ((True,), TypeError, "a port is a number, such as 80, not True"),
        ((0,), ValueError, "a port to listen on is a number from 1 to 65535, not 0"),
        ((65536,), ValueError, "a port to listen on is a number from 1 to 65535, not 65536"),
        ((80, "tpc"), ValueError, "'tcp' or 'udp', not 'tpc' (did you mean 'tcp'?)"),
        ((80, "tcp", 1), TypeError, "the address to listen on is a str, such as '127.0.0.1', not 1"),
        ((80, "tcp", "localhost"), ValueError, "is an IP address, such as '127.0.0.1' or '::1', and no name: 'localh"),
    ],
)
def test_where_to_listen_is_checked(netns: NetNS, args: Any, error: type[Exception], text: str) -> None:
    for function in (listening, netns.wait_listening):
        with pytest.raises(error, match=re.escape(text)):
            function(*args)


def test_a_link_behind_an_address_is_left_out() -> None:
    assert listening(80, address="fe80::1%eth0") == listening(80, address="fe80::1")
