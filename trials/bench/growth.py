"""Whether a socket and a namespace cost the same however many namespaces live.

A namespace costs the kernel itself more when there are many, so the bare system calls stand beside it.
"""

from __future__ import annotations

import contextlib
import resource

from pytest_netns._netns.factory import Session

from . import report
from .namespaces import floor
from .sockets import close
from .timing import Case, interleave, samples

LEVELS = (1, 10, 100, 1000)
CALLS = {"socket": "socket()", "namespace": "namespace() + close()", "floor": "the system calls of a namespace"}


def section(quick: bool) -> report.Section:
    """Measure with more and more namespaces alive; the socket is made in the newest of them."""
    # What a level needs: a descriptor of each namespace, here and in the child, and room for the rest of both.
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100
    levels = [level for level in LEVELS if level <= room]
    times: dict[str, list[float]] = {}
    with contextlib.closing(Session()) as session:
        alive = 0
        for level in levels:
            while alive < level:
                newest = session.namespace()
                alive += 1
            # Not in turns with the namespaces: the kernel frees one for some milliseconds after it was closed.
            times |= interleave([Case(f"growth.socket.{level}", newest.socket, close)], 10 if quick else 500)
            cases = [
                Case(f"growth.floor.{level}", floor, in_a_row=2),
                Case(f"growth.namespace.{level}", lambda: session.namespace().close(), in_a_row=2),
            ]
            times |= interleave(cases, 5 if quick else 60)
    labels = {f"growth.{key}.{level}": f"{text}, {level:,} alive" for key, text in CALLS.items() for level in levels}
    return report.Section(
        "with more namespaces alive, resident",
        report.rows(samples(times), labels),
        (report.Column("x first", {key: f"{key.rpartition('.')[0]}.1" for key in labels if not key.endswith(".1")}),),
        None
        if len(levels) == len(LEVELS)
        else f"up to {levels[-1]} only: the limit of open files ends it (ulimit -Hn)",
    )
