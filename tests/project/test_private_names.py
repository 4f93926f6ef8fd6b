"""The private names of other libraries that the package uses: each is there, and is what the package takes it for.

A test here that fails after an update says which name is gone or has changed. Where the package uses it is in
``grep -rn NAME pytest_netns``.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import inspect
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from asyncio import base_subprocess, selector_events, unix_events
from asyncio.subprocess import Process, SubprocessStreamProtocol
from collections.abc import Callable, Iterator
from concurrent.futures import thread as pool_threads
from contextlib import closing
from importlib import import_module
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from types import BuiltinFunctionType, CodeType
from typing import Any, TypeVar

import pyroute2
import pytest
from pyroute2.netlink import core

import pytest_netns

PACKAGE = Path(pytest_netns.__file__).parent
PUBLIC = {"_asdict", "_current_frames", "_exit", "_getframe", "_thread"}  # documented in spite of their names
OURS = {"_netns_of_the_"}  # the beginning of our names of fixtures
CHECKED: set[str] = set()

Test = TypeVar("Test", bound=Callable[..., object])


def checks(*names: str) -> Callable[[Test], Test]:
    """Say which names a test checks."""
    CHECKED.update(names)
    return lambda test: test


def test_every_name_is_checked() -> None:
    """Each name that the package does not define has a test, and each test has a name that the package uses."""
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    defined = {name for tree in trees for name in _defined(tree)}
    defined |= {part for path in PACKAGE.rglob("*.py") for part in path.relative_to(PACKAGE).with_suffix("").parts}
    used = {name for tree in trees for name in _used(tree)}
    theirs = used - defined - PUBLIC - OURS
    assert theirs <= CHECKED, "names without a test here"
    assert used >= CHECKED, "tests here of names that are used no longer"


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                yield node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


def _used(tree: ast.Module) -> Iterator[str]:
    """Yield what may be a private name: of an attribute, of what is imported, and what is asked for by a string."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.append(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.FunctionDef):
            found.append(node.name)  # it may override one
        elif isinstance(node, ast.ImportFrom):
            found += [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [part for alias in node.names for part in alias.name.split(".")]
    return (name for name in found if re.fullmatch(r"_[A-Za-z]\w*", name))


# multiprocessing


@checks("_forkserver", "_forkserver_pid", "_forkserver_alive_fd", "_stop")
def test_the_fork_server() -> None:
    server: Any = forkserver._forkserver
    assert type(server).__name__ == "ForkServer"
    server._stop()
    assert (server._forkserver_pid, server._forkserver_alive_fd) == (None, None)
    server.ensure_running()
    assert server._forkserver_pid > 1
    assert server._forkserver_alive_fd > 2
    server._stop()  # waits for it, too
    assert (server._forkserver_pid, server._forkserver_alive_fd) == (None, None)


@checks("_resource_tracker", "_pid", "_fd", "_stop")
def test_the_resource_tracker() -> None:
    tracker: Any = resource_tracker._resource_tracker
    assert type(tracker).__name__ == "ResourceTracker"
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # it has the tracker's pipe open
    tracker._stop()
    assert (tracker._pid, tracker._fd) == (None, None)
    tracker.ensure_running()
    assert tracker._pid > 1
    assert tracker._fd > 2


@checks("_launch")
@pytest.mark.parametrize("how", ["ensure_running", "register"])
def test_how_the_resource_tracker_starts(how: str) -> None:
    class Launched(Exception):
        pass

    def launch(self: object) -> None:
        raise Launched

    name = "_launch" if hasattr(resource_tracker.ResourceTracker, "_launch") else "ensure_running"
    tracker = type("Tracker", (resource_tracker.ResourceTracker,), {name: launch})()
    with pytest.raises(Launched):
        tracker.ensure_running() if how == "ensure_running" else tracker.register("/name", "semaphore")
    tracker._pid = tracker._fd = None  # so that nothing is waited for when it is collected


@checks("_popen")
def test_a_process_has_no_status_before_its_end() -> None:
    process: Any = multiprocessing.get_context("fork").Process(target=len, args=("",))
    process.start()
    process.join()
    assert process._popen.returncode == process.exitcode == 0
    process._popen.returncode = 7
    assert process.exitcode == 7
    process.close()


# asyncio


@checks("_get_running_loop", "_set_running_loop")
def test_the_loop_of_a_thread_is_put_aside() -> None:
    async def main() -> None:
        loop = asyncio._get_running_loop()
        assert loop is asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        assert asyncio._get_running_loop() is None
        asyncio._set_running_loop(loop)
        assert asyncio.get_running_loop() is loop

    asyncio.run(main())


@checks("_swap_current_task")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="it came with Python 3.12")
def test_the_task_of_a_loop_is_put_aside() -> None:
    async def main() -> None:
        swap: Any = asyncio.tasks._swap_current_task  # type: ignore[attr-defined]
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert swap(loop, None) is task
        assert asyncio.current_task() is None
        assert swap(loop, task) is None
        assert asyncio.current_task() is task

    asyncio.run(main())


