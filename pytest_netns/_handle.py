"""What identifies a namespace, in one object for all who need it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NOTHING = nullcontext()


def unmeasured(what: str) -> AbstractContextManager[None]:
    """Measure nothing."""
    return NOTHING


class Handle:
    """A namespace: its number, descriptor, identity, label and name.

    It is there before the namespace is, so that whatever happens as that is made, there is something to close.

    :param key: the number by which the resident child knows it.
    :param label: what it is called in reports.
    :param child_timeout: how long a child may take over one step in it, in seconds.
    :param test: the test for which it is made.
    :param measured: measures a block, which does what is named, for --netns-durations.
    """

    def __init__(
        self,
        key: int,
        label: str,
        child_timeout: float,
        test: str = "",
        measured: Callable[[str], AbstractContextManager[None]] = unmeasured,
    ) -> None:
        self.key = key
        self.label = label
        self.test = test
        self.measured = measured
        self.child_timeout = child_timeout
        self.fd = -1
        """The descriptor that holds it, which this object owns; -1 before it is made, and after it was closed."""
        self.identity: tuple[int, int] = (0, 0)
        """As of ``syscalls.namespace_id``."""
        self.loopback: int = 0
        """How much loopback it has begun with, as of ``_linux/loopback.py``."""
        self.name: str | None = None
        """Its name under /run/netns, from the moment at which that may be there until it is known to be gone."""

    @property
    def about(self) -> tuple[str, str]:
        """What it is for: what it is called, and the test for which it was made."""
        return self.label, self.test

    def __str__(self) -> str:
        return f"namespace {self.label!r}"
