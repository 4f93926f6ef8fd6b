"""The types of child mode names. A module of its own, since typing is too expensive to load for the resident child."""

from __future__ import annotations

from typing import Literal, TypeAlias

CallModeName: TypeAlias = Literal["fork", "mp", "mp:fork", "mp:forkserver", "mp:spawn"]
"""The name of a child mode that can call a function."""

ChildModeName: TypeAlias = Literal["resident", CallModeName]
"""The name of a child mode."""
