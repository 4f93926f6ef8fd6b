"""The directory of the records: who else can make one, or write to it, gets it refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_netns._child.resident.directory import Directory, Unusable
from pytest_netns._child.resident.journal import open_journal
from pytest_netns._linux import proc
from tests.support.helpers import needs_another_user

NAME = f"pytest-netns-{proc.uid_outside()}"
STRANGER = 12345


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    made = tmp_path / "parent"
    made.mkdir(mode=0o755)
    return made


def why_not(parent: Path, *, make: bool = True) -> str:
    """Return why a directory is refused, and see that nothing is written there."""
    before = sorted(parent.rglob("*"))
    with pytest.raises(Unusable) as caught:
        Directory(str(parent), make=make)
    assert sorted(parent.rglob("*")) == before
    assert caught.value.remedy
    return caught.value.cause


def test_it_is_made_for_us_alone(parent: Path) -> None:
    for _ in range(2):
        directory = Directory(str(parent), make=True)
        assert os.readlink(f"/proc/self/fd/{directory.fd}") == directory.path == f"{parent}/{NAME}"
        directory.close()
        directory.close()
    assert (parent / NAME).stat().st_mode & 0o777 == 0o700


def test_it_is_made_only_if_asked_for(parent: Path) -> None:
    assert "ENOENT" in why_not(parent, make=False)


def test_a_parent_that_is_not_there(parent: Path) -> None:
    assert "ENOENT" in why_not(parent / "missing")


def test_what_is_no_directory(parent: Path) -> None:
    (parent / NAME).touch()
    assert "ENOTDIR" in why_not(parent)


def test_a_link_is_not_followed(parent: Path) -> None:
    (parent / "mine").mkdir(mode=0o700)
    (parent / NAME).symlink_to("mine")
    assert f"{NAME}: E" in why_not(parent)


@pytest.mark.parametrize("mode", [0o701, 0o720, 0o750, 0o777, 0o1777])
def test_one_that_is_open_to_others(parent: Path, mode: int) -> None:
    (parent / NAME).mkdir()
    (parent / NAME).chmod(mode)
    assert f"is open to others, its mode is {mode:o}" in why_not(parent)


@needs_another_user
def test_one_of_another_user(parent: Path) -> None:
    (parent / NAME).mkdir(mode=0o700)
    os.chown(parent / NAME, STRANGER, STRANGER)
    assert f"{NAME} belongs to another user, {STRANGER}" in why_not(parent)


@needs_another_user
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777])
def test_a_parent_of_another_user(parent: Path, mode: int) -> None:
    parent.chmod(mode)
    os.chown(parent, STRANGER, STRANGER)
    assert f"parent belongs to another user, {STRANGER}" in why_not(parent)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_a_parent_in_which_others_can_rename_what_is_ours(parent: Path, mode: int) -> None:
    parent.chmod(mode)
    assert "others can rename" in why_not(parent)
    parent.chmod(mode | 0o1000)
    Directory(str(parent), make=True).close()


@needs_another_user
def test_the_next_directory_is_taken_and_it_is_said_why(tmp_path: Path) -> None:
    for name in ("file", "theirs", "open", "ours"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "file" / NAME).touch()
    (tmp_path / "theirs" / NAME).mkdir()
    os.chown(tmp_path / "theirs" / NAME, STRANGER, STRANGER)
    (tmp_path / "open").chmod(0o777)
    places = [str(tmp_path / name) for name in ("missing", "file", "theirs", "open", "ours")]
    journal = open_journal(os.getpid(), 1, *places)
    assert journal.directory == f"{tmp_path}/ours/{NAME}"
    assert not journal.trouble
    assert [unusable.cause.partition(":")[0] for unusable in journal.refused] == [
        f"{tmp_path}/missing/{NAME}",
        f"{tmp_path}/file/{NAME}",
        f"{tmp_path}/theirs/{NAME} belongs to another user, {STRANGER}",
        f"others can rename what is in {tmp_path}/open",
    ]
    journal.close()
    assert os.listdir(tmp_path / "ours" / NAME) == []
    none = open_journal(os.getpid(), 1, *places[:-1])
    assert all(unusable.cause in none.trouble for unusable in none.refused)
