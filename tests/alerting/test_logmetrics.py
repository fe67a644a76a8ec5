"""Counting over frames, over restarts, within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from alerting.rules.asking import ask
from alerting.rules.counter_series import CounterSeries
from alerting.rules.logmetric_store import LogMetricStore
from alerting.rules.logmetrics import LogMetrics
from alerting.rules.model import LogMetric
from alerting.rules.sources import RuleSource
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.parser import parse
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.selector import Selector
from collector.records import RecordFrame
from deckwatch.runtime.faults import Retry
from tests.alerting.record_frames import T0_NS, Line, S, record_frame

ERRORS = LogMetric("log_errors_total", "level:>=error", (("container", "container.name"), ("level", "log.level")))
LINES = LogMetric("log_lines_total", "", ())
BLUE = LogMetric("log_lines_total", "", (), tenant="blue")


def open_metrics(
    tmp_path: Path,
    *metrics: LogMetric,
    max_series: int = 1000,
    silent: Callable[[str, str, int], bool] = lambda tenant, host, at_ns: False,
    changes: list[tuple[str, frozenset[str]]] | None = None,
) -> LogMetrics:
    told = [] if changes is None else changes
    opened = LogMetrics(
        LogMetricStore(tmp_path / "logmetrics.sqlite"),
        CollectorRegistry(),
        is_silent=silent,
        changed=lambda tenant, names: told.append((tenant, names)),
        max_series=max_series,
    )
    opened.set_metrics(metrics, {})
    return opened


def values(metrics: LogMetrics, name: str, tenant: str = "default", at_s: float = 3600) -> dict[str, float]:
    """labels without the name, as text -> value"""
    at_ms = T0_NS // 1_000_000 + int(at_s * 1000)
    live = metrics.live(tenant, Selector(name), at_ms - 1000, at_ms, at_ms)
    return {
        ",".join(f"{label}={value}" for label, value in points.labels if label != "__name__"): points.values[-1]
        for points in live.points
    }


MIXED = [
    Line("boom", "error"),
    Line("bang", "error"),
    Line("fine", "info"),
    Line("dead", "fatal", container="db"),
    Line("other tenant", "error", tenant="blue"),
]


def test_counts_by_labels_and_tenants_apart(tmp_path: Path) -> None:
    changes: list[tuple[str, frozenset[str]]] = []
    metrics = open_metrics(tmp_path, ERRORS, LINES, BLUE, changes=changes)
    metrics.consume(record_frame(0, MIXED))
    assert values(metrics, "log_errors_total") == {"container=web,level=error": 2, "container=db,level=fatal": 1}
    assert values(metrics, "log_lines_total") == {"": 4}
    assert values(metrics, "log_lines_total", "blue") == {"": 1}
    assert changes == [
        ("default", frozenset({"log_errors_total", "log_lines_total"})),
        ("blue", frozenset({"log_lines_total"})),
    ]


def test_a_metric_without_labels_is_there_from_the_beginning(tmp_path: Path) -> None:
    assert values(open_metrics(tmp_path, LINES), "log_lines_total") == {"": 0}


def test_a_frame_is_counted_once(tmp_path: Path) -> None:
    metrics = open_metrics(tmp_path, LINES)
    metrics.consume(record_frame(3, MIXED))
    metrics.consume(record_frame(3, MIXED))
    metrics.consume(record_frame(2, MIXED))
    assert values(metrics, "log_lines_total") == {"": 4}


def increase(metrics: LogMetrics, text: str, at_s: float) -> list[float]:
    at_ms = T0_NS // 1_000_000 + int(at_s * 1000)
    answer = ask(parse(text), at_ms, RuleSource("default", MemorySource(), (metrics,), at_ms), PromqlSettings())
    return [round(sample.value, 2) for sample in answer.vector.samples]


def test_increase_sees_the_first_match_and_is_exact(tmp_path: Path) -> None:
    metrics = open_metrics(tmp_path, ERRORS)
    metrics.consume(record_frame(0, [Line("a", "error")], at_s=10))
    assert increase(metrics, "increase(log_errors_total[1m])", 10) == [1.0]
    assert increase(metrics, "increase(log_errors_total[1m])", 10.5) == [1.0]
    metrics.consume(record_frame(1, [Line("a", "error")] * 5, at_s=40))
    assert increase(metrics, "increase(log_errors_total[1m])", 41) == [6.0]
    assert increase(metrics, "increase(log_errors_total[1m])", 69.9) == [6.0]
    assert increase(metrics, "increase(log_errors_total[1m])", 71) == [5.0]
    assert increase(metrics, "increase(log_errors_total[1m])", 101) == [0.0]
    assert increase(metrics, "rate(log_errors_total[1m])", 41) == [0.1]


def test_a_restart_counts_nothing_twice_and_nothing_never(tmp_path: Path) -> None:
    frames = [record_frame(seq, MIXED, at_s=seq) for seq in range(6)]
    metrics = open_metrics(tmp_path, ERRORS, LINES)
    for frame in frames[:4]:
        metrics.consume(frame)
        if frame.seq == 2:
            metrics.commit(2)
    again = open_metrics(tmp_path, ERRORS, LINES)  # killed: what followed the commit is lost
    assert again.position() == 2
    assert values(again, "log_lines_total") == {"": 12}
    for frame in frames:  # the journal is replayed from the slowest consumer
        again.consume(frame)
    assert values(again, "log_lines_total") == {"": 24}
    assert increase(again, "increase(log_lines_total[1m])", 5) == [24.0]
    assert sorted(increase(again, "increase(log_errors_total[3s])", 5)) == [3.0, 6.0]
    again.commit(5)
    assert open_metrics(tmp_path, ERRORS, LINES).position() == 5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["frame", "commit", "kill"]), max_size=30))
def test_any_order_of_commits_and_kills_counts_each_line_once(steps: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        journal: list[RecordFrame] = []
        metrics = open_metrics(Path(folder), LINES)
        for step in steps:
            match step:
                case "frame":
                    journal.append(record_frame(len(journal), [Line("x")] * (len(journal) + 1), at_s=len(journal)))
                    metrics.consume(journal[-1])
                case "commit" if journal:
                    metrics.commit(len(journal) - 1)
                case "kill":
                    metrics = open_metrics(Path(folder), LINES)
                    for frame in journal[metrics.position() + 1 :]:
                        metrics.consume(frame)
        assert values(metrics, "log_lines_total") == {"": sum(range(len(journal) + 1))}


def test_too_many_label_sets_go_to_the_overflow_series(tmp_path: Path) -> None:
    metrics = open_metrics(tmp_path, ERRORS, max_series=3)
    metrics.consume(record_frame(0, [Line("x", "error", container=f"c{number}") for number in range(3)]))
    metrics.consume(record_frame(1, [Line("x", "error", container=f"c{number}") for number in range(10)]))
    found = values(metrics, "log_errors_total")
    assert found == {
        "container=c0,level=error": 2,
        "container=c1,level=error": 2,
        "container=c2,level=error": 2,
        "overflow=true": 7,
    }
    metrics.commit(1)
    assert values(open_metrics(tmp_path, ERRORS, max_series=3), "log_errors_total") == found


def test_another_query_starts_from_zero_and_a_removed_metric_is_forgotten(tmp_path: Path) -> None:
    metrics = open_metrics(tmp_path, LINES, ERRORS)
    metrics.consume(record_frame(0, MIXED))
    metrics.commit(0)
    metrics.set_metrics([LINES, LogMetric("log_errors_total", "boom", ())], {})
    assert values(metrics, "log_lines_total") == {"": 4}
    assert values(metrics, "log_errors_total") == {"": 0}
    metrics.commit(1)
    assert values(open_metrics(tmp_path, ERRORS), "log_errors_total") == {}


def test_series_of_a_silent_agent_are_unknown(tmp_path: Path) -> None:
    by_host = LogMetric("log_errors_total", "level:error", (("host", "host.name"),))
    metrics = open_metrics(tmp_path, by_host, silent=lambda tenant, host, at_ns: host == "h1")
    metrics.consume(record_frame(0, [Line("x", "error"), Line("x", "error", host="h2")]))
    at_ms = T0_NS // 1_000_000
    live = metrics.live("default", Selector("log_errors_total"), at_ms - 1000, at_ms + 1000, at_ms + 1000)
    assert [dict(points.labels)["host"] for points in live.points] == ["h2"]
    assert [(dict(one.labels)["host"], one.value) for one in live.unknown] == [("h1", 1.0)]


def test_a_fault_in_counting_is_told_once_and_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics = open_metrics(tmp_path, ERRORS, LINES)
    good = record_frame(0, MIXED)
    for seq in (0, 1):
        broken = good.rows.with_columns(level=pl.lit("no code"))
        metrics.consume(RecordFrame(seq, good.received_ns, good.origins, broken))
    assert caplog.text.count("log metric log_errors_total can't be counted") == 1
    assert values(metrics, "log_lines_total") == {"": 8}
    metrics.consume(record_frame(2, MIXED))
    assert values(metrics, "log_errors_total")["container=web,level=error"] == 2


def test_what_can_not_be_saved_is_not_lost(tmp_path: Path) -> None:
    metrics = open_metrics(tmp_path, LINES)
    metrics.consume(record_frame(0, MIXED))
    database = metrics._store._database
    with database.transaction() as connection:
        connection.execute("ALTER TABLE position RENAME TO away")
    with pytest.raises(Retry, match="counts of log metrics can't be saved"):
        metrics.commit(0)
    assert metrics.position() == -1
    with database.transaction() as connection:
        connection.execute("ALTER TABLE away RENAME TO position")
    metrics.commit(0)
    assert values(open_metrics(tmp_path, LINES), "log_lines_total") == {"": 4}


def test_exposition(tmp_path: Path) -> None:
    metrics = open_metrics(tmp_path, ERRORS)
    metrics.consume(record_frame(0, MIXED))
    (family,) = metrics.families("default", T0_NS)
    assert (family.name, family.kind, family.help) == ("log_errors_total", "counter", "Lines that match: level:>=error")
    assert 'log_errors_total{container="web",level="error"} 2' in family.lines
    assert list(metrics.families("blue", T0_NS)) == []


def test_points_are_bounded_and_the_past_is_kept_as_long_as_asked() -> None:
    series = CounterSeries()
    for tenth in range(20_000):
        series.add(T0_NS + tenth * S // 100, 1, 60 * S)
    assert len(series.points) <= 700
    end_ns = T0_NS + 20_000 * S // 100
    assert series.at(end_ns - 30 * S) == pytest.approx(17_000, abs=20)
    assert series.at(end_ns) == 20_000


@pytest.mark.parametrize("quiet_s", [2, 100, 200, 3600])
def test_a_burst_in_two_frames_is_not_counted_again_with_the_next_line(quiet_s: int) -> None:
    series = CounterSeries()
    series.add(T0_NS, 5, 300 * S)
    series.add(T0_NS + S // 3, 995, 300 * S)
    next_ns = T0_NS + quiet_s * S
    series.add(next_ns, 1, 300 * S)
    assert series.window(T0_NS + S, next_ns + S, 300 * S) == ((T0_NS + S, 1000), (next_ns, 1001), (next_ns + S, 1001))


def test_a_clock_that_went_back_counts_at_the_last_time() -> None:
    series = CounterSeries()
    series.add(T0_NS, 1, 60 * S)
    series.add(T0_NS - 500 * S, 1, 60 * S)
    assert series.at(T0_NS) == 2
    assert series.at(T0_NS - 1) == 0


def test_a_small_frame_costs_less_than_three_milliseconds(tmp_path: Path) -> None:
    """Live traffic is hundreds of tiny frames a second."""
    metrics = open_metrics(tmp_path, ERRORS, LINES)
    frames = [record_frame(seq, MIXED * 4, at_s=seq) for seq in range(60)]
    for frame in frames[:10]:
        metrics.consume(frame)
    start = time.process_time()
    for frame in frames[10:]:
        metrics.consume(frame)
    each_ms = (time.process_time() - start) / 50 * 1000
    print(f"a frame of 20 records over 2 log metrics: {each_ms:.2f} ms of CPU")
    assert each_ms < 3


def test_counts_of_the_version_before_are_taken_over(tmp_path: Path) -> None:
    metrics = open_metrics(tmp_path, LINES)
    metrics.consume(record_frame(0, MIXED))
    metrics.commit(0)
    database = metrics._store._database
    with database.transaction() as connection:  # format 1 knew nothing of the history
        connection.execute("DROP TABLE shown")
        connection.execute("PRAGMA user_version = 1")
    metrics._store.close()
    again = open_metrics(tmp_path, LINES)
    assert values(again, "log_lines_total") == {"": 4}
    assert again.checkpoint(T0_NS + 10 * S)
