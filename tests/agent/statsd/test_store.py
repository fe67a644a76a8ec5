"""What lines add up to."""

from __future__ import annotations

import msgspec
import pytest

from agent.statsd.lines import read_line
from agent.statsd.settings import StatsdSettings
from agent.statsd.store import StatsdStore, Taken

SETTINGS = StatsdSettings(timer_buckets_s=(0.1, 1.0), value_buckets=(10.0,), max_series=3, max_set_values=2, idle_s=60)


def feed(store: StatsdStore, *lines: str, now_s: float = 0) -> list[Taken]:
    return [store.take(read_line(line), now_s) for line in lines]


def series(store: StatsdStore, now_s: float = 0) -> dict[str, float]:
    return {
        column.name + "".join(f" {name}={value}" for name, value in column.labels): value
        for column, value in store.series(now_s).items()
    }


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        (["a:1|c", "a:2|c", "a:3|c|@0.1"], {"a": 33}),
        (["a:1|c|#x:1", "a:2|c|#x:2"], {"a x=1": 1, "a x=2": 2}),
        (["a:5|g", "a:7|g"], {"a": 7}),
        (["a:5|g", "a:+3|g", "a:-1|g"], {"a": 7}),
        (["a:-3|g"], {"a": -3}),
        (["a:x|s", "a:y|s", "a:x|s"], {"a": 2}),
        (
            ["a:100|ms", "a:500|ms|@0.5", "a:5000|ms"],
            {"a_bucket le=0.1": 1, "a_bucket le=1": 3, "a_bucket le=+Inf": 4, "a_sum": 6.1, "a_count": 4},
        ),
        (["a:3:30|h", "a:10|d"], {"a_bucket le=10": 2, "a_bucket le=+Inf": 3, "a_sum": 43, "a_count": 3}),
    ],
)
def test_sums(lines: list[str], want: dict[str, float]) -> None:
    store = StatsdStore(SETTINGS)
    assert set(feed(store, *lines)) == {Taken.YES}
    assert series(store) == pytest.approx(want)


def test_counters_go_on_and_sets_begin_anew() -> None:
    store = StatsdStore(SETTINGS)
    feed(store, "a:1|c", "s:x|s")
    series(store)
    feed(store, "a:1|c")
    assert series(store) == {"a": 2, "s": 0}


def test_series_and_sets_are_bounded() -> None:
    store = StatsdStore(SETTINGS)
    assert feed(store, "a:1|c", "b:1|c", "c:x|s", "d:1|c", "a:1|c") == [*[Taken.YES] * 3, Taken.FULL, Taken.YES]
    assert feed(store, "c:y|s", "c:z|s", "c:x|s") == [Taken.YES, Taken.SET_FULL, Taken.YES]
    assert series(store) == {"a": 2, "b": 1, "c": 2}


def test_a_name_has_one_type() -> None:
    store = StatsdStore(SETTINGS)
    assert feed(store, "a:1|c", "a:1|g|#x:1", "a:1|c|#x:1") == [Taken.YES, Taken.CONFLICT, Taken.YES]


def test_idle_series_end_and_make_room() -> None:
    store = StatsdStore(SETTINGS)
    feed(store, "a:1|c", "a:1|c|#x:1", "b:1|c")
    feed(store, "b:1|c", now_s=50)
    assert series(store, 61) == {"b": 2}
    assert feed(store, "a:1|g", now_s=61) == [Taken.YES]


def test_buckets_must_rise() -> None:
    with pytest.raises(msgspec.ValidationError, match="value_buckets"):
        msgspec.convert({"value_buckets": [1, 1]}, StatsdSettings)
