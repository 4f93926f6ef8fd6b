"""Where the threads of this process are: in which namespace, at which line, whether waiting for work in a pool."""

from __future__ import annotations

import sys
import threading
import traceback
from types import FrameType

from .._linux import syscalls

POOLS = (
    ("/concurrent/futures/thread.py", "_worker"),  # asyncio's too
    ("/trio/_core/_thread_cache.py", "_work"),
    ("/anyio/_backends/_asyncio.py", "run"),
)
"""Where the threads of a pool wait for work."""


def namespace_of(thread: threading.Thread) -> tuple[int, int] | None:
    """Return what identifies the namespace of a thread of this process, or ``None`` if it has ended."""
    native_id = getattr(thread, "native_id", None)  # not that of eventlet's threads
    if native_id is None:
        return None
    try:
        return syscalls.namespace_id(f"/proc/self/task/{native_id}/ns/net")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None  # it has ended, or ends: then it has no memory any more, and may not be looked into (ptrace(2))


def is_idle_in_a_pool(thread: threading.Thread) -> bool:
    """Whether a thread waits for work in a pool that may outlive a test, such as that of an event loop."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code.co_filename.endswith(("/queue.py", "/threading.py")):
        frame = frame.f_back
    return frame is not None and _is_of_a_pool(frame)


def _is_of_a_pool(frame: FrameType) -> bool:
    code = frame.f_code
    return any(code.co_filename.endswith(file) and code.co_name == function for file, function in POOLS)


def stack_of(thread: threading.Thread) -> str:
    """Return where a thread is, as text, innermost call last."""
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)).rstrip() if frame is not None else "  (it has no Python frame)"
