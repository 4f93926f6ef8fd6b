"""The host names of a network, as one object that its namespaces share."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from .._arguments import check_mapping
from .._errors import NetNSError, is_meant
from .._handle import Handle
from .._linux import fdpass, own_etc, proc, syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

EXAMPLE = {"server": ("192.0.2.2", "2001:db8::2")}
LONGEST = 253  # characters of a name: RFC 1035, 2.3.4
FAMILIES = (socket.AF_INET6, socket.AF_INET)  # in the order of RFC 6724, which getaddrinfo(3) follows
LOCALHOST = "127.0.0.1\tlocalhost\n::1\tlocalhost\n"
# What is not known is asked of a name server in the namespace itself, so that one that a test starts there is found.
# Without one, the kernel refuses the question at once.
RESOLV_CONF = "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n"
HOSTS_OF_NSSWITCH = "hosts:\tfiles dns\n"
# Of nsswitch.conf(5). Others, such as resolve and mdns, ask a daemon of the machine, which is in no namespace of ours.
HARMLESS = frozenset({"files", "dns", "myhostname"})


class Maker(Protocol):
    """The resident child, as what makes mount namespaces."""

    def own_etc(self, handle: Handle, files: Mapping[str, str], received: fdpass.Received) -> None:
        """Have a mount namespace made with these files in /etc; it is received, and then each file."""

    @property
    def mounts(self) -> int | None:
        """A descriptor of the mount namespace that others are made from, if it is not that of all."""


class Names:
    """The host names of a network, and the addresses of each.

    As long as a namespace has them, they hold the mount namespace in which commands see them, once there is one.

    :param addresses: for each name, its addresses as text, those of IPv4 and of IPv6.
    :raises TypeError: they are something else.
    :raises ValueError: a name or an address is none.
    """

    def __init__(self, addresses: Mapping[str, Iterable[str]]) -> None:
        self._lock = threading.RLock()
        self._by_name = _checked(addresses)
        self._fds: list[int] = []
        self._outdated: list[int] = []  # which a command that is being started may still be about to join
        self._made_from: int | None = None
        self._users = 0
        self._resolv_conf = RESOLV_CONF
        self.trouble: str = ""
        """Why commands do not see them, if so."""

    def update(self, addresses: Mapping[str, Iterable[str]]) -> None:
        """Have these names instead, also in commands that run already."""
        with self._lock:
            self._by_name = _checked(addresses)
            self._write()

    def use_servers(self, servers: Iterable[str]) -> None:
        """Have commands ask these name servers for what they do not find, instead of that of their own host."""
        with self._lock:
            self._resolv_conf = "".join(f"nameserver {server}\n" for server in servers) or RESOLV_CONF
            self._write()

    def _write(self) -> None:
        for fd, content in zip(self._fds[1:], self._files().values(), strict=False):
            own_etc.rewrite(fd, content)

    def addresses(self, host: Any) -> dict[int, list[str]] | None:
        """Return the addresses of a name by their family, or ``None`` where the name is not among these."""
        if isinstance(host, (bytes, bytearray)):
            host = host.decode(errors="replace")
        return self._by_name.get(host.lower()) if isinstance(host, str) else None

    def hosts(self) -> list[tuple[str, str]]:
        """Return each address, and a name that it has."""
        return [
            (address, name)
            for name, known in self._by_name.items()
            for family in FAMILIES
            for address in known.get(family, ())
        ]

    def look_up(
        self,
        getaddrinfo: Callable[..., list[Any]],
        host: Any,
        port: Any,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any] | None:
        """Do what ``socket.getaddrinfo`` does for these names; return ``None`` where the name is not among them.

        :param getaddrinfo: is asked for the addresses, so that port, type and flags mean what they do there.
        """
        known = self.addresses(host)
        if known is None or flags & socket.AI_NUMERICHOST:
            return None
        wanted = [one for one in FAMILIES if family in (0, one) and known.get(one)]
        if family == socket.AF_INET6 and flags & socket.AI_V4MAPPED and (not wanted or flags & socket.AI_ALL):
            wanted.append(socket.AF_INET)  # as addresses of IPv6
        found: list[Any] = []
        for address in (address for one in wanted for address in known.get(one, ())):
            with contextlib.suppress(*([socket.gaierror] if flags & socket.AI_ADDRCONFIG else [])):
                found += getaddrinfo(address, port, family, type, proto, flags)
        if not found:
            raise socket.gaierror(socket.EAI_NODATA, f"{host} has no address of this family")
        if flags & socket.AI_CANONNAME:
            found = [(*one[:3], "" if number else host, one[4]) for number, one in enumerate(found)]
        return found

    # Of commands

    def begin(self) -> None:
        """Have one more namespace that has them."""
        with self._lock:
            self._users += 1

    def end(self) -> None:
        """Have one namespace less that has them; with the last, let go of the mount namespace."""
        with self._lock:
            self._users -= 1
            if self._users <= 0:
                syscalls.close_all(self._fds)
                syscalls.close_all(self._outdated)

    def descriptors(self) -> set[int]:
        return {*self._fds, *self._outdated}

    def mounts(self, maker: Maker, handle: Handle) -> int | None:
        """Return a descriptor, not to be closed, of the mount namespace in which commands see them.

        :return: ``None`` where none can be made; :attr:`trouble` says why.
        """
        with self._lock:
            if self.trouble:
                return None
            if not self._fds or self._made_from != maker.mounts:
                self._outdated += self._fds  # that of before lacks the names under /run/netns
                del self._fds[:]
                self._made_from = maker.mounts
                received = fdpass.Received()
                try:
                    maker.own_etc(handle, self._files(), received)
                    self._fds += received.fds
                    del received.fds[:]
                except NetNSError as error:
                    self.trouble = str(getattr(error, "strerror", None) or error)
                    return None
                finally:
                    received.close()
            return self._fds[0]

    def _files(self) -> dict[str, str]:
        files = {"hosts": self._hosts(), "resolv.conf": self._resolv_conf}
        nsswitch = _read("/etc/nsswitch.conf")
        if nsswitch is not None and not _asks_files_first(nsswitch):
            files["nsswitch.conf"] = _with_files_first(nsswitch)
        return files

    def _hosts(self) -> str:
        lines = [_localhost(_read("/etc/hosts") or "", self._by_name)]
        lines += [f"{address}\t{name}\n" for address, name in self.hosts()]
        return "".join(lines)


def _checked(given: Mapping[str, Iterable[str]]) -> dict[str, dict[int, list[str]]]:
    check_mapping(given, "the host names of a network", EXAMPLE)
    found: dict[str, dict[int, list[str]]] = {}
    for name, addresses in given.items():
        if not isinstance(name, str) or not isinstance(addresses, (tuple, list)):
            raise TypeError(f"{name!r}: {addresses!r} is not a name and its addresses, such as {EXAMPLE!r}")
        if not (name and len(name) <= LONGEST and name.isprintable() and name.isascii() and not set(name) & set(" #%")):
            raise ValueError(f"{name!r} is no host name: it has up to {LONGEST} letters, digits, dots and hyphens")
        if _family(name) is not None:
            raise ValueError(f"{name!r} is an address, and no host name")
        known = found.setdefault(name.lower(), {})
        for address in addresses:
            family = _family(address)
            if family is None:
                raise ValueError(f"{address!r} of {name!r} is no address; write one such as 192.0.2.2 or 2001:db8::2")
            known.setdefault(family, []).append(address)
    return found


def _family(address: Any) -> int | None:
    for family in FAMILIES:
        with contextlib.suppress(OSError, TypeError):
            socket.inet_pton(family, address)
            return family
    return None


def _read(path: str) -> str | None:
    try:
        return proc.read(path).decode(errors="replace")
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EACCES):
            raise
        return None


def _localhost(hosts: str, others: Iterable[str]) -> str:
    """Return the lines of hosts(5) that say what this machine is called on loopback, without the names of others."""
    lines = []
    taken = set(others)
    for line in hosts.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        left = [name for name in names if name.lower() not in taken]
        if left and (address.startswith("127.") or address == "::1"):
            lines.append("\t".join([address, *left]) + "\n")
    return "".join(lines) or LOCALHOST


def _sources(line: str) -> list[str] | None:
    """Return where host names are looked for, if this line of nsswitch.conf(5) says it."""
    database, _, sources = line.partition("#")[0].partition(":")
    return sources.split() if database.strip() == "hosts" else None


def _asks_files_first(nsswitch: str) -> bool:
    found = [sources for line in nsswitch.splitlines() if (sources := _sources(line)) is not None]
    return bool(found) and found[0][:1] == ["files"] and HARMLESS.issuperset(found[0])


def _with_files_first(nsswitch: str) -> str:
    lines = [line for line in nsswitch.splitlines() if _sources(line) is None]
    return "\n".join(lines) + "\n" + HOSTS_OF_NSSWITCH
