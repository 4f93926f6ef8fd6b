"""Inventories for links into the documentation of others, made here so that a build needs no network.

Sphinx's intersphinx takes the inventory of a whole project from its site. The pages of this project link to a few names
only, so they are listed here, with the page that documents each. A name that is not listed is shown without a link.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

PYTHON = {
    "asyncio-eventloop": ["class asyncio.AbstractEventLoop"],
    "concurrent.futures": [
        "class concurrent.futures.ThreadPoolExecutor",
        "class concurrent.futures.thread.ThreadPoolExecutor",
    ],
    "contextlib": ["class contextlib.AbstractContextManager"],
    "collections.abc": [
        f"class collections.abc.{name}" for name in ("Callable", "Iterable", "Iterator", "Mapping", "Sequence")
    ],
    "constants": ["data None"],
    "exceptions": [
        f"exception {name}"
        for name in (
            "ChildProcessError",
            "ConnectionRefusedError",
            "FileExistsError",
            "KeyError",
            "OSError",
            "PermissionError",
            "RuntimeError",
            "TimeoutError",
            "TypeError",
            "ValueError",
        )
    ],
    "functions": [f"class {name}" for name in ("bool", "float", "object")],
    "functools": ["function functools.partial"],
    "pathlib": ["class pathlib.Path"],
    "socket": [
        "class socket.socket",
        "function socket.create_connection",
        "function socket.create_server",
        "function socket.getaddrinfo",
        "exception socket.gaierror",
    ],
    "stdtypes": [f"class {name}" for name in ("bytes", "dict", "int", "list", "str", "tuple")],
    "subprocess": [
        "class subprocess.CompletedProcess",
        "class subprocess.Popen",
        "function subprocess.run",
        "exception subprocess.CalledProcessError",
        "exception subprocess.TimeoutExpired",
    ],
    "threading": ["class threading.Thread"],
    "typing": ["data typing.Any", "class typing.TypeVar"],
}
PYTEST = {"reference/reference": ["class pytest.PytestWarning"]}
PYROUTE2 = {"iproute_linux": ["class pyroute2.IPRoute", "class pyroute2.AsyncIPRoute"]}
ANCHORS = {"concurrent.futures.thread.ThreadPoolExecutor": "concurrent.futures.ThreadPoolExecutor"}
ANCHORS |= dict.fromkeys(("pyroute2.IPRoute", "pyroute2.AsyncIPRoute"), "pyroute2.iproute.linux.RTNL_API")
SITES = {
    "python": ("https://docs.python.org/3/", PYTHON),
    "pytest": ("https://docs.pytest.org/en/stable/", PYTEST),
    "pyroute2": ("https://docs.pyroute2.org/", PYROUTE2),
}


def write(folder: Path) -> dict[str, tuple[str, str]]:
    """Write an inventory for each site, and return what ``intersphinx_mapping`` takes."""
    mapping = {}
    for name, (site, pages) in SITES.items():
        file = folder / f"{name}.inv"
        file.write_bytes(_inventory(name, pages))
        mapping[name] = (site, str(file))
    return mapping


def _inventory(project: str, pages: dict[str, list[str]]) -> bytes:
    """Return an inventory in version 2 of Sphinx's format."""
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n# The rest is compressed with zlib.\n"
    return head.encode() + zlib.compress("".join(_lines(pages)).encode())


def _lines(pages: dict[str, list[str]]) -> Iterator[str]:
    for page, entries in pages.items():
        for entry in entries:
            kind, name = entry.split()
            library = "library/" if pages is PYTHON else ""
            yield f"{name} py:{kind} 1 {library}{page}.html#{ANCHORS.get(name, name)} -\n"
