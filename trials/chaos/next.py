"""The next start after a session whose resident child was killed too: it makes a namespace."""

from __future__ import annotations

from pytest_netns import NetNS


def test_next(netns: NetNS) -> None:
    assert not netns.closed
