"""The folder of segments: naming, writing, opening, setting aside, clearing away what no manifest knows."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec
import polars as pl

from collector.records import Origin
from collector.store.embedded.coverage import Coverage, coverage_of, merged
from collector.store.embedded.hot import HotBlock
from collector.store.embedded.manifest import NewSegment, SegmentRow
from collector.store.embedded.ordering import in_order
from collector.store.embedded.segment import Segment
from collector.store.embedded.segment_data import OpenData
from collector.store.embedded.segment_form import BLOCK_ROWS, FORM
from collector.store.embedded.segment_index import size_and_crc
from collector.store.embedded.segment_write import Written, rebuild_index, write
from collector.store.embedded.snapshot import Block
from collector.store.protocol import STORED_ROWS
from deckwatch.runtime.files import sync_directory, sync_file

log = logging.getLogger(__name__)

_NAME_BYTES = 255
_SYNCS_AT_ONCE = 8
_DAY_NS = 86_400_000_000_000
_SUFFIXES = (".parquet", ".index")
LOST_AND_FOUND_BYTES = 256 << 20
"""Of files that no manifest knows: what a kill during a sealing leaves, whose records the journal gives again, and
what somebody put there by mistake. The oldest beyond it go, once nobody has missed them for LOST_AND_FOUND_S."""
LOST_AND_FOUND_S = 86_400.0


class SegmentFolder:
    """`<folder>/<tenant>/<day of receipt>/<id>.parquet` and `.index`; a damaged pair is renamed to `*.damaged`. What
    no manifest knows goes to `lost+found` beside the folder."""

    def __init__(self, folder: Path, *, zstd_level: int) -> None:
        self._folder = folder
        self.lost_and_found = folder.with_name("lost+found")
        self._zstd_level = zstd_level
        self._data = OpenData()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def base(self, tenant: str, day: str, id_: int) -> Path:
        """Without its suffix."""
        return self._folder / folder_name(tenant) / day / f"{id_:010d}"

    def base_of(self, row: SegmentRow) -> Path:
        return self.base(row.tenant, row.day, row.id)

    def write(
        self, tenant: str, blocks: Sequence[Block], origins: Mapping[int, Origin], first_id: int
    ) -> list[NewSegment]:
        """One segment for each day of receipt among the blocks' rows; `settle` makes them durable. Where it fails
        nothing is left: what it had written may be what the disk has no room for."""
        made: list[NewSegment] = []
        base = None
        try:
            for day, part in by_day(blocks):
                base = self.base(tenant, day, first_id + len(made))
                base.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                made.append(self._write_one(base, tenant, day, part, origins))
        except BaseException:
            for one in made:
                self.remove(one.row)
            if base is not None:
                _remove(base)
            raise
        return made

    def _write_one(
        self, base: Path, tenant: str, day: str, blocks: Sequence[Block], origins: Mapping[int, Origin]
    ) -> NewSegment:
        used = {origin: origins[origin] for block in blocks for origin in block.stats.origins}
        parts: list[Coverage] = []

        def ordered() -> Iterator[pl.DataFrame]:
            for rows in in_order(blocks, BLOCK_ROWS):
                parts.append(coverage_of(rows))
                yield rows

        written = write(base, ordered(), used, zstd_level=self._zstd_level)
        return NewSegment(_row(int(base.name), tenant, day, written), merged(parts))

    def settle(self, made: Sequence[NewSegment]) -> None:
        """fsync of the files and of every folder above them. A sealing of a thousand tenants has two thousand files:
        several are asked for at once, and a journaling file system commits them together."""
        bases = [self.base_of(one.row) for one in made]
        files = [base.with_suffix(suffix) for base in bases for suffix in (".parquet", ".index")]
        folders = {folder for base in bases for folder in (base.parent, base.parent.parent)} | {self._folder}
        with ThreadPoolExecutor(_SYNCS_AT_ONCE, thread_name_prefix="store fsync") as pool:
            for step in (pool.map(sync_file, files), pool.map(sync_directory, folders)):
                for _ in step:  # raises what one of them raised
                    pass

    def open(self, row: SegmentRow) -> Segment:
        """Raises ValueError or OSError (pyarrow's errors are both) where the segment is damaged."""
        base = self.base_of(row)
        for suffix, size in ((".parquet", row.data_bytes), (".index", row.index_bytes)):
            found = base.with_suffix(suffix).stat().st_size
            if found != size:
                raise ValueError(f"{base}{suffix} has {found} bytes, the manifest says {size}")
        opened = Segment(base, row.id, self._data)
        if row.head_crc not in (0, opened.head_crc):
            raise ValueError(f"{base}.index is not the one that the manifest knows: it is another segment's, or older")
        return opened

    def verify(self, row: SegmentRow) -> None:
        """Read it all and compare checksums; raises like `open`."""
        self.verify_data(row)
        self.verify_index(row)

    def verify_data(self, row: SegmentRow) -> None:
        _compare(self.base_of(row).with_suffix(".parquet"), row.data_bytes, row.data_crc)

    def verify_index(self, row: SegmentRow) -> None:
        _compare(self.base_of(row).with_suffix(".index"), row.index_bytes, row.index_crc)

    def rebuild_index(self, row: SegmentRow) -> SegmentRow:
        """From sound data; raises OSError or ValueError where that can't be read."""
        written = rebuild_index(self.base_of(row))
        return msgspec.structs.replace(
            row, index_bytes=written.size_bytes, index_crc=written.crc, head_crc=written.head_crc
        )

    def set_aside(self, row: SegmentRow) -> None:
        for path in self.files_of(row):
            if path.exists():
                path.rename(aside(path))

    def bring_back(self, row: SegmentRow) -> None:
        """Give a damaged pair its names again, unless other files have them: those were restored."""
        for path in self.files_of(row):
            if aside(path).exists() and not path.exists():
                aside(path).rename(path)

    def is_sound_aside(self, row: SegmentRow) -> bool:
        """Is the data of a pair that was set aside what was written, under its own name or the one it was given?"""
        data = self.base_of(row).with_suffix(".parquet")
        path = data if data.exists() else aside(data)
        try:
            _compare(path, row.data_bytes, row.data_crc)
        except (OSError, ValueError):
            return False
        return True

    def clear_aside(self, row: SegmentRow) -> None:
        for path in self.files_of(row):
            aside(path).unlink(missing_ok=True)

    def files_of(self, row: SegmentRow) -> list[Path]:
        return [self.base_of(row).with_suffix(suffix) for suffix in _SUFFIXES]

    def remove(self, row: SegmentRow) -> None:
        """Whoever still reads it has it mapped."""
        self.clear_aside(row)
        _remove(self.base_of(row))

    def orphans(self, known: Iterable[SegmentRow]) -> list[Path]:
        """Files that no segment of the manifest has."""
        names = {path for row in known for path in self.files_of(row)}
        names |= {aside(path) for path in names}
        return sorted(path for path in self._folder.glob("*/*/*") if path not in names)

    def sweep(self, known: Iterable[SegmentRow]) -> int:
        """Move the files that a crash left between writing and committing to lost+found; how many."""
        self._bound_lost_and_found()
        orphans = self.orphans(known)
        for path in orphans:
            place = self.lost_and_found / path.relative_to(self._folder)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.replace(place)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        if orphans:
            log.info("store: %d files of an unfinished sealing were moved to %s", len(orphans), self.lost_and_found)
        return len(orphans)

    def _bound_lost_and_found(self) -> None:
        files = [(path, path.stat()) for path in self.lost_and_found.rglob("*") if path.is_file()]
        left, before_s = LOST_AND_FOUND_BYTES, time.time() - LOST_AND_FOUND_S
        for path, status in sorted(files, key=lambda file: file[1].st_ctime_ns, reverse=True):
            left -= status.st_size
            if left < 0 and status.st_ctime <= before_s:
                path.unlink()


def aside(path: Path) -> Path:
    """The name of a damaged file."""
    return path.with_name(path.name + ".damaged")


def _compare(path: Path, size: int, crc: int) -> None:
    found_size, found_crc = size_and_crc(path)
    if found_size != size:
        raise ValueError(f"{path} has {found_size} bytes, the manifest says {size}")
    if found_crc != crc:
        raise ValueError(f"{path} is damaged: its checksum differs from the manifest's")


def folder_name(tenant: str) -> str:
    """Quoted, so that no tenant can leave the folder. File systems take 255 bytes: of a longer name only the beginning
    is left, and a hash of all of it."""
    quoted = quote(tenant, safe="").replace(".", "%2E")
    if len(quoted) <= _NAME_BYTES:
        return quoted
    return f"{quoted[: _NAME_BYTES - 33]}.{hashlib.blake2b(tenant.encode(), digest_size=16).hexdigest()}"


def _remove(base: Path) -> None:
    base.with_suffix(".parquet").unlink(missing_ok=True)
    base.with_suffix(".index").unlink(missing_ok=True)
    if base.parent.exists() and not any(base.parent.iterdir()):
        base.parent.rmdir()


def by_day(blocks: Iterable[Block]) -> list[tuple[str, list[Block]]]:
    """The blocks of each day of receipt; one that midnight goes through is split."""
    days: dict[int, list[Block]] = {}
    for block in blocks:
        first, last = block.stats.min_ingested // _DAY_NS, block.stats.max_ingested // _DAY_NS
        if first == last:
            days.setdefault(first, []).append(block)
            continue
        rows = block.read(STORED_ROWS)
        of_row = rows["ingested"] // _DAY_NS
        for day in of_row.unique().to_list():
            days.setdefault(day, []).append(HotBlock(rows.filter(of_row == day)))
    return [(_day_name(day), days[day]) for day in sorted(days)]


def _day_name(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_NS / 1e9, UTC).strftime("%Y-%m-%d")


def _row(id_: int, tenant: str, day: str, written: Written) -> SegmentRow:
    blocks = written.blocks
    return SegmentRow(
        id=id_,
        tenant=tenant,
        day=day,
        form=FORM,
        rows=sum(block.rows for block in blocks),
        text_bytes=sum(block.text_bytes for block in blocks),
        data_bytes=written.data_bytes,
        index_bytes=written.index_bytes,
        data_crc=written.data_crc,
        index_crc=written.index_crc,
        min_ts=min(block.min_ts for block in blocks),
        max_ts=max(block.max_ts for block in blocks),
        min_seq=min(block.min_seq for block in blocks),
        max_seq=max(block.max_seq for block in blocks),
        min_ingested=min(block.min_ingested for block in blocks),
        max_ingested=max(block.max_ingested for block in blocks),
        head_crc=written.head_crc,
    )
