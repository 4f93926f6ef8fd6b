"""What takes note of what tests do, as the interpreter tells of it: from the first namespace of a session on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .._errors import is_meant
from .keys import attempts_key, audit_key, originals_key

if TYPE_CHECKING:
    from .._audit import Audit
    from .._netns.attempts import Attempt

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


def audit_of(config: pytest.Config) -> Audit:
    if audit_key not in config.stash:
        from .._audit import Audit

        config.stash[audit_key] = audit = Audit()
        config.add_cleanup(audit.close)
    return config.stash[audit_key]


def take_note(config: pytest.Config) -> None:
    """Take note of the connections that tests begin, since there are namespaces now, where others may listen."""
    with config.stash[originals_key].in_place():
        from .._netns.attempts import EVENTS, SENDING, Attempts

    config.stash[attempts_key] = attempts = Attempts()
    audit_of(config).listen(EVENTS, attempts.hear)
    audit_of(config).listen(SENDING, attempts.hear_of_sending)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    attempts = item.config.stash.get(attempts_key, None)
    if attempts is not None:
        attempts.clear()


def refused(config: pytest.Config, error: BaseException) -> Attempt | None:
    """Return the connection whose refusal a test has failed by, if there is one."""
    attempts = config.stash.get(attempts_key, None)
    return None if attempts is None else attempts.refused(error)
