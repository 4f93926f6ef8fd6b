"""A browser without a window, which shows pages from files."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest


def find() -> str:
    """Return the browser, or skip the test."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("there is no Chromium: apt-get install chromium")


def body_of(browser: str, page: Path, folder: Path, *options: str) -> str:
    """Return the text to which the scripts of a page have come in the end.

    :param folder: where the browser keeps what it has.
    """
    command = [browser, "--headless", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", *options]
    command += ["--no-sandbox"] if os.geteuid() == 0 else []
    command += ["--virtual-time-budget=60000", "--dump-dom", str(page)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    shown = re.search(r"<body>(.*)</body>", done.stdout, re.DOTALL)
    assert shown, done.stdout[-2000:] + done.stderr[-2000:]
    return html.unescape(shown[1])
