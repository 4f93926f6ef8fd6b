"""The fixtures that make networks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from .._errors import is_meant
from .fixtures import make

if TYPE_CHECKING:
    from .._netns.namespace import MakeNetNS
    from .._topology.host import Host
    from .._topology.pair import NetNSPair
    from .._topology.topology import MakeHost, MakeTopology, Topology

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TOPOLOGY = "netns_topology"
MARKER = (
    f"{TOPOLOGY}(text): let the fixture {TOPOLOGY} be this network, made and ready, such as "
    '"client -- router -- server"; a line is a line of links, and name [switch] says what a node is'
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


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


def _make_host(config: pytest.Config) -> MakeHost:
    return lambda kind, options, own: cast("Host", make(config, options, kind=kind, own=own))


@pytest.fixture(scope="session")
def netns_topology_factory(pytestconfig: pytest.Config, netns_factory: MakeNetNS) -> Iterator[MakeTopology]:
    """Make networks for fixtures of a wider scope: ``with netns_topology_factory("a -- b") as net: yield net``.

    It takes a text, or a Topology that is only described. What is still open at the end of the session is closed then.
    """
    from .._netns.together import ask_to_end
    from .._topology.topology import Topology

    made: list[Topology] = []
    with contextlib.ExitStack() as undo:

        def make_topology(topology: str | Topology) -> Topology:
            net = Topology(topology) if isinstance(topology, str) else topology
            net._own(_make_host(pytestconfig))
            undo.callback(net.close)
            made.append(net)
            net.wait_ready()
            return net

        yield make_topology
        ask_to_end(host for net in made for host in net._hosts.values())


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
    net._own(_make_host(request.config))
    with contextlib.closing(net):
        if len(net):
            net.wait_ready()
        yield net


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
    net._can_be_reset = False  # the pair of hosts has no such method
    net._own(_make_host(request.config))
    with contextlib.closing(net):
        yield NetNSPair(net["left"], net["right"])
