"""The file in which a session's namespaces are written down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_netns._child.resident.record import SLOT, Entry, Record, entries, open_file


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def written(folder: int) -> list[tuple[int, str | None]]:
    fd = open_file("record", folder)
    try:
        return [(entry.key, entry.name) for _, entry in entries(fd)]
    finally:
        os.close(fd)


def record_of_the_dead(folder: int, *left: Entry) -> None:
    record = Record(folder, "record")
    for entry in left:
        record.put(entry)
    record.leave()  # as its writer's end does, with the lock


def test_what_is_put_and_removed(tmp_path: Path, folder: int) -> None:
    record = Record(folder, "record")
    for key in range(1, 6):
        record.put(Entry(key, (4, key), 7, "a" * 255 if key == 2 else None))
    assert written(folder) == [(1, None), (2, "a" * 255), (3, None), (4, None), (5, None)]
    record.remove(2)
    record.remove(4)
    record.remove(99)
    record.put(Entry(3, (4, 3), 7, "three"))
    assert written(folder) == [(1, None), (3, "three"), (5, None)]
    record.put(Entry(6, (4, 6), 7, None))
    record.put(Entry(7, (4, 7), 7, None))
    assert (tmp_path / "record").stat().st_size == 5 * SLOT, "slots are used again"
    record.close()
    assert not (tmp_path / "record").exists()


def test_who_takes_a_record_over_goes_on_with_it(folder: int) -> None:
    record_of_the_dead(folder, Entry(1, (4, 1), 7, None), Entry(2, (4, 2), 7, "two"))
    record = Record(folder, "record")
    record.put(Entry(2, (4, 2), 7, "two"))
    record.put(Entry(3, (4, 3), 7, None))
    assert written(folder) == [(1, None), (2, "two"), (3, None)]
    record.close()


def test_a_half_written_slot_is_skipped(tmp_path: Path, folder: int) -> None:
    record_of_the_dead(folder, Entry(1, (4, 1), 7, None), Entry(2, (4, 2), 7, None))
    with (tmp_path / "record").open("r+b") as file:
        file.write(b"1 4 x")
    with (tmp_path / "record").open("ab") as file:
        file.write(b"3 4")
    assert written(folder) == [(2, None)]


@pytest.mark.parametrize("name", ["\u00fc" * 127, "a b ", "=", os.fsdecode(b"\xff\xfe"), "a\u2028b"])
def test_every_name_that_a_file_can_have(folder: int, name: str) -> None:
    largest = (1 << 64) - 1
    record_of_the_dead(folder, Entry(largest, (largest, largest), largest, name), Entry(2, (4, 2), 7, "two"))
    assert written(folder) == [(largest, name), (2, "two")]


@pytest.mark.parametrize("name", [b"../../run/x", b"a/b", b".", b"..", b"a\nb", b"a" * 256, b"a\0b"])
def test_a_name_that_is_no_single_file_name_is_none_of_ours(tmp_path: Path, folder: int, name: bytes) -> None:
    record_of_the_dead(folder, Entry(1, (4, 1), 7, None), Entry(2, (4, 2), 7, None))
    with (tmp_path / "record").open("r+b") as file:
        file.write(b"1 4 1 7 =" + name)
    assert written(folder) == [(2, None)]


def test_what_lies_in_the_place_of_a_record_is_not_followed(tmp_path: Path, folder: int) -> None:
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "folder", "fifo"):
        with pytest.raises(OSError, match="Errno"):
            Record(folder, name)
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


def test_a_record_that_another_keeps_locked_is_waited_for_with_a_bound(folder: int) -> None:
    record = Record(folder, "record")
    with pytest.raises(BlockingIOError):
        Record(folder, "record")
    record.close()
