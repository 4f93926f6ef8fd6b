"""Plans for pictures, made by hand from a text: the pictures are not to depend on how addresses are picked."""

from __future__ import annotations

import ipaddress

from pytest_netns._topology import model
from pytest_netns._topology.plan import Plan, Planned, Port, Segment
from pytest_netns._topology.text.reading import parse


def plan_of(text: str) -> Plan:
    """Return a plan: a network for each link or switch, with addresses in the order of the text."""
    network = parse(text)
    kinds = network.kinds()
    nodes = {name: Planned(node, kinds[name], number) for number, (name, node) in enumerate(network.nodes.items(), 1)}
    plan = Plan(network, nodes, [])
    segments: dict[str, Segment] = {}
    for number, link in enumerate(network.links, 1):
        left, right = (port_of(nodes[end.node], end, link) for end in link.ends)
        left.peer, right.peer = right, left
        switch = next((end.node for end in link.ends if kinds[end.node] == model.SWITCH), f"link {number}")
        segment = segments.get(switch) or segments.setdefault(switch, segment_of(len(segments) + 1))
        for port in (left, right):
            if port.node.kind != model.SWITCH:
                join(port, segment)
    plan.segments += segments.values()
    return plan


def port_of(node: Planned, end: model.End, link: model.Link) -> Port:
    name = end.interface or f"eth{len(node.ports)}"
    port = Port(node, name, len(node.ports) + 2, f"02:00:00:00:{node.number:02x}:{len(node.ports):02x}", link, 1500)
    node.ports.append(port)
    return port


def segment_of(number: int) -> Segment:
    return Segment(
        networks=[
            ipaddress.ip_network(f"10.{number >> 8}.{number & 255}.0/24"),
            ipaddress.ip_network(f"fd00:0:0:{number:x}::/64"),
        ]
    )


def join(port: Port, segment: Segment) -> None:
    segment.ports.append(port)
    port.segment = segment
    host = len(segment.ports)
    port.addresses += [ipaddress.ip_interface(f"{net[host]}/{net.prefixlen}") for net in segment.networks]
