"""How a child says what came of a request: ``OK`` and a payload, or ``FAILED``, the errno, the step and a text."""

from __future__ import annotations

import errno

from .. import _causes
from .._errors import ChildProtocolError, NetNSError, from_errno, is_meant
from .._linux.fdpass import Channel, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

OK, FAILED = b"+", b"-"


class Refused(Exception):
    """A request failed at a step; the cause is the exception to report."""

    def __init__(self, step: str, kind: str) -> None:
        self.step = step
        self.kind = kind


class Step:
    """Names what is being done, for the answer in case it fails.

    :param name: how an error calls it.
    :param kind: what it does, as of ``causes.NEXT_STEP``.
    """

    def __init__(self, name: str, kind: str = _causes.ANYTHING) -> None:
        self.name = name
        self.kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is not None and not isinstance(error, Refused):
            raise Refused(self.name, self.kind) from error


ENTERING, CREATING_SOCKET, SENDING = (
    Step("enter the namespace"),
    Step("create the socket", _causes.SOCKET),
    Step("send the descriptors"),
)


def failure(error: BaseException) -> bytes:
    """Return the answer for an exception, best a :class:`Refused`."""
    step, kind = "serve the request", _causes.ANYTHING
    if isinstance(error, Refused):
        step, kind, error = error.step, error.kind, error.__cause__ or error
    number = error.errno if isinstance(error, OSError) and error.errno else 0
    if kind == _causes.FILE_OF_NAME and isinstance(error, OSError) and error.filename is None:
        kind = _causes.MOUNT_OF_NAME  # mount(2), which alone does not say what file it was
    return FAILED + f"{number}\0{kind}\0{step}\0{type(error).__name__}: {error}".encode(errors="replace")


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
        number, kind, step, text = payload[1:].decode().split("\0", 3)
        if kind not in _causes.NEXT_STEP:
            raise ValueError
        known = int(number)
    except ValueError:
        raise ChildProtocolError(errno.EPROTO, f"{what}: the child answered garbage: {payload[:40]!r}") from None
    if known == 0:
        raise NetNSError(f"{what}: cannot {step}: {text}")
    raise from_errno(known, f"{what}: cannot {step}", step=kind)
