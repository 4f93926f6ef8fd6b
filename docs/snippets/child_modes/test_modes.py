import multiprocessing

import pyroute2
import pytest


@pytest.mark.netns_child_mode("fork", "mp", "mp:forkserver", "mp:spawn")
def test_code_that_uses_pyroute2(make_netns):
    ns = make_netns(name="how-to")
    with pyroute2.IPRoute(netns=ns.name) as ipr:  # pyroute2 starts a child of its own
        assert ipr.link_lookup(ifname="lo") == [1]


@pytest.mark.netns_child_mode("mp:spawn")
def test_what_is_set(netns_child_mode):
    assert netns_child_mode == "mp:spawn"
    assert pyroute2.config.child_process_mode == "mp"
    assert multiprocessing.get_start_method() == "spawn"


def test_modes_of_the_ini_file(netns, netns_child_mode):
    assert netns_child_mode in ("resident", "fork")
    netns.socket()


@pytest.mark.parametrize(
    ("netns_child_mode", "count"),
    [("resident", 100), ("fork", 10)],
    indirect=["netns_child_mode"],
)
def test_own_parametrisation(netns, netns_child_mode, count):
    assert netns.child_mode == netns_child_mode
    assert len(netns.sockets([()] * count)) == count
