"""The error about a network shows where in its text something is wrong."""

from __future__ import annotations

import pickle

import pytest

import pytest_netns
from pytest_netns import TopologyError
from pytest_netns._topology.model import Position

TEXT = "client -- r1\nr1 -- [10mss] -- server"


def carets_of(error: TopologyError) -> str:
    """Return what stands above the carets."""
    shown, carets = str(error).split("\n")[1:3]
    start = carets.index("^")
    return shown[start : start + carets.count("^")]


def test_it_shows_the_line_the_place_what_is_valid_and_the_nearest_word() -> None:
    error = TopologyError("'mss' is no unit", TEXT, Position(1, 7, 5), "units are ms, %", "mss", ("ms", "%"))
    assert str(error) == (
        "'mss' is no unit\n"
        "  line 2: r1 -- [10mss] -- server\n"
        "                 ^^^^^\n"
        "units are ms, %; did you mean 'ms'?"
    )
    assert (error.message, error.line, error.column) == ("'mss' is no unit", 2, 8)


def test_it_needs_no_place() -> None:
    error = TopologyError("no room", hint="take a larger network")
    assert str(error) == "no room\ntake a larger network"
    assert (error.line, error.column) == (None, None)


def test_it_needs_no_hint() -> None:
    assert str(TopologyError("no room", TEXT, Position(0, 0, 6))) == "no room\n  line 1: client -- r1\n          ^^^^^^"


def test_it_has_no_nearest_word_where_none_is_near() -> None:
    assert "did you mean" not in str(TopologyError("no", hint="valid are: host", word="zzz", known=("host",)))


def test_it_is_an_error_of_ours_and_a_wrong_value() -> None:
    error = TopologyError("no")
    assert isinstance(error, (pytest_netns.NetNSError, ValueError))
    assert isinstance(error, ValueError)


def test_it_can_be_pickled() -> None:
    error = TopologyError("'mss' is no unit", TEXT, Position(1, 7, 5), "units are ms, %", "mss", ["ms", "%"])
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.line) == (TopologyError, str(error), 2)


@pytest.mark.parametrize("at", [0, 3, 60, 500, 990])
def test_a_long_line_is_shown_in_part(at: int) -> None:
    line = "".join(f"{number:04} " for number in range(200))
    start = at - at % 5
    error = TopologyError("no", line, Position(0, start, 4))
    assert carets_of(error) == line[start : start + 4]
    assert max(map(len, str(error).split("\n"))) < 120


def test_carets_are_below_what_follows_a_tab() -> None:
    assert carets_of(TopologyError("no", "\ta\t-- b", Position(0, 6))) == "b"


def test_carets_do_not_go_beyond_what_is_shown() -> None:
    error = TopologyError("no", "x" * 5000, Position(0, 10, 4900))
    assert max(map(len, str(error).split("\n"))) < 120
