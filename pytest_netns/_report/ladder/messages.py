"""Packets as messages between hosts, which a drawing shows or counts."""

from __future__ import annotations

import dataclasses
from itertools import groupby

from ..._frames.icmp import ICMP
from ..._frames.transport import TCP
from .contents import Content, Ends
from .fates import ARRIVED, LOST, STOPPED, Fate, Fates
from .journeys import Visit
from .labels import about, label
from .recording import Recording
from .traces import trace

FINE, ODD, BAD = 0, 1, 2
"""How a message is marked."""
SLOW = 5_000_000
"""Nanoseconds between sender and receiver from which on a remark tells them."""


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
    """The namespaces that forwarded it, in their order."""
    description: str
    """What it is, but for which conversation it belongs to."""
    content: Content
    fate: Fate
    remarks: list[str] = dataclasses.field(default_factory=list)
    mark: int = FINE
    count: int = 1
    """How many it stands for."""
    conversation: str = ""
    """What it begins with if there are several conversations."""

    @property
    def label(self) -> str:
        """What it is."""
        return self.conversation + self.description

    @property
    def contents(self) -> list[Content]:
        """The packet as it was sent, and as it arrived."""
        arrival = self.fate.arrival
        return [self.content, arrival.content] if arrival else [self.content]

    @property
    def ends(self) -> Ends:
        """The two sockets, as the sender sees them."""
        return self.content.ends

    @property
    def all_ends(self) -> set[Ends]:
        """The two sockets, as the sender and the receiver see them; a NAT is why they differ."""
        return {content.ends for content in self.contents}

    @property
    def tcp(self) -> TCP | None:
        return self.content.tcp

    @property
    def is_acknowledgment(self) -> bool:
        """Whether it is a segment that says only what has arrived."""
        tcp = self.tcp
        return tcp is not None and not tcp.span and not tcp.rst

    @property
    def has_data(self) -> bool:
        tcp = self.tcp
        return tcp is not None and tcp.payload_length > 0 and not (tcp.syn or tcp.fin or tcp.rst)

    @property
    def is_neighbourly(self) -> bool:
        """Whether it only keeps neighbours and groups known, and is no question that failed."""
        return self.content.is_neighbourly and not (self.mark == BAD and self.content.is_request)

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
    first, ip = start.first, start.first.content.ip
    passed = [name for name, _ in groupby(visit.namespace for visit in fate.last.path())]
    source: str | None = passed.pop(0)
    if not first.is_outgoing and not start.is_loopback:
        passed.insert(0, start.namespace)
        source = fates.owners.get(ip.source) if ip else None
        source = None if source == start.namespace else source
    target = fate.toward
    if fate.kind in (ARRIVED, STOPPED):
        target = passed.pop() if passed else source
    elif fate.kind != LOST and target is None:
        target = fates.destination(first)
    receiver = target if fate.kind == ARRIVED else fates.destination(fate.last.first)
    message = Message(
        first.time, source, target, receiver, passed, label(journey.first.frame), journey.first.content, fate
    )
    remark_fate(message)
    return message


def remark_fate(message: Message) -> None:
    """Say what became of a message, unless it just arrived."""
    fate = message.fate
    arrival = fate.arrival
    icmp = message.content.transport
    if isinstance(icmp, ICMP) and icmp.is_error:
        message.add(about(icmp), BAD)
    if fate.kind == LOST:
        message.add(f"lost, {fate.last.namespace} → {fate.toward}", BAD)
    elif fate.kind == STOPPED:
        message.add(f"stopped at {fate.last.namespace}", BAD)
    elif fate.last.is_unclear:
        message.add(f"not to be told apart behind {fate.last.namespace}", FINE)
    elif arrival and arrival.time - message.time >= SLOW and not fate.last.is_loopback:
        message.add(f"took {(arrival.time - message.time) / 1e6:,.0f} ms", FINE)
    if fate.receivers > 1:
        message.add(f"to {fate.receivers} hosts", FINE)
    if fate.copies > 1:
        message.add("arrived twice" if fate.copies == 2 else f"arrived {fate.copies} times", ODD)
