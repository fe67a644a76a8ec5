"""The tables of the manifest, and how one of an older version becomes one of ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from deckwatch.runtime.faults import Unusable

VERSION = 3

_ACCOUNTS = """
CREATE TABLE accounts (key TEXT PRIMARY KEY, account BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE dropped (
    key TEXT NOT NULL, why TEXT NOT NULL, rows INTEGER NOT NULL, runs BLOB NOT NULL, last_ns INTEGER NOT NULL,
    PRIMARY KEY (key, why)
) WITHOUT ROWID;
"""
"""Of streams, see kept.py."""

_TABLES = """
CREATE TABLE segments (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, day TEXT NOT NULL, form TEXT NOT NULL,
    rows INTEGER NOT NULL, text_bytes INTEGER NOT NULL, data_bytes INTEGER NOT NULL, index_bytes INTEGER NOT NULL,
    data_crc INTEGER NOT NULL, index_crc INTEGER NOT NULL,
    min_ts INTEGER NOT NULL, max_ts INTEGER NOT NULL, min_seq INTEGER NOT NULL, max_seq INTEGER NOT NULL,
    min_ingested INTEGER NOT NULL, max_ingested INTEGER NOT NULL,
    damaged TEXT NOT NULL DEFAULT '', head_crc INTEGER NOT NULL DEFAULT 0, scrubbed_ns INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE coverage (segment INTEGER PRIMARY KEY, streams BLOB NOT NULL);
CREATE TABLE origins (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, key TEXT NOT NULL, context BLOB NOT NULL
);
CREATE TABLE streams (
    key TEXT PRIMARY KEY, offset INTEGER NOT NULL, crc INTEGER NOT NULL, seen_ns INTEGER NOT NULL,
    listed INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
CREATE TABLE consumers (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE gaps (
    seq INTEGER NOT NULL, received_ns INTEGER NOT NULL, tenant TEXT NOT NULL, host TEXT NOT NULL, key TEXT NOT NULL,
    source TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, reason TEXT NOT NULL, ts_ns INTEGER NOT NULL,
    detail TEXT NOT NULL, segment INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE dead_letters (
    seq INTEGER NOT NULL, part INTEGER NOT NULL, received_ns INTEGER NOT NULL, tenant TEXT NOT NULL,
    host TEXT NOT NULL DEFAULT '', source TEXT NOT NULL DEFAULT '', key TEXT NOT NULL, start INTEGER NOT NULL,
    format TEXT NOT NULL DEFAULT '', context BLOB NOT NULL DEFAULT x'', reason TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, tried_ns INTEGER NOT NULL DEFAULT 0, payload BLOB NOT NULL,
    end INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (seq, part)
)
"""

_FROM_1 = """
ALTER TABLE segments ADD COLUMN head_crc INTEGER NOT NULL DEFAULT 0;
ALTER TABLE segments ADD COLUMN scrubbed_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE gaps ADD COLUMN segment INTEGER NOT NULL DEFAULT 0;
CREATE TABLE coverage (segment INTEGER PRIMARY KEY, streams BLOB NOT NULL);
ALTER TABLE dead_letters RENAME TO old_letters;
CREATE TABLE dead_letters (
    seq INTEGER NOT NULL, part INTEGER NOT NULL, received_ns INTEGER NOT NULL, tenant TEXT NOT NULL,
    host TEXT NOT NULL DEFAULT '', source TEXT NOT NULL DEFAULT '', key TEXT NOT NULL, start INTEGER NOT NULL,
    format TEXT NOT NULL DEFAULT '', context BLOB NOT NULL DEFAULT x'', reason TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, tried_ns INTEGER NOT NULL DEFAULT 0, payload BLOB NOT NULL,
    PRIMARY KEY (seq, part)
);
INSERT INTO dead_letters (seq, part, received_ns, tenant, key, start, reason, payload)
    SELECT seq, id, received_ns, tenant, key, start, reason, payload FROM old_letters;
DROP TABLE old_letters
"""

_FROM_2 = """
ALTER TABLE dead_letters ADD COLUMN end INTEGER NOT NULL DEFAULT 0;
UPDATE dead_letters SET end = start + length(payload)
"""
"""Of what was open only the text had been counted before, without its framing: the rest stays unaccounted for."""


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Create or convert the tables, all in one transaction. Raises Unusable on one of a newer version."""
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise Unusable(
            f"{path}: the store has version {found}, this Deckwatch reads up to {VERSION}: start the newer"
            " version that wrote it, or another data directory"
        )
    if found == VERSION:
        return
    steps = {0: (_ACCOUNTS, _TABLES), 1: (_ACCOUNTS, _FROM_1, _FROM_2), 2: (_FROM_2,)}[found]
    db.execute("BEGIN IMMEDIATE")
    for statement in ";".join(steps).split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")
    db.execute("COMMIT")
