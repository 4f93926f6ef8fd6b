"""A namespace in which sockets are made."""

from __future__ import annotations

import socket as stdlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._child import check_mode
from .._errors import is_meant
from .._linux import fdpass
from . import sockets as handed_out
from .lifetime import Lifetime

if TYPE_CHECKING:
    from .._child.mode_names import ChildModeName

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Endpoints(Lifetime):
    """A namespace in which sockets are made."""

    def socket(
        self,
        family: int = stdlib.AF_INET,
        type: int = stdlib.SOCK_STREAM,
        proto: int = 0,
        *,
        child_mode: ChildModeName | None = None,
    ) -> stdlib.socket:
        """Make a socket in the namespace, with the arguments of ``socket.socket``.

        :param child_mode: how the child is started that makes it; by default :attr:`child_mode`.
        :return: a plain socket, close-on-exec, owned by the caller; what the caller leaves open is closed with the
            namespace.
        :raises NetNSError: it cannot be made.
        """
        return self.sockets(((family, type, proto),), child_mode=child_mode)[0]

    def sockets(
        self, specs: Iterable[tuple[int, ...]], *, child_mode: ChildModeName | None = None
    ) -> list[stdlib.socket]:
        """Make many sockets with one child.

        :param specs: for each socket a tuple of up to three, the first arguments of :meth:`socket`.
        :param child_mode: as of :meth:`socket`.
        :return: the sockets, in the order of the specs; as of :meth:`socket`. Either all are made or none.
        :raises NetNSError: one cannot be made.
        :raises TypeError: a spec is none; or ``ValueError``, if a number in it is out of range.
        """
        self._checked_fd()
        asked = handed_out.checked_specs(specs)
        mode = self._modes[self.child_mode if child_mode is None else check_mode(child_mode)]
        received = fdpass.Received()
        try:
            mode.sockets(self._handle, asked, received)
            return self._sockets.adopt(received, asked, self._handle)
        except BaseException:
            received.close()
            raise
