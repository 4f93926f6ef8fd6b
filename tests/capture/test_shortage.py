"""A recorder on a machine that is short of something."""

from __future__ import annotations

import re
import resource
import socket
from pathlib import Path

import pytest

from pytest_netns import MakeNetNS, NetNSError
from pytest_netns._plugin.keys import session_key
from tests.support.helpers import eventually, is_gone

pytestmark = pytest.mark.core

MARGIN = 4 << 20  # bytes: enough for a ring, and not for the stack of a thread


def test_without_room_for_a_thread(make_netns: MakeNetNS, pytestconfig: pytest.Config) -> None:
    """What threads do otherwise is done all the same."""
    (recorder,) = pytestconfig.stash[session_key].recorder.program.pids()
    size = re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{recorder}/status").read_text())
    assert size is not None
    _, hard = before = resource.prlimit(recorder, resource.RLIMIT_AS)
    ns = make_netns("short")
    resource.prlimit(recorder, resource.RLIMIT_AS, (int(size[1]) * 1024 + MARGIN, hard))
    try:
        with ns.capture() as capture, ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 7))
            sock.connect(("127.0.0.1", 7))
            for number in range(100):
                sock.send(bytes([number]))
                sock.recv(1)
                assert len(capture.frames) == number + 1
        ns.close()
        eventually(lambda: is_gone(ns), "the namespace is gone")
    finally:
        resource.prlimit(recorder, resource.RLIMIT_AS, before)
    assert pytestconfig.stash[session_key].recorder.program.pids() == {recorder}


def test_without_room_for_descriptors(make_netns: MakeNetNS, pytestconfig: pytest.Config) -> None:
    """One namespace is not recorded then, and the recorder goes on."""
    (recorder,) = pytestconfig.stash[session_key].recorder.program.pids()
    before = resource.prlimit(recorder, resource.RLIMIT_NOFILE)
    first = make_netns("first")
    with first.capture() as capture:
        first.reach("127.0.0.1")
        assert capture.frames
        resource.prlimit(recorder, resource.RLIMIT_NOFILE, (3, before[1]))  # which are open for ever
        try:
            second = make_netns("second")
            with pytest.raises(NetNSError, match=r"the recorder: .* EMFILE"), second.capture() as lost:
                assert lost.frames
        finally:
            resource.prlimit(recorder, resource.RLIMIT_NOFILE, before)
        assert pytestconfig.stash[session_key].recorder.program.pids() == {recorder}
        number = len(capture.frames)
        first.reach("127.0.0.1")
        assert len(capture.frames) > number
        with second.capture() as again:
            second.reach("127.0.0.1")
            assert again.frames
