"""How large the rings are: together they take a bounded part of the machine's memory."""

from __future__ import annotations

KB, MB = 1 << 10, 1 << 20

SIZES = ((128 * MB, 128 * KB, 8), (256 * MB, 128 * KB, 5), (384 * MB, 32 * KB, 5))
"""As long as all rings together take less than this many bytes, the next one has blocks of this size, and this many.

A frame of segmentation offload has up to 64 KiB, and fits a block of 128 KiB. So the first 128 namespaces have 1 MiB
each, the next 200 have 640 KiB, and 800 more have 160 KiB, where longer frames than 32 KiB are cut.
"""


class Memory:
    """What the rings take, in bytes."""

    def __init__(self) -> None:
        self._taken = 0

    def take(self) -> tuple[int, int] | None:
        """Take memory for a ring; return the size of its blocks and how many there are, or ``None``: there is none."""
        for limit, size, blocks in SIZES:
            if self._taken < limit:
                self._taken += size * blocks
                return size, blocks
        return None

    def give_back(self, size: int) -> None:
        self._taken -= size