@checks("_SelectorTransport", "_sock", "_sock_fd", "_call_connection_lost", "_remove_reader")
def test_the_transport_of_a_socket() -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with right:
            lost: list[object] = []
            protocol = type(
                "Protocol", (asyncio.Protocol,), {"connection_lost": lambda self, error: lost.append(error)}
            )
            transport, _ = await loop.create_connection(protocol, sock=left)
            assert isinstance(transport, selector_events._SelectorTransport)  # type: ignore[attr-defined]
            assert transport._sock is left
            assert transport._sock_fd == left.fileno()
            assert loop._remove_reader(transport._sock_fd) is True
            transport._call_connection_lost(None)
            assert transport._sock is None
            assert lost == [None]
            assert left.fileno() == -1

    asyncio.run(main())


@checks("_pipe", "_closing", "_UnixReadPipeTransport", "_UnixWritePipeTransport")
@pytest.mark.parametrize("end", ["read", "write"])
def test_the_transport_of_a_pipe(end: str) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        ends = os.pipe()
        with open(ends[0], "rb", buffering=0) as read, open(ends[1], "wb", buffering=0) as write:
            lost: list[object] = []
            called = {"connection_lost": lambda self, error: lost.append(error)}
            protocol: Any = type("Protocol", (asyncio.Protocol,), called)
            pipe, connect = {"read": (read, loop.connect_read_pipe), "write": (write, loop.connect_write_pipe)}[end]
            transport, _ = await connect(protocol, pipe)
            kinds: Any = (unix_events._UnixReadPipeTransport, unix_events._UnixWritePipeTransport)  # type: ignore[attr-defined]
            assert isinstance(transport, kinds[end == "write"])
            assert (transport._pipe, transport._closing) == (pipe, False)
            loop.remove_reader(pipe)
            transport._closing = True
            transport._call_connection_lost(None)
            assert (transport._pipe, transport.is_closing(), pipe.closed, lost) == (None, True, True, [None])

    asyncio.run(main())


@checks("_buffer")
def test_what_a_stream_has_and_nobody_has_read() -> None:
    async def main() -> None:
        reader: Any = asyncio.StreamReader()
        reader.feed_data(b"one\ntwo\n")
        assert await reader.readline() == b"one\n"
        assert bytes(reader._buffer) == b"two\n"

    asyncio.run(main())


@checks("_start", "_proc", "_returncode", "_process_exited", "_closed", "_pipes")
def test_the_transport_of_a_process() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    class Transport(base_subprocess.BaseSubprocessTransport):
        def _start(self, *_: object, **__: object) -> None:
            self._proc = process

    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocol = SubprocessStreamProtocol(limit=100, loop=loop)
        waiter = loop.create_future()
        pipe = subprocess.PIPE
        transport: Any = Transport(loop, protocol, ["cat"], False, pipe, pipe, None, 0, waiter)
        await waiter
        made = Process(transport, protocol, loop)
        assert (made.pid, transport._returncode, transport._closed) == (process.pid, None, False)
        assert {number: pipe.pipe for number, pipe in transport._pipes.items()} == {
            number: transport.get_pipe_transport(number) for number in (0, 1)
        }
        process.kill()
        process.wait()
        transport._process_exited(process.returncode)
        assert await made.wait() == transport._returncode == -9
        transport.close()
        assert transport._closed is True

    asyncio.run(main())


