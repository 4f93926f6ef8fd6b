"""The documentation builds, its examples run, and its reference says what the code has: no less and no more."""

from __future__ import annotations

import builtins
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import pytest_netns
from pytest_netns import (
    Changes,
    DNSServer,
    Host,
    Interface,
    MakeNetNS,
    Nat,
    NetNS,
    NetNSError,
    Query,
    Snapshot,
    Topology,
)
from pytest_netns._child import MODES
from pytest_netns._errors import from_errno
from pytest_netns._snapshot import records

PACKAGE = Path(pytest_netns.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
SNIPPETS = DOCS / "snippets"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
NAMES = [path.relative_to(DOCS).as_posix() for path in PAGES]
SLOW = {"recipes/test_frr.py"}
TEST_FILES = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
    for name in sorted(path.relative_to(SNIPPETS).as_posix() for path in SNIPPETS.rglob("test_*.py"))
]


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def found(pattern: str, text: str) -> set[str]:
    return set(re.findall(pattern, text, re.MULTILINE))


# The build


@pytest.mark.slow
def test_build(tmp_path: Path) -> None:
    for module in ("sphinx", "myst_parser", "furo", "sphinx_copybutton"):
        pytest.importorskip(module)
    build = subprocess.run(
        [sys.executable, "-m", "sphinx", "-qW", "--keep-going", "-d", tmp_path / "doctrees", DOCS, tmp_path / "html"],
        capture_output=True,
        text=True,
    )
    assert (build.returncode, build.stderr) == (0, "")
    reference = (tmp_path / "html" / "reference" / "netns.html").read_text()
    methods = [name for name in dir(NetNS) if callable(getattr(NetNS, name)) and not name.startswith("_")]
    sources = found(r'href="\.\./_modules/\S+#NetNS\.(\w+)"', reference)
    assert methods
    assert sources >= set(methods)
    assert re.search(r'href="\.\./_modules/\S+#NetNS"', reference)
    assert "https://docs.python.org/3/library/socket.html#socket.socket" in reference


PICTURES = DOCS / "pictures"


@pytest.mark.parametrize("picture", sorted(path.relative_to(PICTURES).as_posix() for path in PICTURES.rglob("*.svg")))
def test_picture(picture: str) -> None:
    svg = ElementTree.parse(PICTURES / picture).getroot()
    title = svg.find("{http://www.w3.org/2000/svg}title")
    assert title is not None  # for those who cannot see it
    assert title.get("id") == svg.get("aria-labelledby")
    assert any(f"pictures/{picture}" in path.read_text() for path in PAGES)


# The examples


