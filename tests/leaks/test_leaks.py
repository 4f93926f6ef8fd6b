"""Each row of the table in docs/explanation/leaks.md, with the mechanism and without it."""

from __future__ import annotations

import os
import re
import signal
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TABLE = Path(__file__).parents[2] / "docs/explanation/leaks.md"

START = """
    import asyncio, os, signal, socket, subprocess, sys, threading, time
    from concurrent.futures import ThreadPoolExecutor
    import pytest
    from pytest_netns._linux import sockets, syscalls

    kept = []
    go_on = threading.Event()

    def descriptors():
        return set(os.listdir("/proc/self/fd"))

    def in_thread(func, *args):
        thread = threading.Thread(target=func, args=args)
        thread.start()
        thread.join()

    def bind(ipr):
        with pytest.warns(UserWarning):
            ipr.bind()

    def daemon(*fds):
        "Leave a process behind that nobody is the parent of."
        command = f"exec sleep 1000 <&- >&- 2>&- & echo $! >> {os.getcwd()}/pids"
        subprocess.run(["setsid", "sh", "-c", command], pass_fds=fds, check=True)
"""
SETTINGS = """
    from pytest_netns._leaks import guard, pending
    from pytest_netns._linux import sockets, syscalls
    from pytest_netns._netns import netlink, parts, commands, sockets, threads
    from pytest_netns._child import mp

    pending.GRACE, pending.EVERY = 0.05, 0.0

    def blind(**nothing):
        "Let the guard see nothing of one kind."
        now = guard.State.now.__func__

        def blinded(cls):
            state = now(cls)
            vars(state).update(nothing)
            return state

        guard.State.now = classmethod(blinded)
"""


@dataclass
class Leak:
    """A way to leak."""

    code: str
    without: str
    """What removes the mechanism."""
    error: str | None = None
    """What is said about it, or ``None`` where it is put right."""


