"""What is decided about samples on their way out: requests, outcomes, series."""

from __future__ import annotations

import cramjam
import numpy as np
import pytest

from collector.metrics.remote.out_client import Later, Outcome, Refused, Taken, judged, wish_s
from collector.metrics.remote.out_requests import body, by_series, halves, shards
from collector.metrics.remote.out_samples import Rows
from collector.metrics.remote.out_series import DROPPED, OutSeries
from collector.metrics.remote.settings import QueueConfig, RemoteWriteSettings
from collector.metrics.remote.wire import read_labels, read_request
from collector.settings import MetricsSettings
from deckwatch.runtime.relabel_settings import RelabelSettings
from deckwatch.wire.model import Labels

MOVED = "redirects are not followed: configure the address that it moved to"
NOW_S = 1_700_000_000.0


@pytest.mark.parametrize(
    ("status", "retry_after", "want"),
    [
        (200, "", Taken()),
        (204, "", Taken()),
        (
            302,
            "",
            Later("it answered 302: x; redirects are not followed: configure the address that it moved to", "302"),
        ),
        (400, "5", Refused(400, "it answered 400: x")),
        (401, "", Refused(401, "it answered 401: x")),
        (404, "", Refused(404, "it answered 404: x")),
        (429, "", Later("it answered 429: x", "429")),
        (429, "7", Later("it answered 429: x", "429", 7.0)),
        (500, "", Later("it answered 500: x", "500", uncertain=True)),
        (503, "3", Later("it answered 503: x", "503", 3.0, uncertain=True)),
    ],
)
def test_judged(status: int, retry_after: str, want: Outcome) -> None:
    assert judged(status, "x", retry_after, NOW_S) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", None),
        ("soon", None),
        ("-1", None),
        ("120", 120.0),
        ("99999999999999", 3600.0),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
    ],
)
def test_wish(text: str, want: float | None) -> None:
    assert wish_s(text, NOW_S) == want


def rows(series: list[int], times_ms: list[int] | None = None) -> Rows:
    count = len(series)
    times = np.arange(count) if times_ms is None else np.array(times_ms)
    return Rows(np.array(series, np.int64), times.astype(np.int64), np.arange(count, dtype=np.float64))


@pytest.mark.parametrize(
    ("series", "most_samples", "most_shards", "want"),
    [
        ([], 10, 4, []),
        ([0, 1, 2], 10, 4, [[[0, 1, 2]]]),
        ([0, 1, 2, 3], 2, 4, [[[0, 2]], [[1, 3]]]),
        ([0, 1, 2, 3, 4, 5], 2, 1, [[[0, 1], [2, 3], [4, 5]]]),
        ([4, 0, 4, 0, 4, 0], 2, 3, [[[0, 0], [0]], [[4, 4], [4]], []]),
    ],
)
def test_a_series_is_in_one_shard_alone(
    series: list[int], most_samples: int, most_shards: int, want: list[list[list[int]]]
) -> None:
    found = shards(rows(series), most_samples=most_samples, most_shards=most_shards)
    by_shard = [[request.series.tolist() for request in shard] for shard in found]
    assert by_shard == want


def test_samples_of_a_series_stay_in_order() -> None:
    given = rows([1, 0, 1, 0, 1], [10, 10, 20, 20, 30])
    (shard,) = shards(given, most_samples=100, most_shards=8)
    assert [(shard[0].series.tolist(), shard[0].times_ms.tolist())] == [([0, 0, 1, 1, 1], [10, 20, 10, 20, 30])]
    first, second = halves(shard[0])
    assert (first.times_ms.tolist(), second.times_ms.tolist()) == ([10, 20], [10, 20, 30])


