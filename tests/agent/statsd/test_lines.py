"""Lines of StatsD and DogStatsD."""

from __future__ import annotations

import pytest

from agent.statsd.lines import Kind, Observation, Unsupported, read_line
from deckwatch.runtime.faults import Reject

ID = "a" * 64


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("page.views:1|c", Observation("page_views", (), Kind.COUNTER, (1,))),
        ("page.views:1|c|@0.1", Observation("page_views", (), Kind.COUNTER, (1,), rate=0.1)),
        ("fuel.level:0.5|g", Observation("fuel_level", (), Kind.GAUGE, (0.5,))),
        ("fuel:+4|g", Observation("fuel", (), Kind.GAUGE, (4,), relative=True)),
        ("fuel:-4|g", Observation("fuel", (), Kind.GAUGE, (-4,), relative=True)),
        ("song.length:240|h|@0.5", Observation("song_length", (), Kind.HISTOGRAM, (240,), rate=0.5)),
        ("took:1:2:3|ms", Observation("took", (), Kind.TIMER, (1, 2, 3))),
        ("size:7|d", Observation("size", (), Kind.DISTRIBUTION, (7,))),
        ("users:a:b|s", Observation("users", (), Kind.SET, texts=("a:b",))),
        (
            "users.online:1|c|#country:china,env:prod",
            Observation("users_online", (("country", "china"), ("env", "prod")), Kind.COUNTER, (1,)),
        ),
        (
            "u:1|c|#beta,url:http://x|@0.5",
            Observation("u", (("beta", "true"), ("url", "http://x")), Kind.COUNTER, (1,), rate=0.5),
        ),
        (f"u:1|c|#a:b|c:ci-{ID}", Observation("u", (("a", "b"), ("container_id", ID)), Kind.COUNTER, (1,))),
        ("u:1|c|T1656581400", Observation("u", (), Kind.COUNTER, (1,))),
        ("u,host=h1,az=b:1|c", Observation("u", (("az", "b"), ("host", "h1")), Kind.COUNTER, (1,))),
        ("u#az=b:1|c", Observation("u", (("az", "b"),), Kind.COUNTER, (1,))),
        ("1st-try/x:1|c|#my-tag:1", Observation("_1st_try_x", (("my_tag", "1"),), Kind.COUNTER, (1,))),
    ],
)  # fmt: skip
def test_lines(line: str, want: Observation) -> None:
    assert read_line(line) == want


@pytest.mark.parametrize(
    "line",
    [
        *("", "x", "x:1", ":1|c", "x:|c", "x:a|c", "x:1|q", "x:1|c|@0", "x:1|c|@2", "x:1|c|@x"),
        *("x:nan|g", "x:1_0|c", "x:1|c|zzz", "x:inf|ms"),
    ],
)
def test_what_is_no_line(line: str) -> None:
    with pytest.raises(Reject) as fault:
        read_line(line)
    assert not isinstance(fault.value, Unsupported)


@pytest.mark.parametrize("line", ["_e{5,4}:title|text", "_sc|Redis connection|2"])
def test_events_are_told_apart(line: str) -> None:
    with pytest.raises(Unsupported):
        read_line(line)
