"""The journal: what was acked, in the order of its receipt, until every consumer has made it durable elsewhere.

Append-only segment files. Each holds a header and records::

    file   = magic (8 bytes, b"DWJRNL" + format version as u16 little endian) | first seq (u64) | record*
    record = length of the payload (u32) | CRC-32C of all that follows (u32) | seq (u64) | received, Unix ns (i64)
             | kind (u8) | payload

Group commit: everything submitted while an fsync runs is written and synced together by the next one. A record that
could not be written (disk full) is cut off again and its submitter is told to retry; nothing of it remains.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import logging
import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from pathlib import Path

import msgspec

from deckwatch.runtime.faults import Retry, Unusable
from deckwatch.wire.identity import crc32c

log = logging.getLogger(__name__)

MAGIC = b"DWJRNL"
FORMAT = 1
_FILE_HEADER = struct.Struct("<6sHQ")
_RECORD_HEADER = struct.Struct("<IIQqB")
_COVERED = struct.Struct("<QqB")


class Kind(IntEnum):
    BATCH = 1
    DECISION = 2  # of the parser: groups closed by time


class Entry(msgspec.Struct, frozen=True):
    seq: int
    received_ns: int
    kind: Kind
    payload: bytes


class _Submitted(msgspec.Struct):
    entry: Entry
    durable: Callable[[Entry], None]
    done: asyncio.Future[None]


class _Segment(msgspec.Struct):
    first_seq: int
    path: Path
    size: int
    last_seq: int  # first_seq - 1 while it is empty


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
        next_seq: int = 0,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Raises Unusable where the folder holds a journal of a newer version.

        `next_seq`: lowest number that may be given, where no segment tells (all of them were trimmed).
        `on_failure`: called at once, before anything else can be submitted, when submitted entries were taken back."""
        self._on_failure = on_failure
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._segments: list[_Segment] = []
        self.damage: Damage | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._load(next_seq)
        last = self._segments[-1].last_seq if self._segments else -1
        self._next_seq = max(next_seq, last + 1)
        self._durable_seq = self._next_seq - 1
        self._file: int | None = None
        self._waiting: deque[_Submitted] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._last: asyncio.Future[None] | None = None
        self._failed: str | None = None
        self._failing = False

    @property
    def durable_seq(self) -> int:
        """Seq of the last entry that is safe on disk; -1: none ever was."""
        return self._durable_seq

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    # Start -----------------------------------------------------------------------------------------------------

    def _load(self, next_seq: int) -> None:
        paths = sorted(self._folder.glob("*.journal"))
        for place, path in enumerate(paths):
            segment, good = _scan(path)
            last = self._segments[-1].last_seq if self._segments else segment.first_seq - 1
            if segment.first_seq > max(last + 1, next_seq):
                self._miss(path, last, following=paths[place:])
                return
            if segment.last_seq >= segment.first_seq:
                self._segments.append(segment)
            if good == path.stat().st_size and (good or place == len(paths) - 1):
                if segment.last_seq < segment.first_seq:
                    path.unlink()
                continue
            last = segment.last_seq if segment.last_seq >= segment.first_seq else segment.first_seq - 1
            self._cut(path, good, last, following=paths[place + 1 :])
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
        if _tail_is_torn(path, good) and not following:
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
            aside = path.with_suffix(".damaged")
            aside.write_bytes(path.read_bytes()[good:])
            for other in following:
                other.rename(other.with_suffix(".damaged"))
        if good <= _FILE_HEADER.size:
            path.unlink()
        else:
            os.truncate(path, good)

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
            self._failing = False
            self._durable_seq = group[-1].entry.seq
            for one in group:
                one.durable(one.entry)
                if not one.done.done():
                    one.done.set_result(None)

    def _fail(self, group: list[_Submitted], error: OSError) -> None:
        if not self._failing:
            log.error("journal: cannot write to %s: %s; agents are asked to wait", self._folder, error)
        self._failing = True
        lost = group + list(self._waiting)
        self._waiting.clear()
        self._next_seq = self._durable_seq + 1
        self._on_failure()
        for one in lost:
            if not one.done.done():
                one.done.set_exception(Retry(f"the journal cannot be written: {error.strerror}"))
                one.done.exception()  # whoever waits gets it; nobody may be waiting any more

    def _write(self, entries: list[Entry]) -> None:
        segment, descriptor = self._segment_for(entries[0].seq)
        try:
            for at in range(0, len(entries), 256):
                _write_whole(descriptor, [piece for entry in entries[at : at + 256] for piece in _record(entry)])
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

    def _segment_for(self, seq: int) -> tuple[_Segment, int]:
        if self._file is not None and self._segments[-1].size < self._segment_bytes:
            return self._segments[-1], self._file
        if self._file is not None:
            os.close(self._file)
            self._file = None
        path = self._folder / f"{seq:016x}.journal"
        descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        try:
            _write_whole(descriptor, [_FILE_HEADER.pack(MAGIC, FORMAT, seq)])
            os.fdatasync(descriptor)
            _sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self._file = descriptor
        segment = _Segment(seq, path, _FILE_HEADER.size, seq - 1)
        self._segments.append(segment)
        return segment, descriptor

    # Reading ---------------------------------------------------------------------------------------------------

    def read(self, after_seq: int) -> Iterator[Entry]:
        """Entries with seq > `after_seq` that are durable when they are reached, in order."""
        segments = list(self._segments)  # at once: the event loop may trim it while another thread reads
        place = max(0, bisect.bisect_right(segments, after_seq + 1, key=lambda segment: segment.first_seq) - 1)
        for segment in segments[place:]:
            entries = _entries(segment.path)
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
        """Delete the files whose every entry has seq <= `upto_seq`; the newest file stays."""
        while len(self._segments) > 1 and self._segments[0].last_seq <= upto_seq:
            segment = self._segments.pop(0)
            segment.path.unlink(missing_ok=True)

    async def close(self) -> None:
        """Write what was submitted, then let the file go. Idempotent."""
        if self._writer is not None:
            await self._writer
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._executor.shutdown()


