"""The head told as a dialogue: frames in, vectors out."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from collector.metrics.head import Head
from collector.metrics.selector import Matcher, MatchOp, Selector
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Container, Event, Gap, GapReason, Samples, StreamId, Target
from tests.collector.metrics.frames import T0_NS, S, column, frame

WEB = "id=/docker/web,name=web"
DB = "id=/docker/db,name=db"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def head(registry: CollectorRegistry) -> Head:
    return Head(ManualClock(T0_NS), registry)


def select(name: str, *matchers: Matcher) -> Selector:
    return Selector(name, matchers)


def values(head: Head, name: str, at_s: float = 0, tenant: str = "default") -> dict[str, float]:
    """container name (or host) -> value"""
    vector = head.vector(select(name), T0_NS + int(at_s * S), tenant=tenant)
    return {dict(sample.labels).get("name", dict(sample.labels)["host"]): sample.value for sample in vector.samples}


def test_host_is_added_and_labels_are_sorted(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem{kind=rss}": 5.0}}))
    (sample,) = head.vector(select("mem"), T0_NS).samples
    assert sample.labels == (
        ("__name__", "mem"),
        ("host", "h1"),
        ("id", "/docker/web"),
        ("kind", "rss"),
        ("name", "web"),
    )


def test_a_host_label_of_the_target_is_kept_beside_ours(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {"host=other": {"mem": 5.0}}))
    (sample,) = head.vector(select("mem"), T0_NS).samples
    assert dict(sample.labels) == {"__name__": "mem", "host": "h1", "exported_host": "other"}


def test_newer_frames_replace_and_older_and_repeated_ones_are_ignored(head: Head, registry: CollectorRegistry) -> None:
    head.take_samples(0, "h1", frame(10, {WEB: {"mem": 1.0}}))
    head.take_samples(1, "h1", frame(20, {WEB: {"mem": 2.0}}))
    head.take_samples(2, "h1", frame(10, {WEB: {"mem": 1.0}}))
    head.take_samples(3, "h1", frame(20, {WEB: {"mem": 9.0}}))
    assert values(head, "mem", 20) == {"web": 2.0}
    assert registry.get_sample_value("deckwatch_collector_sample_frames_ignored_total") == 1


def test_a_series_missing_in_a_newer_frame_of_its_target_has_ended(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0, "swap": 1.0}, DB: {"mem": 2.0}}))
    head.take_samples(1, "h1", frame(10, {WEB: {"mem": 1.0}}))
    assert values(head, "swap", 10) == {}
    assert values(head, "mem", 10) == {"web": 1.0, "db": 2.0}  # db wasn't looked at: nothing is said of it
    head.take_samples(2, "h1", frame(20, {WEB: {"mem": None}}))
    assert values(head, "mem", 20) == {"db": 2.0}


def test_an_ended_target_is_gone_and_another_source_is_not_touched(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0}}))
    head.take_samples(1, "h1", frame(0, {WEB: {"net": 1.0}}, source="network"))
    head.take_samples(2, "h1", frame(10, {}, ended=(WEB,)))
    assert values(head, "mem", 10) == {}
    assert values(head, "net", 10) == {"web": 1.0}


def test_a_target_that_its_source_no_longer_looks_at_has_ended_after_a_while(head: Head) -> None:
    """The agent was restarted and never told of the container's end."""
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0}, DB: {"mem": 2.0}}))
    head.take_samples(1, "h1", frame(301, {WEB: {"mem": 1.0}}))
    vector = head.vector(select("mem"), T0_NS + 301 * S)
    assert len(vector.samples) == 1
    assert vector.unknown == ()


def test_a_silent_agent_makes_its_series_unknown(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0}}))
    head.take_samples(0, "h2", frame(290, {DB: {"mem": 2.0}}))
    vector = head.vector(select("mem"), T0_NS + 301 * S)
    assert [sample.value for sample in vector.samples] == [2.0]
    assert [dict(labels)["host"] for labels in vector.unknown] == ["h1"]
    assert values(head, "deckwatch_agent_up", 301) == {"h1": 0.0, "h2": 1.0}
    assert values(head, "deckwatch_agent_sample_age_seconds", 301) == {"h1": 301.0, "h2": 11.0}
    assert head.is_silent("default", "h1", T0_NS + 301 * S)
    assert not head.is_silent("default", "h2", T0_NS + 301 * S)
    assert not head.is_silent("default", "never heard of", T0_NS + 301 * S)


def test_tenants_never_mix(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0}}))
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 2.0}}, tenant="blue"))
    assert values(head, "mem") == {"web": 1.0}
    assert values(head, "mem", tenant="blue") == {"web": 2.0}
    assert values(head, "mem", tenant="red") == {}


