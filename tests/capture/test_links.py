"""Links of which both ends are recorded: their frames are taken once, and are seen at both ends all the same."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_netns import Frame, NetNS, Topology
from pytest_netns._capture import recorder
from pytest_netns._capture.program import sockets
from pytest_netns._capture.recorder import WITHOUT_LIMIT, now
from pytest_netns._frames.frame import in_order
from pytest_netns._netns.factory import Session
from pytest_netns._netns.options import Options
from pytest_netns._topology.host import Host
from tests.capture.conftest import Shark
from tests.support import xdp
from tests.support.helpers import eventually, listeners

pytestmark = pytest.mark.core

PAIR = "left -- right"
STOPPED = "T"  # proc_pid_stat(5)
THERE, HERE = b"what is sent", b"what is answered"


@pytest.fixture
def xdp_drop() -> Iterator[int]:
    """A program for XDP that drops all that arrives."""
    fd = xdp.load(xdp.DROP)
    yield fd
    os.close(fd)


Written = Callable[..., list[str]]


class Recorded:
    """Networks and namespaces of a session of their own, which are recorded."""

    def __init__(self, session: Session, stack: contextlib.ExitStack, path: Path) -> None:
        self.session = session
        self._stack = stack
        self.test = str(path), ["a test"], now(), False, "", 0
        self.session.recorder.begin(*self.test, longest=WITHOUT_LIMIT)

    def network(self, text: str) -> Topology:
        def make(kind: type[Host], options: Options, own: Callable[[NetNS], object]) -> Host:
            return self.session.make(options, kind=kind, own=own)

        net = Topology(text)
        net._own(make)
        return self._stack.enter_context(net)

    def frames(self, content: bytes) -> list[Frame]:
        """Return the frames of the session with a content."""
        found = [frame for one in self.session.recorder.of_test() for frame in one.frames]
        return [frame for frame in found if frame.data.endswith(content)]

    @property
    def pid(self) -> int:
        (pid,) = self.session.recorder.program.pids()
        return pid


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    with contextlib.closing(Session(records=True)) as session, contextlib.ExitStack() as stack:
        yield Recorded(session, stack, tmp_path / "1.pcapng")
        # A bridge joins a group of IGMP as it comes up (net/bridge/br_multicast.c, br_multicast_join_snoopers).
        assert [one for one in session.recorder.troubles if not one.endswith("before the recorder knew of it")] == []


@pytest.fixture
def written(recorded: Recorded, tmp_path: Path, tshark: Shark) -> Written:
    """Return fields of the frames in the file of the test, which is written for it."""

    def read(*fields: str, only: str) -> list[str]:
        assert recorded.session.recorder.write([], []) is not None
        return tshark(tmp_path / "1.pcapng", *fields, only=only)

    return read


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: f") {STOPPED} " in Path(f"/proc/{pid}/stat").read_text(), "it has stopped")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def talk(left: NetNS, right: NetNS, address: str, port: int = 7) -> None:
    """Send one datagram to an address, and one back."""
    with (
        left.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        right.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
    ):
        server.bind((address, port))
        client.connect((address, port))
        client.send(THERE)
        server.sendto(HERE, server.recvfrom(100)[1])
        client.recv(100)


def places(frames: list[Frame]) -> list[tuple[str, str, bool]]:
    return sorted((frame.namespace, frame.interface, frame.is_outgoing) for frame in frames)


def is_taken_once(frames: list[Frame]) -> bool:
    """Whether a frame was taken at one end of its link only: its time is the same at the other end then."""
    sent, arrived = sorted(frames, key=lambda frame: not frame.is_outgoing)
    return sent.time == arrived.time


def check(recorded: Recorded, sender: tuple[str, str], receiver: tuple[str, str]) -> tuple[bool, bool]:
    """Check that the frames of :func:`talk` are at both ends; return for each whether it was taken once."""
    there, back = recorded.frames(THERE), recorded.frames(HERE)
    assert places(there) == sorted([(*sender, True), (*receiver, False)])
    assert places(back) == sorted([(*sender, False), (*receiver, True)])
    return is_taken_once(there), is_taken_once(back)


LEFT, RIGHT = ("left", "eth0"), ("right", "eth0")


@pytest.mark.second_kernel
def test_a_link_of_a_network(recorded: Recorded) -> None:
    net = recorded.network(PAIR)
    talk(net["left"], net["right"], net["right"].ip)
    assert check(recorded, LEFT, RIGHT) == (True, True)


def test_a_recorder_that_learns_late_of_a_link(recorded: Recorded) -> None:
    recorded.session.namespace().close()  # it runs
    with stopped(recorded.pid):
        net = recorded.network(PAIR)
    talk(net["left"], net["right"], net["right"].ip)
    assert check(recorded, LEFT, RIGHT) == (True, True)


def test_a_chain_of_routers(recorded: Recorded) -> None:
    net = recorded.network("r1, r2 [router]\na -- r1 -- r2 -- b")
    talk(net["a"], net["b"], net["b"].ip)
    found = sorted(recorded.frames(THERE), key=lambda frame: (frame.time, not frame.is_outgoing))
    assert [(frame.namespace, frame.is_outgoing) for frame in found] == [
        ("a", True),
        ("r1", False),
        ("r1", True),
        ("r2", False),
        ("r2", True),
        ("b", False),
    ]
    assert len({frame.time for frame in found}) == 3


def test_loopback(recorded: Recorded) -> None:
    ns = recorded.session.namespace()
    talk(ns, ns, "127.0.0.1")
    assert places(recorded.frames(THERE)) == [(ns.label, "lo", False)]


def _has_recorded(recorded: Recorded, ns: NetNS, name: str) -> bool:
    """Send over a link whose other end nobody has, and tell whether that was recorded."""
    _send(ns, name)
    return (ns.label, name, True) in places(recorded.frames(b"nobody receives it"))


def _send(ns: NetNS, name: str) -> None:
    with ns.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((name, 0))
        sender.send(b"\xff" * 12 + b"\x88\xb5" + b"nobody receives it")


def test_a_link_that_only_one_namespace_has(recorded: Recorded) -> None:
    net = recorded.network(PAIR)
    left = net["left"]
    left.ipr.link("add", ifname="br0", kind="bridge")
    talk(left, net["right"], net["right"].ip)
    assert check(recorded, LEFT, RIGHT) == (True, True)  # a link that is down sends nothing
    left.ipr.link("set", ifname="br0", state="up")
    eventually(lambda: _has_recorded(recorded, left, "br0"), "what it sends is recorded")
    talk(left, net["right"], net["right"].ip)
    there, back = recorded.frames(THERE), recorded.frames(HERE)
    assert places(there) == 2 * [(*LEFT, True)] + 2 * [(*RIGHT, False)]
    assert places(back) == 2 * [(*LEFT, False)] + 2 * [(*RIGHT, True)]
    assert not is_taken_once(
        [frame for frame in there if frame.time > max(there[0].time, min(one.time for one in back))]
    )


def test_the_first_frame_of_a_link_that_only_one_namespace_has(recorded: Recorded) -> None:
    ns = recorded.session.namespace()
    ns.ipr.link("add", ifname="br0", kind="bridge")
    ns.ipr.link("set", ifname="br0", state="up")
    eventually(lambda: _has_recorded(recorded, ns, "br0"), "what it sends is recorded")


def test_a_link_that_the_test_has_made(recorded: Recorded) -> None:
    left, right = recorded.session.namespace("left"), recorded.session.namespace("right")
    left.ipr.link("add", ifname="made0", kind="veth", peer={"ifname": "made1", "net_ns_fd": right.fileno()})
    for ns, name, address in ((left, "made0", "192.0.2.1"), (right, "made1", "192.0.2.2")):
        ns.ipr.addr("add", index=ns.ipr.link_lookup(ifname=name)[0], address=address, prefixlen=24)
        ns.ipr.link("set", ifname=name, state="up")
    eventually(lambda: _has_recorded(recorded, left, "made0"), "what the left one sends is recorded")
    eventually(lambda: _has_recorded(recorded, right, "made1"), "what the right one sends is recorded")
    talk(left, right, "192.0.2.2")
    assert check(recorded, ("left", "made0"), ("right", "made1")) == (False, False)


def test_a_link_with_another_name(recorded: Recorded) -> None:
    net = recorded.network(PAIR)
    for name, new in (("left", "uplink"), ("right", "lan")):
        host = net[name]
        host.ipr.link("set", ifname="eth0", state="down")
        host.ipr.link("set", index=host.interfaces["eth0"].index, ifname=new)
        host.ipr.link("set", ifname=new, state="up")
    eventually(lambda: _has_carrier(net["left"], "uplink"), "the link is up")
    talk(net["left"], net["right"], net["right"].ip)
    assert check(recorded, ("left", "uplink"), ("right", "lan")) == (True, True)


def _has_carrier(host: Host, name: str) -> bool:
    (link,) = host.ipr.link("get", ifname=name)
    return bool(link.get("operstate") == "UP")


def test_an_interface_that_is_plugged_in_elsewhere(recorded: Recorded) -> None:
    net = recorded.network("r1, r2 [router]\nr1 -- {mobile r2}")
    mobile = net["mobile"]
    talk(net["r1"], mobile, mobile.ip)
    assert len(recorded.frames(THERE)) == 2  # with the names that the links have
    with stopped(recorded.pid):  # it learns of the end of the link only when the next one has carried something
        mobile.replug("eth0", "r2")
        talk(net["r2"], mobile, mobile.ip)
    there, back = recorded.frames(THERE), recorded.frames(HERE)
    assert places(there) == [*2 * [("mobile", "eth0", False)], ("r1", "eth0", True), ("r2", "eth1", True)]
    assert places(back) == [*2 * [("mobile", "eth0", True)], ("r1", "eth0", False), ("r2", "eth1", False)]


def test_a_link_whose_other_end_has_moved(recorded: Recorded) -> None:
    net = recorded.network(PAIR)
    left, right, other = net["left"], net["right"], recorded.session.namespace("other")
    address = right.ip
    right.ipr.link("set", index=right.interfaces["eth0"].index, net_ns_fd=other.fileno())
    (index,) = other.ipr.link_lookup(ifname="eth0")
    other.ipr.addr("add", index=index, address=address, prefixlen=24)
    other.ipr.link("set", index=index, state="up")
    eventually(lambda: _has_carrier(left, "eth0"), "the link is up")
    eventually(lambda: _has_recorded(recorded, left, "eth0"), "what the left one sends is recorded")
    eventually(lambda: _has_recorded(recorded, other, "eth0"), "what the other one sends is recorded")
    talk(left, other, address)
    assert check(recorded, LEFT, ("other", "eth0")) == (False, False)


@pytest.mark.parametrize("is_generic", [False, True])
def test_a_program_that_drops_what_arrives(recorded: Recorded, xdp_drop: int, is_generic: bool) -> None:
    """What has been sent is seen all the same, where it was sent."""
    net = recorded.network(PAIR)
    xdp.attach(net["right"], xdp_drop, is_generic=is_generic)
    check_dropped(recorded, net)


@pytest.mark.needs_thread_inside
def test_a_linked_program_that_drops_what_arrives(recorded: Recorded, xdp_drop: int) -> None:
    net = recorded.network(PAIR)
    fd = xdp.link(net["right"], xdp_drop)
    try:
        check_dropped(recorded, net)
    finally:
        os.close(fd)


def check_dropped(recorded: Recorded, net: Topology) -> None:
    eventually(lambda: _has_recorded(recorded, net["left"], "eth0"), "what the left one sends is recorded")
    assert all(frame.is_outgoing for frame in recorded.frames(b"nobody receives it"))


def test_more_changes_than_can_be_told(recorded: Recorded) -> None:
    """What nobody knows any more may be a link of which only one end is recorded."""
    net = recorded.network(PAIR)
    left = net["left"]
    with stopped(recorded.pid):
        for number in range(500):
            left.ipr.link("set", ifname="lo", mtu=2000 + number)
    eventually(lambda: _is_taken_at_both_ends(recorded, net), "frames are taken where they are sent, too")
    (text,) = troubles(recorded)
    assert text.startswith("left: so many links changed")


def _is_taken_at_both_ends(recorded: Recorded, net: Topology) -> bool:
    began = now()
    talk(net["left"], net["right"], net["right"].ip)
    return not is_taken_once([frame for frame in recorded.frames(THERE) if frame.time > began])


def test_a_request_that_was_served_on_the_side(recorded: Recorded) -> None:
    """The recorder serves what has come as it meets a link that it does not know; it is not to wait for more then."""
    lab, other = recorded.session.namespace("lab"), recorded.session.namespace("other")
    lab.ipr.link("add", ifname="br0", kind="bridge")
    other.ipr.link("add", ifname="br0", kind="bridge")
    with stopped(recorded.pid):
        lab.ipr.link("set", ifname="br0", state="up")
        recorded.session.namespace()
    eventually(lambda: listeners(lab) == 0, "it has taken note of a link")
    other.ipr.link("set", ifname="br0", state="up")
    eventually(lambda: listeners(other) == 0, "it has taken note of another one")


def test_a_kernel_that_cannot_ignore_them(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "PACKET_IGNORE_OUTGOING", 9999)
    net = recorded.network(PAIR)
    talk(net["left"], net["right"], net["right"].ip)
    assert check(recorded, LEFT, RIGHT) == (False, False)


def test_many_namespaces_have_few_who_listen(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel looks through all of them for each thing that it tells of any link."""
    monkeypatch.setattr(recorder, "MOST_WATCHED", 1)
    net = recorded.network(PAIR)
    talk(net["left"], net["right"], net["right"].ip)
    assert check(recorded, LEFT, RIGHT) == (True, False)


