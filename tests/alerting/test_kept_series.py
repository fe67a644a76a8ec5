"""What rules and log metrics make, in the history of samples: there for queries and ranges, also after restarts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from alerting.rules.agents import QuietAgents
from alerting.rules.asking import ask
from alerting.rules.keeping import NO_HOST, Frames, Keeper
from alerting.rules.logmetric_store import LogMetricStore
from alerting.rules.logmetrics import LogMetrics
from alerting.rules.model import LogMetric
from alerting.rules.sources import RuleSource
from collector.metrics.head import UP, Head
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.parser import parse
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.selector import NAME_LABEL
from collector.metrics.series import Sample
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.faults import Retry
from deckwatch.wire.model import Labels, Samples
from tests.alerting.live_series import labels
from tests.alerting.record_frames import T0_NS, Line, S, record_frame
from tests.collector.metrics.frames import frame

T0_MS = T0_NS // 1_000_000
BY_HOST = LogMetric("errors_total", "level:error", (("host", "host.name"),))
PLAIN = LogMetric("lines_total", "", ())


class Desk:
    """Log metrics and the history; `kill` loses what wasn't committed."""

    def __init__(self, path: Path, *metrics: LogMetric) -> None:
        self.path, self.metrics = path, metrics
        self.replayed = True
        self.open()

    def open(self) -> None:
        registry = CollectorRegistry()
        self.clock = ManualClock(T0_NS)
        self.history = SampleStore(self.path / "samples", HistorySettings(), self.clock, registry)
        self.counts = LogMetrics(
            LogMetricStore(self.path / "logmetrics.sqlite"),
            registry,
            is_silent=lambda tenant, host, at_ns: False,
            changed=lambda tenant, names: None,
            replayed=lambda: self.replayed,
        )
        self.counts.set_metrics(self.metrics, {})

    def count(self, seq: int, at_s: float, *lines: Line) -> None:
        self.counts.consume(record_frame(seq, lines, at_s=at_s))

    def checkpoint(self, at_s: float, *, durable: bool = True) -> None:
        for samples in self.counts.checkpoint(T0_NS + int(at_s * S)):
            self.history.take(NO_HOST, samples)
        if durable:
            self.history.commit(self.history.position())

    def kill(self) -> None:
        self.open()

    def query(self, text: str, at_s: float) -> dict[str, float]:
        """host -> value, from the history alone."""
        at_ms = T0_MS + int(at_s * 1000)
        result = evaluate(text, at_ms, at_ms, 0, self.history.source("default"))
        return {
            dict(each).get("host", ""): float(value)
            for each, value in zip(result.labels, result.values[:, 0], strict=True)
        }

    def live(self, text: str, at_s: float) -> list[float]:
        at_ms = T0_MS + int(at_s * 1000)
        source = RuleSource("default", self.history.source("default"), (self.counts,), at_ms)
        return [round(sample.value, 3) for sample in ask(parse(text), at_ms, source, PromqlSettings()).vector.samples]


def test_counts_reach_the_history_with_their_own_host_and_a_zero_before_the_first(tmp_path: Path) -> None:
    desk = Desk(tmp_path, BY_HOST)
    desk.checkpoint(0)
    desk.count(0, 3.5, Line("x", "error"), Line("x", "error"), Line("x", "error", host="h2"))
    desk.count(1, 8.2, Line("x", "error"))
    desk.checkpoint(15)
    desk.kill()
    assert desk.query("errors_total", 20) == {"h1": 3, "h2": 1}
    assert desk.query("errors_total", 5) == {"h1": 2, "h2": 1}
    assert desk.query("errors_total", 3.2) == {"h1": 0, "h2": 0}
    assert desk.query("increase(errors_total[1m])", 15) == pytest.approx({"h1": 3, "h2": 1})


def test_a_metric_that_is_no_longer_defined_ends_there(tmp_path: Path) -> None:
    desk = Desk(tmp_path, BY_HOST, PLAIN)
    desk.count(0, 1, Line("x", "error"))
    desk.checkpoint(5)
    desk.counts.set_metrics([PLAIN], {})
    desk.checkpoint(20)
    assert desk.query("errors_total", 21) == {}
    assert desk.query("lines_total", 21) == {"": 1}


def test_counts_are_not_told_while_the_journal_is_replayed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PLAIN)
    desk.count(0, 1, Line("x"), Line("x"))
    desk.checkpoint(2)
    desk.replayed = False
    desk.count(1, 3, Line("x"))
    assert desk.counts.checkpoint(T0_NS + 4 * S) == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["line", "late line", "checkpoint", "lost", "commit", "kill"]), max_size=25))
def test_the_history_never_sees_a_count_go_back(steps: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), PLAIN)
        journal: list[tuple[float, int]] = []
        for second, step in enumerate(steps):
            match step:
                case "line" | "late line":
                    at_s = second - 1.5 if step == "late line" else second
                    journal.append((at_s, second + 1))
                    desk.count(len(journal) - 1, at_s, *[Line("x")] * (second + 1))
                case "checkpoint":
                    desk.checkpoint(second)
                case "lost":  # counts were committed, the history's samples weren't
                    desk.checkpoint(second, durable=False)
                case "commit" if journal:
                    desk.counts.commit(len(journal) - 1)
                case "kill":
                    desk.kill()
                    for seq, (at_s, lines) in enumerate(journal):
                        desk.count(seq, at_s, *[Line("x")] * lines)
        end_s = len(steps) + 1
        desk.checkpoint(end_s)
        assert desk.query("resets(lines_total[1h])", end_s) in ({"": 0}, {})
        assert desk.query("lines_total", end_s) == {"": sum(lines for _, lines in journal)}
        assert desk.live("resets(lines_total[1h])", end_s + 1) == [0]


