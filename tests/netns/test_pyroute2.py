"""Three flaws of plain pyroute2, as facts, and the same with the fixtures, where they are none."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pyroute2
import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSClosedError
from pytest_netns._linux import fdpass
from tests.support.helpers import eventually, named_namespaces
from tests.support.suites import read_suite

LONG = 60.0  # seconds after which a program is taken to hang that should not
NOT_LONG = 2.0  # seconds to wait for a program that has said all that it does before it is certain to hang
FIXED = f"pyroute2 {pyroute2.__version__} no longer does this: remove the test, and its row in the docs"


def run(program: str, *args: str, hangs_after: str = "") -> str:
    """Run a program of plain pyroute2, and return what it prints, until the end or until it hangs.

    :param hangs_after: the line that it prints before it is certain to hang, if it is.
    """
    command = [sys.executable, "-c", program, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        printed = process.stdout.readline() if hangs_after else ""
        is_as_expected = printed == f"{hangs_after}\n"
        try:
            return printed + process.communicate(timeout=NOT_LONG if is_as_expected else LONG)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return printed + process.communicate()[0] + "hangs\n"


# A forked child closes an object that it has inherited.


def test_with_plain_pyroute2_the_parent_hangs() -> None:
    program = """
import os, pyroute2
ipr = pyroute2.IPRoute()
ipr.bind()
pid = os.fork()
if pid == 0:
    ipr.close()
    os._exit(0)
os.waitpid(pid, 0)
print("closed in the child", flush=True)
list(ipr.get_links())
print("goes on", flush=True)
"""
    assert run(program, hangs_after="closed in the child") == "closed in the child\nhangs\n", FIXED


def in_forked_child(func: Callable[[], object]) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            func()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("which", ["ipr", "iproute"])
def test_with_the_fixtures_the_parent_goes_on(netns: NetNS, which: str) -> None:
    ipr = netns.ipr if which == "ipr" else netns.iproute()
    ipr.bind()

    def child() -> None:
        assert [link.get("ifname") for link in ipr.get_links()] == ["lo"]
        ipr.close()
        netns.close()

    in_forked_child(child)
    assert [link.get("ifname") for link in ipr.get_links()] == ["lo"]
    assert [link.get("ifname") for link in netns.ipr.get_links()] == ["lo"]


@pytest.mark.asyncio
async def test_with_the_fixtures_the_parents_event_loop_goes_on(netns: NetNS) -> None:
    ipr = netns.async_iproute()
    await ipr.bind()
    in_forked_child(netns.close)
    in_forked_child(ipr.close)
    answers = await asyncio.wait_for(ipr.link("dump"), LONG)
    assert [link.get("ifname") async for link in answers] == ["lo"]


# An object is used after its namespace was removed.


@pytest.fixture
def name() -> Iterator[str]:
    name = f"removed-{os.getpid()}"
    yield name
    if name in named_namespaces():
        pyroute2.netns.remove(name)


def test_with_plain_pyroute2_a_removed_namespace_comes_back(name: str) -> None:
    program = """
import sys, threading, pyroute2
name = sys.argv[1]
pyroute2.netns.create(name)
with pyroute2.IPRoute(netns=name) as ipr:
    pyroute2.netns.remove(name)
    print(name in pyroute2.netns.listnetns())
    thread = threading.Thread(target=lambda: list(ipr.get_links()))
    thread.start()
    thread.join()
    print(name in pyroute2.netns.listnetns())
"""
    assert run(program, name) == "False\nTrue\n", FIXED


def test_with_the_fixtures_a_closed_namespace_stays_closed(make_netns: MakeNetNS, name: str) -> None:
    ns = make_netns(name=name)
    ipr = ns.iproute()
    assert ns.name in named_namespaces()
    ns.close()
    errors: list[type[BaseException]] = []

    def use(get: Callable[[], object]) -> None:
        try:
            get()
        except (OSError, NetNSClosedError) as error:
            errors.append(type(error))

    for get in (lambda: list(ipr.get_links()), lambda: ns.ipr):
        thread = threading.Thread(target=use, args=(get,))
        thread.start()
        thread.join()
    assert len(errors) == 2
    assert ns.name not in named_namespaces()


# A signal handler that raises runs in a child.

ESCAPE = read_suite(__file__, "pyroute2_escape")


def test_with_plain_pyroute2_a_child_escapes() -> None:
    assert "child goes on" in run(ESCAPE), FIXED


class Escaped(BaseException):
    """What the handler raises; nothing on the way catches it."""


@pytest.fixture
def raising_handler() -> Iterator[None]:
    def handle(*_: object) -> None:
        raise Escaped

    saved = signal.signal(signal.SIGTERM, handle)
    yield
    signal.signal(signal.SIGTERM, saved)


@pytest.mark.usefixtures("raising_handler")
@pytest.mark.netns_child_mode("fork", "mp:fork")
def test_with_the_fixtures_no_child_escapes(netns: NetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, send = os.getpid(), fdpass.send

    def send_and_get_a_signal(*args: object, **kwargs: object) -> None:
        send(*args, **kwargs)  # type: ignore[arg-type]
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    read, write = os.pipe()
    monkeypatch.setattr(fdpass, "send", send_and_get_a_signal)
    monkeypatch.setattr("pytest_netns._child.reply.send", send_and_get_a_signal)
    try:
        netns.socket().close()
        with pytest.raises(ChildProcessError):  # the signal's default ends it after it has begun
            netns.call(os.getpid, child_mode=netns.child_mode)  # type: ignore[arg-type]  # not resident
    finally:
        if os.getpid() != parent:
            os.write(write, b"a child has escaped")
            os._exit(1)
        os.close(write)
        with open(read, "rb") as said:
            assert said.read() == b""
    eventually(lambda: not netns.closed, "the parent goes on")
