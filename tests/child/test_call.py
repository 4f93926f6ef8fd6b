"""Functions that run inside a namespace: in a thread, or in a child of each mode."""

from __future__ import annotations

import contextvars
import errno
import os
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from pytest_netns import CallModeName, ChildCallError, ChildModeError, NetNS, UnpicklableError
from pytest_netns._child import CALL_MODES
from pytest_netns._child.one_per_call import ChildTraceback

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

LONG = 60.0  # seconds: how long a test may hang before it fails; none waits for it
THREAD = None
ODD_INIT = "OddInit.__init__() missing 1 required positional argument: 'number'"

in_a_thread = pytest.param(THREAD, marks=pytest.mark.needs_thread_inside)
everywhere = pytest.mark.parametrize("mode", [in_a_thread, *CALL_MODES], ids=str)
in_children = pytest.mark.parametrize("mode", CALL_MODES)
in_heirs = pytest.mark.parametrize("mode", [in_a_thread, "fork", "mp:fork"], ids=str)
in_strangers = pytest.mark.parametrize("mode", ["mp:spawn", "mp:forkserver"])

context: contextvars.ContextVar[str] = contextvars.ContextVar("context")


# What the children do: at the top level, where each of them can import it.


def where() -> tuple[int, int]:
    return os.getpid(), os.stat("/proc/thread-self/ns/net").st_ino


def arguments(*args: object, **kwargs: object) -> tuple[object, ...]:
    return args, kwargs


def raises(error: BaseException) -> NoReturn:
    raise error


def leave(status: int) -> NoReturn:
    raise SystemExit(status)


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("with a lock")
        self.lock = threading.Lock()


class OddInit(Exception):
    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"{name} {number}")


def raise_odd(kind: str) -> NoReturn:
    raise Unpicklable if kind == "unpicklable" else OddInit("odd", 1)


def make_lock() -> object:
    return threading.Lock()


class Bomb:
    """It can be pickled, and raises when it is unpickled."""

    def __reduce__(self) -> Any:
        return raises, (ValueError("bomb"),)


@dataclass
class Box:
    sock: socket.socket


def boxes(count: int) -> dict[str, Any]:
    first, second, third, *rest = (socket.create_server(("127.0.0.1", 0)) for _ in range(count))
    return {"bare": first, "dataclass": Box(second), "tuple": (Box(third), "text"), "list": rest}


def unboxed(value: dict[str, Any]) -> list[socket.socket]:
    return [value["bare"], value["dataclass"].sock, value["tuple"][0].sock, *value["list"]]


def greet(boxed: list[Box], *, through: socket.socket) -> int:
    through.sendall(b"hello")
    return boxed[0].sock.fileno()


def zeros(size: int) -> bytes:
    return bytes(size)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(LONG)
        yield left, right


@everywhere
def test_it_runs_inside_and_returns_the_value(netns: NetNS, mode: CallModeName | None) -> None:
    home = os.stat("/proc/thread-self/ns/net").st_ino
    pid, inode = netns.call(where, child_mode=mode)
    assert inode == netns.inode != home
    assert (pid == os.getpid()) is (mode is THREAD)
    assert os.stat("/proc/thread-self/ns/net").st_ino == home


@everywhere
def test_it_passes_the_arguments_on(netns: NetNS, mode: CallModeName | None) -> None:
    assert netns.call(arguments, 1, "two", child_mode=mode, func=3, ns=None) == ((1, "two"), {"func": 3, "ns": None})


@pytest.mark.parametrize("mode", [in_a_thread, "fork", "mp:fork", "mp:spawn"], ids=str)
@pytest.mark.parametrize(
    "error",
    [ValueError("bad", 7), OSError(errno.ENOENT, "gone", "file"), KeyboardInterrupt("^C"), ChildModeError("ours")],
    ids=lambda error: type(error).__name__,
)
def test_what_the_function_raises_is_raised_here(netns: NetNS, mode: CallModeName | None, error: BaseException) -> None:
    with pytest.raises(type(error)) as info:
        netns.call(raises, error, child_mode=mode)
    assert type(info.value) is type(error)
    assert (str(info.value), info.value.args) == (str(error), error.args)
    if mode is THREAD:
        assert info.value is error
        assert [entry.name for entry in info.traceback][-1] == "raises"
    else:
        cause = info.value.__cause__
        assert type(cause) is ChildTraceback
        assert f'"{__file__}", line' in str(cause)
        assert "in raises\n    raise error\n" in str(cause)
        assert str(cause).endswith(f"{type(error).__name__}: {error}\n")


