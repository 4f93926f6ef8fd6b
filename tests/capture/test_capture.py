"""Captures by hand: what they have, and how they are written."""

from __future__ import annotations

import errno
import functools
import os
import socket
import threading
from pathlib import Path

import pytest

from pytest_netns import Capture, Frame, MakeNetNS, NetNS, NetNSClosedError, NetNSPair, Topology
from pytest_netns._capture.recorder import now
from tests.capture.conftest import Shark
from tests.support.helpers import eventually, is_gone

ECHO = b"pytest-netns"  # what our echoes carry

pytestmark = pytest.mark.core


def udp_pair(ns: NetNS, port: int = 7) -> socket.socket:
    """Return a socket that sends to itself."""
    sock = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    sock.connect(("127.0.0.1", port))
    return sock


@pytest.mark.smoke
@pytest.mark.second_kernel
def test_loopback_is_recorded_once(netns: NetNS) -> None:
    sock = udp_pair(netns)
    began = now()
    with netns.capture() as capture:
        sock.send(b"hello")
        sock.recv(10)
        (frame,) = capture.frames
    assert (frame.namespace, frame.interface, frame.is_outgoing) == ("netns", "lo", False)
    assert frame.data.endswith(b"hello")
    assert frame.length == len(frame.data) == 14 + 20 + 8 + 5
    assert began < frame.time < now()


def test_what_has_come_until_the_moment_of_asking_is_there(netns: NetNS) -> None:
    sock = udp_pair(netns)
    with netns.capture() as capture:
        for number in range(1, 300):  # through the queue, the change to the ring, and the ring
            sock.send(number.to_bytes(2, "big"))
            sock.recv(10)
            if number < 20 or number % 20 == 0:
                assert [int.from_bytes(frame.data[-2:], "big") for frame in capture.frames] == [*range(1, number + 1)]
    assert capture.dropped == 0


def test_no_frame_is_missing_or_there_twice_as_the_ring_takes_over(netns: NetNS) -> None:
    sock = udp_pair(netns)
    is_over = threading.Event()
    sent = 0

    def send() -> None:
        nonlocal sent
        while not is_over.is_set():
            sock.send(sent.to_bytes(4, "big"))
            sock.recv(10)
            sent += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        for _ in range(30):
            with netns.capture() as capture:
                goal = sent + 150
                while sent < goal:
                    pass
                numbers = [int.from_bytes(frame.data[-4:], "big") for frame in capture.frames]
                dropped = capture.dropped
            assert numbers == sorted(set(numbers))
            assert numbers[-1] - numbers[0] + 1 - len(numbers) <= dropped
            assert numbers[-1] >= goal - 1
    finally:
        is_over.set()
        thread.join()


def test_a_namespace_that_is_closed_is_let_go_of(make_netns: MakeNetNS) -> None:
    for has_ring in (False, True):
        ns = make_netns("short")
        capture = ns.capture()
        if has_ring:
            sock = udp_pair(ns)
            sock.send(b"x" * 100)
            assert capture.frames
        ns.close()
        eventually(functools.partial(is_gone, ns), "the namespace is gone")


@pytest.mark.second_kernel
def test_both_directions_are_marked(netns_pair: NetNSPair) -> None:
    left, right = netns_pair
    with left.capture() as here, right.capture() as there:
        left.reach("192.0.2.2")
        sent, received = (
            [frame.is_outgoing for frame in capture.frames if frame.data.endswith(ECHO)] for capture in (here, there)
        )
    assert sent == [True, False]
    assert received == [False, True]


def test_a_link_that_comes_later_is_recorded(make_netns: MakeNetNS) -> None:
    ns = make_netns("late")
    with ns.capture() as capture:
        ns.ipr.link("add", ifname="eth7", kind="veth", peer={"ifname": "eth8"})
        for name in ("eth7", "eth8"):
            ns.ipr.link("set", ifname=name, state="up")
        for name in ("eth7", "eth8"):  # the kernel throws away what is sent before it has noticed the carrier
            eventually(functools.partial(_is_up, ns, name), f"{name} is up")
        sender = ns.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind(("eth7", 0))
        sender.send(b"\xff" * 12 + b"\x88\xb5" + b"a frame of ours".ljust(50, b"."))
        found = {frame.interface for frame in capture.frames if b"a frame of ours" in frame.data}
    assert found == {"eth7", "eth8"}


