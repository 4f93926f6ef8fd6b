"""The names that the package has: each is there, loaded on first use, and seen by type checkers."""

from __future__ import annotations

import ast
import errno
import pickle
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import FunctionType
from typing import get_args

import pytest

import pytest_netns
from pytest_netns import NetNSTimeoutError, _child, _errors

TYPES = {"CallModeName", "ChildModeName"}  # of literals
NETWORKS = {"DNSServer", "Host", "Interface", "MakeTopology", "Nat", "NetNSPair", "Query", "Topology", "TopologyError"}
EVIDENCE = {"Capture", "Changes", "Frame", "Snapshot"}
OTHERS = {*EVIDENCE, "MakeNetNS", "NetNS", "Sysctl", *NETWORKS}
FUNCTIONS = {"inherited", "listening", "notified", "output"}


@pytest.mark.parametrize("name", sorted(set(pytest_netns.__all__) - TYPES))
def test_each_class_and_function_is_there_and_is_its_own(name: str) -> None:
    value = getattr(pytest_netns, name)
    assert isinstance(value, FunctionType if name in FUNCTIONS else type)
    assert value.__qualname__ == name
    assert value.__module__ == "pytest_netns"


def test_a_traceback_names_an_error_as_it_is_imported() -> None:
    code = "from pytest_netns._errors import from_errno; raise from_errno(1, 'no')"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("pytest_netns.NetNSPermissionError: [Errno 1] no")


def test_a_pickle_names_an_error_as_it_is_imported() -> None:
    pickled = pickle.dumps(NetNSTimeoutError(errno.ETIMEDOUT, "no answer"))
    assert b"_errors" not in pickled
    code = f"import pickle, sys; error = pickle.loads({pickled!r}); print(type(error), error)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "<class 'pytest_netns.NetNSTimeoutError'> [Errno 110] no answer\n"


def test_the_version_is_that_of_what_is_installed() -> None:
    assert pytest_netns.__version__ == metadata.version("pytest-netns")


def test_the_version_is_looked_up_on_first_use() -> None:
    code = (
        "import sys\n"
        "sys.modules.pop('importlib.metadata', None)\n"
        "import pytest_netns\n"
        "print('importlib.metadata' in sys.modules)\n"
        "pytest_netns.__version__\n"
        "print('importlib.metadata' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["False", "True"]


def test_the_types_of_child_modes_name_them_all() -> None:
    assert get_args(pytest_netns.ChildModeName) == _child.MODES
    assert get_args(pytest_netns.CallModeName) == _child.CALL_MODES


def test_all_is_complete_and_sorted() -> None:
    errors = {name for name, value in vars(_errors).items() if isinstance(value, type)}
    assert set(pytest_netns.__all__) == errors | TYPES | FUNCTIONS | OTHERS
    assert pytest_netns.__all__ == sorted(pytest_netns.__all__)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(pytest_netns.__file__).read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert {alias.name for node in imported for alias in node.names} == set(pytest_netns.__all__)


def test_dir_shows_what_is_not_loaded_yet() -> None:
    assert {*pytest_netns.__all__, "__version__"} <= set(dir(pytest_netns))


def test_a_star_import_gives_every_name() -> None:
    names: dict[str, object] = {}
    exec("from pytest_netns import *", names)
    assert set(names) - {"__builtins__"} == set(pytest_netns.__all__)


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError) as info:
        pytest_netns.nothing  # type: ignore[attr-defined]  # noqa: B018
    assert str(info.value) == "module 'pytest_netns' has no attribute 'nothing'"


def test_the_import_loads_nothing_before_it_is_used() -> None:
    code = (
        "import sys, pytest_netns\n"
        "print(sorted(name for name in sys.modules if name.startswith('pytest_netns.')))\n"
        "pytest_netns.NetNSError\n"
        "print(sorted(name for name in sys.modules if name.startswith('pytest_netns.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "['pytest_netns._causes', 'pytest_netns._errors']"]
