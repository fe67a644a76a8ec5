"""prompb.WriteRequest: what encode.py writes is read back; what is no request is refused and never crashes."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from collector.metrics.promql.source import STALE
from collector.metrics.remote.encode import encode_labels, encode_metadata, varint, write_request
from collector.metrics.remote.wire import read_labels, read_request
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels

UP: Labels = (("__name__", "up"), ("job", "é\n"))
LOAD: Labels = (("__name__", "load"),)
SERIES = [
    (UP, [1_700_000_000_000, 1_700_000_015_000], [1.0, float(STALE)]),
    (LOAD, [-5], [math.nan]),
    (LOAD, [], []),
    (UP, [0], [-0.0]),
]


def framed(tag: int, body: bytes) -> bytes:
    return bytes((tag,)) + varint(len(body)) + body


def test_what_was_written_is_read() -> None:
    data = write_request((encode_labels(labels), times, values) for labels, times, values in SERIES)
    read = read_request(data)
    assert [read_labels(data[a:b]) for a, b in zip(read.label_starts, read.label_ends, strict=True)] == [
        labels for labels, _, _ in SERIES
    ]
    assert read.offsets.tolist() == [0, 2, 3, 3, 4]
    assert read.times_ms.tolist() == [1_700_000_000_000, 1_700_000_015_000, -5, 0]
    wanted = np.array([value for _, _, values in SERIES for value in values])
    assert read.values.view(np.uint64).tolist() == wanted.view(np.uint64).tolist()


def encode_sample(time_ms: int, value: float) -> bytes:
    """As a request has it behind a series' labels."""
    request = write_request([(b"", [time_ms], [value])])
    return request[2:]


def test_an_empty_request() -> None:
    assert len(read_request(b"")) == 0


def test_fields_that_we_have_no_use_for_are_passed_over() -> None:
    exemplar, histogram = framed(0x1A, b"\x11" + bytes(8)), framed(0x22, b"\x08\x01")
    odd = b"\x48\x07" + b"\x55abcd" + b"\x51abcdefgh" + framed(0x72, b"new")  # numbers 9, 10, 10, 14
    series = framed(0x0A, encode_labels(UP) + exemplar + encode_sample(7, 2.5) + odd + histogram)
    read = read_request(odd + series + encode_metadata("up", 2, "help", "s"))
    assert (read.times_ms.tolist(), read.values.tolist(), read.histograms) == ([7], [2.5], 1)
    assert len(read.metadata) == 1


def test_defaults_are_left_out_by_encoders() -> None:
    """proto3: a value of 0 and a time of 0 aren't written."""
    read = read_request(framed(0x0A, encode_labels(UP) + framed(0x12, b"")))
    assert (read.times_ms.tolist(), read.values.tolist()) == ([0], [0.0])


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\x0a", "not a WriteRequest"),
        (b"\x0a\x05ab", "from series 0 on"),
        (b"\xff" * 12, "not a WriteRequest"),
        (b"\x0b", "not a WriteRequest"),  # a group, of old
        (framed(0x0A, encode_labels(UP)) + b"\x0a\x02\x0a\x09", "from series 1 on"),
        (framed(0x0A, framed(0x12, b"\x09\x01")), "not a WriteRequest"),
        (framed(0x0A, encode_labels(UP) + encode_sample(1, 1) + encode_labels(LOAD)), "don't stand together"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "not a WriteRequest"),  # a length beyond 63 bits
    ],
)
def test_refused(data: bytes, word: str) -> None:
    with pytest.raises(Reject, match=word):
        read_request(data)


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        ((("job", "x"),), "no metric name"),
        ((), "no metric name"),
        ((("__name__", "up"), ("", "x")), "no name"),
        ((("__name__", "up"), ("a", "1"), ("a", "2")), "'a' stands there twice"),
        ((("__name__", ""), ("a", "1")), "no metric name"),
    ],
)
def test_labels_that_are_none(labels: Labels, word: str) -> None:
    with pytest.raises(Reject, match=word):
        read_labels(encode_labels(labels))


def test_labels_are_sorted_and_empty_ones_left_out() -> None:
    assert read_labels(encode_labels((("z", "1"), ("__name__", "m"), ("a", "")))) == (("__name__", "m"), ("z", "1"))
    with pytest.raises(Reject, match="UTF-8"):
        read_labels(framed(0x0A, framed(0x0A, b"\xff") + framed(0x12, b"x")))


def test_noise_is_refused_or_read_and_nothing_else() -> None:
    """Bytes flipped and cut off at random."""
    chance = random.Random(7)
    whole = write_request((encode_labels(labels), times, values) for labels, times, values in SERIES)
    outcomes = set()
    for _ in range(3000):
        data = bytearray(whole[: chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read = read_request(bytes(data))
        except Reject:
            outcomes.add("refused")
            continue
        outcomes.add("read")
        assert read.offsets[-1] == len(read.times_ms) == len(read.values)
        assert (read.label_starts <= read.label_ends).all()
        assert (read.label_ends <= len(data)).all()
    assert outcomes == {"refused", "read"}
