"""A capture by hand, as tests have it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._arguments import check_type
from .._errors import NetNSError, is_meant
from .._frames.frame import Frame
from .._handle import Handle
from . import pcapng
from .recorder import WITHOUT_LIMIT, Recorder

if TYPE_CHECKING:
    from typing_extensions import Self

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

SHORTEST = 14  # bytes: an Ethernet header


class Capture:
    """The frames of a namespace from the moment in which this was made until it is closed, or the namespace is.

    ``ns.capture()`` makes it. It is a context manager.
    """

    __module__ = "pytest_netns"

    def __init__(
        self, recorder: Recorder, handle: Handle, interface: str | None = None, snaplen: int | None = None
    ) -> None:
        if interface is not None:
            check_type(interface, str, "interface is a str, the name of the interface to record")
        if snaplen is not None:
            check_type(snaplen, int, "snaplen is an int, how many bytes of each frame to record")
            if not SHORTEST <= snaplen <= WITHOUT_LIMIT:
                raise ValueError(f"snaplen is from {SHORTEST} to {WITHOUT_LIMIT} bytes, not {snaplen}")
        self._recorder = recorder
        self._interface = interface
        self._snaplen = snaplen
        self._frames: list[Frame] = []
        self._left_out = 0
        self._error: NetNSError | None = None
        self._key: int | None = recorder.add(handle, snaplen or WITHOUT_LIMIT)

    @property
    def closed(self) -> bool:
        """Whether nothing more is recorded."""
        return self._key is None

    @property
    def frames(self) -> list[Frame]:
        """The frames that have come until now, in their order.

        What a test knows to have been sent or received is among them: the kernel records a frame before it hands it on.

        :raises NetNSError: they are lost, since the recorder has been killed.
        """
        self._fetch()
        return list(self._frames)

    @property
    def dropped(self) -> int:
        """How many frames are missing: the memory for them is bounded, and has the newest ones."""
        self._fetch()
        return self._left_out

    def _fetch(self) -> None:
        if self._error is not None:
            raise self._error
        if self._key is None:
            return
        (recorded,) = self._recorder.recorded([self._key])
        self._frames = [frame for frame in recorded.frames if self._interface in (None, frame.interface)]
        self._left_out = recorded.left_out

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the frames that have come until now to a file in the format pcapng, which Wireshark opens.

        :raises OSError: it cannot be written.
        """
        frames = self.frames
        with open(path, "wb") as file:
            dropped = [f"{self._left_out} frames did not fit; these are the newest"] if self._left_out else []
            file.write(pcapng.section(dropped))
            numbers: dict[tuple[str, str], int] = {}
            for frame in frames:
                key = frame.namespace, frame.interface
                if key not in numbers:
                    numbers[key] = len(numbers)
                    file.write(pcapng.interface(":".join(key), self._snaplen or 0))
                file.write(pcapng.packet(numbers[key], frame.time, frame.is_outgoing, frame.data, frame.length))

    def close(self) -> None:
        """Record no more. The frames until now remain; closing it again does nothing."""
        if self._key is None:
            return
        try:
            self._fetch()
        except NetNSError as error:
            self._error = error  # for who asks for the frames
        finally:
            key, self._key = self._key, None
            self._recorder.drop(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Capture {'closed' if self.closed else 'open'}>"