@everywhere
def test_an_exit_is_raised_here_and_ends_nobody(netns: NetNS, mode: CallModeName | None) -> None:
    with pytest.raises(SystemExit) as info:
        netns.call(leave, 3, child_mode=mode)
    assert info.value.code == 3


@in_children
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "unpicklable",
            "Unpicklable: with a lock (it cannot be passed back as itself: cannot pickle '_thread.lock' object)",
        ),
        (
            "odd",
            f"OddInit: odd 1 (it cannot be passed back as itself: {ODD_INIT})",
        ),
    ],
    ids=["unpicklable", "odd-init"],
)
def test_an_exception_that_cannot_cross_is_described(netns: NetNS, mode: CallModeName, kind: str, text: str) -> None:
    with pytest.raises(ChildCallError) as info:
        netns.call(raise_odd, kind, child_mode=mode)
    assert str(info.value) == text
    assert "in raise_odd\n" in str(info.value.__cause__)


@pytest.mark.needs_thread_inside
@pytest.mark.parametrize("kind", [Unpicklable, OddInit])
def test_any_exception_crosses_from_a_thread(netns: NetNS, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        netns.call(raise_odd, "unpicklable" if kind is Unpicklable else "odd")


@in_children
def test_a_value_that_cannot_cross_is_unpicklable(netns: NetNS, mode: CallModeName) -> None:
    with pytest.raises(UnpicklableError) as info:
        netns.call(make_lock, child_mode=mode)
    text = re.sub(r"0x[0-9a-f]+", "0x", str(info.value))
    assert text == (
        "namespace 'netns': <function make_lock at 0x> returned <unlocked _thread.lock object at 0x>, which cannot be "
        "pickled and passed back: cannot pickle '_thread.lock' object; return something that can, sockets included"
    )


@in_children
def test_a_value_that_cannot_be_unpickled_here_is_unpicklable(netns: NetNS, mode: CallModeName) -> None:
    with pytest.raises(UnpicklableError) as info:
        netns.call(Bomb, child_mode=mode)
    assert str(info.value) == f"namespace 'netns': what the {mode} child passed back cannot be unpickled: bomb"
    assert type(info.value.__cause__) is ValueError


@everywhere
def test_sockets_in_the_value_come_back_open(netns: NetNS, mode: CallModeName | None) -> None:
    servers = unboxed(netns.call(boxes, 5, child_mode=mode))
    for number, server in enumerate(servers):
        with server, netns.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
            client.sendall(b"to %d" % number)
            assert accepted.recv(100) == b"to %d" % number
            assert type(server) is socket.socket
            assert server.get_inheritable() is False
    assert len({id(server) for server in servers}) == 5


@everywhere
def test_sockets_in_the_arguments_are_open_there(
    netns: NetNS, mode: CallModeName | None, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    assert netns.call(greet, [Box(right)], child_mode=mode, through=right) >= 0
    assert left.recv(100) == b"hello"
    right.sendall(b"still open")
    assert left.recv(100) == b"still open"


@in_heirs
def test_a_lambda_works_where_it_is_inherited(netns: NetNS, mode: CallModeName | None) -> None:
    lock = threading.Lock()
    assert netns.call(lambda _: netns.inode, lock, child_mode=mode) == netns.inode


@pytest.mark.needs_thread_inside
def test_a_thread_sees_the_context_and_keeps_its_changes(netns: NetNS) -> None:
    token = context.set("of the test")

    def change() -> str:
        seen = context.get()
        context.set("of the thread")
        return seen

    assert netns.call(change) == "of the test"
    assert context.get() == "of the test"
    context.reset(token)


@pytest.mark.heavy
@everywhere
def test_a_big_value_comes_back(netns: NetNS, mode: CallModeName | None) -> None:
    size = 50_000_000
    assert netns.call(zeros, size, child_mode=mode) == bytes(size)
