"""What a child mode is, and what it needs to know of a namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

Spec = tuple[int, int, int]
"""A socket to make: family, type and protocol, as of ``socket.socket``."""


class Target(Protocol):
    """A namespace, as a child mode sees it; its ``str()`` begins the text of an error."""

    _key: int
    """The number by which the resident child knows it."""

    child_timeout: float
    """How long a child may take over one step, in seconds."""

    def fileno(self) -> int:
        """Return the descriptor of the namespace."""


class ChildMode(Protocol):
    """One way to start the child."""

    name: str

    def sockets(self, ns: Target, specs: Sequence[Spec]) -> list[int]:
        """Return one descriptor for each spec, owned by the caller."""

    def call(
        self,
        ns: Target,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        timeout: float | None,
    ) -> Any:
        """Run a function in a child and return its value."""
