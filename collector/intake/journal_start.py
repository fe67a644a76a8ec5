"""What a start finds of a journal: which files stand, what is damaged, and which number comes next.

A torn tail is what a crash leaves of a write that nobody was told of: it is cut off. Anything else that is not whole is
damage: it is set aside with all that lies behind it, its numbers are not given again, and the agents are asked again
for what it held (their positions go back; what no file of theirs has any more becomes a gap).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from collector.intake.durable_note import Durable, file_id, forget, read_note
from collector.intake.journal_file import (
    FILE_HEADER,
    FORMAT,
    MAGIC,
    Entry,
    Segment,
    hole,
    most_seq,
    named_seq,
    record_of,
    scan,
    tail_is_torn,
    write_whole,
)
from deckwatch.runtime.files import sync_directory, sync_file

log = logging.getLogger(__name__)


class Damage(msgspec.Struct, frozen=True):
    """The journal is unreadable from here on; what lies behind was set aside."""

    path: Path
    at_byte: int
    after_seq: int


class Found(msgspec.Struct):
    """`next_seq`: behind all that were ever given. All of it is durable."""

    segments: list[Segment]
    next_seq: int
    damage: Damage | None = None


def open_journal(folder: Path, next_seq: int | None, visit: Callable[[Entry], None]) -> Found:
    """See Journal for the parameters. Raises OSError, Unusable."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    noted = read_note(folder)
    found = Found([], 0)
    _load(folder, next_seq, visit, found, noted)
    last = found.segments[-1].last_seq if found.segments else -1
    given = noted.last_seq if noted is not None and found.damage is not None else -1
    found.next_seq = bridge(folder, max(next_seq or 0, last + 1), given, found.segments)
    _make_durable(folder, found.segments)
    return found


def _load(
    folder: Path, next_seq: int | None, visit: Callable[[Entry], None], found: Found, noted: Durable | None
) -> None:
    def new(entry: Entry) -> None:
        if entry.seq >= (next_seq or 0):
            visit(entry)

    paths, segments = sorted(folder.glob("*.journal")), found.segments
    for place, path in enumerate(paths):
        expected = segments[-1].last_seq + 1 if segments else next_seq
        if expected is not None and named_seq(path) > max(expected, next_seq or 0):
            found.damage = _miss(path, expected - 1, following=paths[place:])
            return
        segment, good = scan(path, new)
        least = noted.bytes_of(path) if noted is not None else 0
        if segment.last_seq >= segment.first_seq:
            segments.append(segment)
        if good == path.stat().st_size and good >= least and (good or place == len(paths) - 1):
            if segment.last_seq < segment.first_seq:
                path.unlink()
            continue
        found.damage = _cut(path, good, segment.last_seq, paths[place + 1 :], least=least)
        return
    last = max(segments[-1].last_seq if segments else -1, (next_seq or 0) - 1)
    if noted is not None and noted.last_seq > last:
        found.damage = _miss(folder / f"{noted.first_seq:016x}.journal", last, following=[])


def _miss(path: Path, last_seq: int, following: list[Path]) -> Damage:
    """A file is gone. What lies behind it can't stand alone: the positions in it count what was lost as held."""
    log.error(
        "journal: %s is missing; everything behind entry %d is set aside as *.damaged and asked for again from the"
        " agents",
        f"the file before {path}" if following else path,
        last_seq,
    )
    for other in following:
        other.rename(other.with_suffix(".damaged"))
    return Damage(path, 0, last_seq)


def _cut(path: Path, good: int, last_seq: int, following: list[Path], *, least: int) -> Damage | None:
    """`least`: so many bytes were durable once. None: it was a torn tail."""
    damage = None
    if good >= least and not following and tail_is_torn(path, good, last_seq):
        log.info("journal: an unfinished write at the end of %s was cut off", path.name)
    else:
        damage = Damage(path, good, last_seq)
        log.error(
            "journal: %s is damaged at byte %d; everything behind entry %d is set aside as *.damaged and asked for"
            " again from the agents",
            path,
            good,
            last_seq,
        )
        rest = path.read_bytes()[good:]
        if rest:
            path.with_name(f"{last_seq + 1:016x}.tail.damaged").write_bytes(rest)
        for other in following:
            other.rename(other.with_suffix(".damaged"))
    if good <= FILE_HEADER.size:
        path.unlink()
    else:
        os.truncate(path, good)
    return damage


def bridge(folder: Path, next_seq: int, given: int, segments: list[Segment]) -> int:
    """The next number, behind all that were ever given. Numbers in files that were set aside are not given again: a
    consumer that had come further than the store would take what is new for what it has had. A hole stands for them,
    so that the next start does not take them for missing. `given`: the last that is known to have been."""
    top = max([given, *(most_seq(path) for path in folder.glob("*.damaged"))])
    if top < next_seq:
        return next_seq
    entry = hole(next_seq, top)
    path = folder / f"{next_seq:016x}.journal"
    descriptor = new_file(path, next_seq)
    try:
        write_whole(descriptor, list(record_of(entry)))
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    segments.append(Segment(next_seq, path, path.stat().st_size, top))
    return top + 1


def _make_durable(folder: Path, segments: list[Segment]) -> None:
    """What was read is told to agents as durable: after a crash it may have been in the kernel's memory alone, and the
    cut of a torn tail as well. Every other file was made durable before the next one was begun."""
    if segments:
        sync_file(segments[-1].path)
    else:
        forget(folder)
    sync_directory(folder)


def durable_of(segment: Segment) -> Durable:
    return Durable(file_id(segment.path.stat()), segment.first_seq, segment.size, segment.last_seq)


def new_file(path: Path, seq: int) -> int:
    """A file whose first entry is `seq`, open for writing; it is durable that it is there. Raises OSError."""
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    try:
        write_whole(descriptor, [FILE_HEADER.pack(MAGIC, FORMAT, seq)])
        os.fdatasync(descriptor)
        sync_directory(path.parent)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor
