"""Lines of the text formats, and whole answers beside prometheus_client's own parsers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, Summary
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from agent.scrape.exposition import read_line, read_series
from agent.scrape.table import SeriesRules, SeriesTable
from deckwatch.runtime.faults import Reject

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "recordings"
RECORDED = [ROOT / "tests/recordings/node_exporter-1.5.0.prom", SHARED / "cadvisor-50-containers.prom"]

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def ours(body: bytes, *, openmetrics: bool = False) -> Samples:
    table = SeriesTable({}, {}, SeriesRules())
    table.read(body, openmetrics=openmetrics, room=lambda size: True)
    pairs = zip(
        [column for block in table.columns() for column in block],
        [value for block in table.values() for value in block],
        strict=True,
    )
    return {(column.name, column.labels): value for column, value in pairs if not math.isnan(value)}


def theirs(families: Iterable[Metric]) -> Samples:
    return {
        (sample.name, tuple(sorted((name, value) for name, value in sample.labels.items() if value))): sample.value
        for family in families
        for sample in family.samples
        if not math.isnan(sample.value)
    }


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_recorded_answers_are_read_as_prometheus_clients_parser_does(path: Path) -> None:
    if not path.exists():
        pytest.skip(f"{path.name} is not there: it lies beside the repository, in shared/recordings")
    body = path.read_bytes()
    as_gauges = re.sub(r"(?m)^(# TYPE \S+) counter$", r"\1 gauge", body.decode())  # it adds _total to counters without
    expected = theirs(text_string_to_metric_families(as_gauges))
    assert len(expected) > 500
    assert ours(body) == expected


def own_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    counter = Counter("requests", 'Of "all" \\ kinds\nhere.', ["path", "code"], registry=registry)
    counter.labels('/a"b\\c\nd}, e="f"', "200").inc(3, {"trace_id": "abc"})
    counter.labels("ünïcödé # {x} 1", "").inc(1e-9)
    Histogram("took_seconds", "Time.", registry=registry).observe(0.3, {"trace_id": "x} 2"})
    Summary("size_bytes", "Size.", registry=registry).observe(1e18)
    Info("build", "What.", registry=registry).info({"version": "1.2"})
    return registry


def test_openmetrics_with_exemplars() -> None:
    body: bytes = generate_openmetrics(own_registry())  # type: ignore[no-untyped-call]
    assert ours(body, openmetrics=True) == theirs(openmetrics_families(body.decode()))  # type: ignore[no-untyped-call]


def test_text_with_odd_labels() -> None:
    body = generate_latest(own_registry())
    assert ours(body) == theirs(text_string_to_metric_families(body.decode()))


@pytest.mark.parametrize(
    ("line", "name", "labels", "value"),
    [
        ("up 1", "up", {}, 1),
        ("up\t1", "up", {}, 1),
        ("  up   1   1395066363000  ", "up", {}, 1),
        ("up 1 -3982045", "up", {}, 1),
        ("a:b_c 0x", None, {}, 0),
        ('m{a="x",} 2', "m", {"a": "x"}, 2),
        ('m { a = "x" , b="y" } 2', "m", {"a": "x", "b": "y"}, 2),
        ("m{} +Inf", "m", {}, math.inf),
        ("m -Inf", "m", {}, -math.inf),
        ('m{p="C:\\\\d\\"q\\n\\t"} 1e-7', "m", {"p": 'C:\\d"q\n\\t'}, 1e-7),
        ('m{a="} 9"} 1', "m", {"a": "} 9"}, 1),
        ('{"my.metric", "a.b"="x", c="y"} 4', "my.metric", {"a.b": "x", "c": "y"}, 4),
        ('{"my.metric"} 4', "my.metric", {}, 4),
        ('m_bucket{le="0.5"} 3 # {trace_id="a"} 0.3 1e9', "m_bucket", {"le": "0.5"}, 3),
        ('m{a=""} 1', "m", {"a": ""}, 1),
        ("m 1_000", None, {}, 0),
        ("m", None, {}, 0),
        ("1m 2", None, {}, 0),
        ("m 1 soon", None, {}, 0),
        ("<html> 1", None, {}, 0),
        ('m{a="x" 1', None, {}, 0),
        ("m{a=x} 1", None, {}, 0),
        ('m{a="x",a="y"} 1', None, {}, 0),
        ('m{a="x"b="y"} 1', None, {}, 0),
        ('{a="x"} 1', None, {}, 0),
        ('m{"n"} 1', None, {}, 0),
    ],
)
def test_lines(line: str, name: str | None, labels: dict[str, str], value: float) -> None:
    if name is None:
        with pytest.raises(Reject):
            read_series(read_line(line).series)
    else:
        read = read_line(line)
        assert (*read_series(read.series), read.value) == (name, labels, value)


@pytest.mark.parametrize(
    ("body", "openmetrics", "says"),
    [
        (b"a 1\nb two\n", False, "line 2: 'two' is no number"),
        (b"a 1\na one\n", False, "line 2: 'one' is no number"),
        (b"a 1\na 1_0\n", False, "line 2: '1_0' is no number"),
        (b'a{x="\xff"} 1\n', False, "byte 5 of the answer is no UTF-8"),
        (b"a 1\n", True, "does not end with # EOF"),
        (b"# EOF\na 1\n", True, "does not end with # EOF"),
        (b"<!doctype html>\n", False, "line 1: '<!doctype html>' is no sample"),
    ],
)
def test_bad_answers(body: bytes, openmetrics: bool, says: str) -> None:
    with pytest.raises(Reject, match=says):
        ours(body, openmetrics=openmetrics)


def test_an_empty_answer_is_none() -> None:
    assert ours(b"") == ours(b"\n# HELP a b\n \r\n") == ours(b"# EOF\n", openmetrics=True) == {}
