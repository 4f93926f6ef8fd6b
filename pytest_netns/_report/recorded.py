"""What was recorded of a test, as the ladder and the page need it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .._capture.recorder import Recorded
from .._frames.fields import parts
from .._frames.frame import in_order
from .._netns.namespace import NetNS
from .._topology.host import Host
from .ladder.marks import mark
from .ladder.messages import FINE, Message, messages_of
from .ladder.recording import End, Note, Recording
from .page.contents import NEIGHBOURLY, PACKET, Event, Part

UNSEEN = "(nobody knows)"


class Happened(NamedTuple):
    """Something that happened, and is no frame."""

    time: int
    """Nanoseconds since the epoch, as of frames."""
    kind: str
    """As of :class:`Event`."""
    text: str


def recording(
    recorded: Sequence[Recorded], spaces: Sequence[NetNS], begun: int, until: int, happened: Sequence[Happened]
) -> Recording:
    """Return what a ladder is drawn from.

    :param recorded: what the recorder has of each namespace.
    :param spaces: the namespaces that are open.
    :param begun: when the test began, in nanoseconds since the epoch.
    :param until: when the frames were asked for.
    """
    names = [ns.label for ns in spaces]
    times: dict[str, tuple[int, int]] = dict.fromkeys(names, (begun, until))
    for one in filter(lambda one: one.frames, recorded):
        name, first, last = one.frames[0].namespace, one.frames[0].time, one.frames[-1].time  # in their order
        # Of what has dropped frames those since the oldest are there, and of what is closed those until the last.
        times[name] = (first if one.left_out else begun, until if name in names else last)
    hosts = [ns for ns in spaces if isinstance(ns, Host)]
    return Recording(
        in_order(frame for one in recorded for frame in one.frames),
        times,
        begun,
        list(times),
        [Note(one.time, None, one.text) for one in happened],
        dict(_links(hosts)),
        {str(one.ip): ns.label for ns in hosts for port in ns.interfaces.values() for one in port.addresses},
    )


def _links(hosts: Sequence[Host]) -> Iterator[tuple[End, End]]:
    for host in hosts:
        for name, interface in host.interfaces.items():
            peer = interface.peer
            yield (host.label, name), (peer.host.label, peer.name)


def events(of: Recording, happened: Sequence[Happened]) -> Iterator[Event]:
    """Yield what a page shows on its timeline, in the order of time."""
    messages = messages_of(of)
    mark(messages)
    found = [_of_packet(of, one) for one in messages]
    found += [Event((one.time - of.start) / 1e9, one.kind, one.text) for one in happened]
    yield from sorted(found, key=lambda event: event.time)


def _of_packet(of: Recording, message: Message) -> Event:
    frame = message.fate.last.path()[0].first.frame
    shown = tuple(
        Part(name, tuple((key, str(value)) for key, value in fields.items()))
        for name, fields in parts(message.content.packet)
    )
    via = (Part("The path", (("through", ", ".join(message.passed)),)),) if message.passed else ()
    return Event(
        (message.time - of.start) / 1e9,
        NEIGHBOURLY if message.is_neighbourly else PACKET,
        message.label,
        message.source or UNSEEN,
        message.target or UNSEEN,
        tuple(message.remarks),
        (*via, *shown),
        frame.data,
        is_bad=message.mark > FINE,
    )
