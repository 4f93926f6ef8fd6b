"""What the report says of a connection that was refused while somebody listens on that port in another namespace."""

from __future__ import annotations

import itertools
import re
from importlib.util import find_spec

import pytest

from tests.support.helpers import needs_privilege
from tests.support.suites import read_suite

pytestmark = pytest.mark.slow

SUITE = read_suite(__file__, "refusals")
PORT = r"127\.0\.0\.1 port \d+"
OUTSIDE = rf"this test connected from outside to {PORT} and was refused, but "
OWN = r"a socket of the test process listens on "
INSIDE = r"tcp 127\.0\.0\.1:\d+ in namespace 'netns': "
ISOLATE = " or @pytest.mark.netns_isolate"


def remedy(name: str, make: str = "create_connection", more: str = "") -> str:
    return re.escape(
        f"connect there, by {name}.{make}(...), or let the code that connects run there, by {name}.call(...){more}"
    )


HERE = remedy("netns", more=ISOLATE)
PLAIN = OUTSIDE + OWN + INSIDE + HERE
UDP = PLAIN.replace("connected from", "sent from").replace("tcp", "udp").replace("create_connection", "socket")
FROM_INSIDE = (
    OUTSIDE.replace("outside", "namespace 'netns'")
    + r"a socket of the test process, closed by now, listened on tcp 127\.0\.0\.1:\d+ outside: "
    + re.escape("start what listens inside, by netns.popen(...) or netns.create_server(...), or connect from outside")
)
TOLD = {
    "test_plain": PLAIN,
    "test_helper": PLAIN,
    "test_name": PLAIN,
    "test_in_a_block": OUTSIDE + "a socket of the test process, closed by now, listened on " + INSIDE + HERE,
    "test_in_a_thread": PLAIN,
    "test_urllib": PLAIN,
    "test_asyncio": PLAIN,
    "test_trio": PLAIN,
    "test_httpx": PLAIN,
    "test_program": OUTSIDE
    + r"process \d+ \(\S+ -m http\.server 8765\) listens on tcp 0\.0\.0\.0:8765 in namespace 'netns': "
    + HERE,
    "test_ipv6": PLAIN.replace(PORT, r"::1 port \d+").replace(r"tcp 127\.0\.0\.1:", r"tcp \[::1\]:"),
    "test_udp": UDP,
    "test_udp_elsewhere": UDP,
    "test_the_last_of_several": PLAIN,
    "test_fails_otherwise": PLAIN,
    "test_set_up": PLAIN,
    "test_named": OUTSIDE.replace("outside", "namespace 'client'")
    + OWN
    + INSIDE.replace("netns", "server")
    + remedy("ns"),
    "test_from_inside": FROM_INSIDE,
    "test_from_inside_by_name": FROM_INSIDE,
    "test_hosts": OUTSIDE.replace("outside", "namespace 'right'")
    + OWN
    + r"tcp 192\.0\.2\.1:80 in namespace 'left': connect to that host, whose name is 'left'",
    "test_loopback_of_a_host": OUTSIDE.replace("outside", "namespace 'client'")
    + OWN
    + r"tcp 127\.0\.0\.1:80 in namespace 'server': no other host reaches its loopback: let it listen on an address of "
    "the host, and connect to that",
    "test_outside_and_a_host": OUTSIDE + OWN + INSIDE.replace("netns", "server") + remedy('netns_topology["server"]'),
}


def found(result: pytest.RunResult) -> dict[str, list[str]]:
    """Return what the report of each test says of the network."""
    told: dict[str, list[str]] = {}
    name = ""
    for line, following in itertools.pairwise([*result.outlines, ""]):
        title = re.fullmatch(r"_+ (?:ERROR at setup of )?(test_\w+) _+", line)
        name = title[1] if title else name
        if line.startswith("why: this test"):
            told.setdefault(name, []).append(f"{line.removeprefix('why: ')}: {following.strip()}")
    return told


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-n", "2"),
        pytest.param(("--netns-userns=process",), marks=needs_privilege),
        ("--netns-userns=resident",),
    ],
    ids=" ".join,
)
def test_who_listens_is_told(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("--tb=short", *options)
    told = found(result)
    if find_spec("httpx") is None:
        told["test_httpx"] = told["test_urllib"]
    assert {name: len(lines) for name, lines in told.items()} == dict.fromkeys(TOLD, 1)
    for name, (line,) in told.items():
        assert re.fullmatch(TOLD[name], line), line
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"], outcomes["errors"]) == (1, 30 - outcomes.get("skipped", 0), 1)


INSIDE_OF_ONE = """
    import socket
    import pytest

    @pytest.fixture(scope="module")
    def inside(netns_factory):
        with netns_factory("wider") as ns:
            yield ns.create_server(("127.0.0.1", 0)).getsockname()

    @pytest.mark.netns_isolate
    def test_namespace_of_a_wider_fixture(inside):
        socket.create_connection(inside)

    @pytest.mark.netns_isolate
    def test_its_own(netns, make_netns):
        with netns.create_server(("127.0.0.1", 0)) as server:
            make_netns("other").create_connection(server.getsockname())
"""


def test_tests_that_are_inside(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(INSIDE_OF_ONE)
    told = found(pytester.runpytest_subprocess())
    assert told.keys() == {"test_namespace_of_a_wider_fixture", "test_its_own"}
    assert re.fullmatch(
        OUTSIDE.replace("outside", "namespace 'netns'") + OWN + INSIDE.replace("netns", "wider") + remedy("ns"),
        "".join(told["test_namespace_of_a_wider_fixture"]),
    )
    assert re.fullmatch(
        OUTSIDE.replace("outside", "namespace 'other'")
        + "a socket of the test process, closed by now, listened on "
        + INSIDE
        + remedy("netns"),
        "".join(told["test_its_own"]),
    )


INSIDE_STILL = """
    import socket
    import pytest

    @pytest.fixture
    def inside_still(netns):
        with netns.enter():
            yield

    def test_where_an_address_differs(netns, inside_still):
        server = netns.create_server(("127.0.0.2", 0))
        socket.create_connection(("127.0.0.1", server.getsockname()[1]))
"""


def test_a_fixture_that_has_not_left_its_namespace(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(INSIDE_STILL)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    assert found(result) == {}


def test_a_suite_without_namespaces_has_no_hook(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_without(pytestconfig):
            assert "pytest_netns._audit" not in sys.modules
            assert "pytest_netns._netns.attempts" not in sys.modules

        def test_with(netns):
            assert "pytest_netns._netns.attempts" in sys.modules
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
