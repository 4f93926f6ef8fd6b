"""What stays of a failed test with --netns-keep=failed, until it is ended."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from pytest_netns._child.resident.directory import parents
from pytest_netns._linux import proc
from pytest_netns._netns.keeping import MOST_TESTS
from tests.support.helpers import eventually, is_running, named_namespaces
from tests.support.suites import read_suite

pytestmark = pytest.mark.slow

SUITE = read_suite(__file__, "keep")
ASYNCHRONOUS = read_suite(__file__, "keep_asynchronous")
KEPT = re.compile(r"^  python -m pytest_netns shell (\d+-\d+)  # (.*)$", re.MULTILINE)

Run = Callable[..., pytest.RunResult]


def ask(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pytest_netns", *args], check=False, capture_output=True, text=True)


def kept_by(result: pytest.RunResult) -> dict[str, str]:
    """Return the names of what is kept, by their labels."""
    return {label: name for name, label in KEPT.findall(result.stdout.str())}


def listed(name: str) -> str:
    """Return what is listed of a namespace: its line, and those of its processes."""
    found = re.search(rf"^{name} .*\n(?:  .*\n)*", ask("list").stdout, re.MULTILINE)
    return found.group() if found else ""


def keepers() -> dict[int, int]:
    """Return the pids of the resident children that stay, by that of the pytest that they have served."""
    found = {}
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdecimal()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if any(word.endswith(b"resident/__main__.py") for word in words):
            found[int(words[-7])] = pid
    return found


@pytest.fixture
def run(pytester: pytest.Pytester) -> Iterator[Run]:
    """Run a suite that keeps namespaces; end them when the test is over."""
    kept: list[str] = []

    def run(suite: str = SUITE, *options: str) -> pytest.RunResult:
        pytester.makepyfile(suite)
        if not os.path.exists("go"):
            os.mkfifo("go")
        result = pytester.runpytest_subprocess("--netns-keep=failed", "-p", "no:cacheprovider", *options)
        kept.extend(name for name, _ in KEPT.findall(result.stdout.str()))  # of which labels may be the same
        return result

    yield run
    for name in kept:
        ask("end", name)
    assert not any(listed(name) for name in kept)


@pytest.mark.parametrize("options", [(), ("-n2",), ("--netns-userns=resident",)])
def test_what_is_kept(run: Run, options: tuple[str, ...]) -> None:
    if "-n2" in options:
        pytest.importorskip("xdist")
    result = run(SUITE, *options)
    result.assert_outcomes(passed=3, failed=3, errors=1)
    kept = kept_by(result)
    assert sorted(kept) == ["client", "of the set-up", "router", "second", "server", "shared"]
    result.stdout.re_match_lines([r".*test_network:", rf"  .* end {kept['client']} {kept['router']} {kept['server']}$"])
    assert "test_what_is_kept.py::test_network" in listed(kept["client"])
    assert " sleep 1000" in listed(kept["server"])
    assert not {name for name in named_namespaces() if name.startswith("keep-name")}
    # It is entered with the host names of its network, and in the directory of who enters.
    done = ask("shell", kept["client"], "--", "sh", "-c", "getent hosts server; pwd; exit 7")
    assert done.stdout.split()[1:] == ["server", os.getcwd()]
    assert done.returncode == 7
    # Its programs go on, also those with a pipe that pytest has held.
    with open("go", "w"):
        pass
    eventually(lambda: os.path.exists("written"), "what the program does after it has written all")
    done = ask("end", kept["client"])
    assert (done.returncode, done.stdout.partition(" (")[0]) == (0, f"ended {kept['client']}")
    assert not listed(kept["client"])
    assert listed(kept["server"])


@pytest.mark.parametrize("name", ["asyncio", "loop", "thread", "trio"])
def test_programs_of_event_loops(run: Run, name: str) -> None:
    """They go on, and what they write is read, whatever has become of the event loop."""
    if name == "trio":
        pytest.importorskip("trio")
    kept = kept_by(run(ASYNCHRONOUS, "-k", f"test_{name} or goes_on"))
    assert {name, "loop"} == kept.keys()
    with open(f"{name}.go", "w") as line:
        line.write("go on\n")
    eventually(lambda: os.path.exists(name), "what the program does after it has written all")
    eventually(lambda: " sleep 1000" in listed(kept[name]), "the program that it becomes")


FINALIZERS = """
    import pytest

    @pytest.fixture
    def made(make_netns):
        ns = make_netns("made")
        ns.popen(["sleep", "1000"])
        yield ns

    @pytest.fixture
    def raises(made):
        yield
        {fails}

    @pytest.fixture
    def finalizer(made, request):
        def fail():
            {fails}
        request.addfinalizer(fail)

    def test({fixture}): pass

    def test_passes(make_netns): make_netns("passes")
