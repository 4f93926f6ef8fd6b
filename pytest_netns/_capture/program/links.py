"""Links of which both ends are recorded: what they carry is taken where it arrives, and not where it is sent too.

What arrives at one end of a veth link was sent at the other end, with the same bytes. To take it there too costs a
small packet a tenth of its time, since the kernel copies the head of each frame for those who ask for outgoing ones
(net/core/dev.c, dev_queue_xmit_nit). So a namespace ignores them as long as it has no other link up than these, and
its loopback, which receives all that it sends.
"""

from __future__ import annotations

import _socket as socket
import struct

from ..._linux import netlink, rtnetlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .recording import RawFrame, Recording

    End = tuple[int, int, str]
    """The key of a recording, the index of a link, and the name with which it was made."""
    Interface = tuple[int, str]
    """The key of a recording, and the name of a link in it."""

IFLA_XDP, IFLA_EVENT, IFLA_XDP_ATTACHED = 43, 44, 2  # <linux/if_link.h>
IFLA_EVENT_FEATURES = struct.pack("@I", 2)
LOOPBACK = 1  # its index, in each namespace (include/net/flow.h, LOOPBACK_IFINDEX)
TOO_MANY = "so many links changed at once that what some of them sent may be missing"
AT_ONCE = 64  # changes that are read before others have their turn
ASKED = 1  # the number of a request
LONGEST = 1 << 16  # bytes of a message
_SENT = struct.Struct("@8xQ")  # of struct rtnl_link_stats64, <linux/if_link.h>


class Overflow(Exception):
    """More links changed than the kernel could queue."""


class Watch:
    """Tells which links of a namespace have changed, by a netlink socket that it owns."""

    def __init__(self, fd: int) -> None:
        self.sock = socket.SocketType(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE, fd)

    def changed(self) -> Iterator[tuple[int, bool, bool]]:
        """Yield the index of each link that has changed, whether it is up, and whether all that arrives is recorded.

        A program of XDP may drop what arrives before that, and one at the other end, which a veth link tells of by its
        features, what is sent (net/core/dev.c, drivers/net/veth.c). A link that has gone may have moved to another
        namespace. (Nobody is told of a generic program that bpf(2) links.)

        :raises Overflow: nobody knows any more.
        """
        for _ in range(AT_ONCE):
            try:
                message = self.sock.recv(LONGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:  # ENOBUFS (netlink(7))
                raise Overflow from error
            for kind, _, _, body in netlink.messages(message):
                _, _, index, flags, _ = rtnetlink.LINK.unpack_from(body)
                yield index, bool(flags & rtnetlink.IFF_UP), kind == rtnetlink.RTM_NEWLINK and not _is_bypassed(body)

    def missed(self, index: int) -> str:
        """Return what to say of the frames that a link has sent until now, or nothing if there are none."""
        try:
            self.sock.send(netlink.message(ASKED, rtnetlink.RTM_GETLINK, rtnetlink.link(index), 0))
            while True:  # the kernel has answered at once, behind what has changed
                for kind, _, number, body in netlink.messages(self.sock.recv(LONGEST, socket.MSG_DONTWAIT)):
                    if number == ASKED:
                        return "" if kind == netlink.NLMSG_ERROR else _missed(body)  # an error if it is gone
        except OSError:
            return TOO_MANY


def _is_bypassed(body: bytes) -> bool:
    values = dict(netlink.attributes(body, rtnetlink.LINK.size))
    xdp = dict(netlink.attributes(values.get(IFLA_XDP, b""), 0))
    return any(xdp.get(IFLA_XDP_ATTACHED, b"")) or values.get(IFLA_EVENT) == IFLA_EVENT_FEATURES


def _missed(body: bytes) -> str:
    values = dict(netlink.attributes(body, rtnetlink.LINK.size))
    (sent,) = _SENT.unpack_from(values[rtnetlink.IFLA_STATS64])
    name = values[rtnetlink.IFLA_IFNAME].rstrip(b"\0").decode(errors="replace")
    return f"{name} sent {'a frame' if sent == 1 else f'{sent} frames'} before the recorder knew of it" if sent else ""


class Links:
    """The links of which both ends are recorded, as the test process tells of them before it makes them."""

    def __init__(self) -> None:
        self._ends: dict[tuple[int, int], list[tuple[int, str, End]]] = {}

    def add(self, since: int, one: End, other: End) -> None:
        """Know a link.

        :param since: when it was not there yet, in nanoseconds since the epoch.
        """
        for (key, index, name), opposite in ((one, other), (other, one)):
            self._ends.setdefault((key, index), []).append((since, name, opposite))

    def know(self, key: int, index: int) -> bool:
        return index == LOOPBACK or (key, index) in self._ends

    def opposite(self, key: int, index: int) -> set[int]:
        """Return the recordings that an end of a link has been opposite to."""
        return {end[0] for _, _, end in self._ends.get((key, index), ())}

    def forget(self, key: int) -> None:
        """Forget the links of a recording that nobody asks for any more."""
        for end in [end for end in self._ends if end[0] == key]:
            del self._ends[end]

    def opposites(self, recordings: dict[int, Recording]) -> Opposites:
        """Return what the ends of links in some recordings are opposite to."""
        found: dict[Interface, list[tuple[int, Interface]]] = {}
        for (key, index), ends in self._ends.items():
            if key in recordings:
                known = [
                    (since, (other, recordings[other].name_now(number, made_as)))
                    for since, _, (other, number, made_as) in reversed(ends)
                    if other in recordings
                ]
                made_as = ends[-1][1]
                for name in {made_as, recordings[key].name_now(index, made_as)}:
                    found[key, name] = known
        return Opposites(found)

    def frames(self, recordings: dict[int, Recording], since: int) -> dict[int, list[RawFrame]]:
        """Return the frames of recordings, those included that were taken at the other end of a link only.

        :param since: nanoseconds since the epoch: frames of before belong to another test.
        """
        found = {key: [frame for frame in one.frames() if frame[0] >= since] for key, one in recordings.items()}
        opposites = self.opposites(recordings)
        taken = [(key, frame) for key, frames in found.items() for frame in frames if not frame[2]]
        for key, (time, name, _, data, length) in taken:
            sender = opposites.of(key, name, time)
            if sender is not None and time < recordings[sender[0]].outgoing_since:
                found[sender[0]].append((time, sender[1], True, data, length))
        for frames in found.values():
            frames.sort(key=lambda frame: frame[0])
        return found


class Opposites:
    """What the ends of links are opposite to.

    :param known: for each end, since when it was opposite to which other one, the newest first. An end goes by the
        names that it has, and had.
    """

    def __init__(self, known: dict[Interface, list[tuple[int, Interface]]]) -> None:
        self._known = known

    def of(self, key: int, name: str, time: int) -> Interface | None:
        """Return the other end of the link that an interface was an end of at some time, if that was recorded."""
        return next((other for since, other in self._known.get((key, name), ()) if since <= time), None)
