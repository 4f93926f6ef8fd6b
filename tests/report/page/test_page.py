"""The page about a failed test, looked at in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pytest_netns import Topology
from pytest_netns._report.page.contents import LINE, LOG, NEIGHBOURLY, PACKET, Contents, Event, Part
from pytest_netns._report.page.page import SHOWN, write
from tests.support import browsers

NASTY = "</script><!-- <script>\u2028 <b>&amp;</b> ${data} $test ] ]]> '\""
PARTS = (Part("IPv4", (("source", "10.0.1.1"), ("TTL", "64"))), Part("TCP", (("flags", "SYN"),)))
EVENTS = (
    Event(0.0001, LINE, "test_x.py:12  client.create_connection((server.ip, 80))", "client"),
    Event(0.0002, PACKET, "SYN", "client", "router", (), PARTS, bytes(range(74))),
    Event(0.0003, PACKET, "SYN", "router", "server", ("lost, router → server",), PARTS, bytes(range(74))),
    Event(1.02, LOG, NASTY),
    Event(1.5, LOG, "listening on port 8080", "server"),
    Event(2.0, PACKET, "12 B", "server", "client", (), (), b"x" * (SHOWN + 9)),
)
CONTENTS = Contents(
    test=f"test_x.py::test_y[{NASTY}]",
    when="failed in its call",
    why=("server drops TCP port 80", NASTY),
    missing=("312 frames did not fit",),
    hosts=("client", "router", "server"),
    changes=NASTY,
    failure=f"E  TimeoutError {NASTY}",
    events=EVENTS,
)
LOOK = """
<script>
addEventListener("load", () => {
  const all = (selector, of = document) => [...of.querySelectorAll(selector)];
  const text = (...given) => all(...given).map(element => element.textContent);
  const rows = all("#rows details");
  rows.forEach(row => row.open = true);
  setTimeout(() => {
    const found = {
      title: document.title, heading: text("h1")[0], cause: text(".cause")[0], why: text("#why p"),
      pre: text("section > pre"), missing: text("#missing li"), hidden: all("section[hidden]").map(one => one.id),
      rows: text("#rows .text"), times: text("#rows .time"), marks: text("#rows .mark"),
      lanes: all("#rows .lanes").filter(lane => lane.getClientRects().length).length,
      ends: all("#rows .ends").filter(one => one.textContent && one.getClientRects().length).length,
      arrows: all("#rows .arrow").length, heads: text("#heads .names span"),
      decoding: text("h3", rows[1]), fields: text("dd", rows[1]), dump: text("pre", rows[1])[0],
      more: text("h3", rows[5])[0],
      width: document.documentElement.scrollWidth, svg: all("#network svg").length,
      color: getComputedStyle(document.body).backgroundColor, counts: text("#count"),
      loads: performance.getEntriesByType("resource").length,
    };
    const choose = (host, search, box) => {
      document.getElementById("host").value = host;
      document.getElementById("search").value = search;
      all("#kinds input").forEach(one => { one.checked = one.name !== box; });
      document.getElementById("filter").dispatchEvent(new Event("input"));
      return text("#rows .text").length;
    };
    found.chosen = [choose("", "", "packet"), choose("router", "", ""), choose("", "LOST", "")];
    found.chosen.push(choose("", "8080", "log"));
    found.left = [choose("", "", ""), text("#more")[0], document.getElementById("more").hidden];
    document.getElementById("more").click();
    found.left.push(text("#rows .text").length);
    parent.postMessage(found, "*");
  });
});
</script></body>"""
FRAME = """<!doctype html><body><script>
addEventListener("message", event => { document.body.textContent = JSON.stringify(event.data); });
const frame = document.createElement("iframe");
frame.width = WIDTH; frame.height = 900; frame.src = "page.html";
document.body.append(frame);
</script></body>"""
PHONE, DESK = 360, 1200


@pytest.fixture(scope="module")
def browser() -> str:
    return browsers.find()


def look(browser: str, folder: Path, contents: Contents, width: int = DESK, *options: str) -> dict[str, Any]:
    """Return what a reader sees of a page."""
    page = write(contents)
    assert page.count("</body>") == 1
    (folder / "page.html").write_text(page.replace("</body>", LOOK))
    (folder / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    found: dict[str, Any] = json.loads(browsers.body_of(browser, folder / "frame.html", folder, *options))
    return found


@pytest.mark.slow
def test_everything_is_shown_as_it_is(browser: str, tmp_path: Path) -> None:
    found = look(browser, tmp_path, CONTENTS)
    assert (found["heading"], found["title"]) == (CONTENTS.test, CONTENTS.test)
    assert found["cause"] == "server drops TCP port 80"
    assert found["why"][1] == NASTY
    assert found["pre"] == [NASTY, CONTENTS.failure]
    assert found["missing"] == ["312 frames did not fit"]
    assert found["hidden"] == ["network"]
    assert (found["rows"][1], found["rows"][3]) == ("client → router  SYN", NASTY)
    assert found["times"] == ["0.000100", "0.000200", "0.000300", "1.020000", "1.500000", "2.000000"]
    assert found["marks"] == ["lost, router → server"]
    assert found["loads"] == 0


@pytest.mark.slow
def test_a_click_on_a_packet_shows_its_decoding(browser: str, tmp_path: Path) -> None:
    found = look(browser, tmp_path, CONTENTS)
    assert found["decoding"] == ["IPv4", "TCP", "74 bytes"]
    assert found["fields"] == ["10.0.1.1", "64", "SYN"]
    assert found["dump"].splitlines()[2] == f"0020  {bytes(range(32, 48)).hex(' ')}  " + " !\"#$%&'()*+,-./"
    assert found["more"] == f"{SHOWN + 9} bytes, of which the capture has 9 more than this page"


@pytest.mark.slow
def test_what_is_shown_can_be_chosen(browser: str, tmp_path: Path) -> None:
    assert look(browser, tmp_path, CONTENTS)["chosen"] == [3, 2, 1, 0]


@pytest.mark.slow
def test_what_keeps_neighbours_known_is_shown_on_request(browser: str, tmp_path: Path) -> None:
    arp = Event(0.1, NEIGHBOURLY, "ARP 10.0.1.2?", "client", "router")
    found = look(browser, tmp_path, Contents("test", "failed", hosts=CONTENTS.hosts, events=(arp, EVENTS[1])))
    assert (found["counts"], found["rows"]) == (["1 of 2"], ["client → router  SYN"])


@pytest.mark.slow
def test_a_long_timeline_comes_in_parts(browser: str, tmp_path: Path) -> None:
    many = tuple(Event(number / 100, PACKET, "ACK", "client", "server") for number in range(1500))
    found = look(browser, tmp_path, Contents("test", "failed", hosts=("client", "server"), events=many))
    assert found["left"] == [1000, "show more (500 left)", False, 1500]


@pytest.mark.slow
def test_columns_on_a_desk_and_names_on_a_phone(browser: str, tmp_path: Path) -> None:
    desk, phone = look(browser, tmp_path, CONTENTS), look(browser, tmp_path, CONTENTS, PHONE)
    assert desk["heads"] == ["client", "router", "server"]
    assert (desk["lanes"], desk["ends"]) == (6, 0)
    assert (phone["lanes"], phone["ends"]) == (0, 5)
    assert desk["arrows"] == 6  # a line and its head for each packet
    assert phone["width"] <= PHONE
    assert desk["width"] <= DESK


@pytest.mark.slow
def test_many_hosts_have_no_columns(browser: str, tmp_path: Path) -> None:
    hosts = tuple(f"host{number}" for number in range(20))
    found = look(browser, tmp_path, Contents("test", "failed", hosts=hosts, events=EVENTS[1:2]))
    assert (found["heads"], found["lanes"], found["ends"]) == ([], 0, 1)


@pytest.mark.slow
def test_light_and_dark(browser: str, tmp_path: Path) -> None:
    light, dark = (
        look(browser, tmp_path, CONTENTS, DESK, f"--blink-settings=preferredColorScheme={scheme}")["color"]
        for scheme in (1, 0)
    )
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(21, 24, 27)")


@pytest.mark.slow
def test_the_network_is_drawn(browser: str, tmp_path: Path) -> None:
    drawing = Topology("client -- router -- server").svg()
    assert look(browser, tmp_path, Contents("test", "failed", drawing=drawing))["svg"] == 1


def test_a_page_loads_nothing_from_anywhere() -> None:
    page = write(CONTENTS)
    assert "default-src 'none'" in page
    assert re.findall(r"""(?:src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)""", page) == []


def test_without_a_known_cause_the_page_says_so() -> None:
    assert "The network shows no cause." in write(Contents("test", "failed"))