@pytest.fixture
def run_snippet(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run pytest on a file or a folder of the snippets, as a reader would: in a folder of its own."""
    # A name under /run/netns is the machine's, and another run of these tests may be using it.
    monkeypatch.setenv("PYTEST_XDIST_WORKER", f"docs{os.getpid()}")

    def run(snippet: str, *options: str) -> pytest.RunResult:
        source = SNIPPETS / snippet
        folder = source.parent if source.is_file() else source
        files = [source] if source.is_file() else sorted(source.glob("test_*.py"))
        ini = folder / "pytest.ini"
        pytester.makefile(".ini", pytest="[pytest]\n")
        for file in [*files, folder / "conftest.py", ini]:
            if file.exists():
                shutil.copy(file, pytester.path)
        for module in found(r"^(?:import|from) (\w+)", "\n".join(file.read_text() for file in files)):
            pytest.importorskip(module)
            options += ("-p", "anyio.pytest_plugin") if module == "anyio" else ()
        if ini.exists() and "asyncio_mode" in ini.read_text():
            pytest.importorskip("pytest_asyncio")
            options += ("-p", "pytest_asyncio.plugin")
        return pytester.runpytest_subprocess("-W", "error", *options)

    return run


@pytest.mark.parametrize("snippet", TEST_FILES)
def test_snippet(run_snippet: Callable[..., pytest.RunResult], snippet: str) -> None:
    result = run_snippet(snippet, "-rs")
    assert result.ret == 0
    if set(result.parseoutcomes()) != {"passed"}:  # programs that a recipe is about need not be there
        assert snippet.startswith(("recipes/", "nftables/"))
        result.stdout.re_match_lines([r"SKIPPED .*(install|run it as root|this machine lacks)"])


@pytest.mark.slow
def test_tutorial_in_parallel(run_snippet: Callable[..., pytest.RunResult]) -> None:
    pytest.importorskip("xdist")
    result = run_snippet("tutorial", "-n", "2")
    assert result.ret == 0
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert f"{outcomes['passed']} passed" in page("tutorial")


def test_collected_as_shown(run_snippet: Callable[..., pytest.RunResult]) -> None:
    result = run_snippet("child_modes/test_modes.py", "--collect-only", "-q")
    assert result.ret == 0
    collected = [line for line in result.outlines if "::" in line]
    assert re.findall(r"^test_modes\.py::.*", page("how-to/child-modes"), re.MULTILINE) == collected


# The reference, compared with what pytest has because of the plugin


@pytest.fixture
def added(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], set[str]]:
    """Return what a pattern finds in a report of pytest with the plugin, and not in that without it."""

    def lines(*options: str) -> str:
        result = pytester.runpytest_inprocess(*options)
        assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        return result.stdout.str()

    def compare(option: str, pattern: str) -> set[str]:
        names = found(pattern, lines(option))
        with monkeypatch.context() as without:
            without.setenv("PYTEST_ADDOPTS", "-p xdist")
            names -= found(pattern, lines(option))
        assert names
        return names

    return compare


FIXTURE = r"^(\w+(?: \[\w+ scope\])?) -- "
OPTION = r"^ +(--[a-z][a-z-]+)"
INI = r"^ +(\w+) \(\w+\):"
MARKER = r"^@pytest\.mark\.(\w+)"


def test_fixtures(added: Callable[[str, str], set[str]]) -> None:
    text = page("reference/fixtures")
    scopes = dict(re.findall(r"^:::\{fixture\} (\w+)$.*?^Scope: (\w+)\.$", text, re.MULTILINE | re.DOTALL))
    assert scopes.keys() == found(r"^:::\{fixture\} (\w+)", text)
    documented = {name if scope == "function" else f"{name} [{scope} scope]" for name, scope in scopes.items()}
    assert documented == added("--fixtures", FIXTURE)


def test_options_of_make_netns() -> None:
    text = page("reference/fixtures")
    parameters = [p for p in inspect.signature(MakeNetNS.__call__).parameters.values() if p.name != "self"]
    assert re.findall(r"^`(\w+)`\n: ", text, re.MULTILINE) == [p.name for p in parameters]
    signature = inspect.Signature([p.replace(annotation=inspect.Parameter.empty) for p in parameters])
    assert f"`make_netns{signature}`" in text


def test_command_line_options(added: Callable[[str, str], set[str]]) -> None:
    assert found(r"^:::\{option\} (--[\w-]+)", page("reference/options")) == added("--help", OPTION)


def test_ini_values(added: Callable[[str, str], set[str]], pytester: pytest.Pytester) -> None:
    pattern = r"^:::\{confval\} (\w+)\n:type: (?:string|bool)\n:default: ``(.+)``$"
    documented = dict(re.findall(pattern, page("reference/options"), re.MULTILINE))
    assert documented.keys() == found(r"^:::\{confval\} (\w+)", page("reference/options"))
    assert documented.keys() == added("--help", INI)
    config = pytester.parseconfig()
    assert documented == {name: str(config.getini(name)) for name in documented}


def test_markers(added: Callable[[str, str], set[str]]) -> None:
    assert found(r"^:::\{marker\} (\w+)", page("reference/markers")) == added("--markers", MARKER)


# The reference, compared with the package


def public_names_of(ns: NetNS) -> set[str]:
    return {name for name in {*dir(NetNS), *vars(ns)} if not name.startswith("_")}


def test_netns(netns: NetNS) -> None:
    assert found(r"^\.\. [\w:]+:: NetNS\.(\w+)", page("reference/netns")) == public_names_of(netns)


def test_networks() -> None:
    text = page("reference/topology")
    documented = {
        name: {*re.split(r",\s*", members), *found(r"^   \.\. py:attribute:: (\w+)", rest)}
        for name, members, rest in re.findall(
            r"^\.\. autoclass:: (\w+)\n   :members: (.*)$((?:\n(?:   .*)?)*)", text, re.MULTILINE
        )
    }
    assert documented == {
        "Topology": {name for name in dir(Topology) if not name.startswith("_")},
        "Host": {name for name in {*vars(Host), *Host.__annotations__} if not name.startswith("_")},
        "Nat": {name for name in vars(Nat) if not name.startswith("_")},
        "Interface": {name for name in vars(Interface) if not name.startswith("_")},
        "DNSServer": {"addresses", *(name for name in vars(DNSServer) if not name.startswith("_"))},
        "Query": set(Query._fields),
    }


RECORDS: dict[str, Any] = {
    "links": records.Link,
    "addresses": records.Address,
    "routes": records.Route,
    "rules": records.Rule,
    "neighbours": records.Neighbour,
    "sockets": records.Socket,
    "nft_rules": records.NftRule,
    "qdiscs": records.Qdisc,
}


def test_snapshots() -> None:
    text = page("reference/snapshot")
    for kind in (Snapshot, Changes):
        (members,) = re.findall(rf"autoclass:: {kind.__name__}\n   :members: (.*)$", text, re.MULTILINE)
        assert set(members.split(", ")) == {name for name in vars(kind) if not name.startswith("_")}
    for name, fields in re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE):
        assert re.findall(r"`(\w+)`", fields) == list(RECORDS[name]._fields)


def test_all() -> None:
    text = "".join(page(f"reference/{name}") for name in ("fixtures", "netns", "topology", "snapshot", "errors"))
    assert found(r"^\.\. (?:autoclass|autoexception|autofunction|py:data):: (\w+)$", text) == {
        *pytest_netns.__all__,
        "__version__",
    }


def test_tree_of_errors() -> None:
    shown = re.findall(r"── (\w+) +(\w+)$", page("reference/errors"), re.MULTILINE)
    public = [getattr(pytest_netns, name) for name in pytest_netns.__all__]
    leaves = [kind.__name__ for kind in public if isinstance(kind, type) and NetNSError in kind.__bases__]
    assert sorted(name for name, _ in shown) == sorted(leaves)
    for name, builtin in shown:
        assert getattr(pytest_netns, name).__bases__ == (NetNSError, getattr(builtins, builtin))


def test_messages() -> None:
    shown = re.findall(r"^```text\n(\w+): \[Errno (\d+)\] (.*?)```$", page("how-to/errors"), re.MULTILINE | re.DOTALL)
    assert {name for name, _, _ in shown} <= {*pytest_netns.__all__, *dir(builtins)}
    of_the_kernel = 0
    for name, number, text in shown:
        message = " ".join(text.split())
        what, has_errno, _ = message.partition(f" ({os.strerror(int(number))})")
        if has_errno:
            of_the_kernel += 1
            error = from_errno(int(number), what.rpartition(": ")[0])
            assert (name, message) == (type(error).__name__, error.strerror)  # type: ignore[attr-defined]
    assert of_the_kernel


def test_child_modes() -> None:
    text = page("explanation/child-modes")
    table = text[text.index("| child mode |") :].split("\n\n")[0]
    assert found(r"^\| `([\w:]+)` \|", table) == set(MODES)
    for name in ("reference/fixtures", "reference/markers", "reference/options"):
        assert all(f"`{mode}`" in page(name) for mode in MODES)


def test_layers() -> None:
    text = page("explanation/how-it-works")
    layers = text[text.index("## Layers") :].split("```")[1]
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in PACKAGE.rglob("*/__init__.py")}
    assert found(r"(\w+(?:\.py|/))(?=\s)", layers) == modules | folders
    for module in found(r"`([\w/]+\.py)`", text):
        assert (PACKAGE / module).exists()


# Whatever else a page names


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_names_in_pages_exist(path: Path, netns: NetNS) -> None:
    text = path.read_text()
    documented = found(r"^:::\{(?:fixture|marker|confval)\} (\w+)", "".join(map(Path.read_text, PAGES)))
    assert found(r"\b(?<!pytest_)(netns_\w+)", text) <= documented
    assert found(r"(--netns-[a-z-]+)", text) <= found(r"^:::\{option\} (--[\w-]+)", page("reference/options"))
    assert found(r"(?<![./\w])(?:ns|netns|left|right)\.(\w+)", text) <= public_names_of(netns)
