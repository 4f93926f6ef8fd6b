"""What the files of a test are called."""

from __future__ import annotations

import hashlib
import re

LONGEST_NAME = 100  # characters of a test's name, without what makes it unique
UNSAFE = re.compile(r"[^A-Za-z0-9_.,=+@-]+")  # not brackets: GitLab finds no attachment with them in its path


def folder_name(nodeid: str) -> str:
    """Return the name of the folder for the files of a test: safe for all file systems, and another for each test."""
    unique = hashlib.blake2b(nodeid.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
    return f"{UNSAFE.sub('-', nodeid)[-LONGEST_NAME:].strip('-.')}-{unique}"
