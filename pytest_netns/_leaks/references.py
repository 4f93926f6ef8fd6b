"""Who keeps a namespace: the processes and threads in it, the descriptors that refer to it, the mounts."""

from __future__ import annotations

import contextlib
import posix as os  # see syscalls.py
import socket
import textwrap
import threading
from collections.abc import Iterator

from .._errors import is_meant
from .._linux import proc, sockets, syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

ENDED = (FileNotFoundError, ProcessLookupError)
COMMAND_LENGTH = 120  # characters
UNREADABLE = (*ENDED, PermissionError)  # PermissionError: another user's


def holders_of(identity: tuple[int, int]) -> list[str]:
    """Return a text for each thing that can be seen to keep a namespace; it takes some milliseconds for 100 processes.

    :param identity: what identifies the namespace, as of ``syscalls.namespace_id``.
    """
    found: list[str] = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(*UNREADABLE):
                found += _of_process(int(entry), identity)
    return found + sorted(_mounts(identity))


def _of_process(pid: int, identity: tuple[int, int]) -> Iterator[str]:
    inside = [task for task in os.listdir(f"/proc/{pid}/task") if _is(f"/proc/{pid}/task/{task}/ns/net", identity)]
    who = f"process {pid} ({command_of(pid)})"
    if str(pid) in inside:
        yield f"{who} is in it"
    elif inside:
        yield f"{_threads(pid, inside)} of {who} {'is' if len(inside) == 1 else 'are'} in it"
    pidfd = syscalls.open_pidfd(pid)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            text = _descriptor(pid, pidfd, int(name), identity)
            if text:
                yield f"{who} has descriptor {name} open: {text}"
    finally:
        if pidfd is not None:
            os.close(pidfd)


def _threads(pid: int, tasks: list[str]) -> str:
    known = threading.enumerate() if pid == os.getpid() else []
    names = {str(getattr(thread, "native_id", None)): thread.name for thread in known}
    return ", ".join(f"thread {names[task]!r}" if task in names else f"thread {task}" for task in tasks)


def _descriptor(pid: int, pidfd: int | None, number: int, identity: tuple[int, int]) -> str | None:
    path = f"/proc/{pid}/fd/{number}"
    try:
        target = os.readlink(path)
        if target.startswith("net:"):
            return "the namespace itself" if _is(path, identity) else None
        if not target.startswith("socket:") or pidfd is None:
            return None
        fd = syscalls.copy_descriptor(pidfd, number)
    except OSError:
        return None  # closed meanwhile, or of a process that may not be looked into (ptrace(2))
    with sockets.Socket(fileno=fd) as sock:
        return socket_text(sock) if namespace_of_socket(sock) == identity else None


def _mounts(identity: tuple[int, int]) -> set[str]:
    """Return a text for each mount of a namespace, in whichever mount namespace it is."""
    found, seen = set(), set()
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        with contextlib.suppress(*UNREADABLE):
            namespace = os.stat(f"/proc/{entry}/ns/mnt").st_ino
            if namespace in seen:
                continue
            for line in proc.read(f"/proc/{entry}/mountinfo").decode(errors="replace").splitlines():
                fields = line.split()
                if fields[3] == f"net:[{identity[1]}]":
                    found.add(f"it is mounted at {fields[4]}, as process {entry} sees it")
            seen.add(namespace)
    return found


def _is(path: str, identity: tuple[int, int]) -> bool:
    try:
        return syscalls.namespace_id(path) == identity
    except UNREADABLE:
        return False


def command_of(pid: int) -> str:
    """Return the command line of a process, in one line, the end of a long one left out.

    :raises FileNotFoundError: it has ended.
    """
    words = proc.read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").split()
    line = textwrap.shorten(" ".join(words), COMMAND_LENGTH, placeholder=" ...")
    # A zombie, or a thread of the kernel, has none.
    return line or proc.read(f"/proc/{pid}/comm").decode(errors="replace").strip()


def namespace_of_socket(sock: socket.socket) -> tuple[int, int] | None:
    """Return what identifies the namespace of a socket, or ``None`` for one that has none or may not be asked."""
    try:
        fd = syscalls.ioctl(sock, syscalls.SIOCGSKNS)
    except OSError:
        return None
    try:
        return syscalls.namespace_id(fd)
    finally:
        os.close(fd)


def socket_text(sock: socket.socket) -> str:
    """Return what a socket is, with its addresses."""
    text = f"{socket.AddressFamily(sock.family).name} {socket.SocketKind(sock.type).name}"
    with contextlib.suppress(OSError):
        text += f" {sock.getsockname()}"
    with contextlib.suppress(OSError):
        text += f" connected to {sock.getpeername()}"
    return text
