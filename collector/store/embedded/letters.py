"""The dead letters that the manifest keeps: listed, shown, deleted, expired."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

import msgspec

from collector.store.embedded.kept import Dropped, note_dropped
from collector.store.embedded.letter_changes import place_of
from collector.store.embedded.manifest import DeadLetter, Manifest

DELETED = "dead letter deleted"
EXPIRED = "dead letter expired"
"""Why the bytes of a letter are nowhere any more."""

_COLUMNS = DeadLetter.__struct_fields__


class LetterInfo(msgspec.Struct, frozen=True):
    """A letter without its payload."""

    seq: int
    part: int
    received_ns: int
    tenant: str
    host: str
    source: str
    key: str
    start: int
    end: int
    format: str
    context: bytes
    reason: str
    attempts: int
    tried_ns: int
    size_bytes: int

    @property
    def id(self) -> str:
        return f"{self.seq}.{self.part}"


class Totals(msgspec.Struct, frozen=True):
    count: int = 0
    size_bytes: int = 0


_INFO = "seq, part, received_ns, tenant, host, source, key, start, end, format, context, reason, attempts, tried_ns"


class Letters:
    """Any thread may call. Ids are `<seq>.<part>`."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.in_flight: frozenset[str] = frozenset()
        """Those that are being stored as records: the next sealing takes them out. They are neither deleted nor expire
        meanwhile."""
        self.totals = Totals()
        """As of the last `count`."""
        self.count()

    def count(self) -> Totals:
        ((count, size),) = self._manifest.query("SELECT count(*), coalesce(sum(length(payload)), 0) FROM dead_letters")
        self.totals = msgspec.convert({"count": count, "size_bytes": size}, Totals)
        return self.totals

    def get(self, id_: str) -> DeadLetter | None:
        place = place_of(id_)
        if place is None:
            return None
        rows = self._manifest.query(
            f"SELECT {', '.join(_COLUMNS)} FROM dead_letters WHERE seq = ? AND part = ?",  # noqa: S608
            *place,
        )
        return msgspec.convert(dict(zip(_COLUMNS, rows[0], strict=True)), DeadLetter) if rows else None

    def infos(
        self, tenant: str, *, start_ns: int, end_ns: int, after: tuple[int, int] = (-1, -1), limit: int = -1
    ) -> list[LetterInfo]:
        """Of one tenant, received within [start_ns, end_ns), behind the id `after`, in the order of arrival."""
        rows = self._manifest.query(
            f"SELECT {_INFO}, length(payload) FROM dead_letters"  # noqa: S608
            " WHERE tenant = ? AND received_ns >= ? AND received_ns < ? AND (seq, part) > (?, ?)"
            " ORDER BY seq, part LIMIT ?",
            tenant,
            start_ns,
            end_ns,
            *after,
            limit,
        )
        names = LetterInfo.__struct_fields__
        return [msgspec.convert(dict(zip(names, row, strict=True)), LetterInfo) for row in rows]

    def delete(self, tenant: str, ids: Collection[str], now_ns: int) -> int:
        """How many went. Their bytes stay accounted for as deleted."""
        wanted = [place for id_ in ids if (place := place_of(id_)) is not None]
        with self._manifest.transaction() as db:
            found = [
                row
                for seq, part in wanted
                for row in db.execute(
                    "SELECT seq, part, key, start, end FROM dead_letters WHERE seq = ? AND part = ? AND tenant = ?",
                    (seq, part, tenant),
                )
            ]
            gone = self._drop(db, found, DELETED, now_ns)
        self.count()
        return gone

    def expire(self, before_ns: int, limit_bytes: int, now_ns: int) -> int:
        """Those received before then go, and the oldest without which the others take at most `limit_bytes`
        (0: no limit); how many went."""
        if not self.count().count:
            return 0
        excess = self.totals.size_bytes - limit_bytes if limit_bytes else 0
        with self._manifest.transaction() as db:
            found = []
            for row in db.execute(
                "SELECT seq, part, key, start, end, received_ns, length(payload) FROM dead_letters"
                " ORDER BY received_ns, seq"
            ):
                if row[5] >= before_ns and excess <= 0:
                    break
                found.append(row[:5])
                excess -= row[6]
            gone = self._drop(db, found, EXPIRED, now_ns) if found else 0
        self.count()
        return gone

    def _drop(
        self, db: sqlite3.Connection, rows: Iterable[tuple[int, int, str, int, int]], why: str, now_ns: int
    ) -> int:
        gone = 0
        for seq, part, key, start, end in rows:
            if f"{seq}.{part}" in self.in_flight:
                continue
            db.execute("DELETE FROM dead_letters WHERE seq = ? AND part = ?", (seq, part))
            note_dropped(db, Dropped(key, why, 0, ((start, end),) if end > start else (), now_ns))
            gone += 1
        return gone