def test_a_body_is_a_write_request_bit_for_bit() -> None:
    names = {0: (("__name__", "a"), ("x", "1")), 1: (("__name__", "b"),)}
    series = OutSeries({}, ())
    assert [series.place(names[0]), series.place(names[1])] == [0, 1]
    bits = np.array([0x7FF0000000000002, 0x7FF8000000000001, 0x3FF0000000000000], np.uint64).view(np.float64)
    given = by_series(Rows(np.array([1, 0, 1]), np.array([5, -7, 1_700_000_000_000]), bits))
    written = read_request(bytes(cramjam.snappy.decompress_raw(body(given, series.labels))))
    labels = [
        read_labels(written.data[at:end]) for at, end in zip(written.label_starts, written.label_ends, strict=True)
    ]
    assert labels == [names[0], names[1]]
    assert written.offsets.tolist() == [0, 1, 3]
    assert written.times_ms.tolist() == [-7, 5, 1_700_000_000_000]
    assert written.values.view(np.uint64).tolist() == [0x7FF8000000000001, 0x7FF0000000000002, 0x3FF0000000000000]


DROP = RelabelSettings(action="drop", source_labels=("__name__",), regex="secret_.*").rule()
CUT = RelabelSettings(action="labeldrop", regex="pod").rule()
NAMELESS = RelabelSettings(action="labeldrop", regex="__name__").rule()


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        ((("__name__", "a"),), (("__name__", "a"), ("cluster", "one"))),
        ((("__name__", "a"), ("cluster", "own")), (("__name__", "a"), ("cluster", "own"))),
        ((("__name__", "a"), ("pod", "x")), (("__name__", "a"), ("cluster", "one"))),
        ((("__name__", "secret_a"),), None),
    ],
)
def test_external_labels_then_relabelling(labels: Labels, want: Labels | None) -> None:
    series = OutSeries({"cluster": "one"}, (DROP, CUT))
    place = series.place(labels)
    assert (None if place == DROPPED else read_labels(series.labels(place))) == want


def test_series_that_become_the_same_never_go_back_in_time() -> None:
    series = OutSeries({}, (CUT,))
    first, second = series.place((("__name__", "a"), ("pod", "x"))), series.place((("__name__", "a"), ("pod", "y")))
    assert first == second
    assert OutSeries({}, (NAMELESS,)).place((("__name__", "a"), ("pod", "x"))) == DROPPED
    times = [series.take(np.array([first, DROPPED]), np.array([at, at])).tolist() for at in (10, 10, 5, 11)]
    assert times == [[True, False], [False, False], [False, False], [True, False]]


def test_dead_series_are_forgotten() -> None:
    series = OutSeries({}, ())
    places = np.array([series.place((("__name__", "a"), ("n", str(n)))) for n in range(12_000)])
    series.take(places, np.full(12_000, 1000))
    assert series.forget_dead() is None
    series.take(places[:1_500], np.full(1_500, 4_000_000))
    number = series.forget_dead()
    assert number is not None
    assert (number[:1_500].tolist(), set(number[1_500:].tolist()), len(series)) == (
        list(range(1_500)),
        {DROPPED},
        1_500,
    )
    assert series.place((("__name__", "a"), ("n", "7"))) == 7
    assert series.take(np.array([7]), np.array([4_000_000])).tolist() == [False]
    assert read_labels(series.labels(series.place((("__name__", "new"),)))) == (("__name__", "new"),)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"url": "ftp://x/"}, "is no http:// or https:// address"),
        ({"url": "http://me:pw@x/"}, "password"),
        ({"url": "http://x/", "headers": {"Content-Type": "x"}}, "Content-Type can't be set here"),
        ({"url": "http://x/", "remote_timeout": "0s"}, "remote_timeout is 0"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        RemoteWriteSettings(**options)  # type: ignore[arg-type]


def test_queues_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="min_backoff 1m"):
        QueueConfig(min_backoff="1m")
    with pytest.raises(ValueError, match="batch_send_deadline"):
        QueueConfig(batch_send_deadline="0s")


def test_two_receivers_of_one_name() -> None:
    one = RemoteWriteSettings(url="http://x/write")
    MetricsSettings(remote_write=(one, RemoteWriteSettings(url="http://x/write", tenant="blue")))
    with pytest.raises(ValueError, match="is there twice"):
        MetricsSettings(remote_write=(one, one))
