"""The addresses outside that an isolated test wanted to reach."""

from __future__ import annotations

import errno
import ipaddress
import os
import sys
from typing import Any

NOTED = 5  # addresses in a report; a test that retries wants the same one often
LOOK_UPS = ("socket.getaddrinfo", "socket.gethostbyname")
EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg", *LOOK_UPS})
"""The audit events of Python that tell of an address."""
WITHOUT_A_WAY = tuple(map(os.strerror, (errno.ENETUNREACH, errno.EHOSTUNREACH)))
WITHOUT_A_NAME = ("Name or service not known", "Temporary failure in name resolution", "No address associated")


class Wanted:
    """Notes the addresses that the process wants to reach, but for those of the loopback interface."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}
        self._is_open = True
        # It cannot be taken away again (sys.addaudithook), so at the end it is left deaf.
        hear, events = self._hear, EVENTS

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in events:  # no more than that for the twenty events of an empty test
                hear(event, arguments)

        sys.addaudithook(hook)

    def close(self) -> None:
        self._is_open = False

    def clear(self) -> None:
        self._found.clear()

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_open:
            text = _text(event, arguments)
            if text is not None and len(self._found) < NOTED:
                self._found[text] = None

    def note(self, report: str) -> str:
        """Return what to add to the report of a failed test: nothing if it did not fail for lack of a network."""
        if not any(reason in report for reason in (*WITHOUT_A_WAY, *WITHOUT_A_NAME)):
            return ""
        return f"it wanted {', '.join(self._found)}" if self._found else "what it wanted is not known"


def _text(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Say what an event tells of, or ``None`` if that needs no network."""
    address: Any = (arguments[0], None) if event in LOOK_UPS else arguments[1]
    if not isinstance(address, tuple) or len(address) < 2:
        return None  # of no IP family
    host, port = address[:2]
    host = host.decode(errors="replace") if isinstance(host, (bytes, bytearray)) else host
    if not isinstance(host, str) or not host or host == "localhost":
        return None
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return f"the name {host}"
    if event in LOOK_UPS or ip.is_loopback or ip.is_unspecified:
        return None
    return f"{host} port {port}"
