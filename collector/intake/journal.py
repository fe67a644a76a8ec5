"""The journal: what was acked, in the order of its receipt, until every consumer has made it durable elsewhere.

Append-only files of records (journal_file.py has their format). Group commit: everything submitted while an fsync runs
is written and synced together by the next one. A record that could not be written (disk full) is cut off again and its
submitter is told to retry; nothing of it remains.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from collector.intake.journal_file import (
    FILE_HEADER,
    FORMAT,
    MAGIC,
    Entry,
    Kind,
    Segment,
    entries_of,
    hole,
    most_seq,
    named_seq,
    record_of,
    scan,
    tail_is_torn,
    write_whole,
)
from deckwatch.runtime.faults import Retry, Unusable
from deckwatch.runtime.files import sync_directory

log = logging.getLogger(__name__)


class _Submitted(msgspec.Struct):
    entry: Entry
    durable: Callable[[Entry], None]
    done: asyncio.Future[None]


class Damage(msgspec.Struct, frozen=True):
    """The journal is unreadable from here on; what lies behind was set aside."""

    path: Path
    at_byte: int
    after_seq: int


class Journal:
    """Owned by one process. `submit` and `read` are called from the event loop; files are touched in one thread."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = 64 << 20,
        next_seq: int | None = None,
        visit: Callable[[Entry], None] = lambda entry: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Raises Unusable where the folder holds a journal of a newer version, or can't be read and written.

        `next_seq`: what is needed begins with this number: nothing before it may be given again, and where the files
        begin behind it some are missing. None: with the files, whatever they are.
        `visit`: is handed every entry from `next_seq` on, in order, while the files are checked anyhow.
        `on_failure`: called at once, before anything else can be submitted, when submitted entries were taken back."""
        self._on_failure = on_failure
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._segments: list[Segment] = []
        self.damage: Damage | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._load(next_seq, visit)
            last = self._segments[-1].last_seq if self._segments else -1
            self._next_seq = self._bridge(max(next_seq or 0, last + 1))
        except OSError as error:
            raise Unusable(f"{error.filename or folder}: the journal cannot be opened: {error.strerror}") from error
        self._durable_seq = self._next_seq - 1
        self._file: int | None = None
        self._waiting: deque[_Submitted] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._last: asyncio.Future[None] | None = None
        self._failed: str | None = None
        self._failing: str | None = None
        self._untrimmed = False

    @property
    def durable_seq(self) -> int:
        """Seq of the last entry that is safe on disk; -1: none ever was."""
        return self._durable_seq

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written, as of the last attempt."""
        return self._failed or self._failing

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    # Start -----------------------------------------------------------------------------------------------------

    def _load(self, next_seq: int | None, visit: Callable[[Entry], None]) -> None:
        def new(entry: Entry) -> None:
            if entry.seq >= (next_seq or 0):
                visit(entry)

        paths = sorted(self._folder.glob("*.journal"))
        for place, path in enumerate(paths):
            expected = self._segments[-1].last_seq + 1 if self._segments else next_seq
            if expected is not None and named_seq(path) > max(expected, next_seq or 0):
                self._miss(path, expected - 1, following=paths[place:])
                return
            segment, good = scan(path, new)
            if segment.last_seq >= segment.first_seq:
                self._segments.append(segment)
            if good == path.stat().st_size and (good or place == len(paths) - 1):
                if segment.last_seq < segment.first_seq:
                    path.unlink()
                continue
            self._cut(path, good, segment.last_seq, following=paths[place + 1 :])
            return

    def _miss(self, path: Path, last_seq: int, following: list[Path]) -> None:
        """A file is gone. What lies behind it can't stand alone: the positions in it count what was lost as held."""
        self.damage = Damage(path, 0, last_seq)
        log.error(
            "journal: the file before %s is missing; everything behind entry %d is set aside as *.damaged and asked for"
            " again from the agents",
            path,
            last_seq,
        )
        for other in following:
            other.rename(other.with_suffix(".damaged"))

    def _cut(self, path: Path, good: int, last_seq: int, following: list[Path]) -> None:
        """A torn tail of the last file is what a crash leaves: nothing in it was acked. Anything else is damage:
        the rest is set aside, and agents are asked again for what it held (their positions go back)."""
        if tail_is_torn(path, good, last_seq) and not following:
            log.info("journal: an unfinished write at the end of %s was cut off", path.name)
        else:
            self.damage = Damage(path, good, last_seq)
            log.error(
                "journal: %s is damaged at byte %d; everything behind entry %d is set aside as *.damaged and asked for"
                " again from the agents",
                path,
                good,
                last_seq,
            )
            (self._folder / f"{last_seq + 1:016x}.tail.damaged").write_bytes(path.read_bytes()[good:])
            for other in following:
                other.rename(other.with_suffix(".damaged"))
        if good <= FILE_HEADER.size:
            path.unlink()
        else:
            os.truncate(path, good)

    def _bridge(self, next_seq: int) -> int:
        """The next number, behind all that were ever given. Numbers in files that were set aside are not given again:
        a consumer that had come further than the store would take what is new for what it has had. A hole stands for
        them, so that the next start does not take them for missing."""
        top = max((most_seq(path) for path in self._folder.glob("*.damaged")), default=-1)
        if top < next_seq:
            return next_seq
        entry = hole(next_seq, top)
        path = self._folder / f"{next_seq:016x}.journal"
        descriptor = self._new_file(path, next_seq)
        try:
            write_whole(descriptor, list(record_of(entry)))
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        self._segments.append(Segment(next_seq, path, path.stat().st_size, top))
        return top + 1

    # Writing ---------------------------------------------------------------------------------------------------

    def submit(
        self, kind: Kind, received_ns: int, payload: bytes, durable: Callable[[Entry], None] = lambda entry: None
    ) -> asyncio.Future[None]:
        """Queue an entry; it gets its number in the order of the calls. When it is on disk, `durable` is called (in
        that order too, whoever may have given up waiting meanwhile) and the future ends. It ends with Retry when the
        entry could not be written: then every entry submitted behind it fails as well."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._failed is not None:
            done.set_exception(Retry(self._failed))
            return done
        entry = Entry(self._next_seq, received_ns, kind, payload)
        self._next_seq += 1
        self._waiting.append(_Submitted(entry, durable, done))
        self._last = done
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all(), name="journal writer")
        return done

    async def flush(self) -> None:
        """Wait until all that was submitted is durable; raises Retry where the last of it could not be written. What
        failed before the call was taken back, and is nothing to wait for."""
        if self._last is not None and not self._last.done():
            await asyncio.shield(self._last)

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = list(self._waiting)
            self._waiting.clear()
            try:
                await loop.run_in_executor(self._executor, self._write, [one.entry for one in group])
            except OSError as error:
                self._fail(group, error)
                continue
            if self._failing:
                log.warning("journal: writing to %s works again", self._folder)
            self._failing = None
            self._durable_seq = group[-1].entry.seq
            for one in group:
                one.durable(one.entry)
                if not one.done.done():
                    one.done.set_result(None)

    def _fail(self, group: list[_Submitted], error: OSError) -> None:
        if not self._failing:
            log.error("journal: cannot write to %s: %s; agents are asked to wait", self._folder, error)
        self._failing = f"the journal cannot be written: {error.strerror}"
        lost = group + list(self._waiting)
        self._waiting.clear()
        self._next_seq = self._durable_seq + 1
        self._on_failure()
        for one in lost:
            if not one.done.done():
                one.done.set_exception(Retry(self._failing))
                one.done.exception()  # whoever waits gets it; nobody may be waiting any more

    def _write(self, entries: list[Entry]) -> None:
        segment, descriptor = self._segment_for(entries[0].seq)
        try:
            for at in range(0, len(entries), 256):
                write_whole(descriptor, [piece for entry in entries[at : at + 256] for piece in record_of(entry)])
            os.fdatasync(descriptor)
        except OSError:
            self._undo(descriptor, segment.size)
            raise
        segment.size = os.fstat(descriptor).st_size
        segment.last_seq = entries[-1].seq

    def _undo(self, descriptor: int, good: int) -> None:
        """Take back a failed write. Where even that fails nothing more may be written behind it."""
        try:
            os.ftruncate(descriptor, good)
            os.lseek(descriptor, good, os.SEEK_SET)
        except OSError as error:
            self._failed = f"the journal is broken ({error.strerror}); restart the collector when the disk is well"
            log.exception("journal: a failed write could not be taken back: no more is accepted until a restart")

    def _segment_for(self, seq: int) -> tuple[Segment, int]:
        if self._file is not None and self._segments[-1].size < self._segment_bytes:
            return self._segments[-1], self._file
        if self._file is not None:
            os.close(self._file)
            self._file = None
        path = self._folder / f"{seq:016x}.journal"
        self._file = descriptor = self._new_file(path, seq)
        segment = Segment(seq, path, FILE_HEADER.size, seq - 1)
        self._segments.append(segment)
        return segment, descriptor

    def _new_file(self, path: Path, seq: int) -> int:
        descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        try:
            write_whole(descriptor, [FILE_HEADER.pack(MAGIC, FORMAT, seq)])
            os.fdatasync(descriptor)
            sync_directory(self._folder)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return descriptor

    # Reading ---------------------------------------------------------------------------------------------------

    def read(self, after_seq: int) -> Iterator[Entry]:
        """Entries with seq > `after_seq` that are durable when they are reached, in order."""
        segments = list(self._segments)  # at once: the event loop may trim it while another thread reads
        place = max(0, bisect.bisect_right(segments, after_seq + 1, key=lambda segment: segment.first_seq) - 1)
        for segment in segments[place:]:
            entries = entries_of(segment.path)
            while True:
                durable = self._durable_seq  # before it is read: what is not durable may be taken back and replaced
                entry = next(entries, None)
                if entry is None:
                    break
                if entry.seq > durable:
                    return
                if entry.seq > after_seq:
                    yield entry

    def trim(self, upto_seq: int) -> None:
        """Delete the files whose every entry has seq <= `upto_seq`; the newest file stays. One that can't be deleted
        is tried again with the next call: it takes room, and nothing else is wrong with it."""
        while len(self._segments) > 1 and self._segments[0].last_seq <= upto_seq:
            try:
                self._segments[0].path.unlink(missing_ok=True)
            except OSError as error:
                if not self._untrimmed:
                    log.warning("journal: %s is no longer needed and cannot be deleted: %s", error.filename, error)
                self._untrimmed = True
                return
            self._segments.pop(0)
        self._untrimmed = False

    async def close(self) -> None:
        """Write what was submitted, then let the file go. Idempotent."""
        if self._writer is not None:
            await self._writer
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._executor.shutdown()
