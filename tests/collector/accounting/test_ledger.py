"""The equation of a stream, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from collector.accounting.account import StreamAccount
from collector.accounting.ledger import Holdings, KnownGap, settle
from collector.accounting.runs import Runs, size
from deckwatch.wire.model import Context, Format, StreamId


def account(admitted: int = 100, records: int = 0, *, since: int = 0, form: Format = Format.PLAIN) -> StreamAccount:
    identity = StreamId("agent", "web", "1-0")
    return StreamAccount(identity, "default", form, Context("host"), since, 100, admitted, records)


AGENTS, OURS = True, False
ALL = [(0, 100)]


@pytest.mark.parametrize(
    ("held", "counted", "figures"),
    [
        (Holdings(stored=ALL), account(), {"stored": 100}),
        (Holdings(stored=[(0, 60)], open=((60, 100),)), account(), {"stored": 60, "open": 40}),
        (Holdings(stored=[(0, 60), (20, 30)]), account(60), {"stored": 60, "unaccounted": ((60, 100),)}),
        (Holdings(stored=[(60, 100)], dead_letters=((0, 60),)), account(), {"stored": 40, "dead_letters": 60}),
        (Holdings(stored=[(60, 100)], dropped={"retention": ((0, 60),)}), account(), {"dropped": {"retention": 60}}),
        (
            Holdings(stored=[(0, 60)], gaps=[KnownGap(60, 100, "truncated", AGENTS)]),
            account(60),
            {"lost": {"truncated": 40}},
        ),
        # the same gap, but its bytes were admitted: somebody is wrong
        (
            Holdings(stored=[(0, 60)], gaps=[KnownGap(60, 100, "truncated", AGENTS)]),
            account(100),
            {"not_admitted": -40},
        ),
        # a damaged segment: they were admitted, and are lost here
        (Holdings(stored=[(0, 60)], gaps=[KnownGap(60, 100, "damaged", OURS)]), account(), {"lost": {"damaged": 40}}),
        # a gap that turned out to be smaller: what is stored counts first
        (Holdings(stored=ALL, gaps=[KnownGap(60, 90, "deleted", AGENTS)]), account(), {"stored": 100, "lost": {}}),
        (Holdings(stored=ALL, gaps=[KnownGap(100, -1, "deleted", AGENTS)]), account(), {"open_ended_gaps": 1}),
        (
            Holdings(stored=[(60, 100)], dropped={"lost before all that is kept": ((0, 60),)}),
            account(40),
            {"lost": {"lost before all that is kept": 60}, "dropped": {}},
        ),
        (Holdings(stored=ALL), account(90), {"not_admitted": 10}),  # bytes that were never counted as admitted
        (Holdings(stored=ALL, sealed_rows=3, hot_rows=1), account(records=5), {"missing_records": 1}),
        (Holdings(stored=ALL, sealed_rows=6), account(records=5), {"missing_records": -1}),
        (
            Holdings(stored=ALL, sealed_rows=1, dropped_rows=2, aside_rows=2),
            account(records=5),
            {"dropped_records": 2, "aside_records": 2},
        ),
        # an older version had stored the beginning, and counted nothing
        (Holdings(stored=ALL, sealed_rows=9), account(60, 3, since=40), {"stored": 60, "since": 40}),
        # samples are nobody's rows
        (Holdings(), account(form=Format.FRAMES), {"stored": 100}),
        (Holdings(gaps=[KnownGap(0, 30, "spool full", AGENTS)]), account(70, form=Format.FRAMES), {"stored": 70}),
    ],
)
def test_the_equation(held: Holdings, counted: StreamAccount, figures: dict[str, Any]) -> None:
    ledger = settle("k", counted, held)
    for name, value in figures.items():
        assert getattr(ledger, name) == value, (name, ledger)
    left: Runs = ledger.unaccounted
    parts = ledger.stored + ledger.open + ledger.dead_letters + sum(ledger.dropped.values())
    assert ledger.offset - ledger.since == parts + sum(ledger.lost.values()) + size(left)
    assert ledger.balanced is not bool({"unaccounted", "not_admitted", "missing_records"} & {*figures})
