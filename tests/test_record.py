"""The record of a session's namespaces, and what is done with that of a dead one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import is_running, named_namespaces, needs_another_user, output

from pytest_netns import kernel, names
from pytest_netns.child.record import (
    SLOT,
    Entry,
    Record,
    directory,
    entries,
    machine,
    open_record,
    undo_dead,
)
from pytest_netns.namespace import MakeNetNS, NetNS


@pytest.fixture
def named(make_netns: MakeNetNS) -> NetNS:
    return make_netns(name=f"record-{os.getpid()}")


@pytest.fixture
def entry(named: NetNS) -> Entry:
    with named.enter():
        return Entry(1, named._handle.identity, kernel.namespace_cookie(), named.name)


def written(path: Path) -> list[tuple[int, str | None]]:
    with path.open("rb") as file:
        return [(entry.key, entry.name) for _, entry in entries(file.fileno())]


def record_of_the_dead(path: Path, *left: Entry) -> str:
    record = Record(str(path))
    for entry in left:
        record.put(entry)
    os.close(record._fd)  # as its writer's end does, with the lock
    return str(path)


def test_what_is_put_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "record"
    record = Record(str(path))
    for key in range(1, 6):
        record.put(Entry(key, (4, key), 7, "a" * 255 if key == 2 else None))
    assert written(path) == [(1, None), (2, "a" * 255), (3, None), (4, None), (5, None)]
    record.remove(2)
    record.remove(4)
    record.remove(99)
    record.put(Entry(3, (4, 3), 7, "three"))
    assert written(path) == [(1, None), (3, "three"), (5, None)]
    record.put(Entry(6, (4, 6), 7, None))
    record.put(Entry(7, (4, 7), 7, None))
    assert path.stat().st_size == 5 * SLOT, "slots are used again"
    record.close()
    assert not path.exists()


def test_who_takes_a_record_over_goes_on_with_it(tmp_path: Path) -> None:
    path = tmp_path / "record"
    record_of_the_dead(path, Entry(1, (4, 1), 7, None), Entry(2, (4, 2), 7, "two"))
    record = Record(str(path))
    record.put(Entry(2, (4, 2), 7, "two"))
    record.put(Entry(3, (4, 3), 7, None))
    assert written(path) == [(1, None), (2, "two"), (3, None)]
    record.close()


def test_a_half_written_slot_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "record"
    record_of_the_dead(path, Entry(1, (4, 1), 7, None), Entry(2, (4, 2), 7, None))
    with path.open("r+b") as file:
        file.write(b"1 4 x")
    with path.open("ab") as file:
        file.write(b"3 4")
    assert written(path) == [(2, None)]


def test_what_the_dead_have_left_is_undone(tmp_path: Path, named: NetNS, entry: Entry) -> None:
    process = named.popen(["sleep", "1000"])
    path = record_of_the_dead(tmp_path / "record", entry)
    undo_dead(path)
    assert process.wait() == -signal.SIGKILL
    assert named.name not in named_namespaces()
    assert not os.path.exists(path)


def test_a_namespace_with_the_same_numbers_is_left_alone(tmp_path: Path, named: NetNS, entry: Entry) -> None:
    process = named.popen(["sleep", "1000"])
    entry.cookie += 1
    path = record_of_the_dead(tmp_path / "record", entry)
    undo_dead(path)
    assert process.poll() is None
    assert named.name in named_namespaces()
    assert not os.path.exists(path)


def test_a_name_that_another_has_now_is_left_alone(tmp_path: Path, named: NetNS, entry: Entry) -> None:
    entry.identity = (entry.identity[0], entry.identity[1] + 1)
    undo_dead(record_of_the_dead(tmp_path / "record", entry))
    assert named.name in named_namespaces()


@pytest.mark.parametrize(("age", "is_left"), [(0, True), (60, False)])
def test_a_file_that_has_not_become_a_name(tmp_path: Path, age: int, is_left: bool, named: NetNS) -> None:
    name = f"{named.name}-bare"
    path = Path(names.DIRECTORY, name)
    path.touch()
    try:
        os.utime(path, (path.stat().st_mtime - age,) * 2)
        undo_dead(record_of_the_dead(tmp_path / "record", Entry(1, (4, 1), 7, name)))
        assert path.exists() == is_left
    finally:
        path.unlink(missing_ok=True)


def test_a_record_that_is_locked_is_left_alone(tmp_path: Path, named: NetNS, entry: Entry) -> None:
    record = Record(str(tmp_path / "record"))
    record.put(entry)
    undo_dead(str(tmp_path / "record"))
    assert named.name in named_namespaces()
    record.close()


def test_a_record_that_is_gone_already(tmp_path: Path) -> None:
    undo_dead(str(tmp_path / "record"))


def test_owners_are_known_by_pid_and_start(named: NetNS, entry: Entry) -> None:
    place = directory()
    assert place is not None
    with subprocess.Popen(["sleep", "1000"]) as dead:
        dead.kill()
    assert kernel.start_time(dead.pid) is None
    alive, start = os.getpid(), kernel.start_time(os.getpid())
    assert start is not None
    files = {
        f"{machine()}-{alive}-{start}-1-{kernel.user_namespace()}": True,
        f"{machine()}-{alive}-{start - 1}-1-{kernel.user_namespace()}": False,  # another process that had our pid
        f"{machine()}-{dead.pid}-1-1-{kernel.user_namespace()}": False,
        f"another-boot-{dead.pid}-1-1-1": True,
        # pytest came from here into another user namespace.
        f"{machine()}-{dead.pid}-1-1-1-{kernel.user_namespace()}": False,
        # One in another user namespace, into whose processes only the outermost can look.
        f"{machine()}-{dead.pid}-1-1-1": kernel.user_namespace() != kernel.INITIAL_USER_NAMESPACE,
    }
    try:
        for file in files:
            record_of_the_dead(Path(place, file))
        record = open_record(alive, 2)
        assert record is not None
        record.close()
        assert {file: os.path.exists(f"{place}/{file}") for file in files} == files
    finally:
        for file in files:
            Path(place, file).unlink(missing_ok=True)


IN_A_USER_NAMESPACE = """
import os, sys
from pytest_netns import kernel
from pytest_netns.child.record import directory, machine, undo_the_dead

