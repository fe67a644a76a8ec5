"""What the manifest keeps of streams beside their positions: accounts, and what was stored and is not any more.

Functions of an open transaction: they become durable together with the sealing, or the dropping, that they tell of.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

import msgspec

from collector.accounting.runs import Run, Runs, joined
from collector.store.embedded.coverage import Covered, unpack

RETENTION = "dropped by retention"
"""Why bytes are in no segment any more."""

FORGOTTEN_GAP = "lost before all that is kept"
"""Why bytes of a gap are in no gap any more: retention dropped what lay around it."""

_decoder = msgspec.msgpack.Decoder(Runs)


class Dropped(msgspec.Struct, frozen=True):
    """What of a stream was stored (or kept as a dead letter) and is not any more, on purpose."""

    key: str
    why: str
    rows: int
    runs: Runs
    last_ns: int  # when the last of it went


def put_accounts(db: sqlite3.Connection, accounts: Mapping[str, bytes]) -> None:
    db.executemany("INSERT OR REPLACE INTO accounts VALUES (?, ?)", list(accounts.items()))


def read_accounts(db: sqlite3.Connection) -> dict[str, bytes]:
    return dict(db.execute("SELECT key, account FROM accounts").fetchall())


def forget_accounts(db: sqlite3.Connection, keys: Iterable[str]) -> None:
    gone = [(key,) for key in keys]
    for table in ("accounts", "dropped"):
        db.executemany(f"DELETE FROM {table} WHERE key = ?", gone)  # noqa: S608 - one of the two above


def note_dropped(db: sqlite3.Connection, new: Dropped) -> None:
    """Adds to what went of the same stream for the same reason."""
    row = db.execute("SELECT rows, runs FROM dropped WHERE key = ? AND why = ?", (new.key, new.why)).fetchone()
    rows, runs = (row[0], _decoder.decode(row[1])) if row else (0, ())
    packed = msgspec.msgpack.encode(joined(runs, new.runs))
    db.execute(
        "INSERT OR REPLACE INTO dropped VALUES (?, ?, ?, ?, ?)",
        (new.key, new.why, rows + new.rows, packed, new.last_ns),
    )


def note_segments(db: sqlite3.Connection, segments: Iterable[int], why: str, now_ns: int) -> None:
    """All that these segments hold goes. One of a version that kept no coverage can't be accounted for."""
    found: dict[str, list[Covered]] = {}
    for segment in segments:
        row = db.execute("SELECT streams FROM coverage WHERE segment = ?", (segment,)).fetchone()
        for covered in unpack(row[0]) if row else ():
            for (key,) in db.execute("SELECT key FROM origins WHERE id = ?", (covered.origin,)):
                found.setdefault(key, []).append(covered)
    for key, parts in found.items():
        runs: list[Run] = [run for part in parts for run in part.runs]
        note_dropped(db, Dropped(key, why, sum(part.rows for part in parts), joined(runs), now_ns))


def read_dropped(db: sqlite3.Connection) -> list[Dropped]:
    rows = db.execute("SELECT key, why, rows, runs, last_ns FROM dropped").fetchall()
    return [Dropped(key, why, count, _decoder.decode(runs), last_ns) for key, why, count, runs, last_ns in rows]
