"""What the exception of a failed test says of the network."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

from ..._netns.tried import Tried, noted

UNREACHABLE = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETDOWN))
RESET = frozenset((errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN))
OTHERS = frozenset((errno.EADDRNOTAVAIL, errno.EMSGSIZE, errno.EPERM, errno.EINPROGRESS, errno.EAGAIN))
LATE = re.compile(r"time[d_ ]?out|timed out|TooSlow|Cancelled|KeyboardInterrupt", re.IGNORECASE)
OF_NETWORK = re.compile(r"Connect|Network|Unreachable|BrokenPipe|BrokenResource|EndOfStream|IncompleteRead|SSL|DNS")
ASYNCIO = re.compile(r"Connect call failed \('([^']+)', (\d+)")
PROGRAMS = ("CalledProcessError", "ProgramDiedError")


class Failure(NamedTuple):
    """A failure, as the exception and those that it comes from tell."""

    is_of_network: bool
    """Whether something was tried that needs a network, and failed."""
    is_late: bool
    """Whether something did not happen in time."""
    is_refused: bool
    is_unreachable: bool
    is_reset: bool
    attempts: tuple[Tried, ...]
    """What had been tried to reach."""


def read(error: BaseException) -> Failure:
    """Return what an exception says."""
    chain = list(_chain(error))
    numbers = {one.errno for one in chain if isinstance(one, OSError)}
    names = {type(one).__name__ for one in chain}
    is_late = any(isinstance(one, TimeoutError) for one in chain) or any(map(LATE.search, names))
    is_late = is_late or any("Failed" in names and LATE.search(str(one)) for one in chain)  # of pytest-timeout
    attempts = tuple(dict.fromkeys(one for each in chain for one in _attempts(each)))
    is_refused, is_reset = errno.ECONNREFUSED in numbers, bool(numbers & RESET)
    is_unreachable = bool(numbers & UNREACHABLE)
    is_of_network = is_late or is_refused or is_unreachable or is_reset or bool(attempts or numbers & OTHERS)
    is_of_network = is_of_network or any(map(OF_NETWORK.search, names)) or bool(names.intersection(PROGRAMS))
    return Failure(is_of_network, bool(is_late), is_refused, is_unreachable, is_reset, attempts)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, those of its group, and those that it comes from."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += [*getattr(one, "exceptions", ()), one.__cause__, None if one.__suppress_context__ else one.__context__]


def _attempts(error: BaseException) -> Iterator[Tried]:
    attempt = noted(error)
    if attempt is not None:
        yield attempt
        return
    for host, port in ASYNCIO.findall(str(error)):
        yield Tried("", "tcp", host, int(port))
    if isinstance(error, OSError):
        yield from _of_standard_library(error.__traceback__)


def _of_standard_library(trace: TracebackType | None) -> Iterator[Tried]:
    """Yield what ``socket.create_connection`` had tried, which urllib, http.client and many others call."""
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == "create_connection" and frame.f_globals.get("__name__") == "socket":
            target = frame.f_locals.get("sa")
            if isinstance(target, tuple) and len(target) >= 2:
                yield Tried("", "tcp", str(target[0]).partition("%")[0], int(target[1]))
        trace = trace.tb_next
