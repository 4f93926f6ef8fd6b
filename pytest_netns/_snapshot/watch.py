"""The counters of a namespace that lives longer than a test, read when each test begins."""

from __future__ import annotations

import contextlib
import posix as os  # see syscalls.py
from typing import TYPE_CHECKING

from .._errors import is_meant
from .._handle import Handle
from .._linux import fdpass, netlink
from .._linux.sockets import take_socket
from . import counters, nftables
from .raw import CHUNK, DUMPS, LACKS, SPECS, dump

if TYPE_CHECKING:
    from .._child.resident.client import ResidentMode

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TIMEOUT = 1.0  # seconds for the kernel to tell of rules, which it does at once


class Watch:
    """Reads the counters of a namespace again and again, in less than 0.1 ms.

    It holds files of /proc that were opened inside, and each of these keeps the namespace: it is to be closed with it.

    :raises NetNSError: they cannot be opened.
    """

    def __init__(self, resident: ResidentMode, handle: Handle) -> None:
        self._files, self._netlink = fdpass.Received(), fdpass.Received()
        try:
            resident.open_files(handle, counters.FILES, self._files)
            resident.sockets(handle, [spec for spec in SPECS if spec[2] == netlink.NETLINK_NETFILTER], self._netlink)
            self._sock = take_socket(self._netlink, self._netlink.fds[0])
        except BaseException:
            self.close()
            raise

    def descriptors(self) -> set[int]:
        return {*self._files.fds, *self._netlink.fds}

    def read(self) -> tuple[list[bytes], list[bytes]]:
        """Return what is in the files of counters, and the bodies of messages that tell of the rules of nftables.

        :raises OSError: it cannot be read.
        """
        contents = [os.pread(fd, CHUNK, 0) for fd in self._files.fds]
        return contents, self._rules()

    def _rules(self) -> list[bytes]:
        _, kind, body = DUMPS["nft rules"]
        try:
            return dump(self._sock, kind, body, TIMEOUT)
        except OSError as error:
            if error.errno not in LACKS:
                raise
            return []

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._files.close()
        self._netlink.close()


def packets(bodies: list[bytes]) -> dict[tuple[str, str, str, int], int]:
    """Return what the rules of nftables have counted, by family, table, chain and number."""
    return {(*one.rule[:3], one.rule.handle): one.rule.packets or 0 for one in nftables.parse([], bodies)}