def test_what_a_host_has_sent_that_is_closed(recorded: Recorded) -> None:
    net = recorded.network(PAIR)
    talk(net["left"], net["right"], net["right"].ip)
    net["left"].crash()
    assert check(recorded, LEFT, RIGHT) == (True, True)
    net["right"].crash()
    assert check(recorded, LEFT, RIGHT) == (True, True)


def test_what_is_sent_comes_before_what_arrives(recorded: Recorded) -> None:
    net = recorded.network(PAIR)
    talk(net["left"], net["right"], net["right"].ip)
    frames = [frame for content in (THERE, HERE) for frame in recorded.frames(content)]
    in_time = [(frame.namespace, frame.is_outgoing) for frame in in_order(frames)]
    assert in_time == [("left", True), ("right", False), ("right", True), ("left", False)]


LINK = "left:eth0 -- right:eth0"
OUTBOUND, INBOUND = "0x00000002", "0x00000001"
LOST = "sent, and not seen to arrive"


@pytest.mark.parametrize("is_taken_twice", [False, True])
def test_the_file_has_them_once(recorded: Recorded, is_taken_twice: bool, written: Written) -> None:
    """Wireshark takes a segment that it sees again for a retransmission."""
    net = recorded.network(PAIR)
    left, right = net["left"], net["right"]
    if is_taken_twice:
        for host in (left, right):
            host.ipr.link("add", ifname="br0", kind="bridge")
            host.ipr.link("set", ifname="br0", state="up")
        eventually(lambda: _is_taken_at_both_ends(recorded, net), "frames are taken where they are sent, too")
    with right.create_server((right.ip, 80)) as server, left.create_connection((right.ip, 80)) as client:
        connection, _ = server.accept()
        client.sendall(b"x" * 100)
        assert connection.recv(100)
        connection.sendall(b"y" * 50)
        assert client.recv(100)
        connection.close()
    assert written("frame.number", only="tcp and frame.comment") == []
    numbers = written("ip.src", "ip.id", only="tcp and ip.id != 0")  # one that is sent again has another one
    assert len(numbers) > 4
    assert len(set(numbers)) == len(numbers)
    fields = "frame.interface_name", "frame.packet_flags", "tcp.len"
    only = "tcp.len > 0 and not tcp.analysis.retransmission"
    assert written(*fields, only=only) == [f"{LINK}\t{OUTBOUND}\t100", f"{LINK}\t{INBOUND}\t50"]