"""


@pytest.mark.parametrize("fixture", ["raises", "finalizer"])
@pytest.mark.parametrize("fails", ["assert False", "pytest.fail('on purpose')"])
def test_a_fixture_that_fails_as_it_is_torn_down(run: Run, fixture: str, fails: str) -> None:
    """It keeps what is still open then, and not what comes later."""
    result = run(FINALIZERS.format(fixture=fixture, fails=fails))
    result.assert_outcomes(passed=2, errors=1)
    kept = kept_by(result)
    assert list(kept) == ["made"]
    assert " sleep 1000" in listed(kept["made"])


def test_a_fixture_that_fails_as_a_test_of_something_else_ends(run: Run) -> None:
    """The namespaces of a wider scope have nothing to do with it."""
    result = run("""
        import pytest

        @pytest.fixture(scope="module")
        def lab(netns_factory):
            return netns_factory("lab")

        @pytest.fixture
        def other():
            yield
            assert False

        def test_with(lab): pass
        def test_without(other): pass
    """)
    result.assert_outcomes(passed=2, errors=1)
    assert not kept_by(result)


def test_a_namespace_of_getfixturevalue(run: Run) -> None:
    kept = kept_by(run("def test(request): assert not request.getfixturevalue('netns').popen(['sleep', '1000'])"))
    assert " sleep 1000" in listed(kept["netns"])


def test_a_leak_keeps_nothing(run: Run) -> None:
    """It is found when the namespaces are closed."""
    result = run("""
        leaked = []
        def test(make_netns):
            leaked.append(make_netns("leaks").socket().dup())
    """)
    result.assert_outcomes(passed=1, errors=1)
    assert not kept_by(result)


def test_nothing_is_kept_without_being_asked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test(netns): assert not netns.popen(['sleep', '1000'])")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    assert "namespaces that were kept" not in result.stdout.str()


def test_a_network_of_the_session(run: Run) -> None:
    kept = kept_by(
        run("""
        import pytest
        @pytest.fixture(scope="session")
        def net(netns_topology_factory):
            yield netns_topology_factory("client -- server")
        def test(net):
            for host in net:
                net[host].popen(["sleep", "1000"])
            assert False
    """)
    )
    assert sorted(kept) == ["client", "server"]
    assert all(" sleep 1000" in listed(name) for name in kept.values())


@pytest.mark.needs_thread_inside
@pytest.mark.parametrize("scope", ["test", "module"])
def test_isolated_tests(run: Run, scope: str) -> None:
    suite = "def test_first(): assert False\ndef test_second(): assert False"
    result = run(suite, f"--netns-isolate={scope}")
    assert len(KEPT.findall(result.stdout.str())) == {"test": 2, "module": 1}[scope]


def test_a_keeper_holds_what_is_kept_and_nothing_more(run: Run) -> None:
    """Neither the namespace that was made in advance, nor anything of pytest."""
    kept = kept_by(run("def test(netns): assert False"))
    keeper = keepers()[int(kept["netns"].partition("-")[0])]
    targets = [os.readlink(f"/proc/{keeper}/fd/{fd}") for fd in os.listdir(f"/proc/{keeper}/fd")]
    original = os.readlink(f"/proc/{keeper}/ns/net")
    assert len({target for target in targets if target.startswith("net:")} - {original}) == 1
    assert not [target for target in targets if target.startswith("pipe:")]


def test_a_resident_child_that_was_killed_has_a_successor_that_keeps(run: Run) -> None:
    kept = kept_by(
        run("""
        import os, signal
        from pytest_netns._plugin.keys import session_key
        def test_fails(netns): assert not netns.popen(["sleep", "1000"])
        def test_kills(netns, pytestconfig): os.kill(pytestconfig.stash[session_key].modes.resident.pid, signal.SIGKILL)
    """)
    )
    assert " sleep 1000" in listed(kept["netns"])


def test_an_interrupted_run_keeps_what_has_failed(run: Run) -> None:
    kept = kept_by(
        run("""
        import os, signal
        def test_fails(netns): assert not netns.popen(["sleep", "1000"])
        def test_is_interrupted(make_netns):
            make_netns("not failed")
            os.kill(os.getpid(), signal.SIGINT)
    """)
    )
    assert list(kept) == ["netns"]
    assert " sleep 1000" in listed(kept["netns"])


def test_the_first_tests_that_fail(run: Run) -> None:
    result = run(f"""
        import pytest
        @pytest.mark.parametrize("number", range({MOST_TESTS + 1}))
        def test(make_netns, number):
            make_netns(f"label{{number}}")
            pytest.fail("on purpose")
    """)
    assert sorted(kept_by(result)) == sorted(f"label{number}" for number in range(MOST_TESTS))
    result.stdout.fnmatch_lines([f"not kept, *::test?{MOST_TESTS}?"])


def test_the_next_session_leaves_alone_what_is_kept(run: Run, pytester: pytest.Pytester) -> None:
    kept = kept_by(run("def test(netns): assert not netns.popen(['sleep', '1000'])"))
    assert " sleep 1000" in listed(kept["netns"])
    pytester.makepyfile("def test(netns): pass")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert " sleep 1000" in listed(kept["netns"])


def test_a_keeper_that_is_killed(run: Run, pytester: pytest.Pytester) -> None:
    """What it has held ends with it, but for the programs, which the next session ends."""
    kept = kept_by(run("def test(netns): assert not netns.popen(['sleep', '1000'])"))
    program = int(listed(kept["netns"]).splitlines()[1].split()[0])
    pytest_pid = int(kept["netns"].partition("-")[0])
    keeper = keepers()[pytest_pid]
    os.kill(keeper, signal.SIGKILL)
    eventually(lambda: not is_running(keeper), "the end of the keeper")
    assert not listed(kept["netns"])
    done = ask("shell", kept["netns"])
    assert done.returncode == 1
    assert f"no namespace of yours is called '{kept['netns']}'" in done.stderr
    pytester.makepyfile("def test(netns): pass")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    eventually(lambda: not is_running(program), "the end of the program")
    eventually(lambda: not sockets_of(pytest_pid), "the removal of the socket")


def sockets_of(pid: int) -> list[str]:
    """Return the sockets of the sessions of a process."""
    folders = [f"{parent}/pytest-netns-{proc.uid_outside()}" for parent in parents()]
    names = [name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
    return [name for name in names if name.startswith(f"socket-{pid}-")]


def test_a_session_that_is_killed_keeps_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import os, signal
        def test_fails(netns): assert not netns.popen(["sleep", "1000"])
        def test_is_killed(netns):
            open("pid", "w").write(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    pytester.runpytest_subprocess("--netns-keep=failed", "-p", "no:cacheprovider")
    pid = int((pytester.path / "pid").read_text())
    eventually(lambda: pid not in keepers(), "the end of the resident child")
    assert f"\n{pid}-" not in ask("list").stdout


def test_end_while_somebody_is_inside(run: Run) -> None:
    kept = kept_by(run("def test(netns): assert False"))
    command = [sys.executable, "-m", "pytest_netns", "shell", kept["netns"], "--", "sh", "-c", "echo; exec sleep 1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as inside:
        assert inside.stdout is not None
        inside.stdout.readline()
        assert f"  {inside.pid} sleep 1000" in listed(kept["netns"])
        assert ask("end", kept["netns"]).returncode == 0
        assert inside.wait() == -signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to fill /run")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare(1)")
def test_without_a_place_for_a_socket(pytester: pytest.Pytester) -> None:
    """All ends with the session, which says why."""
    pytester.makepyfile("def test(netns): assert not netns.popen(['sleep', '1000'])")
    folder = f"/tmp/pytest-netns-{proc.uid_outside()}"
    script = (
        f"unset TMPDIR XDG_RUNTIME_DIR; mkdir -p {folder} && mount -t tmpfs -o ro none {folder}; "
        'mount -t tmpfs -o ro none /run && exec "$@"'
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--netns-keep=failed"]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command],
        cwd=pytester.path,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    with contextlib.suppress(OSError):  # somebody else uses it
        os.rmdir(folder)
    assert "1 failed" in done.stdout
    assert "nothing was kept: the session: cannot keep namespaces without a socket to be asked by" in done.stdout


def test_in_the_process_of_another_program(run: Run) -> None:
    """A program that runs pytest.main() loses no descriptor by it."""
    result = run("""
        import os, subprocess, sys
        INNER = "def test(netns_pair): assert not netns_pair.left.popen(['sleep', '1000'])"
        PROGRAM = '''
        import os, sys, pytest
        before = len(os.listdir("/proc/self/fd"))
        pytest.main(["-p", "no:cacheprovider", "--netns-keep=failed", "test_inner.py"])
        print("more:", len(os.listdir("/proc/self/fd")) - before)
        '''
        def test():
            open("test_inner.py", "w").write(INNER)
            program = "\\n".join(line.strip() for line in PROGRAM.splitlines())
            done = subprocess.run([sys.executable, "-Werror", "-c", program], capture_output=True, text=True)
            print(done.stdout, done.stderr)
            assert False
    """)
    assert sorted(kept_by(result)) == ["left", "right"]
    result.stdout.fnmatch_lines(["more: 0*"])
    assert "ResourceWarning" not in result.stdout.str()
