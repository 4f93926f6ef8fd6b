"""The file of a test: what it is to be, and how it is written."""

from __future__ import annotations

import os

from ... import _causes
from ..._child.reply import Step
from .. import headers, pcapng

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .recording import RawFrame, Recording

HEADERS_ONLY = 256  # bytes of a frame that are recorded where headers are all that is wanted
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
    recorded: list[tuple[Recording, list[RawFrame]]],
    comments: Iterable[str],
    hosts: Iterable[tuple[str, str]],
) -> tuple[int, int, list[str]]:
    """Write the file of a test, all of it or nothing; none where there are no frames.

    :param recorded: the recordings, and the frames of each.
    :param comments: what it says of itself beside what was known at the beginning.
    :param hosts: addresses and what they are called.
    :return: how many frames it has, how many did not fit, and what went wrong.
    """
    found: list[tuple[RawFrame, Recording]] = []
    for recording, frames in recorded:
        found += [(frame, recording) for frame in frames if frame[0] >= artefact.since]
    left_out = sum(recording.left_out for recording, _ in recorded)
    troubles = [f"{one.label}: {text}" for one, _ in recorded for text in (one.trouble, one.unseen) if text]
    if not found:
        return 0, left_out, troubles
    found.sort(key=lambda one: (one[0][0], not one[0][2]))  # a frame is sent before it arrives
    said = [*artefact.comments, *comments, *troubles]
    part = f"{artefact.path}.part"
    with Step(f"write {artefact.path}", _causes.ANYTHING):
        os.makedirs(os.path.dirname(artefact.path), exist_ok=True)
        try:
            with open(part, "wb") as file:
                file.writelines(_blocks(artefact, found, said, hosts))
            os.replace(part, artefact.path)
        except BaseException:
            if os.path.exists(part):
                os.unlink(part)
            raise
    return len(found), left_out, troubles


def _blocks(
    artefact: Artefact,
    found: list[tuple[RawFrame, Recording]],
    comments: list[str],
    hosts: Iterable[tuple[str, str]],
) -> Iterator[bytes]:
    yield pcapng.section(comments)
    hosts = list(hosts)
    if hosts:
        yield pcapng.names(hosts)
    keys = artefact.tls_keys()
    if keys:
        yield pcapng.secrets(keys)
    numbers: dict[tuple[int, str], int] = {}
    for (time, link, is_outgoing, data, length), recording in found:
        key = id(recording), link
        if key not in numbers:
            numbers[key] = len(numbers)
            yield pcapng.interface(
                f"{recording.label}:{link}",
                HEADERS_ONLY if artefact.is_headers_only else 0,
                recording.links.get(link, b""),
                _of_namespace(recording),
            )
        data = headers.cut(data) if artefact.is_headers_only else data
        yield pcapng.packet(numbers[key], time, is_outgoing, data, length)


def _of_namespace(recording: Recording) -> list[str]:
    left_out = recording.left_out
    return [f"{left_out} frames of {recording.label} did not fit; these are the newest"] if left_out else []
