"""As many tests that do not use the plugin, for what pytest itself keeps of a test with as many fixtures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def for_the_session() -> object:
    return object()


@pytest.fixture
def mode() -> str:
    return "resident"


@pytest.fixture
def netns(mode: str, for_the_session: object) -> Iterator[object]:
    yield for_the_session
    assert mode


@pytest.mark.soak(1000)
def test_nothing(netns: object) -> None:
    pass
