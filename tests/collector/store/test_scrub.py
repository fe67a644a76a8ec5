"""Old segments are read again at a low rate."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from collector.store.embedded.manifest import SegmentRow
from collector.store.embedded.scrub import Scrub, next_due
from collector.store.embedded.store import EmbeddedStore
from deckwatch.runtime.clock import ManualClock
from tests.collector.store.test_embedded import expected, messages, open_store
from tests.collector.store.test_integrity import data_of, stored
from tests.fixtures.records import SECOND, T0

WEEK_S = 7 * 86400.0


def row(id_: int, *, written_s: int, scrubbed_s: int = 0, damaged: str = "") -> SegmentRow:
    ns = written_s * SECOND
    return SegmentRow(id_, "t", "d", "f", 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, ns, ns, damaged, 0, scrubbed_s * SECOND)


@pytest.mark.parametrize(
    ("rows", "due"),
    [
        ([], None),
        ([row(1, written_s=0)], 1),
        ([row(1, written_s=950)], None),
        ([row(1, written_s=0, scrubbed_s=950)], None),
        ([row(1, written_s=0, scrubbed_s=800), row(2, written_s=0, scrubbed_s=700)], 2),
        ([row(1, written_s=0, damaged="x"), row(2, written_s=10)], 2),
    ],
)
def test_next_due(rows: list[SegmentRow], due: int | None) -> None:
    found = next_due(rows, 1000 * SECOND, 100.0)
    assert (found.id if found else None) == due


class Rig:
    def __init__(self, folder: Path) -> None:
        self.store: EmbeddedStore = open_store(folder, compaction_bytes=0)
        self.clock = ManualClock(T0 + int((WEEK_S + 60) * 1e9))
        self.store._clock = self.clock
        self.registry = CollectorRegistry()
        self.scrub = Scrub(self.store, self.clock, self.registry)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    stored(tmp_path)
    return Rig(tmp_path)


async def test_every_segment_is_read_once_a_period_with_pauses(rig: Rig) -> None:
    rig.store.settings = msgspec.structs.replace(rig.store.settings, scrub_bytes_per_s=1 << 10)
    running = asyncio.create_task(rig.scrub.run())
    size = rig.store.segment_rows[0].data_bytes + rig.store.segment_rows[0].index_bytes
    await until(lambda: rig.value("deckwatch_store_scrubbed_bytes_total") == size)
    await asyncio.sleep(0.05)
    assert rig.value("deckwatch_store_scrubbed_bytes_total") == size, "it waits as long as the bytes should take"
    for _ in range(200):
        await rig.clock.advance(1.0)
        await asyncio.sleep(0.005)
    total = sum(row.data_bytes + row.index_bytes for row in rig.store.segment_rows)
    assert rig.value("deckwatch_store_scrubbed_bytes_total") == total
    assert (rig.value("deckwatch_store_scrub_age_seconds") or 0) < 300
    running.cancel()
    assert all(row.scrubbed_ns for row in rig.store.manifest.segments()), "a restart does not begin anew"
    rig.store.close()


async def until(holds: object) -> None:
    async with asyncio.timeout(10):
        assert callable(holds)
        while not holds():
            await asyncio.sleep(0.01)


async def test_damage_that_no_search_would_meet_is_found(rig: Rig, tmp_path: Path) -> None:
    first, second, third = rig.store.segment_rows
    for path, at in (
        (data_of(tmp_path, first), 2),  # Parquet's magic
        (data_of(tmp_path, second).with_suffix(".index"), -3),
    ):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
    for one in (first, second, third):
        rig.scrub.look(one)
    assert rig.value("deckwatch_store_scrub_faults_total", file="data") == 1
    assert rig.value("deckwatch_store_scrub_faults_total", file="index") == 1
    assert await messages(rig.store) == expected(range(1, 3))
    assert {gap.segment for gap in rig.store.manifest.gaps("default")} == {first.id}
    for one in rig.store.segment_rows[1:]:
        rig.store.folder.verify(one)
    rig.store.close()


def test_what_an_older_version_did_not_note_is_noted(rig: Rig) -> None:
    first = rig.store.segment_rows[0]
    before = rig.store.manifest.coverage(first.id)
    with rig.store.manifest.transaction() as db:
        db.execute("DELETE FROM coverage")
    rig.scrub.look(first)
    assert rig.store.manifest.coverage(first.id) == before
    rig.store.close()


async def test_a_fault_does_not_end_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def failing(row: SegmentRow) -> None:
        looked.append(row.id)
        raise OSError("the manifest cannot be written")

    monkeypatch.setattr(rig.scrub, "look", failing)
    running = asyncio.create_task(rig.scrub.run())
    for _ in range(200):
        await rig.clock.advance(1.0)
        await asyncio.sleep(0.002)
    assert len(looked) > 1
    assert not running.done()
    running.cancel()
    rig.store.close()
