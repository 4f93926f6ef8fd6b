"""What lives for the run, or for a test, and is used by more than one feature: keys of ``config.stash``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .._audit import Audit
    from .._isolation.isolation import Isolation
    from .._isolation.wanted import Wanted
    from .._netns.attempts import Attempts
    from .._netns.factory import Session
    from .._netns.stopwatch import Stopwatch
    from .._originals import Originals
    from .capture import Captures
    from .leaks import Leaks
    from .settings import Settings
    from .witness import Running

settings_key: pytest.StashKey[Settings] = pytest.StashKey()
originals_key: pytest.StashKey[Originals] = pytest.StashKey()
stopwatch_key: pytest.StashKey[Stopwatch] = pytest.StashKey()
"""What measures what takes time, if anything is to."""
test_key = pytest.StashKey[str]()
"""The id of the test that runs, or ran last."""
mode_key = pytest.StashKey[str]()
"""The child mode of the test that runs, and of what names none."""
session_key: pytest.StashKey[Session] = pytest.StashKey()
captures_key: pytest.StashKey[Captures] = pytest.StashKey()
leaks_key: pytest.StashKey[Leaks] = pytest.StashKey()
isolation_key: pytest.StashKey[Isolation] = pytest.StashKey()
audit_key: pytest.StashKey[Audit] = pytest.StashKey()
attempts_key: pytest.StashKey[Attempts] = pytest.StashKey()
wanted_key: pytest.StashKey[Wanted] = pytest.StashKey()
witness_key: pytest.StashKey[Running] = pytest.StashKey()
summary_key = pytest.StashKey[bool]()
"""Whether reports are to have what a summary of the run shows."""
scope_key = pytest.StashKey[str]()
"""In the stash of an isolated test: what shares its namespace."""
