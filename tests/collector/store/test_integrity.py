"""Segments that are not what was written: found wherever the harm is, named exactly, and taken back when restored."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from collector.store.embedded.coverage import Covered, coverage_of, merged, pack, unpack
from collector.store.embedded.manifest import GapRow, Manifest, SegmentRow
from collector.store.embedded.segment import Segment
from collector.store.embedded.segment_data import OpenData
from collector.store.embedded.segments import LOST_AND_FOUND_BYTES
from collector.store.protocol import STORED_ROWS
from deckwatch.runtime.faults import Reject, Unusable
from deckwatch.wire.model import Position
from tests.collector.store.test_embedded import DB, OTHER, WEB, expected, fill, messages, open_store, seal
from tests.fixtures.records import T0, Line, frame, origin


def table(*rows: tuple[int, int, int]) -> pl.DataFrame:
    schema = {"origin": pl.UInt32, "start": pl.Int64, "end": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        ([(1, 0, 10), (1, 10, 20)], [Covered(1, 2, ((0, 20),))]),
        ([(1, 0, 10), (1, 15, 20)], [Covered(1, 2, ((0, 10), (15, 20)))]),
        ([(1, 0, 100), (1, 40, 60), (1, 100, 110)], [Covered(1, 3, ((0, 110),))]),  # stderr within a trace of stdout
        ([(1, 0, 10), (2, 10, 20), (2, 30, 40)], [Covered(1, 1, ((0, 10),)), Covered(2, 2, ((10, 20), (30, 40)))]),
        ([], []),
    ],
)
def test_coverage(rows: list[tuple[int, int, int]], want: list[Covered]) -> None:
    assert coverage_of(table(*rows)) == tuple(want)
    parts = [coverage_of(table(*rows[:1])), coverage_of(table(*rows[1:]))]
    assert merged(reversed(parts)) == tuple(want)
    assert unpack(pack(tuple(want))) == tuple(want)


def test_a_damaged_coverage_is_no_traceback() -> None:
    with pytest.raises(Reject, match="can't be read"):
        unpack(b"not packed by us")


def stored(folder: Path, count: int = 3) -> list[SegmentRow]:
    """A store of `count` segments that is closed again."""
    store = open_store(folder, compaction_bytes=0)
    for seq in range(count):
        fill(store, range(seq, seq + 1))
        seal(store, seq)
    store.close()
    return store.segment_rows


def data_of(folder: Path, row: SegmentRow) -> Path:
    return folder / "segments" / row.tenant / row.day / f"{row.id:010d}.parquet"


def gone(data: Path) -> None:
    data.unlink()


def both_gone(data: Path) -> None:
    data.unlink()
    data.with_suffix(".index").unlink()


def cut(data: Path) -> None:
    data.write_bytes(data.read_bytes()[:-100])


def emptied(data: Path) -> None:
    data.write_bytes(b"")


def footer_flipped(data: Path) -> None:
    content = bytearray(data.read_bytes())
    content[-60] ^= 4
    data.write_bytes(content)


def another_segment(data: Path) -> None:
    """Of the same lines' number and length, so that even the sizes are the same."""
    other = data.with_name("0000000003.parquet")
    shutil.copy(other, data)
    shutil.copy(other.with_suffix(".index"), data.with_suffix(".index"))