def test_ranges_longer_than_what_is_remembered_are_taken_from_the_history(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PLAIN)
    for minute in range(130):
        desk.count(minute, minute * 60, Line("x"))
        desk.checkpoint(minute * 60 + 30)
    assert desk.live("increase(lines_total[2h])", 130 * 60) == [pytest.approx(120, abs=1)]
    assert desk.live("max_over_time(increase(lines_total[5m])[1h:5m])", 130 * 60) == [pytest.approx(5, abs=0.6)]


# Frames -----------------------------------------------------------------------------------------------------------


def test_frames_tell_what_ended_and_hold_what_is_unknown() -> None:
    frames = Frames("rule", "default")
    one, two = Sample(labels("r", x="1"), 1.0), Sample(labels("r", x="2"), 2.0)
    first = frames.frame(1, [one, two])
    assert first is not None
    assert (len(first.targets), first.ended) == (2, ())
    held = frames.frame(2, [one], [two.labels])
    assert held is not None
    assert held.ended == ()
    gone = frames.frame(3, [one])
    assert gone is not None
    assert gone.ended == ((("x", "2"),),)
    last = frames.frame(4, [])
    assert last is not None
    assert last.ended == ((("x", "1"),),)
    assert frames.frame(5, []) is None


async def test_frames_wait_while_the_history_takes_none(caplog: pytest.LogCaptureFixture) -> None:
    full = True
    got: list[Samples] = []

    async def keep(frames: list[tuple[str, Samples]], *, durable: bool) -> None:
        if full:
            raise Retry("the disk is full")
        got.extend(samples for _, samples in frames)

    keeper = Keeper(keep, ManualClock(T0_NS), CollectorRegistry())  # type: ignore[arg-type]
    frames = Frames("rule", "default")
    for second in range(3):
        keeper.offer([frames.frame(second, [Sample(labels("r"), float(second))])])
        assert not await keeper.flush(durable=False)
    full = False
    assert await keeper.flush(durable=False)
    assert [samples.ts_ns for samples in got] == [0, 1, 2]
    assert caplog.text.count("trying again: the disk is full") == 1
    assert "kept in the history again" in caplog.text


# Agents -----------------------------------------------------------------------------------------------------------

WEB = {"name=web": {"mem": 5.0}}


class Fleet:
    """A collector's head and history; `restart` forgets the head."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history = SampleStore(path / "samples", HistorySettings(), ManualClock(T0_NS), CollectorRegistry())
        self.own = Frames("deckwatch", "default")
        self.start(0)

    def start(self, at_s: int) -> None:
        self.clock = ManualClock(T0_NS + at_s * S)
        self.head = Head(self.clock, CollectorRegistry())
        self.agents = QuietAgents(
            self.head, self.history.source, lambda tenant, name: name == UP, started_ns=self.clock.now_ns()
        )

    def samples(self, at_s: int, host: str = "a") -> None:
        made = frame(at_s, WEB)
        self.history.take(host, made)
        self.head.take_samples(0, host, made)

    def beat(self, at_s: int) -> None:
        up = [Sample(((NAME_LABEL, UP), ("host", host)), 1.0) for host in self.head.agents("default")]
        made = self.own.frame(T0_NS + at_s * S, up)
        assert made is not None
        self.history.take(NO_HOST, made)

    def ask(self, text: str, at_s: int) -> tuple[list[str], list[str]]:
        """(hosts in the vector, hosts that are unknown)"""
        at_ms = T0_MS + at_s * 1000
        source = RuleSource("default", self.history.source("default"), (self.agents,), at_ms)
        answer = ask(parse(text), at_ms, source, PromqlSettings())
        return [_host(sample.labels) for sample in answer.vector.samples], [_host(each) for each in answer.missing]


def _host(series: Labels) -> str:
    return dict(series).get("host", "")


def test_a_silent_agents_series_are_unknown_and_others_are_not(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.samples(0, "a")
    fleet.samples(0, "b")
    assert fleet.ask("mem", 10) == (["a", "b"], [])
    for second in range(60, 361, 60):
        fleet.samples(second, "b")
    assert fleet.ask("mem", 360) == (["b"], ["a"])
    assert fleet.ask('absent(mem{host="a"})', 360) == ([], ["a"])
    assert fleet.ask("count(mem) < 2", 360) == ([], ["a"])
    assert fleet.ask("count(mem) > 0", 360) == ([""], ["a"])
    assert fleet.ask('absent(mem{host="c"})', 360) == (["c"], [])


@pytest.mark.parametrize("down_s", [10, 1000, 80_000])
def test_after_a_restart_agents_that_were_there_are_awaited(tmp_path: Path, down_s: int) -> None:
    fleet = Fleet(tmp_path)
    fleet.samples(0)
    fleet.beat(1)
    fleet.start(1 + down_s)
    at_s = down_s + 2
    assert fleet.ask('absent(mem{host="a"})', at_s) == ([], ["a"])
    fleet.samples(at_s)
    assert fleet.ask("mem", at_s + 1) == (["a"], [])  # it is back


def test_an_agent_that_was_gone_for_a_day_is_gone(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.samples(0)
    fleet.beat(1)
    fleet.start(90_000)
    assert fleet.ask('absent(mem{host="a"})', 90_001) == (["a"], [])


def test_what_ended_itself_is_not_unknown(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.samples(0)
    ended = Samples("cgroup", T0_NS + 10 * S, "default", (), (), ((("name", "web"),),))
    fleet.history.take("a", ended)
    fleet.head.take_samples(1, "a", ended)
    assert fleet.ask('absent(mem{host="a"})', 400) == (["a"], [])
