"""Networks as FRRouting's topotests write them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

from pytest_netns import TopologyError
from pytest_netns._topology.text.lans import from_lans
from pytest_netns._topology.text.reading import parse, to_text


def links_of(lans: Any) -> list[str]:
    return [" ".join(f"{end.node}:{end.interface}" for end in link.ends) for link in from_lans(lans).links]


@pytest.mark.parametrize(
    ("lans", "links"),
    [
        ({"s1": ("r1", "r2")}, ["r1:r1-eth0 s1:s1-eth0", "r2:r2-eth0 s1:s1-eth1"]),
        ({"s1": ["r1"], "s2": ["r1"]}, ["r1:r1-eth0 s1:s1-eth0", "r1:r1-eth1 s2:s2-eth0"]),
        ({"s1": "r1"}, ["r1:r1-eth0 s1:s1-eth0"]),
        ({"s1": ("r1:eth-r2", "r2:eth-r1")}, ["r1:eth-r2 s1:s1-eth0", "r2:eth-r1 s1:s1-eth1"]),
        ({"s1": ("r1:eth0:port1", "r1")}, ["r1:eth0 s1:port1", "r1:r1-eth0 s1:s1-eth0"]),
        ({"s2": ("r1",), "s10": ("r1",)}, ["r1:r1-eth0 s10:s10-eth0", "r1:r1-eth1 s2:s2-eth0"]),
        (OrderedDict(s2=("r1",), s10=("r1",)), ["r1:r1-eth0 s2:s2-eth0", "r1:r1-eth1 s10:s10-eth0"]),
        ({"s1": ("r1",), "r1": ("r2",)}, ["r2:r2-eth0 r1:r1-eth0", "r1:r1-eth1 s1:s1-eth0"]),
        ({None: ("r1", "r2")}, []),
        ({"s1": ()}, []),
    ],
)
def test_links(lans: Any, links: list[str]) -> None:
    assert links_of(lans) == links


def test_nodes() -> None:
    network = from_lans({"s1": ("r2", "r1"), "s2": ("r1",), None: "r3"})
    assert list(network.kinds().items()) == [
        *(("r3", "router"), ("r2", "router"), ("r1", "router")),
        *(("s1", "switch"), ("s2", "switch")),
    ]


def test_it_has_a_text_form() -> None:
    network = from_lans({"s1": ("r2", "r1:eth-x"), "s2": ("r1",)})
    again = parse(to_text(network))
    assert again == network
    assert list(again.nodes) == list(network.nodes)


@pytest.mark.parametrize(
    ("lans", "message"),
    [
        ({"s1": ("r1:a:b:c",)}, "'r1:a:b:c' at 's1' has too many parts\na router is written 'r1', 'r1:eth-r2'"),
        ({"s1": ("r 1",)}, "'r 1' cannot be the name of a node\na name has at most 63"),
        ({"s 1": ("r1",)}, "'s 1' cannot be the name of a node\n"),
        ({"s1": ("r1:lo",)}, "'lo' cannot be the name of an interface: it is reserved\nchoose another name"),
        ({"s1": ("r1:",)}, "'' cannot be the name of an interface\n"),
        ({"s1": ("r1:x", "r1:x")}, "two links have the interface x of r1\neach link has interfaces of its own"),
        ({"s1": ("a-long-router",)}, "'a-long-router-eth0' cannot be the name of an interface: it has 18 bytes\n"),
        ({"s1": ("a-long-router",)}, "; name one yourself: 'a-long-router:eth0'"),
        ({"r1": ("r1",)}, "a link from r1 to itself\na router is at a switch"),
    ],
)
def test_refused(lans: Any, message: str) -> None:
    with pytest.raises(TopologyError) as info:
        from_lans(lans)
    assert message in str(info.value)


@pytest.mark.parametrize(
    ("lans", "message"),
    [
        (["s1"], "a dict of LANs is a mapping, such as {'s1': ('r1', 'r2')}, not ['s1']"),
        ({1: ("r1",)}, "the name of a switch is a str, such as 's1', not 1"),
        ({"s1": ("r1", 2)}, "the routers at 's1' are a tuple of str, such as ('r1', 'r2'), not ('r1', 2)"),
        ({"s1": 2}, "the routers at 's1' are a tuple of str, such as ('r1', 'r2'), not 2"),
    ],
)
def test_wrong_types(lans: Any, message: str) -> None:
    with pytest.raises(TypeError) as info:
        from_lans(lans)
    assert str(info.value) == message
