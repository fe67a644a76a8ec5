"""When a line was written, by the line itself; and on whole logs of ten systems, compared with Python's own reading."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from collector.parse.input import Accepted
from collector.parse.parser import Parser
from collector.parse.settings import ParseSettings, TimeFrom, TimeSettings
from collector.parse.zones import zone_table
from collector.records import FLAG_CLOCK, FLAG_MULTILINE
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, StreamId, StreamInfo
from tests.collector.parse.feeding import RECEIVED_NS, STAMP_NS, Feed, Record, docker, parse_all, records_of

LOGS = Path(__file__).parents[4] / "shared" / "data" / "logs"
RECEIVED = datetime(2027, 1, 15, 8, 0, 0, tzinfo=UTC)  # RECEIVED_NS


def unix_ns(text: str) -> int:
    """Of ISO text with a zone, to the microsecond."""
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000


def the_record(line: str, config: ParseSettings | None = None) -> Record:
    (record,) = parse_all(line.encode() + b"\n", Format.PLAIN, config)
    return record


@pytest.mark.parametrize(
    ("line", "time"),
    [
        # ISO
        ("2026-01-02 03:04:05,678 INFO x", "2026-01-02T03:04:05.678Z"),
        ("[2026-01-02 03:04:05.678] x", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02 03:04:05 x", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
        ("2026-01-02T04:04:05+01:00 x", "2026-01-02T03:04:05Z"),
        ("2026-01-02T04:04:05.5+0100 x", "2026-01-02T03:04:05.5Z"),
        ("2026-01-02T04:04:05+01 x", "2026-01-02T03:04:05Z"),
        ("2026-01-02 00:04:05 -0300 x", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05 UTC [12] LOG:  x", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05.678 - acme - ERROR - x", "2026-01-02T03:04:05.678Z"),
        ("2026/01/02 03:04:05 [error] 31#31: *1 open() failed", "2026-01-02T03:04:05Z"),
        ("2026-01-02 3:04:05 x", "2026-01-02T03:04:05Z"),
        ("2024-02-29T00:00:00Z leap day", "2024-02-29T00:00:00Z"),
        ("2000-02-29T00:00:00Z x", "2000-02-29T00:00:00Z"),
        ("2025-12-31T23:59:60Z leap second", "2026-01-01T00:00:00Z"),
        # behind a level, a host, a file, brackets, a priority
        ("INFO 2026-01-02 03:04:05,678 x", "2026-01-02T03:04:05.678Z"),
        ("[main] 2026-01-02 03:04:05 x", "2026-01-02T03:04:05Z"),
        ("E, [2026-01-02T03:04:05.678 #1] ERROR -- : x", "2026-01-02T03:04:05.678Z"),
        ("[I 2026-01-02 03:04:05.678 ServerApp] x", "2026-01-02T03:04:05.678Z"),
        ("nova-api.log.1 2026-01-02 03:04:05.678 25746 INFO x", "2026-01-02T03:04:05.678Z"),
        ("web-1 |2026-01-02 03:04:05 x", "2026-01-02T03:04:05Z"),
        # syslog
        ("Jan  2 03:04:05 host prog[1]: x", "2027-01-02T03:04:05Z"),
        ("Jan 14 03:04:05.678 host x", "2027-01-14T03:04:05.678Z"),
        ("Dec 31 23:59:59 host x", "2026-12-31T23:59:59Z"),
        ("Jan 16 07:59:59 host of a clock ahead", "2027-01-16T07:59:59Z"),
        ("Jan 16 08:00:01 host x", "2026-01-16T08:00:01Z"),
        ("Feb 29 03:04:05 host x", "2024-02-29T03:04:05Z"),
        ("Jan  2 2026 03:04:05 cisco: x", "2026-01-02T03:04:05Z"),
        ("<34>Oct 11 22:14:15 host su: x", "2026-10-11T22:14:15Z"),
        ("<34>1 2003-10-11T22:14:15.003Z host su - ID47 - x", "2003-10-11T22:14:15.003Z"),
        ("<165>1 2003-08-24T05:14:15.000003-07:00 10.0.0.1 x", "2003-08-24T12:14:15.000003Z"),
        # servers
        ('10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 1', "2000-10-10T20:55:36Z"),
        ('shop.test:80 ::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 1', "2000-10-10T13:55:36Z"),
        ("[Sun Dec 04 04:47:44 2005] [notice] x", "2005-12-04T04:47:44Z"),
        ("[Sun Dec 04 04:47:44.123456 2005] [core:warn] [pid 1] x", "2005-12-04T04:47:44.123456Z"),
        ("1:M 02 Jan 2026 03:04:05.678 * Saving", "2026-01-02T03:04:05.678Z"),
        ("02-Jan-2026 03:04:05.678 INFO [main] org.apache.catalina x", "2026-01-02T03:04:05.678Z"),
        ("Jan 02, 2026 3:04:05 PM com.acme.App run", "2026-01-02T15:04:05Z"),
        ("Jan 02, 2026 12:04:05 AM com.acme.App run", "2026-01-02T00:04:05Z"),
        ("Fri Jan  2 03:04:05 UTC 2026 x", "2026-01-02T03:04:05Z"),
        ("Fri, 02 Jan 2026 03:04:05 GMT x", "2026-01-02T03:04:05Z"),
        ("I0102 03:04:05.678901       1 main.go:1] x", "2027-01-02T03:04:05.678901Z"),
        ("12-31 03:04:05.678  1702  2395 D WindowManager: x", "2026-12-31T03:04:05.678Z"),
        ("081109 203615 148 INFO dfs.DataNode: x", "2008-11-09T20:36:15Z"),
        ("081109 20:36:15 [Note] x", "2008-11-09T20:36:15Z"),
        ("17/06/09 20:10:40 INFO executor: x", "2017-06-09T20:10:40Z"),
        ("2016-09-28 04:30:30, Info                  CBS    x", "2016-09-28T04:30:30Z"),
        ("20260102T030405Z x", "2026-01-02T03:04:05Z"),
        ("20260102-03:04:05.678 x", "2026-01-02T03:04:05.678Z"),
        ("134681 node-246 unix.hw state_change.unavailable 1077804742 1 x", "2004-02-26T14:12:22Z"),
        ("1286536309.586    921 10.0.0.1 TCP_MISS/200 507", "2010-10-08T11:11:49.586Z"),
        ("[1799999999] x", "2027-01-15T07:59:59Z"),
        # JSON
        ('{"level":"info","time":1767323045678,"msg":"x"}', "2026-01-02T03:04:05.678Z"),
        ('{"ts":1767323045.678901,"msg":"x"}', "2026-01-02T03:04:05.678901Z"),
        ('{"ts":"1767323045678901"}', "2026-01-02T03:04:05.678901Z"),
        ('{"timeUnixNano":"1767323045678901000"}', "2026-01-02T03:04:05.678901Z"),
        ('{"time":0.004,"timestamp":"2026-01-02T04:04:05.678+01:00"}', "2026-01-02T03:04:05.678Z"),
        ('{"a":{"time":"2020-01-01T00:00:00Z"},"@timestamp":"2026-01-02T03:04:05Z"}', "2026-01-02T03:04:05Z"),
        ('{"date":"2020-01-01T00:00:00Z","ts":"2026-01-02T03:04:05Z"}', "2026-01-02T03:04:05Z"),
        ('{"date":"2026-01-02 03:04:05,678","msg":"x"}', "2026-01-02T03:04:05.678Z"),
        ('{"eventTime":"2026-01-02T03:04:05Z"}', "2026-01-02T03:04:05Z"),
        ('{"datetime" : "2026-01-02 03:04:05" }', "2026-01-02T03:04:05Z"),
        ('{"Timestamp":"2026-01-02T03:04:05Z"}', "2026-01-02T03:04:05Z"),
        ('{"asctime":"2026-01-02 03:04:05,678","levelname":"INFO"}', "2026-01-02T03:04:05.678Z"),
        ('{"time_local":"02/Jan/2026:03:04:05 +0000"}', "2026-01-02T03:04:05Z"),
        ('{"@t":"2026-01-02T03:04:05Z","@m":"x"}', "2026-01-02T03:04:05Z"),
        ('{"t":{"$date":"2026-01-02T03:04:05.678+00:00"},"s":"I"}', "2026-01-02T03:04:05.678Z"),
        ('{"timestamp":{"seconds":1767323045,"nanos":678000000}}', "2026-01-02T03:04:05.678Z"),
        ('{"instant":{"epochSecond":1767323045,"nanoOfSecond":678000000}}', "2026-01-02T03:04:05.678Z"),
        ('{"datetime":{"date":"2026-01-02 03:04:05.678000","timezone":"UTC"}}', "2026-01-02T03:04:05.678Z"),
        ('{"__REALTIME_TIMESTAMP":"1767323045678901"}', "2026-01-02T03:04:05.678901Z"),
        # pairs
        ('time="2026-01-02T03:04:05Z" level=warning msg="x"', "2026-01-02T03:04:05Z"),
        ("ts=2026-01-02T03:04:05.678Z caller=main.go:1 level=debug", "2026-01-02T03:04:05.678Z"),
        ("level=info ts=1767323045.678 x=1", "2026-01-02T03:04:05.678Z"),
        ("request done t=2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    ],
)  # fmt: skip
def test_time_of_a_line(line: str, time: str) -> None:
    record = the_record(line)
    assert (record.ts, record.flags, record.message) == (unix_ns(time), 0, line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no time at all",
        "at 2026-01-02 03:04:05 x",
        "Restored the snapshot of 2026-01-02 03:04:05",
        "2026-02-29T00:00:00Z x",
        "2026-02-30 03:04:05 x",
        "2026-01-32 03:04:05 x",
        "2026-13-02 03:04:05 x",
        "2026-01-02 24:04:05 x",
        "2026-01-02 03:60:05 x",
        "2026-01-02",
        "2026-01-02 03:04:05678 x",
        "3026-01-02 03:04:05 x",
        "Jan 32 03:04:05 host x",
        "Feb 30 03:04:05 host x",
        "March 2 03:04:05 x",
        "May I say something: 03:04:05",
        "03:04:05 INFO x",
        "I0102x 03:04:05.678901 x",
        "13-01 03:04:05.678 x",
        "081309 203615 x",
        "1234567890 items were processed",
        "1767323045 things",
        "12345678901234567890 x",
        "134681 of the orders were 1077804742 1 x",
        "<999>Jan  2 03:04:05 x",
        '{"time":12,"ts":"3ms","timestamp":null,"t":true}',
        '{"a":{"time":"2026-01-02T03:04:05Z"}}',
        '{"message":"2026-01-02T03:04:05Z"}',
        '{"time":"2026-01-02T03:04:05Z and more"}',
        '{"time":"2026-01-02","date":"yesterday"}',
        "level=info time=12ms t=5 date=2026-01-02",
    ],
)
def test_no_time(line: str) -> None:
    record = the_record(line)
    assert (record.ts, record.flags) == (RECEIVED_NS, FLAG_CLOCK)


@pytest.mark.parametrize(
    ("line", "believed"),
    [
        ("2027-01-16T07:59:59Z x", True),
        ("2027-01-16T08:00:01Z x", False),
        ('{"time":"2099-01-02T03:04:05Z"}', False),
        ("ts=2099-01-02T03:04:05Z x=1", False),
        ("1990-01-01T00:00:00Z x", True),
        ("1989-12-31T23:59:59Z x", False),
        ("1970-01-01T00:00:07Z a clock that was never set", False),
    ],
)
def test_wild_times_are_not_believed_and_counted(line: str, believed: bool) -> None:
    feed, registry = Feed(Format.PLAIN), CollectorRegistry()
    feed.parser = Parser(ParseSettings(), registry)
    (record,) = feed.give(line.encode() + b"\n", eof=True)
    assert (record.ts != RECEIVED_NS, record.flags == 0) == (believed, believed)
    assert registry.get_sample_value("deckwatch_parse_times_refused_total") == (not believed)


def test_how_far_ahead_is_believed_is_a_setting() -> None:
    config = ParseSettings(times=TimeSettings(max_ahead_s=60))
    assert the_record("2027-01-15T08:00:59Z x", config).flags == 0
    assert the_record("2027-01-15T08:01:01Z x", config).flags == FLAG_CLOCK


def test_all_digits_of_a_time_are_kept() -> None:
    assert the_record("2026-01-02T03:04:05.678901234Z x").ts == STAMP_NS
    assert the_record('{"time":"2026-01-02T03:04:05.6789012349999Z"}').ts == STAMP_NS
    assert the_record(f'{{"ts":{STAMP_NS}}}').ts == STAMP_NS


# Zones ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "line", "time"),
    [
        ("+02:00", "2026-01-02 05:04:05 x", "2026-01-02T03:04:05Z"),
        ("-0330", "2026-01-01 23:34:05 x", "2026-01-02T03:04:05Z"),
        ("Europe/Berlin", "2026-01-02 04:04:05 x", "2026-01-02T03:04:05Z"),
        ("Europe/Berlin", "2026-07-02 05:04:05 x", "2026-07-02T03:04:05Z"),
        ("Europe/Berlin", "2026-07-02 05:04:05Z x", "2026-07-02T05:04:05Z"),
        ("Europe/Berlin", '{"time":"2026-07-02 05:04:05,5"}', "2026-07-02T03:04:05.5Z"),
        ("Europe/Berlin", "2026-10-25 02:30:00 the first of two", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", "2026-03-29 02:30:00 in the gap", "2026-03-29T01:30:00Z"),
        ("America/New_York", "Jan 15 03:04:05 host x", "2027-01-15T08:04:05Z"),
        ("Asia/Tokyo", "Jan 16 17:30:00 host x", "2026-01-16T08:30:00Z"),  # ahead of a day by the hour
    ],
)
def test_the_zone_of_times_that_name_none(zone: str, line: str, time: str) -> None:
    assert the_record(line, ParseSettings(times=TimeSettings(timezone=zone))).ts == unix_ns(time)


def by_host(*hosts: tuple[str, str, str]) -> list[int]:
    """Times of lines by (name of the host, its zone, its line), all in one batch."""
    contexts = tuple(Context(host, timezone=zone) for host, zone, _ in hosts)
    streams = tuple(
        StreamInfo(StreamId(host, "s", "1-0"), "t", Format.PLAIN, n) for n, (host, _, _) in enumerate(hosts)
    )
    chunks = tuple(Chunk(n, 0, 0, 0, line.encode() + b"\n", eof=True) for n, (_, _, line) in enumerate(hosts))
    batch = Batch(VERSION, "a", "h", 0, contexts, streams, chunks)
    frame = Parser(ParseSettings()).parse(Accepted(1, RECEIVED_NS, batch, (0,) * len(hosts)))
    return [record.ts for record in records_of(frame)]


def test_each_host_may_have_a_zone_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    line = "2026-07-02 05:04:05 x"
    times = by_host(("a", "Europe/Berlin", line), ("b", "", line), ("c", "Asia/Tokyo", line), ("d", "No/Where", line))
    expected = ["2026-07-02T03:04:05Z", "2026-07-02T05:04:05Z", "2026-07-01T20:04:05Z", "2026-07-02T05:04:05Z"]
    assert times == [unix_ns(time) for time in expected]
    assert [record.getMessage() for record in caplog.records] == [
        "an agent names the time zone 'No/Where', which is not known here: its lines have the default"
    ]


@pytest.mark.parametrize("zone", ["No/Where", "../etc/passwd", "+25", "Berlin", "\0"])
def test_a_zone_that_is_none_is_told(zone: str) -> None:
    assert zone_table(zone) is None
    with pytest.raises(Unusable, match=r"parse\.times\.timezone: there is no time zone .*Europe/Berlin"):
        Parser(ParseSettings(times=TimeSettings(timezone=zone)))


@settings(max_examples=300, deadline=None)
@given(
    at=st.datetimes(datetime(1990, 1, 2), datetime(2027, 1, 1)),
    zone=st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "Africa/Casablanca"]),
)  # fmt: skip
def test_zones_are_pythons(at: datetime, zone: str) -> None:
    at = at.replace(microsecond=0)
    config = ParseSettings(times=TimeSettings(timezone=zone))
    expected = at.replace(tzinfo=ZoneInfo(zone)).timestamp()
    assert the_record(f"{at:%Y-%m-%d %H:%M:%S} x", config).ts == int(expected) * 10**9


# Containers ----------------------------------------------------------------------------------------------------

LINE = "2020-02-03 04:05:06 INFO x"
LINE_NS = unix_ns("2020-02-03T04:05:06Z")


@pytest.mark.parametrize(
    ("fmt", "data"), [(Format.DOCKER_JSON, docker(LINE + "\n")), (Format.CRI, f"2026-01-02T03:04:05.678901234Z stdout F {LINE}\n".encode())]
)  # fmt: skip
def test_the_engines_time_goes_first_unless_told_otherwise(fmt: Format, data: bytes) -> None:
    by_line = ParseSettings(times=TimeSettings(docker_json=TimeFrom.LINE, cri=TimeFrom.LINE))
    assert [record.ts for record in parse_all(data, fmt)] == [STAMP_NS]
    assert [record.ts for record in parse_all(data, fmt, by_line)] == [LINE_NS]
    wild = data.replace(b"2020-", b"2920-")
    assert [(record.ts, record.flags) for record in parse_all(wild, fmt, by_line)] == [(STAMP_NS, 0)]
    silent = data.replace(LINE.encode(), b"x")
    assert [record.ts for record in parse_all(silent, fmt, by_line)] == [STAMP_NS]


def test_a_container_line_without_a_time_has_that_of_its_text() -> None:
    (record,) = parse_all(b'{"log":"2020-02-03 04:05:06 INFO x\\n","stream":"stdout"}\n')
    assert (record.ts, record.flags) == (LINE_NS, 0)


# Whole records -------------------------------------------------------------------------------------------------


def test_a_record_of_several_lines_has_the_time_of_its_first() -> None:
    lines = (
        '2026-01-02 03:04:05 ERROR x\nValueError: y\n  2026-01-03 03:04:05 z\n{\n  "time": "2026-01-02T03:04:06Z"\n}\n'
    )
    records = parse_all(lines.encode(), Format.PLAIN)
    assert [(r.ts, bool(r.flags & FLAG_MULTILINE)) for r in records] == [
        (unix_ns("2026-01-02T03:04:05Z"), True),
        (unix_ns("2026-01-02T03:04:06Z"), True),
    ]  # fmt: skip


def test_pieces_of_a_line_that_is_too_long_have_its_leading_time() -> None:
    data = b"2026-01-02 03:04:05 INFO " + b"x" * (5 << 19) + b"\n2026-01-02 03:04:06 next\n"
    records = parse_all(data, Format.PLAIN)
    first = unix_ns("2026-01-02T03:04:05Z")
    assert [(record.ts, record.flags & FLAG_CLOCK) for record in records] == [(first, 0)] * 3 + [(first + 10**9, 0)]


def test_the_time_does_not_depend_on_when_the_rest_of_a_line_came() -> None:
    feed = Feed(Format.PLAIN)
    feed.give(b"Jan 15 07:")
    feed.received_ns += 10**9
    feed.give(b"59:59 host x\n")
    feed.restart()
    (record,) = feed.give(b"Jan 15 08:00:00 host y\n")
    assert record.ts == unix_ns("2027-01-15T07:59:59Z")


# Ten systems ---------------------------------------------------------------------------------------------------


def strptime(pattern: str, form: str) -> Callable[[str], datetime | None]:
    def read(line: str) -> datetime | None:
        match = re.search(pattern, line)
        return None if match is None else datetime.strptime(match[1], form).replace(tzinfo=UTC)

    return read


def yearless(pattern: str, form: str) -> Callable[[str], datetime | None]:
    def read(line: str) -> datetime | None:
        match = re.search(pattern, line)
        if match is None:
            return None
        at = datetime.strptime(f"2027 {match[1]}", f"%Y {form}").replace(tzinfo=UTC)
        return at if at <= RECEIVED + timedelta(days=1) else at.replace(year=2026)

    return read


def epoch(line: str) -> datetime | None:
    match = re.match(r"\d+ \S+ \S+ \S+ (\d{10}) (?:[01]|-1) ", line)
    return None if match is None else datetime.fromtimestamp(int(match[1]), UTC)


SYSTEMS: dict[str, tuple[Callable[[str], datetime | None], int]] = {
    "Android": (yearless(r"^(\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) ", "%m-%d %H:%M:%S.%f"), 2000),
    "Apache": (strptime(r"^\[(.{24})\]", "%a %b %d %H:%M:%S %Y"), 2000),
    "HDFS": (strptime(r"^(\d{6} \d{6}) ", "%y%m%d %H%M%S"), 2000),
    "HPC": (epoch, 2000),
    "Hadoop": (strptime(r"^(\S+ \S+) ", "%Y-%m-%d %H:%M:%S,%f"), 2000),
    "Linux": (yearless(r"^(\w{3} +\d+ \d\d:\d\d:\d\d) ", "%b %d %H:%M:%S"), 2000),
    "OpenStack": (strptime(r"^\S+ (\S+ \S+) ", "%Y-%m-%d %H:%M:%S.%f"), 2000),
    "Spark": (strptime(r"^(\S+ \S+) ", "%y/%m/%d %H:%M:%S"), 2000),
    "Windows": (strptime(r"^(\S+ \S+), ", "%Y-%m-%d %H:%M:%S"), 2000),
    "Zookeeper": (strptime(r"^(\S+ \S+) ", "%Y-%m-%d %H:%M:%S,%f"), 2000),
}
"""How each system writes its time, and how many of its lines have one that is found. test_levels.py has their levels:
right in every line."""


@pytest.mark.parametrize("system", SYSTEMS)
def test_times_of_ten_systems(system: str) -> None:
    if not LOGS.exists():
        pytest.skip(f"{LOGS} with the real logs is not there")
    read, found = SYSTEMS[system]
    records = parse_all((LOGS / f"{system}_2k.log").read_bytes(), Format.PLAIN)
    wrong = Counter[str]()
    right = 0
    for record in records:
        time = read(record.message)
        expected = RECEIVED_NS if time is None else unix_ns(time.isoformat())
        if record.ts != expected:
            wrong[record.message] += 1
        right += time is not None and record.ts == expected and not record.flags & FLAG_CLOCK
    assert not wrong
    assert right == found
