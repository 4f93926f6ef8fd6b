"""How messages and notes are laid out: in columns or as a list, within a width and a number of lines."""

from __future__ import annotations

import dataclasses
import re
import socket
from pathlib import Path

import pytest

from pytest_netns import NetNS
from pytest_netns._frames.frame import Frame
from pytest_netns._report.ladder.drawing import draw
from pytest_netns._report.ladder.recording import End, Note, Recording
from tests.frames.build import ethernet, ip, tcp, udp
from tests.support.recording import of_hosts
from tests.support.recording import recording as recorded

from .network import LINKS, MS, drawn, recording, seen, travel
from .test_journeys import arp, datagram, segment

SECOND = 1000 * MS


def exchange(count: int) -> list[Frame]:
    """Return datagrams back and forth, of which every 50th is lost."""
    there = [travel(n * 2 * MS, datagram(b"%d" % n), ends="ar-" if n % 50 == 25 else "arb") for n in range(count)]
    back = [
        travel((n * 2 + 1) * MS, datagram(b"%d" % n, "198.51.100.1", "192.0.2.1"), ends="bra") for n in range(count)
    ]
    return [frame for part in [*there, *back] for frame in part]


def left_out(lines: list[str]) -> int:
    return sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) messages? left out", "\n".join(lines)))


@pytest.mark.parametrize("count", [3, 15, 16, 17, 18, 19, 40, 1000])
def test_what_is_left_out_is_counted(count: int) -> None:
    lines = drawn(exchange(count))
    assert len(lines) <= 40
    shown = sum("UDP" in line for line in lines)
    assert shown + left_out(lines) == 2 * count
    assert count > 17 or not left_out(lines)


def test_a_line_says_more_than_that_one_is_left_out() -> None:
    lines = drawn(*(travel(n * MS, datagram(b"%d" % n), ends="ar-" if n % 2 else "arb") for n in range(100)))
    assert not any(" 1 message left out" in line for line in lines)


def test_what_is_marked_is_shown_rather_than_what_is_not() -> None:
    lines = drawn(exchange(100))
    assert [line.rpartition("│ ")[2] for line in lines if "✗" in line] == ["lost, r → b"] * 2
    assert '"0"' in lines[2]
    assert '"99"' in lines[-1]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_asked(width: int) -> None:
    notes = [Note(0, None, "12  " + "x" * 300), Note(1, "b", "y" * 300), Note(2, "nobody", "z" * 300)]
    lines = drawn(exchange(20), travel(3 * MS + 1, segment(1)), width=width, notes=notes)
    assert max(map(len, lines)) <= width
    assert any("x" * 20 in line for line in lines)


def many(count: int) -> Recording:
    """Return a recording of so many hosts, of which each asks the first one something."""
    frames = []
    for number in range(1, count):
        data = ethernet(ip(udp(b"hello"), 17, f"10.0.0.{number}", "10.0.0.200"), source=number)
        frames += [Frame(number * MS, f"host{number}", "eth0", True, data, len(data))]
        frames += [Frame(number * MS + 1, "host0", "eth0", False, data, len(data))]
    hosts = [f"host{number}" for number in range(count)]
    return Recording(frames, {}, 0, hosts, addresses={"10.0.0.200": "host0"})


def test_more_hosts_than_columns() -> None:
    lines = draw(many(20), width=80).splitlines()
    assert lines[1] == '     1.00  host1 → host0   UDP 1000 → 9 5 B "hello"'
    assert len(lines) == 20
    assert draw(many(4), width=80).splitlines()[0].split() == ["ms", "host0", "host1", "host2", "host3"]


def test_only_hosts_that_took_part_have_columns() -> None:
    everybody = dataclasses.replace(many(2), hosts=[f"host{number}" for number in range(20)])
    assert draw(everybody).splitlines()[0].split() == ["ms", "host0", "host1"]


def test_routers_give_way_to_hosts_where_there_is_little_room() -> None:
    assert drawn(travel(0, datagram()), width=60)[0].split() == ["ms", "a", "r", "b"]
    assert drawn(travel(0, datagram()), width=34)[0].split() == ["ms", "a", "b"]


def test_a_router_stands_between_its_hosts() -> None:
    assert drawn(travel(0, datagram()), hosts=["r", "a", "b"])[0].split() == ["ms", "a", "r", "b"]
    assert drawn(travel(0, datagram()), hosts=["b", "a", "r"])[0].split() == ["ms", "b", "r", "a"]


def test_pauses_and_seconds() -> None:
    lines = drawn(travel(0, datagram(b"1")), travel(1500 * MS, datagram(b"2")))
    assert [line.split()[0] for line in lines[2:]] == ["0.000", "┊", "1.500"]
    assert "1.5 s later" in lines[3]


