"""What became of dead letters that were tried again: part of the sealing that stores their records."""

from __future__ import annotations

import sqlite3

import msgspec


class Tried(msgspec.Struct, frozen=True):
    """A letter that could not be taken this time either."""

    id: str
    at_ns: int
    reason: str


class LetterChanges(msgspec.Struct, frozen=True):
    redriven: tuple[str, ...] = ()  # ids of letters that became records
    tried: tuple[Tried, ...] = ()


NO_CHANGES = LetterChanges()


def settle(db: sqlite3.Connection, changes: LetterChanges) -> None:
    """In the transaction that stores the records: a letter is always one of the two, and never both."""
    places = [place for id_ in changes.redriven if (place := place_of(id_)) is not None]
    db.executemany("DELETE FROM dead_letters WHERE seq = ? AND part = ?", places)
    for tried in changes.tried:
        place = place_of(tried.id)
        if place is not None:
            db.execute(
                "UPDATE dead_letters SET attempts = attempts + 1, tried_ns = ?, reason = ? WHERE seq = ? AND part = ?",
                (tried.at_ns, tried.reason, *place),
            )


def place_of(id_: str) -> tuple[int, int] | None:
    """(seq, part) of an id `<seq>.<part>`; None: it is none of ours."""
    seq, _, part = id_.partition(".")
    if not all(number.isascii() and number.isdigit() and len(number) <= 18 for number in (seq, part)):
        return None
    return int(seq), int(part)
