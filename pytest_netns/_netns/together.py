"""Namespaces that are closed together: what runs in them is asked to end at once, and not one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from .._errors import is_meant
from . import inhabitants
from .lifetime import Lifetime

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Together:
    """Namespaces that are closed together, the last that was added first."""

    def __init__(self, spaces: Iterable[Lifetime] = ()) -> None:
        self._spaces = [*spaces]

    def add(self, ns: Lifetime) -> None:
        self._spaces.append(ns)

    def close(self) -> None:
        """Close them; what an earlier call did not come to, or could not do, is tried again.

        :raises NetNSError: something could not be undone; the rest was.
        """
        with contextlib.ExitStack() as stack:
            for ns in self._spaces:
                stack.callback(ns.close)
            ask_to_end_unless_kept(self._spaces)


def ask_to_end_unless_kept(spaces: Iterable[Lifetime]) -> None:
    """Do as :func:`ask_to_end` for namespaces that are about to be closed, of which some may be kept."""
    ask_to_end(ns for ns in spaces if not ns._is_to_stay())


def ask_to_end(spaces: Iterable[Lifetime]) -> None:
    """Send SIGTERM to what runs in namespaces that are about to be emptied, so that it ends meanwhile."""
    several = [one for ns in spaces if (one := ns._processes.ask_to_end()) is not None and one.kill_at is None]
    if len(several) < 2:
        return  # it is asked as it is closed
    inhabitants.ask_to_end(several)
    for one in several:
        if one.unseen is not None:
            one.kill_at = None  # not all has been asked; it is once more as it is closed, which says what is wrong
