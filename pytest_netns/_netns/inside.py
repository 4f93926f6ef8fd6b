"""Host names of a network, for the look-up functions of the standard library in threads that are inside.

A thread shares its mount namespace with the others of its process, and so their /etc/hosts. So these functions are
replaced as long as there is a namespace that has names. They ask where the calling thread is, and do in any other place
what they did before.
"""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Callable
from typing import Any

from .._errors import is_meant
from .._linux import syscalls
from .names import Names

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

REPLACED = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")


class Inside:
    """Finds the names of namespaces in the threads that are inside of these."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[tuple[int, int], Names] = {}
        self._before: dict[str, Callable[..., Any]] = {}
        self._ours: dict[str, Callable[..., Any]] = {}

    def add(self, identity: tuple[int, int], names: Names) -> None:
        """Have names found by threads that are inside a namespace."""
        with self._lock:
            self._names[identity] = names
            for name in REPLACED:
                if getattr(socket, name) is not self._ours.get(name):
                    self._replace(name)

    def _replace(self, name: str) -> None:
        self._before[name] = before = getattr(socket, name)
        self._ours[name] = functools.wraps(before)(functools.partial(getattr(self, f"_{name}"), before))
        setattr(socket, name, self._ours[name])

    def remove(self, identity: tuple[int, int]) -> None:
        """Have them found no longer; with the last, put back what was replaced, where a test has not done so."""
        with self._lock:
            self._names.pop(identity, None)
            if self._names:
                return
            for name, ours in self._ours.items():
                if getattr(socket, name) is ours:
                    setattr(socket, name, self._before[name])
            self._ours, self._before = {}, {}

    def _here(self) -> Names | None:
        if not self._names:
            return None
        try:
            return self._names.get(syscalls.namespace_id("/proc/thread-self/ns/net"))
        except OSError:  # a test has left its root directory, for example
            return None

    def _getaddrinfo(
        self,
        before: Callable[..., list[Any]],
        host: Any,
        port: Any,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        names = self._here()
        found = None if names is None else names.look_up(before, host, port, family, type, proto, flags)
        return before(host, port, family, type, proto, flags) if found is None else found

    def _gethostbyname(self, before: Callable[[Any], str], host: Any) -> str:
        known = self._ipv4_of(host)
        return known[0] if known else before(host)

    def _gethostbyname_ex(
        self, before: Callable[[Any], tuple[str, list[str], list[str]]], host: Any
    ) -> tuple[str, list[str], list[str]]:
        known = self._ipv4_of(host)
        return (host, [], known) if known else before(host)

    def _ipv4_of(self, host: Any) -> list[str]:
        names = self._here()
        return list(((names.addresses(host) if names is not None else None) or {}).get(socket.AF_INET, ()))
