"""The requests that the recorder takes: a byte for the verb, and marshalled arguments.

The first argument is the number of the request, which its answer begins with: whoever was interrupted as it waited for
an answer leaves that in the socket.
"""

from __future__ import annotations

import marshal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEST = b"t"
ADD = b"a"
LINKS = b"l"
STOP = b"s"
DROP = b"d"
FRAMES = b"f"
WRITE = b"w"
END = b"e"

READY = b"+"
"""What the recorder sends once it has started."""
ANSWERED = (STOP, FRAMES, WRITE, END)


def request(verb: bytes, *arguments: Any) -> bytes:
    """Return the bytes of a request."""
    return verb + marshal.dumps(arguments)
