"""Files of /etc that only a mount namespace has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.ordinary_user import needs_root

pytestmark = needs_root

PROGRAM = """
import json, os, sys
from pytest_netns._child.resident.own_etc import in_a_child
from pytest_netns._linux import own_etc, syscalls

def read(path):
    with open(path) as file:
        return file.read()

def look():
    return {path: read(path) for path in sys.argv[2:]}

syscalls.load()
files = json.loads(sys.argv[1])
{before}
answer, fds = in_a_child(lambda: own_etc.make(files))
if not fds:
    print(json.dumps([answer.decode()]))
    sys.exit()
mounts, *fds = fds
outside = look()
syscalls.setns(mounts, syscalls.CLONE_NEWNS)
inside = look()
own_etc.rewrite(fds[0], "short")
{after}
print(json.dumps([answer.decode(), outside, inside, read("/etc/hosts"), more]))
"""


def run(files: dict[str, str], *paths: str, before: str = "", after: str = "more = None", prepare: str = "") -> Any:
    """Have files made in a mount namespace of a mount namespace, and return what is where."""
    program = PROGRAM.replace("{before}", before).replace("{after}", after)
    command = ["unshare", "-m", "sh", "-c", prepare + '\nexec "$@"', "sh", sys.executable, "-c", program]
    done = subprocess.run(
        [*command, json.dumps(files), *paths], check=True, capture_output=True, text=True, timeout=120
    )
    return json.loads(done.stdout)


def test_the_files_are_there_in_the_mount_namespace_alone() -> None:
    hosts, passwd = Path("/etc/hosts").read_text(), Path("/etc/passwd").read_text()
    _, outside, inside, rewritten, _ = run({"hosts": "of our own" * 10000}, "/etc/hosts", "/etc/passwd")
    assert outside == {"/etc/hosts": hosts, "/etc/passwd": passwd}
    assert inside == {"/etc/hosts": "of our own" * 10000, "/etc/passwd": passwd}
    assert rewritten == "short"
    assert Path("/etc/hosts").read_text() == hosts


def test_mounts_are_not_passed_on_to_a_mount_namespace_that_shares() -> None:
    _, outside, inside, *_ = run({"hosts": "ours"}, "/etc/hosts", prepare="mount --make-rshared /")
    assert outside != inside


def test_a_file_that_etc_lacks_comes_with_all_that_it_has() -> None:
    after = 'more = sorted(set(os.listdir("/etc")))'
    _, _, inside, _, listed = run({"hosts": "ours", "no-such-file": "new"}, "/etc/hosts", "/etc/passwd", after=after)
    assert inside == {"/etc/hosts": "ours", "/etc/passwd": Path("/etc/passwd").read_text()}
    assert listed == sorted([*(path.name for path in Path("/etc").iterdir()), "no-such-file"])


CHROOT = """
set -e
mkdir -p "$DIR/marker"
for name in usr bin lib lib64 sbin etc proc dev; do
    if [ -L /$name ]; then cp -P /$name "$DIR/$name"
    elif [ -d /$name ]; then mkdir "$DIR/$name"; mount --rbind /$name "$DIR/$name"; fi
done
"""


def test_who_joins_is_in_the_root_directory_of_before(tmp_path: Path) -> None:
    before = f"syscalls.open_own_namespace(); os.chroot({str(tmp_path)!r}); os.chdir('/')"
    after = "more = os.listdir('/')"
    prepare = f"DIR='{tmp_path}'\n{CHROOT}"
    _, _, inside, _, listed = run({"hosts": "ours"}, "/etc/hosts", before=before, after=after, prepare=prepare)
    assert inside == {"/etc/hosts": "ours"}
    assert "marker" in listed


def test_no_cache_answers_for_the_file() -> None:
    """A program asks nscd(8) before it reads /etc/hosts, by a socket in /run, and that is in no namespace of ours."""
    prepare = "mount -t tmpfs none /run && mkdir /run/nscd && touch /run/nscd/socket"
    *_, listed = run({"hosts": "ours"}, prepare=prepare, after="more = os.listdir('/run/nscd')")
    assert listed == []


def test_what_cannot_be_made_is_said() -> None:
    (answer,) = run({"no/such/folder": ""})
    assert answer.startswith("-2\0")
    assert "FileNotFoundError" in answer


def test_a_child_that_ends_without_an_answer_is_no_hang() -> None:
    killed = "os.kill(os.getpid(), 9)"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run({}, before=f"own_etc.make = lambda files: {killed}")
    assert "ChildProcessError" in caught.value.stderr
