"""The smallest network: two hosts and a link."""

from __future__ import annotations

from typing import NamedTuple

from .host import Host

# RFC 5737 and RFC 3849 set these networks aside for documentation, so they belong to nobody.
TEXT = "left -- right [192.0.2.0/24 2001:db8::/64]"


class NetNSPair(NamedTuple):
    """Two hosts joined by a link."""

    left: Host
    right: Host


NetNSPair.__module__ = "pytest_netns"
