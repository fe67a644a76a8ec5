"""Completeness as series: gaps, dead letters and the account of each log, for /metrics and for rules.

Gaps and dead letters are looked at whenever the manifest has changed; gaps that are not sealed yet are known at once.
The accounts are settled every now and then: their figures are those of the last time.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from collector.accounting.account import StreamAccount
from collector.accounting.books import Books
from collector.accounting.gaps import source_name
from collector.accounting.ledger import Ledger
from collector.accounting.runs import size
from collector.metrics.families import Family
from collector.metrics.selector import NAME_LABEL, Selector
from collector.metrics.series import Sample, Vector
from collector.store.embedded.manifest import GapRow, Manifest
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Fault
from deckwatch.wire.metrics_catalogue import MetricInfo, MetricType
from deckwatch.wire.model import Format, GapReason, Labels

log = logging.getLogger(__name__)

MOST_LOGS = 1000
"""Label sets of one name; beyond it the logs with the smallest values are put together as `other`."""
OTHER = "other"
_LOOK_EVERY_S = 2.0
_SETTLE_EVERY_S = 60.0
_SETTLE_SHARE = 100  # at most this part of the time is spent on settling accounts

_G = MetricType.GAUGE
GAP_AGE, GAPS, GAP_BYTES = "deckwatch_log_gap_age_seconds", "deckwatch_log_gaps", "deckwatch_log_gap_bytes"
LETTERS, LETTER_AGE = "deckwatch_dead_letters_kept", "deckwatch_dead_letter_age_seconds"
_ABOUT = {
    GAP_AGE: MetricInfo(_G, "seconds", "Time since the newest declared gap of the log came in."),
    GAPS: MetricInfo(_G, "", "Declared gaps of the log that are remembered."),
    GAP_BYTES: MetricInfo(_G, "bytes", "Bytes in declared gaps of the log, as far as they are known."),
    LETTERS: MetricInfo(_G, "", "Dead letters that are kept."),
    LETTER_AGE: MetricInfo(_G, "seconds", "Time since the newest dead letter came in."),
    "deckwatch_log_admitted_bytes": MetricInfo(_G, "bytes", "Bytes of the log that were admitted, each once."),
    "deckwatch_log_stored_bytes": MetricInfo(_G, "bytes", "Bytes of the log that lie in records."),
    "deckwatch_log_open_bytes": MetricInfo(_G, "bytes", "Bytes in lines and traces that may still go on."),
    "deckwatch_log_dead_letter_bytes": MetricInfo(_G, "bytes", "Bytes of the log that are kept as dead letters."),
    "deckwatch_log_dropped_bytes": MetricInfo(_G, "bytes", "Bytes that were stored and dropped, mostly by retention."),
    "deckwatch_log_lost_bytes": MetricInfo(_G, "bytes", "Bytes in declared gaps, counted once."),
    "deckwatch_log_unaccounted_bytes": MetricInfo(_G, "bytes", "Bytes that nobody holds and nobody declared: 0."),
    "deckwatch_log_records": MetricInfo(_G, "", "Records that were made of the log."),
}


class GapSum(msgspec.Struct):
    """Of one log and reason."""

    gaps: int = 0
    bytes: int = 0
    newest_ns: int = 0

    def add(self, row: GapRow) -> None:
        self.gaps += 1
        self.bytes += max(0, row.end - row.start)
        self.newest_ns = max(self.newest_ns, row.received_ns)


class _Letters(msgspec.Struct, frozen=True):
    count: int
    newest_ns: int


class CompletenessSeries:
    """`series.Newest` and a FamilySource; lives in the event loop, `follow` and `settle` run as services."""

    def __init__(
        self,
        manifest: Manifest,
        pending: Callable[[], Sequence[GapRow]],
        account_of: Callable[[str], StreamAccount | None],
        books: Callable[[], Awaitable[Books]],
        clock: Clock,
    ) -> None:
        self._manifest = manifest
        self._pending = pending
        self._account_of = account_of
        self._books = books
        self._clock = clock
        self._seen = manifest.changes
        self._gap_rows, self._letters = _read(manifest)  # a rule that fires must not miss its series after a restart
        self._accounts: Mapping[str, list[tuple[str, Labels, float]]] = {}  # (name, labels, value) by tenant

    # Services --------------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Read gaps and dead letters again when the manifest has changed."""
        failing = False
        while True:
            if self._seen != (changes := self._manifest.changes):
                try:
                    self._gap_rows, self._letters = await asyncio.to_thread(_read, self._manifest)
                except sqlite3.Error as error:  # figures of before are shown; the store says what it can't do itself
                    if not failing:
                        log.warning("gaps and dead letters can't be read from the manifest, trying again: %s", error)
                    failing = True
                else:
                    self._seen, failing = changes, False
            await self._clock.sleep(_LOOK_EVERY_S)

    async def settle(self) -> None:
        """Settle the accounts, more rarely where that takes long."""
        while True:
            began = self._clock.monotonic()
            try:
                await self.settle_once()
            except Fault as fault:
                log.info("the accounts of logs are settled later: %s", fault)
            took_s = self._clock.monotonic() - began
            await self._clock.sleep(max(_SETTLE_EVERY_S, _SETTLE_SHARE * took_s))

    async def settle_once(self) -> None:
        books = await self._books()
        self._accounts = await asyncio.to_thread(_figures, books)

    # Series ----------------------------------------------------------------------------------------------------

    def instant(self, tenant: str, selector: Selector, at_ns: int) -> Vector:
        if not any(selector.takes_name(name) for name in _ABOUT):
            return Vector()
        found = [
            Sample(tuple(sorted(((NAME_LABEL, name), *labels))), value)
            for name, labels, value in self._all(tenant, at_ns)
            if selector.takes_name(name) and selector.takes_labels(dict(labels))
        ]
        return Vector(tuple(found))

    def families(self, tenant: str, at_ns: int) -> Iterator[Family]:
        samples: dict[str, list[tuple[Labels, float]]] = {}
        for name, labels, value in self._all(tenant, at_ns):
            samples.setdefault(name, []).append((labels, value))
        for name, found in samples.items():
            yield Family.of(name, _ABOUT[name], found)

    def _all(self, tenant: str, at_ns: int) -> Iterator[tuple[str, Labels, float]]:
        for labels, one in self._gap_sums(tenant).items():
            yield GAP_AGE, labels, max(0.0, (at_ns - one.newest_ns) / 1e9)
            yield GAPS, labels, float(one.gaps)
            yield GAP_BYTES, labels, float(one.bytes)
        letters = self._letters.get(tenant)
        if letters is not None:
            yield LETTERS, (), float(letters.count)
            yield LETTER_AGE, (), max(0.0, (at_ns - letters.newest_ns) / 1e9)
        yield from self._accounts.get(tenant, ())

    def _gap_sums(self, tenant: str) -> dict[Labels, GapSum]:
        """The newest logs with gaps, by their labels."""
        sums: dict[Labels, GapSum] = {}
        for row in dict.fromkeys((*self._gap_rows, *self._pending())):
            if row.tenant == tenant and row.reason != GapReason.BEFORE_START:
                labels = (*_labels(row.host, source_name(row, self._account_of(row.key))), ("reason", row.reason))
                sums.setdefault(labels, GapSum()).add(row)
        if len(sums) <= MOST_LOGS:
            return sums
        newest = sorted(sums.items(), key=lambda item: -item[1].newest_ns)
        return dict(newest[:MOST_LOGS])


