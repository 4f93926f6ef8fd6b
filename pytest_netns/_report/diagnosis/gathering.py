"""What is looked at when a test has failed: all namespaces that are open then."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..._child.resident.requests import key_of
from ..._errors import is_meant
from ..._linux import syscalls
from ..._netns.namespace import NetNS
from ..._netns.tried import Tried
from ..._snapshot import counters, watch
from ..._snapshot.raw import Look, Raw
from ..._snapshot.snapshot import Snapshot
from ..._snapshot.start import Start
from ..._snapshot.taking import Snapshots
from ..._topology.host import Host
from ..._topology.making.build import sysctls_of
from . import changed, failure, why
from .case import Case, Finding, Subject
from .failure import Failure

if TYPE_CHECKING:
    from ..._frames.frame import Frame
    from ..._netns.attempts import Attempts

    Told = tuple[list[str], list[str], list[str]]

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TIMEOUT = 5.0  # seconds for all of it
MANY = 30  # namespaces, of which not all sysctls are read
MOST_TROUBLES = 3


def describe(
    spaces: Sequence[NetNS],
    start: Start,
    error: BaseException,
    snapshots: Snapshots,
    attempts: Attempts | None = None,
    frames: Sequence[Frame] = (),
    elsewhere: Finding | None = None,
) -> Told:
    """Return what a report says of the network of a test that has failed, in lines: why, what changed, what is missing.

    :param spaces: the namespaces that are open.
    :param error: what the test has raised.
    :param attempts: the connections that the test has begun.
    :param frames: what has crossed links meanwhile, if that was recorded.
    :param elsewhere: who listens elsewhere for a connection that was refused, by which the test has failed.
    """
    deadline = syscalls.monotonic() + TIMEOUT
    with contextlib.ExitStack() as looks:
        subjects: list[Subject] = []
        troubles: list[str] = []
        for ns in spaces:
            try:
                look = looks.enter_context(snapshots.look(ns._handle, deadline))
                raw = look.take(with_sysctls=len(spaces) <= MANY)
                subjects.append(_subject(ns, start, snapshots, look, raw))
            except Exception as trouble:
                troubles.append(f"{ns} could not be looked at: {trouble}")
                if len(troubles) == MOST_TROUBLES:
                    troubles.append("others were not tried any more")
                    break
        failed = failure.read(error)
        if attempts is not None:
            failed = failed._replace(attempts=(*failed.attempts, *_begun(subjects, failed, attempts, error)))
        case = Case(subjects, failed, syscalls.monotonic() - start.time, frames, elsewhere)
        causes = why.lines(case) if subjects or elsewhere is not None else ()
        return list(causes), list(changed.lines(subjects)), troubles


def _begun(subjects: Sequence[Subject], failed: Failure, attempts: Attempts, error: BaseException) -> Iterator[Tried]:
    """Yield what a test had tried at last, as far as it is clear from which namespace."""
    attempt = attempts.given_up(error)
    for one in subjects:
        if attempt is not None and one.cookie == attempt.cookie:
            yield Tried(one.name, attempt.kind, attempt.host.partition("%")[0], attempt.port)
    last = attempts.last
    senders = [one for one in subjects if one.rose("UdpOutDatagrams", "Udp6OutDatagrams")]
    if failed.is_late and last is not None and len(senders) == 1 and not attempts.has_connected(last):
        yield Tried(senders[0].name, "udp", str(last[0]).partition("%")[0], int(last[1]))


def _subject(ns: NetNS, start: Start, snapshots: Snapshots, look: Look, raw: Raw) -> Subject:
    handle = ns._handle
    deadline = syscalls.monotonic() + TIMEOUT
    now = snapshots.read(raw, deadline)
    counted, rules = start.counted.get(handle.key, ([], []))
    before = _before(ns, snapshots.fresh(handle.loopback, deadline), now)
    is_known = handle.key not in start.unknown
    return Subject(
        str(ns),
        now,
        Snapshot(before, before.sysctls),
        counters.parse(*filter(None, counted)) if is_known else dict(now.counters),
        watch.packets(rules) if is_known else watch.packets(now._raw.dumps["nft rules"]),
        ns._plan if isinstance(ns, Host) else None,
        ns._planned if isinstance(ns, Host) else None,
        ns._observed.expired,
        look,
        look.cookie,
    )


def _before(ns: NetNS, fresh: Raw, now: Snapshot) -> Raw:
    """Return what a namespace had at first: a node of a network what it was built with, another one nothing."""
    dumps: dict[str, list[bytes]] = {}
    sysctls = dict(fresh.sysctls)
    built = ns._built if isinstance(ns, Host) else None
    if built is not None and isinstance(ns, Host):
        addresses, rules, routes, qdiscs = built.others
        dumps = {"links": built.links, "addresses": addresses, "rules": rules, "routes": routes, "qdiscs": qdiscs}
        sysctls |= {key: value for key, value in now._raw.sysctls.items() if key.endswith(".addr_gen_mode")}
        begun = sysctls_of(ns._planned, has_ipv6=ns._plan.has_ipv6)
        sysctls |= {key_of(path): value.encode() for path, value in begun.items()}
    return dataclasses.replace(fresh, label=ns.label, dumps={**fresh.dumps, **dumps}, sysctls=sysctls)
