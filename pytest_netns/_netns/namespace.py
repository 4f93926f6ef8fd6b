"""A network namespace, as tests have it: its sockets, netlink objects and sysctls; see also the classes beneath it."""

from __future__ import annotations

import contextlib
import socket as stdlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from .._child.modes import Modes
from .._errors import NetNSError, from_errno, is_meant
from .._linux import entering
from . import sockets as handed_out
from .programs import Programs
from .sysctl import Sysctl

if TYPE_CHECKING:
    import pyroute2
    from typing_extensions import Self

    from .._capture.capture import Capture
    from .._child.mode_names import ChildModeName
    from .._snapshot.snapshot import Snapshot
    from .._snapshot.taking import Observed
    from .netlink import Netlink
    from .reach import By, Control

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class MakeNetNS(Protocol):
    """What ``make_netns`` and ``netns_factory`` are: they make a namespace."""

    def __call__(
        self,
        label: str | None = None,
        *,
        name: str | None = None,
        lo: bool = True,
        sysctl: Mapping[str, str | int] | None = None,
        child_mode: ChildModeName | None = None,
        child_timeout: float | None = None,
    ) -> NetNS:
        """Make a namespace.

        :param label: what it is called in reports; by default its name, or a number.
        :param name: a name under /run/netns, where ``ip netns`` sees it; parallel workers add theirs to it.
        :param lo: whether its loopback interface is up.
        :param sysctl: sysctls to set in it, as ``{"net.ipv4.ip_forward": 1}``.
        :param child_mode: the child mode of its sockets; by default that of the test that runs.
        :param child_timeout: how long a child may take over one step in it, in seconds; by default the session's.
        :return: the namespace, owned by the caller; it is closed with the test, or the session, if it is open then.
        :raises NetNSError: it cannot be made.
        :raises ValueError: an option is wrong.
        """


MakeNetNS.__module__ = "pytest_netns"  # not in its body, where it would be a part of the protocol


