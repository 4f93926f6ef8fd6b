"""What is done with the namespaces of a dead session, and that no trouble with writing them down harms a live one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_netns._child.resident.directory import Directory, Unusable, parents
from pytest_netns._child.resident.journal import identity, open_journal, undo_dead, undo_the_dead
from pytest_netns._child.resident.record import Entry, Record
from pytest_netns._linux import proc, run_netns, syscalls
from pytest_netns._netns.namespace import MakeNetNS, NetNS
from tests.support.helpers import is_running, named_namespaces, output
from tests.support.ordinary_user import needs_root

NEVER = float("inf")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def place() -> Iterator[Directory]:
    """The directory of the records of this user."""
    open_journal(os.getpid(), 0).close()
    try:
        directory = Directory(parents()[0], make=False)
    except Unusable as error:  # to an ordinary user, in a user namespace too, /run is another's
        pytest.skip(str(error))
    yield directory
    directory.close()


@pytest.fixture
def both(place: Directory) -> Iterator[None]:
    """That, and the one that is taken if it cannot be used."""
    try:
        other = Directory("/tmp", make=True)
    except Unusable as error:  # that of an ordinary user, who was root in a user namespace
        pytest.skip(str(error))
    yield
    other.close()  # it stays, as of a session: a test beside this one may be about to mount something there


@pytest.fixture
def named(make_netns: MakeNetNS) -> NetNS:
    return make_netns(name=f"journal-{os.getpid()}")


@pytest.fixture
def entry(named: NetNS) -> Entry:
    with named.enter():
        return Entry(1, named._handle.identity, syscalls.namespace_cookie(), named.name)


def leave(folder: int, name: str, *left: Entry) -> None:
    """Write a record as somebody who is killed then."""
    record = Record(folder, name)
    for entry in left:
        record.put(entry)
    record.leave()


def undo(folder: int, *left: Entry) -> None:
    """Undo what somebody dead has left; what is left is the record."""
    leave(folder, "record", *left)
    undo_dead(folder, "record", NEVER)


# What the dead have left


def test_what_the_dead_have_left_is_undone(folder: int, named: NetNS, entry: Entry) -> None:
    process = named.popen(["sleep", "1000"])
    undo(folder, entry)
    assert process.wait() == -signal.SIGKILL
    assert named.name not in named_namespaces()
    assert os.listdir(folder) == []


def test_a_namespace_with_the_same_numbers_is_left_alone(folder: int, named: NetNS, entry: Entry) -> None:
    process = named.popen(["sleep", "1000"])
    entry.cookie += 1
    undo(folder, entry)
    assert process.poll() is None
    assert named.name in named_namespaces()
    assert os.listdir(folder) == []


def test_a_name_that_another_has_now_is_left_alone(folder: int, named: NetNS, entry: Entry) -> None:
    entry.identity = (entry.identity[0], entry.identity[1] + 1)
    undo(folder, entry)
    assert named.name in named_namespaces()


@pytest.mark.parametrize(("age", "is_left"), [(0, True), (60, False)])
def test_a_file_that_has_not_become_a_name(folder: int, age: int, is_left: bool, named: NetNS) -> None:
    name = f"{named.name}-bare"
    path = Path(run_netns.DIRECTORY, name)
    path.touch()
    try:
        os.utime(path, (path.stat().st_mtime - age,) * 2)
        undo(folder, Entry(1, (4, 1), 7, name))
        assert path.exists() == is_left
    finally:
        path.unlink(missing_ok=True)


def test_a_name_that_leads_elsewhere_is_not_followed(tmp_path: Path, folder: int, named: NetNS, entry: Entry) -> None:
    """Somebody who could write to the record would have a file of his choice removed, for it is old and no mount."""
    victim = tmp_path / "victim"
    victim.touch()
    os.utime(victim, (0, 0))
    undo(folder, Entry(1, (4, 1), 7, f"../..{victim}"), entry)
    assert victim.exists()
    assert named.name not in named_namespaces(), "the other entry is undone"


@pytest.mark.parametrize("first", [True, False])
def test_an_entry_that_fails_keeps_none_from_being_undone(
    folder: int, named: NetNS, entry: Entry, first: bool, make_netns: MakeNetNS
) -> None:
    """A name is a directory now, which unlink(2) does not take away."""
    name = f"{named.name}-odd"
    path = Path(run_netns.DIRECTORY, name)
    path.mkdir()
    os.utime(path, (0, 0))
    try:
        odd = Entry(2, (4, 1), 7, name)
        process = named.popen(["sleep", "1000"])
        undo(folder, *([odd, entry] if first else [entry, odd]))
        assert process.wait() == -signal.SIGKILL
        assert named.name not in named_namespaces()
        assert os.listdir(folder) == ["record"], "it stays for the next start"
    finally:
        path.rmdir()
    undo_dead(folder, "record", NEVER)
    assert os.listdir(folder) == []


def test_a_record_that_is_locked_is_left_alone(folder: int, named: NetNS, entry: Entry) -> None:
    record = Record(folder, "record")
    record.put(entry)
    undo_dead(folder, "record", NEVER)
    assert named.name in named_namespaces()
    record.close()


def test_a_record_that_is_gone_already(folder: int) -> None:
    undo_dead(folder, "record", NEVER)


def test_owners_are_known_by_pid_and_start(place: Directory) -> None:
    with subprocess.Popen(["sleep", "1000"]) as dead:
        dead.kill()
    assert proc.start_time(dead.pid) is None
    alive, start, machine = os.getpid(), proc.start_time(os.getpid()), identity()
    assert start is not None
    pids, _, times = machine.partition(".")
    own = f"0-{proc.user_namespace()}"
    files = {
        f"{machine}-{alive}-{start}-1-{own}": True,
        f"{machine}-{alive}-{start - 1}-1-{own}": False,  # another process that had our pid
        f"{machine}-{dead.pid}-1-1-{own}": False,
        f"{machine}-{dead.pid}-1-2-{proc.capabilities():x}-{proc.user_namespace()}": False,
        # One that had a capability that we lack, so that its processes cannot be looked into.
        f"{machine}-{dead.pid}-1-1-{1 << 63:x}-{proc.user_namespace()}": True,
        f"another-boot-{dead.pid}-1-1-0-1": True,
        # To whom the same process has started at another time, or whose pids are other processes.
        f"{pids}.{int(times) + 1}-{alive}-{start - 1}-1-{own}": True,
        f"{pids}1.{times}-{alive}-{start - 1}-1-{own}": True,
        # pytest came from here into another user namespace, where it had every capability.
        f"{machine}-{dead.pid}-1-1-{1 << 63:x}-1-{proc.user_namespace()}": False,
        # One in another user namespace, into whose processes only the outermost can look.
        f"{machine}-{dead.pid}-1-1-0-1": proc.user_namespace() != proc.INITIAL_USER_NAMESPACE,
    }
    try:
        for file in files:
            leave(place.fd, file)
        undo_the_dead(NEVER)
        assert {file: os.path.exists(f"{place.path}/{file}") for file in files} == files
    finally:
        for file in files:
            Path(place.path, file).unlink(missing_ok=True)


def test_odd_files_keep_no_record_from_being_undone(place: Directory) -> None:
    start = f"{identity()}-{os.getpid()}-1"  # of a process that is dead, since we have not started at 1
    own = f"0-{proc.user_namespace()}"
    odd = [start, f"{identity()}-pid-start-number-{own}", f"{identity()}-", "\udcff", "-", f"{start}-link-{own}"]
    dead = [f"{start}-{number}-{own}" for number in range(10)]
    folder = Path(place.path, f"{start}-folder-{own}")
    try:
        for name in odd[:-1]:
            Path(place.path, name).write_bytes(b"\0\xff")
        Path(place.path, odd[-1]).symlink_to("/etc/passwd")
        folder.mkdir()
        for name in dead:
            leave(place.fd, name)
        undo_the_dead(NEVER)
        assert set(os.listdir(place.fd)) & {*odd, *dead, folder.name} == {*odd, folder.name}
    finally:
        for name in odd + dead:
            Path(place.path, name).unlink(missing_ok=True)
        folder.rmdir()


def test_the_records_of_all_directories_are_found(tmp_path: Path) -> None:
    """A session whose /run was full wrote to another; the next finds that although there is space in /run now."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir(mode=0o755)
        directory = Directory(str(tmp_path / name), make=True)
        leave(directory.fd, f"{identity()}-{os.getpid()}-1-1-0-{proc.user_namespace()}")
        directory.close()
    undo_the_dead(NEVER, str(tmp_path / "first"), str(tmp_path / "second"))
    assert [path for path in tmp_path.rglob("*-*-*") if path.is_file()] == []


