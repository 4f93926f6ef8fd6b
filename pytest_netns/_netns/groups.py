"""Groups of multicast, and broadcast, which a namespace without a link and a route for them does not reach."""

from __future__ import annotations

import errno
import ipaddress
import linecache
import re
from typing import Any

from .attempts import frames_of, related

JOIN = re.compile(r"MEMBERSHIP|JOIN_GROUP|JOIN_SOURCE_GROUP|MULTICAST_IF")  # <linux/in.h>, <linux/in6.h>
STATEMENT = 4  # lines of a call that are read
BROADCAST = ("255.255.255.255", "<broadcast>")


def unreached(error: BaseException, last: tuple[Any, ...] | None) -> int:
    """Return the version of IP of a group that a test has failed to join or to send to; 0 if that is not why it failed.

    :param last: the address to which it sent or connected last.
    """
    for one in related(error):
        number = one.errno if isinstance(one, OSError) else None
        if number == errno.ENODEV:
            call = call_of(one)
            if JOIN.search(call):
                return 6 if "IPV6" in call else 4
        elif number == errno.ENETUNREACH and last is not None and is_group(last[0]):
            return 6 if ":" in last[0] else 4
    return 0


def is_group(host: str) -> bool:
    """Whether an address is one of multicast or broadcast."""
    try:
        return host in BROADCAST or ipaddress.ip_address(host.partition("%")[0]).is_multicast
    except ValueError:  # a name
        return False


def call_of(error: BaseException) -> str:
    """Return the source of the call by which an exception was raised, as far as it can be read."""
    frames = list(frames_of(error))
    if not frames:
        return ""
    frame, line = frames[-1]
    lines = (linecache.getline(frame.f_code.co_filename, line + more) for more in range(STATEMENT))
    return "".join(lines)