def _record(entry: Entry) -> tuple[bytes, bytes]:
    covered = _COVERED.pack(entry.seq, entry.received_ns, entry.kind)
    crc = crc32c(entry.payload, crc32c(covered))
    return struct.pack("<II", len(entry.payload), crc) + covered, entry.payload


def _write_whole(descriptor: int, pieces: list[bytes]) -> None:
    """writev until all of it is written."""
    left = [memoryview(piece) for piece in pieces if piece]
    while left:
        count = os.writev(descriptor, left[:512])
        while left and count >= len(left[0]):
            count -= len(left.pop(0))
        if count:
            left[0] = left[0][count:]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_header(path: Path, header: bytes) -> int | None:
    """The first seq of a file; None where its header is no header."""
    if len(header) < _FILE_HEADER.size:
        return None
    magic, version, first_seq = _FILE_HEADER.unpack(header)
    if magic != MAGIC:
        return None
    if version > FORMAT:
        raise Unusable(
            f"{path}: the journal has format {version}, this Deckwatch reads up to {FORMAT}: start the newer version"
            " that wrote it, or another data directory"
        )
    return int(first_seq)


def _walk(path: Path) -> Iterator[tuple[Entry, int]]:
    """(entry, byte behind it) up to the first one that is not whole. Read without a buffer: of a write that failed it
    would keep what the file no longer has."""
    with path.open("rb", buffering=0) as file:
        if _check_header(path, file.read(_FILE_HEADER.size)) is None:
            return
        at = _FILE_HEADER.size
        while True:
            header = file.read(_RECORD_HEADER.size)
            if len(header) < _RECORD_HEADER.size:
                return
            length, crc, seq, received_ns, kind = _RECORD_HEADER.unpack(header)
            payload = file.read(length) if length <= 1 << 30 else b""
            if len(payload) < length or crc32c(payload, crc32c(header[8:])) != crc:
                return
            at += len(header) + length
            with contextlib.suppress(ValueError):
                yield Entry(seq, received_ns, Kind(kind), payload), at


def _entries(path: Path) -> Iterator[Entry]:
    for entry, _ in _walk(path):
        yield entry


def _scan(path: Path) -> tuple[_Segment, int]:
    """A file's segment and how many of its bytes are good (0: not even its header)."""
    with path.open("rb") as file:
        first_seq = _check_header(path, file.read(_FILE_HEADER.size))
    try:
        named = int(path.stem, 16)
    except ValueError:
        raise Unusable(f"{path}: no name of a journal file (16 hex digits); move it out of the way") from None
    if first_seq is None:
        return _Segment(named, path, 0, named - 1), 0
    good, last = _FILE_HEADER.size, first_seq - 1
    for entry, at in _walk(path):
        if entry.seq != last + 1:
            break
        good, last = at, entry.seq
    return _Segment(first_seq, path, good, last), good


def _tail_is_torn(path: Path, good: int) -> bool:
    """Is what follows `good` one unfinished record (a crash), rather than damage with whole records behind it?"""
    with path.open("rb") as file:
        file.seek(good)
        rest = file.read()
    if good < _FILE_HEADER.size:
        return len(rest) < 64 << 10
    if len(rest) < _RECORD_HEADER.size:
        return True
    length = _RECORD_HEADER.unpack_from(rest)[0]
    at = _RECORD_HEADER.size + length
    if at >= len(rest):
        return True
    while at + _RECORD_HEADER.size <= len(rest):  # a whole record behind a broken one: not a torn write
        length, crc = struct.unpack_from("<II", rest, at)
        end = at + _RECORD_HEADER.size + length
        if end > len(rest):
            return True
        if crc32c(rest[at + 8 : end]) == crc:
            return False
        at = end
    return True
