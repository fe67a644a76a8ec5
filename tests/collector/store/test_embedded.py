"""What the embedded store keeps over crashes, damage, retention and compaction."""

from __future__ import annotations

import asyncio
import errno
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import duckdb
import msgspec
import polars as pl
import pytest

from collector.search.language import parse
from collector.store.embedded.choice import small_neighbours
from collector.store.embedded.manifest import DeadLetter, GapRow, Manifest, SegmentRow
from collector.store.embedded.search import EmbeddedSearch
from collector.store.embedded.segment import Segment
from collector.store.embedded.segment_data import OpenData
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.store import EmbeddedStore, Sealing
from collector.store.protocol import STORED_ROWS
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import Position
from tests.fixtures.records import SECOND, T0, Line, frame, origin

WEB, DB, OTHER = origin("web"), origin("db"), origin("web", tenant="acme/../x")
DAY = 86_400 * SECOND
FOREVER = (-(2**63), 2**63 - 1)


def open_store(folder: Path, **settings: float) -> EmbeddedStore:
    return EmbeddedStore(folder, msgspec.convert(settings, EmbeddedStoreSettings), ManualClock(T0 + DAY))


def begin(store: EmbeddedStore, seq: int, state: bytes = b"") -> Sealing:
    return store.begin_seal(seq, state, {"k": Position(seq, 5)}, [], [], [])


def seal(store: EmbeddedStore, seq: int, state: bytes = b"") -> None:
    store.finish_seal(begin(store, seq, state))


def fill(store: EmbeddedStore, seqs: range, per_frame: int = 10) -> None:
    for seq in seqs:
        store.append(frame(seq, [WEB, DB], [Line(f"line {seq}-{n}", at_s=n, origin=n % 2) for n in range(per_frame)]))


async def messages(store: EmbeddedStore, query: str = "", tenant: str = "default") -> list[str]:
    reader = EmbeddedSearch(store, lambda: 0)
    try:
        found = await reader.field_values(tenant, parse(query), *FOREVER, "message", 100_000)
    finally:
        reader.close()
    assert all(value.count == 1 for value in found.values)
    return sorted(value.value for value in found.values)


def expected(seqs: range, per_frame: int = 10) -> list[str]:
    return sorted(f"line {seq}-{n}" for seq in seqs for n in range(per_frame))


async def test_what_was_sealed_is_there_after_a_restart_with_its_position(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, range(5))
    seal(store, 4, b"open groups")
    fill(store, range(5, 7))
    store.close()  # as after a kill: what was hot is gone, the journal gives it again
    store = open_store(tmp_path)
    assert (store.committed_seq, store.parser_state) == (4, b"open groups")
    assert store.manifest.positions() == {"k": Position(4, 5)}
    assert await messages(store) == expected(range(5))
    fill(store, range(5, 7))
    seal(store, 6)
    assert await messages(store) == expected(range(7))
    store.close()


async def test_a_record_is_seen_exactly_once_before_during_and_after_sealing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, range(3))
    assert await messages(store) == expected(range(3))
    sealing = begin(store, 2)
    fill(store, range(3, 5))
    assert store.snapshot().of("default").sealing
    assert await messages(store) == expected(range(5))
    store.finish_seal(sealing)
    assert not store.snapshot().of("default").sealing
    assert await messages(store) == expected(range(5))
    store.close()


async def test_a_crash_between_writing_and_committing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)
    fill(store, range(3))

    def crash(self: Manifest, sealed: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "seal", crash)
        patched.setattr("collector.store.embedded.segments.SegmentFolder.remove", lambda self, row: None)
        with pytest.raises(KeyboardInterrupt):
            seal(store, 2)
    assert list(tmp_path.glob("segments/*/*/*.parquet"))
    store.close()
    store = open_store(tmp_path)
    assert store.committed_seq == -1
    assert not list(tmp_path.glob("segments/*/*/*"))
    store.close()


async def test_a_sealing_that_failed_can_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    fill(store, range(3))
    sealing = begin(store, 2)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("collector.store.embedded.segments.write", full)
        with pytest.raises(OSError, match="No space left"):
            store.finish_seal(sealing)
    assert await messages(store) == expected(range(3))
    store.finish_seal(sealing)
    assert store.committed_seq == 2
    assert await messages(store) == expected(range(3))
    store.close()


