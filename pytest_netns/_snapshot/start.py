"""What namespaces had counted when a test began."""

from __future__ import annotations

from .._linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from .._handle import Handle

    class Namespace(Protocol):
        """What counts."""

        _handle: Handle

        def _counted(self) -> Counted: ...


Counted = tuple[list[bytes], list[bytes]]
"""As of :meth:`Watch.read`."""


class Start:
    """The beginning of a test; namespaces that are made later have counted nothing then.

    It takes less than 0.1 ms for each namespace.

    :param spaces: those that are there.
    """

    def __init__(self, spaces: Iterable[Namespace]) -> None:
        self.time = syscalls.monotonic()
        """When it was."""
        self.counted: dict[int, Counted] = {}
        """What each namespace had counted, by its key."""
        self.unknown: set[int] = set()
        """The keys of those that could not be asked."""
        for ns in spaces:
            try:
                self.counted[ns._handle.key] = ns._counted()
            except Exception:  # what is taken for a report changes no result; the report goes without
                self.unknown.add(ns._handle.key)
