"""Which segments compaction puts together and retention drops. Pure: the store acts on it."""

from __future__ import annotations

from collections.abc import Iterable

from collector.store.embedded.manifest import SegmentRow


def oldest_beyond(rows: Iterable[SegmentRow], limit_bytes: int) -> list[SegmentRow]:
    """The segments, oldest first, without which the others take at most `limit_bytes` on disk."""
    by_age = sorted(rows, key=lambda row: row.max_ingested)
    excess = sum(row.data_bytes + row.index_bytes for row in by_age) - limit_bytes
    oldest: list[SegmentRow] = []
    for row in by_age:
        if excess <= 0:
            break
        oldest.append(row)
        excess -= row.data_bytes + row.index_bytes
    return oldest


def small_neighbours(rows: Iterable[SegmentRow], most_bytes: int, at_least: int = 4) -> list[SegmentRow]:
    """The next segments to put together: `at_least` or more of one tenant and day, each with less text than
    `most_bytes`, together not more than twice that; two are enough where both are half of it or more. Empty: nothing is
    worth it."""
    groups: dict[tuple[str, str], list[SegmentRow]] = {}
    for row in sorted(rows, key=lambda row: row.min_seq):
        if row.text_bytes < most_bytes and not row.damaged:
            groups.setdefault((row.tenant, row.day), []).append(row)
    for group in groups.values():
        chosen: list[SegmentRow] = []
        total = 0
        for row in group:
            if total + row.text_bytes > 2 * most_bytes:
                break
            chosen.append(row)
            total += row.text_bytes
        if len(chosen) >= at_least or (len(chosen) >= 2 and total >= most_bytes):
            return chosen
    return []
