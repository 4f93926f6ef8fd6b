"""What a ladder is drawn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ..._frames.frame import Frame

End: TypeAlias = "tuple[str, str]"
"""The end of a link: a namespace, and an interface of it."""


class Note(NamedTuple):
    """Something that happened, and is no frame: a line of the test that ran, or what a program wrote."""

    time: int
    """Nanoseconds since the epoch, as of frames."""
    namespace: str | None
    """Where it happened; ``None`` is the test itself."""
    text: str


@dataclasses.dataclass(frozen=True)
class Recording:
    """The frames of a test, and what is known about the network."""

    frames: Sequence[Frame]
    recorded: Mapping[str, tuple[int, int]]
    """For each namespace that was recorded, from when to when all its frames are there, as times of frames."""
    start: int
    """When the test began: zero of the drawing."""
    hosts: Sequence[str]
    """All namespaces, in the order of their columns."""
    notes: Sequence[Note] = ()
    links: Mapping[End, End] = dataclasses.field(default_factory=dict)
    """The other end of each link, in both directions. Links that have carried a frame are found without."""
    addresses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The namespace of each address."""
