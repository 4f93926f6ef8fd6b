"""Who listens in another namespace for a connection that was refused, and what the test is to do about it."""

from __future__ import annotations

import ipaddress
import posix
from typing import TYPE_CHECKING, NamedTuple

import pytest

from .._errors import is_meant
from .._isolation import startup
from .._linux.sock_diag import IPAddress, Listener
from .._netns import listening
from .._netns.attempts import Attempt
from .._report.diagnosis.case import TRACED, Finding
from .._topology.host import Host
from .isolation import SCOPES, is_marked
from .keys import isolation_key, scope_key, session_key, settings_key
from .topologies import name_in_test

if TYPE_CHECKING:
    from .._netns.namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Space(NamedTuple):
    """A namespace of the session, or without one the original namespace, and what listens there on a port."""

    ns: NetNS | None
    cookie: int
    listeners: list[Listener]

    def __str__(self) -> str:
        return "outside" if self.ns is None else f"in {self.ns}"


class Found(NamedTuple):
    """What listens in another namespace on the port at which a connection was refused."""

    space: Space
    address: IPAddress
    inode: int | None
    """That of its socket, if it listens now; else a socket of the test did so as the test connected."""
    is_reached: bool
    """Whether the connection would have come to it there."""


def elsewhere_of(item: pytest.Item, attempt: Attempt) -> Finding | None:
    """Return what listens elsewhere for a connection that was refused, if anything does and that is certain.

    It is asked of the kernel in each namespace of the session, now.
    """
    spaces = _spaces(item.config, attempt)
    own = next((space for space in spaces if space.cookie == attempt.cookie), None)
    wanted = _address_of(attempt.host)
    if not attempt.cookie or own is None or _is_reached(own.listeners, wanted):
        return None
    found = [
        one
        for space in spaces
        if space is not own
        for one in _found_in(space, attempt, wanted)
        if _may_be_meant(own, one, wanted)
    ]
    if not found:
        return None
    best = max(found, key=lambda one: one.is_reached)
    text = (
        f"this test {'connected' if attempt.kind == 'tcp' else 'sent'} from {own.ns or 'outside'} to {attempt.host} "
        f"port {attempt.port} and was refused, but {_who_listens(best.inode)} on {attempt.kind} "
        f"{_with_port(best.address, attempt.port)} {best.space}"
    )
    told = _of_isolated(item, attempt, own, best) or (text, _remedy(item, attempt, own, best))
    return Finding(TRACED, ("elsewhere",), *told)


def _spaces(config: pytest.Config, attempt: Attempt) -> list[Space]:
    session = config.stash[session_key]
    inside = [Space(ns, *listening.look(ns, attempt.kind, attempt.port)) for ns in session.namespaces()]
    isolation = config.stash.get(isolation_key, None)
    if isolation is None:
        outside = Space(None, *listening.look(listening.Here(), attempt.kind, attempt.port))
    else:
        with isolation.outside():
            outside = Space(None, *listening.look(listening.Here(), attempt.kind, attempt.port))
    # A fixture that has yielded inside of one has not left it yet.
    return inside if outside.cookie in {space.cookie for space in inside} else [*inside, outside]


def _found_in(space: Space, attempt: Attempt, wanted: IPAddress | None) -> list[Found]:
    there = [Found(space, one.address, one.inode, _is_reached([one], wanted)) for one in space.listeners]
    if there:
        return there
    # What a ``with`` block has closed since.
    closed = [ipaddress.ip_address(bound.host) for bound in attempt.bound if bound.cookie == space.cookie]
    return [Found(space, one, None, one == wanted or not int(one)) for one in closed]


def _who_listens(inode: int | None) -> str:
    if inode is None:
        return "a socket of the test process, closed by now, listened"
    who = listening.who_holds(inode)
    if who is None:
        return "somebody listens"
    pid, command = who
    return "a socket of the test process listens" if pid == posix.getpid() else f"process {pid} ({command}) listens"


def _may_be_meant(own: Space, found: Found, wanted: IPAddress | None) -> bool:
    """Whether a connection may have been meant for what was found, and did not just go to a port of that number."""
    if own.ns is not None and found.space.ns is not None:
        return True
    return wanted is None or wanted.is_loopback or wanted.is_unspecified or wanted == found.address


def _address_of(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None  # a name, such as localhost


def _is_reached(listeners: list[Listener], wanted: IPAddress | None) -> bool:
    return any(wanted is None or wanted.is_unspecified or one.takes(wanted) for one in listeners)


def _with_port(address: IPAddress, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _remedy(item: pytest.Item, attempt: Attempt, own: Space, found: Found) -> str:
    other = found.space.ns
    if other is None:
        assert own.ns is not None
        name = name_in_test(item, own.ns)
        make = "create_server" if attempt.kind == "tcp" else "socket"
        return f"start what listens inside, by {name}.popen(...) or {name}.{make}(...), or connect from outside"
    if own.ns is not None and _are_of_one_network(own.ns, other):
        return _remedy_between_hosts(found, other)
    name = name_in_test(item, other)
    make = "create_connection" if attempt.kind == "tcp" else "socket"
    marker = " or @pytest.mark.netns_isolate" if name == "netns" and scope_key not in item.stash else ""
    return f"connect there, by {name}.{make}(...), or let the code that connects run there, by {name}.call(...){marker}"


def _are_of_one_network(one: NetNS, other: NetNS) -> bool:
    return isinstance(one, Host) and isinstance(other, Host) and one._is_beside(other)


def _remedy_between_hosts(found: Found, other: NetNS) -> str:
    assert isinstance(other, Host)
    if found.address.is_loopback:
        return "no other host reaches its loopback: let it listen on an address of the host, and connect to that"
    return f"connect to that host, whose name is {other.label!r}"


def _of_isolated(item: pytest.Item, attempt: Attempt, own: Space, found: Found) -> tuple[str, str] | None:
    """Say it of an isolated test and of what is outside its namespace, where what is wider than the test is."""
    isolation, scope = item.config.stash.get(isolation_key, None), item.stash.get(scope_key, None)
    if isolation is None or scope is None or found.space.ns is not None:
        return None
    if isolation.test_ns is None or isolation.test_ns.ns is not own.ns:
        return None
    isolate = item.config.stash[settings_key].isolate
    where = startup.where_without_network(isolate, scope=scope, is_marked=is_marked(item))
    refused = f"this test ran {where}, and was refused by {attempt.host} port {attempt.port}"
    fixture = isolation.outside_fixtures.listener(attempt.port)
    if fixture is None:
        remedy = "start it inside, by a fixture of the test, or let tests share a namespace with what starts it: "
        return (
            f"{refused}, on which somebody listens outside",
            f"{remedy}--netns-isolate=class, module, session or worker",
        )
    name, fixture_scope = fixture
    return (
        f"{refused}: there the fixture {name!r} of {fixture_scope} scope listens, outside",
        _remedy_of_isolated(scope, fixture_scope),
    )


def _remedy_of_isolated(scope: str, fixture_scope: str) -> str:
    """Say how tests of a scope come to reach a fixture that is outside."""
    wider = fixture_scope if fixture_scope in SCOPES else SCOPES[-1]
    if scope in SCOPES[SCOPES.index(wider) :]:
        return "a test that is not isolated was the first to use it: isolate that, too"
    return f"let them share a namespace: --netns-isolate={wider}, or @pytest.mark.netns_isolate(scope={wider!r})"
