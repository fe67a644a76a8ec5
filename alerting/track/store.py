"""Incidents in the database of alerting, beside the states of alerts and the outbox: they change in one transaction.

`incident_events` is the truth. `incident` holds what the events add up to, to be found by key, state or time;
`incident_alert` says in which incident an alert (by fingerprint) was last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from alerting.database import Database
from alerting.track.events import AnyEvent
from alerting.track.fold import fold
from alerting.track.model import Incident, Measured, State

_VERSION = 1
_SCHEMA = """
CREATE TABLE incident (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, rule TEXT NOT NULL,
    team TEXT NOT NULL, opened_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, due_ns INTEGER, measured BLOB NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX incident_by_key ON incident (tenant, key, opened_ns);
CREATE INDEX incident_by_due ON incident (due_ns) WHERE due_ns IS NOT NULL;
CREATE INDEX incident_by_state ON incident (tenant, state);
CREATE INDEX incident_by_end ON incident (ended_ns);
CREATE TABLE incident_event (
    incident TEXT NOT NULL, seq INTEGER NOT NULL, event BLOB NOT NULL, PRIMARY KEY (incident, seq)
) WITHOUT ROWID;
CREATE TABLE incident_alert (
    tenant TEXT NOT NULL, fingerprint TEXT NOT NULL, incident TEXT NOT NULL, PRIMARY KEY (tenant, fingerprint)
) WITHOUT ROWID;
CREATE INDEX incident_alert_by_incident ON incident_alert (incident)
"""
_AT_ONCE = 500
"""Host parameters of one statement; SQLite takes 999 at least."""

_event = msgspec.msgpack.Decoder(AnyEvent)
_incident = msgspec.msgpack.Decoder(Incident)
_measured = msgspec.msgpack.Decoder(Measured)
_encode = msgspec.msgpack.encode


class Choice(msgspec.Struct, frozen=True):
    """Which incidents of a tenant. Empty: all. `before`: only those opened before the one with this id; `start_ns`,
    `end_ns`: those that were open at some time in between."""

    tenant: str
    states: tuple[State, ...] = ()
    rule: str = ""
    team: str = ""
    start_ns: int = 0
    end_ns: int = 2**63 - 1
    before: str = ""


class IncidentStore:
    """Each call is a transaction, or part of the one that `database.transaction()` has opened."""

    def __init__(self, database: Database) -> None:
        """Raises Unusable: written by a newer version."""
        self.database = database
        database.add_part("incidents", _VERSION, _SCHEMA)

    def get(self, tenant: str, id_: str) -> Incident | None:
        return self._one("WHERE id = ? AND tenant = ?", (id_, tenant))

    def newest(self, tenant: str, key: str) -> Incident | None:
        """Of those with that key."""
        return self._one("WHERE tenant = ? AND key = ? ORDER BY opened_ns DESC, id DESC LIMIT 1", (tenant, key))

    def due(self, now_ns: int) -> list[Incident]:
        """Those for which a time has come, the longest due first."""
        return self._read("WHERE due_ns <= ? ORDER BY due_ns", (now_ns,))

    def next_due_ns(self) -> int | None:
        with self.database.transaction() as connection:
            (due_ns,) = connection.execute("SELECT min(due_ns) FROM incident WHERE due_ns IS NOT NULL").fetchone()
        return None if due_ns is None else int(due_ns)

    def open(self) -> list[Incident]:
        return self._read("WHERE ended_ns = 0", ())

    def all(self) -> Iterator[Incident]:
        """Page by page."""
        after = ""
        while page := self._read("WHERE id > ? ORDER BY id LIMIT ?", (after, _AT_ONCE)):
            yield from page
            after = page[-1].id

    def chosen(self, choice: Choice) -> Iterator[Incident]:
        """Newest first, page by page."""
        before = choice.before or "~"  # behind every id
        where, values = _where(choice)
        while page := self._read(f"WHERE id < ? AND {where} ORDER BY id DESC LIMIT 100", (before, *values)):
            yield from page
            before = page[-1].id

    def measured(self, choice: Choice) -> list[Measured]:
        """In no order."""
        where, values = _where(choice)
        with self.database.transaction() as connection:
            rows = connection.execute(f"SELECT measured FROM incident WHERE {where}", values).fetchall()  # noqa: S608 - from below
        return [_measured.decode(blob) for (blob,) in rows]

    def timeline(self, id_: str) -> list[AnyEvent]:
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT event FROM incident_event WHERE incident = ? ORDER BY seq", (id_,))
            return [_event.decode(blob) for (blob,) in rows]

    def incidents_of(self, tenant: str, fingerprints: Sequence[str]) -> dict[str, str]:
        """fingerprint -> id of the incident that the alert was in last."""
        found: dict[str, str] = {}
        with self.database.transaction() as connection:
            for start in range(0, len(fingerprints), _AT_ONCE):
                some = fingerprints[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                found |= connection.execute(
                    f"SELECT fingerprint, incident FROM incident_alert WHERE tenant = ? AND fingerprint IN ({marks})",  # noqa: S608 - marks alone
                    (tenant, *some),
                ).fetchall()
        return found

    def save(self, incident: Incident, key: str, events: Sequence[AnyEvent], due_ns: int | None) -> None:
        """`events` are the last ones of `incident.events`; `key` is kept as it was given first."""
        first = incident.events - len(events)
        with self.database.transaction() as connection:
            rows = [(incident.id, first + place, _encode(event)) for place, event in enumerate(events)]
            connection.executemany("INSERT INTO incident_event VALUES (?, ?, ?)", rows)
            connection.execute(
                "INSERT INTO incident VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " state = excluded.state, ended_ns = excluded.ended_ns, due_ns = excluded.due_ns,"
                " measured = excluded.measured, body = excluded.body",
                _row(incident, key, due_ns),
            )

    def note_alerts(self, tenant: str, fingerprints: Iterable[str], id_: str) -> None:
        with self.database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO incident_alert VALUES (?, ?, ?)", ((tenant, one, id_) for one in fingerprints)
            )

    def set_due(self, id_: str, due_ns: int | None) -> None:
        with self.database.transaction() as connection:
            connection.execute("UPDATE incident SET due_ns = ? WHERE id = ?", (due_ns, id_))

    def counts(self) -> list[tuple[str, str, int]]:
        """(tenant, state, how many)"""
        with self.database.transaction() as connection:
            return connection.execute("SELECT tenant, state, count(*) FROM incident GROUP BY 1, 2").fetchall()

    def forget(self, before_ns: int) -> int:
        """Those that ended before then, and their timelines. How many."""
        old = "SELECT id FROM incident WHERE ended_ns > 0 AND ended_ns < ?"
        with self.database.transaction() as connection:
            for table in ("incident_event", "incident_alert"):
                connection.execute(f"DELETE FROM {table} WHERE incident IN ({old})", (before_ns,))  # noqa: S608 - our own names
            gone = connection.execute("DELETE FROM incident WHERE ended_ns > 0 AND ended_ns < ?", (before_ns,))
            return gone.rowcount

    def differing(self) -> list[str]:
        """Ids of incidents that are not what their events add up to; none, or there is a fault of ours."""
        return [each.id for each in self.all() if fold(each.id, each.tenant, self.timeline(each.id)) != each]

    def _one(self, where: str, values: tuple[object, ...]) -> Incident | None:
        found = self._read(where, values)
        return found[0] if found else None

    def _read(self, where: str, values: tuple[object, ...]) -> list[Incident]:
        with self.database.transaction() as connection:
            rows = connection.execute(f"SELECT body FROM incident {where}", values)  # noqa: S608 - from above
            return [_incident.decode(blob) for (blob,) in rows]


def _row(incident: Incident, key: str, due_ns: int | None) -> tuple[object, ...]:
    named = (incident.id, incident.tenant, key, incident.state.value, incident.rule, incident.team)
    return (*named, incident.opened_ns, incident.ended_ns, due_ns, _encode(incident.measured), _encode(incident))


def _where(choice: Choice) -> tuple[str, list[object]]:
    terms = ["tenant = ?", "opened_ns < ?", "(ended_ns = 0 OR ended_ns >= ?)"]
    values: list[object] = [choice.tenant, choice.end_ns, choice.start_ns]
    for column, value in (("rule", choice.rule), ("team", choice.team)):
        if value:
            terms.append(f"{column} = ?")
            values.append(value)
    if choice.states:
        terms.append(f"state IN ({','.join('?' * len(choice.states))})")
        values += [state.value for state in choice.states]
    return " AND ".join(terms), values
