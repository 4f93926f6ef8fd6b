"""Why a TLS handshake broke off, where frames are recorded."""

from __future__ import annotations

import shutil

import pytest

from tests.report import sections
from tests.report.test_causes import docstrings
from tests.support.suites import read_suite

SUITE = read_suite(__file__, "handshakes")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed: apt-get install openssl")
def test_who_broke_a_handshake_off_is_said_first(pytester: pytest.Pytester) -> None:
    found = sections.run(pytester, SUITE, "--netns-capture=failed")
    first = {name: texts[0].splitlines()[0] for (name, _), texts in found.items()}
    expected = {name: f"why: {text}" for name, text in docstrings(SUITE).items()}
    assert {name: first.get(name) for name in expected} == expected
    others = [text for name, text in first.items() if name not in expected]
    assert len(others) == 1
    assert "TLS" not in others[0]
