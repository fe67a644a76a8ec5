"""The equation of a stream, and what is left over. Pure: it is handed what everybody holds at one journal entry.

For each stream, in bytes, at any entry of the journal:

    offset - since = stored + open + dead letters + dropped + lost + unaccounted

*offset* is the durable position that the agent was told; *since* where counting began (0, but for a stream that an
older version had begun to store). *stored* bytes lie in records that can be found; *open* ones in lines and traces
that may still go on; *dead letters* are kept with the reason why they are no records; *dropped* ones were stored and
went on purpose (retention); *lost* ones lie in declared gaps. What is *unaccounted* must be nothing.

Counted apart from that, and compared with it: the bytes of chunks that were admitted, which must be all but those that
the agent declared lost; and the records that were made, which must be those that are found, set aside with a damaged
segment, or dropped. So a record is missed too that lies inside the bytes of another (stdout inside a trace of stderr).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from collector.accounting.account import StreamAccount
from collector.accounting.runs import Run, Runs, joined, size, without
from collector.store.embedded.kept import FORGOTTEN_GAP
from deckwatch.wire.model import Format

Take = Callable[[Runs], int]
"""Takes ranges from what is left; how many bytes they were."""


class KnownGap(msgspec.Struct, frozen=True):
    """A gap as the ledger needs it: `end` is -1 where nobody knows it."""

    start: int
    end: int
    reason: str
    by_agent: bool  # False: it was here and is lost (a damaged segment)


class Holdings(msgspec.Struct):
    """What everybody holds of one stream. Ranges of different holders may overlap: the first one below counts."""

    sealed_rows: int = 0
    stored: list[Run] = []
    hot_rows: int = 0
    open: Runs = ()
    dead_letters: Runs = ()
    dropped_rows: int = 0
    dropped: dict[str, Runs] = {}  # by reason
    aside_rows: int = 0  # in segments that were set aside
    gaps: list[KnownGap] = []


class Ledger(msgspec.Struct, frozen=True):
    """The account of one stream. Sizes in bytes."""

    key: str
    offset: int
    since: int
    admitted: int
    stored: int
    open: int
    dead_letters: int
    dropped: dict[str, int]  # by reason
    lost: dict[str, int]  # by reason, gaps whose end is known
    open_ended_gaps: int  # gaps whose end nobody knows: how much they lost can't be said
    unaccounted: Runs
    not_admitted: int  # bytes that came without being declared or admitted (less than 0: admitted twice)
    records: int  # made
    lines: int  # of text in them
    found_records: int
    dropped_records: int
    aside_records: int

    @property
    def missing_records(self) -> int:
        """Less than 0: some are there twice."""
        if self.since:
            return 0  # records of before were not counted
        return self.records - self.found_records - self.dropped_records - self.aside_records

    @property
    def balanced(self) -> bool:
        return not self.unaccounted and not self.not_admitted and not self.missing_records


def settle(key: str, account: StreamAccount, held: Holdings) -> Ledger:
    whole: Runs = ((account.since, account.offset),) if account.offset > account.since else ()
    left = whole

    def take(runs: Runs) -> int:
        nonlocal left
        before, left = size(left), without(left, runs)
        return before - size(left)

    if account.format is Format.FRAMES:  # samples and events are nobody's rows: what was admitted was handed on
        gaps = joined((gap.start, gap.end) for gap in held.gaps)
        stored = take(without(left, gaps))
    else:
        stored = take(joined(held.stored))
    open_bytes = take(held.open)
    letters = take(held.dead_letters)
    gone = {why: runs for why, runs in held.dropped.items() if why != FORGOTTEN_GAP}
    dropped = {why: taken for why, runs in gone.items() if (taken := take(runs))}
    damaged = _lost((gap for gap in held.gaps if not gap.by_agent), take)
    declared = _lost((gap for gap in held.gaps if gap.by_agent), take)
    if forgotten := take(held.dropped.get(FORGOTTEN_GAP, ())):
        declared[FORGOTTEN_GAP] = forgotten
    missing = size(whole) - sum(declared.values()) - account.admitted_bytes
    return Ledger(
        key=key,
        offset=account.offset,
        since=account.since,
        admitted=account.admitted_bytes,
        stored=stored,
        open=open_bytes,
        dead_letters=letters,
        dropped=dropped,
        lost=damaged | declared,
        open_ended_gaps=sum(gap.end < 0 for gap in held.gaps),
        unaccounted=left,
        not_admitted=missing,
        records=account.records,
        lines=account.lines,
        found_records=held.sealed_rows + held.hot_rows,
        dropped_records=held.dropped_rows,
        aside_records=held.aside_rows,
    )


def _lost(gaps: Iterable[KnownGap], take: Take) -> dict[str, int]:
    """By reason."""
    runs: dict[str, list[Run]] = {}
    for gap in gaps:
        if gap.end > gap.start:
            runs.setdefault(gap.reason, []).append((gap.start, gap.end))
    return {reason: taken for reason, found in runs.items() if (taken := take(joined(found)))}
