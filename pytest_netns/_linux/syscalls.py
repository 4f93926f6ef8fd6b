"""Every system call and constant that Python's standard library does not name.

The resident child imports this module too, so it stays with what the standard library gives cheaply.

A test may replace functions of ``os``, ``open``, ``socket.socket``, or whole modules, as pyfakefs does, and what runs
meanwhile of this package needs the real ones. So the package calls the system by ``posix``, from which ``os`` has its
functions, and keeps the rest by names of its own, in a form that pyfakefs does not look for.
"""

from __future__ import annotations

import _socket as socket
import _thread
import errno
import fcntl
import itertools
import posix as os
import struct
import sys
import time
from os import fsencode

TYPE_CHECKING = False  # not from typing, whose import costs the resident child 5 ms and 1 MB
if TYPE_CHECKING:
    import functools
    import signal
    from collections.abc import Callable
    from typing import Any
else:  # the parts of these that are written in C: the rest costs the resident child 5 ms, too
    import _functools as functools
    import _signal as signal

CAP_SETGID, CAP_SETUID, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN = 6, 7, 12, 13, 21  # <linux/capability.h>
CLONE_FS, CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x200, 0x20000, 0x10000000, 0x40000000  # <linux/sched.h>
NS_GET_USERNS = 0xB701  # ioctl_ns(2)
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC = 1, 0x20, 0x1000, 0x2000, 0x4000  # <linux/mount.h>
MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2  # umount2(2)
PR_SET_PDEATHSIG = 1  # prctl(2)
SPLICE_F_NONBLOCK = 2  # splice(2)
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914  # netdevice(7)
SIOCGSKNS = 0x894C  # <linux/sockios.h>: the network namespace of a socket, as a descriptor
SO_NETNS_COOKIE = 71  # <asm-generic/socket.h>, Linux 5.14
IFF_UP = 1
IFNAMSIZ = 16
SYS_PIDFD_GETFD = 438  # the same on all machines: <asm-generic/unistd.h>
SCM_MAX_FD = 253  # unix(7): the most descriptors that one message can carry


monotonic = functools.partial(time.clock_gettime, time.CLOCK_MONOTONIC)
"""The clock of each deadline, in seconds. Not ``time.monotonic``: freezegun and time-machine stop that for a test, the
former in each module that has imported it."""
FOREVER = 1e9  # seconds
sleep = time.sleep  # kept from the start, since a test may replace that of the module
ioctl: Any = functools.partial(fcntl.ioctl)
thread_id = _thread.get_native_id