def _is_up(ns: NetNS, name: str) -> bool:
    (link,) = ns.ipr.link("get", ifname=name)
    return bool(link.get_attr("IFLA_OPERSTATE") == "UP")


def test_one_interface_alone(netns_pair: NetNSPair) -> None:
    left = netns_pair.left
    sock = udp_pair(left)
    with left.capture("eth0") as wanted, left.capture() as all_of_them:
        sock.send(b"x")
        sock.recv(1)
        left.reach("192.0.2.2")
        assert {frame.interface for frame in wanted.frames} == {"eth0"}
        assert {frame.interface for frame in all_of_them.frames} == {"lo", "eth0"}


def test_frames_are_cut_at_snaplen(netns: NetNS, tmp_path: Path, tshark: Shark) -> None:
    sock = udp_pair(netns)
    with netns.capture(snaplen=60) as capture:
        for _ in range(3):
            sock.send(b"x" * 500)
            sock.recv(500)
        assert {(len(frame.data), frame.length) for frame in capture.frames} == {(60, 542)}
    capture.write(tmp_path / "cut.pcapng")
    assert tshark(tmp_path / "cut.pcapng", "frame.cap_len", "frame.len") == ["60\t542"] * 3


@pytest.mark.second_kernel
@pytest.mark.parametrize("tag", [0x8100, 0x88A8])
def test_a_vlan_tag_is_where_it_was(netns_pair: NetNSPair, tmp_path: Path, tshark: Shark, tag: int) -> None:
    left, right = netns_pair
    sender = left.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("eth0", 0))
    frame = b"\xff" * 6 + b"\x02\0\0\0\0\1" + tag.to_bytes(2, "big") + (42).to_bytes(2, "big") + b"\x88\xb5" + b"." * 60
    with right.capture() as capture:
        for number in range(20):
            sender.send(frame + bytes([number]))
        seen = [one.data for one in capture.frames if one.data[:6] == b"\xff" * 6 and b"." * 60 in one.data]
        capture.write(tmp_path / "tagged.pcapng")
    assert seen == [frame + bytes([number]) for number in range(20)]
    if tag == 0x8100:
        assert tshark(tmp_path / "tagged.pcapng", "vlan.id", only="vlan") == ["42"] * 20


def test_frames_remain_when_it_is_closed(netns: NetNS) -> None:
    sock = udp_pair(netns)
    capture = netns.capture()
    sock.send(b"hello")
    sock.recv(10)
    assert not capture.closed
    capture.close()
    sock.send(b"more")
    sock.recv(10)
    capture.close()
    assert capture.closed
    assert len(capture.frames) == 1


def test_it_is_closed_with_its_namespace(make_netns: MakeNetNS, tmp_path: Path) -> None:
    ns = make_netns("short")
    sock = udp_pair(ns)
    capture = ns.capture()
    sock.send(b"hello")
    sock.recv(10)
    ns.close()
    assert capture.closed
    assert [frame.namespace for frame in capture.frames] == ["short"]
    capture.write(tmp_path / "short.pcapng")
    with pytest.raises(NetNSClosedError):
        ns.capture()