kernel.mount("tmpfs", "/run", 0, kind="tmpfs")
outside, own = sys.argv[1], str(kernel.user_namespace())
for within in (outside, own, f"{own}-{outside}", f"1-{own}"):
    open(f"{directory()}/{machine()}-{os.getpid()}-1-1-{within}", "w").close()  # of a dead one, as it started at 1
undo_the_dead()
print(*(file.rpartition("-")[2] for file in os.listdir(directory())))
"""


def test_the_record_of_another_user_namespace_is_left_to_those_who_can_undo_it() -> None:
    """From inside, the processes outside cannot be looked into, so none would be found, and the record be removed."""
    outside = str(kernel.user_namespace())
    assert output("unshare", "-Urm", sys.executable, "-c", IN_A_USER_NAMESPACE, outside).split() == [outside]


def test_a_session_that_ends_leaves_no_record(pytester: pytest.Pytester) -> None:
    place = directory()
    assert place is not None
    pytester.makepyfile("""
        import os
        def test(netns, _netns_session):
            open("pid", "w").write(str(os.getpid()))
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    pid = (pytester.path / "pid").read_text()
    assert not is_running(int(pid))
    assert not [file for file in os.listdir(place) if f"-{pid}-" in file]


@needs_another_user
def test_a_directory_that_is_not_ours_is_not_used(tmp_path: Path) -> None:
    name = f"pytest-netns-{kernel.uid_outside()}"
    for parent in ("file", "theirs", "ours"):
        (tmp_path / parent).mkdir()
    (tmp_path / "file" / name).touch()
    (tmp_path / "theirs" / name).mkdir()
    os.chown(tmp_path / "theirs" / name, 65534, 65534)
    parents = [str(tmp_path / parent) for parent in ("missing", "file", "theirs", "ours")]
    assert directory(*parents) == f"{tmp_path}/ours/{name}"
    assert (tmp_path / "ours" / name).stat().st_mode & 0o777 == 0o700
    assert directory(*parents[:-1]) is None
