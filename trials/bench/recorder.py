"""A pytest plugin that times the set-up and the tear-down of each test, for trials/bench/fixtures.py.

What is timed of a test is all of ``pytest_runtest_setup`` and all of ``pytest_runtest_teardown``: the wrappers here
are the outermost, so every other plugin's part of these hooks is inside. In them, pytest makes the test's fixtures and
ends them. The call of the test is not timed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator

import pytest

RESULT = "NETNS_BENCHMARK_RESULT"  # the environment variable with the file for the result
_times: dict[str, float] = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    began = time.perf_counter()
    try:
        return (yield)
    finally:
        _times[item.name] = time.perf_counter() - began


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    began = time.perf_counter()
    try:
        return (yield)
    finally:
        _times[item.name] += time.perf_counter() - began


def pytest_sessionfinish() -> None:
    with open(os.environ[RESULT], "w") as file:
        json.dump(_times, file)
