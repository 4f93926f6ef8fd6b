"""A program that uses pyroute2, ``route_program.py``, tested without any change: it gets the path of a namespace.

    left, whose routes the program changes     right
    192.0.2.1             eth0 ---------- eth0 192.0.2.2
    198.51.100.0/24 via 192.0.2.2

pyroute2 starts a child process to open a socket in a namespace. The marker runs a test once in each of several child
modes, with ``config.child_process_mode`` of pyroute2 and the start method of multiprocessing set to match.
"""

from __future__ import annotations

import multiprocessing
import sys

import pyroute2
import pytest
import route_program
from example_tools import show

from pytest_netns import NetNS


@pytest.mark.netns_child_mode("fork", "mp:spawn")
def test_adds_and_reads_routes(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, right = netns_pair

    route_program.add_route(str(left.path), "198.51.100.0/24", gateway="192.0.2.2")
    route_program.add_route(str(left.path), "203.0.113.0/24", gateway="192.0.2.3")

    assert route_program.routes(str(left.path)) == {
        "198.51.100.0/24": "192.0.2.2",
        "203.0.113.0/24": "192.0.2.3",
    }
    assert route_program.routes(str(right.path)) == {}
    # The kernel agrees, asked by the namespace's own pyroute2 object.
    (route,) = left.ipr.route("get", dst="198.51.100.7")
    assert route.get("gateway") == "192.0.2.2"
    show(*(f"{dst} via {gateway}" for dst, gateway in route_program.routes(str(left.path)).items()))


def test_reports_a_gateway_that_cannot_be_reached(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, _ = netns_pair
    with pytest.raises(pyroute2.NetlinkError, match="Network is unreachable"):
        route_program.add_route(str(left.path), "198.51.100.0/24", gateway="203.0.113.1")


def test_runs_as_a_command(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, _ = netns_pair
    # The path has the number of the test process in it, so it means the same in every other process.
    done = left.run(
        [sys.executable, route_program.__file__, str(left.path), "198.51.100.0/24", "192.0.2.2"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "198.51.100.0/24 via 192.0.2.2\n"


@pytest.mark.netns_child_mode("fork", "mp:spawn")
def test_what_the_marker_sets(netns_child_mode: str) -> None:
    kind, _, start_method = netns_child_mode.partition(":")
    assert pyroute2.config.child_process_mode == kind
    if start_method:
        assert multiprocessing.get_start_method() == start_method
    show(f"pyroute2: {pyroute2.config.child_process_mode}, multiprocessing: {multiprocessing.get_start_method()}")
