"""What is odd about messages, seen together: repetitions, those that overtook others, and what nobody answered."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

from ..._frames.decoding import quoted
from ..._frames.dns import DNS
from ..._frames.ethernet import ARP
from ..._frames.icmp import ICMP, ICMPv6
from ..._frames.tls import TLS
from ..._frames.transport import UDP
from .contents import Content, Ends
from .fates import ARRIVED
from .messages import BAD, FINE, ODD, Message

WRAP = 1 << 32
"""Where the numbers of a TCP sequence begin anew."""


@dataclasses.dataclass
class Direction:
    """One direction of a TCP connection."""

    beginning: int | None = None
    """The number of its SYN."""
    end: int | None = None
    """The number behind the last byte that was sent."""
    times: dict[int, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    """How often what begins at a number was sent."""


def mark(messages: list[Message]) -> None:
    """Add to messages what is odd about them."""
    for message in messages:
        message.mark = max(message.mark, mark_of(message))
    mark_repetitions(messages)
    mark_refusals(messages)
    mark_overtaken(messages)
    mark_unanswered(messages)


def mark_of(message: Message) -> int:
    """Return how what a message says is marked."""
    dns, last = message.content.dns, message.content.packet.last
    if isinstance(last, TLS) and any("alert: " in one and "close" not in one for one in last.messages()):
        return BAD
    return ODD if dns and dns.rcode != "NOERROR" else FINE


def mark_repetitions(messages: list[Message]) -> None:
    """Mark what was sent before: segments of TCP, and questions."""
    directions: dict[tuple[object, ...], Direction] = defaultdict(Direction)
    asked: dict[tuple[object, ...], int] = defaultdict(int)
    for message in messages:
        tcp = message.tcp
        dns, times = message.content.dns, 0
        if tcp and tcp.span:
            times = times_before(tcp.sequence, tcp.span, tcp.syn, directions[message.source, message.ends])
        elif dns and message.content.is_request:
            question = (dns.identifier, *dns.questions)
            times, asked[question] = asked[question], asked[question] + 1
        elif dns:
            asked.pop((dns.identifier, *dns.questions), None)  # what is asked after its answer is asked anew
        if times:
            ordinal = {1: "", 2: "2nd ", 3: "3rd "}.get(times, f"{times}th ")
            message.add(f"{ordinal}retransmission" if tcp else "asked again", ODD)
        elif tcp and is_keepalive(message, directions[message.source, message.ends]):
            message.add("keep-alive", FINE)


def times_before(sequence: int, span: int, syn: bool, direction: Direction) -> int:
    """Return how often a segment was sent before, and note that it was sent."""
    if syn and sequence != direction.beginning:
        direction.beginning, direction.end, direction.times = sequence, None, defaultdict(int)
    end = (sequence + span) % WRAP
    is_new = direction.end is None or (end - direction.end) % WRAP - 1 < WRAP // 2 - 1
    overlaps = direction.end is not None and 0 < (direction.end - sequence) % WRAP < WRAP // 2
    if is_new:
        direction.end = end
    if not overlaps:
        return 0
    direction.times[sequence] += 1
    return direction.times[sequence]


def is_keepalive(message: Message, direction: Direction) -> bool:
    """Whether a segment without data is about a byte that was acknowledged, so that the other side answers."""
    tcp = message.tcp
    return message.is_acknowledgment and tcp is not None and (tcp.sequence + 1) % WRAP == direction.end


def mark_refusals(messages: list[Message]) -> None:
    """Mark resets, above all those that answer a SYN."""
    greeted: dict[Ends, int] = {}
    for message in messages:
        tcp = message.tcp
        if tcp is None:
            continue
        if tcp.syn and not tcp.ack:
            greeted |= dict.fromkeys(message.all_ends, (tcp.sequence + 1) % WRAP)
        elif tcp.rst:
            message.mark = BAD
            if tcp.ack and greeted.get(message.ends.opposite) == tcp.acknowledged:
                message.remarks.append("refused")


def mark_overtaken(messages: list[Message]) -> None:
    """Mark what arrived after something that the same socket sent later."""
    earliest: dict[tuple[object, ...], int] = {}
    for message in reversed(messages):
        arrival = message.fate.arrival
        if message.fate.kind == ARRIVED and arrival and not message.is_acknowledgment:
            later = earliest.get((message.source, message.ends))
            if later is not None and arrival.time > later:
                message.add("out of order", ODD)
            earliest[message.source, message.ends] = min(arrival.time, later or arrival.time)


def mark_unanswered(messages: list[Message]) -> None:
    """Mark the last of the same requests that nobody answered, unless it is said already what became of it."""
    answers = {key for message in messages for content in message.contents for key in answered(content)}
    last = {request(message.content): message for message in messages if message.content.is_request}
    for message in last.values():
        if message.fate.kind == ARRIVED and not answers.intersection(map(request, message.contents)):
            message.add("no answer", BAD)


def request(content: Content) -> tuple[object, ...]:
    """Return by what a request is recognized in its answer."""
    transport = content.transport
    if content.arp:
        return (ARP, content.arp.target)
    if isinstance(transport, ICMPv6) and transport.target:
        return (ICMPv6, transport.target)
    if isinstance(transport, ICMP):
        return (ICMP, transport.identifier, transport.sequence)
    if content.dns and isinstance(transport, UDP):
        return (DNS, content.dns.identifier, *content.ends)
    return content.ends


def answered(content: Content) -> Iterator[tuple[object, ...]]:
    """Yield which request a packet answers, if it answers any."""
    transport = content.transport
    if content.is_request:
        return
    if isinstance(transport, ICMP):
        about = quoted(transport)
        yield request(Content(about) if about else content)
    elif content.arp:
        yield (ARP, content.arp.sender)
    elif content.dns and isinstance(transport, UDP):
        yield (DNS, content.dns.identifier, *content.ends.opposite)
    else:
        yield content.ends.opposite
