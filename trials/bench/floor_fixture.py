"""A pytest plugin with the least that a fixture for a namespace can do, for trials/bench/fixtures.py."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pytest_netns._linux import syscalls


@pytest.fixture
def floor() -> Iterator[int]:
    home = syscalls.open_own_namespace()
    syscalls.unshare()
    fd = syscalls.open_own_namespace()
    syscalls.set_link_up("lo")
    syscalls.setns(home)
    os.close(home)
    yield fd
    os.close(fd)
