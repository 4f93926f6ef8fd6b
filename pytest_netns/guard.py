"""What a test must leave as it found it: its namespace, and the descriptors, threads and children of the process."""

from __future__ import annotations

import contextlib
import errno
import posix as os  # see kernel.py
import resource
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from gc import collect, get_objects
from termios import FIONREAD
from threading import enumerate as all_threads
from typing import Any, Protocol

from . import kernel
from .held import held_by, locals_of
from .holders import command_of, namespace_of_socket, socket_text
from .processes import helpers_of_multiprocessing
from .remains import Remains
from .threads import is_idle_in_a_pool, namespace_of, stack_of

S_IFMT, S_IFIFO = 0o170000, 0o010000  # inode(7)
STANDARD = (0, 1, 2)  # pytest's capture puts others under these numbers as it goes

File = tuple[int, int, str]
"""What a descriptor refers to: its device, its inode, and its name where many share one inode."""


@dataclass
class State:
    """What there is at one moment."""

    namespace: tuple[int, int]
    descriptors: dict[int, File]
    threads: set[threading.Thread]
    children: set[int]

    @classmethod
    def now(cls) -> State:
        """Look; it takes one free descriptor.

        :raises OSError: it cannot be seen.
        """
        helper_descriptors, helper_pids = _helpers_of_multiprocessing()
        return cls(
            kernel.namespace_id("/proc/self/ns/net"),  # of the main thread
            {fd: file for fd, file in _descriptors().items() if fd not in helper_descriptors},
            set(all_threads()),
            _children() - helper_pids,
        )

    def new_descriptors(self, before: State) -> set[int]:
        """Return those that were not there before, or stood for something else."""
        new = {fd: file for fd, file in self.descriptors.items() if before.descriptors.get(fd) != file}
        return new.keys() - _locks(new)

    def allow(self, before: State, now: State) -> None:
        """Count what is there now, and was not there before, as there from the beginning."""
        self.descriptors |= {fd: now.descriptors[fd] for fd in now.new_descriptors(before)}
        self.threads |= now.threads - before.threads
        self.children |= now.children - before.children


def _descriptors() -> dict[int, File]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = _file(int(name))
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.ENOENT):  # that of the listing, or closed by a thread meanwhile
                raise
    return found


def _file(fd: int) -> File:
    if fd in STANDARD:
        return 0, 0, ""
    status = os.fstat(fd)
    # All of epoll, eventfd and the like share one inode, whose mode has no type. Two of one kind cannot be told apart.
    name = "" if status.st_mode & S_IFMT else os.readlink(f"/proc/self/fd/{fd}")
    return status.st_dev, status.st_ino, name


def _locks(descriptors: dict[int, File]) -> set[int]:
    """Return those that are a pipe with both ends and a byte in it: a lock, which he has who takes the byte.

    Libraries make one for the whole process when they are first used, as libuv with its first loop, and keep it.
    """
    ends: dict[File, list[int]] = {}
    for fd, file in descriptors.items():
        ends.setdefault(file, []).append(fd)
    return {fd for both in ends.values() if len(both) == 2 and _bytes_in_pipe(both[0]) == 1 for fd in both}


def _bytes_in_pipe(fd: int) -> int:
    if os.fstat(fd).st_mode & S_IFMT != S_IFIFO:
        return 0
    (count,) = struct.unpack("i", kernel.ioctl(fd, FIONREAD, bytes(4)))
    return int(count)


def _helpers_of_multiprocessing() -> tuple[set[int], set[int]]:
    """Return their descriptors and pids, which outlive a test."""
    found = helpers_of_multiprocessing()
    descriptors: set[Any] = {
        getattr(helper, "_forkserver_alive_fd", getattr(helper, "_fd", None)) for helper, _ in found
    }
    return descriptors - {None}, {pid for _, pid in found}


