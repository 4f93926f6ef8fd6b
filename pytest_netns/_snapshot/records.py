"""What a snapshot of a namespace consists of; each thing says itself as ip(8), ss(8), nft(8) and tc(8) do."""

from __future__ import annotations

from typing import NamedTuple

UNANSWERED = ("INCOMPLETE", "FAILED")


class Link(NamedTuple):
    """An interface."""

    number: int
    """Its index."""
    name: str
    kind: str
    """As ``veth``; empty for what has no kind, such as the loopback interface."""
    mtu: int
    mac: str
    is_up: bool
    """Whether an administrator has brought it up."""
    has_carrier: bool
    master: str
    """The bridge that it is a port of, or nothing."""
    peer: int
    """The index of the other end of a veth, which may be in another namespace; or 0."""
    dropped: int
    """Packets that it had to drop, of those that came and those that were to be sent."""

    def __str__(self) -> str:
        state = "up" if self.is_up else "down"
        words = [self.name, self.kind, state, "" if self.has_carrier or not self.is_up else "without carrier"]
        words += [f"mtu {self.mtu}", self.mac, f"master {self.master}" if self.master else ""]
        return " ".join(filter(None, [*words, f"dropped: {self.dropped}" if self.dropped else ""]))


class Address(NamedTuple):
    """An address of an interface."""

    interface: str
    address: str
    prefix: int
    is_usable: bool
    """Whether duplicate address detection is over, and has found none."""

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix} on {self.interface}" + ("" if self.is_usable else ", not usable (DAD)")


class Route(NamedTuple):
    """A route."""

    destination: str
    """A network, or ``default``."""
    kind: str
    """``unicast``, ``local``, ``blackhole``, ..., as of ip-route(8)."""
    gateway: str
    interface: str
    source: str
    metric: int
    table: str
    mtu: int
    """That which was set, or learned, in bytes; or 0."""
    is_cached: bool
    """Whether the kernel has learned it, such as from an ICMP message."""

    def __str__(self) -> str:
        words = ["" if self.kind == "unicast" else self.kind, self.destination]
        words += [f"via {self.gateway}" if self.gateway else "", f"dev {self.interface}" if self.interface else ""]
        words += [f"src {self.source}" if self.source else "", f"metric {self.metric}" if self.metric else ""]
        words += ["" if self.table == "main" else f"table {self.table}", f"mtu {self.mtu}" if self.mtu else ""]
        return " ".join(filter(None, [*words, "cached" if self.is_cached else ""]))


class Rule(NamedTuple):
    """A rule that says which table of routes is looked up."""

    family: int
    """4 or 6."""
    priority: int
    source: str
    destination: str
    table: str
    other: str
    """What else it asks for, as numbers and bytes of ``<linux/fib_rules.h>``."""

    def __str__(self) -> str:
        words = [f"{self.priority}:", f"from {self.source}", f"to {self.destination}" if self.destination else ""]
        words += [self.other, f"lookup {self.table}", "(IPv6)" if self.family == 6 else ""]
        return " ".join(filter(None, words))


class Neighbour(NamedTuple):
    """What is known of a neighbour on a link."""

    address: str
    interface: str
    mac: str
    state: str
    """``REACHABLE``, ``INCOMPLETE``, ``FAILED``, ..."""
    age: float
    """How long ago its state has changed, in seconds."""

    def __str__(self) -> str:
        return " ".join(filter(None, [self.address, f"dev {self.interface}", self.mac, self.state]))


class Socket(NamedTuple):
    """A socket of TCP or UDP."""

    kind: str
    """``tcp`` or ``udp``."""
    state: str
    """As ``LISTEN``, ``ESTAB``, ``SYN-SENT``; of UDP ``ESTAB`` if it is connected, or ``UNCONN``."""
    address: str
    port: int
    peer: str
    peer_port: int
    received: int
    """Bytes that have come and were not read; of one that listens, connections that nobody has accepted."""
    unsent: int
    """Bytes that were written and are not acknowledged; of one that listens, how many connections may wait."""
    holders: tuple[str, ...]
    """The processes that have it open, as ``"nginx (pid 42)"``."""
    inode: int
    """Its number, or 0 if no process has it open: it was closed, or nobody has accepted it."""
    takes_ipv4: bool
    """Whether a socket of ``::`` takes what comes for addresses of IPv4, too."""
    retransmits: int
    """How often what is being sent has been sent again in vain."""
    bytes_in: int
    bytes_out: int
    """Since it was connected; of TCP."""
    dropped: int
    """Datagrams, or segments, that did not fit into its buffer."""

    @property
    def local(self) -> str:
        return endpoint(self.address, self.port)

    @property
    def remote(self) -> str:
        return endpoint(self.peer, self.peer_port)

    def __str__(self) -> str:
        words = [self.kind, self.local, f"-> {self.remote}" if self.peer_port else "", self.state]
        if self.state == "LISTEN":
            words += [f"accept queue: {self.received} of {self.unsent}" if self.received else ""]
        else:
            words += [f"not read: {self.received} bytes" if self.received else ""]
            words += [f"not acknowledged: {self.unsent} bytes" if self.unsent else ""]
            words += [f"retransmitted: {self.retransmits}" if self.retransmits else ""]
        words += [f"dropped: {self.dropped}" if self.dropped else ""]
        return " ".join(filter(None, [*words, f"[{', '.join(self.holders)}]" if self.holders else ""]))


class NftRule(NamedTuple):
    """A rule of nftables, or the policy of a chain that is not to accept."""

    family: str
    table: str
    chain: str
    hook: str
    """Where its chain is hooked in, such as ``input``; nothing if other chains jump to it."""
    text: str
    """As nft(8) writes it, as far as it is known here."""
    handle: int
    """Its number in its table; 0 for a policy."""
    packets: int | None
    """What its counter has, or ``None`` if it has none."""
    verdict: str
    """``drop``, ``reject``, ``accept``, ...; nothing if it has none."""
    priority: int
    """That of its chain: the lowest comes first."""

    @property
    def where(self) -> str:
        return f"table {self.family} {self.table}, chain {self.chain}"

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}: {self.text}" + (
            "" if self.packets is None else f" (packets: {self.packets})"
        )


class Qdisc(NamedTuple):
    """A queueing discipline."""

    interface: str
    kind: str
    handle: str
    parent: str
    options: bytes
    """What it is set to, as the kernel tells it."""

    def __str__(self) -> str:
        return f"{self.kind} {self.handle} dev {self.interface} {self.parent}"


def endpoint(address: str, port: int) -> str:
    """Return an address and a port as one."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
