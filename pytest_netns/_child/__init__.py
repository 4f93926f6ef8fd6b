"""The child modes: how the child that enters a namespace is started, and what it is asked.

Whatever the mode, the child runs the same steps: it starts, enters the namespace, does its work there, answers with a
message that carries descriptors, and ends. The resident child imports this package, so it imports nothing that is not
cheap.
"""

from __future__ import annotations

from .._errors import ChildModeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .mode_names import CallModeName, ChildModeName

CALL_MODES: tuple[CallModeName, ...] = ("fork", "mp", "mp:fork", "mp:forkserver", "mp:spawn")
DEFAULT: ChildModeName = "resident"
MODES: tuple[ChildModeName, ...] = (DEFAULT, *CALL_MODES)


def check_mode(name: object, *, valid: tuple[str, ...] = MODES, what: str = "child mode") -> str:
    """Return ``name`` if it is a mode.

    :raises ChildModeError: it is not; the text lists the valid ones.
    """
    if isinstance(name, str) and name in valid:
        return name
    raise ChildModeError(f"{name!r} is not a {what}; valid are: {', '.join(valid)}")
