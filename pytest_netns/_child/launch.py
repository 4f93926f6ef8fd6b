"""How this Python is started again for a program of ours, which ignores the environment (``-I``)."""

from __future__ import annotations

import os
import sys


def options() -> list[str]:
    """Return what has been said about byte code and about UTF-8, as options, since ``-I`` ignores the variables."""
    found = ["-B"] if sys.dont_write_bytecode else []
    if sys.pycache_prefix is not None:
        found += ["-X", f"pycache_prefix={os.path.abspath(sys.pycache_prefix)}"]
    return [*found, "-X", f"utf8={sys.flags.utf8_mode}"]