def keep(owner: list[Any], function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function of C and add what it returns to a list, in one step that no signal handler interrupts.

    Else what a call has made, such as a descriptor or a child, is lost if a handler raises before it is assigned: see
    ``fdpass``.
    """
    owner.extend(itertools.starmap(function, (arguments,)))


def keep_each(owner: list[Any], function: Callable[..., Any], *arguments: Any) -> None:
    """Do as :func:`keep` for a function that returns several, such as pipe2(2)."""
    owner.extend(itertools.chain.from_iterable(itertools.starmap(function, (arguments,))))


def close_all(fds: list[int]) -> None:
    """Close descriptors, whose numbers are forgotten first: in one step, so that none is closed twice, or never."""
    closing = map(os.close, fds[:])
    del fds[:]
    any(closing)


def _libc() -> Any:
    from .libc import LIBC  # on first use: ctypes takes milliseconds

    return LIBC


def _checked(result: int) -> None:
    if result < 0:
        from .libc import get_errno

        number = get_errno()
        raise OSError(number, os.strerror(number))


if sys.version_info >= (3, 12):

    def setns(fd: int, kind: int = CLONE_NEWNET) -> None:
        """Move the calling thread into the namespace that ``fd`` refers to, by default a network namespace."""
        os.setns(fd, kind)

    def unshare(kinds: int = CLONE_NEWNET) -> None:
        """Move the calling thread into new namespaces, by default into a network namespace."""
        os.unshare(kinds)

else:

    def setns(fd: int, kind: int = CLONE_NEWNET) -> None:
        """Move the calling thread into the namespace that ``fd`` refers to, by default a network namespace."""
        _checked(_libc().setns(fd, kind))

    def unshare(kinds: int = CLONE_NEWNET) -> None:
        """Move the calling thread into new namespaces, by default into a network namespace."""
        _checked(_libc().unshare(kinds))


def mount(source: str, target: str, flags: int, kind: str = "none") -> None:
    """Call mount(2), by default with a file system type that says nothing."""
    _checked(_libc().mount(fsencode(source), fsencode(target), kind.encode(), flags, None))


def bind(fd: int, address: bytes) -> None:
    """Call bind(2) with an address that Python has no form of."""
    _checked(_libc().bind(fd, address, len(address)))


def unmount(target: str) -> None:
    """Detach the mount at ``target`` from the tree (umount2(2), MNT_DETACH)."""
    _checked(_libc().umount2(fsencode(target), MNT_DETACH))


def load() -> None:
    """Look up now what :func:`setns` and :func:`die_with_parent` need: after a fork, it costs each child 0.3 ms."""
    _ = _libc().prctl, _libc().setns


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG)."""
    _checked(_libc().prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0))
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def open_own_namespace(fds: list[int] | None = None) -> int:
    """Return a new descriptor of the calling thread's network namespace.

    Not ``/proc/self``, which shows that of the main thread, nor ``/proc/1``, which may be unreadable.

    :param fds: what is to own it, if not the caller.
    """
    fds = [] if fds is None else fds
    keep(fds, os.open, "/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    return fds[-1]


def open_owner(ns: int, fds: list[int]) -> int:
    """Return a new descriptor of the user namespace that owns a namespace (ioctl_ns(2), Linux 4.9).

    :param fds: what is to own it.
    """
    keep(fds, ioctl, ns, NS_GET_USERNS)
    os.set_inheritable(fds[-1], False)  # it is so by itself since Linux 5.3
    return fds[-1]


def is_owned_below(ns: int) -> bool:
    """Whether a namespace belongs to a user namespace below the one this process is in."""
    fds: list[int] = []
    try:
        is_below = namespace_id(open_owner(ns, fds)) != namespace_id("/proc/self/ns/user")
        close_all(fds)
    except PermissionError:
        return False  # it belongs to one above
    except BaseException:
        close_all(fds)
        raise
    return is_below


def enter(ns: int) -> None:
    """Move this process into a network namespace, and into the user namespace that owns it where that is needed.

    The latter takes a process of one thread (setns(2)), as a forked child is.
    """
    try:
        setns(ns)
    except PermissionError:
        fds: list[int] = []
        try:
            setns(open_owner(ns, fds), CLONE_NEWUSER)
        finally:
            close_all(fds)
        setns(ns)


def namespace_id(fd_or_path: int | str) -> tuple[int, int]:
    """Return what identifies a namespace, its device and inode (namespaces(7))."""
    status = os.stat(fd_or_path)
    return status.st_dev, status.st_ino


def namespace_cookie() -> int:
    """Return the number of the calling thread's network namespace that no other ever gets, or 0 before Linux 5.14."""
    control = socket.SocketType(socket.AF_UNIX)
    try:
        return cookie_of(control)
    finally:
        control.close()


def cookie_of(sock: socket.SocketType) -> int:
    """Return that number of the network namespace of a socket."""
    try:
        # Of the base class, whatever a subclass makes of it.
        option = socket.SocketType.getsockopt(sock, socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
        return 0
    cookie: int = struct.unpack("Q", option)[0]
    return cookie


def set_link_up(name: str) -> None:
    """Bring a link of the calling thread's namespace up."""
    control = socket.SocketType(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        request = struct.pack(f"{IFNAMSIZ}sh14x", name.encode(), 0)
        flags: int = struct.unpack_from("h", ioctl(control, SIOCGIFFLAGS, request), IFNAMSIZ)[0]
        ioctl(control, SIOCSIFFLAGS, struct.pack(f"{IFNAMSIZ}sh14x", name.encode(), flags | IFF_UP))
    finally:
        control.close()


def is_own_child(pid: int) -> bool:
    """Whether a process is a child of this one that has not been reaped (waitid(2))."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap(pid: int) -> int | None:
    """Wait for the end of a child, and return its wait status.

    ``None`` where SIGCHLD is ignored, as a supervisor may have it inherited: then nobody is told (wait(2)).
    """
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return None


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when process ``pid`` ends.

    ``None`` where the kernel has no pidfd_open(2) (before 5.3, or a seccomp filter that does not know it); no
    descriptor is then a reason to watch something else, not to fail.
    """
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return None
        raise


def tee(source: int, target: int, count: int) -> int:
    """Copy what is in a pipe to another one, without taking it, and return how many bytes that were (tee(2)).

    :raises BlockingIOError: there is nothing in it.
    """
    copied: int = _libc().tee(source, target, count, SPLICE_F_NONBLOCK)
    _checked(copied)
    return copied


def copy_descriptor(pidfd: int, number: int) -> int:
    """Return a copy of a descriptor of another process (pidfd_getfd(2), Linux 5.6)."""
    fd: int = _libc().syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
    _checked(fd)
    return fd
