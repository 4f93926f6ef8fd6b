"""What is given for a namespace to be made, checked."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from .._arguments import check_keywords, check_timeout, check_type
from .._child import check_mode
from .._errors import is_meant
from .._linux import run_netns
from .sysctl import checked

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

LONGEST_NAME = 200  # bytes


@dataclasses.dataclass(frozen=True)
class Options:
    """What :class:`MakeNetNS` takes, checked."""

    label: str | None = None
    name: str | None = None
    lo: bool = True
    sysctl: dict[str, str] = dataclasses.field(default_factory=dict)
    """Paths below /proc/sys, and what to write."""
    child_mode: str | None = None
    child_timeout: float | None = None

    @classmethod
    def of(cls, args: tuple[Any, ...], options: dict[str, Any]) -> Options:
        """Check what a caller gives.

        :raises TypeError: an option is unknown, or of a wrong type.
        :raises ValueError: a value cannot be.
        """
        if len(args) > 1:
            raise TypeError(
                f"one argument can be given without a name, the label, not {len(args)}; "
                'give the others by name, as in make_netns("client", name="lab")'
            )
        if args and "label" in options:
            raise TypeError(f"the label is given twice, as {args[0]!r} and as {options['label']!r}")
        check_keywords(options, tuple(cls.__dataclass_fields__), "a namespace")
        given = {"label": args[0], **options} if args else options
        label, lo = given.get("label"), given.get("lo", True)
        name, child_mode, timeout = given.get("name"), given.get("child_mode"), given.get("child_timeout")
        if label is not None:
            check_type(label, str, "label is a str, what the namespace is called in errors")
        check_type(lo, bool, "lo is True or False, whether loopback is up")
        return cls(
            label=label,
            name=None if name is None else check_name(name),
            lo=lo,
            sysctl=checked({} if given.get("sysctl") is None else given["sysctl"]),
            child_mode=None if child_mode is None else check_mode(child_mode),
            child_timeout=None if timeout is None else check_timeout(timeout, "child_timeout"),
        )


def check_name(name: str, suffix: str = "") -> str:
    """Return a name under /run/netns, with its suffix, if it can be one.

    :raises TypeError: it is no text.
    :raises ValueError: it cannot.
    """
    check_type(name, str, f"name is a str, a file name under {run_netns.DIRECTORY}")
    wrong = run_netns.why_not(name) or run_netns.why_not(name + suffix)
    if not wrong and len(os.fsencode(name)) > LONGEST_NAME:
        wrong = f"it has {len(os.fsencode(name))} bytes, and {LONGEST_NAME} leave room for what a worker adds"
    if wrong:
        raise ValueError(f"{name!r} cannot be a name under {run_netns.DIRECTORY}: {wrong}")
    return name + suffix
