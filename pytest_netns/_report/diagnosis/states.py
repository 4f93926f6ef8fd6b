"""Causes that show in how a namespace is: its neighbours, and interfaces and addresses that its network had."""

from __future__ import annotations

from collections.abc import Iterator

from ..._snapshot.records import UNANSWERED
from .case import COUNTED, SEEN, Case, Finding, Subject
from .path import unanswered


def find(case: Case) -> Iterator[Finding]:
    """Yield what is not as it was planned, and neighbours that do not answer."""
    for subject in case.subjects:
        for one in subject.now.neighbours:
            stop = unanswered(case, subject, one.address) if one.state in UNANSWERED else None
            if stop is not None:
                text, remedy, topic = stop
                yield Finding(COUNTED, topic, f"{subject.label!r}, {text}", remedy)
        yield from _of_plan(subject)


def _of_plan(subject: Subject) -> Iterator[Finding]:
    links = {link.number: link for link in subject.now.links}
    for port in subject.planned.ports if subject.planned is not None else ():
        link = links.get(port.index)
        if link is None:
            text = f"{subject.label!r} has lost its interface {port.name}"
            yield Finding(SEEN, ("link", subject.label, port.name), text, "see who has deleted it")
        elif not link.is_up:
            text = f"{link.name} of {subject.label!r} is down"
            yield Finding(SEEN, ("link", subject.label, link.name), text, f"bring {link.name} up")
        elif lost := [str(one.ip) for one in port.addresses if not subject.has(str(one.ip))]:
            text = f"{link.name} of {subject.label!r} has lost {', '.join(lost)}"
            yield Finding(SEEN, ("address", subject.label, link.name), text, "add the address again")
