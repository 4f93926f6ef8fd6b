"""The requests that the resident child takes.

A request is a byte for the verb and marshalled arguments. The same interpreter writes and reads them, but for those of
other programs.
"""

from __future__ import annotations

import marshal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Verbs of the control socket.
CONNECT = b"c"
ADOPT = b"a"
FORGET = b"f"  # of a channel too
WITNESS = b"v"
# Verbs of a channel.
CREATE = b"n"
BIND = b"b"
OWN_NAMES = b"o"
OWN_ETC = b"e"
SIGNAL = b"k"
STILL_THERE = b"t"
SOCKETS = b"s"
READ_SYSCTL = b"r"
WRITE_SYSCTL = b"w"
LIST_SYSCTL = b"l"
READ_FILES = b"p"
OPEN_FILES = b"h"
UNBIND = b"u"
STAY = b"y"
# Verbs of other programs of the user, over the socket in the directory of the journal.
LIST = b"L"
ENTER = b"E"
END = b"X"
ANY_PYTHON = 2  # the version of marshal's format for these, which another Python may write or read

# What is given for a user namespace to join, where there is none yet: whether to make one.
NEVER, IF_NEEDED, ALWAYS = -3, -2, -1


def request(verb: bytes, *arguments: Any) -> bytes:
    """Return the bytes of a request."""
    return verb + marshal.dumps(arguments)


def key_of(path: str) -> str:
    """Return the key for a file below /proc/sys, as sysctl(8) writes it."""
    return path if "." in path else path.replace("/", ".")
