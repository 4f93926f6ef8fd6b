"""The layers of the package: each module imports only what is below it (see docs/explanation/how-it-works.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_netns

PACKAGE = Path(pytest_netns.__file__).parent

# From the top to the bottom; modules of one line are of one layer and do not import each other.
LAYERS = [
    "plugin",
    "explanations",
    "requirements scopes",
    "notices",
    "settings",
    "way",
    "watch",
    "session pair isolation userns",
    "doctor",
    "probes",
    "namespace guard mphelpers pools remedies",
    "remains",
    "netlink processes sockets sysctl threads",
    "holders lookup parts through held state",
    "child.modes",
    "child.resident child.fork child.mp",
    "child.task child.process",
    "child.program",
    "child.journal",
    "child.record child.directory",
    "child.answer child.protocol child.observer child.undo values inside",
    "child fdpass names users",
    "background handle",
    "audit kernel errors loopback wanted interpreter arguments originals",
    "causes",
]
# Within a layer, these go by the side.
SIDEWAYS = {("child.mp", "child.fork")}
# Who alone may import what is not ours.
ONLY = {
    "pytest": {"plugin", "explanations", "requirements", "scopes", "settings", "notices"},
    "pyroute2": {"netlink"},
    "ctypes": {"kernel"},
    "asyncio": {"netlink", "parts"},
}
RESIDENT = {
    *("causes", "kernel", "loopback", "fdpass", "names", "users", "errors", "child"),
    *(
        f"child.{name}"
        for name in ("answer", "observer", "program", "journal", "record", "directory", "undo", "__main__")
    ),
}
DEPTH = {name: depth for depth, line in enumerate(LAYERS) for name in line.split()}


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        found[name] = ast.parse(path.read_text())
    return found


def imports(name: str, tree: ast.AST) -> Iterator[str]:
    """Yield the modules that a module imports when it runs: ours without the package's name, others whole."""
    package = name if (PACKAGE / name.replace(".", "/")).is_dir() else name.rpartition(".")[0]
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = [*package.split(".")[: package.count(".") + 2 - node.level], *(node.module or "").split(".")]
            stem = ".".join(part for part in base if part)
            for alias in node.names:
                inner = f"{stem}.{alias.name}".strip(".")
                yield inner if inner in DEPTH else stem
        yield from imports(name, node)


def test_every_module_has_a_layer() -> None:
    assert set(DEPTH) == set(modules()) - {"", "child.__main__"}


@pytest.mark.parametrize("name", sorted(DEPTH))
def test_a_module_imports_only_what_is_below_it(name: str) -> None:
    for imported in imports(name, modules()[name]):
        if imported in DEPTH and (name, imported) not in SIDEWAYS and not name.startswith(f"{imported}."):
            assert DEPTH[imported] > DEPTH[name], f"{name} imports {imported}"
        owners = ONLY.get(imported.partition(".")[0])
        assert owners is None or name in owners, f"{name} imports {imported}"


def test_the_resident_child_is_made_of_standard_library_alone() -> None:
    for name in RESIDENT:
        for imported in imports(name, modules()[name]):
            top = imported.partition(".")[0]
            assert imported in RESIDENT or top in sys.stdlib_module_names | {"pytest_netns"}, (
                f"{name} imports {imported}"
            )
            assert top not in {"typing", "re", "json", "subprocess", "dataclasses", "contextlib"}, (
                f"{name} imports {top}"
            )


@pytest.mark.parametrize("module", ["pyroute2", "asyncio", "multiprocessing", "ctypes", "subprocess", "socket"])
def test_the_plugin_does_not_load_what_a_run_without_namespaces_does_not_need(module: str) -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import pytest_netns.plugin; "
        f"raise SystemExit({module!r} in set(sys.modules) - before)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_there_is_no_module_state() -> None:
    """What lives for the session is on the session; a module holds constants."""
    for name, tree in modules().items():
        for node in tree.body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                value = node.value
                is_mutable = isinstance(value, (ast.List, ast.Set, ast.ListComp)) or (
                    isinstance(value, ast.Call) and getattr(value.func, "id", "") in {"list", "dict", "set", "deque"}
                )
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                assert not is_mutable or getattr(target, "id", "") == "__all__", f"{name}: {ast.unparse(node)}"
        assert not any(isinstance(node, ast.Global) for node in ast.walk(tree)), name


# What a test may replace of os is used in these only: they run before the tests, in a child, or on paths of the user.
OF_OS = {
    *("arguments", "session", "interpreter", "loopback", "child.directory", "child.journal"),
    *("doctor", "errors", "names", "plugin", "probes", "processes", "remedies", "through", "userns", "users"),
    *("wanted", "way", "child.__main__", "child.observer", "child.program", "child.record", "child.undo"),
}


def test_the_system_is_called_by_what_no_test_replaces() -> None:
    """By ``posix`` rather than ``os``, and by ``kernel.Socket`` rather than ``socket.socket``."""
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert name in OF_OS or "os" not in {alias.name for alias in node.names}, f"{name} imports os"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "socket.socket":
                assert name in RESIDENT | {"probes"}, f"{name} makes a socket.socket"
