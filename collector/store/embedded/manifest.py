"""The manifest: one SQLite file that says which segments exist and up to which journal entry they hold everything.

Whatever must change together changes in one transaction: new segments, the position in the journal, the parser's open
groups, stream positions, origins, gaps and dead letters of the sealed entries.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from collector.accounting.account import StreamAccount, decode_account
from collector.records import Origin
from collector.store.embedded import kept
from collector.store.embedded.coverage import Coverage, pack, unpack
from collector.store.embedded.letter_changes import NO_CHANGES, LetterChanges, settle
from collector.store.embedded.manifest_schema import prepare
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import Context, Position

DAMAGED = "damaged"
"""Reason of the gaps that stand for a segment that was set aside: the collector itself has lost what it held."""


class SegmentRow(msgspec.Struct, frozen=True):
    """What the manifest knows of a segment. Times in Unix ns, sizes in bytes, CRCs are CRC-32C of the whole files."""

    id: int
    tenant: str
    day: str  # of receipt, UTC, YYYY-MM-DD
    form: str
    rows: int
    text_bytes: int
    data_bytes: int
    index_bytes: int
    data_crc: int
    index_crc: int
    min_ts: int
    max_ts: int
    min_seq: int
    max_seq: int
    min_ingested: int
    max_ingested: int
    damaged: str = ""  # why it was set aside; empty: it serves
    head_crc: int = 0  # CRC-32C of the index's head, by which a file of another segment is told; 0: not known
    scrubbed_ns: int = 0  # when its checksums were last compared; 0: never


class GapRow(msgspec.Struct, frozen=True):
    """A declared gap of a stream, as it came in entry `seq`. `end` -1: unknown."""

    seq: int
    received_ns: int
    tenant: str
    host: str
    key: str
    source: str
    start: int
    end: int
    reason: str
    ts_ns: int
    detail: str
    segment: int = 0  # the segment whose loss this is; 0: an agent declared it


class DeadLetter(msgspec.Struct, frozen=True):
    """What could not be taken for what it claimed to be, kept whole, with what a second try needs."""

    seq: int  # of the journal entry that brought it
    part: int  # tells it from others of the same entry
    received_ns: int
    tenant: str
    host: str
    source: str
    key: str
    start: int  # [start, end) of its stream is what it stands for
    end: int  # not always start and the size of the payload: of an open record the text is kept, without its framing
    format: str  # of deckwatch.wire.model.Format; empty: unknown, it was kept by an older version
    context: bytes  # msgpack of deckwatch.wire.model.Context
    reason: str
    attempts: int  # how often it was tried again
    tried_ns: int  # when that was last
    payload: bytes

    @property
    def id(self) -> str:
        return f"{self.seq}.{self.part}"


class NewSegment(msgspec.Struct, frozen=True):
    """A segment that is on disk and not in the manifest yet."""

    row: SegmentRow
    coverage: Coverage


class Sealed(msgspec.Struct, frozen=True):
    """Everything that one sealing makes durable, together."""

    seq: int
    parser_state: bytes
    segments: tuple[NewSegment, ...]
    origins: Mapping[int, Origin]  # those that the manifest does not have yet
    positions: Mapping[str, Position]
    unlisted: frozenset[str]  # keys whose agents let them go
    gaps: tuple[GapRow, ...]
    dead_letters: tuple[DeadLetter, ...]
    now_ns: int
    accounts: Mapping[str, bytes] = {}  # by stream key, encoded: those that changed
    letters: LetterChanges = NO_CHANGES


_SEGMENT_COLUMNS = SegmentRow.__struct_fields__
GAP_COLUMNS = GapRow.__struct_fields__
_LETTER_COLUMNS = DeadLetter.__struct_fields__


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


class Manifest:
    """Any thread may call; calls take turns."""

    def __init__(self, path: Path) -> None:
        """Raises Unusable where the file is of a newer version or no manifest."""
        self._lock = threading.Lock()
        self.changes = 0  # committed since it was opened: who keeps a copy knows by it whether that is current
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            prepare(self._db, path)
        except sqlite3.DatabaseError as error:
            raise Unusable(f"{path}: cannot be read as the store's manifest: {error}") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Several questions as of one moment; nobody writes meanwhile."""
        with self._lock:
            yield self._db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing. Raises OSError where the disk is full or fails: SQLite has an error of its own."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                    self.changes += 1
                except BaseException:
                    if self._db.in_transaction:  # a COMMIT that failed leaves it open, a full disk may have ended it
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.OperationalError as error:
                raise OSError(f"the manifest cannot be written: {error}") from error

    def query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    # Reading ---------------------------------------------------------------------------------------------------

    def segments(self) -> list[SegmentRow]:
        rows = self.query(f"SELECT {', '.join(_SEGMENT_COLUMNS)} FROM segments ORDER BY id")  # noqa: S608
        return [msgspec.convert(dict(zip(_SEGMENT_COLUMNS, row, strict=True)), SegmentRow) for row in rows]

    def origins(self) -> dict[int, Origin]:
        decode = msgspec.msgpack.Decoder(Context).decode
        with self._lock:
            rows = self._db.execute("SELECT id, tenant, key, context FROM origins").fetchall()
        return {id_: Origin(key=key, tenant=tenant, context=decode(context)) for id_, tenant, key, context in rows}

    def positions(self) -> dict[str, Position]:
        with self._lock:
            rows = self._db.execute("SELECT key, offset, crc FROM streams").fetchall()
        return {key: Position(offset, crc) for key, offset, crc in rows}

    def open_gaps(self) -> set[tuple[str, int]]:
        """(stream key, start) of the declared gaps without an end."""
        with self._lock:
            rows = self._db.execute("SELECT DISTINCT key, start FROM gaps WHERE end < 0").fetchall()
        return {(key, start) for key, start in rows}

    def consumer(self, name: str) -> tuple[int, bytes]:
        """(seq, state); (-1, b"") before the first commit."""
        with self._lock:
            row = self._db.execute("SELECT seq, state FROM consumers WHERE name = ?", (name,)).fetchone()
        return (int(row[0]), bytes(row[1])) if row else (-1, b"")

    def gaps(self, tenant: str) -> list[GapRow]:
        rows = self.query(f"SELECT {', '.join(GAP_COLUMNS)} FROM gaps WHERE tenant = ? ORDER BY seq", tenant)  # noqa: S608
        return [msgspec.convert(dict(zip(GAP_COLUMNS, row, strict=True)), GapRow) for row in rows]

    def accounts(self) -> dict[str, StreamAccount]:
        """By stream key, as of the last sealing."""
        with self._lock:
            return {key: decode_account(raw) for key, raw in kept.read_accounts(self._db).items()}

    def dead_letter_count(self) -> int:
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM dead_letters").fetchone()[0])

    # Changing --------------------------------------------------------------------------------------------------

    def seal(self, sealed: Sealed) -> None:
        """One transaction; on return it is on disk."""
        encode = msgspec.msgpack.Encoder().encode
        with self.transaction() as db:
            _insert_segments(db, sealed.segments)
            kept.put_accounts(db, sealed.accounts)
            settle(db, sealed.letters)
            db.executemany(
                "INSERT OR REPLACE INTO origins VALUES (?, ?, ?, ?)",
                [(id_, one.tenant, one.key, encode(one.context)) for id_, one in sealed.origins.items()],
            )
            db.executemany(
                "INSERT INTO streams VALUES (?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET"
                " offset = excluded.offset, crc = excluded.crc, seen_ns = excluded.seen_ns, listed = 1",
                [(key, at.offset, at.crc, sealed.now_ns) for key, at in sealed.positions.items()],
            )
            db.executemany("UPDATE streams SET listed = 0 WHERE key = ?", [(key,) for key in sealed.unlisted])
            db.executemany(_insert("gaps", GAP_COLUMNS), map(_values, sealed.gaps))
            db.executemany(_insert("dead_letters", _LETTER_COLUMNS), map(_values, sealed.dead_letters))
            db.execute(
                "INSERT INTO consumers VALUES ('store', ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " seq = excluded.seq, state = excluded.state",
                (sealed.seq, sealed.parser_state),
            )

    def drop(self, segments: Iterable[int], why: str, now_ns: int) -> None:
        """Segments go for good, with the gaps that stood for them; what they held stays accounted for."""
        gone = list(segments)
        with self.transaction() as db:
            kept.note_segments(db, gone, why, now_ns)
            _delete_segments(db, gone)

    def replace(self, old: Iterable[int], new: Iterable[NewSegment]) -> None:
        """Compaction: the old segments go, the new ones come."""
        with self.transaction() as db:
            _delete_segments(db, old)
            _insert_segments(db, new)

    def set_aside(self, segment: int, why: str, gaps: Iterable[GapRow]) -> None:
        """It serves no more; `gaps` stand for what it held."""
        with self.transaction() as db:
            db.execute("UPDATE segments SET damaged = ? WHERE id = ?", (why, segment))
            db.execute("DELETE FROM gaps WHERE segment = ?", (segment,))
            db.executemany(_insert("gaps", GAP_COLUMNS), map(_values, gaps))

    def adopt(self, segment: int) -> None:
        """It was brought back: it serves again, and its gaps are closed."""
        with self.transaction() as db:
            db.execute("UPDATE segments SET damaged = '' WHERE id = ?", (segment,))
            db.execute("DELETE FROM gaps WHERE segment = ?", (segment,))

    def update(self, row: SegmentRow) -> None:
        """Its index was made anew, or its checksums were compared."""
        with self.transaction() as db:
            db.execute(
                "UPDATE segments SET index_bytes = ?, index_crc = ?, head_crc = ?, scrubbed_ns = ? WHERE id = ?",
                (row.index_bytes, row.index_crc, row.head_crc, row.scrubbed_ns, row.id),
            )

    def coverage(self, segment: int) -> Coverage | None:
        """None: it was written by a version that kept none. Raises Reject where it is damaged."""
        with self._lock:
            row = self._db.execute("SELECT streams FROM coverage WHERE segment = ?", (segment,)).fetchone()
        return unpack(row[0]) if row else None

    def cover(self, segment: int, coverage: Coverage) -> None:
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO coverage VALUES (?, ?)", (segment, pack(coverage)))

    def forget_gaps(self, received_before_ns: int) -> int:
        """Gaps that agents declared before anything that is still stored was received; how many went. Their bytes stay
        accounted for, like those of the lines around them."""
        where = "WHERE segment = 0 AND received_ns < ?"
        if not self.query(f"SELECT 1 FROM gaps {where} LIMIT 1", received_before_ns):  # noqa: S608
            return 0
        with self.transaction() as db:
            gone = db.execute(f"DELETE FROM gaps {where} RETURNING key, start, end", (received_before_ns,)).fetchall()  # noqa: S608
            for key, start, end in gone:
                if end > start:
                    kept.note_dropped(db, kept.Dropped(key, kept.FORGOTTEN_GAP, 0, ((start, end),), received_before_ns))
        return len(gone)

    def forget_origins(self, ids: Iterable[int]) -> None:
        with self.transaction() as db:
            db.executemany("DELETE FROM origins WHERE id = ?", [(id_,) for id_ in ids])

    def forget_streams(self, seen_before_ns: int) -> list[str]:
        """Positions of streams that no agent lists any more; the keys that went."""
        with self.transaction() as db:
            rows = db.execute(
                "DELETE FROM streams WHERE listed = 0 AND seen_ns < ? RETURNING key", (seen_before_ns,)
            ).fetchall()
            kept.forget_accounts(db, [row[0] for row in rows])
        return [row[0] for row in rows]

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _delete_segments(db: sqlite3.Connection, segments: Iterable[int]) -> None:
    gone = [(id_,) for id_ in segments]
    for table, column in (("segments", "id"), ("coverage", "segment"), ("gaps", "segment")):
        db.executemany(f"DELETE FROM {table} WHERE {column} = ?", gone)  # noqa: S608


def _insert_segments(db: sqlite3.Connection, new: Iterable[NewSegment]) -> None:
    for one in new:
        db.execute(_insert("segments", _SEGMENT_COLUMNS), _values(one.row))
        db.execute("INSERT INTO coverage VALUES (?, ?)", (one.row.id, pack(one.coverage)))


def _values(row: msgspec.Struct) -> tuple[object, ...]:
    return msgspec.structs.astuple(row)