class NetNS(Programs):
    """A network namespace that this process holds by a descriptor, and everything that was opened in it.

    It is made by the fixtures, and closed by them; it is a context manager too. After ``close()`` any use but of its
    identity raises ``NetNSClosedError``.
    """

    __module__ = "pytest_netns"

    _observed: Observed

    def __new__(cls, modes: object = None, *_: object, **__: object) -> Self:
        if not isinstance(modes, Modes):
            raise TypeError(
                "a NetNS is made by the fixtures: let the test ask for netns, or for make_netns and call that; a "
                "fixture of a wider scope asks for netns_factory"
            )
        return super().__new__(cls)

    # Sockets

    def create_server(
        self,
        address: tuple[Any, ...],
        *,
        family: int = stdlib.AF_INET,
        backlog: int | None = None,
        reuse_port: bool = False,
        dualstack_ipv6: bool = False,
    ) -> stdlib.socket:
        """Make a listening TCP socket in the namespace, with the arguments of ``socket.create_server``.

        :return: as of :meth:`socket`.
        :raises OSError: as ``socket.create_server``, with the address and the namespace in its text.
        """
        return handed_out.create_server(
            self._maker(),
            address,
            family=family,
            backlog=backlog,
            reuse_port=reuse_port,
            dualstack_ipv6=dualstack_ipv6,
        )

    def create_connection(
        self,
        address: tuple[str | None, int],
        timeout: float | None = handed_out.DEFAULT_TIMEOUT,
        source_address: tuple[Any, ...] | None = None,
        *,
        all_errors: bool = False,
    ) -> stdlib.socket:
        """Connect to a TCP server from the namespace, with the arguments of ``socket.create_connection``.

        A host name, or a link such as ``%eth0`` behind an address, is looked up inside the namespace.

        :param timeout: for each address, in seconds; the socket keeps it.
        :return: as of :meth:`socket`.
        :raises OSError: as ``socket.create_connection``, with the address and the namespace in its text.
        """
        return handed_out.create_connection(
            self._maker(), address, timeout=timeout, source_address=source_address, all_errors=all_errors
        )

    # Netlink

    @property
    def ipr(self) -> pyroute2.IPRoute:
        """This namespace's ``pyroute2.IPRoute`` for the calling thread, closed with that thread or the namespace.

        It works in a coroutine too, where it blocks the event loop for the length of a request.
        """
        with self._netlink_told():
            return self._get_netlink().ipr

    def iproute(self, **kwargs: Any) -> pyroute2.IPRoute:
        """Make a further ``pyroute2.IPRoute`` in the namespace, with its arguments.

        :return: the object, owned by the caller; each thread's part of it is closed at that thread's end, the whole of
            it with the namespace.
        """
        with self._netlink_told():
            return self._get_netlink().iproute(**kwargs)

    def async_iproute(self, **kwargs: Any) -> pyroute2.AsyncIPRoute:
        """Make a ``pyroute2.AsyncIPRoute`` in the namespace, with its arguments, for one event loop.

        :return: as of :meth:`iproute`.
        """
        with self._netlink_told():
            return self._get_netlink().async_iproute(**kwargs)

    @property
    def sysctl(self) -> Sysctl:
        """The sysctls of the namespace: ``ns.sysctl["net.ipv4.ip_forward"] = 1``."""
        self._checked_fd()
        return Sysctl(self._ask_sysctl)

    def snapshot(self) -> Snapshot:
        """Look at what there is: links, addresses, routes, rules, neighbours, sockets, nft rules, qdiscs and counters.

        :return: data, which goes on to be valid when the namespace is closed.
        :raises NetNSError: the kernel does not tell.
        """
        self._checked_fd()
        return self._observed.take()

    # Assertions

    def reach(self, address: str, port: int | None = None, *, timeout: float = 5.0) -> float:
        """Assert that an address answers to an ICMP echo, or that a TCP server listens at a port of it.

        What is lost is repeated until the timeout; a connection that is refused fails at once, and one that is made is
        closed at once.

        :param address: an address, one with a link such as ``fe80::1%eth0``, or a host name, of whose addresses one has
            to answer.
        :param port: a TCP port; with ``None``, an echo is enough.
        :param timeout: how long it may take, in seconds.
        :return: how long the answer took, in seconds.
        :raises AssertionError: none answers; the text has what came back, and which way the packets went.
        :raises OSError: the host name is not known.
        """
        from .reach import reach

        self._checked_fd()
        return reach(self, address, port, timeout)

    def blocked(
        self,
        address: str,
        port: int | None = None,
        *,
        timeout: float = 1.0,
        by: By | None = None,
        control: Control | None = None,
    ) -> None:
        """Assert that packets to an address, or TCP connections to a port of it, are blocked on a network that is up.

        Those count that are dropped, or rejected by an ICMP message of a packet filter. A refused connection does not,
        nor does a network that lacks a route, a link or a neighbour.

        :param address: as of :meth:`reach`; each address of a host name that there is a route to has to be blocked.
        :param port: a TCP port; with ``None``, it is echoes that are to be blocked.
        :param timeout: how long nothing may come back, in seconds.
        :param by: the only way that counts: ``"drop"``, ``"reject"``, or ``"reset"``, by which a filter that resets
            connections counts, and so does a closed port.
        :param control: what has to be reached meanwhile, an address or ``(address, port)``, to show that the network
            is up; by default what is on the way.
        :raises AssertionError: it is not blocked, or that cannot be told.
        :raises OSError: a host name is not known.
        """
        from .reach import blocked

        self._checked_fd()
        blocked(self, address, port, timeout, by, control)

    # Evidence

    def capture(self, interface: str | None = None, *, snaplen: int | None = None) -> Capture:
        """Record the frames that the interfaces of the namespace send and receive from now on, loopback too.

        :param interface: the name of the one to record; by default all are, also those that come later.
        :param snaplen: how many bytes of each frame to record; by default all.
        :return: the capture, a context manager, owned by the caller; what is open still is closed with the namespace.
        :raises NetNSError: it cannot be recorded.
        """
        self._checked_fd()
        from .._capture.capture import Capture

        made = Capture(self._recorder, self._handle, interface, snaplen)
        self._on_close(made.close)
        return made

    # What these need

    def _counted(self) -> tuple[list[bytes], list[bytes]]:
        """Return what has been counted so far, as of :meth:`Watch.read`."""
        self._checked_fd()
        if not self._observed.is_watched:
            self._observed.watch()
            self._on_close(self._observed.close)
        return self._observed.counted()

    def _descriptors(self) -> set[int]:
        return super()._descriptors() | self._observed.descriptors()

    def _explain(self, address: str) -> list[str]:
        """Return lines for the error of an assertion about a packet to an address; a host of a network knows more."""
        return []

    def _maker(self) -> handed_out.Maker:
        return handed_out.Maker(self.socket, self._look_up, str(self))

    def _look_up(self, *arguments: Any) -> list[Any]:
        names = self._names
        found = None if names is None else names.look_up(stdlib.getaddrinfo, *arguments)
        if found is not None:
            return found
        if entering.is_below(self._checked_fd(), self):
            from .resolver import by_program

            return by_program(self.run, *arguments)
        return self.call(stdlib.getaddrinfo, *arguments)

    def _get_netlink(self) -> Netlink:
        with self._netlink_lock:  # not that which close() holds as it waits for threads such as this
            self._checked_fd()
            if self._netlink is None:
                self._netlink = self._make_netlink(self._make_netlink_socket)
            return self._netlink

    @contextlib.contextmanager
    def _netlink_told(self) -> Iterator[None]:
        try:
            yield
        except NetNSError:
            raise
        except OSError as error:
            raise from_errno(error.errno or 0, f"{self}: cannot make a pyroute2 object") from error

    def _ask_sysctl(self, verb: bytes, *arguments: str) -> str:
        self._checked_fd()
        return self._modes.resident.sysctl(self._handle, verb, *arguments)

    def _make_netlink_socket(self, family: int) -> stdlib.socket:
        return self.socket(stdlib.AF_NETLINK, stdlib.SOCK_DGRAM, family)