def _labels(host: str, container: str) -> Labels:
    return (("container", container), ("host", host))


def _read(manifest: Manifest) -> tuple[tuple[GapRow, ...], dict[str, _Letters]]:
    with manifest.reading() as db:
        letters = db.execute("SELECT tenant, count(*), max(received_ns) FROM dead_letters GROUP BY tenant").fetchall()
        tenants = [tenant for (tenant,) in db.execute("SELECT DISTINCT tenant FROM gaps")]
    rows = tuple(row for tenant in tenants for row in manifest.gaps(tenant))
    return rows, {tenant: _Letters(count, newest_ns) for tenant, count, newest_ns in letters}


def _figures(books: Books) -> dict[str, list[tuple[str, Labels, float]]]:
    """Summed up over the streams of each container (or file), by tenant."""
    sums: dict[tuple[str, Labels], dict[str, float]] = {}
    for key, account in books.cut.accounts.items():
        ledger = books.ledger(key)
        if ledger is None or account.format is Format.FRAMES:
            continue
        context = account.context
        container = context.container
        name = (container.name or container.id) if container else context.path
        figures = sums.setdefault((account.tenant, _labels(context.host, name)), {})
        for figure, value in _of_ledger(ledger):
            figures[figure] = figures.get(figure, 0.0) + value
    by_tenant: dict[str, list[tuple[Labels, dict[str, float]]]] = {}
    for (tenant, labels), figures in sums.items():
        by_tenant.setdefault(tenant, []).append((labels, figures))
    return {tenant: list(_bounded(logs)) for tenant, logs in by_tenant.items()}


def _of_ledger(ledger: Ledger) -> Iterable[tuple[str, float]]:
    yield "deckwatch_log_admitted_bytes", ledger.admitted
    yield "deckwatch_log_stored_bytes", ledger.stored
    yield "deckwatch_log_open_bytes", ledger.open
    yield "deckwatch_log_dead_letter_bytes", ledger.dead_letters
    yield "deckwatch_log_dropped_bytes", sum(ledger.dropped.values())
    yield "deckwatch_log_lost_bytes", sum(ledger.lost.values())
    yield "deckwatch_log_unaccounted_bytes", size(ledger.unaccounted) + abs(ledger.not_admitted)
    yield "deckwatch_log_records", ledger.records


def _bounded(logs: list[tuple[Labels, dict[str, float]]]) -> Iterator[tuple[str, Labels, float]]:
    """The largest logs one by one, unbalanced ones first; the others together."""
    by_size = sorted(
        logs,
        key=lambda one: (one[1]["deckwatch_log_unaccounted_bytes"], one[1]["deckwatch_log_admitted_bytes"]),
        reverse=True,
    )
    rest: dict[str, float] = {}
    for place, (labels, figures) in enumerate(by_size):
        for name, value in figures.items():
            if place < MOST_LOGS:
                yield name, labels, value
            else:
                rest[name] = rest.get(name, 0.0) + value
    yield from ((name, _labels(OTHER, OTHER), value) for name, value in rest.items())
