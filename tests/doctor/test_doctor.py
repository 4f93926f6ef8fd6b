"""The doctor: each privilege is taken away for real, and the doctor names what was taken away."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from pytest_netns import ChildDiedError
from pytest_netns._doctor import findings
from pytest_netns._doctor.findings import Doctor, valid_names
from pytest_netns._doctor.topics import GROUPS
from pytest_netns._linux import proc
from tests.support.ordinary_user import Start, denied, needs_root, place, start

__all__ = ["place", "start"]  # fixtures

LOOK = (
    "import json, sys; from pytest_netns._doctor.findings import Doctor; "
    "print(json.dumps([finding._asdict() for finding in Doctor().look(sys.argv[1:])]))"
)


def look(*names: str, under: Sequence[str] = (), first: str = "true") -> dict[str, dict[str, Any]]:
    """Return what the doctor finds in a process that a command has put under some restriction."""
    command = [*under, "sh", "-c", f'{first} && exec "$@"', "sh", sys.executable, "-c", LOOK, *names]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {found["name"]: found for found in json.loads(done.stdout)}


def test_every_probe_answers() -> None:
    found = Doctor().look(valid_names())
    assert [finding.name for finding in found] == list(valid_names())
    for finding in found:
        assert "report it" not in finding.remedy
        assert finding.ok or (finding.cause and finding.remedy)


@pytest.mark.parametrize("kind", ["bridge", "dummy", "ifb", "veth"])
def test_a_link_as_ip_sees_it(kind: str) -> None:
    attempt = subprocess.run(
        ["unshare", "-n", "ip", "link", "add", "x0", "type", kind], check=False, capture_output=True
    )
    assert look(kind)[kind]["ok"] == (attempt.returncode == 0)


@pytest.mark.parametrize("name", ["sys_admin", "net_admin", "net_raw"])
def test_a_capability_dropped(name: str) -> None:
    assert look(name)[name]["ok"]
    without = ("setpriv", f"--bounding-set=-{name}", f"--inh-caps=-{name}")
    found = look(name, under=without)[name]
    assert not found["ok"]
    assert f"CAP_{name.upper()}" in found["cause"]
    assert f"--cap-add {name.upper()}" in found["remedy"]
    assert found["remedy"].startswith("give --netns-userns=process, ")
    # Which is right: there it has all capabilities.
    within = ("unshare", "--user", "--map-root-user")
    assert look(name, under=(*without, *within))[name]["ok"]


@pytest.mark.parametrize(
    ("name", "limit", "few"),
    [
        ("netns", "max_net_namespaces", 0),
        ("userns", "max_user_namespaces", 0),
        ("mount", "max_mnt_namespaces", 0),
        ("namespaces", "max_net_namespaces", 3),
    ],
)
def test_a_limit_of_namespaces(name: str, limit: str, few: int) -> None:
    user = ("unshare", "-Ur")
    found = look(name, under=user, first=f"echo {few} > /proc/sys/user/{limit}")[name]
    assert not found["ok"]
    assert "ENOSPC" in found["cause"]
    remedy = found["remedy"].partition(",")[0]
    assert remedy == f"sysctl -w user.{limit}=10000"
    number = remedy.partition("=")[2]
    undone = f"echo {few} > /proc/sys/user/{limit} && echo {number} > /proc/sys/user/{limit}"
    assert look(name, under=user, first=undone)[name]["ok"]


@pytest.mark.parametrize(
    ("step", "name"), [("unshare", "netns"), ("enter", "setns"), ("enter", "thread"), ("mount", "mount")]
)
def test_a_seccomp_filter(step: str, name: str) -> None:
    assert look(name)[name]["ok"]
    found = look(name, under=denied(step))[name]
    assert not found["ok"]
    assert "EPERM" in found["cause"]
    assert "seccomp=unconfined" in found["remedy"]


def test_a_read_only_proc_sys() -> None:
    mounts = ("unshare", "-m")
    read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"
    found = look("sysctl", under=mounts, first=read_only)["sysctl"]
    assert not found["ok"]
    assert "EROFS" in found["cause"]
    remedy = found["remedy"].partition(", or ")[0]
    assert remedy == "mount -o remount,bind,rw /proc/sys"
    assert look("sysctl", under=mounts, first=f"{read_only} && {remedy}")["sysctl"]["ok"]


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize(
    ("node", "remedy", "undone"),
    [
        ("mknod -m 600 /dev/net/tun c 10 200", "chmod 0666 /dev/net/tun", "chmod 0666 /dev/net/tun"),
        ("true", "modprobe tun", "mknod -m 666 /dev/net/tun c 10 200"),  # which is what that comes to
    ],
)
def test_no_tun(start: Start, node: str, remedy: str, undone: str) -> None:
    def find(script: str) -> dict[str, Any]:
        under = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none /dev/net && {script} && exec "$@"', "sh"]
        out, _ = start("", "--netns-doctor=json", under=under).communicate()
        found: dict[str, Any] = {found["name"]: found for found in json.loads(out)}["tun"]
        return found

    found = find(node)
    assert not found["ok"]
    assert found["remedy"].startswith(f"{remedy} (as root, outside)")
    assert find(f"{node} && {undone}")["ok"]


@needs_root
def test_no_nft() -> None:
    if not look("nft")["nft"]["ok"]:
        pytest.skip("there is no nft to take away")
    everywhere = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin"
    hide = f'for nft in $({everywhere} type -aP nft); do mount --bind /dev/null "$nft"; done'
    found = look("nft", "nat", under=["unshare", "-m", "bash", "-c", f'{hide} && exec "$@"', "bash"])
    for finding in found.values():
        assert finding["cause"] == "there is no nft(8)"
        assert finding["remedy"] == "install nftables (apt-get install nftables)"


def test_few_descriptors() -> None:
    found = look("descriptors", first="ulimit -n 64")["descriptors"]
    assert not found["ok"]
    assert "EMFILE" in found["cause"]
    assert look("descriptors", first=f"ulimit -S -n 64 && {found['remedy'].replace('-n', '-S -n')}")["descriptors"][
        "ok"
    ]


@pytest.mark.slow
def test_the_option(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--netns-doctor")
    assert result.ret == 0
    assert not result.stderr.str()  # of progress, as it is no terminal
    result.stdout.fnmatch_lines(["namespaces", "  ok  netns *", "links", "  * veth *"])
    verdict = result.outlines[0]
    result = pytester.runpytest_subprocess("--netns-doctor=json")
    found = json.loads(result.stdout.str())
    assert [each["name"] for each in found] == [*valid_names(), "verdict"]
    assert found[-1]["cause"] == verdict


@pytest.mark.slow
def test_the_exit_status_when_nothing_can_work() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--netns-doctor=json"]
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run([*without, *command], check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert not json.loads(done.stdout)[0]["ok"]


@pytest.mark.slow
def test_what_blocks_everything_is_said_once() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--netns-doctor"]
    without = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"', "sh"]
    done = subprocess.run([*without, *command], check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 1
    first, second, *_ = done.stdout.splitlines()
    assert first == "Network namespaces cannot be made: unshare(CLONE_NEWNET): ENOSPC (No space left on device)."
    assert second.startswith("  -> sysctl -w user.max_net_namespaces=10000")
    assert done.stdout.count("ENOSPC") == done.stdout.count("max_net_namespaces") == 1
    assert "Not tried, as that takes namespaces: loopback" in done.stdout.replace("setns, thread, mount, ", "")


@pytest.mark.slow
@pytest.mark.ordinary_user
def test_what_a_rootless_run_does_not_need(start: Start) -> None:
    out, _ = start("", "--netns-doctor").communicate()
    if "rootless" not in out:
        pytest.skip("this machine lets no ordinary user make a user namespace")
    assert "  --  sys_admin  " in out
    assert "CAP_SYS_ADMIN" not in out


@pytest.mark.parametrize(
    ("option", "variables", "coloured"),
    [
        ("auto", {}, True),
        ("auto", {"NO_COLOR": "1"}, False),
        ("yes", {"NO_COLOR": "1"}, True),
        ("no", {"FORCE_COLOR": "1"}, False),
        ("auto", {"TERM": "dumb"}, False),
    ],
)
def test_a_terminal(option: str, variables: dict[str, str], coloured: bool) -> None:
    """It shows what is tried, and in the end the findings alone; in colours, if wanted."""
    controller, terminal = os.openpty()
    env = {**os.environ, "TERM": "xterm", **variables}
    for name in {"NO_COLOR", "FORCE_COLOR"} - set(variables):
        env.pop(name, None)
    command = [
        sys.executable,
        "-c",
        "import sys; from pytest_netns._doctor import showing; showing.diagnose(*sys.argv[1:])",
    ]
    with open(controller, "rb", buffering=0) as screen:
        with subprocess.Popen([*command, "table", option], stdout=terminal, stderr=terminal, env=env) as process:
            os.close(terminal)
            shown = b""
            with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
                while chunk := screen.read(65536):
                    shown += chunk
        assert process.returncode == 0
    number = len(valid_names())
    assert f"\r\033[Ktrying netns (1 of {number})".encode() in shown
    progress, _, table = shown.rpartition(b"\r\033[K")
    assert f"({number} of {number})".encode() in progress
    assert (b"\033[" in table) is coloured


def test_every_probe_is_explained() -> None:
    assert sorted(name for topics in GROUPS.values() for name in topics) == sorted(valid_names())


def test_a_doctor_that_is_killed_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Doctor().look(["pidfd"])
    monkeypatch.setattr(
        findings,
        "PROGRAM",
        f"print({json.dumps(found[0]._asdict())!r}, flush=True); import os; os.kill(os.getpid(), 9)",
    )
    with pytest.raises(ChildDiedError, match=r"ended by signal 9 .*, with 1 of 2 things found"):
        Doctor().look(["pidfd", "netns"])


def lacking() -> str:
    """Return something that this machine lacks."""
    return next((found.name for found in Doctor().look(valid_names()) if not found.ok), "") or pytest.skip("it has all")


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-n2",)])
def test_requires(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytest.importorskip("xdist")
    name = lacking()
    pytester.makepyfile(f"""
        import pytest
        @pytest.mark.netns_requires({name!r})
        @pytest.mark.parametrize("n", range(3))
        def test_lacking(n): assert False
        @pytest.mark.netns_requires("loopback", "netns")
        def test_there(netns): pass
    """)
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines([f"3 x this machine lacks {name}: *; *"])
    strict = pytester.runpytest_subprocess("--netns-strict", *options)
    strict.assert_outcomes(passed=1, errors=3)
    strict.stdout.fnmatch_lines([f"*this machine lacks {name}: *"])
    pytester.runpytest_subprocess("-o", "netns_strict=true", *options).assert_outcomes(passed=1, errors=3)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["'vteh'", "", "name='veth'"])
def test_requires_what_does_not_exist(pytester: pytest.Pytester, arguments: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.netns_requires({arguments})\ndef test(): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*is not what can be required; valid are: netns, sys_admin, *"])


def test_the_header(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    root = "rootless, pytest itself *" if proc.is_in_user_namespace_of_pytest() else "as root"
    result.stdout.fnmatch_lines([f"netns: {root}"])


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["netns", "make_netns", "netns_pair", "netns_factory"])
def test_a_test_that_cannot_run_says_why(pytester: pytest.Pytester, fixture: str) -> None:
    call = "" if fixture in ("netns", "netns_pair") else "()"
    pytester.makepyfile(f"""
        import pytest
        @pytest.mark.parametrize("n", range(2))
        def test_it(n, {fixture}):
            {fixture}{call}
    """)
    without = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"', "sh"]
    command = [*without, sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    cause = "this machine lacks netns: unshare(CLONE_NEWNET): ENOSPC (No space left on device); sysctl -w user.max_net"
    done = subprocess.run(command, cwd=pytester.path, check=False, stdout=subprocess.PIPE, text=True)
    assert " 2 skipped in " in done.stdout.splitlines()[-1]
    assert f"2 x {cause}" in done.stdout
    done = subprocess.run(
        [*command, "--netns-strict"], cwd=pytester.path, check=False, stdout=subprocess.PIPE, text=True
    )
    assert " 2 failed in " in done.stdout.splitlines()[-1] or " 2 errors in " in done.stdout.splitlines()[-1]
    assert cause in done.stdout


@pytest.mark.slow
def test_one_cause_that_blocks_several_requirements_is_one_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        @pytest.mark.netns_requires("veth")
        def test_link(): pass
        @pytest.mark.netns_requires("loopback", "nft")
        def test_firewall(): pass
        @pytest.mark.netns_requires("bridge", "netns")
        def test_switch(): pass
    """)
    without = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"', "sh"]
    command = [*without, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs"]
    done = subprocess.run(command, cwd=pytester.path, check=False, stdout=subprocess.PIPE, text=True)
    assert "3 x this machine lacks netns: unshare" in done.stdout
    assert "SKIPPED [3] " in done.stdout
