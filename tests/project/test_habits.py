"""What the project does by itself: the workflows run what .ci/run runs, with what is there and cannot change unseen."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pytest_netns

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.stem: path for path in (ROOT / ".github" / "workflows").glob("*.yml")}
YAML_FILES = [
    ROOT / ".pre-commit-config.yaml",
    ROOT / ".readthedocs.yaml",
    ROOT / ".github" / "dependabot.yml",
    *(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"),
    *WORKFLOWS.values(),
]
RULES = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PINNED = re.compile(r"[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
ON_EVERY_RUNNER = {"make", "iproute2", "util-linux", "kmod", "openssh-server", "openssh-client", "passwd"}
FOR_OTHER_KERNELS_AND_PYTHONS = {"user-mode-linux", "debootstrap"}
OF_PYTHON = {"altinstall"}  # a target of its own Makefile
MADE = {"docs/_build/html"}
PAGES = [*ROOT.glob("*.md"), *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]


def workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(WORKFLOWS[name].read_text())
    return loaded


def commands(name: str) -> Iterator[str]:
    """Yield each line of shell in a workflow, once for each value that a matrix gives it."""
    for job in workflow(name)["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for values in itertools.product(*matrix.values()):
            for step in job["steps"]:
                text = step.get("run", "").replace("\\\n", " ")
                for key, value in zip(matrix, values, strict=True):
                    text = text.replace(f"${{{{ matrix.{key} }}}}", str(value))
                yield from text.splitlines()


def ci_run() -> list[str]:
    """Return the lines of .ci/run, with what its ordinary user makes spelled out."""
    text = (ROOT / ".ci" / "run").read_text()
    return text.replace('"${as_user[@]}"', "make").splitlines()


def targets(line: str) -> set[str]:
    """Return what a line of shell has make do."""
    before, is_made, after = f" {line} ".partition(" make ")
    if not is_made or before.lstrip().startswith(("#", "apt-get")):
        return set()
    words = itertools.takewhile(lambda word: word not in ("&", "&&", ";") and ">" not in word, shlex.split(after))
    return {word for word in words if re.fullmatch(r"[\w.][\w./-]*", word)}


def all_targets(lines: Iterator[str] | list[str]) -> set[str]:
    return set().union(*map(targets, lines))


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_it_is_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_jobs_have_a_time_limit_and_no_right_to_write(name: str) -> None:
    assert workflow(name)["permissions"] == {"contents": "read"}
    for job in workflow(name)["jobs"].values():
        assert job["timeout-minutes"] > 0
        assert set(job.get("permissions", {})) <= {"id-token"}


def test_only_the_job_that_publishes_has_an_identity_and_it_runs_nothing_of_the_project() -> None:
    jobs = [(name, key, job) for name in WORKFLOWS for key, job in workflow(name)["jobs"].items()]
    ((name, key, job),) = [found for found in jobs if "permissions" in found[2]]
    assert (name, key, job["environment"]["name"]) == ("release", "publish", "pypi")
    assert not any("run" in step or "checkout" in step["uses"] for step in job["steps"])


def test_actions_are_pinned_to_a_commit_and_one_each() -> None:
    text = "".join(path.read_text() for path in WORKFLOWS.values())
    used = re.findall(r"uses: (.*)", text)
    assert used
    assert [action for action in used if not PINNED.fullmatch(action)] == []
    assert len({action.partition("@")[0] for action in used}) == len(set(used))


@pytest.mark.parametrize("name", [".ci/run", *sorted(WORKFLOWS)])
def test_make_has_what_is_made(name: str) -> None:
    made = all_targets(ci_run() if name == ".ci/run" else commands(name))
    assert made
    assert made - RULES == set()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "RELEASING.md", "README.md", "changelog.d/README.md"])
def test_make_has_what_a_page_says(page: str) -> None:
    said = re.findall(r"`make ([\w-]+)|^\$ make ([\w-]+)", (ROOT / page).read_text(), re.MULTILINE)
    assert said
    assert {first or second for first, second in said} - RULES - OF_PYTHON == set()


def test_the_workflows_make_what_ci_run_makes() -> None:
    here, pushed, nightly = all_targets(ci_run()), all_targets(commands("ci")), all_targets(commands("nightly"))
    assert pushed - here == set()
    assert here - pushed - nightly == {".venv/dev"}


def test_commands_that_are_not_those_of_make_are_the_same() -> None:
    lines = [re.sub(r'^sudo (env "PATH=\$PATH" )?', "", line) for line in commands("ci")]
    with_less = [line for line in lines if line.startswith("setpriv")]
    assert len(with_less) == 1
    assert with_less[0] in ci_run()
    tests = {line for line in lines if line.startswith("python -m pytest")}
    rule = re.search(r"^test: .*?^$", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)
    assert rule is not None
    assert {f"\t$(BIN)/{line}" for line in tests} == {rule[0].splitlines()[-2]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = re.sub(r"(?s)^```\w.*?^```|^<!-- made by .*?^<!-- end", "", page.read_text(), flags=re.MULTILINE)
    named = set(re.findall(r"`((?:tests|trials|examples|docs|pytest_netns)/[\w./-]+)`", text)) - MADE
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_workflows_install_what_ci_run_installs() -> None:
    lists = {line for line in commands("ci") if ".ci/install " in line}
    assert len(lists) == 1
    pushed = set(lists.pop().partition(".ci/install ")[2].split())
    table = re.search(r"^declare -A packages=\($(.*?)^\)$", "\n".join(ci_run()), re.MULTILINE | re.DOTALL)
    assert table is not None
    here = {entry.partition("=")[2] for entry in table[1].split()}
    assert pushed - here == set()
    assert here - pushed == ON_EVERY_RUNNER | FOR_OTHER_KERNELS_AND_PYTHONS


def test_changelog_fragments_have_a_category() -> None:
    known = set(re.findall(r'^directory = "(\w+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    shown = set(re.findall(r"^\| `(\w+)`", (ROOT / "changelog.d" / "README.md").read_text(), re.MULTILINE))
    assert shown == known
    names = {path.name for path in (ROOT / "changelog.d").iterdir()} - {"README.md"}
    assert [name for name in names if not re.fullmatch(rf"(\d+|\+[\w-]+)\.({'|'.join(known)})\.md", name)] == []


def test_contributing_has_a_line_for_each_folder() -> None:
    package = Path(pytest_netns.__file__).parent
    folders = {path.parent.relative_to(package) for path in package.rglob("*.py")}
    text = (ROOT / "CONTRIBUTING.md").read_text()
    tree = text[text.index("```text\npytest_netns/") :].split("```")[1]
    shown: list[Path] = []
    for indent, name in re.findall(r"^( *)([\w.]+)/ +\S", tree, re.MULTILINE):
        depth = len(indent) // 2
        parents = shown[-1].parts[: depth - 1] if depth > 1 else ()
        shown.append(Path(*parents, name) if depth else Path())
    assert sorted(shown) == sorted(folders)
