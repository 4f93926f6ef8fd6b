"""Causes that show in the two sockets of a connection, or in one that holds what nobody reads."""

from __future__ import annotations

from collections.abc import Iterator

from ..._snapshot.records import Socket
from .case import TALKED, Case, Finding, Subject, listeners, plural, said

OPEN = ("ESTAB", "FIN-WAIT-2", "FIN-WAIT-1", "CLOSE-WAIT")


def find(case: Case) -> Iterator[Finding]:
    """Yield who does not read, or does not answer, where something did not happen in time."""
    if not case.failure.is_late:
        return
    for subject, one in case.sockets():
        if one.kind == "tcp" and one.state in OPEN and not _is_server(subject, one):
            other = case.other_end(subject, one)
            if other is not None:
                yield from _of_connection(subject, one, *other)
        elif one.kind == "udp" and one.received and one.inode:
            yield _unread(subject, one, "datagrams of ")


def _is_server(subject: Subject, one: Socket) -> bool:
    """Whether a connection came to this end, as far as that shows: its port is listened on, or well known."""
    return bool(listeners(subject, "tcp", one.port)) or one.port < one.peer_port


def _of_connection(client: Subject, near: Socket, server: Subject, far: Socket) -> Iterator[Finding]:
    arrow = f"{client.label} -> {server.label}: " if client is not server else ""
    if not far.inode and far.state in ("ESTAB", "CLOSE-WAIT"):
        text = f"{arrow}nobody at {server.label!r} has accepted the connection to {far.local}"
        listening = listeners(server, "tcp", far.port)
        if listening:
            text += f"; it waits in the accept queue of {said(listening)}"
            yield Finding(TALKED, ("accept", server.label, str(far.port)), text, "call accept()")
    elif far.received:
        yield _unread(server, far, "", arrow)
    elif near.received and near.inode:
        yield _unread(client, near, "", arrow)
    elif far.bytes_in and far.bytes_in == near.bytes_out and not far.bytes_out and not far.unsent:
        text = (
            f"{arrow}the server at {server.label!r} has read all {plural(far.bytes_in, 'bytes')} that came over "
            f"{near.local} -> {near.remote}, and has sent nothing{_holder(far)}"
        )
        yield Finding(TALKED, ("silent", server.label, str(far.port)), text, "see what the server waits for")
    elif not (far.bytes_in or far.bytes_out or far.unsent or near.unsent):
        text = f"{arrow}{near.local} -> {near.remote} is connected, and neither end has sent a byte{_holder(far)}"
        yield Finding(TALKED, ("quiet", server.label, str(far.port)), text, "see which of them is to begin")


def _holder(sock: Socket) -> str:
    return f" [{', '.join(sock.holders)}]" if sock.holders else ""


def _unread(subject: Subject, sock: Socket, what: str, arrow: str = "") -> Finding:
    name = f"{sock.kind} {sock.local}"
    text = f"{arrow}{what}{plural(sock.received, 'bytes')} came to {name} at {subject.label!r}, and "
    text += f"nobody has read them{_holder(sock)}"
    return Finding(TALKED, ("unread", subject.label, sock.kind, str(sock.port)), text, "read from that socket")
