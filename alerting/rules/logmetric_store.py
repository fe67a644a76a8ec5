"""Counts of log metrics on disk, with the journal position that they stand for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from alerting.database import Database
from alerting.rules.counter_series import CounterSeries
from alerting.rules.counting import LabelValues
from deckwatch.runtime.faults import Retry

_SCHEMA = """
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS series (
    identity TEXT NOT NULL, label_values BLOB NOT NULL, counter BLOB NOT NULL,
    PRIMARY KEY (identity, label_values)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shown (one INTEGER PRIMARY KEY CHECK (one = 1), at_ns INTEGER NOT NULL)
"""

_STEPS = (_SCHEMA, _SCHEMA)
"""The second version of the format added `shown`."""

_counter_decoder = msgspec.msgpack.Decoder(CounterSeries)
_values_decoder: msgspec.msgpack.Decoder[LabelValues] = msgspec.msgpack.Decoder(tuple[str, ...])


class LogMetricStore:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = Database(path, _STEPS)

    def position(self) -> int:
        """-1 at the very beginning."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT seq FROM position").fetchone()
        return -1 if row is None else int(row[0])

    def shown_ns(self) -> int:
        """Up to when the counts stand in the history of samples."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT at_ns FROM shown").fetchone()
        return 0 if row is None else int(row[0])

    def identities(self) -> set[str]:
        with self._database.transaction() as connection:
            return {identity for (identity,) in connection.execute("SELECT DISTINCT identity FROM series")}

    def series(self, identity: str) -> dict[LabelValues, CounterSeries]:
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT label_values, counter FROM series WHERE identity = ?", (identity,))
            return {_values_decoder.decode(values): _counter_decoder.decode(counter) for values, counter in rows}

    def commit(
        self, seq: int, series: Iterable[tuple[str, LabelValues, CounterSeries]], gone: Iterable[str], shown_ns: int
    ) -> None:
        """One transaction: the position, what changed, and metrics that are no longer defined. Raises Retry."""
        try:
            self._commit(seq, series, gone, shown_ns)
        except sqlite3.Error as error:
            raise Retry(f"counts of log metrics can't be saved in {self._path}: {error}") from None

    def _commit(
        self, seq: int, series: Iterable[tuple[str, LabelValues, CounterSeries]], gone: Iterable[str], shown_ns: int
    ) -> None:
        encode = msgspec.msgpack.encode
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (seq,))
            connection.execute("INSERT OR REPLACE INTO shown VALUES (1, ?)", (shown_ns,))
            connection.executemany("DELETE FROM series WHERE identity = ?", [(identity,) for identity in gone])
            connection.executemany(
                "INSERT OR REPLACE INTO series VALUES (?, ?, ?)",
                [(identity, encode(values), encode(counter)) for identity, values, counter in series],
            )

    def close(self) -> None:
        self._database.close()
