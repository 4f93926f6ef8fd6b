"""Recordings at random: a drawing is a drawing, whatever was sent and whoever saw it."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis", reason="Hypothesis has no build for this Python")

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_netns._frames.frame import Frame
from pytest_netns._report.ladder.drawing import draw
from pytest_netns._report.ladder.recording import Note, Recording
from tests.frames.test_fuzz import BEGINNINGS

HOSTS = ["a", "b", "router", "a-host-with-a-long-name", "é"]
INTERFACES = ["eth0", "eth1", "lo"]
quick = settings(max_examples=300, deadline=None, database=None)

names = st.sampled_from(HOSTS)
ends = st.tuples(names, st.sampled_from(INTERFACES))
contents = st.one_of(
    st.sampled_from(BEGINNINGS), st.binary(max_size=60), st.sampled_from([one[:40] for one in BEGINNINGS])
)
frames = st.builds(
    lambda time, end, outgoing, data, more: Frame(time, end[0], end[1], outgoing, data, len(data) + more),
    st.integers(-5, 3_000_000_000),
    ends,
    st.booleans(),
    contents,
    st.integers(0, 10),
)
recordings = st.builds(
    Recording,
    st.lists(frames, max_size=80),
    st.dictionaries(names, st.tuples(st.just(0), st.integers(0, 4_000_000_000))),
    st.just(0),
    st.permutations(HOSTS).map(lambda hosts: hosts[:4]),
    st.lists(
        st.builds(Note, st.integers(0, 3_000_000_000), st.one_of(st.none(), names), st.text(max_size=150)), max_size=10
    ),
    st.dictionaries(ends, ends, max_size=4),
    st.dictionaries(st.sampled_from(["192.0.2.1", "192.0.2.2"]), names),
)


@pytest.mark.slow
@quick
@given(recordings, st.integers(30, 160), st.integers(12, 60), st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_any_recording(recording: Recording, width: int, lines: int, encoding: str) -> None:
    text = draw(recording, width=width, lines=lines, encoding=encoding)
    text.encode(encoding)
    drawn = text.split("\n")
    assert len(drawn) <= lines
    assert max(map(len, drawn)) <= width
    assert all(line.isprintable() for line in drawn)
    colored = draw(recording, width=width, lines=lines, encoding=encoding, color=True)
    assert len(colored.split("\n")) == len(drawn)
