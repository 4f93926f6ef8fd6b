"""The errors of pytest-netns: one tree, in which every leaf is also the builtin that fits."""

from __future__ import annotations

import errno
import os
import signal

__all__ = [
    "ChildCallError",
    "ChildDiedError",
    "ChildModeError",
    "ChildProtocolError",
    "NetNSClosedError",
    "NetNSError",
    "NetNSExistsError",
    "NetNSLeakError",
    "NetNSLimitError",
    "NetNSOSError",
    "NetNSPermissionError",
    "NetNSTimeoutError",
    "NetNSUnsupportedError",
    "UnpicklableError",
    "from_errno",
]


class NetNSError(Exception):
    """Anything that pytest-netns itself reports."""


class NetNSOSError(NetNSError, OSError):
    """The kernel refused a step, for a reason that no other leaf names; ``errno`` says which."""


class NetNSClosedError(NetNSError, OSError):
    """A namespace was used after it had been closed."""


class NetNSPermissionError(NetNSError, PermissionError):
    """The process lacks the privilege for a step (EPERM, EACCES)."""


class NetNSUnsupportedError(NetNSError, OSError):
    """The kernel lacks a feature, or something such as a seccomp filter hides it."""


class NetNSLimitError(NetNSError, OSError):
    """A limit was reached: of descriptors, of namespaces or of memory."""


class NetNSExistsError(NetNSError, FileExistsError):
    """The name asked for a namespace is taken."""


class NetNSTimeoutError(NetNSError, TimeoutError):
    """Something that has a bounded time did not happen in it."""


class NetNSLeakError(NetNSError, RuntimeError):
    """Something outlived its test: a thread, a descriptor, a process, or a namespace that was not left."""


class ChildDiedError(NetNSError, ChildProcessError):
    """A child ended before it had answered."""


class ChildProtocolError(NetNSError, OSError):
    """A child answered something that is not an answer."""


class ChildModeError(NetNSError, ValueError):
    """There is no such child mode, or it cannot do what was asked."""


class UnpicklableError(NetNSError, TypeError):
    """A value cannot cross to a child, or back from it."""


class ChildCallError(NetNSError, RuntimeError):
    """A function raised, in a child, something that cannot be passed back as itself."""


_BY_ERRNO: dict[int, type[NetNSError]] = {
    **dict.fromkeys((errno.EPERM, errno.EACCES), NetNSPermissionError),
    errno.EEXIST: NetNSExistsError,
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.ETOOMANYREFS),
        NetNSLimitError,
    ),
    **dict.fromkeys(
        (
            errno.ENOSYS,
            errno.EOPNOTSUPP,
            errno.EAFNOSUPPORT,
            errno.EPROTONOSUPPORT,
            errno.ESOCKTNOSUPPORT,
            errno.EPFNOSUPPORT,
        ),
        NetNSUnsupportedError,
    ),
}

_NEXT_STEP = {
    errno.EPERM: "run pytest as root or with CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW",
    errno.EACCES: "check the permissions, or run pytest as root",
    errno.EEXIST: "choose another name, or remove what has it (ip netns del) if nothing uses it any more",
    errno.EROFS: "make it writable where you may (mount -o remount,bind,rw /proc/sys); containers mount it read-only",
    errno.EMFILE: "raise the limit of open files (ulimit -n), or close sockets and namespaces earlier",
    errno.ENFILE: "raise the system's limit of open files (sysctl fs.file-max)",
    errno.ENOSPC: "raise the limit of namespaces (sysctl user.max_net_namespaces), or close namespaces earlier",
    errno.ENOMEM: "free memory",
    errno.EAGAIN: "raise the limit of processes (ulimit -u), or end processes earlier",
    errno.ETOOMANYREFS: "raise the limit of open files (ulimit -n): it bounds the descriptors in flight too",
    errno.ENOSYS: "use a kernel with CONFIG_NET_NS, or lift the seccomp filter that hides the call",
    errno.EAFNOSUPPORT: "use a kernel that has this address family, or load its module",
    errno.EPROTONOSUPPORT: "check the protocol number, or load the module that provides it",
    errno.ESOCKTNOSUPPORT: "check that the address family has this type of socket",
}


def errno_name(number: int) -> str:
    """Return ``"EPERM (Operation not permitted)"`` for an errno."""
    return f"{errno.errorcode.get(number, f'errno {number}')} ({os.strerror(number)})"


def how_it_ended(code: int | None) -> str:
    """Describe an exit code as ``subprocess`` and ``multiprocessing`` give it."""
    if code is None:
        return "and was reaped by somebody else"
    return f"with exit status {code}" if code >= 0 else f"by signal {-code} ({signal.strsignal(-code)})"


def from_errno(number: int, what_failed: str, *, remedy: str | None = None) -> NetNSError:
    """Build the error for an errno.

    :param number: the errno.
    :param what_failed: what could not be done, and in which namespace.
    :param remedy: the next step to take; by default the usual one for this errno.
    :return: the fitting leaf of the tree, to be raised by the caller.
    """
    remedy = remedy or _NEXT_STEP.get(number)
    text = f"{what_failed}: {errno_name(number)}" + (f"; {remedy}" if remedy else "")
    return _BY_ERRNO.get(number, NetNSOSError)(number, text)
