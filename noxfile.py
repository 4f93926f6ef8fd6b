"""The smoke run: the heart of the tests on every Python that is there, next to the full run that ``make test`` does."""

from __future__ import annotations

import sys

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.14t"]

nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=[python for python in PYTHONS if python != f"{sys.version_info[0]}.{sys.version_info[1]}"])
def smoke(session: nox.Session) -> None:
    """Run the tests marked as smoke tests."""
    session.install("--quiet", "--editable", ".[test]")
    session.run("pytest", "-q", "-m", "smoke", *session.posargs)
