"""Who is who in a user namespace of our own: with users lent by root, by /etc/subuid, or with root alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.ordinary_user import UID, UNPRIVILEGED, Start, needs_root, place, start

__all__ = ["place", "start"]  # fixtures

SUITE = """
    import os, subprocess
    from pathlib import Path

    BECOME = ["setpriv", "--reuid=33", "--regid=34", "--clear-groups", "sh", "-c", "id -u; id -g"]

    def test_command(netns):
        assert netns.run(["id", "-u"], stdout=subprocess.PIPE).stdout == b"0\\n"
        done = netns.run(BECOME, stdout=subprocess.PIPE, text=True)
        assert (done.returncode, done.stdout) == (0, "33\\n34\\n")

    def test_maps(netns):
        found = netns.run(["cat", "/proc/self/uid_map", "/proc/self/gid_map"], stdout=subprocess.PIPE, text=True)
        assert found.stdout.split() == os.environ["MAPS"].split()
"""
WAYS = ["resident", "process"]
# With setpriv(1) only the user changes: newuidmap has the set-user-ID bit, and needs what that gives.
ORDINARY = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]


def lending(folder: Path, entry: str) -> Sequence[str]:
    """Return what to put before a command so that it finds these lines in /etc/subuid and /etc/subgid."""
    (folder / "lent").write_text(entry)
    mounts = " && ".join(
        f"touch {file} && mount --bind {folder / 'lent'} {file}" for file in ("/etc/subuid", "/etc/subgid")
    )
    return ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh"]


def users(start: Start, **how: Any) -> dict[str, object]:
    """Return what the doctor says of users."""
    out, _ = start("", "--netns-doctor=json", **how).communicate()
    found: dict[str, object] = {found["name"]: found for found in json.loads(out)}["users"]
    return found


@pytest.mark.skipif(os.geteuid() == 0, reason="root plays the others")
@pytest.mark.parametrize("userns", WAYS)
def test_who_is_lent_some(start: Start, userns: str) -> None:
    if not users(start)["ok"]:
        pytest.skip("nobody is lent to this user")
    out, _ = start(SUITE, f"--netns-userns={userns}", "-k", "command").communicate()
    assert " 1 passed" in out.splitlines()[-1], out


@needs_root
@pytest.mark.parametrize("userns", WAYS)
def test_root_lends_its_own(start: Start, userns: str) -> None:
    own = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    maps = " ".join(f"{inside} {inside} {count}" for inside, _, count in own)
    out, _ = start(SUITE, f"--netns-userns={userns}", user=[], MAPS=f"{maps} {maps}").communicate()
    assert " 2 passed" in out.splitlines()[-1], out


needs_newuidmap = pytest.mark.skipif(not shutil.which("newuidmap"), reason="no newuidmap; .ci/run installs uidmap")


@needs_root
@needs_newuidmap
@pytest.mark.parametrize("who", ["nobody", str(UID)])
@pytest.mark.parametrize("userns", WAYS)
def test_an_ordinary_user_is_lent_some(start: Start, tmp_path: Path, userns: str, who: str) -> None:
    under = lending(tmp_path, f"# lent\nroot:1:5\n{who}:300000:65536\n")
    maps = f"0 {UID} 1 1 300000 65536"
    out, _ = start(SUITE, f"--netns-userns={userns}", under=under, user=ORDINARY, MAPS=f"{maps} {maps}").communicate()
    assert " 2 passed" in out.splitlines()[-1], out


@needs_root
@needs_newuidmap
def test_the_doctor_says_how_to_be_lent_some(start: Start, tmp_path: Path) -> None:
    def look(entry: str) -> dict[str, object]:
        return users(start, under=lending(tmp_path, entry), user=ORDINARY)

    found = look("")
    assert not found["ok"]
    assert "root is alone" in str(found["cause"])
    remedy = "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 nobody (as root, outside)"
    assert found["remedy"] == remedy
    assert look("nobody:100000:65536\n")["ok"]  # what that command writes


@needs_root
def test_the_doctor_says_which_capabilities_root_lacks(start: Start) -> None:
    without = ["setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-all"]
    found = users(start, user=without)
    assert not found["ok"]
    assert str(found["remedy"]).startswith("give root CAP_SETUID and CAP_SETGID")


@needs_root
@pytest.mark.parametrize("entry", ["", "nobody:300000\nnobody:x:y\n", "nobody:0:65536\n"])
@pytest.mark.parametrize("user", [ORDINARY, UNPRIVILEGED])
@pytest.mark.parametrize("userns", WAYS)
def test_root_is_alone_otherwise(start: Start, tmp_path: Path, userns: str, user: Sequence[str], entry: str) -> None:
    """Nothing is lent, what is said to be lent is refused, or newuidmap may not do it."""
    under = lending(tmp_path, entry or f"nobody:300000:{65536 if user == UNPRIVILEGED else 0}\n")
    out, _ = start(
        SUITE, f"--netns-userns={userns}", "-k", "maps", under=under, user=user, MAPS=f"0 {UID} 1 0 {UID} 1"
    ).communicate()
    assert " 1 passed" in out.splitlines()[-1], out
