"""A network that is to be as it was when it was ready: only what differs is mended."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..._errors import NetNSOSError, is_meant
from ..._linux import netlink, syscalls
from .. import model
from ..making import neighbours, ready
from ..making.channel import GONE, Channel
from ..plan import Plan
from . import mended_links, state
from .mended_links import Link
from .state import State

if TYPE_CHECKING:
    from ..host import Host

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

ROUNDS = 5  # of looking and mending, since the kernel ties one thing to another, until it is said what differs
NAMED = 5  # of what is not as it was, in an error
DONE_ALREADY = frozenset((*GONE, errno.EEXIST))  # by the kernel, with something else; it is looked at once more


class Resetter:
    """Makes a network as it was.

    :param hosts: its namespaces, with nothing of the test in them.
    :param kept: what each had when it was ready, which stays so, but for what changes by itself.
    :param timeout: how long it may take, in seconds.
    """

    def __init__(self, plan: Plan, hosts: Mapping[str, Host], kept: dict[str, State], timeout: float) -> None:
        self._plan = plan
        self._hosts = hosts
        self._kept = kept
        self._deadline = syscalls.monotonic() + timeout
        self._undo = contextlib.ExitStack()
        self._channels: dict[str, Channel] = {}

    def reset(self) -> None:
        """Do it.

        :raises NetNSError: something cannot be as it was, which it names.
        """
        with self._undo:
            for name, host in self._hosts.items():
                host._restore_sysctls()
                route, filter_ = host.sockets(
                    (
                        (socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE),
                        (socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETLINK_NETFILTER),
                    ),
                    child_mode="resident",
                )
                self._undo.callback(filter_.close)
                self._channels[name] = self._undo.enter_context(contextlib.closing(Channel(host, route)))
                host._restore_firewall(filter_, self._deadline)
            for name in [name for name in self._hosts if self._mend_links(name)]:
                self._wait(name)
            for name in self._hosts:
                self._mend_others(name)
            for name in self._hosts:
                self._forget_neighbours(name)

    def _mend_links(self, name: str) -> bool:
        """Mend the links of a node; return whether they have to be waited for."""
        kept = self._kept[name].links
        channel = self._channels[name]
        bodies = state.look_at_links(channel, self._deadline)
        if bodies == kept:
            return False
        before = mended_links.read(kept)
        for _ in range(ROUNDS):
            now = mended_links.read(bodies)
            if now == before:
                self._kept[name] = dataclasses.replace(self._kept[name], links=bodies)  # equal next time, most likely
                return True
            self._mend(name, before, now)
            bodies = state.look_at_links(channel, self._deadline)
        raise self._cannot(name, mended_links.not_as_they_were(before, mended_links.read(bodies)))

    def _mend(self, name: str, before: dict[int, Link], now: dict[int, Link]) -> None:
        host = self._hosts[name]
        try:
            asked = mended_links.differences(before, now)
        except NetNSOSError as error:
            raise NetNSOSError(error.errno, f"{host}: {error.strerror}") from None
        self._channels[name].send(asked, self._deadline, GONE)
        for path, value in mended_links.ipv6_settings(before, now).items():
            host.sysctl[path] = value

    def _mend_others(self, name: str) -> None:
        channel = self._channels[name]
        for kind, kept in zip(state.KINDS, self._kept[name].others, strict=True):
            for _ in range(ROUNDS):
                wrong = state.differences(kind, kept, channel.dump(kind.get, self._deadline, kind.asked))
                if not wrong:
                    break
                asked = state.by_addresses(wrong, self._kept[name].others[0]) if kind is state.ROUTES else wrong
                channel.send(asked, self._deadline, DONE_ALREADY)
                if addresses := state.added(asked):
                    ready.wait(channel, {}, addresses, self._deadline)
            else:
                raise self._cannot(name, [str(one.what).removesuffix(" go") for one in wrong])

    def _cannot(self, name: str, what: list[str]) -> NetNSOSError:
        named = ", ".join([*dict.fromkeys(what)][:NAMED])
        text = f"{self._hosts[name]}: cannot be as it was: {named}; close the network and make it anew"
        return NetNSOSError(errno.EBUSY, text)

    def _wait(self, name: str) -> None:
        ports = self._plan.nodes[name].ports
        ready.wait(self._channels[name], {port.index: port for port in ports}, {}, self._deadline)

    def _forget_neighbours(self, name: str) -> None:
        channel = self._channels[name]
        found = neighbours.of(channel, self._deadline)
        if self._plan.nodes[name].kind == model.SWITCH:
            found += neighbours.of(channel, self._deadline, neighbours.AF_BRIDGE)
        asked = map(neighbours.forget, found)
        channel.send([one for one in asked if one is not None], self._deadline, GONE)
