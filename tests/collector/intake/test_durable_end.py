"""The journal's end: what was acked and is damaged is told from a write that was never finished."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.intake.durable_note import NOTE_FILE, Durable, DurableNote, read_note
from collector.intake.journal import Journal
from collector.intake.journal_file import RECORD_HEADER, Entry, Kind, record_of
from tests.collector.intake.test_journal import filled, payloads_of

Harm = Callable[[bytearray, int], None]


def break_length(data: bytearray, at: int) -> None:
    data[at + 2] ^= 1  # 64 KiB more


def shorten_length(data: bytearray, at: int) -> None:
    data[at] -= 1


def garble(data: bytearray, at: int) -> None:
    data[at:] = os.urandom(len(data) - at)


def zeroes(data: bytearray, at: int) -> None:
    data[at:] = bytes(len(data) - at)


def cut_at_the_entry(data: bytearray, at: int) -> None:
    del data[at:]


def cut_in_the_middle(data: bytearray, at: int) -> None:
    del data[at + RECORD_HEADER.size + 3 :]


@pytest.mark.parametrize(
    "harm",
    [break_length, shorten_length, garble, zeroes, cut_at_the_entry, cut_in_the_middle],
    ids=lambda f: f.__name__,
)
async def test_whatever_becomes_of_an_acked_end_is_damage(tmp_path: Path, harm: Harm) -> None:
    """It was acked: agents are asked again for what it held, and its number is not given a second time."""
    payloads = await filled(tmp_path, 9, segment_bytes=1 << 20)
    (path,) = tmp_path.glob("*.journal")
    data = bytearray(path.read_bytes())
    harm(data, len(data) - RECORD_HEADER.size - len(payloads[-1]))
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    journal = Journal(tmp_path, next_seq=0)
    assert journal.damage is not None
    assert journal.damage.after_seq == 7
    assert payloads_of(journal) == payloads[:-1]
    assert journal.durable_seq >= 8
    await journal.submit(Kind.BATCH, 1, b"on")
    await journal.close()
    again = Journal(tmp_path, next_seq=0)
    assert again.damage is None
    assert payloads_of(again) == [*payloads[:-1], b"on"]
    await again.close()


@pytest.mark.parametrize("needed", [0, 49, 50])
async def test_a_last_file_that_is_missing_is_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, needed: int
) -> None:
    """But where the store has all that was in it."""
    payloads = await filled(tmp_path, 50)
    last = max(tmp_path.glob("*.journal"))
    kept = int(last.stem, 16)
    last.unlink()
    journal = Journal(tmp_path, next_seq=needed)
    assert (journal.damage is not None) == (needed < 50)
    assert (f"{last.name} is missing" in caplog.text) == (needed < 50)
    assert journal.durable_seq >= 49
    assert payloads_of(journal) == payloads[:kept]
    await journal.close()
    assert Journal(tmp_path, next_seq=needed).damage is None


async def test_behind_what_was_noted_a_write_that_nobody_was_told_of_is_cut_off(tmp_path: Path) -> None:
    payloads = await filled(tmp_path, 5, segment_bytes=1 << 20)
    (path,) = tmp_path.glob("*.journal")
    whole = path.read_bytes()
    record = b"".join(record_of(Entry(5, 1, Kind.BATCH, b"z" * 100)))
    for cut in (1, 8, 24, 25, 60, 124):
        path.write_bytes(whole + record[:cut])
        journal = Journal(tmp_path, next_seq=0)
        assert journal.damage is None
        assert payloads_of(journal) == payloads
        await journal.close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize("behind", [b"", b"torn"], ids=["last", "before a torn one"])
async def test_a_broken_length_is_told_without_a_note_too(tmp_path: Path, behind: bytes) -> None:
    """After a power failure the note may be older: the record is known by its checksum, which fits all of its bytes."""
    payloads = await filled(tmp_path, 3, segment_bytes=1 << 20)
    (tmp_path / NOTE_FILE).unlink()
    (path,) = tmp_path.glob("*.journal")
    data = bytearray(path.read_bytes())
    break_length(data, len(data) - RECORD_HEADER.size - len(payloads[-1]))
    if behind:
        data += b"".join(record_of(Entry(3, 1, Kind.BATCH, b"never finished")))[:-5]
    path.write_bytes(data)
    journal = Journal(tmp_path, next_seq=0)
    assert journal.damage is not None
    assert payloads_of(journal) == payloads[:-1]
    assert journal.durable_seq >= 2
    await journal.close()


async def test_a_note_in_a_copy_says_nothing(tmp_path: Path) -> None:
    """A copy made while the collector runs may have the note and not yet what it speaks of."""
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    payloads = await filled(whole, 5, segment_bytes=1 << 20)
    shutil.copytree(whole, copy)
    (path,) = copy.glob("*.journal")
    os.truncate(path, path.stat().st_size - 3)
    assert read_note(whole) is not None
    assert read_note(copy) is None
    journal = Journal(copy, next_seq=0)
    assert journal.damage is None
    assert payloads_of(journal) == payloads[:-1]
    await journal.close()


def test_a_note_that_is_damaged_says_nothing(tmp_path: Path) -> None:
    note, durable = DurableNote(tmp_path), Durable((1, 2), 3, 4, 5)
    note.write(durable)
    note.close()
    assert read_note(tmp_path) == durable
    path = tmp_path / NOTE_FILE
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert read_note(tmp_path) is None
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert read_note(tmp_path) is None


async def test_a_note_that_cannot_be_written_is_told_once_and_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(descriptor: int, data: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    journal = Journal(tmp_path)
    for _ in range(3):
        await journal.submit(Kind.BATCH, 1, b"x")
    assert journal.durable_seq == 2
    assert caplog.text.count("can't be written") == 1
    await journal.close()
