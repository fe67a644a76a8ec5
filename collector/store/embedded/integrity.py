"""Segments whose files are not those that were written: set aside, with the gaps that they leave; mended where only the
index is damaged, which can be made from the data again."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from collector.records import Origin
from collector.store.embedded.coverage import Coverage
from collector.store.embedded.manifest import DAMAGED, GapRow, Manifest, SegmentRow
from collector.store.embedded.segment import Segment
from collector.store.embedded.segments import SegmentFolder
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject, Unusable

log = logging.getLogger(__name__)

NO_DAMAGE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM}
"""What the system wouldn't do for us; the file may be sound."""


def lost_with(
    row: SegmentRow, coverage: Coverage | None, origins: Mapping[int, Origin], *, why: str, now_ns: int
) -> Iterator[GapRow]:
    """The gaps that a segment leaves. `ts_ns` is when the last of its records was received: about when they were
    written. Where nobody noted what it held there is one gap without a stream."""
    detail = f"segment {row.id} of {row.day} with {row.rows} records: {why}"
    common = {
        "seq": row.max_seq,
        "received_ns": now_ns,
        "tenant": row.tenant,
        "reason": DAMAGED,
        "ts_ns": row.max_ingested,
        "detail": detail,
        "segment": row.id,
    }
    if coverage is None:
        yield msgspec.convert(common | {"host": "", "key": "", "source": "", "start": 0, "end": -1}, GapRow)
        return
    for covered in coverage:
        origin = origins.get(covered.origin)
        context = origin.context if origin else None
        source = "" if context is None else context.path or (context.container.id if context.container else "")
        stream = {"host": context.host if context else "", "key": origin.key if origin else "", "source": source}
        for start, end in covered.runs:
            yield msgspec.convert(common | stream | {"start": start, "end": end}, GapRow)


class Integrity:
    """Any thread may call."""

    def __init__(self, folder: SegmentFolder, manifest: Manifest, clock: Clock) -> None:
        self._folder = folder
        self._manifest = manifest
        self._clock = clock

    def open(self, row: SegmentRow, origins: Mapping[int, Origin]) -> tuple[SegmentRow, Segment | None]:
        """The segment, mended if need be; None where it had to be set aside. Raises Unusable where the system won't
        open its files."""
        try:
            return row, self._folder.open(row)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in NO_DAMAGE:
                raise Unusable(f"{self._folder.base_of(row)}: cannot be opened: {error.strerror}") from error
            mended = self.mended(row)
            if mended is not None:
                return mended, self._folder.open(mended)
            return self.set_aside(row, error, origins), None

    def is_damaged(self, row: SegmentRow) -> bool:
        """Raises FileNotFoundError where a file is gone: whoever asks knows whether it should be there."""
        try:
            self._folder.verify(row)
        except FileNotFoundError:
            raise
        except OSError as error:
            return error.errno not in NO_DAMAGE
        except ValueError:
            return True
        return False

    def mended(self, row: SegmentRow) -> SegmentRow | None:
        """The row with an index that was made anew, committed; None where the data itself is not sound."""
        try:
            self._folder.verify_data(row)
            fresh = self._folder.rebuild_index(row)
        except (OSError, ValueError):
            return None
        self._manifest.update(fresh)
        log.warning("store: the index of segment %s was damaged and was made anew", self._folder.base_of(row))
        return fresh

    def set_aside(self, row: SegmentRow, why: Exception, origins: Mapping[int, Origin]) -> SegmentRow:
        base = self._folder.base_of(row)
        log.error(
            "store: segment %s (%d records received on %s) is damaged and was set aside as *.damaged, its lines are now"
            " a gap: %s; where a backup has the files, put them back and run `deckwatch fsck --adopt`",
            base,
            row.rows,
            row.day,
            why,
        )
        with contextlib.suppress(OSError):  # a file that can't be renamed stays where it is: the manifest knows
            self._folder.set_aside(row)
        gaps = lost_with(row, self.coverage(row), origins, why=str(why), now_ns=self._clock.now_ns())
        self._manifest.set_aside(row.id, str(why), gaps)
        return msgspec.structs.replace(row, damaged=str(why))

    def origins_of(self, rows: Iterable[SegmentRow]) -> set[int]:
        return {covered.origin for row in rows for covered in self.coverage(row) or ()}

    def coverage(self, row: SegmentRow) -> Coverage | None:
        try:
            return self._manifest.coverage(row.id)
        except Reject as fault:
            log.error("store: segment %d: %s", row.id, fault)
            return None
