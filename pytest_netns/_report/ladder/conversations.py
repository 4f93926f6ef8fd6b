"""What a conversation between two sockets is called: by its ports where it begins, by a number if there are several."""

from __future__ import annotations

from collections.abc import Sequence

from ..._frames.decoding import Packet
from ..._frames.dns import DNS
from ..._frames.transport import TCP, UDP, Ported
from .messages import Ends, Message
from .sightings import transport_of


def name_conversations(messages: Sequence[Message]) -> None:
    """Add to labels which conversation they belong to."""
    for kind in (TCP, UDP):
        members = [one for one in messages if isinstance(transport_of(one.packet), kind) and not one.packet.get(DNS)]
        numbers = numbered(members)
        are_several = len(set(numbers)) > 1
        named: set[int] = set()
        for message, number in zip(members, numbers, strict=True):
            if number not in named or message.source == message.target or (are_several and kind is UDP):
                message.label = with_ports(message.label, message.packet)
            if are_several and kind is TCP:
                message.label = f"#{number} {message.label}"
            named.add(number)


def numbered(messages: list[Message]) -> list[int]:
    """Return the number of each message's conversation; that of an answer is the same."""
    numbers: dict[Ends, int] = {}
    found: list[int] = []
    for message in messages:
        number = next((numbers[ends] for ends in message.all_ends if ends in numbers), len(set(found)) + 1)
        for ends in message.all_ends:
            numbers[ends] = numbers[ends.opposite] = number
        found.append(number)
    return found


def with_ports(label: str, packet: Packet) -> str:
    """Return a label with the ports: behind what it begins with, if that is a word rather than a size."""
    ported = transport_of(packet)
    assert isinstance(ported, Ported)
    ports = f"{ported.source_port} → {ported.destination_port}"
    first, _, rest = label.partition(" ")
    if first in ("SYN", "RST", "FIN", "ACK", "UDP"):
        return f"{first} {ports} {rest}".rstrip()
    return f"{ports} {label}"
