"""The names under /run/netns: which can be one, and how the directory is shared with others that make some."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_netns._linux import run_netns
from pytest_netns._netns.namespace import MakeNetNS
from pytest_netns._netns.options import check_name
from tests.support.helpers import named_namespaces
from tests.support.ordinary_user import needs_root


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it is not a single file name"),
        ("x\ny", "it has control characters"),
        ("x\x7f", "it has control characters"),
        ("x\x9b31m", "it has control characters"),  # which some terminals obey
        ("x\0y", "it has control characters"),
        ("\ud800", "it has characters that no file name can have"),
        ("\u00fc" * 101, "it has 202 bytes, and 200 leave room for what a worker adds"),
        ("\u00fc" * 200, "it has 400 bytes, and a file name at most 255"),
    ],
)
def test_what_cannot_be_a_name(make_netns: MakeNetNS, name: str, why: str) -> None:
    with pytest.raises(ValueError, match="cannot be") as caught:
        make_netns(name=name)
    assert str(caught.value) == f"{name!r} cannot be a name under /run/netns: {why}"


@pytest.mark.parametrize("suffix", ["-a/b", "-\n", "-" + "w" * 100])
def test_a_name_that_its_suffix_makes_impossible(suffix: str) -> None:
    """What pytest-xdist calls a worker, anybody can choose (``--tx popen//id=...``)."""
    with pytest.raises(ValueError, match="cannot be a name under"):
        check_name("n" * 200, suffix)


def test_the_longest_names(make_netns: MakeNetNS) -> None:
    longest = f"{os.getpid()}-"
    longest += "\u00fc" * ((200 - len(longest)) // 2)
    ns = make_netns(name=longest)
    ns.create_server(("127.0.0.1", 80))
    ns.close()
    assert longest not in named_namespaces()


def run(program: str) -> list[str]:
    """Run a program where /run has nothing in it, and return the lines of its output."""
    mounted = 'mount -t tmpfs none /run && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mounted, "sh", sys.executable, "-c", BEGIN + program]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    return done.stdout.splitlines()


BEGIN = """
import fcntl, os, subprocess, threading
from pytest_netns import NetNSTimeoutError
from pytest_netns._netns.factory import Session

os.mkdir("/run/netns")
lock = os.open("/run/netns", os.O_RDONLY)
session = Session()
first = session.namespace()
"""


@pytest.mark.slow
@needs_root
def test_a_lock_that_a_stranger_keeps_is_an_error_that_says_who() -> None:
    found = run("""
fcntl.flock(lock, fcntl.LOCK_EX)
try:
    session.namespace(name="lab", child_timeout=3)
except NetNSTimeoutError as error:
    print(error)
print(os.getpid())
first.socket().close()
fcntl.flock(lock, fcntl.LOCK_UN)
session.namespace(name="lab")
print(*os.listdir("/run/netns"))
session.close()
print(*os.listdir("/run/netns"))
""")
    pid = found[1]
    assert found[0].startswith("[Errno 110] namespace 'lab': cannot bind the name lab: process ")
    assert f"process {pid} (" in found[0]
    assert "has had /run/netns locked for 3 s (flock(2)); wait for its end, or end it" in found[0]
    assert found[2:] == ["lab", ""]


@needs_root
def test_others_are_served_while_one_waits_for_the_lock() -> None:
    found = run("""
fcntl.flock(lock, fcntl.LOCK_EX)
made = []
thread = threading.Thread(target=lambda: made.append(session.namespace(name="lab")))
thread.start()
for _ in range(200):
    first.socket().close()
    session.namespace().close()
print(*os.listdir("/run/netns"))
fcntl.flock(lock, fcntl.LOCK_UN)
thread.join()
print(*os.listdir("/run/netns"))
session.close()
""")
    assert found == ["", "lab"]


@needs_root
def test_the_lock_is_not_needed_where_the_directory_is_a_mount_already() -> None:
    found = run("""
session.namespace(name="first")
fcntl.flock(lock, fcntl.LOCK_EX)
session.namespace(name="second")
print(*sorted(os.listdir("/run/netns")))
session.close()
""")
    assert found == ["first second"]


@needs_root
def test_names_are_shared_with_ip_netns() -> None:
    found = run("""
subprocess.run(["ip", "netns", "add", "theirs"], check=True)
session.namespace(name="ours")
print(*sorted(line.split()[0] for line in subprocess.check_output(["ip", "netns"], text=True).splitlines()))
session.close()
print(open("/proc/self/mountinfo").read().count(" /netns /run/netns "))
subprocess.run(["ip", "netns", "del", "theirs"], check=True)
""")
    assert found == ["ours theirs", "1"]


@needs_root
def test_the_doctor_names_who_keeps_the_lock() -> None:
    found = run("""
from pytest_netns._doctor.findings import Doctor
fcntl.flock(lock, fcntl.LOCK_EX)
print(Doctor().look(["mount"])[0], os.getpid())
session.close()
""")
    pid = found[0].rpartition(" ")[2]
    assert found[0].startswith(f"mount: process {pid} (")
    assert f"as it has {run_netns.DIRECTORY} locked" in found[0]


@needs_root
def test_a_file_of_another_file_system_with_the_same_inode_is_not_taken_for_it() -> None:
    found = run("""
import sys
from pytest_netns._doctor.findings import Doctor
others = [f"/run/{number}/netns" for number in range(9)]
for other in others:
    os.mkdir(os.path.dirname(other))
    subprocess.run(["mount", "-t", "tmpfs", "none", os.path.dirname(other)], check=True)
    os.mkdir(other)
    assert os.stat(other).st_ino == os.stat("/run/netns").st_ino
lock_all = '''
import fcntl, os, sys
for path in sys.argv[1:]:
    fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
'''
other = subprocess.Popen([sys.executable, "-c", lock_all, *others], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
other.stdout.readline()
fcntl.flock(lock, fcntl.LOCK_EX)
print(Doctor().look(["mount"])[0], os.getpid())
other.communicate()
session.close()
""")
    pid = found[0].rpartition(" ")[2]
    assert found[0].startswith(f"mount: process {pid} (")
