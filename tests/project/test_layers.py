"""The folders of the package: each imports only what is below it (see docs/explanation/how-it-works.md)."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_netns

PACKAGE = Path(pytest_netns.__file__).parent
ROOT = Path(__file__).parents[2]

# From the top to the bottom. Folders of one line are beside each other and do not import each other.
LAYERS = [
    "plugin __main__",
    "_plugin _console",
    "_isolation _doctor",
    "_report",
    "_topology",
    "_netns",
    "_capture _snapshot",
    "_child",
    "_frames _leaks",
    "_linux",
    "_handle _arguments _audit _originals _multiprocessing_parts",
    "_errors",
    "_causes",
]
DEPTH = {name: depth for depth, line in enumerate(LAYERS) for name in line.split()}
# Who alone may import what is not ours; a folder stands for all that is in it.
ONLY = {
    "pytest": {"plugin", "_plugin"},
    "pyroute2": {"_netns.netlink"},
    "ctypes": {"_linux.libc"},
    "asyncio": {"_netns.netlink", "_netns.parts", "_netns.async_programs"},
    "dns": {"_topology.naming.zone"},
}
# What the programs of the resident child and of the recorder may reach. They have the standard library only, and the
# cheap part of that.
OPEN_TO_THE_RESIDENT_CHILD = {"", "_child", "_child.reply", "_child.resident", "_linux", "_errors", "_causes"}
OPEN_TO_THE_RECORDER = {
    *("", "_child", "_child.reply", "_linux", "_errors", "_causes"),
    *("_capture", "_capture.program", "_capture.headers", "_capture.pcapng"),
}
TOO_DEAR_FOR_THE_RESIDENT_CHILD = {
    *("contextlib", "dataclasses", "enum", "functools", "json", "re", "signal", "socket", "subprocess", "threading"),
    "typing",
}


def read() -> dict[str, ast.Module]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = ast.parse(path.read_text())
    return found


MODULES = read()


def imports(name: str, tree: ast.AST) -> Iterator[str]:
    """Yield the modules that a module imports when it runs: ours without the package's name, others whole."""
    package = name if (PACKAGE / name.replace(".", "/")).is_dir() else name.rpartition(".")[0]
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            yield from imports(name, ast.Module(node.orelse, []))
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                above = package.split(".") if package else []
                stem = ".".join([*above[: len(above) - node.level + 1], *filter(None, [node.module])])
            else:
                stem = (node.module or "").removeprefix("pytest_netns.")
            for alias in node.names:
                inner = f"{stem}.{alias.name}".strip(".")
                yield inner if inner in MODULES else stem
        yield from imports(name, node)


IMPORTS = {name: set(imports(name, tree)) for name, tree in MODULES.items()}


def folder(name: str) -> str:
    return name.partition(".")[0]


def is_in(name: str, places: set[str]) -> bool:
    return name in places or folder(name) in places or name.rpartition(".")[0] in places


def test_every_module_has_a_layer() -> None:
    assert {folder(name) for name in MODULES} == {"", *DEPTH}


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {""}))
def test_a_module_imports_only_what_is_below_its_folder(name: str) -> None:
    for imported in IMPORTS[name]:
        if imported in MODULES and folder(imported) != folder(name):
            assert DEPTH[folder(imported)] > DEPTH[folder(name)], f"{name} imports {imported}"
        owners = ONLY.get(folder(imported))
        assert owners is None or is_in(name, owners), f"{name} imports {imported}"


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    # A package is a part of what is in it, not the other way round.
    graph = {
        name: {one for one in found if one in MODULES and not name.startswith(f"{one}.")}
        for name, found in IMPORTS.items()
    }
    list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names them


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_private_is_imported_from_another_module(name: str) -> None:
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.ImportFrom) and node.level:
            private = [alias.name for alias in node.names if alias.name.startswith("_")]
            assert all((PACKAGE / one).is_dir() or (PACKAGE / f"{one}.py").is_file() for one in private), private


def reached(start: str) -> set[str]:
    """Return the modules of ours that a program imports as it starts, with the packages that they are in."""
    found: set[str] = set()
    left = [start]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [one for one in IMPORTS[name] if one in MODULES]
            left += [name.rpartition(".")[0]]
    return found


