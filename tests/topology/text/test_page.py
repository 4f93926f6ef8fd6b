"""The page about the text form says what is read: no less and no more."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from pytest_netns import TopologyError
from pytest_netns._topology import model
from pytest_netns._topology.text import words
from pytest_netns._topology.text.reading import parse

PAGE = (Path(__file__).parents[3] / "docs/reference/topology-text.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_column(title: str) -> list[str]:
    """Return the words between backticks in the first column of a table."""
    rows = re.findall(r"^\| (`.*?) \|", section(title), re.MULTILINE)
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


def keys(settings: list[str]) -> set[str]:
    return {setting.partition("=")[0] for setting in settings if "=" in setting and "." not in setting}


def test_the_example_is_a_network() -> None:
    network = parse(PAGE.split("```text\n")[1].split("```")[0])
    assert list(network.nodes) == ["client", "r1", "r2", "server", "sw", "web", "db", "cache"]


def test_kinds() -> None:
    assert first_column("Nodes") == list(model.KINDS)


def test_settings_of_nodes() -> None:
    settings = first_column("Settings of nodes")
    for setting in settings:
        parse(f"n [nat {setting}]" if "=" in setting or ":" in setting else f"n [{setting}]")
    assert keys(settings) == set(words.NODE_KEYS)
    assert set(words.NAT_KINDS) <= set(re.findall(r"`([^`]+)`", section("Settings of nodes")))


def test_settings_of_links() -> None:
    settings = first_column("Settings of links")
    for setting in settings:
        parse(f"a -- b [{setting}]")
    assert keys(settings) == set(words.LINK_KEYS)


def test_faults() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section("What comes with a later release"), re.MULTILINE)
    shown = [(key, tuple(re.findall(r"`([^`]+)`", units))) for key, units in rows]
    assert shown == [tuple(fault) for fault in words.FAULTS]


def test_the_error_is_that_of_the_text() -> None:
    shown = PAGE.split("```text\npytest_netns.TopologyError: ")[1].split("```")[0]
    with pytest.raises(TopologyError) as info:
        parse("sw [swtich]")
    message, line, carets, advice = str(info.value).split("\n")
    wrapped = textwrap.fill(advice, 115)
    assert shown == "\n".join([message, line, carets, wrapped, ""])
