"""How a network is made, from what is worked out about it: every request of a namespace goes in one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..._linux import syscalls
from ..._netns.sysctl import checked
from .. import model
from ..breaking.state import State, look
from ..plan import Plan, Planned, Port
from . import ready, requests, switch
from .channel import Channel
from .recorded import tell_of_links
from .requests import Request

if TYPE_CHECKING:
    from ..._netns.namespace import NetNS

FORWARDING = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}


def sysctls_of(planned: Planned, *, has_ipv6: bool) -> dict[str, str]:
    """Return the sysctls that a node's namespace begins with."""
    forwarding = FORWARDING if planned.forwards else {}
    return checked(
        {name: value for name, value in forwarding.items() if has_ipv6 or "ipv6" not in name} | planned.node.sysctl
    )


class Builder:
    """Makes the links, addresses and routes of namespaces that are there.

    :param plan: the network.
    :param spaces: the namespace of each node.
    :param deadline: until when all is to be ready, as of ``syscalls.monotonic()``.
    """

    def __init__(self, plan: Plan, spaces: Mapping[str, NetNS], timeout: float) -> None:
        self._plan = plan
        self._spaces = spaces
        self._deadline = syscalls.monotonic() + timeout
        self._channels: dict[str, Channel] = {}

    def build(self) -> dict[str, State]:
        """Make everything, and wait until it is ready.

        :return: what each namespace has then.
        :raises NetNSError: the kernel refuses something, or is not ready in time.
        """
        try:
            self._build()
            return {name: look(channel, self._deadline) for name, channel in self._channels.items()}
        finally:
            for channel in self._channels.values():
                channel.close()

    def _build(self) -> None:
        nodes = self._plan.nodes.values()
        if not nodes:
            return
        measured = next(iter(self._spaces.values()))._handle.measured
        with measured(f"making the links of a network of {len(nodes)} nodes"):
            self._make_links()
        with measured(f"waiting until a network of {len(nodes)} nodes is ready"):
            self._make_ready()

    def _make_links(self) -> None:
        nodes = self._plan.nodes.values()
        for planned in nodes:
            self._channels[planned.name] = Channel(self._spaces[planned.name])
        tell_of_links((port for planned in nodes for port in _left_ends(planned)), self._spaces)
        for planned in nodes:
            self._send(planned, [*switch.bridge(planned, has_ipv6=self._plan.has_ipv6), *self._links(planned)])
        for planned in nodes:
            self._send(planned, list(self._settings(planned)))

    def _make_ready(self) -> None:
        nodes = self._plan.nodes.values()
        for planned in nodes:
            self._wait(planned)
        for planned in nodes:
            if planned.kind == model.SWITCH:
                self._send(planned, [switch.start()])

    def _send(self, planned: Planned, requests: list[Request]) -> None:
        if requests:
            self._channels[planned.name].send(requests, self._deadline)

    def _links(self, planned: Planned) -> Iterator[Request]:
        """Yield the links of which a node has the left end.

        Both ends are made in their places: to make them in one and to move an end takes forty times as long.
        """
        for port in _left_ends(planned):
            yield requests.veth(port, self._spaces[port.peer.node.name]._checked_fd())

    def _settings(self, planned: Planned) -> Iterator[Request]:
        for port in planned.ports:
            yield from requests.set_up(port.index, port, *switch.master(planned), has_ipv6=self._plan.has_ipv6)
            yield from switch.vlans(port)
            for interface in requests.addresses_of(port):
                yield requests.add_address(port, interface)
        for route in planned.routes:
            yield requests.add_route(route)

    def _wait(self, planned: Planned) -> None:
        ready.wait_for(self._channels[planned.name], planned.ports, self._deadline)


def _left_ends(planned: Planned) -> Iterator[Port]:
    return (port for port in planned.ports if port.index < port.peer.index)
