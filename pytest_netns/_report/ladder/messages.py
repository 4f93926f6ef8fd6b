"""Packets as messages between hosts, which a drawing shows or counts."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from ..._frames.decoding import Packet
from ..._frames.dns import DNS
from ..._frames.ethernet import ARP
from ..._frames.icmp import ICMP, ICMPv6
from ..._frames.ip import IP
from ..._frames.layer import Layer
from ..._frames.transport import TCP, UDP, Ported
from .fates import ARRIVED, LOST, STOPPED, Fate, Fates
from .journeys import Visit
from .labels import about, label
from .recording import Recording
from .sightings import transport_of
from .traces import trace

FINE, ODD, BAD = 0, 1, 2
"""How a message is marked."""
SLOW = 5_000_000
"""Nanoseconds on the way from which on they are told."""


class Ends(NamedTuple):
    """The sockets between which a packet goes."""

    kind: type[Layer] | None
    source: tuple[str, int] | None
    destination: tuple[str, int] | None

    @property
    def opposite(self) -> Ends:
        """Those of an answer."""
        return Ends(self.kind, self.destination, self.source)


def ends_of(packet: Packet) -> Ends:
    """Return the sockets between which a packet goes."""
    ips = packet.all(IP)
    if not ips:
        return Ends(None, None, None)
    transport = transport_of(packet)
    source, destination = transport.ports if isinstance(transport, Ported) else (0, 0)
    kind: type[Layer] | None = type(transport) if transport else None
    return Ends(kind, (ips[-1].source, source), (ips[-1].destination, destination))


@dataclasses.dataclass(eq=False)
class Message:
    """A packet that one host has sent, and what became of it."""

    time: int
    source: str | None
    target: str | None
    """Where it got, or was to get; ``None`` if nobody knows."""
    receiver: str | None
    """Whom it is for, if that is known."""
    passed: list[str]
    """The namespaces on the way, without source and target."""
    label: str
    packet: Packet
    fate: Fate
    remarks: list[str] = dataclasses.field(default_factory=list)
    mark: int = FINE
    count: int = 1
    """How many it stands for."""

    @property
    def ends(self) -> Ends:
        """The two sockets, as the sender sees them."""
        return ends_of(self.packet)

    @property
    def all_ends(self) -> set[Ends]:
        """The two sockets, as the sender and the receiver see them; a NAT is why they differ."""
        return set(map(ends_of, self.packets))

    @property
    def packets(self) -> list[Packet]:
        """The packet as it was sent, and as it arrived."""
        arrival = self.fate.arrival
        return [self.packet, arrival.packet] if arrival else [self.packet]

    @property
    def tcp(self) -> TCP | None:
        transport = transport_of(self.packet)
        return transport if isinstance(transport, TCP) else None

    @property
    def is_acknowledgment(self) -> bool:
        """Whether it is a segment that says only what has arrived."""
        tcp = self.tcp
        return tcp is not None and not tcp.span and not tcp.rst

    @property
    def has_data(self) -> bool:
        tcp = self.tcp
        return tcp is not None and tcp.payload_length > 0 and not (tcp.syn or tcp.fin or tcp.rst)

    def add(self, remark: str, mark: int) -> None:
        """Add a remark."""
        self.remarks.append(remark)
        self.mark = max(self.mark, mark)


def messages_of(recording: Recording) -> list[Message]:
    """Return what was sent, in the order of time."""
    traces = trace(recording)
    fates = Fates(recording, traces)
    return [message_of(journey, fates) for journey in traces.journeys]


def message_of(journey: Visit, fates: Fates) -> Message:
    """Return the message of a journey."""
    start = journey.path()[0]
    fate = fates.of(journey)
    first = start.first
    passed = [visit.namespace for visit in fate.last.path()]
    source: str | None = passed.pop(0)
    if not first.is_outgoing and not start.is_loopback:
        passed.insert(0, start.namespace)
        source = fates.owners.get(first.ip.source) if first.ip else None
        source = None if source == start.namespace else source
    target = fate.toward
    if fate.kind in (ARRIVED, STOPPED):
        target = passed.pop() if passed else source
    elif fate.kind != LOST and target is None:
        target = fates.destination(first)
    receiver = target if fate.kind == ARRIVED else fates.destination(fate.last.first)
    message = Message(
        first.time, source, target, receiver, passed, label(journey.first.frame), journey.first.packet, fate
    )
    remark_fate(message)
    return message


def remark_fate(message: Message) -> None:
    """Say what became of a message, unless it just arrived."""
    fate = message.fate
    arrival = fate.arrival
    icmp = transport_of(message.packet)
    if isinstance(icmp, ICMP) and icmp.is_error:
        message.add(about(icmp), BAD)
    if fate.kind == LOST:
        message.add(f"lost, {fate.last.namespace} → {fate.toward}", BAD)
    elif fate.kind == STOPPED:
        message.add(f"stopped at {fate.last.namespace}", BAD)
    elif arrival and arrival.time - message.time >= SLOW and not fate.last.is_loopback:
        message.add(f"took {(arrival.time - message.time) / 1e6:,.0f} ms", FINE)
    if fate.copies > 1:
        message.add("arrived twice" if fate.copies == 2 else f"arrived {fate.copies} times", ODD)


def is_neighbourly(message: Message) -> bool:
    """Whether it is what no program has asked for: ARP, neighbour discovery, MLD, or a protocol below IP."""
    icmp = message.packet.get(ICMPv6)
    if message.packet.get(IP) is None:
        return True
    return icmp is not None and (icmp.is_neighbour_discovery or icmp.is_mld)


def is_request(packet: Packet) -> bool:
    """Whether an answer is expected."""
    transport, dns, arp = transport_of(packet), packet.get(DNS), packet.get(ARP)
    if arp:
        return arp.operation == ARP.REQUEST
    if isinstance(transport, ICMPv6) and transport.type == ICMPv6.SOLICITATION:
        ip = packet.get(IP)
        return ip is not None and ip.source != "::"  # that of duplicate address detection hopes for none
    if isinstance(transport, ICMP):
        return transport.is_echo and "request" in transport.description
    if dns and isinstance(transport, UDP):
        return not dns.is_response
    return isinstance(transport, TCP) and transport.syn and not transport.ack
