"""How a child says what came of a request: ``OK`` and a payload, or ``FAILED`` and the step, the errno and a text."""

from __future__ import annotations

import errno

from ..errors import ChildProtocolError, NetNSError, from_errno
from ..fdpass import Channel, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

OK, FAILED = b"+", b"-"


class Refused(Exception):
    """A request failed at a step; the cause is the exception to report."""

    def __init__(self, step: str) -> None:
        self.step = step


class Step:
    """Names what is being done, for the answer in case it fails."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is not None and not isinstance(error, Refused):
            raise Refused(self.name) from error


ENTERING, CREATING_SOCKET, SENDING = (
    Step("enter the namespace"),
    Step("create the socket"),
    Step("send the descriptors"),
)


def failure(error: BaseException) -> bytes:
    """Return the answer for an exception, best a :class:`Refused`."""
    step = "serve the request"
    if isinstance(error, Refused):
        step, error = error.step, error.__cause__ or error
    number = error.errno if isinstance(error, OSError) and error.errno else 0
    return FAILED + f"{number}\0{step}\0{type(error).__name__}: {error}".encode(errors="replace")


def reply(channel: Channel, payload: bytes, fds: Sequence[int]) -> None:
    """Send an answer, or, where the kernel refuses to pass its descriptors, the answer that says so.

    :raises BrokenPipeError: nobody is there to receive it.
    :raises ConnectionResetError: likewise.
    """
    try:
        with SENDING:
            send(channel, payload, fds)
    except Refused as refused:
        if isinstance(refused.__cause__, (BrokenPipeError, ConnectionResetError)):
            raise refused.__cause__ from None
        send(channel, failure(refused), instead=True)


def checked(payload: bytes, what: object) -> bytes:
    """Return what a child answered, without the byte that says it went well.

    :param what: whom the request was for, to begin the text of an error.
    :raises NetNSError: it did not go well, or the answer is none.
    """
    if payload[:1] == OK:
        return payload[1:]
    try:
        if payload[:1] != FAILED:
            raise ValueError
        number, step, text = payload[1:].decode().split("\0", 2)
        known = int(number)
    except ValueError:
        raise ChildProtocolError(errno.EPROTO, f"{what}: the child answered garbage: {payload[:40]!r}") from None
    if known == 0:
        raise NetNSError(f"{what}: cannot {step}: {text}")
    raise from_errno(known, f"{what}: cannot {step}")
