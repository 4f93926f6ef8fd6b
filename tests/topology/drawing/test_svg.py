"""Networks drawn as SVG: everything is there, and nothing is on top of something else."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections import Counter
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from pytest_netns._topology.drawing.svg import svg
from pytest_netns._topology.model import Network
from pytest_netns._topology.plan import Plan
from pytest_netns._topology.text.reading import to_text
from tests.topology.drawing.plans import plan_of

pytest.importorskip("hypothesis", exc_type=ImportError)  # it has no build for the newest Pythons

from hypothesis import given

from tests.topology.strategies import networks, quick

SHAPES = {
    "pair": "client -- server",
    "line": "client -- r1 -- r2 -- server",
    "ring": "r1 -- r2 -- r3 -- r4 -- r1",
    "star": "sw [switch]\nsw -- {a b c d e f g h}",
    "two LANs": "sw1, sw2 [switch]\nsw1 -- {a b c}\nsw2 -- {d e}\nsw1 -- r -- sw2",
    "tree": "core -- {d1 d2 d3}\nd1 -- {a b}\nd2 -- {c d}\nd3 -- {e f}\ncore, d1, d2, d3 [router]",
    "mesh": "a -- {b c d}\nb -- {c d}\nc -- d\na, b, c, d [router]",
    "parts": "a -- b\nalone\nphone:wlan0 -- home -- cloud\nhome [nat kind=port-restricted]",
}
SVG = "{http://www.w3.org/2000/svg}"


class Area(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float
    what: str

    def meets(self, other: Area) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: Area) -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


def numbers(element: ElementTree.Element, *names: str) -> list[float]:
    return [float(element.get(name, "0")) for name in names]


def words_of(root: ElementTree.Element) -> list[Area]:
    found = []
    for element in root.iter(f"{SVG}text"):
        x, y, size, width = numbers(element, "x", "y", "font-size", "textLength")
        # Letters reach about three quarters of their size up from the base line, and a quarter down.
        found.append(Area(x, y - 0.75 * size, x + width, y + 0.25 * size, element.text or ""))
    return found


def boxes_of(root: ElementTree.Element) -> list[Area]:
    found = []
    for element in root.iter(f"{SVG}rect"):
        if element.get("class") != "page":
            x, y, width, height = numbers(element, "x", "y", "width", "height")
            found.append(Area(x, y, x + width, y + height, "box"))
    return found


def lines_of(root: ElementTree.Element) -> list[Area]:
    found = []
    for element in root.iter(f"{SVG}path"):
        points = [tuple(map(float, point.split())) for point in element.get("d", "")[1:].split(" L")]
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            found.append(Area(min(x1, x2) - 0.5, min(y1, y2) - 0.5, max(x1, x2) + 0.5, max(y1, y2) + 0.5, "line"))
    return found


def check(plan: Plan) -> None:
    """Check that a picture has all of a network, with nothing on top of something else, and all inside."""
    root = ElementTree.fromstring(svg(plan))
    words, boxes, lines = words_of(root), boxes_of(root), lines_of(root)
    ports = [port for node in plan.nodes.values() for port in node.ports]
    expected = [*plan.nodes, *(port.name for port in ports)]
    expected += [str(address) for port in ports for address in port.addresses]
    assert Counter(expected) <= Counter(word.what for word in words)
    assert len(boxes) == len(plan.nodes)
    for one, other in itertools.combinations([*words, *boxes], 2):
        assert not one.meets(other) or other.holds(one), (one, other)
    for line in lines:
        assert not any(line.meets(word) for word in words), line
    width, height = numbers(root, "width", "height")
    page = Area(0, 0, width, height, "page")
    assert all(page.holds(one) for one in [*words, *boxes, *lines])


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_shapes(text: str) -> None:
    check(plan_of(text))


@quick
@given(networks())
def test_networks_at_random(network: Network) -> None:
    check(plan_of(to_text(network)))


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_interfaces_with_many_addresses(text: str) -> None:
    plan = plan_of(text)
    for node in plan.nodes.values():
        for port in node.ports:
            port.addresses += [
                ipaddress.ip_interface(f"2001:db8:1234:5678:9abc:def0::{index}/64") for index in range(4)
            ]
    check(plan)


@pytest.mark.parametrize("shape", ["pair", "line", "ring", "star", "two LANs"])
def test_it_is_as_wide_as_a_phone(shape: str) -> None:
    root = ElementTree.fromstring(svg(plan_of(SHAPES[shape])))
    assert float(root.get("width", "0")) < 450
    assert "max-width: 100%" in root.get("style", "")


def test_each_link_is_drawn_from_box_to_box() -> None:
    root = ElementTree.fromstring(svg(plan_of("r1 -- r2 -- r3 -- r1")))
    boxes = boxes_of(root)
    ends = [
        tuple(map(float, point.split()))
        for path in root.iter(f"{SVG}path")
        for point in (path.get("d", "")[1:].split(" L")[0], path.get("d", "").split(" L")[-1])
    ]
    touched = Counter(
        number
        for number, box in enumerate(boxes)
        for x, y in ends
        if box.left <= x <= box.right and box.top <= y <= box.bottom
    )
    assert touched == {0: 2, 1: 2, 2: 2}


def test_it_has_a_title_and_needs_nothing_else() -> None:
    picture = svg(plan_of("client -- server"))
    root = ElementTree.fromstring(picture)
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "A network: client (host), server (host)"
    assert title.get("id") == root.get("aria-labelledby")
    assert root.get("role") == "img"
    assert re.findall(r"https?://[^\s\"]+", picture) == ["http://www.w3.org/2000/svg"]
    assert "@import" not in picture
    assert "url(" not in picture


def test_the_title_of_a_large_network_is_short() -> None:
    root = ElementTree.fromstring(svg(plan_of("sw [switch]\nsw -- {" + " ".join(f"h{n}" for n in range(30)) + "}")))
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text is not None
    assert title.text.startswith("A network: sw (switch), h0 (host), ")
    assert title.text.endswith(", h18 (host) and 11 more")


def test_each_role_has_colours_for_light_and_dark() -> None:
    picture = svg(plan_of("client -- r -- home -- sw\nhome [nat]\nsw [switch]"))
    light, dark = picture.split("@media (prefers-color-scheme: dark)")
    used = set(re.findall(r'class="(?:node )?(\w+)"', picture)) - {"name", "port"}
    assert used == {"page", "line", "kind", "address", "host", "router", "switch", "nat"}
    for role in used:
        assert re.search(rf"\.{role}\b", light), role
        assert re.search(rf"\.{role}\b", dark), role


def test_styles_are_of_this_picture_only() -> None:
    first, second = svg(plan_of("a -- b")), svg(plan_of("a -- c"))
    identifiers = [ElementTree.fromstring(picture).get("id") for picture in (first, second)]
    assert identifiers[0] != identifiers[1]
    rules = re.findall(r"^ *([^{}\n@]+) \{", first, re.MULTILINE)
    assert rules
    assert all(part.strip().startswith(f"#{identifiers[0]} ") for rule in rules for part in rule.split(","))


def test_text_is_escaped() -> None:
    plan = plan_of("a -- b")
    plan.nodes["a"].ports[0].name = '<&">'
    assert '<&">' in [word.what for word in words_of(ElementTree.fromstring(svg(plan)))]


def test_it_is_the_same_each_time() -> None:
    assert svg(plan_of(SHAPES["mesh"])) == svg(plan_of(SHAPES["mesh"]))
