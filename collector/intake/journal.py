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

from collector.intake.durable_note import Durable, DurableNote, file_id
from collector.intake.journal_file import FILE_HEADER, Entry, Kind, Segment, entries_of, record_of, write_whole
from collector.intake.journal_start import durable_of, new_file, open_journal
from deckwatch.runtime.faults import Retry, Unusable

log = logging.getLogger(__name__)


class _Submitted(msgspec.Struct):
    entry: Entry
    durable: Callable[[Entry], None]
    done: asyncio.Future[None]


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
        try:
            found = open_journal(folder, next_seq, visit)
        except OSError as error:
            raise Unusable(f"{error.filename or folder}: the journal cannot be opened: {error.strerror}") from error
        self._segments, self._next_seq, self.damage = found.segments, found.next_seq, found.damage
        self._note = DurableNote(folder)
        if self._segments:
            self._note.write(durable_of(self._segments[-1]))
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
        status = os.fstat(descriptor)
        segment.size, segment.last_seq = status.st_size, entries[-1].seq
        self._note.write(Durable(file_id(status), segment.first_seq, segment.size, segment.last_seq))

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
        self._file = descriptor = new_file(path, seq)
        segment = Segment(seq, path, FILE_HEADER.size, seq - 1)
        self._segments.append(segment)
        return segment, descriptor

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
        self._note.close()
