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

from collector.records import Origin
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import Context, Position

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS segments (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, day TEXT NOT NULL, form TEXT NOT NULL,
    rows INTEGER NOT NULL, text_bytes INTEGER NOT NULL, data_bytes INTEGER NOT NULL, index_bytes INTEGER NOT NULL,
    data_crc INTEGER NOT NULL, index_crc INTEGER NOT NULL,
    min_ts INTEGER NOT NULL, max_ts INTEGER NOT NULL, min_seq INTEGER NOT NULL, max_seq INTEGER NOT NULL,
    min_ingested INTEGER NOT NULL, max_ingested INTEGER NOT NULL,
    damaged TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS origins (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, key TEXT NOT NULL, context BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS streams (
    key TEXT PRIMARY KEY, offset INTEGER NOT NULL, crc INTEGER NOT NULL, seen_ns INTEGER NOT NULL,
    listed INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consumers (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (
    seq INTEGER NOT NULL, received_ns INTEGER NOT NULL, tenant TEXT NOT NULL, host TEXT NOT NULL, key TEXT NOT NULL,
    source TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, reason TEXT NOT NULL, ts_ns INTEGER NOT NULL,
    detail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, received_ns INTEGER NOT NULL, tenant TEXT NOT NULL,
    key TEXT NOT NULL, start INTEGER NOT NULL, reason TEXT NOT NULL, payload BLOB NOT NULL
);
"""


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


class DeadLetter(msgspec.Struct, frozen=True):
    """What could not be taken for what it claimed to be, kept whole."""

    seq: int
    received_ns: int
    tenant: str
    key: str
    start: int
    reason: str
    payload: bytes


class Sealed(msgspec.Struct, frozen=True):
    """Everything that one sealing makes durable, together."""

    seq: int
    parser_state: bytes
    segments: tuple[SegmentRow, ...]
    origins: Mapping[int, Origin]  # those that the manifest does not have yet
    positions: Mapping[str, Position]
    unlisted: frozenset[str]  # keys whose agents let them go
    gaps: tuple[GapRow, ...]
    dead_letters: tuple[DeadLetter, ...]
    now_ns: int


_SEGMENT_COLUMNS = SegmentRow.__struct_fields__
_GAP_COLUMNS = GapRow.__struct_fields__
_LETTER_COLUMNS = DeadLetter.__struct_fields__


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


class Manifest:
    """Any thread may call; calls take turns."""

    def __init__(self, path: Path) -> None:
        """Raises Unusable where the file is of a newer version or no manifest."""
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise Unusable(
                    f"{path}: the store has version {version}, this Deckwatch reads up to {VERSION}: start the newer"
                    " version that wrote it, or another data directory"
                )
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={VERSION}")
        except sqlite3.DatabaseError as error:
            raise Unusable(f"{path}: cannot be read as the store's manifest: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing. Raises OSError where the disk is full or fails: SQLite has an error of its own."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:  # a COMMIT that failed leaves it open, a full disk may have ended it
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.OperationalError as error:
                raise OSError(f"the manifest cannot be written: {error}") from error

    def _rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    # Reading ---------------------------------------------------------------------------------------------------

    def segments(self) -> list[SegmentRow]:
        rows = self._rows(f"SELECT {', '.join(_SEGMENT_COLUMNS)} FROM segments ORDER BY id")  # noqa: S608
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

    def consumer(self, name: str) -> tuple[int, bytes]:
        """(seq, state); (-1, b"") before the first commit."""
        with self._lock:
            row = self._db.execute("SELECT seq, state FROM consumers WHERE name = ?", (name,)).fetchone()
        return (int(row[0]), bytes(row[1])) if row else (-1, b"")

    def gaps(self, tenant: str) -> list[GapRow]:
        rows = self._rows(f"SELECT {', '.join(_GAP_COLUMNS)} FROM gaps WHERE tenant = ? ORDER BY seq", tenant)  # noqa: S608
        return [msgspec.convert(dict(zip(_GAP_COLUMNS, row, strict=True)), GapRow) for row in rows]

    def dead_letter_count(self) -> int:
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM dead_letters").fetchone()[0])

    # Changing --------------------------------------------------------------------------------------------------

    def seal(self, sealed: Sealed) -> None:
        """One transaction; on return it is on disk."""
        encode = msgspec.msgpack.Encoder().encode
        with self._transaction() as db:
            db.executemany(_insert("segments", _SEGMENT_COLUMNS), map(_values, sealed.segments))
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
            db.executemany(_insert("gaps", _GAP_COLUMNS), map(_values, sealed.gaps))
            db.executemany(_insert("dead_letters", _LETTER_COLUMNS), map(_values, sealed.dead_letters))
            db.execute(
                "INSERT INTO consumers VALUES ('store', ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " seq = excluded.seq, state = excluded.state",
                (sealed.seq, sealed.parser_state),
            )

    def replace(self, old: Iterable[int], new: Iterable[SegmentRow]) -> None:
        """Compaction and retention: the old segments go, the new ones come."""
        with self._transaction() as db:
            db.executemany("DELETE FROM segments WHERE id = ?", [(id_,) for id_ in old])
            db.executemany(_insert("segments", _SEGMENT_COLUMNS), map(_values, new))

    def set_aside(self, segment: int, why: str) -> None:
        with self._transaction() as db:
            db.execute("UPDATE segments SET damaged = ? WHERE id = ?", (why, segment))

    def forget_origins(self, ids: Iterable[int]) -> None:
        with self._transaction() as db:
            db.executemany("DELETE FROM origins WHERE id = ?", [(id_,) for id_ in ids])

    def forget_streams(self, seen_before_ns: int) -> list[str]:
        """Positions of streams that no agent lists any more; the keys that went."""
        with self._transaction() as db:
            rows = db.execute(
                "DELETE FROM streams WHERE listed = 0 AND seen_ns < ? RETURNING key", (seen_before_ns,)
            ).fetchall()
        return [row[0] for row in rows]

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _values(row: msgspec.Struct) -> tuple[object, ...]:
    return msgspec.structs.astuple(row)
