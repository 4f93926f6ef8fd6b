"""What a test must leave as it found it: its namespace, and the descriptors, threads and children of the process."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from . import kernel
from .holders import command_of, namespace_of_socket, socket_text
from .remains import Remains
from .threads import is_idle_in_a_pool, namespace_of, stack_of


@dataclass
class State:
    """What there is at one moment."""

    namespace: tuple[int, int]
    descriptors: set[int]
    threads: set[threading.Thread]
    children: set[int]

    @classmethod
    def now(cls) -> State:
        helper_descriptors, helper_pids = _helpers_of_multiprocessing()
        return cls(
            kernel.namespace_id("/proc/self/ns/net"),  # of the main thread
            _descriptors() - helper_descriptors,
            set(threading.enumerate()),
            _children() - helper_pids,
        )

    def allow(self, before: State) -> None:
        """Count what is there now, and was not there before, as there from the beginning."""
        now = State.now()
        self.descriptors |= now.descriptors - before.descriptors
        self.threads |= now.threads - before.threads
        self.children |= now.children - before.children


def _descriptors() -> set[int]:
    found = {int(name) for name in os.listdir("/proc/self/fd")}
    # Not that of the listing, whose number the next that is opened gets, the lowest free one (open(2)).
    own = os.open("/", os.O_RDONLY | os.O_CLOEXEC)
    os.close(own)
    found.discard(own)
    return found


def _helpers() -> list[tuple[Any, int]]:
    """Return the fork server and the resource tracker of ``multiprocessing`` with their pids, where they run."""
    server = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    found = (server, getattr(server, "_forkserver_pid", None)), (tracker, getattr(tracker, "_pid", None))
    return [(helper, pid) for helper, pid in found if pid is not None]


def _helpers_of_multiprocessing() -> tuple[set[int], set[int]]:
    """Return their descriptors and pids, which outlive a test."""
    found = _helpers()
    descriptors: set[Any] = {
        getattr(helper, "_forkserver_alive_fd", getattr(helper, "_fd", None)) for helper, _ in found
    }
    return descriptors - {None}, {pid for _, pid in found}


def _children() -> set[int]:
    found: set[int] = set()
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
            found.update(map(int, Path(f"/proc/self/task/{thread}/children").read_bytes().split()))
    return found


class Owner(Protocol):
    """What lives longer than a test, and knows the namespaces by name."""

    def descriptors(self) -> set[int]:
        """Return the descriptors that it has open."""

    def pids(self) -> set[int]:
        """Return the children that it has."""

    def name_of(self, identity: tuple[int, int]) -> str | None:
        """Return what a namespace is called, or was when it was open."""

    @property
    def remains(self) -> Remains:
        """The namespaces that were closed and may not be gone."""


class Guard:
    """Compares the state after a test with that before it.

    :param timeout: how long a thread may take to end, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._home = kernel.open_own_namespace()
        self._earlier_helpers = {pid for _, pid in _helpers()}  # of a program that runs pytest.main()
        self.owner: Owner | None = None

    def close(self) -> None:
        os.close(self._home)

    def _owned(self) -> set[int]:
        return {self._home} if self.owner is None else {self._home, *self.owner.descriptors()}

    def _children(self) -> set[int]:
        return set() if self.owner is None else self.owner.pids()

    def differences(self, before: State) -> list[str]:
        """Return a text for each thing that was not there before, or no longer is as it was."""
        if self._is_as(before):
            return []
        gc.collect()  # what only a cycle of references holds is not left for long
        self._wait_for(threading.enumerate(), before)
        found = []
        now = State.now()
        if now.namespace != before.namespace:
            found.append(f"the main thread was left in {self._place(now.namespace)}; it is back in its own now")
            kernel.setns(self._home)
        found += self._end_helpers_elsewhere()
        found += [self._describe_thread(thread) for thread in now.threads - before.threads if not self._rests(thread)]
        found += [_describe_child(pid) for pid in sorted(now.children - before.children - self._children())]
        found += [
            self._describe_descriptor(fd)
            for fd in sorted(now.descriptors - before.descriptors - self._owned())
            if os.path.lexists(f"/proc/self/fd/{fd}")  # but for that of the listing itself
            and not _is_of_a_library(fd)
        ]
        return found

    def kept(self, *, is_judged: bool) -> list[str]:
        """Return a text for each namespace of this test or an earlier one that was closed, and is kept by something."""
        if self.owner is None:
            return []
        self.owner.remains.end_of_test(is_judged=is_judged)
        return self.owner.remains.kept()

    def kept_at_the_end(self) -> tuple[list[str], list[str]]:
        """Return a text for each namespace that something keeps, and for each of which it cannot be seen what does."""
        return ([], []) if self.owner is None else self.owner.remains.kept_at_the_end()

    def _is_as(self, before: State) -> bool:
        now = State.now()
        new = now.descriptors - before.descriptors
        return (
            now.namespace == before.namespace
            and all(thread in before.threads or self._rests(thread) for thread in now.threads)
            and now.children <= before.children | self._children()
            and not self._helpers_elsewhere()
            and not (new and new - self._owned())
        )

    def _helpers_elsewhere(self) -> list[tuple[Any, int, tuple[int, int]]]:
        """Return those helpers of ``multiprocessing`` that were started inside a namespace, which they then keep."""
        home = kernel.namespace_id(self._home)
        found = []
        for helper, pid in _helpers():
            if pid in self._earlier_helpers:
                continue
            try:
                place = kernel.namespace_id(f"/proc/{pid}/ns/net")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended, or ends
            if place != home:
                found.append((helper, pid, place))
        return found

    def _end_helpers_elsewhere(self) -> list[str]:
        found = []
        for helper, pid, place in self._helpers_elsewhere():
            name = type(helper).__name__
            os.kill(pid, signal.SIGKILL)
            helper._stop()  # reaps it, so that the next use starts another
            found.append(
                f"the {name} of multiprocessing, process {pid}, was started inside {self._place(place)} and would "
                "stay there; it was ended. Start it before the namespace is entered"
            )
        return found

    def _rests(self, thread: threading.Thread) -> bool:
        """Whether a thread waits for work at home, in a pool: one of a wider fixture, asyncio's, or trio's cache."""
        if not is_idle_in_a_pool(thread) or thread.native_id is None:
            return False
        return namespace_of(thread.native_id) == kernel.namespace_id(self._home)

    def _wait_for(self, threads: Iterable[threading.Thread], before: State) -> None:
        deadline = kernel.monotonic() + self._timeout
        for thread in threads:
            if thread not in before.threads and thread is not threading.current_thread() and not self._rests(thread):
                thread.join(max(0, deadline - kernel.monotonic()))

    def _place(self, identity: tuple[int, int]) -> str:
        name = None if self.owner is None else self.owner.name_of(identity)
        return f"namespace {identity[1]}" + (f" ({name})" if name else "")

    def _describe_thread(self, thread: threading.Thread) -> str:
        return f"thread {thread.name!r} still runs {self._timeout:g} s after the test; it is at:\n{stack_of(thread)}"

    def _describe_descriptor(self, fd: int) -> str:
        target = os.readlink(f"/proc/self/fd/{fd}")
        text = f"descriptor {fd} is open: {target}"
        if target.startswith("socket:"):
            text += f", {self._describe_socket(fd)}"
        elif target.startswith("net:"):
            text += f", {self._place(kernel.namespace_id(fd))}"
        return text + _where_made(fd)

    def _describe_socket(self, fd: int) -> str:
        with socket.socket(fileno=os.dup(fd)) as sock:
            identity = namespace_of_socket(sock)
            is_home = identity in (None, kernel.namespace_id(self._home))
            return socket_text(sock) + ("" if identity is None or is_home else f" in {self._place(identity)}")


def _is_of_a_library(fd: int) -> bool:
    """Whether a descriptor is that of a library which runs in this process.

    libffi opens itself when ctypes is imported, and keeps the descriptor, from which it maps the code of each callback
    (src/tramp.c). It belongs to no test.
    """
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return False  # closed meanwhile
    with open("/proc/self/maps") as maps:
        lines = (line.split(maxsplit=5) for line in maps)
        return any("x" in fields[1] and fields[5].rstrip() == target for fields in lines if len(fields) == 6)


def _describe_child(pid: int) -> str:
    try:
        command = command_of(pid)
    except FileNotFoundError:
        return f"child {pid} was there until now"
    if kernel.start_time(pid) is None:
        return f"child {pid} is a zombie: nobody has waited for it"
    return f"child {pid} still runs: {command}"


def _where_made(fd: int) -> str:
    """Return where the object that holds a descriptor was made, if tracemalloc knows."""
    import tracemalloc

    if not tracemalloc.is_tracing():
        return ""
    for candidate in gc.get_objects():
        if isinstance(candidate, socket.socket) and candidate.fileno() == fd:
            trace = tracemalloc.get_object_traceback(candidate)
            if trace is not None:
                return ", made at\n" + "\n".join(trace.format())
    return ""
