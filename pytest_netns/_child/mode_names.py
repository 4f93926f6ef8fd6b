"""Child modes by name. A module of its own, since typing is too expensive to load for the resident child."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from . import check_mode

CallModeName: TypeAlias = Literal["fork", "mp", "mp:fork", "mp:forkserver", "mp:spawn"]
"""The name of a child mode that can call a function."""

ChildModeName: TypeAlias = Literal["resident", CallModeName]
"""The name of a child mode."""


@dataclass(frozen=True)
class ChildMode:
    """A child mode, of which the name was parsed once."""

    kind: str
    """``resident``, ``fork`` or ``mp``."""
    start_method: str | None
    """That of ``multiprocessing``; ``None`` for the one that the program has set."""

    @classmethod
    def of(cls, name: object) -> ChildMode:
        """Parse a name.

        :raises ChildModeError: there is no such mode.
        """
        kind, _, start_method = check_mode(name).partition(":")
        return cls(kind, start_method or None)
