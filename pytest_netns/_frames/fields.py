"""The fields of a packet's layers, each with a name, for who looks into one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from .decoding import Packet, quoted
from .dns import DNS
from .ethernet import ARP, VLAN, Ethernet
from .http import HTTP
from .icmp import ICMP, ICMPv6
from .ip import Extension, Fragment, IPv4, IPv6
from .layer import Layer
from .tls import TLS
from .transport import TCP, UDP
from .tunnels import GRE, VXLAN

Fields: TypeAlias = "dict[str, object]"
FLAGS = ("fin", "syn", "rst", "psh", "ack")
OPERATIONS = {1: "1 (request)", 2: "2 (reply)"}


def parts(packet: Packet) -> Iterator[tuple[str, Fields]]:
    """Yield the name of each layer, and its fields; what a packet has not is left out."""
    for layer in packet:
        read = READERS.get(type(layer), _other)
        yield layer.name, {name: value for name, value in read(layer).items() if value not in (None, "", ())}
        about = quoted(layer) if isinstance(layer, ICMP) else None
        if about is not None:
            yield from ((f"about: {name}", fields) for name, fields in parts(about))


def _other(layer: Layer) -> Fields:
    return {"length": f"{layer.length} B"}


def _ethernet(layer: Ethernet) -> Fields:
    return {"source": layer.source, "destination": layer.destination, "type": f"{layer.ethertype:#06x}"}


def _vlan(layer: VLAN) -> Fields:
    return {"VLAN": layer.vid, "priority": layer.priority, "type": f"{layer.ethertype:#06x}"}


def _arp(layer: ARP) -> Fields:
    return {
        "operation": OPERATIONS.get(layer.operation, layer.operation),
        "sender": f"{layer.sender} ({layer.sender_mac})",
        "target": f"{layer.target} ({layer.target_mac})",
    }


def _ipv4(layer: IPv4) -> Fields:
    fragment = "more follow" if layer.more_fragments else ("the last one" if layer.is_fragment else "")
    return {
        "source": layer.source,
        "destination": layer.destination,
        "TTL": layer.ttl,
        "protocol": layer.protocol,
        "length": f"{layer.total_length} B",
        "identification": layer.identification,
        "fragment": f"offset {layer.offset}, {fragment}" if fragment else None,
        "flags": "don't fragment" if layer.dont_fragment else None,
        "TOS": f"{layer.tos:#04x}" if layer.tos else None,
        "options": layer.options.hex(" "),
    }


def _ipv6(layer: IPv6) -> Fields:
    return {
        "source": layer.source,
        "destination": layer.destination,
        "hop limit": layer.ttl,
        "next header": layer.protocol,
        "flow label": f"{layer.flow_label:#07x}",
        "traffic class": f"{layer.traffic_class:#04x}" if layer.traffic_class else None,
    }


def _extension(layer: Extension) -> Fields:
    return {"next header": layer.protocol, "length": f"{layer.header_length} B"}


def _fragment(layer: Fragment) -> Fields:
    more = "more follow" if layer.more_fragments else "the last one"
    return {"offset": f"{layer.offset}, {more}", "identification": layer.identification, "next header": layer.protocol}


def _icmp(layer: ICMP) -> Fields:
    found: Fields = {
        "type": f"{layer.type} ({layer.description})",
        "code": layer.code,
        "identifier": layer.identifier,
        "sequence": layer.sequence,
        "MTU": layer.mtu,
    }
    if isinstance(layer, ICMPv6):
        found |= {"target": layer.target, "link-layer address": layer.link_address}
    return found


def _tcp(layer: TCP) -> Fields:
    options = layer.options
    return {
        "ports": f"{layer.source_port} → {layer.destination_port}",
        "flags": " ".join(name.upper() for name in FLAGS if getattr(layer, name)) or "none",
        "sequence": layer.sequence,
        "acknowledges": layer.acknowledged if layer.ack else None,
        "window": layer.window,
        "MSS": options.mss,
        "window scale": options.window_scale,
        "SACK": "permitted" if options.sack_permitted else ", ".join(f"{left}-{right}" for left, right in options.sack),
        "timestamps": None if options.timestamps is None else "{}, echoes {}".format(*options.timestamps),
        "data": f"{layer.payload_length} B" if layer.payload_length else None,
    }


def _udp(layer: UDP) -> Fields:
    return {"ports": f"{layer.source_port} → {layer.destination_port}", "data": f"{layer.payload_length} B"}


def _dns(layer: DNS) -> Fields:
    return {
        "identifier": f"{layer.identifier:#06x}",
        "kind": f"answer, {layer.rcode}" if layer.is_response else "question",
        "truncated": "yes" if layer.is_truncated else None,
        "asks for": ", ".join(f"{one.name} {one.type}" for one in layer.questions),
        "records": "\n".join(f"{one.name} {one.ttl} {one.type} {one.value}" for one in layer.answers),
    }


def _tls(layer: TLS) -> Fields:
    return {"records": "\n".join(layer.messages()), "server name": layer.server_name}


READERS: dict[type[Layer], Callable[[Any], Fields]] = {
    Ethernet: _ethernet,
    VLAN: _vlan,
    ARP: _arp,
    IPv4: _ipv4,
    IPv6: _ipv6,
    Extension: _extension,
    Fragment: _fragment,
    ICMP: _icmp,
    ICMPv6: _icmp,
    TCP: _tcp,
    UDP: _udp,
    DNS: _dns,
    TLS: _tls,
    HTTP: lambda layer: {"first line": layer.first_line},
    VXLAN: lambda layer: {"VNI": layer.vni},
    GRE: lambda layer: {"type": f"{layer.ethertype:#06x}", "key": layer.key},
}
