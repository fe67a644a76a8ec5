"""The journal on a real disk: order, group commit, crashes at any byte, damage, a disk that is full."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from collector.intake import journal_start
from collector.intake.journal import Journal
from collector.intake.journal_file import Entry, Kind, record_of
from deckwatch.runtime.faults import Retry, Unusable


async def filled(folder: Path, count: int, *, segment_bytes: int = 400) -> list[bytes]:
    journal = Journal(folder, segment_bytes=segment_bytes)
    payloads = [f"entry {n} ".encode() * (n % 7 + 1) for n in range(count)]
    for payload in payloads:
        await journal.submit(Kind.BATCH, 1000, payload)
    await journal.close()
    return payloads


def payloads_of(journal: Journal, after: int = -1) -> list[bytes]:
    return [entry.payload for entry in journal.read(after) if entry.kind is not Kind.HOLE]


async def test_entries_come_back_in_order_over_files_and_restarts(tmp_path: Path) -> None:
    payloads = await filled(tmp_path, 50)
    assert len(list(tmp_path.glob("*.journal"))) > 5
    journal = Journal(tmp_path)
    assert journal.durable_seq == 49
    assert payloads_of(journal) == payloads
    assert [entry.seq for entry in journal.read(17)] == list(range(18, 50))
    await journal.submit(Kind.DECISION, 2000, b"next")
    assert list(journal.read(49)) == [Entry(50, 2000, Kind.DECISION, b"next")]
    await journal.close()


async def test_group_commit_calls_back_in_order_and_only_when_durable(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    told: list[int] = []

    def durable(entry: Entry) -> None:
        assert journal.durable_seq >= entry.seq
        told.append(entry.seq)

    waits = [journal.submit(Kind.BATCH, 1, b"x", durable) for _ in range(20)]
    assert journal.durable_seq == -1
    await asyncio.gather(*waits)
    assert told == list(range(20))
    await journal.close()


async def test_trim_keeps_what_is_needed(tmp_path: Path) -> None:
    payloads = await filled(tmp_path, 50)
    journal = Journal(tmp_path)
    journal.trim(30)
    assert payloads_of(journal, 30) == payloads[31:]
    journal.trim(49)
    assert len(list(tmp_path.glob("*.journal"))) == 1
    await journal.close()
    assert Journal(tmp_path).durable_seq == 49


async def test_numbers_go_on_where_the_store_stands_though_no_file_is_left(tmp_path: Path) -> None:
    journal = Journal(tmp_path, next_seq=77)
    assert journal.durable_seq == 76
    await journal.submit(Kind.BATCH, 1, b"x")
    assert [entry.seq for entry in journal.read(76)] == [77]
    await journal.close()


async def test_a_crash_at_any_byte_leaves_a_prefix(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    payloads = await filled(whole, 6, segment_bytes=1 << 20)
    (file,) = whole.glob("*.journal")
    data = file.read_bytes()
    for cut in range(len(data)):
        folder = tmp_path / "cut"
        folder.mkdir()
        (folder / file.name).write_bytes(data[:cut])
        journal = Journal(folder)
        found = payloads_of(journal)
        assert found == payloads[: len(found)]
        assert journal.damage is None
        await journal.submit(Kind.BATCH, 1, b"on")
        assert payloads_of(journal) == [*found, b"on"]
        await journal.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("seed", range(20))
async def test_damage_in_the_middle_is_told_and_set_aside(tmp_path: Path, seed: int) -> None:
    payloads = await filled(tmp_path, 40)
    rng = random.Random(seed)
    files = sorted(tmp_path.glob("*.journal"))
    victim = rng.choice(files[:-1])
    data = bytearray(victim.read_bytes())
    data[rng.randrange(len(data))] ^= 0x55
    victim.write_bytes(data)
    journal = Journal(tmp_path)
    assert journal.damage is not None
    found = payloads_of(journal)
    assert found == payloads[: len(found)]
    assert len(found) < 40
    assert list(tmp_path.glob("*.damaged"))
    await journal.submit(Kind.BATCH, 1, b"on")
    await journal.close()
    again = Journal(tmp_path)
    assert again.damage is None
    assert payloads_of(again) == [*found, b"on"]


async def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    await filled(tmp_path, 1)
    (file,) = tmp_path.glob("*.journal")
    data = bytearray(file.read_bytes())
    struct.pack_into("<H", data, 6, 9)
    file.write_bytes(data)
    with pytest.raises(Unusable, match=r"format 9, this Deckwatch reads up to 1"):
        Journal(tmp_path)


async def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.journal").write_text("hello")
    with pytest.raises(Unusable, match="no name of a journal file"):
        Journal(tmp_path)


async def test_a_full_disk_takes_nothing_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[bool] = []
    journal = Journal(tmp_path, on_failure=lambda: failed.append(True))
    await journal.submit(Kind.BATCH, 1, b"before")
    real = os.fdatasync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    first = journal.submit(Kind.BATCH, 1, b"lost")
    second = journal.submit(Kind.BATCH, 1, b"lost too")
    for wait in (first, second):
        with pytest.raises(Retry, match="No space left"):
            await wait
    assert failed
    monkeypatch.setattr(os, "fdatasync", real)
    await journal.submit(Kind.BATCH, 1, b"after")
    assert payloads_of(journal) == [b"before", b"after"]
    assert journal.durable_seq == 1
    await journal.close()
    assert payloads_of(Journal(tmp_path)) == [b"before", b"after"]


async def test_a_missing_file_is_damage_and_not_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    payloads = await filled(tmp_path, 50)
    paths = sorted(tmp_path.glob("*.journal"))
    missing = int(paths[3].stem, 16)
    paths[3].unlink()
    journal = Journal(tmp_path)
    assert payloads_of(journal) == payloads[:missing]
    assert journal.damage is not None
    assert journal.damage.after_seq == missing - 1
    assert f"everything behind entry {missing - 1} is set aside" in caplog.text
    assert len(list(tmp_path.glob("*.damaged"))) == len(paths) - 4
    await journal.close()


async def test_files_that_are_no_longer_needed_may_be_missing(tmp_path: Path) -> None:
    """A power cut may bring trimmed files back, and not all of them."""
    payloads = await filled(tmp_path, 50)
    paths = sorted(tmp_path.glob("*.journal"))
    paths[1].unlink()
    needed = int(paths[2].stem, 16)
    journal = Journal(tmp_path, next_seq=needed)
    assert journal.damage is None
    assert payloads_of(journal, needed - 1) == payloads[needed:]
    await journal.close()


async def test_a_reader_never_gives_what_was_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    await journal.submit(Kind.BATCH, 1, b"first")
    reader = journal.read(-1)

    def read_then_fail(descriptor: int) -> None:
        assert next(reader).payload == b"first"
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", read_then_fail)
        with pytest.raises(Retry):
            await journal.submit(Kind.BATCH, 1, b"taken back")
    await journal.submit(Kind.BATCH, 1, b"second")
    assert [entry.payload for entry in reader] == [b"second"]
    await journal.close()


async def test_trimming_while_a_reader_begins_skips_nothing(tmp_path: Path) -> None:
    class Trimmed(list[Any]):
        def __getitem__(self, at: Any) -> Any:
            if isinstance(at, slice):
                del self[0]  # by the event loop, between two steps of the reader's thread
            return super().__getitem__(at)

    payloads = await filled(tmp_path, 50)
    journal = Journal(tmp_path)
    after = journal._segments[1].first_seq
    journal._segments = Trimmed(journal._segments)
    assert payloads_of(journal, after) == payloads[after + 1 :]
    await journal.close()


async def test_a_full_disk_is_told_of_once_and_forgotten_when_it_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(tmp_path)
    await journal.submit(Kind.BATCH, 1, b"first")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", full)
        for _ in range(5):
            with pytest.raises(Retry):
                await journal.submit(Kind.BATCH, 1, b"taken back")
    await journal.flush()  # whoever repeats what is durable need not wait for somebody's next write
    await journal.submit(Kind.BATCH, 1, b"second")
    assert caplog.text.count("cannot write") == 1
    assert caplog.text.count("works again") == 1
    assert payloads_of(journal) == [b"first", b"second"]
    await journal.close()


@pytest.mark.parametrize("seed", range(10))
async def test_numbers_that_went_with_damage_are_not_given_again(tmp_path: Path, seed: int) -> None:
    """A consumer that had come further than the store would take the new entries for those that it has had."""
    await filled(tmp_path, 40)
    rng = random.Random(seed)
    victim = rng.choice(sorted(tmp_path.glob("*.journal"))[:-1])
    if seed % 2:
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[rng.randrange(len(data))] ^= 0x55
        victim.write_bytes(data)
    journal = Journal(tmp_path, next_seq=0)
    assert journal.damage is not None
    assert journal.durable_seq >= 39
    await journal.submit(Kind.BATCH, 1, b"on")
    await journal.close()
    again = Journal(tmp_path, next_seq=0)
    assert again.damage is None  # the numbers in between are not missing
    assert list(again.read(-1))[-1].payload == b"on"
    assert again.durable_seq == journal.durable_seq
    assert [entry.seq for entry in again.read(39)][-1] == again.durable_seq


async def test_a_start_that_ended_before_it_bridged_the_damage_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(tmp_path, 40)
    sorted(tmp_path.glob("*.journal"))[2].unlink()

    def crash(*values: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(journal_start, "bridge", crash)
        with pytest.raises(KeyboardInterrupt):
            Journal(tmp_path, next_seq=0)
    assert Journal(tmp_path, next_seq=0).durable_seq >= 39


async def test_a_first_file_that_is_missing_is_damage(tmp_path: Path) -> None:
    """What the files behind it say of positions counts what was lost as held."""
    await filled(tmp_path, 50)
    paths = sorted(tmp_path.glob("*.journal"))
    paths[0].unlink()
    visited: list[Entry] = []
    journal = Journal(tmp_path, next_seq=0, visit=visited.append)
    assert journal.damage is not None
    assert journal.damage.after_seq == -1
    assert not visited
    assert not payloads_of(journal)


async def test_a_start_hands_over_what_is_needed_while_it_checks_the_files(tmp_path: Path) -> None:
    payloads = await filled(tmp_path, 50)
    visited: list[Entry] = []
    journal = Journal(tmp_path, next_seq=17, visit=visited.append)
    assert [(entry.seq, entry.payload) for entry in visited] == list(enumerate(payloads))[17:]
    await journal.close()


async def test_a_file_that_cannot_be_deleted_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    payloads = await filled(tmp_path, 50)
    journal = Journal(tmp_path)
    files = len(list(tmp_path.glob("*.journal")))

    def read_only(path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", read_only)
        journal.trim(30)
        journal.trim(40)
    assert caplog.text.count("cannot be deleted") == 1
    assert payloads_of(journal) == payloads
    journal.trim(40)
    assert len(list(tmp_path.glob("*.journal"))) < files
    assert payloads_of(journal, 40) == payloads[41:]
    await journal.close()


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    with pytest.raises(Unusable, match="the journal cannot be opened"):
        Journal(tmp_path / "journal")


async def test_a_length_that_is_broken_is_damage_and_no_unfinished_write(tmp_path: Path) -> None:
    """It seemed to reach behind the end of the file: all that was acked behind it was cut off in silence."""
    payloads = await filled(tmp_path, 9, segment_bytes=1 << 20)
    (path,) = tmp_path.glob("*.journal")
    data = bytearray(path.read_bytes())
    data[16 + 2] ^= 1  # of the first record: 64 KiB more
    path.write_bytes(data)
    journal = Journal(tmp_path, next_seq=0)
    assert journal.damage is not None
    assert not payloads_of(journal)
    assert journal.durable_seq >= len(payloads) - 1
    await journal.close()


@pytest.mark.parametrize("at", [4, 8, 16, 24, 25, 100], ids=["crc", "seq", "time", "kind", "first byte", "last byte"])
async def test_a_last_record_that_is_all_there_and_wrong_is_damage(tmp_path: Path, at: int) -> None:
    """It was written whole, so it may have been acked: its number is not given again, and agents are asked."""
    payloads = [b"first", b"x" * 76]
    journal = Journal(tmp_path)
    for payload in payloads:
        await journal.submit(Kind.BATCH, 1, payload)
    await journal.close()
    (path,) = tmp_path.glob("*.journal")
    data = bytearray(path.read_bytes())
    data[len(data) - 76 - 25 + at] ^= 0x55
    path.write_bytes(data)
    journal = Journal(tmp_path)
    assert journal.damage is not None
    assert payloads_of(journal) == payloads[:1]
    assert journal.durable_seq >= 1
    await journal.close()


async def test_a_last_record_that_ends_in_zeros_was_not_finished(tmp_path: Path) -> None:
    """Power failed: the file got its length, and its last pages never came to the disk."""
    await filled(tmp_path, 2, segment_bytes=1 << 20)
    (path,) = tmp_path.glob("*.journal")
    good = path.stat().st_size
    broken = b"".join(record_of(Entry(2, 1, Kind.BATCH, b"y" * 9000)))[:5000]
    path.write_bytes(path.read_bytes() + broken + bytes(9025 - 5000))
    journal = Journal(tmp_path)
    assert journal.damage is None
    assert path.stat().st_size == good
    await journal.close()