@pytest.mark.parametrize(
    ("program", "a_part", "open_to_it"),
    [
        ("_child.resident", "verbs", OPEN_TO_THE_RESIDENT_CHILD),
        ("_capture.program", "server", OPEN_TO_THE_RECORDER),
    ],
)
def test_a_program_of_ours_is_made_of_standard_library_alone(program: str, a_part: str, open_to_it: set[str]) -> None:
    modules = reached(f"{program}.__main__")
    assert f"{program}.{a_part}" in modules
    for name in modules - {""}:
        assert any(name == one or name.rpartition(".")[0] == one for one in open_to_it), name
        for imported in IMPORTS[name] - MODULES.keys():
            assert folder(imported) in sys.stdlib_module_names, f"{name} imports {imported}"
            assert folder(imported) not in TOO_DEAR_FOR_THE_RESIDENT_CHILD, f"{name} imports {imported}"


# What CI tests as root alone: see .ci/run.
(ONCE,) = re.findall(r"^once=\((.*)\)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
ASK_THE_KERNEL_FOR_NOTHING = {"_topology", "_report", "_frames", "_arguments", "_errors", "_causes"}
PARTS_ABOUT_TEXTS = {"_netns.sysctl", "_linux.proc"}  # the path of a sysctl; reading a file of ours


@pytest.mark.parametrize("tested", sorted(set(ONCE.split()) - {"project", "types", "trials"}))
def test_what_is_tested_as_one_user_asks_the_kernel_for_nothing(tested: str) -> None:
    place = "_" + tested.replace("/", ".")
    left = [name for name in MODULES if name.startswith(f"{place}.")]
    assert left
    found: set[str] = set()
    while left:
        found.add(name := left.pop())
        left += IMPORTS[name] & MODULES.keys() - PARTS_ABOUT_TEXTS - found
    assert {folder(name) for name in found} <= ASK_THE_KERNEL_FOR_NOTHING


@pytest.mark.parametrize("module", ["pyroute2", "asyncio", "multiprocessing", "ctypes", "subprocess", "socket"])
def test_the_plugin_does_not_load_what_a_run_without_namespaces_does_not_need(module: str) -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import pytest_netns.plugin; "
        f"raise SystemExit({module!r} in set(sys.modules) - before)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_there_is_no_module_state() -> None:
    """What lives for the session is on the session; a module holds constants."""
    for name, tree in MODULES.items():
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
    *("_arguments", "_errors", "_linux.loopback", "_linux.run_netns", "_linux.id_maps", "_doctor", "_console"),
    *("_plugin.fixtures", "_plugin.startup", "_plugin.witness"),
    *("_isolation.process_userns", "_isolation.startup", "_isolation.wanted"),
    *("_netns.options", "_netns.outputs", "_netns.nsenter", "_netns.shell", "_child.launch"),
    *(
        f"_child.resident.{name}"
        for name in ("__main__", "directory", "journal", "nsid_watch", "reaper", "record", "keeper")
    ),
    *("_child.resident.server", "_child.resident.startup", "_child.resident.verbs", "_child.resident.namespaces"),
    *("_child.resident.files", "_child.resident.witness"),
    *("_linux.proc", "_linux.own_etc", "_child.resident.own_etc"),
    *("_capture.program", "_capture.capture", "_capture.tls_keys"),
}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_system_is_called_by_what_no_test_replaces(name: str) -> None:
    """By ``posix`` rather than ``os``, and by ``sockets.Socket`` rather than ``socket.socket``."""
    program = reached("_child.resident.__main__")
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            assert is_in(name, OF_OS) or "os" not in {alias.name for alias in node.names}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "socket.socket":
            assert name in program or name.startswith("_doctor.")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_and_functions_are_short(name: str) -> None:
    tree = MODULES[name]
    path = PACKAGE.joinpath(*name.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    assert text.count("\n") <= 300
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    assert [one.name for one in functions if (one.end_lineno or 0) - one.lineno >= 40] == []


def test_the_plugin_only_registers_its_features() -> None:
    assert (PACKAGE / "plugin.py").read_text().count("\n") < 80


def test_what_is_internal_says_so_in_its_path() -> None:
    assert {name for name in MODULES if not name.startswith("_")} == {"", "plugin"}
