"""The ladder as a sequence diagram of Mermaid."""

from __future__ import annotations

import re

import pytest

from pytest_netns._report.ladder.recording import Note
from pytest_netns._report.ladder.sequence import LONGEST, escaped, sequence

from .network import MS, recording, travel
from .test_journeys import datagram, segment

STATEMENT = re.compile(r"    (participant h\d as .+|h\d--?(>>|x)h\d: .+|Note (over h\d(,h\d)?|right of h\d): .+)")


def lines(*parts: object, **fields: object) -> list[str]:
    first, *others = sequence(recording(*parts, **fields)).splitlines()  # type: ignore[arg-type]
    assert first == "sequenceDiagram"
    assert all(STATEMENT.fullmatch(line) for line in others)
    return [line.strip() for line in others]


def test_nothing_was_sent() -> None:
    assert sequence(recording(notes=[Note(0, None, "a line")])) == ""


def test_hosts_notes_and_what_arrived() -> None:
    drawn = lines(travel(MS, datagram(b"hello")), notes=[Note(0, None, "3  send()"), Note(2 * MS, "b", "got it")])
    assert drawn[:3] == [
        "participant h0 as a<br/>192.0.2.1",
        "participant h1 as r",
        "participant h2 as b<br/>198.51.100.1",
    ]
    assert drawn[3] == "Note over h0,h2: ▸ 3  send()"
    assert re.fullmatch(r"h0->>h2: 1\.00 ms UDP .*#34;hello#34;", drawn[4])
    assert drawn[5] == "Note right of h2: got it"


def test_what_was_lost_has_a_cross_and_what_is_sent_again_a_broken_line() -> None:
    drawn = lines(
        travel(MS, segment(100), ends="ar-"),
        travel(200 * MS, segment(100)),
    )
    arrows = [line for line in drawn if line.startswith("h")]
    assert re.fullmatch(r"h1-xh2: .*|h0-xh2: .*❌ .*\(lost, r → b\)", arrows[0])
    assert re.fullmatch(r"h0--?>>h2: .*⚠️ .*\(retransmission\)", arrows[1])
    assert any("ms later" in line for line in drawn)


def test_many_messages() -> None:
    drawn = lines(*(travel(n * MS, datagram(b"%d" % n)) for n in range(1000)))
    assert len(drawn) < 50
    assert any("messages left out" in line for line in drawn)


@pytest.mark.parametrize(
    "text", ["a;b", "#35;", "end", "as End;", "%%{init: {}}%%", "a->>b: c", "<b>", "`x`", '"[(', "$$x$$"]
)
def test_no_text_has_syntax(text: str) -> None:
    shown = escaped(text)
    plain = re.sub(r"#\d+;", "", shown)
    assert not re.search(r"[;#%<>{}\"`$:\[\]\\-]|\bend\b", plain, re.IGNORECASE)
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), shown) == text


def test_a_long_text_is_cut() -> None:
    assert len(escaped("a" * 1000)) == LONGEST