LEAKS = {
    "a thread used a pyroute2 object and ended": Leak(
        """
        def test_leak(netns):
            ipr = netns.iproute()
            in_thread(ipr.get_links)
            before = descriptors()
            in_thread(ipr.get_links)
            assert descriptors() == before
        """,
        "parts.Parts._thread_ends = lambda self, part: None",
    ),
    "a thread called `bind()` and ended": Leak(
        """
        def test_leak(netns):
            ipr = netns.iproute()
            before = descriptors()
            in_thread(bind, ipr)
            assert descriptors() == before
        """,
        "parts.Parts._thread_ends = lambda self, part: None",
    ),
    "a thread that holds a pyroute2 object ends while the namespace is closed": Leak(
        """
        @pytest.fixture
        def afterwards():
            yield
            assert not kept[0].is_alive()

        def test_leak(afterwards, netns):
            def body():
                netns.ipr.bind()
                kept.append(threading.current_thread())
                go_on.wait()
                time.sleep(0.2)

            threading.Thread(target=body).start()
            while not kept:
                time.sleep(0.001)
            netns._on_close(go_on.set)
        """,
        "threads.Threads.wait = lambda self, holders: []",
    ),
    "a thread that holds a pyroute2 object does not end": Leak(
        """
        def test_leak(netns):
            def body():
                netns.ipr.bind()
                kept.append(descriptors())
                go_on.wait()

            threading.Thread(target=body, name="culprit", daemon=True).start()
            while not kept:
                time.sleep(0.001)

        def test_after():
            assert len(descriptors()) < len(kept[0])
            go_on.set()
        """,
        "threads.Threads.wait = lambda self, holders: []",
        "thread 'culprit' still runs 1 s after the namespace was closed, and holds an open pyroute2 object; it is at:",
    ),
    "a thread that holds a pyroute2 object waits in a pool that lives on": Leak(
        """
        @pytest.fixture(scope="session")
        def pool():
            with ThreadPoolExecutor(1) as pool:
                yield pool

        def test_leak(pool, netns):
            pool.submit(netns.ipr.get_links).result()
        """,
        "threads.is_idle_in_a_pool = lambda thread: False",
    ),
    "a pool of `ns.executor()` was not shut down": Leak(
        """
        def test_leak(netns):
            kept.append(netns.executor(1))
            kept[0].submit(os.getpid).result()
        """,
        "threads.Threads.executor = lambda self, *args: threads.InsideExecutor(self._ns, self._what, *args)",
    ),
    "a task was cancelled with an `AsyncIPRoute` open": Leak(
        """
        def test_leak(netns):
            async def main():
                async def listen():
                    ipr = netns.async_iproute()
                    await ipr.bind()
                    started.set()
                    async for message in ipr.get():
                        pass

                started = asyncio.Event()
                task = asyncio.create_task(listen())
                await started.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

            asyncio.run(main())
        """,
        "netlink.Netlink.close = lambda self: None",
    ),
    "the event loop was closed before its `AsyncIPRoute`": Leak(
        """
        def test_leak(netns):
            async def main():
                await netns.async_iproute().bind()

            asyncio.run(main())
        """,
        "netlink.Netlink.close = lambda self: None",
    ),
    "a global variable refers to a socket of `ns.socket()`": Leak(
        """
        def test_leak(netns):
            kept.append(netns.socket())
        """,
        "sockets.Sockets.close = lambda self: None",
    ),
    "a global variable refers to an accepted connection": Leak(
        """
        def test_leak(netns):
            server = netns.create_server(("127.0.0.1", 80))
            client = netns.create_connection(("127.0.0.1", 80))
            kept.append(server.accept()[0])
        """,
        "blind(descriptors=set())",
        "descriptor * is open: socket:*, AF_INET SOCK_STREAM ('127.0.0.1', 80) connected to * in namespace * (netns)",
    ),
    "a descriptor was duplicated": Leak(
        """
        def test_leak(netns):
            kept.append(os.dup(netns.socket().fileno()))
        """,
        "blind(descriptors=set())",
        "descriptor * is open: socket:*, AF_INET SOCK_STREAM ('0.0.0.0', 0) in namespace * (netns)",
    ),
    "a process that lives on has inherited a descriptor": Leak(
        """
        def test_leak(netns):
            daemon(netns.create_server(("127.0.0.1", 80)).fileno())
        """,
        "pending.Remains.closed = lambda *args: None",
        "  process * (sleep 1000) has descriptor * open: AF_INET SOCK_STREAM ('127.0.0.1', 80)",
    ),
    "a descriptor was sent to a process that lives on": Leak(
        """
        def test_leak(netns):
            ours, theirs = socket.socketpair()
            socket.send_fds(ours, [b"x"], [netns.create_server(("127.0.0.1", 80)).fileno()])
            program = (
                "import os, signal, socket; os.fork() and os._exit(0); os.setsid(); "
                "kept = socket.recv_fds(socket.socket(fileno=0), 1, 1); "
                "open('pids', 'a').write(str(os.getpid())); os.close(1); signal.pause()"
            )
            subprocess.run([sys.executable, "-c", program], stdin=theirs, stdout=subprocess.PIPE, check=True)
            ours.close()
            theirs.close()
        """,
        "pending.Remains.closed = lambda *args: None",
        "  process * has descriptor * open: AF_INET SOCK_STREAM ('127.0.0.1', 80)",
    ),
    "a child was forked and still runs": Leak(
        """
        def test_leak(netns):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            with open("pids", "a") as file:
                print(pid, file=file)
        """,
        "blind(children=set())",
        "child * still runs: *",
    ),
    "a child was forked and not reaped": Leak(
        """
        def test_leak(netns):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        """,
        "blind(children=set())",
        "child * is a zombie: nobody has waited for it",
    ),
    "a command of `ns.popen()` still runs": Leak(
        """
        def test_leak(netns):
            process = netns.popen(["sleep", "1000"])
            with open("pids", "a") as file:
                print(process.pid, file=file)
        """,
        "commands.Processes.close = lambda self: None",
    ),
    "a command has left a daemon in the namespace": Leak(
        """
        def test_leak(netns):
            netns.run(["setsid", "sh", "-c", "sleep 1000 <&- >&- 2>&- & echo $! >> pids"], check=True)
        """,
        "commands.Processes.close = lambda self: None",
    ),
    "a daemon was started inside, without a command": Leak(
        """
        def test_leak(netns):
            with netns.enter():
                daemon()
        """,
        "commands.Processes.close = lambda self: None",
    ),
    "a process has entered the namespace": Leak(
        """
        def test_leak(netns):
            program = (
                "import os, signal, sys; from pytest_netns._linux import sockets, syscalls; "
                "os.fork() and os._exit(0); os.setsid(); syscalls.setns(int(sys.argv[1])); os.close(int(sys.argv[1])); "
                "open('pids', 'a').write(str(os.getpid())); os.close(1); signal.pause()"
            )
            fd = netns.fileno()
            subprocess.run([sys.executable, "-c", program, str(fd)], pass_fds=[fd], stdout=subprocess.PIPE, check=True)
        """,
        "commands.Processes.close = lambda self: None",
    ),
    "the test entered the namespace and did not leave it": Leak(
        """
        def test_leak(netns):
            syscalls.setns(netns.fileno())

        def test_after(netns):
            assert os.stat("/proc/self/ns/net").st_ino != netns.inode
        """,
        "blind(namespace=(0, 0))",
        "the main thread was left in namespace * (netns); the plugin has moved it back",
    ),
    "a fork server was started inside": Leak(
        """
        def test_leak(netns):
            from multiprocessing import forkserver
            with netns.enter():
                forkserver.ensure_running()
        """,
        "guard.Guard._helpers_elsewhere = lambda self: []",
        "the ForkServer of multiprocessing, process *, was started inside namespace * (netns), where it would stay, *",
    ),
    "a child of the mode `mp:forkserver` was started inside": Leak(
        """
        def test_leak(netns):
            with netns.enter():
                netns.socket(child_mode="mp:forkserver")
        """,
        "mp.Multiprocessing._start_outside = lambda self, process, handle: process.start()",
    ),
}


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    pids = pytester.path / "pids"

    def run(leak: Leak, settings: str) -> pytest.RunResult:
        pytester.makeconftest(settings)
        pytester.makepyfile(textwrap.dedent(START) + textwrap.dedent(leak.code))
        options = ["-W", "error", "-o", f"netns_thread_timeout={60 if leak.error is None else 1}"]
        result = pytester.run("env", "PYTHONDEVMODE=1", sys.executable, "-m", "pytest", *options)
        for pid in pids.read_text().split() if pids.exists() else ():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        pids.unlink(missing_ok=True)
        return result

    return run


def is_dealt_with(leak: Leak, result: pytest.RunResult) -> bool:
    outcomes = result.parseoutcomes()
    if leak.error is None:
        return outcomes == {"passed": leak.code.count("def test_")}
    said = re.escape(leak.error).replace(r"\*", ".*")
    return outcomes == {"passed": leak.code.count("def test_"), "errors": 1} and bool(
        re.search(said, str(result.stdout))
    )


@pytest.mark.parametrize("what", LEAKS)
def test_a_leak_is_dealt_with_by_its_mechanism(run: Callable[..., pytest.RunResult], what: str) -> None:
    leak = LEAKS[what]
    mechanism = leak.without.partition(" = ")[0] if " = " in leak.without else ""
    settings = f"{textwrap.dedent(SETTINGS)}{mechanism}\n"  # fails where the mechanism has another name by now
    assert is_dealt_with(leak, run(leak, settings))
    assert not is_dealt_with(leak, run(leak, settings + leak.without))


def test_the_table_is_these() -> None:
    rows = [line.split("|")[1].strip() for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    assert rows[2:] == list(LEAKS)