IN_A_USER_NAMESPACE = """
import os, sys
from pytest_netns._linux import proc, syscalls
from pytest_netns._child.resident.directory import Directory
from pytest_netns._child.resident.journal import identity, undo_the_dead

syscalls.mount("tmpfs", "/run", 0, kind="tmpfs")
outside, own = sys.argv[1], str(proc.user_namespace())
path = Directory("/run", make=True).path
for within in (outside, own, f"{own}-{outside}", f"1-{own}"):
    open(f"{path}/{identity()}-{os.getpid()}-1-1-0-{within}", "w").close()  # of a dead one, as it started at 1
undo_the_dead()
print(*(file.rpartition("-")[2] for file in os.listdir(path)))
"""


def test_the_record_of_another_user_namespace_is_left_to_those_who_can_undo_it() -> None:
    """From inside, the processes outside cannot be looked into, so none would be found, and the record be removed."""
    outside = str(proc.user_namespace())
    # With /run as it is there: mounted by this user, and so hers.
    assert output("unshare", "-Urm", sys.executable, "-c", IN_A_USER_NAMESPACE, outside).split() == [outside]


@pytest.mark.slow
def test_a_session_that_ends_leaves_no_record(pytester: pytest.Pytester, place: Directory) -> None:
    pytester.makepyfile("""
        import os
        def test(netns):
            open("pid", "w").write(str(os.getpid()))
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    pid = (pytester.path / "pid").read_text()
    assert not is_running(int(pid))
    assert not [file for file in os.listdir(place.fd) if f"-{pid}-" in file]


# Whose pids and times a record speaks of


def fake_proc(folder: Path, boot: str, spaces: tuple[str, ...]) -> str:
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text(boot)
    (folder / str(os.getpid()) / "ns").mkdir(parents=True)
    (folder / "self").symlink_to(str(os.getpid()))
    for kind in spaces:
        (folder / "self/ns" / kind).touch()
    return str(folder)


@pytest.mark.parametrize("spaces", [(), ("pid",), ("time",)])
def test_a_kernel_without_some_namespaces(tmp_path: Path, spaces: tuple[str, ...]) -> None:
    proc = fake_proc(tmp_path, "234888c6-0000", spaces)
    numbers = [os.stat(f"{proc}/self/ns/{kind}").st_ino if kind in spaces else 0 for kind in ("pid", "time")]
    assert identity(proc) == f"234888c6-{numbers[0]}.{numbers[1]}"


@pytest.mark.parametrize("boot", ["", "short", "/-\n\0    "])
def test_a_boot_without_an_identity(tmp_path: Path, boot: str) -> None:
    with pytest.raises(ValueError, match="boot_id does not say which boot"):
        identity(fake_proc(tmp_path, boot, ()))


@needs_root
@pytest.mark.parametrize("option", ["--time", "--pid"])
def test_another_namespace_of_times_or_pids_is_another_machine(option: str) -> None:
    program = "from pytest_netns._child.resident.journal import identity; print(identity())"
    mount = ["--mount-proc"] if option == "--pid" else ["--boottime", "1000000"]
    inside = output("unshare", option, "--fork", *mount, sys.executable, "-c", program)
    assert inside.strip() != identity()


# A run goes on without one


Run = Callable[..., pytest.RunResult]
SUITE = """
    import os, pytest

    def test_names(make_netns):
        for n in range(3):
            with make_netns(name=f"without-{os.getpid()}-{n}") as ns:
                ns.create_server(("127.0.0.1", 80))

    def test_another(netns):
        netns.socket()
"""
SAID = "there is no journal of all namespaces"


def run_in(pytester: pytest.Pytester, script: str, *options: str) -> pytest.RunResult:
    """Run pytest in a mount namespace of its own, after a script."""
    wrapped = ["unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh"]
    return pytester.run(*wrapped, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options)


def said(result: pytest.RunResult) -> int:
    return sum(SAID in line for line in result.outlines)


HIDDEN = "mount --bind /dev/null /proc/sys/kernel/random/boot_id"
FULL = "mount -t tmpfs -o size=4k,nr_inodes=1,mode=700 none"
NO_PLACE = {
    "no boot": HIDDEN,
    "full": f"{FULL} /run/pytest-netns-0 && unset TMPDIR XDG_RUNTIME_DIR && {FULL} /tmp/pytest-netns-0",
    "a stranger's": "mount -t tmpfs -o mode=700,uid=12345 none /run/pytest-netns-0 && unset TMPDIR XDG_RUNTIME_DIR"
    " && mount -t tmpfs -o mode=777 none /tmp/pytest-netns-0",
}


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize(
    ("why", "options"),
    [("no boot", ("-Werror",)), ("full", ()), ("full", ("-Werror", "-n2")), ("a stranger's", ("-n2",))],
)
def test_a_run_without_a_journal_says_so_once(
    pytester: pytest.Pytester, both: None, why: str, options: tuple[str, ...]
) -> None:
    if "-n2" in options:
        pytest.importorskip("xdist")
    pytester.makepyfile(SUITE)
    result = run_in(pytester, NO_PLACE[why], *options)
    assert "2 passed, " in result.outlines[-1] or " 2 passed " in result.outlines[-1], result.stdout.str()
    assert "error" not in result.outlines[-1]
    assert said(result) == 1


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize("script", NO_PLACE.values(), ids=NO_PLACE)
def test_the_doctor_says_why_there_is_none(pytester: pytest.Pytester, both: None, script: str) -> None:
    result = run_in(pytester, script, "--netns-doctor")
    assert result.ret == 0
    result.stdout.re_match_lines(
        [r"  ok  netns ", r"  no  journal ", r" .*(boot_id|ENOSPC|belongs to another user)", r" +-> "]
    )


@pytest.mark.slow
@needs_root
def test_another_directory_is_taken_and_the_doctor_says_so(pytester: pytest.Pytester, both: None) -> None:
    script = "mount -t tmpfs -o ro,mode=700 none /run/pytest-netns-0 && unset TMPDIR XDG_RUNTIME_DIR"
    result = run_in(pytester, script, "--netns-doctor")
    result.stdout.fnmatch_lines(
        ["  ok  journal * (in /tmp/pytest-netns-0, as another cannot be used: /run/*: EROFS *)"]
    )
    pytester.makepyfile(SUITE)
    result = run_in(pytester, script)
    assert said(result) == 0
    result.assert_outcomes(passed=2)


@pytest.mark.slow
def test_the_doctor_says_where_it_is(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--netns-doctor")
    result.stdout.re_match_lines([r"  ok  journal .* \(in /.*/pytest-netns-\d+(, as another cannot be used: .*)?\)"])


@pytest.mark.slow
@needs_root
def test_a_disk_that_gets_full(pytester: pytest.Pytester, both: None) -> None:
    """The first entries have their space from the start; what comes later is not written down, and all goes on."""
    pytester.makepyfile("""
        import os, pytest

        def test_full(make_netns):
            make_netns()
            with open("/run/pytest-netns-0/fill", "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
                while True:
                    file.write(bytes(4096))
            spaces = [make_netns(name=f"full-{os.getpid()}-{n}") for n in range(40)]
            for ns in spaces:
                ns.create_server(("127.0.0.1", 80))
            for ns in spaces:
                ns.close()
            os.unlink("/run/pytest-netns-0/fill")

        def test_again(make_netns):
            for _ in range(40):
                make_netns().socket()
    """)
    result = run_in(pytester, "mount -t tmpfs -o size=64k,mode=700 none /run/pytest-netns-0")
    result.assert_outcomes(passed=2, warnings=1)
    assert said(result) == 1
    result.stdout.fnmatch_lines(["*/run/pytest-netns-0: ENOSPC (No space left on device)*"])


@pytest.mark.slow
@needs_root
def test_a_record_that_cannot_be_removed_at_the_end(pytester: pytest.Pytester, both: None) -> None:
    pytester.makepyfile("""
        import subprocess

        def test_read_only(make_netns):
            make_netns()
            subprocess.run(["mount", "-o", "remount,ro", "/run/pytest-netns-0"])
            make_netns().socket()
    """)
    result = run_in(pytester, "mount -t tmpfs -o size=64k,mode=700 none /run/pytest-netns-0")
    result.assert_outcomes(passed=1)