@checks("_make_self_pipe", "_ssock", "_csock", "_internal_fds", "_add_reader", "_read_from_self", "_selector")
def test_the_pipe_that_wakes_a_loop() -> None:
    made: list[object] = []

    class Loop(asyncio.SelectorEventLoop):
        def _make_self_pipe(self) -> None:
            super()._make_self_pipe()  # type: ignore[misc]
            made.append(self)

    loop: Any = Loop()
    with closing(loop):
        assert made == [loop]
        assert loop._ssock.gettimeout() == loop._csock.gettimeout() == 0
        assert loop._internal_fds == 1
        (key,) = loop._selector.get_map().values()
        assert key.fd == loop._ssock.fileno()
        reader, _ = key.data
        assert reader._callback == loop._read_from_self
        loop._add_reader(loop._ssock.fileno(), loop._read_from_self)
        assert len(loop._selector.get_map()) == 1


# Threads and sockets


@checks("_start_joinable_thread", "_start_new_thread")
def test_what_starts_a_thread() -> None:
    name = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"
    assert isinstance(getattr(threading, name), BuiltinFunctionType)


@checks("_GLOBAL_DEFAULT_TIMEOUT")
def test_the_timeout_that_stands_for_the_default() -> None:
    default = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
    assert inspect.signature(socket.create_connection).parameters["timeout"].default is default


@checks("_socket", "_io", "_signal")
@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("socket", ["socket", "socketpair"]),
        ("io", ["FileIO"]),
        ("signal", ["getsignal", "pthread_sigmask"]),
    ],
)
def test_the_modules_in_c(module: str, names: list[str]) -> None:
    for name in names:
        ours, public = getattr(import_module(f"_{module}"), name), getattr(import_module(module), name)
        assert ours is public or isinstance(ours, BuiltinFunctionType) or issubclass(public, ours)


def code_of(module: str, *names: str) -> CodeType:
    found: Any = pytest.importorskip(module)
    for name in names:
        found = getattr(found, name)
    code = found.__code__
    assert isinstance(code, CodeType)
    return code


@checks("_worker", "_work")
@pytest.mark.parametrize(
    ("code", "file", "name"),
    [
        (lambda: pool_threads._worker.__code__, "/concurrent/futures/thread.py", "_worker"),
        (
            lambda: code_of("trio._core._thread_cache", "WorkerThread", "_work"),
            "/trio/_core/_thread_cache.py",
            "_work",
        ),
        (lambda: code_of("anyio._backends._asyncio", "WorkerThread", "run"), "/anyio/_backends/_asyncio.py", "run"),
    ],
    ids=["concurrent.futures", "trio", "anyio"],
)
def test_where_the_threads_of_a_pool_wait(code: Callable[[], CodeType], file: str, name: str) -> None:
    found = code()
    assert found.co_filename.endswith(file)
    assert found.co_name == name


# pyroute2 and pytest


@checks("_cleanup_transport")
def test_how_pyroute2_makes_and_closes_its_socket() -> None:
    with pyroute2.IPRoute() as ipr:
        assert callable(ipr._cleanup_transport)
        own = ipr.asyncore
        for name in ("setup_socket", "setup_event_loop", "setup_endpoint", "close"):
            assert callable(getattr(own, name)), name
        assert isinstance(own.local.socket, socket.socket)
        assert isinstance(own.local.keep_event_loop, bool)
        assert own.status["event_loop"] == "new"
        assert own.status["closed"] is False
        assert hasattr(own.spec.config, "fileno")
    assert own.status["closed"] is True
    assert core.os is import_module("os")
    assert isinstance(core.MAGIC_CLOSE, int)


@checks("_finalizers")
def test_how_a_fixture_is_torn_down(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    definition: Any = request._get_active_fixturedef("tmp_path")
    assert definition.cached_result[0] == tmp_path
    assert isinstance(definition._finalizers, list)


@checks("_pytest")
def test_the_package_of_what_pytest_has() -> None:
    assert pytest.Config.__module__.partition(".")[0] == "_pytest"


# the parts in C of the standard library, which the resident child takes in place of the whole


@checks("_functools", "_signal")
def test_the_parts_in_c() -> None:
    import _functools  # type: ignore[import-not-found]
    import _signal  # type: ignore[import-not-found]

    assert _functools.partial is functools.partial
    assert (_signal.SIGKILL, _signal.SIG_IGN, _signal.SIG_DFL) == (signal.SIGKILL, signal.SIG_IGN, signal.SIG_DFL)
    assert _signal.pidfd_send_signal is not None
    assert _signal.strsignal(9) == signal.strsignal(9)
