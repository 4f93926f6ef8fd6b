"""A pytest plugin with the least that a fixture for a namespace can do, for benchmarks/fixtures.py."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pytest_netns import kernel


@pytest.fixture
def floor() -> Iterator[int]:
    home = kernel.open_own_namespace()
    kernel.unshare()
    fd = kernel.open_own_namespace()
    kernel.set_link_up("lo")
    kernel.setns(home)
    os.close(home)
    yield fd
    os.close(fd)
