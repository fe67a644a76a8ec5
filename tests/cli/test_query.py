"""`deckwatch query`: the parts as tables, then as a process of its own against the real API over HTTP."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from rich.console import Console

from collector.api.prometheus import PrometheusApi
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.query.answer import Series, series_text, shared_labels
from deckwatch.query.chart import Room, chart
from deckwatch.query.fault import explained
from deckwatch.query.question import Question, nice_step_s, question
from deckwatch.query.scale import Scale, short, value_scale
from deckwatch.query.show import ordered, range_view
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.faults import Unusable
from tests.collector.metrics.frames import T0_NS, S, frame

NOW_NS = T0_NS + 3600 * S
MINUTES = 60


# Parts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "start_s", "end_s", "step_s"),
    [
        ({}, 3600, 3600, 0),
        ({"at": "15m"}, 2700, 2700, 0),
        ({"since": "1h"}, 0, 3600, 30),
        ({"since": "1h", "step": "5m"}, 0, 3600, 300),
        ({"since": "1h", "step": "15"}, 0, 3600, 15),
        ({"since": "now-1h", "until": "30m"}, 0, 1800, 15),
        ({"since": "50m1s", "step": "1m"}, 540, 3600, 60),  # steps stand at whole multiples
    ],
)
def test_question(options: dict[str, str], start_s: int, end_s: int, step_s: int) -> None:
    given = {"at": "", "since": "", "until": "", "step": ""} | options
    start_ns = T0_NS - T0_NS % (3600 * S)
    asked = question("up", **given, now_ns=start_ns + 3600 * S, points=120)
    assert [(asked.start_ns - start_ns) // S, (asked.end_ns - start_ns) // S] == [start_s, end_s]
    assert asked.step_ns == step_s * S


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"since": "yesterday"}, "--since: 'yesterday' is not a time"),
        ({"at": "tea time"}, "--at: 'tea time'"),
        ({"since": "1h", "until": "2h"}, "--until 2h is not after --since 1h"),
        ({"since": "1h", "step": "often"}, "--step: 'often'"),
        ({"since": "1h", "step": "0"}, "--step 0: has to be longer"),
    ],
)
def test_wrong_options(options: dict[str, str], word: str) -> None:
    given = {"at": "", "since": "", "until": "", "step": ""} | options
    with pytest.raises(Unusable, match=word):
        question("up", **given, now_ns=NOW_NS, points=100)


@pytest.mark.parametrize(
    ("span_s", "points", "step_s"),
    [(10, 100, 1), (3600, 160, 30), (86400, 160, 600), (30 * 86400, 160, 21600), (1000 * 86400, 100, 11 * 86400)],
)
def test_nice_steps(span_s: float, points: int, step_s: int) -> None:
    assert nice_step_s(span_s, points) == step_s


@pytest.mark.parametrize(
    ("message", "expr", "caret"),
    [
        ("1:5: parse error: unexpected end", "sum(", "  sum(\n      ^"),
        ('invalid parameter "query": 1:3: parse error: x', "ab)", "  ab)\n    ^"),
        ("2:2: parse error: x", "a +\n)b", "  )b\n   ^"),
        ("1:6: parse error: x", "é界)", "  é界)\n     ^"),  # bytes, and cells of the terminal
        ("1:1: parse error: x", "\x1b[31m", "  \n  ^"),
    ],
)
def test_a_caret_stands_under_the_place(message: str, expr: str, caret: str) -> None:
    assert explained(message, expr).partition("\n")[2] == caret


@pytest.mark.parametrize("message", ["too many samples", "9:1: parse error: x", "1:x: parse error"])
def test_other_faults_stay_as_they_are(message: str) -> None:
    assert explained(message, "up") == message


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        (1, 10, Scale(0, 10)),
        (9, 10, Scale(9, 10)),
        (-10, -1, Scale(-10, 0)),
        (-1, 1, Scale(-1, 1)),
        (4, 4, Scale(2, 6)),
        (0, 0, Scale(-1, 1)),
    ],
)
def test_value_scale(low: float, high: float, scale: Scale) -> None:
    assert value_scale(low, high) == scale


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (999.96, "1000"),
        (1500, "1.5k"),
        (-2.5e6, "-2.5M"),
        (1.2345e9, "1.234G"),
        (1e20, "1.0e+20"),
        (0.00004, "4.0e-05"),
        (math.inf, "+Inf"),
        (math.nan, "NaN"),
    ],
)
def test_short(value: float, text: str) -> None:
    assert short(value) == text


def test_what_series_have_in_common_is_told_once() -> None:
    a, b = Series({"__name__": "up", "job": "x", "host": "a"}), Series({"__name__": "up", "job": "x", "host": "b"})
    shared = shared_labels([a, b])
    assert (series_text(shared), series_text(a.metric, shared)) == ('up{job="x"}', '{host="a"}')
    assert shared_labels([a]) == {}
    assert series_text({}) == "{}"
    assert "\x1b" not in series_text({"name": "\x1b[31mred\n"})


def line_up(*values: float, name: str = "a", step_s: int = 10) -> Series:
    return Series(
        {"name": name}, values=tuple((float(place * step_s), repr(value)) for place, value in enumerate(values))
    )


ASKED = Question("x", 0, 100 * S, 10 * S)


def drawn(*series: Series, colours: bool = False, width: int = 40, height: int = 5) -> list[str]:
    return [line.plain for line in chart(series, ASKED, Room(width, height, colours, UTC))]


def test_a_line_goes_from_corner_to_corner() -> None:
    *rows, edge, times = drawn(line_up(*range(11)), width=11 + 4)
    assert rows[0].startswith("10 ┤")
    assert rows[0].endswith("a")
    assert rows[-1].startswith(" 0 ┤a")
    assert edge.startswith("   └─")
    assert times.strip() == "00:01:40"  # too narrow for both ends


def test_both_ends_and_the_middle_of_the_time() -> None:
    assert drawn(line_up(*range(11)), width=60)[-1].split() == ["00:00:00", "00:00:50", "00:01:40"]


def test_what_is_missing_is_not_drawn() -> None:
    whole = drawn(line_up(*[5.0] * 11))
    (row,) = [row for row in whole if "a" in row]
    assert row.count("a") > 30
    gap = thinned(line_up(*[5.0] * 11), lambda place: place not in (4, 5, 6))
    (row,) = [row for row in drawn(gap) if "a" in row]
    assert "a    " in row.partition("┤")[2] or "a    " in row.partition("│")[2]
    (row,) = [row for row in drawn(line_up(5, 5, 5, math.nan, math.inf, 5, 5, 5, 5, 5, 5)) if "a" in row]
    assert "a     " in row


def thinned(series: Series, kept: Callable[[int], bool]) -> Series:
    return Series(series.metric, values=tuple(one for place, one in enumerate(series.values) if kept(place)))


def test_nothing_to_draw() -> None:
    assert drawn(line_up(math.nan, math.inf)) == []


def test_braille_has_eight_dots_a_cell() -> None:
    rows = drawn(line_up(*range(11)), colours=True, width=4 + 2)
    assert set("".join(row.partition("┤")[2] for row in rows)) - set(" ")
    assert all(
        0x2800 < ord(cell) <= 0x28FF for row in rows[:-2] for cell in row.partition("┤")[2].strip() if cell != "│"
    )


def test_series_have_colours_of_their_own_and_the_first_stands_on_top() -> None:
    first, second = line_up(*[5.0] * 11), line_up(*[5.0] * 11, name="b")
    (row,) = [row for row in drawn(first, second) if "a" in row]
    assert "b" not in row
    lines = chart([first, line_up(*[7.0] * 11, name="b")], ASKED, Room(40, 5, True, UTC))
    styles = {str(span.style) for line in lines for span in line.spans}
    assert {"cyan", "yellow"} <= styles


def test_the_largest_comes_first() -> None:
    series = [line_up(1, 2, name="low"), line_up(math.nan, name="none"), line_up(9, 8, name="high")]
    assert [one.metric["name"] for one in ordered(series)] == ["high", "low", "none"]


@pytest.mark.parametrize(
    ("width", "headings"), [(30, ["LAST"]), (60, ["LAST", "MIN", "MAX"]), (120, ["LAST", "MIN", "MAX", "AVG"])]
)
def test_it_keeps_to_the_terminal(width: int, headings: list[str]) -> None:
    nowhere = open(os.devnull, "w")  # noqa: SIM115
    console = Console(width=width, record=True, force_terminal=True, color_system="standard", file=nowhere)
    many = [line_up(*(float(n * place) for n in range(11)), name=f"a-rather-long-name-{place}") for place in range(20)]
    for part in range_view(many, ASKED, Room(width, 8, True, UTC), limit=12):
        console.print(part)
    lines = console.export_text().splitlines()
    nowhere.close()
    assert max(map(len, lines)) <= width
    assert next(line for line in lines if "SERIES" in line).split() == ["SERIES", *headings]


# As a process ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[str]:
    clock = ManualClock(NOW_NS)
    store = SampleStore(tmp_path / "samples", HistorySettings(keep_days=0), clock, CollectorRegistry())
    for minute in range(MINUTES + 1):
        targets = {"name=web": {"requests_total": 60.0 * minute}, "name=db": {"requests_total": 600.0 * minute}}
        store.take("h1", frame(60 * minute, targets))
    api = PrometheusApi(store, PromqlSettings(), clock)
    app = web.Application()
    app.add_routes(api.routes())
    async with TestServer(app) as server:
        yield str(server.make_url("/"))
    api.close()
    store.close()


async def deckwatch(*arguments: str, **env: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deckwatch.cli", "query", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **env},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


AT = ("--at", str(NOW_NS // S))
RANGE = ("--since", str(T0_NS // S), "--until", str(NOW_NS // S))


async def test_now(collector: str) -> None:
    code, out, err = await deckwatch("requests_total / 60", *AT, "--collector", collector)
    assert (code, err) == (0, "")
    assert out.splitlines() == ['{host="h1", name="db"} 600', '{host="h1", name="web"} 60']


async def test_over_a_range_without_a_terminal(collector: str) -> None:
    code, out, err = await deckwatch("rate(requests_total[5m])", *RANGE, DECKWATCH_COLLECTOR=collector)
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    *_, db, low = out.splitlines()
    assert db.startswith('a {host="h1", name="db"} last=10 min=')
    assert low.startswith('b {host="h1", name="web"} last=1 min=')
    assert sum("a" in line for line in out.splitlines()[:16]) > 0
    assert all(len(line) <= 80 for line in out.splitlines()[:18])


async def test_json_is_what_the_api_says(collector: str) -> None:
    code, out, _ = await deckwatch("requests_total", *RANGE, "--step", "10m", "--json", "--collector", collector)
    body = json.loads(out)
    assert (code, body["status"], body["data"]["resultType"]) == (0, "success", "matrix")
    assert [len(one["values"]) for one in body["data"]["result"]] == [6, 6]


@pytest.mark.parametrize(
    ("expr", "out"),
    [
        ("1 + 1", "2"),
        ('"text"', "text"),
        ("requests_total{name='web'}[1m]", 'requests_total{host="h1", name="web"} 3600 '),
    ],
)
async def test_other_kinds_of_values(collector: str, expr: str, out: str) -> None:
    code, said, err = await deckwatch(expr, *AT, "--collector", collector)
    assert (code, err) == (0, "")
    assert said.startswith(out)


async def test_limits_and_nothing(collector: str) -> None:
    _, out, err = await deckwatch("requests_total", *AT, "--limit", "1", "--collector", collector)
    assert (len(out.splitlines()), err) == (1, "1 more series; --limit 0 shows all\n")
    assert await deckwatch("nobody", *AT, "--collector", collector) == (0, "", "no series has a sample there\n")
    code, _, err = await deckwatch("requests_total", *AT, "--tenant", "other", "--collector", collector)
    assert (code, err) == (0, "no series has a sample there\n")


async def test_a_wrong_query(collector: str) -> None:
    code, out, err = await deckwatch("sum(requests_total) bi (name)", "--collector", collector)
    assert (code, out) == (2, "")
    first, shown, caret = err.splitlines()
    assert first.startswith("deckwatch: the query can't be read: ")
    assert (shown, caret.rstrip()) == ("  sum(requests_total) bi (name)", "                      ^")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("up", "--at", "1m", "--since", "1h"), "choose one"),
        (("up", "--step", "1m"), "say where it begins with --since"),
    ],
)
async def test_options_that_clash(arguments: tuple[str, ...], word: str) -> None:
    code, _, err = await deckwatch(*arguments)
    assert code == 2
    assert word in err


async def test_an_unreachable_collector_is_one_clear_line() -> None:
    code, out, err = await deckwatch("up", "--collector", "http://127.0.0.1:1")
    assert (code, out) == (1, "")
    assert "can't reach the collector at http://127.0.0.1:1 (from --collector): Connection refused" in err
    assert len(err.splitlines()) == 1


async def test_something_else_behind_the_address() -> None:
    async with TestServer(web.Application()) as server:
        code, _, err = await deckwatch("up", "--collector", str(server.make_url("/")))
    assert code == 2
    assert "answered 404: is it a collector of this version?" in err


async def test_on_a_terminal(collector: str) -> None:
    """In a real pseudo terminal of 70 columns: braille in colours, and nothing beyond the edge."""
    import pty
    import termios

    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, 70))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deckwatch.cli", "query", "requests_total", *RANGE, "--collector", collector),
        stdin=child,
        stdout=child,
        stderr=child,
        env={**{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}, "TERM": "xterm-256color"},
    )
    os.close(child)
    shown = b""
    async with asyncio.timeout(60):
        while True:
            try:
                shown += await asyncio.to_thread(os.read, parent, 65536)
            except OSError:  # how Linux tells that the other end is closed
                break
        assert await process.wait() == 0
    os.close(parent)
    text = shown.decode()
    assert "\x1b[36m" in text
    assert any(0x2800 < ord(letter) <= 0x28FF for letter in text)
    assert 'all of requests_total{host="h1"}' in text
    assert '{name="db"}' in text
