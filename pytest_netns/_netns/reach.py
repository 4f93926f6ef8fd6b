"""The assertions that an address is reached from a namespace, or that something blocks the way to it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .._arguments import check_timeout
from .._errors import is_meant
from .._linux import syscalls
from . import tried, way
from .icmp import ANSWERED, EXPIRED, FAILED, REFUSED, UNREACHABLE, Heard
from .probes import Connection, Echo, Probe, Target, closing, run
from .trace import trace

if TYPE_CHECKING:
    from .namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

By: TypeAlias = Literal["drop", "reject", "reset"]
DROP, REJECT, RESET = BY = ("drop", "reject", "reset")
BY_DEFAULT = (DROP, REJECT)
OWN = {errno.EPERM: DROP, errno.EINVAL: DROP, errno.EACCES: REJECT}
"""What the namespace itself does to a packet, by the error: a filter of its own, or a route of type blackhole or
prohibit."""
Control: TypeAlias = "str | tuple[str, int]"

GIVE = "give as control= what is reached the same way, such as control=('server', 22)"
ECHO_TIMEOUT = 1.0  # seconds for an echo, where it is a port that is blocked
CONTROL_TIMEOUT = 5.0  # seconds for what is to answer where something else is blocked
# Seconds after which the kernel has given up a neighbour: it asks three times, a second apart (arp(7), mcast_solicit
# and retrans_time_ms). A router says then that the next one does not answer.
GIVEN_UP = 3.5
# Seconds in which a router comes to be allowed one more such message to the same address (icmp(7), icmp_ratelimit).
MAY_SPEAK = 1.2


class Destination:
    """What is tried: a host, and a TCP port or none.

    :raises TypeError: they are something else.
    :raises ValueError: the port is out of range.
    :raises OSError: the host is not known.
    """

    def __init__(self, ns: NetNS, host: Any, port: Any) -> None:
        if not isinstance(host, str) or not host:
            raise TypeError(f"the address is a str, such as '192.0.2.2' or the name of a host, not {host!r}")
        if port is not None and (not isinstance(port, int) or isinstance(port, bool)):
            raise TypeError(f"the port is an int, or None for an ICMP echo, not {port!r}")
        if port is not None and not 0 < port < 65536:
            raise ValueError(f"the port is a number from 1 to 65535, or None for an ICMP echo, not {port!r}")
        self.ns, self.host, self.port = ns, host, port
        found = ns._maker().look_up(host, port or 0, 0, socket.SOCK_STREAM)
        self.targets = [Target(family, sockaddr[0], sockaddr) for family, _, _, _, sockaddr in found]

    def __str__(self) -> str:
        only = self.targets[0].address if len(self.targets) == 1 else ""
        named = self.host if only in ("", self.host) else f"{self.host} ({only})"
        return named if self.port is None else f"port {self.port} of {named}"

    def probe(self, target: Target) -> Probe:
        make = self.ns.socket
        return Echo(make, target) if self.port is None else Connection(make, target)

    def describe(self, probe: Probe) -> list[str]:
        """Say what was tried, what came of it, and which way it went."""
        tried = probe.what[0] if probe.tries == 1 else f"{probe.tries} {probe.what[1]}"
        came = "nothing" if probe.last is None else probe.last.text
        lines = [f"  {tried} to {probe.target.address}; what came back: {came}"]
        found = way.find(self.ns, probe.target.family, probe.target.sockaddr)
        lines.append(f"  {found}{''.join(f'; {text}' for text in self._state_of(found))}")
        if found.gateway is not None:
            # A router that has said something may say no more for a second (icmp(7), icmp_ratelimit).
            seen = [] if probe.last is not None and probe.last.sender else trace(self.ns.socket, probe.target)
            self.ns._observed.expired += len(seen)
            lines += [f"  the last router that says it would forward it is {seen[-1]}"] if seen else []
        return [*lines, *(f"  {line}" for line in self.ns._explain(probe.target.address))]

    def _state_of(self, found: way.Way) -> list[str]:
        if found.number or found.is_local:
            return []
        trouble = way.link_trouble(self.ns, found)
        return [trouble] if trouble else [way.neighbour(self.ns, found)[1]]


def _is(kind: str) -> Callable[[list[Probe]], bool]:
    return lambda probes: any(one.last is not None and one.last.kind == kind for one in probes)


def reach(ns: NetNS, host: Any, port: Any, timeout: float) -> float:
    """Do what ``NetNS.reach`` does."""
    check_timeout(timeout, "timeout")
    to = Destination(ns, host, port)
    with closing([to.probe(target) for target in to.targets]) as probes:
        run(probes, syscalls.monotonic() + timeout, _is_decided)
        times = [probe.seconds for probe in probes if probe.seconds is not None]
        if times:
            return min(times)
        refused = [probe for probe in probes if probe.last is not None and probe.last.kind == REFUSED]
        if refused:
            text = (
                f"{ns} reaches the host {refused[0].target.address}, but not its port {port}: nobody listens there, or "
                "a filter resets connections"
            )
        else:
            text = f"{ns} does not reach {to} within {timeout:g} s"
        error = AssertionError("\n".join([text, *(line for probe in probes for line in to.describe(probe))]))
        kind, address = "icmp" if port is None else "tcp", (refused or probes)[0].target.address
        tried.note(error, tried.Tried(str(ns), kind, address.partition("%")[0], port or 0))
        raise error


def _is_decided(probes: list[Probe]) -> bool:
    return _is(ANSWERED)(probes) or all(probe.last is not None and probe.last.kind == REFUSED for probe in probes)


class Blocked:
    """Checks that something blocks the way to a destination.

    :param by: how it may: the verdicts that count.
    :param control: what is to be reached meanwhile, or ``None``.
    """

    def __init__(self, to: Destination, timeout: float, by: tuple[str, ...], control: Destination | None) -> None:
        self._to = to
        self._ns = to.ns
        self._timeout = timeout
        self._by = by
        self._control = control

    def check(self) -> None:
        """Do it.

        :raises AssertionError: nothing does, or it cannot be told.
        """
        ways = {target: way.find(self._ns, target.family, target.sockaddr) for target in self._to.targets}
        routed = [target for target, one in ways.items() if one.number not in way.NO_ROUTE]
        if not routed:
            raise AssertionError(
                f"{self._ns}: whether {self._to} is blocked cannot be told: {next(iter(ways.values()))}"
            )
        began = syscalls.monotonic()
        with closing([self._to.probe(target) for target in routed]) as probes:
            run(probes, began + self._timeout, self._is_decided)
            for probe in probes:
                self._check(probe)
            if self._control is not None:
                self._check_control(self._control)
            else:
                for probe in probes:
                    self._check_network(probe, ways[probe.target], began)
            run(probes, 0, self._is_decided)  # what has come meanwhile
            for probe in probes:
                self._check(probe)

    def _is_decided(self, probes: list[Probe]) -> bool:
        """Whether one got through, or each has been told that it does not."""
        said = [probe.last for probe in probes]
        return _is(ANSWERED)(probes) or all(one is not None and one.kind != FAILED for one in said)

    def _check(self, probe: Probe) -> None:
        if probe.last is not None and probe.last.kind in (UNREACHABLE, EXPIRED, FAILED) and not _verdict(probe.last)[0]:
            raise self._untold(probe, "the network does not get a packet there")
        verdict, reason = _verdict(probe.last)
        if verdict not in self._by:
            text = f"{self._ns}: {self._to} is not blocked: {reason}"
            raise AssertionError("\n".join([text, *self._to.describe(probe)]))

    def _check_control(self, control: Destination) -> None:
        try:
            reach(self._ns, control.host, control.port, CONTROL_TIMEOUT)
        except AssertionError as error:
            text = f"{self._ns}: whether {self._to} is blocked cannot be told, since the control fails too"
            raise AssertionError(f"{text}:\n{error}") from None

    def _check_network(self, probe: Probe, found: way.Way, began: float) -> None:
        """See whether a packet would have arrived that nothing blocks, as far as that shows from here."""
        last = probe.last
        is_rejected = last is not None and last.kind in (UNREACHABLE, REFUSED)
        if found.is_local or (is_rejected and last is not None and last.sender != found.source):
            return  # who rejects a packet has got it
        if found.number:
            raise self._untold(probe, f"{found}, and nothing else is tried; {GIVE}")
        if self._to.port is not None and self._answers(probe.target):
            return
        trouble = way.link_trouble(self._ns, found)
        if trouble or not way.confirm(self._ns, found, GIVEN_UP):
            raise self._untold(probe, trouble or f"{found.next_hop} does not answer on {found.interface}")
        if found.gateway is not None:
            self._check_routers(probe, found.gateway)

    def _check_routers(self, probe: Probe, gateway: str) -> None:
        """See whether a router says that it knows no way on, or that the next one does not answer."""
        target = probe.target
        seen = trace(self._ns.socket, target, most=1, timeout=GIVEN_UP)
        self._ns._observed.expired += len(seen)
        if not seen:
            raise self._untold(probe, f"the router {gateway} does not say that it forwards to there; {GIVE}")
        syscalls.sleep(MAY_SPEAK)  # or it might have to keep it to itself
        with closing([Echo(self._ns.socket, target)]) as probes:
            run(probes, syscalls.monotonic() + GIVEN_UP, lambda probes: probes[0].last is not None)
            last = probes[0].last
            if last is not None and (last.kind == EXPIRED or (last.kind == UNREACHABLE and not last.is_prohibition)):
                raise self._untold(probes[0], "the network does not get a packet there")

    def _untold(self, probe: Probe, reason: str) -> AssertionError:
        text = f"{self._ns}: whether {self._to} is blocked cannot be told: {reason}"
        return AssertionError("\n".join([text, *self._to.describe(probe)]))

    def _answers(self, target: Target) -> bool:
        """Whether the host answers to an echo, where it is a port that is blocked."""
        with closing([Echo(self._ns.socket, target)]) as probes:
            run(probes, syscalls.monotonic() + ECHO_TIMEOUT, _is(ANSWERED))
            return _is(ANSWERED)(probes)


def _verdict(last: Heard | None) -> tuple[str, str]:
    """Return by what a packet was blocked, or nothing; and why it does not count, if it does not."""
    if last is None:
        return DROP, "nothing came back, and by= names another way"
    if last.kind == ANSWERED:
        return "", f"it answers with {last.text}"
    if last.kind == REFUSED:
        return RESET, "its port is closed, or a filter resets connections, which counts with by='reset'"
    if last.kind == UNREACHABLE and last.is_prohibition:
        return REJECT, "a filter rejects it, and by= names another way"
    if last.kind == FAILED and last.number in OWN:
        return OWN[last.number], f"this namespace does not send it ({last.text}), and by= names another way"
    return "", ""


def blocked(ns: NetNS, host: Any, port: Any, timeout: float, by: Any, control: Any) -> None:
    """Do what ``NetNS.blocked`` does."""
    check_timeout(timeout, "timeout")
    if by is not None and by not in BY:
        raise ValueError(f"by is one of {', '.join(map(repr, BY))}, or None for the first two, not {by!r}")
    if control is not None and not isinstance(control, str):
        if not isinstance(control, tuple) or len(control) != 2:
            raise TypeError(f"control is what is to be reached: an address, or ('server', 22), not {control!r}")
        other: Destination | None = Destination(ns, *control)
    else:
        other = None if control is None else Destination(ns, control, None)
    Blocked(Destination(ns, host, port), timeout, BY_DEFAULT if by is None else (by,), other).check()
