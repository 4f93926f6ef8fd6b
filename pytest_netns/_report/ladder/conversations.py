"""What a conversation between two sockets is called: by its ports where it begins, by a number if there are several."""

from __future__ import annotations

from collections.abc import Sequence

from ..._frames.transport import TCP, UDP, Ported
from .contents import Content, Ends
from .messages import Message


def name_conversations(messages: Sequence[Message]) -> None:
    """Add to labels which conversation they belong to."""
    for kind in (TCP, UDP):
        members = [one for one in messages if isinstance(one.content.transport, kind) and not is_other(one.content)]
        numbers = numbered(members)
        are_several = len(set(numbers)) > 1
        named: set[int] = set()
        for message, number in zip(members, numbers, strict=True):
            is_inside = message.source == message.target
            if number not in named or is_inside or (are_several and kind is UDP):
                message.description = with_ports(message.description, message.content, is_inside)
            if are_several and kind is TCP:
                message.conversation = f"#{number} "
            named.add(number)


def is_other(content: Content) -> bool:
    """Whether it is what has no need of ports: a question or answer of DNS, or a fragment."""
    return content.dns is not None or bool(content.fragments)


def numbered(messages: list[Message]) -> list[int]:
    """Return the number of each message's conversation; that of an answer is the same."""
    numbers: dict[Ends, int] = {}
    found: list[int] = []
    count = 0
    for message in messages:
        number = next((numbers[ends] for ends in message.all_ends if ends in numbers), 0)
        if not number:
            number = count = count + 1
        for ends in message.all_ends:
            numbers[ends] = numbers[ends.opposite] = number
        found.append(number)
    return found


def with_ports(label: str, content: Content, in_front: bool) -> str:
    """Return a label with the ports, in front or behind the word it begins with."""
    ported = content.transport
    assert isinstance(ported, Ported)
    ports = f"{ported.source_port} → {ported.destination_port}"
    first, _, rest = label.partition(" ")
    if not in_front and first in ("SYN", "RST", "FIN", "ACK", "UDP"):
        return f"{first} {ports} {rest}".rstrip()
    return f"{ports} {label}"
