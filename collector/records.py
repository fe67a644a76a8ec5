"""What parsing makes of bytes: records, in columns. The boundary between parse/, store/, search/ and alerting."""

from __future__ import annotations

from typing import Protocol

import msgspec
import polars as pl

from collector.metrics.tsdb.wal import Write
from collector.metrics.tsdb.writes import Verdict
from deckwatch.wire.model import Context, Event, Gap, Samples, StreamId


class Origin(msgspec.Struct, frozen=True):
    """Where a record comes from: its stream and what was known of the source when it was sent."""

    key: str  # deckwatch.wire.identity.stream_key
    tenant: str
    context: Context


LEVELS = ("", "trace", "debug", "info", "notice", "warn", "error", "fatal")
"""Values of `log.level` by code; 0 = none was found. Ordered, so that a range of levels is a range of codes."""

IOSTREAMS = ("", "stdout", "stderr")

BODIES = ("", "json", "logfmt")
"""What the message's text is besides text: its fields are read from it when somebody asks for them."""

FLAG_PARTIAL = 1  # the record is a piece of a line that is longer than a record may be; the next goes on
FLAG_MULTILINE = 2  # several lines were joined (a stack trace); they are separated by \n
FLAG_INVALID_UTF8 = 4  # bytes that were no UTF-8 became U+FFFD
FLAG_UNPARSED = 8  # the line was not of its stream's format and is kept as it was
FLAG_CLOCK = 16  # it carried no time stamp of its own: the time is that of its receipt

ROWS: dict[str, pl.DataType] = {
    "origin": pl.UInt32(),  # place in RecordFrame.origins
    "ts": pl.Int64(),  # Unix ns
    "start": pl.Int64(),  # [start, end) in the stream: with the stream's key the record's identity
    "end": pl.Int64(),
    "level": pl.UInt8(),  # code, see LEVELS
    "iostream": pl.UInt8(),  # code, see IOSTREAMS
    "body": pl.UInt8(),  # code, see BODIES
    "flags": pl.UInt8(),
    "message": pl.String(),  # the text as it was written, without the final newline
}
"""Columns of RecordFrame.rows. Rows of one stream stand in the order of `start`."""


class RecordFrame(msgspec.Struct, frozen=True):
    """The records that one journal entry completed."""

    seq: int  # of the journal entry: `deckwatch.seq` of all its records
    received_ns: int  # `event.ingested`
    origins: tuple[Origin, ...]
    rows: pl.DataFrame


class RecordConsumer(Protocol):
    """Whoever wants each record exactly once: the store, log metrics.

    Called from the pipeline's thread (not the event loop's), in order of `seq`, without overlap, right after the store
    has made the same records searchable. What it does must be quick: everything behind it waits.

    After a restart the journal is replayed from the lowest position of all consumers: a consumer must ignore frames
    with `seq <= position()`. What it made of the records and its position must become durable in one transaction
    (`commit`). Before the store drops what could be replayed, it has every consumer commit.
    """

    name: str

    def position(self) -> int:
        """Seq of the last entry whose records are durably consumed; -1 at the very beginning."""
        ...

    def consume(self, frame: RecordFrame) -> None:
        """Take a frame. `seq` may skip numbers (entries without records)."""
        ...

    def commit(self, seq: int) -> None:
        """Make everything up to and including `seq` durable."""
        ...

    def rewind(self, seq: int) -> None:
        """The journal ends at `seq`, before this consumer's position: both were restored from copies of different age.
        What comes with higher numbers is new."""
        ...


class SampleConsumer(Protocol):
    """Takes samples, events and gaps as they arrive, in journal order, after the journal's fsync. Called in the event
    loop's thread. After a restart what the store had not committed comes again: one sample per (series, time)."""

    def take_samples(self, seq: int, host: str, samples: Samples) -> None: ...

    def take_event(self, seq: int, host: str, event: Event) -> None: ...

    def take_gap(self, seq: int, host: str, stream: StreamId, gap: Gap) -> None: ...


class SampleKeeper(Protocol):
    """Keeps every sample durably: a RecordConsumer's sister. Called from the pipeline's thread, in the order of the
    journal; frames whose seq is not behind `position()` were kept already and are not handed over again."""

    name: str

    def position(self) -> int:
        """Seq of the last entry whose samples are durably kept; -1 at the very beginning."""
        ...

    def take(self, host: str, samples: Samples) -> None:
        """Raises Reject on a frame that can't be read: nothing of it is kept."""
        ...

    def take_write(self, write: Write) -> Verdict:
        """Samples of a remote write. Raises Reject on one that can't be read: nothing of it is kept."""
        ...

    def commit(self, seq: int) -> None:
        """Make everything taken durable; it is all there is up to and including `seq`. Raises Retry."""
        ...

    def rewind(self, seq: int) -> None:
        """See RecordConsumer.rewind()."""
        ...
