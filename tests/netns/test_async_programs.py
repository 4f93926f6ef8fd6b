"""Programs that asyncio waits for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import subprocess
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSTimeoutError, ProgramDiedError, listening, notified, output
from pytest_netns._linux import syscalls
from tests.netns.test_commands import IN_WHICH, child_states, sh
from tests.netns.test_commands_end import session_outputs as session_outputs
from tests.netns.test_listening import PATIENCE, SOON, server
from tests.support.helpers import is_running
from tests.support.suites import ASYNCIO

pytestmark = pytest.mark.core

PIPE = subprocess.PIPE
T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="module", autouse=True)
def _descriptors_of_uvloop() -> None:
    """Let uvloop open what it has once for a process."""
    with contextlib.suppress(ImportError):
        run_by_uvloop(asyncio.sleep(0))


def run_by_uvloop(main: Coroutine[Any, Any, T]) -> T:
    import uvloop

    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a coroutine, and be sure that nothing complains then or later."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield asyncio.run if request.param == "asyncio" else run_by_uvloop
        if "netns" in request.fixturenames:
            request.getfixturevalue("netns").close()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_it_is_a_process_of_asyncio_in_the_namespace(netns: NetNS, run: Run) -> None:
    async def main() -> tuple[bytes, bytes]:
        process = await netns.async_popen(IN_WHICH, stdout=PIPE)
        assert type(process) is asyncio.subprocess.Process
        assert process.stdin is None
        assert process.stderr is None
        return await process.communicate()

    assert run(main()) == (f"net:[{netns.inode}]\n".encode(), None)


def test_its_streams_and_its_end_are_waited_for(netns: NetNS, run: Run) -> None:
    async def main() -> None:
        process = await netns.async_popen(sh("cat; echo err >&2; exit 7"), stdin=PIPE, stdout=PIPE, stderr=PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            await process.stdin.drain()
            assert await process.stdout.readline() == line
        assert process.returncode is None
        process.stdin.close()
        assert await process.stderr.read() == b"err\n"
        assert await process.wait() == process.returncode == 7

    run(main())
    assert "Z" not in child_states()


def test_much_goes_through_it(netns: NetNS, run: Run) -> None:
    async def main() -> bytes:
        process = await netns.async_popen(["cat"], stdin=PIPE, stdout=PIPE)
        return (await process.communicate(b"x" * 3_000_000))[0]

    assert run(main()) == b"x" * 3_000_000


def test_it_gets_signals(netns: NetNS, run: Run) -> None:
    async def main() -> list[int]:
        codes = []
        for end in ("terminate", "kill", "send_signal"):
            process = await netns.async_popen(["sleep", "1000"])
            assert is_running(process.pid)
            getattr(process, end)(*([signal.SIGUSR1] if end == "send_signal" else []))
            codes.append(await process.wait())
        return codes

    assert run(main()) == [-signal.SIGTERM, -signal.SIGKILL, -signal.SIGUSR1]


def test_many_at_once(netns: NetNS, run: Run) -> None:
    async def one(number: int) -> bytes:
        process = await netns.async_popen(sh(f"echo {number}"), stdout=PIPE)
        return (await process.communicate())[0]

    async def main() -> list[bytes]:
        return await asyncio.gather(*map(one, range(20)))

    assert run(main()) == [b"%d\n" % number for number in range(20)]


def test_a_shell_takes_a_line_and_a_stream_has_its_limit(netns: NetNS, run: Run) -> None:
    async def main() -> None:
        process = await netns.async_popen("echo one; echo 'much longer'", shell=True, stdout=PIPE, limit=4)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"one\n"
        with pytest.raises(ValueError, match="limit"):
            await process.stdout.readline()
        await process.wait()

    run(main())


def test_it_is_waited_for_until_it_is_ready(netns: NetNS, run: Run) -> None:
    turns: list[int] = []

    async def turn() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def main() -> bytes:
        other = asyncio.create_task(turn())
        ready = [output("on port"), listening(80)]
        args = server(then="print('on port', port, flush=True); import signal; signal.pause()")
        process = await netns.async_popen(args, stdout=PIPE, ready=ready, ready_timeout=PATIENCE)
        other.cancel()
        netns.create_connection(("127.0.0.1", 80)).close()
        process.kill()
        return (await process.communicate())[0]

    assert run(main()) == b"on port 80\n"
    assert len(turns) > 1


def test_one_that_dies_or_is_not_ready_is_an_error(netns: NetNS, run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ProgramDiedError, match=r"ended with exit status 3 before .*\nits stdout:\nout$"):
            await netns.async_popen(sh("echo out; exit 3"), stdout=PIPE, ready=notified(), ready_timeout=PATIENCE)
        with pytest.raises(NetNSTimeoutError, match=r"was not ready in 0\.05 s"):
            await netns.async_popen(["sleep", "1000"], ready=notified(), ready_timeout=SOON)

    run(main())
    assert netns._processes._commands == []


def test_a_cancelled_wait_ends_it(netns: NetNS, run: Run) -> None:
    async def main() -> None:
        pids: list[int] = []

        def is_ready() -> bool:
            pids.append(netns._processes._commands[0].process.pid)
            return False

        task = asyncio.create_task(netns.async_popen(["sleep", "1000"], ready=is_ready, ready_timeout=PATIENCE))
        while not pids:
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert not is_running(pids[0])

    run(main())
    assert netns._processes._commands == []


# The end of the namespace, and of the loop, whichever comes first


async def three(ns: NetNS) -> list[asyncio.subprocess.Process]:
    """Start one that runs on, one that has ended, and one whose output is more than is read of it."""
    started = [
        await ns.async_popen(["cat"], stdin=PIPE, stdout=PIPE, stderr=PIPE),
        await ns.async_popen(["echo", "out"], stdout=PIPE),
        await ns.async_popen(["yes"], stdout=PIPE),
    ]
    await started[1].wait()
    return started


@pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning")  # uvloop says that of each process
@pytest.mark.filterwarnings("ignore:loop is closed:ResourceWarning")
@pytest.mark.parametrize("run_it", [asyncio.run, run_by_uvloop])
def test_the_loop_ends_first(netns: NetNS, run_it: Run) -> None:
    if run_it is run_by_uvloop:
        pytest.importorskip("uvloop")
    with warnings.catch_warnings(record=run_it is asyncio.run) as caught:
        running, ended, much = run_it(three(netns))
        netns.close()
    assert not is_running(running.pid)
    assert not is_running(much.pid)
    assert "Z" not in child_states()
    del running, ended, much
    gc.collect()
    assert not caught


def test_the_namespace_ends_first_while_the_loop_runs(make_netns: MakeNetNS, run: Run) -> None:
    async def main() -> list[int | None]:
        ns = make_netns()
        started = await three(ns)
        ns.close()
        return [await asyncio.wait_for(process.wait(), PATIENCE) for process in started]

    assert run(main()) == [-signal.SIGTERM, 0, -signal.SIGTERM]
    assert "Z" not in child_states()


def test_the_namespace_ends_in_another_thread(make_netns: MakeNetNS, run: Run) -> None:
    async def main() -> list[int | None]:
        ns = make_netns()
        started = await three(ns)
        await asyncio.to_thread(ns.close)
        return [await asyncio.wait_for(process.wait(), PATIENCE) for process in started]

    assert run(main()) == [-signal.SIGTERM, 0, -signal.SIGTERM]


@pytest.mark.parametrize("new_event_loop", ["asyncio", "uvloop"])
def test_the_namespace_ends_while_the_loop_pauses(make_netns: MakeNetNS, new_event_loop: str) -> None:
    loop: asyncio.AbstractEventLoop = pytest.importorskip(new_event_loop).new_event_loop()
    try:
        ns = make_netns()
        started = loop.run_until_complete(three(ns))
        out: Any = started[2].stdout
        assert not out._transport.is_closing()
        ns.close()
        assert out._transport.is_closing()
        codes = [loop.run_until_complete(asyncio.wait_for(process.wait(), PATIENCE)) for process in started]
        assert codes == [-signal.SIGTERM, 0, -signal.SIGTERM]
    finally:
        loop.close()


def test_a_test_of_pytest_asyncio_may_leave_it_running(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    pytester.makepyfile(
        """
        import pytest
        import subprocess

        @pytest.mark.asyncio
        @pytest.mark.parametrize("number", range(2))
        async def test(netns, number):
            process = await netns.async_popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            process.stdin.write(b"line\\n")
            assert await process.stdout.readline() == b"line\\n"
        """
    )
    result = pytester.runpytest_subprocess("-W", "error", *ASYNCIO)
    result.assert_outcomes(passed=2)


def test_without_a_pidfd_its_end_is_noticed_too(netns: NetNS, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "open_pidfd", lambda pid: None)  # as before Linux 5.3

    async def main() -> int:
        process = await netns.async_popen(sh("read line; exit $line"), stdin=PIPE)
        assert process.stdin is not None
        process.stdin.write(b"7\n")
        return await process.wait()

    assert run(main()) == 7


# Wrong use


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"text": True}, "the streams of asyncio carry bytes: leave out text, and decode what they give"),
        ({"encoding": "utf-8"}, "the streams of asyncio carry bytes: leave out encoding"),
        ({"bufsize": 1}, "bufsize must be 0 for asyncio"),
        ({"ready": []}, "ready is empty"),
    ],
)
def test_what_asyncio_has_not_is_an_error(netns: NetNS, run: Run, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        run(netns.async_popen(["cat"], **options))
    with pytest.raises(TypeError, match="a command is a list"):
        run(netns.async_popen(7))  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        run(netns.async_popen(["no-such-command"]))


def test_without_a_loop_of_asyncio_the_error_says_what_to_use(netns: NetNS) -> None:
    trio = pytest.importorskip("trio")

    async def main() -> None:
        await netns.async_popen(["cat"])

    with pytest.raises(RuntimeError, match=r"needs a running event loop of asyncio.*; under trio use popen, with trio"):
        trio.run(main)


# What nobody has read

WRITES = sh("printf 'one\\ntwo\\n'; printf 'an error\\n' >&2; exit 3")


@pytest.mark.parametrize("where", ["later", "in the loop"])
def test_what_nobody_has_read_is_told(
    make_netns: MakeNetNS, session_outputs: list[tuple[str, str]], run: Run, where: str
) -> None:
    ns = make_netns("its")

    async def main() -> None:
        process = await ns.async_popen(WRITES, stdout=PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"one\n"
        assert await process.wait() == 3
        if where == "in the loop":
            ns.close()

    run(main())
    ns.close()
    ((title, text),) = session_outputs
    assert title.startswith("stdout of `sh -c ")
    assert title.endswith("` in namespace 'its', ended with exit status 3,")
    assert text.startswith("two\n")  # what the loop has taken; uvloop closes the pipe with what it has not


def test_what_the_loop_has_not_taken_is_told(make_netns: MakeNetNS, session_outputs: list[tuple[str, str]]) -> None:
    """The loop stops reading when it has more than twice the limit."""
    ns = make_netns()

    async def main() -> None:
        first = "123456789 " * 3
        process = await ns.async_popen(sh(f"echo {first}; read line; echo $line"), stdin=PIPE, stdout=PIPE, limit=10)
        assert process.stdout is not None
        assert process.stdin is not None
        assert await process.stdout.read(2) == b"12"
        process.stdin.write(b"second\n")
        while process.returncode is None:  # wait() returns when the pipe is read to its end
            await asyncio.sleep(0.001)

    asyncio.run(main())
    ns.close()
    assert [text for _, text in session_outputs] == ["3456789 123456789 123456789\nsecond\n"]


def test_what_was_read_is_not_told(make_netns: MakeNetNS, session_outputs: list[tuple[str, str]], run: Run) -> None:
    ns = make_netns()

    async def main() -> None:
        process = await ns.async_popen(WRITES, stdout=PIPE, stderr=PIPE)
        assert await process.communicate() == (b"one\ntwo\n", b"an error\n")
        process = await ns.async_popen(WRITES, stdout=PIPE)
        assert process.stdout is not None
        assert await process.stdout.read() == b"one\ntwo\n"

    run(main())
    ns.close()
    assert session_outputs == []
