"""What a namespace has at one moment, as data and as text."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from . import counters, nftables, parsing, sockets
from .changes import Changes
from .raw import Raw
from .records import Address, Link, Neighbour, NftRule, Qdisc, Route, Rule, Socket

OF_INTERFACES = ("net.ipv4.conf.", "net.ipv6.conf.")
PASSING = (".mtu", ".stable_secret", "nf_conntrack_count", ".base_reachable_time", ".base_reachable_time_ms")
"""The ends of the names of those that are as something else is, or change by themselves."""
FOLLOWED = {"net.ipv4.ip_forward": "net.ipv4.conf.", "net.ipv6.conf.all.forwarding": "net.ipv6.conf."}
FOLLOWING = (".forwarding", ".accept_redirects")
"""Which of them others follow, by what the names of those begin and end with."""


class Snapshot:
    """What a namespace has at one moment: ``NetNS.snapshot()`` takes it.

    ``str(snapshot)`` shows it; :meth:`since` says what has changed.
    """

    __module__ = "pytest_netns"

    def __init__(self, raw: Raw, defaults: Mapping[str, bytes] | None = None) -> None:
        self._raw = raw
        self._defaults = defaults

    @property
    def label(self) -> str:
        """What the namespace is called in reports."""
        return self._raw.label

    @property
    def time(self) -> float:
        """When it was taken, in seconds of ``time.monotonic()``."""
        return self._raw.time

    @property
    def lacking(self) -> tuple[str, ...]:
        """What it has not got, since this kernel does not tell of it."""
        return tuple(self._raw.lacking)

    @functools.cached_property
    def links(self) -> tuple[Link, ...]:
        """Its interfaces."""
        return tuple(parsing.links(self._raw.dumps["links"]))

    @functools.cached_property
    def _names(self) -> dict[int, str]:
        return {link.number: link.name for link in self.links}

    @functools.cached_property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses of its interfaces."""
        return tuple(parsing.addresses(self._raw.dumps["addresses"], self._names))

    @functools.cached_property
    def routes(self) -> tuple[Route, ...]:
        """Its routes, those included that the kernel makes for its own addresses."""
        return tuple(parsing.routes(self._raw.dumps["routes"], self._names))

    @functools.cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Its rules of routing."""
        return tuple(parsing.rules(self._raw.dumps["rules"]))

    @functools.cached_property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """What it knows of its neighbours."""
        return tuple(parsing.neighbours(self._raw.dumps["neighbours"], self._names))

    @functools.cached_property
    def qdiscs(self) -> tuple[Qdisc, ...]:
        """Its qdiscs."""
        return tuple(parsing.qdiscs(self._raw.dumps["qdiscs"], self._names))

    @functools.cached_property
    def sockets(self) -> tuple[Socket, ...]:
        """Its sockets of TCP and UDP, with the processes that have them open."""
        return tuple(
            one for kind, bodies in self._raw.sockets for one in sockets.parse(kind, bodies, self._raw.holders)
        )

    @functools.cached_property
    def _ruled(self) -> tuple[nftables.Ruled, ...]:
        return tuple(nftables.parse(self._raw.dumps["nft chains"], self._raw.dumps["nft rules"]))

    @functools.cached_property
    def nft_rules(self) -> tuple[NftRule, ...]:
        """Its rules of nftables, with their counters."""
        return tuple(one.rule for one in self._ruled)

    @functools.cached_property
    def counters(self) -> Mapping[str, int]:
        """What its protocols have counted, by the names of ``nstat``: ``snapshot.counters["UdpNoPorts"]``."""
        return counters.parse(*filter(None, self._raw.counters))

    @functools.cached_property
    def _values(self) -> dict[str, str]:
        return {key: _text(value) for key, value in self._raw.sysctls.items() if not key.endswith(PASSING)}

    def value_of(self, key: str) -> str | None:
        """Return what a sysctl holds, such as ``net.ipv4.ip_forward``, or ``None`` if it cannot be read."""
        return self._values.get(key)

    @functools.cached_property
    def sysctls(self) -> Mapping[str, str]:
        """Those of its sysctls that are not as in a new namespace."""
        defaults = {key: _text(value) for key, value in (self._defaults or {}).items()}
        values = self._values
        found = {key: value for key, value in values.items() if value != _default_of(key, defaults, values)}
        followed = tuple(prefix for key, prefix in FOLLOWED.items() if key in found)
        return {
            key: value
            for key, value in found.items()
            if key in FOLLOWED or not (key.startswith(followed) and key.endswith(FOLLOWING))
        }

    def since(self, earlier: Snapshot) -> Changes:
        """Return what has changed since an earlier snapshot of the same namespace.

        :param earlier: the other snapshot.
        :return: what has changed; it is false if nothing has.
        """
        return Changes(earlier, self)

    def __str__(self) -> str:
        counted = [f"{name} {value}" for name, value in self.counters.items() if value]
        parts: dict[str, Iterable[object]] = {
            "links": self.links,
            "addresses": self.addresses,
            "routes": [route for route in self.routes if route.table != "local"],
            "rules": self.rules,
            "neighbours": self.neighbours,
            "sockets": self.sockets,
            "nft rules": self.nft_rules,
            "qdiscs": self.qdiscs,
            "sysctls": [f"{key} = {value}" for key, value in self.sysctls.items()],
            "counters": counted,
            "not told by this kernel": self.lacking,
        }
        lines = [f"namespace {self.label!r}"]
        for title, found in parts.items():
            lines += [f"  {title}", *(f"    {one}" for one in found)] if found else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Snapshot of {self.label!r}>"


def _text(value: bytes) -> str:
    return " ".join(value.decode(errors="replace").split())


def _default_of(key: str, defaults: Mapping[str, str], values: Mapping[str, str]) -> str | None:
    """Return what a sysctl is in a new namespace; one of an interface that is not there is as that of ``default``."""
    if key in defaults or not key.startswith(OF_INTERFACES):
        return defaults.get(key, values[key])
    prefix = next(one for one in OF_INTERFACES if key.startswith(one))
    name = key.rpartition("." if "/" not in key else "/")[2]
    return values.get(f"{prefix}default.{name}", values[key])