@pytest.mark.parametrize(
    "harm", [gone, both_gone, cut, emptied, footer_flipped, another_segment], ids=lambda harm: harm.__name__
)
async def test_what_is_lost_with_a_segment_is_named_exactly(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    row = stored(tmp_path)[0]
    harm(data_of(tmp_path, row))
    for _ in range(2):  # it is said once, and stays said
        store = open_store(tmp_path, compaction_bytes=0)
        assert await messages(store) == expected(range(1, 3))
        gaps = [(gap.key, gap.source, gap.host, gap.start, gap.end) for gap in store.manifest.gaps("default")]
        assert gaps == [(one.key, one.context.path, "host-1", 0, 500) for one in (WEB, DB)]
        (gap, _) = store.manifest.gaps("default")
        assert (gap.reason, gap.segment, gap.ts_ns) == ("damaged", row.id, T0)
        assert gap.detail.startswith(f"segment {row.id} of 2023-11-14 with 10 records: ")
        store.close()


async def test_a_segment_that_is_lost_while_it_serves_is_noticed_by_whoever_reads_it(tmp_path: Path) -> None:
    """A mapping behind the end of a file that was cut can't be read: it would end the process."""
    row = stored(tmp_path)[0]
    store = open_store(tmp_path, compaction_bytes=0)
    data = data_of(tmp_path, row)
    with data.open("r+b") as file:
        file.truncate(100)
    assert await messages(store) == expected(range(1, 3))
    assert {gap.segment for gap in store.manifest.gaps("default")} == {row.id}
    store.close()


def test_a_flipped_bit_is_found_wherever_it_is_read_from(tmp_path: Path) -> None:
    """In the pages, in their headers, in the footer: an error or the right answer, never a wrong one."""
    rng = random.Random(11)
    store = open_store(tmp_path)
    lines = [Line("".join(rng.choices("abcdefghij", k=20)), at_s=n, level="info") for n in range(200)]
    store.append(frame(0, [WEB], lines))
    seal(store, 0)
    store.close()
    (data,) = tmp_path.rglob("*.parquet")
    good = data.read_bytes()
    want = Segment(data.with_suffix(""), 1, OpenData()).blocks[0].read(STORED_ROWS)
    found = 0
    for byte in range(4, len(good) - 8, 7):
        bad = bytearray(good)
        bad[byte] ^= 1 << rng.randrange(8)
        data.write_bytes(bad)
        try:
            assert Segment(data.with_suffix(""), 1, OpenData()).blocks[0].read(STORED_ROWS).equals(want)
        except (OSError, ValueError):
            found += 1
    assert found > len(good) // 7 // 2  # columns that are not asked for may differ


async def test_one_bit_in_any_column_that_is_read_is_noticed_and_set_aside(tmp_path: Path) -> None:
    row = stored(tmp_path)[0]
    data = data_of(tmp_path, row)
    content = bytearray(data.read_bytes())
    content[8] ^= 1  # the header of the first page
    data.write_bytes(content)
    store = open_store(tmp_path, compaction_bytes=0)
    assert [r for r in store.segment_rows if r.damaged] == []
    segment = store._segments[row.id]
    with pytest.raises((OSError, ValueError)) as caught:
        segment.blocks[0].read(["ts"])
    assert store.damaged(row.id, caught.value)
    assert await messages(store) == expected(range(1, 3))
    store.close()


async def test_what_was_set_aside_keeps_its_origins_and_goes_with_retention(tmp_path: Path) -> None:
    store = open_store(tmp_path, compaction_bytes=0)
    store.append(frame(0, [origin("lonely")], [Line("all alone")]))
    seal(store, 0)
    fill(store, range(1, 3))
    seal(store, 2)
    store.close()
    data_of(tmp_path, store.segment_rows[0]).write_bytes(b"no parquet")
    store = open_store(tmp_path, compaction_bytes=0)
    store.append(frame(3, [OTHER], [Line("old", at_s=0)]))
    seal(store, 3)
    store._drop([row for row in store.segment_rows if row.tenant == OTHER.tenant])
    assert "lonely" in {
        one.context.container.name for one in store.manifest.origins().values() if one.context.container
    }
    assert len(store.manifest.gaps("default")) == 1
    assert list(tmp_path.rglob("*.damaged"))
    assert store.drop_before(T0 + 1) == 1
    assert store.manifest.gaps("default") == []
    assert not list(tmp_path.rglob("*.damaged"))
    store.close()


def test_gaps_that_agents_declared_go_when_everything_of_their_time_has_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path, retention_s=3600.0)  # the clock stands a day behind T0
    now_ns = store._clock.now_ns()
    old, new = (
        GapRow(0, at_ns, "default", "h", "k", "src", 5, 9, "truncated", at_ns, "") for at_ns in (T0, now_ns - 10**9)
    )
    store.finish_seal(store.begin_seal(0, b"", {"k": Position(9, 0)}, [], [old, new], []))
    store.retain()
    assert store.manifest.gaps("default") == [new]
    assert store.manifest.query("SELECT key, why FROM dropped") == [("k", "lost before all that is kept")]
    changes = store.manifest.changes
    assert store.manifest.forget_gaps(T0 + 1) == 0
    assert store.manifest.changes == changes, "nothing is written where nothing goes"
    store.close()


