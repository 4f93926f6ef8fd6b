"""The C library, for the system calls that Python does not name."""

from __future__ import annotations

import ctypes
from ctypes import get_errno as get_errno

LIBC = ctypes.CDLL(None, use_errno=True)
