"""The folder of segments: naming, writing, opening, setting aside, removing what no manifest knows."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import polars as pl

from collector.records import Origin
from collector.store.embedded import segment
from collector.store.embedded.manifest import SegmentRow
from deckwatch.runtime.files import sync_directory
from deckwatch.wire.identity import crc32c

log = logging.getLogger(__name__)

_NAME_BYTES = 255
_DAY_NS = 86_400_000_000_000


class SegmentFolder:
    """`<folder>/<tenant>/<day of receipt>/<id>.parquet` and `.index`; a damaged pair is renamed to `*.damaged`."""

    def __init__(self, folder: Path, *, zstd_level: int) -> None:
        self._folder = folder
        self._zstd_level = zstd_level
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def base(self, tenant: str, day: str, id_: int) -> Path:
        """Without its suffix."""
        return self._folder / folder_name(tenant) / day / f"{id_:010d}"

    def base_of(self, row: SegmentRow) -> Path:
        return self.base(row.tenant, row.day, row.id)

    def write(self, tenant: str, rows: pl.DataFrame, origins: Mapping[int, Origin], first_id: int) -> list[SegmentRow]:
        """One segment for each day of receipt among `rows`; all files and folders are synced when it returns."""
        made: list[SegmentRow] = []
        for day, part in by_day(rows):
            id_ = first_id + len(made)
            base = self.base(tenant, day, id_)
            base.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            ordered = part.sort("origin", "start", maintain_order=True)
            written = segment.write(base, ordered, origins, zstd_level=self._zstd_level)
            made.append(_row(id_, tenant, day, written))
            for folder in (base.parent, base.parent.parent, self._folder):
                sync_directory(folder)
        return made

    def open(self, row: SegmentRow) -> segment.Segment:
        """Raises ValueError or OSError (pyarrow's errors are both) where the segment is damaged."""
        base = self.base_of(row)
        for suffix, size in ((".parquet", row.data_bytes), (".index", row.index_bytes)):
            found = base.with_suffix(suffix).stat().st_size
            if found != size:
                raise ValueError(f"{base}{suffix} has {found} bytes, the manifest says {size}")
        return segment.Segment(base, row.id)

    def verify(self, row: SegmentRow) -> None:
        """Read it all and compare checksums; raises like `open`."""
        base = self.base_of(row)
        for suffix, crc in ((".parquet", row.data_crc), (".index", row.index_crc)):
            if crc32c(base.with_suffix(suffix).read_bytes()) != crc:
                raise ValueError(f"{base}{suffix} is damaged: its checksum differs from the manifest's")

    def set_aside(self, row: SegmentRow) -> None:
        base = self.base_of(row)
        for path in (base.with_suffix(".parquet"), base.with_suffix(".index")):
            if path.exists():
                path.rename(path.with_name(path.name + ".damaged"))

    def remove(self, row: SegmentRow) -> None:
        """Whoever still reads it has it mapped."""
        base = self.base_of(row)
        base.with_suffix(".parquet").unlink(missing_ok=True)
        base.with_suffix(".index").unlink(missing_ok=True)
        if not any(base.parent.iterdir()):
            base.parent.rmdir()

    def sweep(self, known: Iterable[SegmentRow]) -> int:
        """Remove the files that a crash left between writing and committing; how many."""
        bases = {self.base_of(row) for row in known}
        orphans = [
            path
            for path in self._folder.glob("*/*/*")
            if path.suffix in (".parquet", ".index") and path.with_suffix("") not in bases
        ]
        for path in orphans:
            path.unlink()
        if orphans:
            log.info("store: %d files of an unfinished sealing were removed", len(orphans))
        return len(orphans)


def folder_name(tenant: str) -> str:
    """Quoted, so that no tenant can leave the folder. File systems take 255 bytes: of a longer name only the beginning
    is left, and a hash of all of it."""
    quoted = quote(tenant, safe="").replace(".", "%2E")
    if len(quoted) <= _NAME_BYTES:
        return quoted
    return f"{quoted[: _NAME_BYTES - 33]}.{hashlib.blake2b(tenant.encode(), digest_size=16).hexdigest()}"


def by_day(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    days = rows["ingested"] // _DAY_NS
    for day in sorted(days.unique().to_list()):
        name = datetime.fromtimestamp(day * _DAY_NS / 1e9, UTC).strftime("%Y-%m-%d")
        yield name, rows.filter(days == day) if days.n_unique() > 1 else rows


def _row(id_: int, tenant: str, day: str, written: segment.Written) -> SegmentRow:
    blocks = written.blocks
    return SegmentRow(
        id=id_,
        tenant=tenant,
        day=day,
        form=segment.FORM,
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
    )
