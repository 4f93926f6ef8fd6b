"""A plugin of pytest for ``make demo``: it prints what each example is about, and its network, before its tests run."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def _about(request: pytest.FixtureRequest) -> None:
    """Print the docstring of the example."""
    print(f"\n\n{'=' * 100}\n{request.module.__doc__}{'-' * 100}")
