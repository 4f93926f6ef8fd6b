"""What has changed in a namespace between two moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from . import counters

if TYPE_CHECKING:
    from .snapshot import Snapshot

PARTS = ("links", "addresses", "routes", "rules", "neighbours", "sockets", "nft_rules", "qdiscs")
TOLD_ELSEWHERE = ("OutTransmits", "InType", "OutType", "InOctets", "OutOctets", "InNoECTPkts", "BcastPkts")
"""Parts of names of counters that say again what others say."""


class Change(NamedTuple):
    """Something that has come, gone, or is another."""

    part: str
    """What it is one of, as :class:`Snapshot` calls them: ``links``, ``addresses``, ..., ``sysctls``, ``counters``."""
    before: Any
    """What it was, or ``None`` if it has come."""
    after: Any
    """What it is, or ``None`` if it has gone."""

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.after}"
        return f"- {self.before}" if self.after is None else f"~ {self.after}   (was: {self.before})"


class Changes:
    """What has changed in a namespace between two snapshots: ``later.since(earlier)``.

    It is a sequence of what has come, gone or is another, each with ``part``, ``before`` and ``after``; ``str()`` shows
    it, and it is false if nothing has changed.
    """

    __module__ = "pytest_netns"

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self._before = before
        self._after = after
        self._all = [*_things(before, after), *_sysctls(before, after)]

    @property
    def counters(self) -> dict[str, int]:
        """By how much the counters of its protocols have risen."""
        return counters.moved(dict(self._before.counters), dict(self._after.counters))

    def __iter__(self) -> Iterator[Change]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __bool__(self) -> bool:
        return bool(self._all or self.counters)

    def __str__(self) -> str:
        return "\n".join([f"namespace {self._after.label!r}", *(f"  {line}" for line in self.lines())])

    def lines(self) -> list[str]:
        """Return a line for each change, and one for the counters."""
        lines = [line_of(change) for change in self._all]
        counted = self.counters.items()
        moved = [f"{name} +{by}" for name, by in counted if not any(one in name for one in TOLD_ELSEWHERE)]
        return [*lines, *([f"counters {', '.join(moved)}"] if moved else [])]


def line_of(change: Change) -> str:
    """Return a change in a line, with what it is one of."""
    names = {"addresses": "address", "nft_rules": "nft rule"}
    return f"{names.get(change.part, change.part.removesuffix('s'))} {change}"


KEYS: dict[str, Callable[[Any], Any]] = {
    "links": lambda one: one.number,
    "addresses": lambda one: one[:3],
    "routes": lambda one: (one.destination, one.metric, one.table, one.kind, one.is_cached),
    "rules": lambda one: one,
    "neighbours": lambda one: one[:2],
    "sockets": lambda one: (one.kind, one.address, one.port, one.peer, one.peer_port, one.inode),
    "nft_rules": lambda one: (*one[:3], one.handle),
    "qdiscs": lambda one: (one.interface, one.parent),
}
"""What tells one thing from another, by what they are; the rest of it may be another later."""
PASSING: dict[str, dict[str, Any]] = {"neighbours": {"age": 0.0}, "links": {"dropped": 0}}
"""What changes by itself."""


def _things(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    for part in PARTS:
        earlier, later = _by_key(part, before), _by_key(part, after)
        yield from (Change(part, one, None) for key, one in earlier.items() if key not in later)
        for key, one in later.items():
            was = earlier.get(key)
            if was is None or _lasting(part, was) != _lasting(part, one):
                yield Change(part, was, one)


def _by_key(part: str, snapshot: Snapshot) -> dict[Any, Any]:
    seen: Counter[Any] = Counter()
    found = {}
    for one in getattr(snapshot, part):
        key = KEYS[part](one)
        seen[key] += 1  # two routes may have the same
        found[key, seen[key]] = one
    return found


def _lasting(part: str, one: Any) -> Any:
    return one._replace(**PASSING[part]) if part in PASSING else one


def _sysctls(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    for key in sorted({*before.sysctls, *after.sysctls}):
        earlier, later = before.value_of(key), after.value_of(key)
        if later is not None and earlier != later:  # else it has gone with an interface, or was not read
            yield Change("sysctls", earlier and f"{key} = {earlier}", f"{key} = {later}")
