"""Values on their way to another process and back."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from pytest_netns import UnpicklableError
from pytest_netns._child import pickling
from pytest_netns._linux import fdpass

pytestmark = pytest.mark.core

WAY_OUT = (
    "define it at the top level of a module that the child can import, or let a child inherit it "
    "(child_mode='fork' or 'mp:fork'), or give no child_mode and run in a thread"
)


@dataclass
class Box:
    sock: socket.socket
    more: Any = None


class Bomb:
    """It can be pickled, and raises when it is unpickled."""

    def __reduce__(self) -> Any:
        return explode, ()


def explode() -> NoReturn:
    raise ValueError("bomb")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)


def has_no_writer(reader: int) -> bool:
    try:
        return os.read(reader, 1) == b""
    except BlockingIOError:
        return False


def load(pickled: bytes, fds: list[int]) -> Any:
    """Load a value with descriptors that were received."""
    received = fdpass.Received()
    received.fds = fds
    return pickling.load(pickled, received)


def duplicates(sockets: list[socket.socket]) -> list[int]:
    """What the other process would receive."""
    return [os.dup(sock.fileno()) for sock in sockets]


@pytest.mark.parametrize("value", [None, 0, "text", [1, (2, {"three": 4.0})], b"\0" * 100_000, {1, 2}])
def test_a_value_without_sockets_needs_no_descriptor(value: object) -> None:
    pickled, sockets = pickling.dump(value)
    assert sockets == []
    assert load(pickled, []) == value


@pytest.mark.parametrize(
    ("nest", "get"),
    [
        (lambda sock: sock, lambda value: value),
        (lambda sock: [1, sock], lambda value: value[1]),
        (lambda sock: {"deep": ({"er": [sock]},)}, lambda value: value["deep"][0]["er"][0]),
        (lambda sock: Box(sock), lambda value: value.sock),
        (lambda sock: Box(None, [Box(sock)]), lambda value: value.more[0].sock),  # type: ignore[arg-type]
    ],
    ids=["bare", "list", "nested", "dataclass", "dataclass-in-dataclass"],
)
def test_a_nested_socket_crosses_as_a_descriptor(
    pair: tuple[socket.socket, socket.socket],
    nest: Callable[[socket.socket], Any],
    get: Callable[[Any], socket.socket],
) -> None:
    left, right = pair
    pickled, sockets = pickling.dump(nest(left))
    fds = duplicates(sockets)
    received = get(load(pickled, fds))
    with received:
        assert sockets == [left]
        assert type(received) is socket.socket
        assert received.get_inheritable() is False
        received.sendall(b"hi")
        assert right.recv(2) == b"hi"


def test_many_sockets_keep_their_places(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    pickled, sockets = pickling.dump({"left": left, "right": right})
    loaded = load(pickled, duplicates(sockets))
    with loaded["left"], loaded["right"]:
        left.sendall(b"to the right")
        assert loaded["right"].recv(100) == b"to the right"


def test_dumping_leaves_the_sockets_to_the_caller(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    pickling.dump([left])
    left.sendall(b"still open")
    assert right.recv(100) == b"still open"


def test_a_descriptor_that_no_socket_wants_is_closed(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    fds = [writer]
    assert load(pickle.dumps("value"), fds) == "value"
    assert has_no_writer(reader)


@pytest.mark.parametrize(
    ("pickled", "error"),
    [(b"garbage", pickle.UnpicklingError), (b"", EOFError), (pickle.dumps(Bomb()), ValueError)],
    ids=["garbage", "empty", "raises"],
)
def test_a_failure_to_load_closes_the_descriptors(
    pipe: tuple[int, int], pickled: bytes, error: type[Exception]
) -> None:
    reader, writer = pipe
    fds = [writer]
    with pytest.raises(error):
        load(pickled, fds)
    assert has_no_writer(reader)


def test_a_failure_to_load_closes_the_sockets_made_so_far(pair: tuple[socket.socket, socket.socket]) -> None:
    pickled, sockets = pickling.dump([pair[0], Bomb()])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="bomb"):
            load(pickled, duplicates(sockets))
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_socket_of_tls_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with context.wrap_socket(pair[0], do_handshake_on_connect=False) as wrapped:
        with pytest.raises(TypeError) as info:
            pickling.dump([wrapped])
    assert str(info.value) == "cannot pickle 'SSLSocket' object"


def test_a_socket_of_a_subclass_is_refused() -> None:
    class Mine(socket.socket):
        pass

    with Mine() as mine, pytest.raises(TypeError, match=r"^cannot pickle 'Mine' object$"):
        pickling.dump(mine)


def text_of_refusal(func: object, *args: object, **kwargs: object) -> tuple[str, str]:
    """Return the whole text, and the reason that pickle gave, which is not the same in each Python."""
    with pytest.raises(UnpicklableError) as info:
        pickling.check_picklable("spawn", func, args, kwargs)
    return str(info.value), str(info.value.__cause__)


def test_what_pickles_is_let_through(pair: tuple[socket.socket, socket.socket]) -> None:
    pickling.check_picklable("spawn", print, (1, pair[0]), {"file": None, "sock": pair[1]})


def test_a_lambda_is_named() -> None:
    func = lambda: None  # noqa: E731
    text, reason = text_of_refusal(func)
    assert "test_a_lambda_is_named.<locals>.<lambda>" in reason
    assert text == f"the function, {func!r}, cannot be pickled for the start method 'spawn' ({reason}); {WAY_OUT}"


def test_an_argument_is_named_by_its_number() -> None:
    libc = ctypes.CDLL(None)
    text, reason = text_of_refusal(print, "fine", libc)
    assert text == f"argument 2, {libc!r}, cannot be pickled for the start method 'spawn' ({reason}); {WAY_OUT}"


def test_an_argument_is_named_by_its_keyword() -> None:
    lock = threading.Lock()
    text, reason = text_of_refusal(print, "fine", sep=lock)
    assert reason == "cannot pickle '_thread.lock' object"
    assert text == f"argument 'sep', {lock!r}, cannot be pickled for the start method 'spawn' ({reason}); {WAY_OUT}"
