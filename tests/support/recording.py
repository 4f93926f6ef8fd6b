"""Frames as the namespaces of a test saw them, and files of them for other programs."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_netns import Host, NetNS, Topology
from pytest_netns._frames.frame import Frame
from pytest_netns._report.ladder.recording import End, Note, Recording

from .helpers import eventually

ETH_P_ALL = 3  # linux/if_ether.h
SOL_PACKET, PACKET_AUXDATA = 263, 8  # linux/socket.h, linux/if_packet.h
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
LARGEST = 1 << 18


class Recorder:
    """Records namespaces by a socket each, whose buffer is large enough for a test."""

    def __init__(self, namespaces: dict[str, NetNS]) -> None:
        with contextlib.closing(stamping_socket(next(iter(namespaces.values())))):
            self._sockets = {name: packet_socket(ns) for name, ns in namespaces.items()}
        self.since = time.time_ns()
        self.until: dict[str, int] = {}
        self.notes: list[Note] = []
        self.frames: list[Frame] = []

    def note(self, text: str, namespace: str | None = None) -> None:
        """Note a line of the test."""
        self.notes.append(Note(time.time_ns(), namespace, text))

    def so_far(self, name: str) -> list[Frame]:
        """Return the frames of a namespace until now."""
        self.frames += received(name, self._sockets[name])
        return [frame for frame in self.frames if frame.namespace == name]

    def stop(self) -> list[Frame]:
        """Return the frames."""
        for name, sock in self._sockets.items():
            with contextlib.closing(sock):
                self.until[name] = time.time_ns()
                self.frames += received(name, sock)
        self._sockets = {}
        return self.frames


@contextlib.contextmanager
def recording(namespaces: dict[str, NetNS]) -> Iterator[Recorder]:
    """Record while the block runs."""
    recorder = Recorder(namespaces)
    try:
        yield recorder
    finally:
        recorder.stop()


def packet_socket(ns: NetNS) -> socket.socket:
    """Return a socket that receives all frames of a namespace."""
    sock = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with contextlib.suppress(PermissionError):  # rootless; a test is small
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.setblocking(False)
    return sock


def stamping_socket(ns: NetNS) -> socket.socket:
    """Return a socket for which the kernel notes when packets arrive.

    It begins to do so some time after the first socket asks for it, and up to then a packet has the time at which it is
    read (net/core/dev.c, netstamp_wanted).
    """
    sock = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def notes() -> bool:
        sock.sendto(b"", sock.getsockname())
        before_reading = time.time_ns()
        ancillary = sock.recvmsg(0, 100)[1]
        seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
        return bool(seconds * 1_000_000_000 + nanoseconds < before_reading)

    eventually(notes, "the kernel notes when packets arrive")
    return sock


def received(name: str, sock: socket.socket) -> Iterator[Frame]:
    """Yield the frames that a socket has received so far."""
    while True:
        try:
            data, ancillary, _, address = sock.recvmsg(LARGEST, 1024)
        except BlockingIOError:
            return
        stamp, tag = 0, b""
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("qq", value)
                stamp = seconds * 1_000_000_000 + nanoseconds
            elif (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, *_, tci, tpid = struct.unpack("IIIHHHH", value)
                if status & TP_STATUS_VLAN_VALID:  # the kernel has taken it out of the frame
                    tag = struct.pack("!HH", tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100, tci)
        data = data[:12] + tag + data[12:]
        yield Frame(stamp, name, address[0], address[2] == socket.PACKET_OUTGOING, data, len(data))


def of_network(net: Topology, recorder: Recorder, *, tidy: bool = True, pauses: bool = False) -> Recording:
    """Return what a ladder is drawn from."""
    hosts = {name: net[name] for name in net}
    addresses = {address: name for name, host in hosts.items() for address in addresses_of(host)}
    return of_hosts(list(hosts), recorder, links_of(hosts), addresses, tidy=tidy, pauses=pauses)


def addresses_of(host: Host) -> list[str]:
    """Return the addresses of a host."""
    return [str(one.ip) for interface in host.interfaces.values() for one in interface.addresses]


def links_of(hosts: dict[str, Host]) -> dict[End, End]:
    """Return the other end of each link."""
    found = {}
    for name, host in hosts.items():
        for interface in host.interfaces.values():
            peer = interface.peer
            found[name, interface.name] = (str(peer.host.label), peer.name)
    return found


def of_hosts(
    hosts: list[str],
    recorder: Recorder,
    links: dict[End, End] | None = None,
    addresses: dict[str, str] | None = None,
    *,
    tidy: bool = True,
    pauses: bool = False,
) -> Recording:
    """Return what a ladder is drawn from, with times that are the same in each run unless told otherwise."""
    frames, notes, since = recorder.frames, recorder.notes, recorder.since
    if tidy:
        frames, notes = in_steps([frame for frame in frames if frame.data[12:14] != b"\x86\xdd"], notes, pauses)
    recorded = {name: (0, 1 << 62) if tidy else (since, recorder.until[name]) for name in hosts}
    return Recording(frames, recorded, 0 if tidy else since, hosts, notes, links or {}, addresses or {})


def in_steps(frames: Iterable[Frame], notes: Iterable[Note], pauses: bool) -> tuple[list[Frame], list[Note]]:
    """Return frames and notes in their order, a tenth of a millisecond from one to the next, or a pause in seconds."""
    timed: list[Frame | Note] = sorted([*notes, *frames], key=lambda one: one.time)
    now, before, stepped = 0, timed[0].time if timed else 0, []
    for one in timed:
        now += 100_000 + (round((one.time - before) / 1e9) * 1_000_000_000 if pauses else 0)
        before = one.time
        stepped.append(one._replace(time=now))
    return [one for one in stepped if isinstance(one, Frame)], [one for one in stepped if isinstance(one, Note)]


def write_pcap(path: Path, frames: Iterable[Frame]) -> None:
    """Write a file that tshark reads: of libpcap, with nanoseconds."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, LARGEST, 1))
        for frame in frames:
            file.write(struct.pack("<IIII", *divmod(frame.time, 1_000_000_000), len(frame.data), frame.length))
            file.write(frame.data)


def add_tunnel(host: Host, other: Host, address: str) -> None:
    """Add the end of a VXLAN to a host."""
    index = host.interfaces["eth0"].index
    host.ipr.link(
        "add",
        ifname="vxlan0",
        kind="vxlan",
        vxlan_id=42,
        vxlan_port=4789,
        vxlan_local=host.ip,
        vxlan_group=other.ip,
        vxlan_link=index,
        state="up",
    )
    host.ipr.addr("add", index=host.ipr.link_lookup(ifname="vxlan0")[0], address=address, prefixlen=24)
