"""Programs whose pipes and end are asyncio's to wait for.

``subprocess.Popen`` starts them, in the thread that starts every command of the namespace, and asyncio gets the process
when it runs: so it is ended and reaped with the namespace whatever became of the event loop, and no child watcher, of
which each version of Python and each event loop has another, is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import posix
import subprocess
from asyncio import base_subprocess, unix_events
from asyncio.subprocess import Process, SubprocessStreamProtocol
from typing import Any

from .._errors import is_meant
from .._linux import syscalls
from .commands import Processes
from .outputs import drain
from .readiness import Namespace
from .running import READY_TIMEOUT
from .starter import Command
from .waiting import Program

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

LIMIT = 1 << 16  # bytes: asyncio's default for the buffer of a stream
PAUSE = 0.01  # seconds between two looks at a process that has no pidfd
KINDS = (unix_events._UnixReadPipeTransport, unix_events._UnixWritePipeTransport)  # type: ignore[attr-defined]
TEXT = ("text", "universal_newlines", "encoding", "errors")


async def popen(ns: Namespace, processes: Processes, args: Any, options: dict[str, Any]) -> Process:
    """Start a program; return its process as soon as it is ready.

    :param options: those of ``subprocess.Popen``, with ``limit``, ``ready`` and ``ready_timeout``.
    """
    loop = _running_loop()
    limit = options.pop("limit", LIMIT)
    ready, timeout = options.pop("ready", None), options.pop("ready_timeout", READY_TIMEOUT)
    for name in TEXT:
        if options.get(name):
            raise ValueError(f"the streams of asyncio carry bytes: leave out {name}, and decode what they give")
    if options.setdefault("bufsize", 0):
        raise ValueError("bufsize must be 0 for asyncio, whose streams have buffers of their own: give limit")
    program = Program(ns, processes, ready, timeout)
    start = program.prepare(options)
    try:
        with program.measured(args):
            waiting = program.begin(start, args)
            for pause in waiting.pauses():
                if waiting.is_over():
                    break
                await asyncio.sleep(pause)
        start.close()
        return await _connected(loop, start.commands[0], limit)
    except BaseException as error:
        try:
            told = program.give_up(start, error)
        except BaseException:
            program.give_up(start, error)
            raise
        if told is error:
            raise
        raise told from None


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "async_popen needs a running event loop of asyncio, or uvloop; under trio use popen, with "
            "trio.to_thread.run_sync(process.wait) and trio.lowlevel.FdStream(os.dup(process.stdout.fileno()))"
        ) from None


async def _connected(loop: asyncio.AbstractEventLoop, command: Command, limit: int) -> Process:
    protocol = SubprocessStreamProtocol(limit=limit, loop=loop)
    waiter = loop.create_future()
    transport = Transport(loop, protocol, command, waiter)
    command.pipes = transport
    await waiter
    transport.watch()
    return Process(transport, protocol, loop)


class Transport(base_subprocess.BaseSubprocessTransport):
    """The transport of a process that runs already.

    :param waiter: a future, which is done when the pipes are asyncio's.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: SubprocessStreamProtocol,
        command: Command,
        waiter: asyncio.Future[Any],
    ) -> None:
        self._command = command
        self._its_loop = loop
        self._streams = protocol
        self._pidfds: list[int] = []
        process = command.process
        stdin, stdout, stderr = (
            None if pipe is None else subprocess.PIPE for pipe in (process.stdin, process.stdout, process.stderr)
        )
        args: Any = process.args
        super().__init__(loop, protocol, args, False, stdin, stdout, stderr, 0, waiter)

    def _start(self, *_: Any, **__: Any) -> None:
        self._proc = self._command.process

    def watch(self) -> None:
        """Have the event loop notice its end."""
        if self._command.pidfd is not None:
            syscalls.keep(self._pidfds, posix.dup, self._command.pidfd)
            self._its_loop.add_reader(self._pidfds[0], self._may_have_ended)
        else:
            self._may_have_ended()

    def _may_have_ended(self) -> None:
        code = self._command.process.poll()
        if code is None:  # it has no pidfd, or another thread is just reaping it
            if not self._pidfds:
                self._its_loop.call_later(PAUSE, self._may_have_ended)
            return
        self._unwatch()
        if self._returncode is None:
            self._process_exited(code)

    def _unwatch(self) -> None:
        if self._pidfds and not self._its_loop.is_closed():
            self._its_loop.remove_reader(self._pidfds[0])
        syscalls.close_all(self._pidfds)

    def descriptors(self) -> list[int]:
        """Return the descriptors of its pipes that are open."""
        process = self._command.process
        streams = enumerate((process.stdin, process.stdout, process.stderr))
        return [
            stream.fileno()
            for number, stream in streams
            if stream is not None and not stream.closed and self._has_open(self._pipes.get(number))
        ]

    def let_go(self) -> dict[str, bytes]:
        """Close what is open, since the process has ended with its namespace; return what nobody has read.

        While the event loop runs, that is what the loop has taken from the pipes; of the rest it will take what it can.
        """
        if self._its_loop.is_running():
            unread = self._unread(is_with_rest=False)
            with contextlib.suppress(RuntimeError):  # it has just been closed
                self._its_loop.call_soon_threadsafe(self._end)
            return unread
        self._unwatch()
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            if self._returncode is None and self._command.process.returncode is not None:
                self._process_exited(self._command.process.returncode)
        self._closed = True
        unread = self._unread(is_with_rest=True)
        process = self._command.process
        for number, stream in enumerate((process.stdin, process.stdout, process.stderr)):
            pipe: Any = self._pipes.get(number)
            if pipe is not None:
                self._close_pipe(pipe.pipe)
            elif stream is not None:
                stream.close()
        return unread

    def _unread(self, *, is_with_rest: bool) -> dict[str, bytes]:
        """Return what nobody has read, of each pipe where there is something.

        :param is_with_rest: also what the event loop has not taken from the pipe.
        """
        process, found = self._command.process, {}
        for number, name, stream in ((1, "stdout", process.stdout), (2, "stderr", process.stderr)):
            reader: Any = getattr(self._streams, name)
            unread = b"" if reader is None else bytes(reader._buffer)
            if is_with_rest and stream is not None and not stream.closed and self._has_open(self._pipes.get(number)):
                unread += drain(stream.fileno())
            if unread:
                found[name] = unread
        return found

    def _has_open(self, pipe: Any) -> bool:
        """Whether a descriptor is still that of the pipe, which uvloop closes with the loop."""
        return pipe is None or isinstance(pipe.pipe, KINDS) or not self._its_loop.is_closed()

    def _end(self) -> None:
        self._may_have_ended()
        self.close()

    def _close_pipe(self, pipe: Any) -> None:
        """Close a pipe though no turn of the event loop may come."""
        is_closed = self._its_loop.is_closed()
        if not isinstance(pipe, KINDS):
            if not is_closed:  # else uvloop has closed it
                pipe.close()
        elif pipe._pipe is not None:
            if not is_closed:
                self._its_loop.remove_reader(pipe._pipe)
                self._its_loop.remove_writer(pipe._pipe)
            pipe._closing = True
            with contextlib.suppress(RuntimeError):
                pipe._call_connection_lost(None)
