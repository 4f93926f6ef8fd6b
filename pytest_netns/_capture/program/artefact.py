"""The file of a test: what it is to be, and how it is written."""

from __future__ import annotations

import os

from ... import _causes
from ..._child.reply import Step
from .. import headers, pcapng

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .crossings import Written
    from .links import Interface
    from .recording import Recording

HEADERS_ONLY = 256  # bytes of a frame that are recorded where headers are all that is wanted
LOST = "sent, and not seen to arrive"
WITHOUT_LIMIT = 0x40000  # bytes: more than a frame can have


class Artefact:
    """The file of a test.

    :param path: where it is written, an absolute path.
    :param comments: what it says of itself.
    :param since: nanoseconds since the epoch: frames of before belong to another test.
    :param keys: a file with the keys of TLS sessions, or nothing.
    :param keys_from: where those of this test begin in it, in bytes.
    """

    def __init__(
        self, path: str, comments: list[str], since: int, is_headers_only: bool, keys: str, keys_from: int
    ) -> None:
        self.path = path
        self.comments = comments
        self.since = since
        self.is_headers_only = is_headers_only
        self.keys = keys
        self.keys_from = keys_from

    def tls_keys(self) -> bytes:
        if not self.keys or self.is_headers_only:
            return b""
        try:
            with open(self.keys, "rb") as file:
                file.seek(self.keys_from)
                return file.read()
        except FileNotFoundError:
            return b""  # nobody has written any


def write(
    artefact: Artefact,
    recordings: dict[int, Recording],
    frames: list[Written],
    comments: Iterable[str],
    hosts: Iterable[tuple[str, str]],
) -> tuple[int, int, list[str]]:
    """Write the file of a test, all of it or nothing; none where there are no frames.

    :param frames: those of the recordings, in the order of time.
    :param comments: what it says of itself beside what was known at the beginning.
    :param hosts: addresses and what they are called.
    :return: how many frames it has, how many did not fit, and what went wrong.
    """
    left_out = sum(one.left_out for one in recordings.values())
    troubles = [f"{one.label}: {text}" for one in recordings.values() for text in (one.trouble, one.unseen) if text]
    if not frames:
        return 0, left_out, troubles
    said = [*artefact.comments, *comments, *troubles]
    part = f"{artefact.path}.part"
    with Step(f"write {artefact.path}", _causes.ANYTHING):
        os.makedirs(os.path.dirname(artefact.path), exist_ok=True)
        try:
            with open(part, "wb") as file:
                file.writelines(_head(artefact, said, list(hosts)))
                file.writelines(_frames(artefact, recordings, frames))
            os.replace(part, artefact.path)
        except BaseException:
            if os.path.exists(part):
                os.unlink(part)
            raise
    return len(frames), left_out, troubles


def _head(artefact: Artefact, comments: list[str], hosts: list[tuple[str, str]]) -> Iterator[bytes]:
    yield pcapng.section(comments)
    if hosts:
        yield pcapng.names(hosts)
    keys = artefact.tls_keys()
    if keys:
        yield pcapng.secrets(keys)


def _frames(artefact: Artefact, recordings: dict[int, Recording], frames: list[Written]) -> Iterator[bytes]:
    numbers: dict[tuple[Interface, ...], int] = {}
    for one in frames:
        if one.ends not in numbers:
            numbers[one.ends] = len(numbers)
            yield _interface([(recordings[key], name) for key, name in one.ends], artefact.is_headers_only)
        data = headers.cut(one.data) if artefact.is_headers_only else one.data
        # Of a host whose newest frames alone are there, nobody knows what has arrived before.
        is_lost = one.is_lost and not any(recordings[key].left_out for key, _ in one.ends)
        yield pcapng.packet(numbers[one.ends], one.time, one.is_outgoing, data, one.length, LOST if is_lost else "")


def _interface(ends: list[tuple[Recording, str]], is_headers_only: bool) -> bytes:
    """Describe a link by the interfaces at its ends, or the only one that is known."""
    return pcapng.interface(
        " -- ".join(f"{recording.label}:{name}" for recording, name in ends),
        HEADERS_ONLY if is_headers_only else 0,
        ends[0][0].links.get(ends[0][1], b"") if len(ends) == 1 else b"",
        [
            f"{recording.left_out} frames of {recording.label} did not fit; these are the newest"
            for recording, _ in ends
            if recording.left_out
        ],
    )
