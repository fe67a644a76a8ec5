"""The head told as a dialogue: frames in, vectors out."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from collector.metrics.head import Head
from collector.metrics.selector import Matcher, MatchOp, Selector
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Container, Event, Gap, GapReason, Labels, Samples, StreamId, Target
from tests.collector.metrics.frames import T0_NS, S, column, frame

WEB = "id=/docker/web,name=web"
DB = "id=/docker/db,name=db"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def head(registry: CollectorRegistry) -> Head:
    return Head(ManualClock(T0_NS), registry)


def series(head: Head, name: str, at_s: float = 0, tenant: str = "default") -> dict[Labels, float]:
    """Of targets that are known then."""
    blocks = head.known_blocks(tenant, T0_NS + int(at_s * S))
    found = [(block, place) for block in blocks for place in block.schema.positions.get(name, ())]
    all_values = {block.labels(place): float(block.values[place]) for block, place in found}
    return {labels: value for labels, value in all_values.items() if value == value}


def values(head: Head, name: str, at_s: float = 0, tenant: str = "default") -> dict[str, float]:
    """container name -> value"""
    return {dict(labels)["name"]: value for labels, value in series(head, name, at_s, tenant).items()}


def of_agents(head: Head, name: str, at_s: float) -> dict[str, float]:
    """host -> value"""
    vector = head.instant("default", Selector(name), T0_NS + int(at_s * S))
    return {dict(sample.labels)["host"]: sample.value for sample in vector.samples}


def test_host_is_added_and_labels_are_sorted(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem{kind=rss}": 5.0}}))
    (labels,) = series(head, "mem")
    assert labels == (
        ("__name__", "mem"),
        ("host", "h1"),
        ("id", "/docker/web"),
        ("kind", "rss"),
        ("name", "web"),
    )


def test_a_host_label_of_the_target_is_kept_beside_ours(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {"host=other": {"mem": 5.0}}))
    (labels,) = series(head, "mem")
    assert dict(labels) == {"__name__": "mem", "host": "h1", "exported_host": "other"}


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
    assert values(head, "mem", 301) == {"web": 1.0}


def test_a_silent_agent_makes_its_series_unknown(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0}}))
    head.take_samples(0, "h2", frame(290, {DB: {"mem": 2.0}}))
    assert values(head, "mem", 301) == {"db": 2.0}
    assert of_agents(head, "deckwatch_agent_up", 301) == {"h1": 0.0, "h2": 1.0}
    assert of_agents(head, "deckwatch_agent_sample_age_seconds", 301) == {"h1": 301.0, "h2": 11.0}
    assert head.is_silent("default", "h1", T0_NS + 301 * S)
    assert not head.is_silent("default", "h2", T0_NS + 301 * S)
    assert not head.is_silent("default", "never heard of", T0_NS + 301 * S)


def test_tenants_never_mix(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0}}))
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 2.0}}, tenant="blue"))
    assert values(head, "mem") == {"web": 1.0}
    assert values(head, "mem", tenant="blue") == {"web": 2.0}
    assert values(head, "mem", tenant="red") == {}


def test_the_agents_own_series_are_chosen_by_name_and_host(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: {"mem": 1.0}}))
    head.take_samples(0, "h2", frame(0, {WEB: {"mem": 1.0}}))
    one = Selector("deckwatch_agent_up", (Matcher("host", MatchOp.REGEX, ".*2"),))
    assert [sample.labels for sample in head.instant("default", one, T0_NS).samples] == [
        (("__name__", "deckwatch_agent_up"), ("host", "h2"))
    ]
    assert head.instant("default", Selector("mem"), T0_NS).samples == ()
    assert head.instant("blue", one, T0_NS).samples == ()
    assert head.tenants() == {"default"}


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


async def test_when_an_agent_was_first_heard_of(registry: CollectorRegistry) -> None:
    clock = ManualClock(T0_NS)
    head = Head(clock, registry)
    assert head.first_heard_ns("default", "h1") is None
    await clock.advance(100)
    head.take_samples(0, "h1", frame(100, {WEB: {"mem": 1.0}}))
    await clock.advance(100)
    head.take_samples(1, "h1", frame(200, {WEB: {"mem": 1.0}}))
    assert head.first_heard_ns("default", "h1") == T0_NS + 100 * S


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
