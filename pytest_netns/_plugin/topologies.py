"""The fixtures that make networks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from .._errors import is_meant
from .fixtures import make
from .keys import originals_key

if TYPE_CHECKING:
    from .._netns.namespace import MakeNetNS, NetNS
    from .._topology.host import Host
    from .._topology.pair import NetNSPair
    from .._topology.plan import Plan
    from .._topology.topology import MakeTopology, Topology

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TOPOLOGY = "netns_topology"
LIMIT = 40  # rows of a drawing in a report
MARKER = (
    f"{TOPOLOGY}(text): let the fixture {TOPOLOGY} be this network, made and ready, such as "
    '"client -- router -- server"; a line is a line of links, and name [switch] says what a node is'
)

made_key = pytest.StashKey[list["Topology"]]()
"""The networks that were made since the set-up of the test that runs began."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    config.stash[made_key] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wrong = _wrong_marker(metafunc.definition)
    if wrong:
        raise pytest.Collector.CollectError(wrong)  # not UsageError, which pytest would show with a traceback


def pytest_itemcollected(item: pytest.Item) -> None:
    wrong = _wrong_marker(item)
    if wrong:  # a marker of one parameter, or a method of unittest.TestCase, which is not generated
        raise pytest.UsageError(wrong)


def _wrong_marker(item: pytest.Item) -> str:
    """Say what is wrong with the marker of a test; nothing if all is right, or there is none."""
    mark = item.get_closest_marker(TOPOLOGY)
    if mark is None:
        return ""
    if len(mark.args) + len(mark.kwargs) != 1 or not set(mark.kwargs) <= {"text"}:
        return (
            f"{item.nodeid}: @pytest.mark.{TOPOLOGY} takes the text of a network, as in "
            f'@pytest.mark.{TOPOLOGY}("client -- server")'
        )
    from .._topology.errors import TopologyError
    from .._topology.planning.planner import make_plan
    from .._topology.text.reading import parse

    try:
        make_plan(parse(_text_of(mark)))
    except (TopologyError, TypeError) as error:
        return f"{item.nodeid}: @pytest.mark.{TOPOLOGY}: {error}"
    return ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.config.stash[made_key].clear()


def _own(config: pytest.Config, net: Topology) -> None:
    """Have the namespaces of a network made in this session."""
    net._own(lambda kind, options, own: cast("Host", make(config, options, kind=kind, own=own)))
    config.stash[made_key].append(net)


@pytest.fixture(scope="session")
def netns_topology_factory(pytestconfig: pytest.Config, netns_factory: MakeNetNS) -> Iterator[MakeTopology]:
    """Make networks for fixtures of a wider scope: ``with netns_topology_factory("a -- b") as net: yield net``.

    It takes a text, or a Topology that is only described. What is still open at the end of the session is closed then.
    """
    from .._netns.together import ask_to_end_unless_kept
    from .._topology.topology import Topology

    made: list[Topology] = []
    with contextlib.ExitStack() as undo:

        def make_topology(topology: str | Topology) -> Topology:
            net = Topology(topology) if isinstance(topology, str) else topology
            _own(pytestconfig, net)
            undo.callback(net.close)
            made.append(net)
            net.wait_ready()
            return net

        yield make_topology
        ask_to_end_unless_kept(host for net in made for host in net._hosts.values())


@pytest.fixture
def netns_topology(
    request: pytest.FixtureRequest, netns_child_mode: str, netns_factory: MakeNetNS
) -> Iterator[Topology]:
    """A network of hosts, routers and switches: that of the marker netns_topology, or one for the test to describe.

    It is made when it is first used, as by netns_topology["client"], and closed at the end of the test.
    """
    from .._topology.topology import Topology

    mark = request.node.get_closest_marker(TOPOLOGY)
    net = Topology(None if mark is None else _text_of(mark))  # which was checked as the test was collected
    _own(request.config, net)
    with contextlib.closing(net):
        if len(net):
            net.wait_ready()
        yield net


def drawings(item: pytest.Item) -> Iterator[str]:
    """Yield a drawing of each network that a test uses. Of a large one, it is the beginning."""
    found = list(plans(item))
    if not found:
        return
    with item.config.stash[originals_key].in_place():
        from .._topology.drawing.as_text import draw
    for plan in found:
        yield draw(plan, LIMIT)


def plans(item: pytest.Item) -> Iterator[Plan]:
    """Yield the plan of each network that a test uses: one made for it, or that a fixture gave it, or a host of it."""
    made = item.config.stash[made_key]
    if not made and "netns_topology_factory" not in getattr(item, "fixturenames", ()):
        return
    with item.config.stash[originals_key].in_place():
        from .._topology.host import Host
        from .._topology.topology import Topology

    given: list[Any] = [*made]
    for value in (getattr(item, "funcargs", None) or {}).values():
        given += value if isinstance(value, (tuple, list)) else value.values() if isinstance(value, dict) else [value]
    found = [one._plan for one in given if isinstance(one, (Host, Topology))]
    yield from {id(plan): plan for plan in found if plan is not None}.values()


def name_in_test(item: pytest.Item, ns: NetNS) -> str:
    """Return how a test calls a namespace that a fixture has given it, such as ``netns_topology["client"]``."""
    from .._topology.host import Host
    from .._topology.pair import NetNSPair
    from .._topology.topology import Topology

    for name, value in (getattr(item, "funcargs", None) or {}).items():
        if value is ns:
            return str(name)
        if isinstance(value, Topology) and value._hosts.get(ns.label) is ns:
            return f'{name}["{ns.label}"]'
        if isinstance(value, NetNSPair) and ns in value:
            return f"{name}.{ns.label}"
    if isinstance(ns, Host):
        return f'net["{ns.label}"]'
    return ns.label if ns.label in getattr(item, "fixturenames", ()) else "ns"


def _text_of(mark: pytest.Mark) -> str:
    (text,) = (*mark.args, *mark.kwargs.values())
    return cast("str", text)


@pytest.fixture
def netns_pair(request: pytest.FixtureRequest, netns_child_mode: str, netns_factory: MakeNetNS) -> Iterator[NetNSPair]:
    """Two hosts (left, right) joined by a link.

    eth0 on each side has 192.0.2.1/24 and 2001:db8::1/64 (left), 192.0.2.2/24 and 2001:db8::2/64 (right), ready to use.
    """
    from .._topology.pair import TEXT, NetNSPair
    from .._topology.topology import Topology

    net = Topology(TEXT)
    _own(request.config, net)
    with contextlib.closing(net):
        yield NetNSPair(net["left"], net["right"])