def test_gaps_go_with_what_the_limit_of_size_drops(tmp_path: Path) -> None:
    store = open_store(tmp_path, compaction_bytes=0, retention_s=0, retention_bytes=1)
    gap = GapRow(0, T0 - 1, "default", "h", "k", "src", 5, 9, "truncated", T0, "")
    fill(store, range(1))
    store.finish_seal(store.begin_seal(0, b"", {}, [], [gap], []))
    fill(store, range(1, 2))
    seal(store, 1)
    assert store.manifest.gaps("default") == [gap]
    assert store._drop(store.segment_rows[:1]) == 10
    assert store.manifest.gaps("default") == []
    store.close()


def test_files_that_no_manifest_knows_are_put_by_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path, 1)
    strays = [tmp_path / "segments/default/2023-11-14" / f"000000009{n}.parquet" for n in range(3)]
    for stray in strays:
        stray.write_bytes(b"x" * 100)
    open_store(tmp_path).close()
    found = sorted(path.name for path in (tmp_path / "lost+found").rglob("*.parquet"))
    assert found == [stray.name for stray in strays]
    assert LOST_AND_FOUND_BYTES > 300
    monkeypatch.setattr("collector.store.embedded.segments.LOST_AND_FOUND_BYTES", 250)
    open_store(tmp_path).close()
    assert len(list((tmp_path / "lost+found").rglob("*.parquet"))) == 3, "they are not a day old"
    monkeypatch.setattr("collector.store.embedded.segments.LOST_AND_FOUND_S", -1.0)
    open_store(tmp_path).close()
    assert len(list((tmp_path / "lost+found").rglob("*.parquet"))) == 2


def test_segments_without_a_manifest_are_not_taken_for_rubbish(tmp_path: Path) -> None:
    stored(tmp_path, 2)
    for path in tmp_path.glob("manifest.sqlite*"):
        path.unlink()
    with pytest.raises(Unusable, match="is missing, and there are segments: restore it"):
        open_store(tmp_path)
    assert len(list((tmp_path / "segments").rglob("*.parquet"))) == 2


async def test_a_manifest_of_the_first_version_is_converted(tmp_path: Path) -> None:
    rows = stored(tmp_path, 2)
    path = tmp_path / "manifest.sqlite"
    with sqlite3.connect(path) as db:
        for statement in _BACK_TO_1.split(";"):
            db.execute(statement)
    db.close()
    store = open_store(tmp_path, compaction_bytes=0)
    assert await messages(store) == expected(range(2))
    (letter,) = store.manifest.query("SELECT seq, part, reason, start, end, payload, format FROM dead_letters")
    assert letter == (7, 3, "no frame", 9, 12, b"raw", "")
    data_of(tmp_path, rows[0]).unlink()
    store.close()
    store = open_store(tmp_path, compaction_bytes=0)
    assert await messages(store) == expected(range(1, 2))
    assert [(gap.key, gap.start, gap.end) for gap in store.manifest.gaps("default")] == [("", 0, -1)]
    store.close()


_BACK_TO_1 = """
ALTER TABLE segments DROP COLUMN head_crc; ALTER TABLE segments DROP COLUMN scrubbed_ns;
ALTER TABLE gaps DROP COLUMN segment; DROP TABLE coverage; DROP TABLE dead_letters;
DROP TABLE accounts; DROP TABLE dropped;
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, received_ns INTEGER NOT NULL, tenant TEXT NOT NULL,
    key TEXT NOT NULL, start INTEGER NOT NULL, reason TEXT NOT NULL, payload BLOB NOT NULL
);
INSERT INTO dead_letters VALUES (3, 7, 5, 'default', 'k', 9, 'no frame', x'726177');
PRAGMA user_version = 1
"""


def test_a_conversion_that_fails_changes_nothing(tmp_path: Path) -> None:
    stored(tmp_path, 1)
    path = tmp_path / "manifest.sqlite"
    with sqlite3.connect(path) as db:
        for statement in _BACK_TO_1.split(";"):
            db.execute(statement)
        db.execute("CREATE TABLE old_letters (x)")  # in the way of the last step but two
    db.close()
    with pytest.raises(Exception, match="old_letters"):
        Manifest(path)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert "head_crc" not in {row[1] for row in db.execute("PRAGMA table_info(segments)")}
    db.close()