def test_the_file_says_of_a_frame_that_it_did_not_arrive(recorded: Recorded, xdp_drop: int, written: Written) -> None:
    net = recorded.network(PAIR)
    talk(net["left"], net["right"], net["right"].ip)
    xdp.attach(net["right"], xdp_drop, is_generic=True)
    check_dropped(recorded, net)
    fields = "frame.interface_name", "frame.packet_flags", "frame.comment"
    said = {f"{LINK}\t{OUTBOUND}\t{LOST}"}
    eventually(lambda: set(written(*fields, only="eth.type == 0x88b5")) == said, "it is said of each")
    assert len(written(*fields, only="udp.port == 7 and not frame.comment")) == 2


def troubles(recorded: Recorded) -> list[str]:
    """Write the file of the test; return what is missing in it."""
    ours = recorded.session.recorder
    assert ours.write([], []) is not None
    found, ours.troubles = ours.troubles, []
    return found


def test_what_a_link_sent_before_it_was_known_is_counted(recorded: Recorded) -> None:
    ns = recorded.session.namespace("lab")
    with stopped(recorded.pid):
        ns.ipr.link("add", ifname="br0", kind="bridge")
        ns.ipr.link("set", ifname="br0", state="up")
        for _ in range(3):
            _send(ns, "br0")
    eventually(lambda: _has_recorded(recorded, ns, "br0"), "what it sends is recorded")
    (text,) = troubles(recorded)
    match = re.fullmatch(r"lab: br0 sent (\d+|a) frames? before the recorder knew of it", text)
    assert match is not None
    assert int(match[1]) >= 3
    recorded.session.recorder.begin(*recorded.test, longest=WITHOUT_LIMIT)
    assert troubles(recorded) == []
