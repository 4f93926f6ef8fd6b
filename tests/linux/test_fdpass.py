"""Messages with descriptors, over real socket pairs and from real processes."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pytest_netns._linux import fdpass, syscalls
from pytest_netns._linux.syscalls import SCM_MAX_FD

pytestmark = pytest.mark.core

Ends = tuple[fdpass.Channel, fdpass.Channel]

LONG = 60.0  # seconds: how long a test may hang before it fails; none waits for it


@pytest.fixture
def ends() -> Iterator[Ends]:
    made: list[fdpass.Channel] = []
    fdpass.pair(made)
    left, right = made
    try:
        yield left, right
    finally:
        left.close()
        right.close()


def receive(
    channel: fdpass.Channel, deadline: float | None = None, sender: int | None = None
) -> tuple[bytes, list[int]]:
    """Receive a message; return its bytes, and its descriptors, owned by the caller."""
    with fdpass.Received() as received:
        payload = fdpass.receive(channel, received, deadline, sender)
        fds = list(received.fds)
        del received.fds[:]
        return payload, fds


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: its reading end, which does not block, and its writing end, which the test closes."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def has_no_writer(reader: int) -> bool:
    """Whether each copy of a pipe's writing end is closed; of a reader that does not block."""
    try:
        return os.read(reader, 1) == b""
    except BlockingIOError:
        return False


def give_away(channel: fdpass.Channel, mark: bytes, part: bytes, fd: int) -> None:
    """Send one packet with a descriptor and keep none."""
    fdpass._send_packet(channel, mark, part, [fd])
    os.close(fd)


@pytest.mark.parametrize("count", [0, 1, 253, 254, 506, 1000])
@pytest.mark.parametrize("size", [0, 5, fdpass.PACKET, fdpass.PACKET + 1, 5_000_000])
def test_a_message_arrives_whole(ends: Ends, size: int, count: int) -> None:
    left, right = ends
    payload = os.urandom(size)
    files = [os.memfd_create("sent") for _ in range(7)]  # 7 and 253 have no common divisor: a wrong order shows
    sent = [files[index % 7] for index in range(count)]
    sender = threading.Thread(target=fdpass.send, args=(left, payload, sent))
    sender.start()
    received, fds = receive(right, time.monotonic() + LONG)
    sender.join()
    inodes = [os.fstat(fd).st_ino for fd in fds]
    expected = [os.fstat(fd).st_ino for fd in sent]
    inheritable = [fd for fd in fds if fcntl.fcntl(fd, fcntl.F_GETFD) != fcntl.FD_CLOEXEC]
    syscalls.close_all(fds)
    syscalls.close_all(files)
    assert received == payload
    assert inodes == expected
    assert inheritable == []


def test_messages_stay_apart(ends: Ends) -> None:
    left, right = ends
    for payload in (b"one", b"", b"three" * fdpass.PACKET):
        sender = threading.Thread(target=fdpass.send, args=(left, payload))
        sender.start()
        assert receive(right, time.monotonic() + LONG) == (payload, [])
        sender.join()


def test_a_pair_is_not_inheritable(ends: Ends) -> None:
    assert [os.get_inheritable(end.fileno()) for end in ends] == [False, False]


def test_a_message_instead_replaces_a_part_and_closes_its_descriptors(ends: Ends, pipe: tuple[int, int]) -> None:
    left, right = ends
    reader, writer = pipe
    give_away(left, fdpass.MORE, b"half a mess", writer)
    fdpass.send(left, b"sorry", instead=True)
    assert receive(right) == (b"sorry", [])
    assert has_no_writer(reader)


def test_a_message_instead_is_cut_to_a_packet(ends: Ends) -> None:
    left, right = ends
    fdpass.send(left, b"x" * (fdpass.PACKET + 1), instead=True)
    assert receive(right) == (b"x" * fdpass.PACKET, [])


def test_the_end_of_the_other_side_is_closed(ends: Ends) -> None:
    left, right = ends
    left.close()
    with pytest.raises(fdpass.Closed):
        receive(right)


def test_an_end_within_a_message_is_closed_and_leaves_no_descriptor(ends: Ends, pipe: tuple[int, int]) -> None:
    left, right = ends
    reader, writer = pipe
    give_away(left, fdpass.MORE, b"half", writer)
    left.close()
    with pytest.raises(fdpass.Closed):
        receive(right)
    assert has_no_writer(reader)


def test_an_end_that_left_data_unread_is_a_reset(ends: Ends) -> None:
    left, right = ends
    fdpass.send(right, b"never read")
    left.close()
    with pytest.raises(ConnectionResetError):
        receive(right)


