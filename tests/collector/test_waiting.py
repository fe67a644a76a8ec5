"""What waits between journal and parser: weighed as it is in memory, read from the journal where it is too much."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from collector.apply import CACHE_BYTES, Cached, Waiting
from collector.intake.journal import Journal
from collector.intake.journal_file import Entry, Kind
from deckwatch.wire.model import Batch
from tests.fixtures.push import Stream


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    made = Journal(tmp_path)
    yield made
    await made.close()


def large_batch() -> Batch:
    stream = Stream()
    return stream.batch([stream.chunk(b"x" * (CACHE_BYTES // 4))])


async def test_a_batch_weighs_what_it_takes_however_little_of_it_was_new(journal: Journal) -> None:
    """Agents that send again after a lost ack bring batches of which nothing is new."""
    waiting, batch = Waiting(journal), large_batch()
    for _ in range(20):
        await journal.submit(Kind.BATCH, 1, b"mostly overlap", lambda entry: waiting.put(Cached(entry, batch)))
    assert len(waiting) == 4
    taken = [waiting.take(seq) for seq in range(20)]
    assert [one.entry.seq for one in taken] == list(range(20))
    assert [one.batch is not None for one in taken] == [True] * 4 + [False] * 16


async def test_the_journal_is_read_on_and_not_anew_where_some_entries_were_at_hand(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, read = Waiting(journal), journal.read
    reads: list[int] = []

    def counted(after: int) -> Iterator[Entry]:
        reads.append(after)
        return read(after)

    monkeypatch.setattr(journal, "read", counted)
    for seq in range(20):
        await journal.submit(
            Kind.DECISION, 1, b"", lambda entry: waiting.put(Cached(entry, None)) if entry.seq % 3 == 0 else None
        )
        assert journal.durable_seq == seq
    assert [waiting.take(seq).entry.seq for seq in range(20)] == list(range(20))
    assert len(reads) == 1