def test_notes_stand_on_the_same_axis() -> None:
    notes = [
        Note(MS, None, "12  sock.sendto(b'2')"),
        Note(1500 * 1000, "b", "got\x1b[31m it\tall\n"),
        Note(1, "c", "ready"),
    ]
    lines = drawn(travel(0, datagram(b"1")), travel(2 * MS, datagram(b"2")), notes=notes)
    texts = [line[9:] for line in lines[2:]]
    assert texts[1].endswith("c: ready")  # which has no column
    assert "▸ 12  sock.sendto(b'2')" in texts[2]
    assert texts[3].endswith("│ got?[31m it all")


@pytest.mark.parametrize("links", [LINKS, {}])
def test_neighbours_are_counted(links: dict[End, End]) -> None:
    question, answer = arp(1, "192.0.2.1", "192.0.2.254"), arp(2, "192.0.2.254", "192.0.2.1")
    frames = [seen(0, ("a", "eth0"), True, question, 0x0806), seen(1, ("r", "eth0"), False, question, 0x0806)]
    frames += [seen(2, ("r", "eth0"), True, answer, 0x0806), seen(3, ("a", "eth0"), False, answer, 0x0806)]
    frames = [frame._replace(data=b"\xff" * 6 + frame.data[6:]) if at < 2 else frame for at, frame in enumerate(frames)]
    frames += [seen(4, ("a", "eth0"), True, ip(b"\x16" + b"\0" * 7, 2, ttl=1))]  # IGMP
    assert (
        drawn(frames, travel(MS, datagram()), links=links)[-1]
        == "not shown: ARP, 1 asked, 1 answered; 1 of other protocols"
    )


def test_segments_are_folded() -> None:
    data = [travel(n * MS, segment(1 + n * 1000, 1000)) for n in range(37)]
    assert "37 segments, 37,000 B" in drawn(*data)[2]
    lost = [travel(n * MS, segment(1 + n * 1000, 1000), ends="ar-" if n == 20 else "arb") for n in range(37)]
    assert [re.findall(r"\d+ segments|lost", line) for line in drawn(*lost)[2:]] == [
        ["20 segments"],
        ["lost"],
        ["16 segments"],
    ]


def test_nothing_was_sent() -> None:
    assert drawn() == []
    assert drawn(notes=[Note(0, None, "12  pass")]) == ["       ms", "     0.00  ▸ 12  pass"]


def test_ascii() -> None:
    frames = [*exchange(30), *travel(1000 * MS, segment(1, 0, flags=2), ends="ar")]
    text = draw(recording(frames, notes=[Note(0, "b", "café …")]), encoding="ascii")
    assert text.isascii()
    assert "caf? ." in text
    for part in ("|---", "-->|", "|<--", "-x", "|---", "-+-"):
        assert part in text
    assert draw(recording(frames), encoding="utf-8") == draw(recording(frames))


def test_colours_are_around_lines() -> None:
    plain = recording(exchange(30), travel(100 * MS, segment(1, 0, flags=2), ends="ar"), notes=[Note(0, None, "12")])
    colored = draw(plain, color=True)
    assert re.sub("\x1b\\[\\d+m", "", colored) == draw(plain)
    assert any(line.startswith("\x1b[31m") and line.endswith("lost, r → b\x1b[0m") for line in colored.splitlines())
    assert "\x1b" not in draw(plain)


def test_several_connections_have_numbers() -> None:
    def syn(port: int) -> list[Frame]:
        return travel(port * MS, lambda ttl: ip(tcp(b"", port, flags=2), 6, "192.0.2.1", "198.51.100.1", ttl=ttl))

    assert " SYN 1 → 80 " in drawn(syn(1))[2]
    both = drawn(syn(1), syn(2), travel(5 * MS, segment(5)))
    assert re.findall(r"#\d", "".join(both)) == ["#1", "#2", "#3"]


def test_loopback(netns: NetNS) -> None:
    """Client and server are in one column, so that their ports tell them apart."""
    with recorded({"host": netns}) as recorder:
        with netns.create_server(("127.0.0.1", 80)) as listener:
            with netns.create_connection(("127.0.0.1", 80), source_address=("127.0.0.1", 40000)) as client:
                with listener.accept()[0] as server:
                    client.sendall(b"hello")
                    server.recv(10)
        with netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 40000))
            sock.sendto(b"hi", ("127.0.0.1", 9))
    expected = Path(__file__).parent / "drawings" / "loopback.txt"
    text = draw(of_hosts(["host"], recorder)).partition("\nnot shown")[0]
    assert text + "\n" == expected.read_text()