@pytest.mark.parametrize(
    ("matcher", "names"),
    [
        (Matcher("name", MatchOp.EQUAL, "web"), {"web"}),
        (Matcher("name", MatchOp.NOT_EQUAL, "web"), {"db"}),
        (Matcher("name", MatchOp.REGEX, "w.*|x"), {"web"}),
        (Matcher("name", MatchOp.REGEX, "we"), set()),  # anchored
        (Matcher("name", MatchOp.NOT_REGEX, "d."), {"web"}),
        (Matcher("absent", MatchOp.EQUAL, ""), {"web", "db"}),
        (Matcher("absent", MatchOp.NOT_EQUAL, ""), set()),
        (Matcher("__name__", MatchOp.REGEX, "m.m"), {"web", "db"}),
    ],
)
def test_matchers(head: Head, matcher: Matcher, names: set[str]) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0}, DB: {"mem": 2.0}}))
    name = "" if matcher.label == "__name__" else "mem"
    found = head.vector(select(name, matcher), T0_NS).samples
    assert {dict(sample.labels)["name"] for sample in found} == names


def test_history_is_kept_only_for_what_rules_look_back_on(head: Head) -> None:
    head.history.keep([("cpu", 60 * S)])
    for second in (0, 10, 20, 30):
        head.take_samples(second, "h1", frame(second, {WEB: {"cpu": float(second), "mem": 1.0}}))
    (window,) = head.window("default", select("cpu"), T0_NS + 0, T0_NS + 20 * S).series
    assert window.points == ((T0_NS + 10 * S, 10.0), (T0_NS + 20 * S, 20.0))  # the start is open
    assert head.window("default", select("mem"), T0_NS, T0_NS + 30 * S).series == ()
    head.take_samples(99, "h1", frame(85, {WEB: {"cpu": 85.0}}))
    (window,) = head.window("default", select("cpu"), 0, T0_NS + 90 * S).series
    assert [value for _, value in window.points] == [30.0, 85.0]
    head.forget_old(T0_NS + 200 * S)
    assert head.window("default", select("cpu"), 0, T0_NS + 200 * S).series == ()


def test_a_window_of_a_silent_agent_is_unknown(head: Head) -> None:
    head.history.keep([("cpu", 600 * S)])
    head.take_samples(0, "h1", frame(0, {WEB: {"cpu": 1.0}}))
    windows = head.window("default", select("cpu"), T0_NS - S, T0_NS + 400 * S)
    assert windows.series == ()
    assert len(windows.unknown) == 1


def test_an_agent_whose_clock_was_ahead_and_steps_back_is_believed(head: Head) -> None:
    head.take_samples(0, "h1", frame(3600, {WEB: {"mem": 1.0}}))
    head.take_samples(1, "h1", frame(10, {WEB: {"mem": 2.0}}))
    assert values(head, "mem", 10) == {"web": 2.0}


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (Samples("cgroup", T0_NS, "default", (), (Target((), 0, b""),)), "names schema 0, which isn't there"),
        (Samples("cgroup", T0_NS, "default", ((column("a"),),), (Target((), 0, b"1234"),)), "has 4 bytes for 1 col"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_whole(head: Head, samples: Samples, reason: str) -> None:
    head.take_samples(0, "h1", frame(-10, {WEB: {"mem": 1.0}}))
    with pytest.raises(Reject, match=reason):
        head.take_samples(1, "h1", samples)
    assert values(head, "mem") == {"web": 1.0}


def test_agents_are_forgotten_after_a_day(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0}}))
    head.forget_old(T0_NS + 86_000 * S)
    assert head.agents("default") == {"h1": T0_NS}
    head.forget_old(T0_NS + 86_401 * S)
    assert head.agents("default") == {}


async def test_after_a_start_series_of_a_host_are_awaited_until_it_must_have_sent_them(
    registry: CollectorRegistry,
) -> None:
    clock = ManualClock(T0_NS)
    head = Head(clock, registry)
    before_ns = T0_NS - S
    assert head.is_awaited("default", "h1", before_ns, T0_NS + 3600 * S)
    assert not head.is_awaited("default", "h1", before_ns, T0_NS + 86_400 * S)  # it is gone for good
    await clock.advance(100)
    head.take_samples(0, "h1", frame(100, {WEB: {"mem": 1.0}}))
    assert head.is_awaited("default", "h1", before_ns, T0_NS + 399 * S)
    assert not head.is_awaited("default", "h1", before_ns, T0_NS + 400 * S)
    assert not head.is_awaited("default", "h1", T0_NS + 100 * S, T0_NS + 110 * S)  # it was seen since


def test_gaps_are_counted_by_host_and_reason(head: Head, registry: CollectorRegistry) -> None:
    stream = StreamId("agent", "source", "1-a")
    head.take_gap(0, "h1", stream, Gap(0, 100, 150, 0, GapReason.DELETED, T0_NS))
    head.take_gap(1, "h1", stream, Gap(0, 150, -1, 0, GapReason.DELETED, T0_NS))
    labels = {"host": "h1", "reason": "deleted"}
    assert registry.get_sample_value("deckwatch_collector_gaps_total", labels) == 2
    assert registry.get_sample_value("deckwatch_collector_gap_bytes_total", labels) == 50
    assert head.gap_counts == {("h1", "deleted"): 2}


def test_the_last_events_of_a_container_are_kept(head: Head) -> None:
    for number in range(30):
        event = Event(T0_NS + number, "default", "container", "start", Container("c1"))
        head.take_event(number, "h1", event)
    kept = head.events.of("default", "c1")
    assert [seen.event.ts_ns - T0_NS for seen in kept] == list(range(10, 30))
    assert head.events.of("blue", "c1") == ()
