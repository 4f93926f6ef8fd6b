"""The keys of TLS sessions, which programs write to a file for whoever decrypts what was recorded."""

from __future__ import annotations

import contextlib
import os
import posix
import shutil
import tempfile
from collections.abc import Iterator

VARIABLE = "SSLKEYLOGFILE"
"""What OpenSSL, NSS and GnuTLS look at, for programs such as curl, and Python's ``ssl.create_default_context()``."""


class TLSKeys:
    """A file for the keys of TLS sessions, in a folder that is made when it is first needed."""

    def __init__(self) -> None:
        self.folder: str = ""

    @property
    def path(self) -> str:
        return f"{self.folder}/keys" if self.folder else ""

    def size(self) -> int:
        """Return how much has been written so far, in bytes."""
        try:
            return posix.stat(self.path).st_size if self.folder else 0
        except FileNotFoundError:
            return 0  # a test has removed it

    @contextlib.contextmanager
    def written(self) -> Iterator[None]:
        """Have programs write their keys for the length of a block, unless a user has them written elsewhere."""
        if VARIABLE in os.environ:
            yield
            return
        self._make()
        os.environ[VARIABLE] = path = self.path
        try:
            yield
        finally:
            if os.environ.get(VARIABLE) == path:
                del os.environ[VARIABLE]

    def _make(self) -> None:
        if self.folder:
            return
        self.folder = tempfile.mkdtemp(prefix="pytest-netns-keys-")
        # Programs that give up privileges write too. To read it, one has to be its owner.
        os.chmod(self.folder, 0o711)
        os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        os.chmod(self.path, 0o622)

    def close(self) -> None:
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)  # the recorder may have removed it
            self.folder = ""