def test_sending_to_nobody_is_a_broken_pipe(ends: Ends) -> None:
    left, right = ends
    right.close()
    with pytest.raises(BrokenPipeError):
        fdpass.send(left, b"hello")


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (b"\0" + b"x" * (fdpass.PACKET + 1), "a packet of more than 32768 bytes"),
        (b"\7hello", r"a packet that begins with b'\x07'"),
    ],
    ids=["too-long", "wrong-mark"],
)
def test_garbage_is_refused_and_leaves_no_descriptor(
    ends: Ends, pipe: tuple[int, int], packet: bytes, text: str
) -> None:
    left, right = ends
    reader, writer = pipe
    give_away(left, b"", packet, writer)
    with pytest.raises(fdpass.Garbage) as info:
        receive(right)
    assert str(info.value) == text
    assert has_no_writer(reader)


@pytest.mark.parametrize("left_over", [-1.0, 0.0, 0.01])
@pytest.mark.parametrize("watched", [False, True], ids=["channel", "channel-and-sender"])
def test_a_deadline_ends_the_wait(ends: Ends, watched: bool, left_over: float) -> None:
    own = os.pidfd_open(os.getpid())
    try:
        with pytest.raises(TimeoutError):
            receive(ends[1], time.monotonic() + left_over, own if watched else None)
    finally:
        os.close(own)


def test_a_deadline_holds_for_the_whole_message(ends: Ends, pipe: tuple[int, int]) -> None:
    left, right = ends
    reader, writer = pipe
    give_away(left, fdpass.MORE, b"half", writer)
    with pytest.raises(TimeoutError):
        receive(right, time.monotonic() + 0.05)
    assert has_no_writer(reader)


def test_a_limit_bounds_receiving(ends: Ends) -> None:
    fdpass.limit(ends[0], 0.01)
    with pytest.raises(TimeoutError):
        receive(ends[0])


def test_a_limit_bounds_sending(ends: Ends) -> None:
    fdpass.limit(ends[0], 0.01)
    with pytest.raises(BlockingIOError):
        fdpass.send(ends[0], bytes(50_000_000))


@pytest.mark.parametrize("option", [socket.SO_RCVTIMEO, socket.SO_SNDTIMEO])
@pytest.mark.parametrize(("timeout", "seconds", "micros"), [(2.5, 2, 500_000), (10, 10, 0)])
def test_a_limit_is_what_the_kernel_is_told(ends: Ends, option: int, timeout: float, seconds: int, micros: int) -> None:
    fdpass.limit(ends[0], timeout)
    assert struct.unpack("@ll", ends[0].getsockopt(socket.SOL_SOCKET, option, 16)) == (seconds, micros)


def test_a_limit_of_zero_is_the_shortest_not_none(ends: Ends) -> None:
    fdpass.limit(ends[0], 0)
    seconds, micros = struct.unpack("@ll", ends[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16))
    assert seconds == 0
    assert micros > 0


def test_a_sender_that_dies_is_noticed_while_another_process_holds_its_end(ends: Ends) -> None:
    ours, theirs = ends  # this process keeps a copy of the sender's end open: the socket alone tells nothing
    code = "import os, sys; os.write(int(sys.argv[1]), b'\\0last words')"
    command = [sys.executable, "-ISc", code, str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]) as process:
        ending = os.pidfd_open(process.pid)
        try:
            process.wait()
            assert receive(ours, time.monotonic() + LONG, ending) == (b"last words", [])
            with pytest.raises(fdpass.Closed):
                receive(ours, time.monotonic() + LONG, ending)
        finally:
            os.close(ending)


def test_a_sender_that_is_killed_ends_a_wait_without_deadline(ends: Ends) -> None:
    waits = threading.Event()
    raised: list[BaseException] = []

    with subprocess.Popen(["sleep", "1000"]) as process:
        ending = os.pidfd_open(process.pid)

        def wait() -> None:
            waits.set()
            try:
                receive(ends[0], None, ending)
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        waits.wait()
        process.kill()
        thread.join(LONG)
        os.close(ending)
    assert [type(error) for error in raised] == [fdpass.Closed]


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_receiver_without_room_says_so_and_leaks_nothing(ends: Ends, room: int) -> None:
    left, right = ends
    fdpass.send(left, b"many", [left.fileno()] * SCM_MAX_FD)
    before = open_fds()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowered_to(room), hard))
    try:
        with pytest.raises(OSError, match="Too many open files") as info:
            receive(right)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert info.value.errno == errno.EMFILE
    assert open_fds() <= before


def lowered_to(room: int) -> int:
    """Return the limit of open files that leaves this number of free ones."""
    limit = 0
    while room >= 0:  # the number of the first that is too many bounds the others
        room -= not is_open(limit)
        limit += 1
    return limit - 1


def is_open(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def test_closing_all_forgets_the_numbers(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    fds = [writer]
    syscalls.close_all(fds)
    assert fds == []
    assert has_no_writer(reader)
    syscalls.close_all(fds)