async def test_a_damaged_segment_is_set_aside_and_the_rest_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(tmp_path, compaction_bytes=0)
    for seq in range(3):
        fill(store, range(seq, seq + 1))
        seal(store, seq)
    store.close()
    first, second, third = sorted(tmp_path.glob("segments/*/*/*.parquet"))
    first.write_bytes(first.read_bytes()[:-100])  # found when it is opened
    data = bytearray(second.read_bytes())
    data[100:400] = bytes(300)  # found when it is read
    second.write_bytes(data)
    store = open_store(tmp_path, compaction_bytes=0)
    assert await messages(store) == expected(range(2, 3))
    assert caplog.text.count("is damaged and was set aside") == 2
    assert len(list(tmp_path.glob("segments/*/*/*.parquet.damaged"))) == 2
    assert third.exists()
    store.close()
    store = open_store(tmp_path, compaction_bytes=0)
    assert [bool(row.damaged) for row in store.segment_rows] == [True, True, False]
    store.close()


async def test_a_flipped_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    """Random text hardly compresses: zstd stores it as it is, and would hand a flipped bit on without a word."""
    rng = random.Random(5)
    lines = [Line("".join(rng.choices("abcdefghij", k=60)), at_s=n) for n in range(500)]
    store = open_store(tmp_path)
    store.append(frame(0, [WEB], lines))
    seal(store, 0)
    store.close()
    (data,) = tmp_path.rglob("*.parquet")
    good = data.read_bytes()
    want = [line.message for line in lines]
    for _ in range(25):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        data.write_bytes(bad)
        try:
            segment = Segment(data.with_suffix(""), 1, OpenData())
            found = [text for block in segment.blocks for text in block.read(["message"])["message"]]
            assert sorted(found) == sorted(want)
        except (OSError, ValueError):
            continue


async def test_a_damaged_word_filter_hides_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(tmp_path)
    store.append(frame(0, [WEB], [Line(f"needle{n}") for n in range(50)]))
    seal(store, 0)
    store.close()
    (index,) = tmp_path.rglob("*.index")
    data = index.read_bytes()
    filters_at = int.from_bytes(data[12:16], "little")
    index.write_bytes(data[:filters_at] + bytes(len(data) - filters_at))
    store = open_store(tmp_path)
    assert await messages(store, "needle7") == ["needle7"]
    assert "the word filter of" in caplog.text
    store.close()


