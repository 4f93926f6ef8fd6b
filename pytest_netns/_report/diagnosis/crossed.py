"""Causes that only the frames show, where these were recorded: a TLS handshake that broke off."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ..._frames.decoding import decode
from ..._frames.frame import Frame, in_order
from ..._frames.ip import IP
from ..._frames.tls import ALERT, APPLICATION_DATA, HANDSHAKE, TLS, alert, handshakes
from ..._frames.transport import TCP
from .case import TALKED, Case, Finding

End: TypeAlias = "tuple[str, int]"


@dataclasses.dataclass
class Handshake:
    """A TLS handshake: who asked whom, how far it came, and who ended it."""

    client: End
    server: End
    names: dict[End, str]
    has_server_hello: bool = False
    goes_on: bool = False
    ended: tuple[End, str] | None = None
    """Who has ended it, and how."""

    def note(self, sender: End, packet_tls: TLS | None, tcp: TCP) -> None:
        """Take note of a segment."""
        if self.goes_on or self.ended:
            return
        for record in packet_tls.records() if packet_tls is not None else ():
            if record.type == HANDSHAKE:
                self.has_server_hello |= "ServerHello" in handshakes(record)
            elif record.type == ALERT and record.length == 2:
                self.ended = sender, f"by the {alert(record)}"
                return
            elif record.type == APPLICATION_DATA and sender == self.client:
                self.goes_on = True  # with its Finished, of TLS 1.3, or with data
                return
        if tcp.fin or tcp.rst:
            after = "ServerHello" if self.has_server_hello else "ClientHello"
            self.ended = sender, f"by {'RST' if tcp.rst else 'FIN'}, after the {after}"

    def _name(self, end: End) -> str:
        return repr(self.names.get(end, f"{end[0]}:{end[1]}"))

    def finding(self) -> Finding | None:
        """Return what there is to say of it."""
        if self.ended is None or "close notify" in self.ended[1]:
            return None
        sender, how = self.ended
        client, server, who = (self._name(end) for end in (self.client, self.server, sender))
        return Finding(
            TALKED,
            ("TLS", client, server),
            f"{client[1:-1]} -> {server[1:-1]}: {who} broke the TLS handshake off {how}",
            f"look at the error of {who}: it does not take what the other side offers",
        )


def find(case: Case) -> Iterator[Finding]:
    """Yield what the frames show that has crossed the links."""
    for handshake in _handshakes(case.frames):
        found = handshake.finding()
        if found is not None:
            yield found


def _handshakes(frames: Sequence[Frame]) -> list[Handshake]:
    found: dict[frozenset[End], Handshake] = {}
    names: dict[End, str] = {}
    for frame in in_order(frames):
        packet = decode(frame)
        ip, tcp, tls = packet.get(IP), packet.get(TCP), packet.get(TLS)
        if ip is None or tcp is None:
            continue
        sender, receiver = (ip.source, tcp.source_port), (ip.destination, tcp.destination_port)
        # Who sends something is the first to have it: routers have it later.
        names.setdefault(sender, frame.namespace)
        between = frozenset((sender, receiver))
        if tls is not None and "ClientHello" in tls.messages():
            found.setdefault(between, Handshake(sender, receiver, names))
        elif between in found:
            found[between].note(sender, tls, tcp)
    return list(found.values())
