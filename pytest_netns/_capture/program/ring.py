"""A ring of blocks into which the kernel writes frames, and of which the oldest is given back (TPACKET_V3).

Documentation/networking/packet_mmap.rst, and net/packet/af_packet.c for what that leaves out.
"""

from __future__ import annotations

import _socket as socket
import mmap
import struct

from .sockets import PACKET_OUTGOING, SOL_PACKET, filter_frames, receive_all, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .recording import RawFrame

PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, TPACKET_V3 = 5, 6, 10, 2
OF_USER = 1  # the status of a block that the kernel has filled, and of a frame that it has written
HAS_TAG, HAS_PROTOCOL_OF_TAG = 1 << 4, 1 << 6
DOT1Q = 0x8100
# Milliseconds after which a block that is not full is handed over. It can be read before that, so the longest that
# kernels before 6.13 take: a waste of blocks, and of time.
RETIRE_AFTER = 65_000
FRAME_SIZE = 2048  # has no meaning in this version, but has to divide the size of a block

FLOOD = 20 * 10**-9  # seconds for a byte: 50 MB/s

_STATUS, _NUMBER, _TIMES = 8, 24, 32
_BLOCK = struct.Struct("@IIII")  # from the status on: status, frames, offset of the first, length
_FRAME = struct.Struct("@IIIIIIHHIIH")
_ADDRESS = struct.Struct("@HHiHB")  # sockaddr_ll, whose protocol is in the order of the network
_ADDRESS_AT = 48


class Ring:
    """The ring of one packet socket, which it owns.

    To set it up and to close it may take the kernel 20 ms (synchronize_net), so both are called in threads of their
    own.

    :param sock: a socket for no protocol, which receives from all links of its namespace then.
    :param longest: bytes of a frame that it takes.
    :param block_size: of which each frame takes up one at most, in bytes.
    :param blocks: how many there are.
    """

    def __init__(self, sock: socket.socket, longest: int, block_size: int, blocks: int) -> None:
        self.sock = sock
        self.size = block_size * blocks
        self._blocks = range(0, self.size, block_size)
        self._dropped = self._given_back = 0
        self.is_flooded = False
        """Whether a block was filled so fast that the reader may come too late for the next ones."""
        sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        request = (block_size, blocks, FRAME_SIZE, self.size // FRAME_SIZE, RETIRE_AFTER, 0, 0)
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("@7I", *request))
        self._map: mmap.mmap = mmap.mmap(sock.fileno(), self.size)
        filter_frames(sock, longest)
        receive_all(sock)

    def give_back(self) -> None:
        """Give the oldest full blocks back to the kernel, so that it always has some to write the newest frames to."""
        full = self._full()
        if full and not self.is_flooded:
            self.is_flooded = self._is_filled_fast(full[-1][1])
        # One is being filled, and half of them are free, for the kernel has these while this process does not run.
        while len(full) > (len(self._blocks) - 1) // 2:
            _, block = full.pop(0)
            self._given_back += _BLOCK.unpack_from(self._map, block + _STATUS)[1]
            struct.pack_into("@I", self._map, block + _STATUS, 0)

    def _is_filled_fast(self, block: int) -> bool:
        since, since_ns, until, until_ns = struct.unpack_from("@4I", self._map, block + _TIMES)
        seconds: float = until - since + (until_ns - since_ns) / 10**9
        return seconds < FLOOD * (self.size // len(self._blocks))

    def _full(self) -> list[tuple[int, int]]:
        return sorted((self._number(block), block) for block in self._blocks if self._status(block) & OF_USER)

    def _status(self, block: int) -> int:
        status: int = struct.unpack_from("@I", self._map, block + _STATUS)[0]
        return status

    def _number(self, block: int) -> int:
        number: int = struct.unpack_from("@Q", self._map, block + _NUMBER)[0]
        return number

    def left_out(self) -> int:
        """Return how many frames did not fit, or have made room for newer ones."""
        # The kernel counts from the last question on.
        self._dropped += struct.unpack("@III", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))[1]
        return self._dropped + self._given_back

    def frames(self, name_of: Callable[[int], str]) -> Iterator[RawFrame]:
        """Yield the frames that are in it, those of the block that is being filled included.

        What happened before this was called is there: the kernel writes a frame before it hands it on.

        :param name_of: returns the name of a link, by its index.
        """
        blocks = [block for _, block in self._full()]
        newest = max(self._blocks, key=self._number)
        if newest not in blocks:  # the one that is being filled; the others of the kernel's have smaller numbers
            blocks.append(newest)
        for block in blocks:
            _, count, first, _ = _BLOCK.unpack_from(self._map, block + _STATUS)
            at = block + first
            for _ in range(count):
                header = _FRAME.unpack_from(self._map, at)
                if not header[5] & OF_USER:
                    break  # it is being written
                yield self._frame(at, header, name_of)
                at += header[0]

    def _frame(self, at: int, header: tuple[int, ...], name_of: Callable[[int], str]) -> RawFrame:
        _, seconds, nanoseconds, size, length, status, begin, _, _, tag, tag_protocol = header
        _, protocol, index, link_type, kind = _ADDRESS.unpack_from(self._map, at + _ADDRESS_AT)
        data = self._map[at + begin : at + begin + size]
        known = (tag_protocol if status & HAS_PROTOCOL_OF_TAG else DOT1Q, tag) if status & HAS_TAG else None
        data, length = whole(data, length, link_type, socket.ntohs(protocol), known)
        time = seconds * 10**9 + nanoseconds
        return time, name_of(index), kind == PACKET_OUTGOING, data, length

    def close(self) -> None:
        """Close it, and the socket with it."""
        self._map.close()
        self.sock.close()