@pytest.mark.parametrize("byte", [3, 9, 13, 17, 21, 40])
async def test_a_flipped_bit_in_the_head_of_an_index_is_noticed_and_mended(
    tmp_path: Path, byte: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It would skip blocks by wrong times or levels. All of an index can be made from the data again."""
    store = open_store(tmp_path)
    fill(store, range(1))
    seal(store, 0)
    store.close()
    (index,) = tmp_path.rglob("*.index")
    data = bytearray(index.read_bytes())
    data[byte] ^= 1
    index.write_bytes(data)
    store = open_store(tmp_path)
    assert await messages(store) == expected(range(1))
    assert "was damaged and was made anew" in caplog.text
    store.close()
    assert index.read_bytes() == bytes(data[:byte]) + bytes([data[byte] ^ 1]) + bytes(data[byte + 1 :])


def test_a_clock_that_jumps_ahead_drops_nothing_before_it_has_stayed_there(tmp_path: Path) -> None:
    store = open_store(tmp_path, retention_s=86_400.0)
    fill(store, range(2))
    seal(store, 1)
    clock = store._clock = ManualClock(T0 + 60 * SECOND)
    assert store.retain() == 0
    clock.jump_wall(20 * 86_400)
    assert store.retain() == 0
    clock.jump_wall(-20 * 86_400)  # somebody has put it right
    assert store.retain() == 0
    clock.jump_wall(20 * 86_400)
    assert store.retain() == 0
    store.close()
    store = open_store(tmp_path, retention_s=86_400.0)
    clock = store._clock = ManualClock(T0 + 20 * DAY)  # wrong from the start, or we were away for long
    assert store.retain() == 0
    asyncio.run(clock.advance(3599))
    assert store.retain() == 0
    asyncio.run(clock.advance(2))
    assert store.retain() == 20
    store.close()


async def test_retention_by_age_and_by_size(tmp_path: Path) -> None:
    store = open_store(tmp_path, compaction_bytes=0, retention_s=86_400.0)
    fill(store, range(2))
    seal(store, 1)
    fill(store, range(100_000, 100_002))  # received more than a day later
    seal(store, 100_001)
    assert len({row.day for row in store.segment_rows}) == 2
    store._clock = ManualClock(T0 + DAY + 50_000 * SECOND)
    assert store.retain() == 20
    assert await messages(store) == expected(range(100_000, 100_002))
    assert len(store.manifest.origins()) == 2
    store.settings = msgspec.structs.replace(store.settings, retention_s=0.0, retention_bytes=1)
    assert store.retain() == 20
    assert await messages(store) == []
    assert not list(tmp_path.glob("segments/*/*/*"))
    assert store.manifest.origins() == {}
    assert store.manifest.positions() == {"k": Position(100_001, 5)}, "positions outlive what retention dropped"
    store.close()


async def test_compaction_keeps_every_record_and_a_reader_its_generation(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for seq in range(6):
        fill(store, range(seq, seq + 1))
        seal(store, seq)
    before = store.snapshot()
    store.compact_all()
    assert len(store.segment_rows) == 1
    assert await messages(store) == expected(range(6))
    assert sum(block.read(["ts"]).height for block in before.of("default").all) == 60
    store.close()


def test_small_neighbours_stay_in_tenant_day_and_size() -> None:
    def row(id_: int, text: int, tenant: str = "a", day: str = "d1", damaged: str = "") -> SegmentRow:
        return SegmentRow(id_, tenant, day, "f", 1, text, 0, 0, 0, 0, 0, 0, id_, id_, 0, 0, damaged)

    rows = [row(n, 10) for n in range(3)] + [
        row(3, 10, "b"),
        row(4, 10, day="d2"),
        row(5, 500),
        row(6, 10, damaged="x"),
    ]
    assert small_neighbours(rows, 100) == []
    assert [r.id for r in small_neighbours([*rows, row(7, 10)], 100)] == [0, 1, 2, 7]
    assert [r.id for r in small_neighbours([row(n, 60) for n in range(9)], 150)] == [0, 1, 2, 3, 4]


async def test_tenants_have_folders_of_their_own_that_none_can_leave(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(frame(0, [WEB, OTHER], [Line("ours"), Line("theirs", origin=1)]))
    seal(store, 0)
    assert await messages(store) == ["ours"]
    assert await messages(store, tenant="acme/../x") == ["theirs"]
    assert sorted(path.name for path in (tmp_path / "segments").iterdir()) == ["acme%2F%2E%2E%2Fx", "default"]
    store.close()


def test_gaps_and_dead_letters_are_committed_with_the_records(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    gap = GapRow(0, T0, "default", "h", "k", "src", 5, 9, "truncated", T0, "")
    letter = DeadLetter(0, 0, T0, "default", "h", "src", "k", 9, 13, "frames", b"", "no frame", 0, 0, b"\x00raw")
    store.finish_seal(store.begin_seal(0, b"", {}, [], [gap], [letter]))
    assert store.manifest.gaps("default") == [gap]
    assert store.manifest.dead_letter_count() == 1
    store.close()


def test_a_newer_or_broken_manifest_is_refused_in_words(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / "manifest.sqlite") as db:
        db.execute("PRAGMA user_version=9")
    db.close()
    with pytest.raises(Unusable, match="version 9, this Deckwatch reads up to 3"):
        open_store(tmp_path)
    (tmp_path / "manifest.sqlite").write_bytes(b"no database at all, but long enough to be read as one" * 100)
    for rest in tmp_path.glob("manifest.sqlite-*"):
        rest.unlink()
    with pytest.raises(Unusable, match="cannot be read as the store's manifest"):
        open_store(tmp_path)


def test_segments_are_plain_parquet_for_duckdb_and_polars(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    lines = [Line(f"GET /{n}", at_s=n, level="info" if n % 2 else "", origin=n % 2) for n in range(10)]
    store.append(frame(0, [WEB, DB], lines))
    seal(store, 0)
    store.close()
    files = str(tmp_path / "segments/*/*/*.parquet")
    rows = duckdb.execute(
        """SELECT "container.name", "log.level", count(*) FROM read_parquet(?) GROUP BY ALL ORDER BY ALL""", [files]
    ).fetchall()
    assert rows == [("db", "info", 5), ("web", None, 5)]
    table = pl.scan_parquet(files).filter(pl.col("host.name") == "host-1").sort("@timestamp").collect()
    assert table["message"].to_list() == [f"GET /{n}" for n in range(10)]
    assert table["container.labels.team"].unique().to_list() == ["blue"]
    assert table.schema["@timestamp"] == pl.Datetime("ns", "UTC")


async def test_a_manifest_on_a_full_disk_takes_nothing_and_goes_on_later(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, range(3))
    sealing = begin(store, 2, b"x" * 100_000)
    (pages,) = store.manifest._db.execute("PRAGMA page_count").fetchone()
    store.manifest._db.execute(f"PRAGMA max_page_count={pages}")
    for _ in range(2):
        with pytest.raises(OSError, match="full"):
            store.finish_seal(sealing)
        assert await messages(store) == expected(range(3))
    store.manifest._db.execute("PRAGMA max_page_count=1000000")
    store.finish_seal(sealing)
    assert await messages(store) == expected(range(3))
    assert len(list(tmp_path.glob("segments/*/*/*.parquet"))) == 1
    store.close()


async def test_a_new_segment_that_cannot_be_opened_is_written_again_and_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)
    fill(store, range(3))
    sealing = begin(store, 2)
    with monkeypatch.context() as patch:
        patch.setattr(store._folder, "open", raising(OSError(errno.EMFILE, "Too many open files")))
        with pytest.raises(OSError, match="Too many open files"):
            store.finish_seal(sealing)
    assert await messages(store) == expected(range(3))
    store.finish_seal(sealing)
    assert await messages(store) == expected(range(3))
    assert not list(tmp_path.glob("segments/*/*/*.damaged"))
    store.close()


async def test_a_tenant_may_have_a_name_longer_than_a_file_may(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    names = ["\u00e9" * 60 + end for end in ("", "x", "y")]
    for seq, name in enumerate(names):
        store.append(frame(seq, [origin("web", tenant=name)], [Line(f"of {name[60:]}")]))
    seal(store, 2)
    store.close()
    store = open_store(tmp_path)
    assert [await messages(store, tenant=name) for name in names] == [["of "], ["of x"], ["of y"]]
    store.close()


async def test_a_reader_that_fails_over_a_sound_segment_sets_nothing_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)
    fill(store, range(3))
    seal(store, 2)
    with monkeypatch.context() as patch:
        patch.setattr("collector.store.embedded.scan.values", raising(ValueError("a fault of ours")))
        with pytest.raises(ValueError, match="a fault of ours"):
            await messages(store)
    assert await messages(store) == expected(range(3))
    store.close()


async def test_want_of_descriptors_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    fill(store, range(3))
    seal(store, 2)
    store.close()
    with monkeypatch.context() as patch:
        fault = OSError(errno.EMFILE, "Too many open files")
        patch.setattr("collector.store.embedded.segments.SegmentFolder.open", raising(fault))
        with pytest.raises(Unusable, match="cannot be opened: Too many open files"):
            open_store(tmp_path)
    assert not list(tmp_path.glob("segments/*/*/*.damaged"))
    store = open_store(tmp_path)
    assert await messages(store) == expected(range(3))
    store.close()


async def test_a_segment_that_a_reader_sets_aside_does_not_end_compaction(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for seq in range(5):
        fill(store, range(seq, seq + 1))
        seal(store, seq)
    first = store.segment_rows[0]
    store._segments.pop(first.id)  # as a reader's thread does, a moment before it says so
    assert store._written_together(store.segment_rows) is None
    store.close()


def raising(fault: Exception) -> Callable[..., NoReturn]:
    def fail(*values: object) -> NoReturn:
        raise fault

    return fail


async def test_a_frame_of_many_tenants_and_origins_is_parted_in_order(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    origins = [origin(f"c{n}", tenant=f"t{n % 3}") for n in range(3000)]
    lines = [Line(f"{n}", at_s=n, origin=n) for n in range(3000)]
    store.append(frame(0, origins, lines))
    for tenant in range(3):
        (block,) = store.snapshot().of(f"t{tenant}").hot
        assert block.rows["message"].to_list() == [str(n) for n in range(tenant, 3000, 3)]
        names = [store.snapshot().origins[id_].context.path for id_ in block.rows["origin"].to_list()]
        assert names == [f"/logs/c{n}.log" for n in range(tenant, 3000, 3)]
        assert block.rows.schema == STORED_ROWS
    store.close()
