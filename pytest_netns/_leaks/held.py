"""What objects hold, as far as it outlives a test with them: threads and descriptors."""

from __future__ import annotations

import _socket
import functools
import gc
import select
import sys
from _io import FileIO
from collections.abc import Iterable, Iterator
from threading import Thread
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    ModuleType,
)
from typing import Any

LIMIT = 200_000  # objects to look at, which takes 0.2 s; what is behind them is taken to be held by none
ENDS = (ModuleType, type, CodeType, FrameType, BuiltinFunctionType, str, bytes, int, float)
"""What leads to the whole program, or to nothing."""
FRAMEWORK = ("_pytest", "pytest", "pluggy", "pytest_netns")
"""The packages whose objects know of all tests, or of all modules."""


def held_by(roots: Iterable[object]) -> tuple[set[Thread], set[int]]:
    """Return the threads and the descriptors of the objects that can be reached from others.

    The globals of a function count as no part of it, else all that a test module holds would belong to each fixture.
    """
    threads: set[Thread] = set()
    descriptors: set[int] = set()
    seen: set[int] = set()
    left = [*roots]
    alive = []  # so that no identity is used twice
    while left and len(seen) < LIMIT:
        one = left.pop()
        if id(one) in seen or isinstance(one, ENDS) or type(one).__module__.partition(".")[0] in FRAMEWORK:
            continue
        seen.add(id(one))
        alive.append(one)
        if isinstance(one, Thread):
            threads.add(one)
        descriptors.update(_descriptor(one))
        left += _referents(one)
    return threads, descriptors


def _descriptor(one: Any) -> Iterator[int]:
    # Not whatever has a fileno(), which may do anything.
    if isinstance(one, _socket.socket):
        yield _socket.socket.fileno(one)
    elif isinstance(one, FileIO) and not one.closed:
        yield FileIO.fileno(one)
    elif isinstance(one, select.epoll) and not one.closed:
        yield one.fileno()
    else:
        connection = getattr(sys.modules.get("multiprocessing.connection"), "Connection", None)
        if connection is not None and type(one) is connection and not one.closed:
            yield connection.fileno(one)


def _referents(one: Any) -> list[Any]:
    if isinstance(one, FunctionType):
        return [one.__closure__, one.__defaults__, one.__kwdefaults__, vars(one)]
    if isinstance(one, functools.partial):
        return [one.func, one.args, one.keywords]
    for kind, frame in (
        (GeneratorType, "gi_frame"),
        (CoroutineType, "cr_frame"),
        (AsyncGeneratorType, "ag_frame"),
    ):
        if isinstance(one, kind):
            return locals_of(getattr(one, frame))
    return gc.get_referents(one)


def locals_of(frame: FrameType | None) -> list[Any]:
    """Return what the local variables of a frame, and of those that it returns to, refer to."""
    found: list[Any] = []
    while frame is not None:
        found += frame.f_locals.values()
        frame = frame.f_back
    return found
