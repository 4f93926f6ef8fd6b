"""What is recorded of one namespace: by a plain socket at first, and from the first frames on by a ring."""

from __future__ import annotations

import _socket as socket
import errno
import struct
import time
from collections import deque

from . import sockets
from .links import Watch
from .ring import DOT1Q, HAS_PROTOCOL_OF_TAG, HAS_TAG, PACKET_STATISTICS, Ring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    RawFrame = tuple[int, str, bool, bytes, int]
    """Time in ns, name of the link, whether it is outgoing, data, and the length that it had."""

PACKET_AUXDATA = 8
MOST_QUEUED = 2 * sockets.QUEUE // 512  # frames: the kernel doubles the number, and charges more for each (socket(7))
EARLY = 2 << 20  # bytes of frames to hold that came before the ring was there
LARGEST = 256 * 1024  # bytes of a frame: those of segmentation offload have up to 64 KiB, of "BIG TCP" more
CUT = 512  # bytes of each frame, while more comes than can be read in time
OVERHEAD = 100  # bytes that a frame takes up beside its data
_ANCILLARY = socket.CMSG_SPACE(16) + socket.CMSG_SPACE(20)


class Recording:
    """The frames of one namespace.

    A ring takes the kernel up to 20 ms to set up, and a test that is over by then, or sends nothing, needs none. So
    there are two sockets from the start. One queues what comes, until the ring of the other is there. That one is for
    no protocol at first, so that frames don't pass it as well: each socket that they pass takes a tenth of the time of
    a small packet.

    :param label: what reports call the namespace.
    :param longest: bytes of a frame that are recorded.
    :param fds: of the two sockets, which it owns, and of one that tells of links, if outgoing frames are ignored.
    """

    def __init__(self, label: str, longest: int, is_by_hand: bool, fds: list[int]) -> None:
        self.label = label
        self.longest = longest
        self.is_by_hand = is_by_hand
        self.is_stopped = False
        self.trouble = ""
        """Why it may lack frames that it should have, if so."""
        self.unseen = ""
        """Which frames of this test it lacks since links were not known yet, if any."""
        self.ring: Ring | None = None
        self.links: dict[str, bytes] = {}
        """The links that frames were seen on, and their addresses."""
        self._names: dict[int, str] = {}
        self._early: deque[RawFrame] = deque()
        self._early_size = self._left_out = self._left_out_before = 0
        self._stopped: list[RawFrame] = []
        self.outgoing_since: float = 0
        """From when on outgoing frames are taken too, in nanoseconds since the epoch."""
        self.queue: socket.socket | None = socket.SocketType(socket.AF_PACKET, socket.SOCK_RAW, 0, fds.pop(0))
        self.for_ring: socket.socket | None = socket.SocketType(socket.AF_PACKET, socket.SOCK_RAW, 0, fds.pop(0))
        self.queue.setblocking(False)
        self.queue.setsockopt(sockets.SOL_PACKET, PACKET_AUXDATA, 1)
        self.queue.setsockopt(socket.SOL_SOCKET, sockets.SO_TIMESTAMPNS, 1)
        sockets.filter_frames(self.queue, longest)
        self.watch: Watch | None = None
        """What tells of links, as long as outgoing frames are ignored."""
        if fds:
            self.watch, self.outgoing_since = Watch(fds.pop(0)), float("inf")
            sockets.ignore_outgoing(self.for_ring)

    # Before there is a ring

    def _drain(self) -> None:
        """Take what the plain socket has queued until now, and count what it had no room for."""
        if self.queue is None:
            return
        self._take_queued(self.queue)
        self._count_dropped()

    def _count_dropped(self) -> None:
        if self.queue is not None:  # the kernel counts from the last question on
            self._left_out += struct.unpack("@II", self.queue.getsockopt(sockets.SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def _take_queued(self, queue: socket.socket) -> None:
        buffer = bytearray(LARGEST)
        for _ in range(MOST_QUEUED):  # more may come all the time
            try:
                size, ancillary, _, address = queue.recvmsg_into([buffer], _ANCILLARY)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENETDOWN:  # told once for each link that went down (packet(7))
                    raise
                continue
            frame = self._of_message(bytes(buffer[:size]), ancillary, *address[:4])
            # Outgoing ones of loopback came before there was a filter.
            if not (address[3] == sockets.ARPHRD_LOOPBACK and frame[2]):
                self._take_early(frame)

    def _of_message(
        self, data: bytes, ancillary: Iterable[tuple[int, int, bytes]], name: str, protocol: int, kind: int, link: int
    ) -> RawFrame:
        name = name or "?"  # of a link that is gone
        stamp, length, tag = 0, len(data), None
        for level, what, content in ancillary:
            if level == sockets.SOL_PACKET and what == PACKET_AUXDATA:
                status, length, _, _, _, tag_content, protocol_of_tag = struct.unpack("@IIIHHHH", content)
                if status & HAS_TAG:
                    tag = (protocol_of_tag if status & HAS_PROTOCOL_OF_TAG else DOT1Q, tag_content)
            elif level == socket.SOL_SOCKET and what == sockets.SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("@ll", content)
                stamp = seconds * 10**9 + nanoseconds
        self._know(name, self.queue)
        data, length = sockets.whole(data[: self.longest], length, link, protocol, tag)
        return stamp, name, kind == sockets.PACKET_OUTGOING, data, length

    def _take_early(self, frame: RawFrame) -> None:
        self._early.append(frame)
        self._early_size += len(frame[3]) + OVERHEAD
        while self._early_size > EARLY:
            self._early_size -= len(self._early.popleft()[3]) + OVERHEAD
            self._left_out += 1

    def _know(self, name: str, sock: socket.socket | None) -> None:
        if name not in self.links and sock is not None:
            self.links[name] = sockets.address_of(sock, name)

    def _name_of(self, index: int) -> str:
        assert self.ring is not None
        if index not in self._names:
            # One that is gone can be asked for no more.
            self._names[index] = name = sockets.name_of(self.ring.sock, index) or f"link{index}"
            self._know(name, self.ring.sock)
        return self._names[index]

    # Outgoing frames

    def take_outgoing(self) -> Watch | None:
        """Take outgoing frames too from now on; return what told of links, which is to be closed."""
        if self.watch is not None:
            self.outgoing_since = time.time_ns()
            for sock in (self.queue, None if self.ring is None else self.ring.sock):
                if sock is not None:
                    sockets.ignore_outgoing(sock, False)
        return self._end_watch()

    def _end_watch(self) -> Watch | None:
        ended, self.watch = self.watch, None
        return ended

    def name_now(self, index: int, made_as: str) -> str:
        """Return the name of a link that had this one when it was made."""
        sock = self.queue if self.ring is None else self.ring.sock
        if index not in self._names and sock is not None:
            self._names[index] = sockets.name_of(sock, index) or made_as
            self._know(self._names[index], sock)
        return self._names.get(index, made_as)

    # With a ring

    def take_ring(self, ring: Ring) -> list[socket.socket]:
        """Take the ring, now that it is set up; return the socket that has queued until now, which is to be closed."""
        self.ring = ring
        if self.watch is None and self.outgoing_since:  # since the ring was begun
            sockets.ignore_outgoing(ring.sock, False)
        return self._end_queue()

    def _end_queue(self) -> list[socket.socket]:
        if self.queue is None:
            return []
        self._drain()
        ended, self.queue = self.queue, None
        return [ended]

    def frames(self) -> list[RawFrame]:
        """Return the frames that have come until now, in their order."""
        if self.is_stopped:
            return self._stopped
        self._drain()
        late = [] if self.ring is None else list(self.ring.frames(self._name_of))
        # For a moment there were both sockets.
        seen = {_identity(frame) for frame in late}
        found = [frame for frame in self._early if _identity(frame) not in seen] + late
        found.sort(key=lambda frame: frame[0])
        return found

    def look_at_ring(self) -> None:
        """See to it that the ring has room for what comes next: of a flood, long frames are cut from now on."""
        assert self.ring is not None
        was_flooded = self.ring.is_flooded
        self.ring.give_back()
        if self.ring.is_flooded and not was_flooded and self.longest > CUT:
            sockets.filter_frames(self.ring.sock, CUT)

    @property
    def left_out(self) -> int:
        """How many frames of this test did not fit, or have made room for newer ones."""
        return self._all_left_out() - self._left_out_before

    def _all_left_out(self) -> int:
        return self._left_out + (0 if self.ring is None else self.ring.left_out())

    def begin(self) -> None:
        """Count from now on, for a test that begins."""
        if self.ring is not None and self.ring.is_flooded:
            self.ring.is_flooded = False
            sockets.filter_frames(self.ring.sock, self.longest)
        self._count_dropped()
        self._left_out_before = self._all_left_out()
        self.unseen = ""

    # The end

    def stop(self, *, is_wanted: bool) -> list[Ring | socket.socket]:
        """Record no more, and let go of the namespace; what was recorded remains, if it is wanted.

        :return: what is to be closed. A socket whose ring is being set up is not among it.
        """
        if self.is_stopped:
            return []
        watch = self._end_watch()
        others = None if watch is None else watch.sock, self.ring, self.for_ring
        ended: list[Ring | socket.socket] = [*self._end_queue(), *(one for one in others if one is not None)]
        self._stopped = self.frames() if is_wanted else []
        self._left_out = self._all_left_out()
        self.is_stopped = True
        self._early.clear()
        self.ring = self.for_ring = None
        return ended


def _identity(frame: RawFrame) -> tuple[int, str, bool, int]:
    return frame[0], frame[1], frame[2], frame[4]