def test_captures_of_two_threads_do_not_mix(netns: NetNS) -> None:
    found: dict[int, list[Frame]] = {}

    def record(number: int) -> None:
        sock = udp_pair(netns, 1000 + number)
        with netns.capture() as capture:
            for _ in range(50):
                sock.send(bytes([number]))
                sock.recv(1)
            found[number] = [frame for frame in capture.frames if frame.data[-1] == number]

    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: len(frames) for number, frames in found.items()} == dict.fromkeys(range(4), 50)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"interface": 1}, TypeError, "interface is a str, the name of the interface to record, not 1"),
        ({"snaplen": "x"}, TypeError, "snaplen is an int, how many bytes of each frame to record, not 'x'"),
        ({"snaplen": 3}, ValueError, "snaplen is from 14 to 262144 bytes, not 3"),
    ],
)
def test_wrong_arguments(netns: NetNS, arguments: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as info:
        netns.capture(**arguments)  # type: ignore[arg-type]
    assert str(info.value) == text


def test_a_file_that_cannot_be_written(netns: NetNS, tmp_path: Path) -> None:
    capture = netns.capture()
    with pytest.raises(FileNotFoundError) as info:
        capture.write(tmp_path / "missing" / "x.pcapng")
    assert info.value.errno == errno.ENOENT


@pytest.mark.heavy
@pytest.mark.slow
def test_of_a_large_transfer_the_newest_frames_are_there(netns_pair: NetNSPair) -> None:
    left, right = netns_pair
    server = right.create_server(("192.0.2.2", 5000))
    total = 1 << 30

    def receive() -> None:
        connection, _ = server.accept()
        buffer = bytearray(1 << 20)
        with connection:
            while connection.recv_into(buffer):
                pass

    thread = threading.Thread(target=receive)
    with left.capture() as here, right.capture() as there:
        thread.start()
        with left.create_connection(("192.0.2.2", 5000)) as client:
            block = bytes(1 << 20)
            for _ in range(total >> 20):
                client.sendall(block)
        thread.join()
        for capture in (here, there):
            frames = [frame for frame in capture.frames if _is_tcp(frame)]
            assert capture.dropped > 1000
            assert any(_ports(frame)[1] == 5000 and _flags(frame) & 1 for frame in frames)  # FIN
            newest = [frame for frame in frames if _ports(frame)[1] == 5000][-100:]
            _expect_no_gap(newest)


def _is_tcp(frame: Frame) -> bool:
    return frame.data[12:14] == b"\x08\0" and frame.data[23] == 6


def _ports(frame: Frame) -> tuple[int, int]:
    return int.from_bytes(frame.data[34:36], "big"), int.from_bytes(frame.data[36:38], "big")


def _flags(frame: Frame) -> int:
    return frame.data[47]


def _expect_no_gap(frames: list[Frame]) -> None:
    """Expect all that was sent: in order, but for what a busy machine lost and TCP sent again later."""
    spans = [_span(frame, _number(frames[0])) for frame in frames]
    reached = spans[0][0]
    for index, (begin, end) in enumerate(spans):
        for later in sorted(spans[index:]) if begin > reached else ():
            if later[0] <= reached:
                reached = max(reached, later[1])
        assert begin <= reached
        reached = max(reached, end)


def _number(frame: Frame) -> int:
    return int.from_bytes(frame.data[38:42], "big")


def _span(frame: Frame, first: int) -> tuple[int, int]:
    """Return which bytes a frame has, counted from a sequence number, which wraps around."""
    begin = (_number(frame) - first + 2**31) % 2**32 - 2**31
    size = frame.length - 34 - 4 * (frame.data[46] >> 4)
    return begin, begin + size + (_flags(frame) & 1)  # FIN takes up a number


@pytest.mark.second_kernel
def test_a_network_read_by_tshark(netns_topology: Topology, tmp_path: Path, tshark: Shark) -> None:
    net = netns_topology
    net.line("client", "router", "server")
    server = net["server"].create_server(("0.0.0.0", 80))
    with net["router"].capture() as capture:
        with net["client"].create_connection(("server", 80)) as client:
            connection, _ = server.accept()
            client.sendall(b"question")
            assert connection.recv(100) == b"question"
            connection.close()
        net["client"].reach("server")
        capture.write(tmp_path / "net.pcapng")
    lines = tshark(tmp_path / "net.pcapng", "frame.interface_name", "_ws.col.Protocol", only="tcp or icmp or arp")
    assert {tuple(line.split("\t")) for line in lines} >= {
        (f"router:eth{number}", protocol) for number in (0, 1) for protocol in ("TCP", "ICMP", "ARP")
    }
    assert [line for line in tshark(tmp_path / "net.pcapng", "tcp.payload", only="tcp.payload") if line] == [
        b"question".hex()
    ] * 2


def test_its_text(netns: NetNS) -> None:
    capture = netns.capture()
    assert isinstance(capture, Capture)
    assert repr(capture) == "<Capture open>"
    capture.close()
    assert repr(capture) == "<Capture closed>"


def test_a_forked_child_cannot_use_it(netns: NetNS) -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            netns.capture()
        except BaseException as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    text = os.read(read, 1000).decode()
    os.close(read)
    assert "this is a forked child of it" in text
