"""Values that cross between processes: pickled, with the sockets in them as descriptors."""

from __future__ import annotations

import io
import pickle
import socket
from collections.abc import Mapping
from typing import Any

from .._errors import UnpicklableError, is_meant
from .._linux import fdpass
from .._linux.sockets import Socket, take_socket

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, sockets: list[socket.socket]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._sockets = sockets

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj) is not Socket:  # a subclass, such as ssl's, has state that a descriptor does not carry
            return None
        self._sockets.append(obj)
        return len(self._sockets) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, received: fdpass.Received) -> None:
        super().__init__(file)
        self._received = received

    def persistent_load(self, index: int) -> socket.socket:
        return take_socket(self._received, self._received.fds[index])


def dump(value: object) -> tuple[bytes, list[socket.socket]]:
    """Return a value pickled, and the sockets to pass with it, which stay the caller's.

    :raises Exception: as ``pickle.dumps``, which raises of every kind.
    """
    file = io.BytesIO()
    sockets: list[socket.socket] = []
    _Pickler(file, sockets).dump(value)
    return file.getvalue(), sockets


def load(pickled: bytes, received: fdpass.Received) -> Any:
    """Return the value; the sockets in it own the descriptors, and those that none wants are closed."""
    try:
        value = _Unpickler(io.BytesIO(pickled), received).load()
    except BaseException:
        received.close()
        raise
    received.close(with_sockets=False)
    return value


def check_picklable(start_method: str, func: object, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
    """Check that a call can cross to a child that does not inherit it.

    :raises UnpicklableError: it cannot; the text names the object, the start method and the way out.
    """
    parts = {"the function": func}
    parts.update({f"argument {index}": value for index, value in enumerate(args, 1)})
    parts.update({f"argument {name!r}": value for name, value in kwargs.items()})
    for role, value in parts.items():
        try:
            dump(value)
        except Exception as error:
            raise UnpicklableError(
                f"{role}, {value!r}, cannot be pickled for the start method {start_method!r} ({error}); define it at "
                "the top level of a module that the child can import, or let a child inherit it "
                "(child_mode='fork' or 'mp:fork'), or give no child_mode and run in a thread"
            ) from error
