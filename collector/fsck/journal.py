"""The journal, read as a start would read it, without changing anything: the next start cuts what is torn and sets
aside what is damaged, and asks the agents again for what that held."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec

from collector.fsck.report import Findings
from collector.intake.durable_note import read_note
from collector.intake.journal_file import Entry, Kind, Segment, scan, tail_is_torn
from collector.intake.record import decode_record
from deckwatch.runtime.faults import Reject, Unusable
from deckwatch.wire.codec import decode_batch

_AT_START = "start the collector: it sets the rest aside and asks the agents again for what it held"


def check_journal(folder: Path, committed_seq: int, found: Findings) -> None:
    """`committed_seq`: the last entry whose records the store has."""
    last, noted = committed_seq, read_note(folder)
    for path in sorted(folder.glob("*.journal")):
        found.checked("journal files")
        try:
            segment, good = scan(path, partial(_check_entry, path, found))
        except (Unusable, OSError) as error:
            found.wrong(path, str(error), "move it out of the way if it is not the journal's")
            return
        if segment.first_seq > last + 1:
            found.wrong(path, f"entries {last + 1} to {segment.first_seq - 1} before it are missing", _AT_START)
            return
        if not _is_whole(path, segment, good, found, least=noted.bytes_of(path) if noted is not None else 0):
            return
        last = max(last, segment.last_seq)
    if noted is not None and noted.last_seq > last:
        found.wrong(folder, f"entries {last + 1} to {noted.last_seq} at its end are missing", _AT_START)
    for path in sorted(folder.glob("*.damaged*")):
        found.note(path, "was set aside at an earlier start; its agents were asked again. Delete it when you like")


def _is_whole(path: Path, segment: Segment, good: int, found: Findings, *, least: int) -> bool:
    """`least`: so many bytes of it were durable once."""
    size = path.stat().st_size
    if good == size >= least:
        return True
    if good >= least and tail_is_torn(path, good, segment.last_seq):
        found.note(
            path, f"its last {size - good} bytes are a torn write, as a crash leaves it; nothing of it was acked"
        )
        return True
    found.wrong(path, f"is damaged behind byte {good} (entry {segment.last_seq})", _AT_START)
    return False


def _check_entry(path: Path, found: Findings, entry: Entry) -> None:
    found.checked("journal entries")
    if entry.kind is not Kind.BATCH:
        return
    try:
        decode_batch(decode_record(entry.payload).body, limit_bytes=1 << 31)
    except (Reject, msgspec.DecodeError) as error:
        found.wrong(path, f"entry {entry.seq} can't be read: {error}", "start the collector: it becomes a dead letter")
