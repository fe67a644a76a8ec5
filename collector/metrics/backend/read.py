"""Samples by Prometheus' remote read: a SeriesSource over `/api/v1/read`.

    ReadRequest  { repeated Query queries = 1; }           // a snappy block
    Query        { int64 start_timestamp_ms = 1; int64 end_timestamp_ms = 2; repeated LabelMatcher matchers = 3; }
    LabelMatcher { Type type = 1; string name = 2; string value = 3; }  // EQ, NEQ, RE, NRE
    ReadResponse { repeated QueryResult results = 1; }
    QueryResult  { repeated TimeSeries timeseries = 1; }   // as a WriteRequest has them

https://github.com/prometheus/prometheus/blob/main/prompb/remote.proto. Answers hold samples as they are stored,
staleness markers and NaN bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import cramjam
import numpy as np

from collector.metrics.backend.client import Backend
from collector.metrics.promql.faults import too_many_samples
from collector.metrics.promql.source import Selection
from collector.metrics.remote.encode import framed, varint
from collector.metrics.remote.wire import WriteColumns, fields, read_labels, read_request
from collector.metrics.selector import Matcher, MatchOp
from collector.metrics.tsdb.columns import Points, between, merged
from collector.metrics.tsdb.writes import unpacked_size
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels

PATH = "/api/v1/read"
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "Accept-Encoding": "snappy",
    "X-Prometheus-Remote-Read-Version": "0.1.0",
}
_TYPES = {MatchOp.EQUAL: 0, MatchOp.NOT_EQUAL: 1, MatchOp.REGEX: 2, MatchOp.NOT_REGEX: 3}


class RemoteRead:
    def __init__(self, backend: Backend, tenant: str) -> None:
        self._backend = backend
        self._tenant = tenant

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        """As `SeriesSource` has it. Raises QueryError."""
        asked = bytes(cramjam.snappy.compress_raw(read_query(matchers, start_ms, end_ms)))
        answer = self._backend.fetch(PATH, self._tenant, headers=HEADERS, data=asked)
        self._backend.check_size(unpacked_size(answer))
        try:
            parts = [read_request(data) for data in results(bytes(cramjam.snappy.decompress_raw(answer)))]
            found = selection(parts, start_ms, end_ms)
        except (Reject, cramjam.DecompressionError) as fault:
            raise self._backend.malformed(fault) from None
        if found.samples > max_samples:
            raise too_many_samples(max_samples)
        return found


def read_query(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> bytes:
    """A ReadRequest, not packed yet."""
    parts = [b"\x08" + _signed(start_ms), b"\x10" + _signed(end_ms)]
    for each in matchers:
        pair = framed(0x12, each.label.encode()) + framed(0x1A, each.value.encode())
        parts.append(framed(0x1A, b"\x08" + varint(_TYPES[each.op]) + pair))
    return framed(0x0A, b"".join(parts))


def results(data: bytes) -> list[bytes]:
    """The QueryResults of a ReadResponse. Raises Reject."""
    return [data[start:end] for number, start, end in fields(data, 0, len(data)) if number == 1 and end >= 0]


def selection(parts: Sequence[WriteColumns], start_ms: int, end_ms: int) -> Selection:
    """Samples in [start_ms, end_ms] by series, sorted by their labels. Raises Reject."""
    named = [
        [
            read_labels(part.data[at:end])
            for at, end in zip(part.label_starts.tolist(), part.label_ends.tolist(), strict=True)
        ]
        for part in parts
    ]
    labels = sorted({each for names in named for each in names})
    return placed(
        labels,
        [(names, Points(part.offsets, part.times_ms, part.values)) for names, part in zip(named, parts, strict=True)],
        start_ms,
        end_ms,
    )


def placed(
    labels: Sequence[Labels], parts: Sequence[tuple[Sequence[Labels], Points]], start_ms: int, end_ms: int
) -> Selection:
    place = {each: at for at, each in enumerate(labels)}
    owned = [(np.fromiter((place[each] for each in names), np.int64, len(names)), points) for names, points in parts]
    points = between(merged(owned, len(labels)), start_ms, end_ms)
    return Selection(tuple(labels), points.offsets, points.times_ms, points.values)


def _signed(value: int) -> bytes:
    return varint(value & (1 << 64) - 1)
