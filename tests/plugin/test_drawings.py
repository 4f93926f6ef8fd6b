"""The drawing of its networks in the report of a failed test."""

from __future__ import annotations

import re

import pytest

from pytest_netns._topology.pair import TEXT as PAIR
from pytest_netns._topology.topology import Topology
from tests.support.suites import read_suite

pytestmark = pytest.mark.slow

SUITE = read_suite(__file__, "drawings")
LINE = str(Topology("client -- router -- server"))
TWO = str(Topology("client -- server"))
LAB = str(Topology("labclient -- labserver"))
LEFT_AND_RIGHT = str(Topology(PAIR))
DRAWN = {
    "test_marker": LINE,
    "test_builder": TWO,
    "test_factory_of_another_scope": LAB,
    "test_host_of_another_scope": LAB.replace("lab", "host"),
    "test_pair": LEFT_AND_RIGHT,
    "test_asked_for_later": LEFT_AND_RIGHT,
    "test_closed": TWO,
    "test_two": f"{TWO}\n\n{LEFT_AND_RIGHT}",
    "test_set_up": LINE,
}
BROKEN = "what is to stand here cannot be told: RuntimeError('no ink')"


def found(result: pytest.RunResult) -> dict[str, tuple[str, list[str]]]:
    """Return for each test that failed its report, and what the sections about its network are."""
    reports = re.split(r"\n_+ (?:ERROR at setup of )?(test_\w+) _+\n", "\n".join(result.outlines))
    told = {}
    for name, report in zip(reports[1::2], reports[2::2], strict=True):
        body = re.split(r"\n=+ .* =+\n", f"{report}\n")[0]
        _, *sections = re.split(r"^-+ (.*?) -+\n", body, flags=re.MULTILINE)
        pairs = zip(sections[::2], sections[1::2], strict=True)
        network = [drawings_in(text.rstrip("\n")) for title, text in pairs if title == "network"]
        told[name] = report, [text for text in network if text]
    return told


def drawings_in(section: str) -> str:
    """Return the drawings of a section, in which why the test failed and what has changed come first."""
    return section.partition("\n\n")[2] if section.startswith(("why: ", "meanwhile: ", "what changed")) else section


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--netns-userns=resident",)], ids=" ".join)
def test_a_failed_test_shows_its_network(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("--tb=short", *options)
    told = found(result)
    assert {name: sections for name, (_, sections) in told.items()} == {
        **{name: [drawing] for name, drawing in DRAWN.items()},
        "test_changed": [told["test_changed"][0].split("expected\n")[1].split("\nend")[0]],
        "test_large": told["test_large"][1],
        "test_broken": [BROKEN],
        "test_without_it": [],
        "test_no_network_yet": [],
        "test_no_network_at_all": [],
    }
    assert "sw1\n" not in told["test_changed"][1][0].replace("client", "")
    for name, (report, _) in told.items():
        assert re.search(
            r"^E +(assert|AssertionError|RuntimeError: of the|ConnectionRefused|pytest_netns.Topo)",
            report,
            re.MULTILINE,
        ), name
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"], outcomes["errors"]) == (2, len(told) - 1, 1)


def test_a_large_network_does_not_flood_the_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("-k", "test_large")
    ((_, (drawing,)),) = found(result).values()
    assert len(drawing.splitlines()) == 41
    assert drawing.splitlines()[-1] == "... and the rest, with 24 of its 64 nodes"
    shown = re.findall(r"\b(?:sw|h\d+|r\d|last)\b", drawing)
    assert len(set(shown)) == 40
