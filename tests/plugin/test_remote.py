"""Workers of pytest-xdist on another host, over ssh: the host is a namespace with an sshd in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_netns import NetNS, listening
from tests.support.helpers import PATIENCE, needs_another_user

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")  # an ordinary user looks in neither
pytestmark = [
    pytest.mark.skipif(SSHD is None, reason="there is no sshd; .ci/run installs it"),
    needs_another_user,  # sshd gives up its privileges
    pytest.mark.skipif(not os.access("/etc/shadow", os.R_OK), reason="sshd cannot look up whether root may log in"),
    pytest.mark.slow,
]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
SUITE = """
    import os
    import pytest

    @pytest.mark.parametrize("n", range(6))
    def test_lab(netns_pair, make_netns, n):
        assert os.environ["SSH_CONNECTION"].startswith("192.0.2.1 ")
        left, right = netns_pair
        right.create_server(("192.0.2.2", 80))
        left.create_connection(("192.0.2.2", 80))
        make_netns(name="remote")  # one in each worker at the same time

    @pytest.mark.netns_isolate
    @pytest.mark.netns_requires("veth")
    def test_isolated(netns):
        assert os.stat("/proc/thread-self/ns/net").st_ino == netns.inode

    @pytest.mark.netns_requires("descriptors")
    def test_the_remote_host_is_probed(): pass
"""


@pytest.fixture
def remote(netns_pair: tuple[NetNS, NetNS], tmp_path: Path) -> Run:
    """Run pytest on one host, with two workers on the other."""
    pytest.importorskip("xdist")
    left, right = netns_pair
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / key], check=True)
    options = {
        "ListenAddress": "192.0.2.2",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "user.pub",
        "StrictModes": "no",
        "PermitRootLogin": "yes",
        "PidFile": "none",
    }
    arguments = ["-D", "-f", "/dev/null", *(f"-o{key}={value}" for key, value in options.items())]
    # It does not start without a directory, which is not to be left on the machine.
    script = 'mount -t tmpfs -o mode=755 none /run && mkdir /run/sshd && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(SSHD)]
    right.popen([*command, *arguments], stderr=subprocess.DEVNULL, ready=listening(22), ready_timeout=PATIENCE)
    ssh = f"-q -i {tmp_path / 'user'} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@192.0.2.2"
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "pytest.ini").write_text("[pytest]\n")
    (suite / "test_suite.py").write_text(textwrap.dedent(SUITE))

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        worker = f"2*ssh={ssh}//python={sys.executable}//chdir={suite}"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:warnings", "-d", "--tx", worker]
        return left.run([*command, *arguments], cwd=suite, env=os.environ | env, text=True, capture_output=True)

    return run


def test_remote_workers_work_like_local_ones(remote: Run) -> None:
    done = remote("--netns-strict")
    assert " 8 passed in " in done.stdout.splitlines()[-1], done.stdout + done.stderr


@pytest.mark.parametrize("isolate", ["test", "worker"])
def test_remote_workers_isolate(remote: Run, isolate: str) -> None:
    done = remote(f"--netns-isolate={isolate}")
    assert " 8 passed in " in done.stdout.splitlines()[-1], done.stdout + done.stderr


def test_a_remote_worker_in_a_user_namespace_of_its_resident_child(remote: Run) -> None:
    done = remote("--netns-userns=resident", "-k", "isolated or probed")
    assert " 2 passed in " in done.stdout.splitlines()[-1], done.stdout + done.stderr


def test_from_inside_a_user_namespace_they_are_out_of_reach(remote: Run) -> None:
    done = remote("--netns-userns=process", PYTEST_NETNS_USERNS="")  # in no user namespace yet
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "from which no remote worker can be reached" in done.stderr
