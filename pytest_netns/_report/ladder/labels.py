"""What a packet is, in a few words."""

from __future__ import annotations

from typing import TypeGuard

from ..._frames.decoding import Packet, decode, quoted
from ..._frames.dns import DNS
from ..._frames.ethernet import ARP, VLAN, Ethernet
from ..._frames.frame import Frame
from ..._frames.http import HTTP
from ..._frames.icmp import ICMP, ICMPv6
from ..._frames.ip import IP, Fragment, IPv4
from ..._frames.layer import Layer
from ..._frames.tls import TLS
from ..._frames.transport import TCP, UDP, Ported
from ..._frames.tunnels import GRE, VXLAN

QUOTE = 24
"""Characters of a payload, at most."""


def label(frame: Frame) -> str:
    """Return what a frame is: what it carries, or the outermost thing that tells."""
    packet = decode(frame)
    words = [f"VXLAN {layer.vni}:" for layer in packet.all(VXLAN)]
    words += ["GRE:" for _ in packet.all(GRE)]
    return " ".join([*words, description(packet)])


def description(packet: Packet) -> str:
    """Return what a packet is, without its tunnels."""
    layers = list(packet)
    fragments = [layer for layer in layers if is_fragment(layer)]
    if fragments:
        return of_fragment(fragments[-1])
    for layer in reversed(layers):
        words = of_layer(layer, layers)
        if words:
            return words
    return of_unknown(layers)


def of_layer(layer: Layer, layers: list[Layer]) -> str | None:
    """Return what a packet is by one of its layers, or ``None`` if a layer around it tells more."""
    if isinstance(layer, DNS):
        return of_dns(layer)
    if isinstance(layer, ICMP):
        return of_icmp(layer)
    if isinstance(layer, TCP):
        return of_tcp(layer, layers[-1])
    if isinstance(layer, ARP):
        if layer.operation == ARP.REPLY:
            return f"ARP {layer.sender} is {layer.sender_mac}"
        return f"ARP {layer.target}?"
    if isinstance(layer, UDP):
        return f"UDP {size_and_text(layer.payload, layer.payload_length)}"
    return None


def is_fragment(layer: Layer) -> TypeGuard[IPv4 | Fragment]:
    """Whether a layer says that there are other fragments."""
    return isinstance(layer, (IPv4, Fragment)) and bool(layer.offset or layer.more_fragments)


def of_fragment(layer: IPv4 | Fragment) -> str:
    """Return what a fragment is."""
    return f"{of_protocol(layer.protocol)} fragment, bytes {layer.offset} to {layer.offset + layer.payload_length}"


def of_unknown(layers: list[Layer]) -> str:
    """Return what is to be said of a packet of which no layer is known."""
    ips = [layer for layer in layers if isinstance(layer, IP)]
    if ips:
        return f"IPv{ips[-1].version} {of_protocol(ips[-1].protocol)}, {ips[-1].payload_length} B"
    link = [layer for layer in layers if isinstance(layer, (Ethernet, VLAN))]
    if link:
        return f"EtherType {link[-1].ethertype:#06x}, {link[-1].payload_length} B"
    return f"{layers[-1].length} B"


def of_protocol(number: int) -> str:
    """Return what a protocol above IP is called."""
    return {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}.get(number) or f"protocol {number}"


def of_tcp(tcp: TCP, last: Layer) -> str:
    """Return what a segment is."""
    words = []
    if tcp.syn:
        words.append("SYN")
    if tcp.payload_length:
        words.append(of_stream(tcp, last))
    if tcp.fin:
        words.append("FIN")
    if tcp.rst:
        words.append("RST")
    if tcp.ack and (tcp.syn or not words):
        words.append("ACK")
    if tcp.ack and not tcp.window and not tcp.rst:
        words.append("window 0")
    return " ".join(words) or "no flags"


def of_stream(tcp: TCP, last: Layer) -> str:
    """Return what the bytes of a segment are."""
    if isinstance(last, TLS):
        messages = list(last.messages())
        name = f" {printable(last.server_name)}" if last.server_name else ""
        return f"TLS {', '.join(messages)}{name}" if messages else f"TLS {tcp.payload_length:,} B"
    if isinstance(last, HTTP):
        return f'{tcp.payload_length:,} B "{shortened(printable(last.first_line))}"'
    return size_and_text(tcp.payload, tcp.payload_length)


def of_icmp(icmp: ICMP) -> str:
    """Return what a message of ICMP is."""
    words = f"{icmp.name} {icmp.description}"
    if icmp.is_echo:
        return f"{icmp.description} {icmp.sequence}"
    if icmp.mtu:
        words += f", MTU {icmp.mtu}"
    if isinstance(icmp, ICMPv6) and icmp.target:
        words += f" {icmp.target}"
    return words


def about(icmp: ICMP) -> str:
    """Return which packet an error of ICMP is about."""
    packet = quoted(icmp)
    ported = packet.get(Ported) if packet else None
    if ported:
        return f"about {ported.name} to port {ported.destination_port}"
    ip = packet.get(IP) if packet else None
    return f"about a packet to {ip.destination}" if ip else ""


def of_dns(dns: DNS) -> str:
    """Return what a message of DNS asks for, or answers."""
    if not dns.is_response:
        asked = [f"{question.type} {printable(question.name)}?" for question in dns.questions]
        return f"DNS {', '.join(asked) or 'query'}"
    if dns.rcode != "NOERROR":
        return f"DNS {dns.rcode}"
    if dns.is_truncated:
        return "DNS truncated"
    answers = [printable(answer.value) for answer in dns.answers]
    return f"DNS {', '.join(answers) or 'no records'}"


def size_and_text(payload: bytes, length: int) -> str:
    """Return how long a payload is, and how it begins."""
    if not payload:
        return f"{length:,} B"
    text = payload.decode("ascii", "replace")
    if sum(one.isprintable() or one in "\r\n\t" for one in text.replace("\ufffd", "\0")) < 0.9 * len(text):
        more = "…" if length > 8 else ""
        return f"{length:,} B {payload[:8].hex(' ')}{more}"
    first = text.strip().split("\n")[0].strip()
    is_all = len(first) == len(text.strip())
    return f'{length:,} B "{shortened(printable(first), is_all)}"'


def shortened(text: str, is_all: bool = True) -> str:
    """Return a text that is not too long, and shows whether there is more."""
    return text if len(text) <= QUOTE and is_all else f"{text[: QUOTE - 1]}…"


def printable(text: str) -> str:
    """Return a text whose characters all take one column."""
    return "".join(one if one.isprintable() and one.isascii() else "." for one in text)
