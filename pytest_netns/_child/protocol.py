"""What each child mode does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from .._handle import Handle
from .._linux import fdpass

Spec = tuple[int, int, int]
"""A socket to make: family, type and protocol, as of ``socket.socket``."""


class Call(NamedTuple):
    """A function to call, and how long it may take, in seconds, or ``None`` for no limit."""

    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    timeout: float | None


class Strategy(Protocol):
    """What a child mode does: start a child, and ask it."""

    name: str

    def sockets(self, handle: Handle, specs: Sequence[Spec], received: fdpass.Received) -> None:
        """Receive one descriptor for each spec."""

    def call(self, handle: Handle, asked: Call) -> Any:
        """Run a function in a child and return its value."""
