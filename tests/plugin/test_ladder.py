"""What was recorded, in the report of a failed test, and on a page beside the capture."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pytest_netns._report.timeline import EVENTS
from tests.support.suites import read_suite

pytestmark = [pytest.mark.slow, pytest.mark.heavy]

CAPTURE = "--netns-capture=failed"


def run(pytester: pytest.Pytester, which: str, *options: str, failed: int = 1) -> str:
    """Run some of the tests; return what the run shows."""
    pytester.makepyfile(test_ladders=read_suite(__file__, "ladders"))
    result = pytester.runpytest_subprocess("-k", which, *options)
    result.assert_outcomes(failed=failed, passed=result.parseoutcomes().get("passed", 0))
    return result.stdout.str()


def pages(pytester: pytest.Pytester) -> list[Path]:
    return sorted(pytester.path.glob("netns-artifacts/*/*.html"))


def data(page: Path) -> Any:
    """Return the timeline of a page."""
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text())
    assert found
    return json.loads(found[1])


@pytest.mark.core
@pytest.mark.netns_requires("nft")
def test_a_ladder_has_packets_lines_and_log_records_on_one_axis(pytester: pytest.Pytester) -> None:
    text = run(pytester, "firewall", CAPTURE)
    network = text.partition(" network ")[2].partition("\n---")[0]
    names, addresses = network.partition("  client ")[2].splitlines()[:2]
    assert names.split() == ["router", "server"]
    assert addresses.split() == ["10.0.1.1", "10.0.2.2"]
    below = network.partition("  client ")[2]
    line = next(one for one in below.splitlines() if "SYN" in one)
    assert "stopped at router" in line
    notes = re.findall(r"▸ (.*)", below)
    assert notes[0].endswith("listening = server.create_server((server.ip, 80))")
    assert notes[1].startswith("WARNING root: </script> connecting now")
    assert notes[2].endswith("client.create_connection((server.ip, 80), timeout=0.3)")
    assert below.index("▸ WARNING") < below.index("SYN") < below.index("not shown: ")
    places = [network.index(text) for text in ("why: ", "what changed", "router  router", "SYN")]
    assert places == sorted(places)


@pytest.mark.netns_requires("nft")
def test_a_page_has_all_of_it(pytester: pytest.Pytester) -> None:
    text = run(pytester, "firewall", CAPTURE)
    (page,) = pages(pytester)
    assert f"the page: {page.relative_to(pytester.path)}\n" in text
    assert page.with_suffix(".pcapng").exists()
    shown = page.read_text()
    cause = re.search(r"<p class=cause>(.*?)</p>", shown)
    assert cause
    assert html.unescape(cause[1]) in text
    assert "drops it by its rule" in cause[1]
    assert shown.count("<svg") == 1
    assert "nft rule + inet filter passing" in shown
    assert "TimeoutError" in shown
    found = data(page)
    assert found["hosts"] == ["client", "router", "server"]
    syn = next(event for event in found["events"] if event["kind"] == "packet")
    assert (syn["from"], syn["to"], syn["bad"], syn["marks"][0]) == ("client", "router", True, "stopped at router")
    assert [title for title, _ in syn["parts"]] == ["Ethernet", "IPv4", "TCP"]
    assert ["flags", "SYN"] in syn["parts"][2][1]
    assert {"packet", "line", "log", "neighbourly"} == {event["kind"] for event in found["events"]}
    times = [event["t"] for event in found["events"]]
    assert times == sorted(times)
    assert times[0] > 0


def test_headers_alone_have_no_payload(pytester: pytest.Pytester) -> None:
    payload = b"a secret payload"
    for option, has_it in ((CAPTURE, True), ("--netns-capture=headers", False)):
        text = run(pytester, "loopback", option)
        (page,) = pages(pytester)
        assert (payload.hex() in page.read_text()) is has_it
        assert ('16 B "a secret payload"' in text.partition(" network ")[2]) is has_it


@pytest.mark.parametrize("options", [(), ("--netns-capture=off",)])
def test_without_a_capture_there_is_neither(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    assert "the page: " not in run(pytester, "loopback", *options)
    assert pages(pytester) == []


def test_a_test_that_passes_has_none(pytester: pytest.Pytester) -> None:
    run(pytester, "passes", CAPTURE, failed=0)
    run(pytester, "passes", "--netns-capture=all", failed=0)
    assert pages(pytester) == []


def test_a_page_is_written_to_the_real_file_system(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pyfakefs")
    text = run(pytester, "fake_files", CAPTURE, "-p", "fakefs")
    (page,) = pages(pytester)
    assert page.name in text


def test_what_a_thread_does_is_on_the_axis(pytester: pytest.Pytester) -> None:
    assert 'sendto(b"x", ("127.0.0.1", 53))' in run(pytester, "thread", CAPTURE).partition("UDP")[0]


def test_where_nothing_is_sent_there_is_no_ladder_but_a_page(pytester: pytest.Pytester) -> None:
    text = run(pytester, "nothing", CAPTURE)
    assert "no frames were sent or received" in text
    (page,) = pages(pytester)
    assert data(page)["events"] == []


def test_a_folder_that_cannot_be_made(pytester: pytest.Pytester) -> None:
    (pytester.path / "netns-artifacts").write_text("a file")
    text = run(pytester, "loopback", CAPTURE)
    assert "no page: [Errno 20] Not a directory" in text
    assert "SYN" in text.partition(" network ")[2]  # the ladder is there


def test_each_worker_and_each_attempt_has_its_own(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    run(pytester, "loopback or nothing", CAPTURE, "-n2", failed=2)
    assert len(pages(pytester)) == 2


EACH_EVENT = """
    import socket, subprocess, sys, time
    heard = set()
    sys.addaudithook(lambda event, args: heard.add(event))
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"", sock.getsockname())
        sock.connect(sock.getsockname())
        sock.sendmsg([b""])
    socket.getaddrinfo("127.0.0.1", 80)
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    time.sleep(0)
    print(*heard)
"""


def test_the_interpreter_tells_of_each_event() -> None:
    """One that is renamed would never come."""
    command = [sys.executable, "-I", "-S", "-c", textwrap.dedent(EACH_EVENT)]
    heard = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    later = {"time.sleep"} if sys.version_info < (3, 13) else set()
    assert set(EVENTS) - set(heard) == later
