"""What a test must leave as it found it: its namespace, and the descriptors, threads and children of the process."""

from __future__ import annotations

import contextlib
import errno
import posix as os  # see syscalls.py
import resource
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from gc import collect, get_objects
from threading import enumerate as all_threads
from typing import Any, Protocol, TypeVar

from .._linux import proc, sockets, syscalls
from .._multiprocessing_parts import Helper, helpers
from .held import held_by, locals_of
from .pending import Remains
from .references import command_of, namespace_of_socket, socket_text
from .stacks import is_idle_in_a_pool, namespace_of, stack_of
from .state import State

T = TypeVar("T")


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

    :param original_ns: a descriptor, which stays the caller's, of the namespace where the main thread belongs.
    :param timeout: how long a thread may take to end, in seconds.
    :param wider: returns what outlives a test, such as the values of fixtures of a wider scope.
    """

    def __init__(self, original_ns: int, timeout: float, wider: Callable[[], list[Any]] = list) -> None:
        self._timeout = timeout
        self._wider = wider
        self._original_ns = original_ns
        self.original_ns = syscalls.namespace_id(original_ns)
        self._earlier_helpers = {helper.pid for helper in helpers()}  # of a program that runs pytest.main()
        self.owner: Owner | None = None

    def look(self) -> State:
        """Return what there is now, also where no descriptor is free.

        :raises OSError: it cannot be seen.
        """
        return _with_room(State.now)

    def _owned(self) -> set[int]:
        return {self._original_ns} if self.owner is None else {self._original_ns, *self.owner.descriptors()}

    def _children(self) -> set[int]:
        return set() if self.owner is None else self.owner.pids()

    def differences(self, before: State) -> list[str]:
        """Return a text for each thing that was not there before, or no longer is as it was.

        :raises OSError: it cannot be seen.
        """
        if _with_room(self._is_as, before):
            return []
        with _room_for_descriptors():
            self._allow_what_is_held(before)
            return self._differences(before)

    def _allow_what_is_held(self, before: State) -> None:
        """Count as there from the beginning what a wider fixture holds: its pool may start a thread in any test."""
        now = State.now()
        stacks = sys._current_frames()
        older = [stacks.get(thread.ident or 0) for thread in before.threads if thread is not threading.main_thread()]
        held = held_by([*self._wider(), *(one for frame in older for one in locals_of(frame))])
        before.threads |= {thread for thread in held[0] & now.threads if self._is_outside(thread)}
        before.descriptors |= {fd: now.descriptors[fd] for fd in held[1] & now.descriptors.keys()}

    def _differences(self, before: State) -> list[str]:
        collect()  # what only a cycle of references holds is not left for long
        self._wait_for(all_threads(), before)
        found = []
        now = State.now()
        if now.namespace != before.namespace:
            found.append(f"the main thread was left in {self._text_of(now.namespace)}; the plugin has moved it back")
            syscalls.setns(self._original_ns)
        found += self._end_helpers_elsewhere()
        found += [self._describe_thread(thread) for thread in now.threads - before.threads if not self._rests(thread)]
        found += [_describe_child(pid) for pid in sorted(now.children - before.children - self._children())]
        found += [
            self._describe_descriptor(fd)
            for fd in sorted(now.new_descriptors(before) - self._owned())
            if not _is_of_a_library(fd)
        ]
        return found

    def kept(self, *, is_leak_checked: bool) -> list[str]:
        """Return a text for each namespace of this test or an earlier one that was closed, and is kept by something."""
        if self.owner is None:
            return []
        self.owner.remains.end_of_test(is_leak_checked=is_leak_checked)
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

    def _helpers_elsewhere(self) -> list[tuple[Helper, tuple[int, int]]]:
        """Return those helpers of ``multiprocessing`` that were started inside a namespace, which they then keep."""
        found = []
        for helper in helpers():
            if helper.pid in self._earlier_helpers:
                continue
            try:
                namespace = syscalls.namespace_id(f"/proc/{helper.pid}/ns/net")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended, or ends
            if namespace != self.original_ns:
                found.append((helper, namespace))
        return found

    def _end_helpers_elsewhere(self) -> list[str]:
        found = []
        for helper, namespace in self._helpers_elsewhere():
            helper.end()
            found.append(
                f"the {helper.name} of multiprocessing, process {helper.pid}, was started inside "
                f"{self._text_of(namespace)}, where it would stay, so the plugin has terminated it; "
                "start it before the namespace is entered"
            )
        return found

    def _rests(self, thread: threading.Thread) -> bool:
        """Whether a thread of a pool, or of trio's cache, waits for work in the original namespace."""
        return is_idle_in_a_pool(thread) and self._is_outside(thread)

    def _is_outside(self, thread: threading.Thread) -> bool:
        return namespace_of(thread) == self.original_ns

    def _wait_for(self, threads: Iterable[threading.Thread], before: State) -> None:
        deadline = syscalls.monotonic() + self._timeout
        for thread in threads:
            if thread not in before.threads and thread is not threading.current_thread() and not self._rests(thread):
                thread.join(max(0, deadline - syscalls.monotonic()))

    def _text_of(self, identity: tuple[int, int]) -> str:
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
                text += f", {self._text_of(syscalls.namespace_id(fd))}"
        except OSError as error:  # a thread has closed it meanwhile, or there is no room for a copy
            text += f" ({error.strerror})"
        return text + _where_made(fd)

    def _describe_socket(self, fd: int) -> str:
        with sockets.Socket(fileno=os.dup(fd)) as sock:
            identity = namespace_of_socket(sock)
            is_original = identity in (None, self.original_ns)
            return socket_text(sock) + ("" if identity is None or is_original else f" in {self._text_of(identity)}")


def _with_room(look: Callable[..., T], *args: Any) -> T:
    """Call what only looks, and once more with room for descriptors if there was none."""
    try:
        return look(*args)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    with _room_for_descriptors():
        return look(*args)


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
    lines = (line.split(maxsplit=5) for line in proc.read("/proc/self/maps").decode(errors="replace").splitlines())
    return any("x" in fields[1] and fields[5].rstrip() == target for fields in lines if len(fields) == 6)


def _describe_child(pid: int) -> str:
    try:
        command = command_of(pid)
    except (FileNotFoundError, ProcessLookupError):
        return f"child {pid} was there until now"
    if proc.start_time(pid) is None:
        return f"child {pid} is a zombie: nobody has waited for it"
    return f"child {pid} still runs: {command}"


def _where_made(fd: int) -> str:
    """Return where the object that holds a descriptor was made, if tracemalloc knows."""
    import tracemalloc

    if not tracemalloc.is_tracing():
        return ""
    for candidate in get_objects():
        if isinstance(candidate, sockets.Socket) and candidate.fileno() == fd:
            trace = tracemalloc.get_object_traceback(candidate)
            if trace is not None:
                return ", made at\n" + "\n".join(trace.format())
    return ""
