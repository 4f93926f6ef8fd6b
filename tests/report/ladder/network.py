"""Frames of networks that need not be there: what each interface on a way has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_netns._frames.frame import Frame
from pytest_netns._report.ladder.drawing import draw
from pytest_netns._report.ladder.marks import mark
from pytest_netns._report.ladder.messages import Message, messages_of
from pytest_netns._report.ladder.recording import End, Recording
from tests.frames.build import ethernet

A, R, B = "192.0.2.1", "192.0.2.254", "198.51.100.1"
MS = 1_000_000
END = 10_000 * MS
LINKS: dict[End, End] = {("a", "eth0"): ("r", "eth0"), ("r", "eth1"): ("b", "eth0"), ("c", "eth0"): ("r", "eth2")}
LINKS |= {other: end for end, other in LINKS.items()}
ADDRESSES = {A: "a", R: "r", B: "b"}
MACS = {end: number for number, end in enumerate(LINKS, 2)}


def seen(time: int, end: End, outgoing: bool, packet: bytes, kind: int = 0x0800) -> Frame:
    """Return a frame at one end of a link, with the Ethernet addresses of both."""
    source, destination = (end, LINKS[end]) if outgoing else (LINKS[end], end)
    data = ethernet(packet, kind, MACS[source], MACS[destination])
    return Frame(time, *end, outgoing, data, len(data))


def crossing(time: int, begin: End, packet: bytes, *, arrivals: int = 1, took: int = 1000) -> Iterator[Frame]:
    """Yield a frame as it is sent at one end of a link, and as it arrives at the other."""
    yield seen(time, begin, True, packet)
    for number in range(arrivals):
        yield seen(time + took + number, LINKS[begin], False, packet)


def travel(
    time: int, packet: Callable[[int], bytes], *, ends: str = "arb", arrivals: int = 1, took: int = 1000
) -> list[Frame]:
    """Return what is seen of a packet on its way, as far as it gets: ``ar`` is to the router, ``ar-`` beyond it."""
    forth: list[End] = [("a", "eth0"), ("r", "eth1")]
    back: list[End] = [("b", "eth0"), ("r", "eth0")]
    begins = forth if ends[0] == "a" else back
    first = 0 if ends[1] == "-" else arrivals if len(ends) == 2 else 1
    found = list(crossing(time, begins[0], packet(64), arrivals=first))
    if len(ends) > 2:
        found += crossing(time + 2000, begins[1], packet(63), arrivals=arrivals if ends[2] != "-" else 0, took=took)
    return found


def recording(*parts: list[Frame], **fields: object) -> Recording:
    frames = [frame for part in parts for frame in part]
    whole = {
        "frames": frames,
        "recorded": dict.fromkeys("arbc", (0, END)),
        "start": 0,
        "hosts": ["a", "r", "b", "c"],
        "links": LINKS,
        "addresses": ADDRESSES,
    }
    return Recording(**{**whole, **fields})  # type: ignore[arg-type]


def messages(*parts: list[Frame], **fields: object) -> list[Message]:
    found = messages_of(recording(*parts, **fields))
    mark(found)
    return found


def told(*parts: list[Frame], **fields: object) -> list[str]:
    """Return what is said about each message: from whom to whom, what, and the remarks."""
    return [
        f"{one.source} {one.fate.kind} {one.target}: {one.label}{''.join(f'; {remark}' for remark in one.remarks)}"
        for one in messages(*parts, **fields)
    ]


def drawn(*parts: list[Frame], width: int = 100, **fields: object) -> list[str]:
    return draw(recording(*parts, **fields), width=width).splitlines()
