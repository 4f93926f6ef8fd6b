"""The errors of pytest-netns: one tree, in which every leaf is also the builtin that fits."""

from __future__ import annotations

import errno
import os

from ._causes import ANYTHING, next_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal  # without the enumerations, which take milliseconds

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
    "ProgramDiedError",
    "RulesetError",
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


class ProgramDiedError(NetNSError, ChildProcessError):
    """A program ended before it was ready."""


class RulesetError(NetNSError, ValueError):
    """nft(8) does not take a ruleset."""


class ChildModeError(NetNSError, ValueError):
    """There is no such child mode, or it cannot do what was asked."""


class UnpicklableError(NetNSError, TypeError):
    """A value cannot cross to a child, or back from it."""


class ChildCallError(NetNSError, RuntimeError):
    """A function raised, in a child, something that cannot be passed back as itself."""


for _kind in (NetNSError, *NetNSError.__subclasses__()):
    _kind.__module__ = "pytest_netns"  # where they are imported from, as tracebacks and pickles name them
del _kind


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


SPEAKING = ("subprocess", "pyroute2")
"""Others whose errors need no traceback through us."""


def errno_name(number: int) -> str:
    """Return ``"EPERM (Operation not permitted)"`` for an errno."""
    return f"{errno.errorcode.get(number, f'errno {number}')} ({os.strerror(number)})"


def how_it_ended(code: int | None) -> str:
    """Describe an exit code as ``subprocess`` and ``multiprocessing`` give it."""
    if code is None:
        return "and was reaped by somebody else"
    return f"with exit status {code}" if code >= 0 else f"by signal {-code} ({signal.strsignal(-code)})"


def from_errno(number: int, what_failed: str, *, step: str = ANYTHING, remedy: str | None = None) -> NetNSError:
    """Build the error for an errno.

    :param number: the errno.
    :param what_failed: what could not be done, and in which namespace.
    :param step: what the step does that failed, as of ``causes.NEXT_STEP``.
    :param remedy: what to do next; by default what that table has.
    :return: the fitting leaf of the tree, to be raised by the caller.
    """
    remedy = remedy or next_step(number, step)
    text = f"{what_failed}: {errno_name(number)}" + (f"; {remedy}" if remedy else "")
    return _BY_ERRNO.get(number, NetNSOSError)(number, text)


def says_all(error: BaseException) -> bool:
    """Whether an error is one of ours, of the system, of subprocess or of pyroute2, which no frame of ours explains."""
    return isinstance(error, (NetNSError, OSError)) or type(error).__module__.partition(".")[0] in SPEAKING


def is_meant(excinfo: Any) -> bool:
    """Whether an error says all by itself: pytest then hides our frames, as ``__tracebackhide__`` of their modules.

    It does as :func:`says_all`, or if it comes from code of the test that we have called, or if our code has raised it
    on purpose, as for a wrong argument. A bug of ours shows where it is.

    :param excinfo: a ``pytest.ExceptionInfo``.
    """
    import sys
    from opcode import opmap

    if says_all(excinfo.value):
        return True
    traceback = excinfo.tb
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    package = str(frame.f_globals.get("__name__")).partition(".")[0]
    if package == "pytest_netns":
        return bool(frame.f_code.co_code[traceback.tb_lasti] == opmap["RAISE_VARARGS"])
    return package not in sys.stdlib_module_names
