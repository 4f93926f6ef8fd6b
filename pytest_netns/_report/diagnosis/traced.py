"""Causes that are found by following a packet: there, what takes it at its goal, and back."""

from __future__ import annotations

from collections.abc import Iterator

from ..._netns.tried import Tried
from ..._snapshot.records import Socket
from .case import TRACED, Case, Finding, Subject, listeners, plural, said, takes, untold
from .packet import Packet
from .path import Followed, follow

OPENING = ("SYN-SENT",)
WAITING = ("ESTAB", "FIN-WAIT-1", "CLOSE-WAIT", "LAST-ACK", "CLOSING")


def find(case: Case) -> Iterator[Finding]:
    """Yield what stops the packets of what has failed."""
    seen: set[tuple[str, str, str, int]] = set()
    for subject, attempt, source in _tried(case):
        key = (subject.name, *attempt[1:])
        if key not in seen:
            seen.add(key)
            with untold():
                yield from _of(case, subject, attempt, source)


def _tried(case: Case) -> Iterator[tuple[Subject, Tried, str]]:
    """Yield what was tried, and from which address, if that is known."""
    for subject, attempt in case.attempts():
        wanted = (attempt.kind, attempt.address, attempt.port)
        bound = (one.address for one in subject.now.sockets if (one.kind, one.peer, one.peer_port) == wanted)
        yield subject, attempt, next(bound, "")
    if not case.failure.is_of_network:
        return
    for subject, one in case.sockets():
        is_lost = one.kind == "tcp" and one.state in WAITING and one.unsent and one.retransmits
        if one.state in OPENING or is_lost or _is_waiting_datagram(case, one):
            yield subject, Tried(subject.name, one.kind, one.peer, one.peer_port), one.address


def _is_waiting_datagram(case: Case, one: Socket) -> bool:
    """Whether it is a UDP socket that is connected, and nothing waits in it."""
    return one.kind == "udp" and one.state == "ESTAB" and not one.received and case.failure.is_late


def _of(case: Case, subject: Subject, attempt: Tried, source: str) -> Iterator[Finding]:
    there = follow(case, subject, Packet(attempt.kind, attempt.address, attempt.port, source))
    goal = (case.owner(subject, attempt.address) or case.should_have(subject, attempt.address) or there.hops[-1]).label
    if there.stop:
        yield _stopped(there, goal, _called(attempt))
        return
    last = there.hops[-1]
    if not last.has(attempt.address) or there.topic:
        return  # it leaves what is known here, or it is not clear what becomes of it
    yield from _at_the_goal(case, there, last, attempt)
    if there.source and there.source != attempt.address:
        answer = Packet(attempt.kind, there.source, attempt.port, attempt.address, is_answer=True)
        back = follow(case, last, answer)
        if back.stop:
            what = f"what goes to {last.label!r} arrives; the answer from {attempt.address} to {there.source}"
            yield _stopped(back, subject.label, what, there)


def _called(attempt: Tried) -> str:
    if attempt.kind == "icmp":
        return f"what goes to {attempt.address}"
    return f"what goes to {attempt.kind.upper()} port {attempt.port} of {attempt.address}"


def _stopped(followed: Followed, goal: str, what: str, there: Followed | None = None) -> Finding:
    """Return what says where a packet stops.

    :param there: the path of what it answers, if it does.
    """
    arrow = followed.arrow(goal) if there is None else there.arrow("")
    text = f"{arrow}{what} gets as far as {followed.hops[-1].label!r}, {followed.stop}"
    return Finding(TRACED, followed.topic, text, followed.remedy)


def _at_the_goal(case: Case, there: Followed, last: Subject, attempt: Tried) -> Iterator[Finding]:
    found = listeners(last, attempt.kind, attempt.port) if attempt.kind != "icmp" else []
    taking = [one for one in found if takes(one, attempt.address)]
    arrow = there.arrow(last.label)
    for one in taking:
        if one.state == "LISTEN" and one.received > one.unsent:
            yield full(last, one, arrow)
    is_refused = case.failure.is_refused if attempt.kind == "tcp" else last.rose("UdpNoPorts", "Udp6NoPorts") > 0
    if is_refused and not taking and attempt.kind != "icmp":
        yield _nobody(case, last, attempt, found, arrow)


def full(subject: Subject, sock: Socket, arrow: str = "") -> Finding:
    """Return what says that the accept queue of a socket is full."""
    dropped = subject.rose("TcpExtListenOverflows")
    counted = f", and {plural(dropped, 'connections')} did not fit in" if dropped else ""
    return Finding(
        TRACED,
        ("accept queue", subject.label, str(sock.port)),
        f"{arrow}the accept queue of {said([sock])} at {subject.label!r} is full: "
        f"{sock.received} wait and its backlog is {sock.unsent}{counted}",
        "accept the connections, or listen with a larger backlog",
    )


def _nobody(case: Case, last: Subject, attempt: Tried, found: list[Socket], arrow: str) -> Finding:
    """Return what says that nobody takes what has come, and who takes what near it."""
    kind, port = attempt.kind, attempt.port
    does = "listens on" if kind == "tcp" else "has a socket bound to"
    remedy = f"start the server at {last.label!r} before, or try the port that it {does.split()[0]} on"
    others = [one for one in case.subjects if one is not last and one.network is last.network]
    elsewhere = [one for one in others if listeners(one, kind, port)]
    nearby = [one for one in listeners(last, kind) if not one.address.startswith("127.")]
    if found:
        more = f"; its socket there is bound to another address: {said(found)}"
        remedy = f"bind it to {attempt.address}, or to every address"
    elif elsewhere:
        more = f"; at {elsewhere[0].label!r} somebody does: {said(listeners(elsewhere[0], kind, port))}"
        remedy = f"try {elsewhere[0].label!r}, or start the server at {last.label!r}"
    else:
        more = f"; {kind.upper()} ports there: {said(nearby)}" if nearby else ""
    text = f"{arrow}nobody at {last.label!r} {does} {kind.upper()} port {port} of {attempt.address}{more}"
    return Finding(TRACED, ("nobody" if arrow else "nobody here", last.label, kind, str(port)), text, remedy)