def _children() -> set[int]:
    found: set[int] = set()
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            found.update(map(int, kernel.read(f"/proc/self/task/{thread}/children").split()))
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

    :param home: a descriptor, which stays the caller's, of the namespace where the main thread belongs.
    :param timeout: how long a thread may take to end, in seconds.
    :param wider: returns what outlives a test, such as the values of fixtures of a wider scope.
    """

    def __init__(self, home: int, timeout: float, wider: Callable[[], list[Any]] = list) -> None:
        self._timeout = timeout
        self._wider = wider
        self._home = home
        self.home = kernel.namespace_id(home)
        self._earlier_helpers = {pid for _, pid in helpers_of_multiprocessing()}  # of a program that runs pytest.main()
        self.owner: Owner | None = None

    def look(self) -> State:
        """Return what there is now, also where no descriptor is free.

        :raises OSError: it cannot be seen.
        """
        with _room_for_descriptors():
            return State.now()

    def _owned(self) -> set[int]:
        return {self._home} if self.owner is None else {self._home, *self.owner.descriptors()}

    def _children(self) -> set[int]:
        return set() if self.owner is None else self.owner.pids()

    def differences(self, before: State) -> list[str]:
        """Return a text for each thing that was not there before, or no longer is as it was.

        :raises OSError: it cannot be seen.
        """
        with _room_for_descriptors():
            if self._is_as(before):
                return []
            self._allow_what_is_held(before)
            return self._differences(before)

    def _allow_what_is_held(self, before: State) -> None:
        """Count as there from the beginning what a wider fixture holds: its pool may start a thread in any test."""
        now = State.now()
        stacks = sys._current_frames()
        older = [stacks.get(thread.ident or 0) for thread in before.threads if thread is not threading.main_thread()]
        held = held_by([*self._wider(), *(one for frame in older for one in locals_of(frame))])
        before.threads |= {thread for thread in held[0] & now.threads if self._is_at_home(thread)}
        before.descriptors |= {fd: now.descriptors[fd] for fd in held[1] & now.descriptors.keys()}

    def _differences(self, before: State) -> list[str]:
        collect()  # what only a cycle of references holds is not left for long
        self._wait_for(all_threads(), before)
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
            for fd in sorted(now.new_descriptors(before) - self._owned())
            if not _is_of_a_library(fd)
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
        new = now.new_descriptors(before)
        return (
            now.namespace == before.namespace
            and all(thread in before.threads or self._rests(thread) for thread in now.threads)
            and now.children <= before.children | self._children()
            and not self._helpers_elsewhere()
            and not (new and new - self._owned())
        )

    def _helpers_elsewhere(self) -> list[tuple[Any, int, tuple[int, int]]]:
        """Return those helpers of ``multiprocessing`` that were started inside a namespace, which they then keep."""
        home = self.home
        found = []
        for helper, pid in helpers_of_multiprocessing():
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
        return is_idle_in_a_pool(thread) and self._is_at_home(thread)

    def _is_at_home(self, thread: threading.Thread) -> bool:
        return namespace_of(thread) == self.home

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
        text = f"descriptor {fd} is open"
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
            text += f": {target}"
            if target.startswith("socket:"):
                text += f", {self._describe_socket(fd)}"
            elif target.startswith("net:"):
                text += f", {self._place(kernel.namespace_id(fd))}"
        except OSError as error:  # a thread has closed it meanwhile, or there is no room for a copy
            text += f" ({error.strerror})"
        return text + _where_made(fd)

    def _describe_socket(self, fd: int) -> str:
        with kernel.Socket(fileno=os.dup(fd)) as sock:
            identity = namespace_of_socket(sock)
            is_home = identity in (None, self.home)
            return socket_text(sock) + ("" if identity is None or is_home else f" in {self._place(identity)}")


@contextlib.contextmanager
def _room_for_descriptors() -> Iterator[None]:
    """Allow this process more descriptors for the length of a block, where it has as many as it may."""
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    else:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _is_of_a_library(fd: int) -> bool:
    """Whether a descriptor is that of a library which runs in this process.

    libffi opens itself when ctypes is imported, and keeps the descriptor, from which it maps the code of each callback
    (src/tramp.c). It belongs to no test.
    """
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return False  # closed meanwhile
    lines = (line.split(maxsplit=5) for line in kernel.read("/proc/self/maps").decode(errors="replace").splitlines())
    return any("x" in fields[1] and fields[5].rstrip() == target for fields in lines if len(fields) == 6)


def _describe_child(pid: int) -> str:
    try:
        command = command_of(pid)
    except (FileNotFoundError, ProcessLookupError):
        return f"child {pid} was there until now"
    if kernel.start_time(pid) is None:
        return f"child {pid} is a zombie: nobody has waited for it"
    return f"child {pid} still runs: {command}"


def _where_made(fd: int) -> str:
    """Return where the object that holds a descriptor was made, if tracemalloc knows."""
    import tracemalloc

    if not tracemalloc.is_tracing():
        return ""
    for candidate in get_objects():
        if isinstance(candidate, kernel.Socket) and candidate.fileno() == fd:
            trace = tracemalloc.get_object_traceback(candidate)
            if trace is not None:
                return ", made at\n" + "\n".join(trace.format())
    return ""
