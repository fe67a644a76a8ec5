"""The text of /metrics, read by prometheus_client's parsers and by promtool."""

from __future__ import annotations

import math
import struct
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from collector.metrics.exposition import Exposition
from collector.metrics.families import Family, TextFormat, number
from collector.metrics.head import Head
from collector.metrics.remote.metadata import Metadata
from deckwatch.runtime.clock import ManualClock
from deckwatch.wire.metrics_catalogue import CATALOGUE, MetricInfo, MetricType
from deckwatch.wire.model import MEASURED_NAN_BITS, Column, Description, Samples, Target
from tests.collector.metrics.frames import T0_NS, S, frame
from tests.fixtures.promtool import ALLOWED, check_metrics, unexpected

SMALL = {
    "container_cpu_usage_seconds_total": MetricInfo(MetricType.COUNTER, "", "CPU time\nin \\seconds."),
    "container_memory_failcnt": MetricInfo(MetricType.COUNTER, "", "Times the limit was hit."),
    "container_memory_usage_bytes": MetricInfo(MetricType.GAUGE, "", "Memory in use."),
}
WEB = 'id=/docker/web,name=we"b\\\n'
DB = "id=/docker/db,name=db"


@pytest.fixture
def head() -> Head:
    return Head(ManualClock(T0_NS), CollectorRegistry())


def expose(head: Head, at_s: float = 0, form: TextFormat = TextFormat.PROMETHEUS, tenant: str = "default") -> str:
    return Exposition(head, (), catalogue=SMALL).render(tenant, T0_NS + int(at_s * S), form).decode()


def test_the_text_of_two_containers(head: Head) -> None:
    head.take_samples(
        0,
        "h1",
        frame(
            0,
            {
                WEB: {"container_cpu_usage_seconds_total{cpu=total}": 1.5, "container_memory_usage_bytes": 4096.0},
                DB: {"container_memory_usage_bytes": 2.0**40, "container_swap": None},
            },
        ),
    )
    assert expose(head) == (
        "# HELP container_cpu_usage_seconds_total CPU time\\nin \\\\seconds.\n"
        "# TYPE container_cpu_usage_seconds_total counter\n"
        'container_cpu_usage_seconds_total{cpu="total",host="h1",id="/docker/web",name="we\\"b\\\\\\n"} 1.5\n'
        "# HELP container_memory_usage_bytes Memory in use.\n"
        "# TYPE container_memory_usage_bytes gauge\n"
        'container_memory_usage_bytes{host="h1",id="/docker/web",name="we\\"b\\\\\\n"} 4096\n'
        'container_memory_usage_bytes{host="h1",id="/docker/db",name="db"} 1099511627776\n'
        "# HELP deckwatch_agent_sample_age_seconds Age of the newest sample of the agent.\n"
        "# TYPE deckwatch_agent_sample_age_seconds gauge\n"
        'deckwatch_agent_sample_age_seconds{host="h1"} 0\n'
        "# HELP deckwatch_agent_up 1 while the agent's samples are fresh, 0 while it is silent or behind.\n"
        "# TYPE deckwatch_agent_up gauge\n"
        'deckwatch_agent_up{host="h1"} 1\n'
    )


def test_values_move_and_series_come_and_go_between_scrapes(head: Head) -> None:
    exposition = Exposition(head, (), catalogue=SMALL)

    def lines(at_s: float) -> list[str]:
        text = exposition.render("default", T0_NS + int(at_s * S)).decode()
        return [line for line in text.splitlines() if line.startswith("m")]

    head.take_samples(0, "h1", frame(0, {DB: {"m": 1.0, "m2": 1.0}}))
    assert len(lines(0)) == 2
    head.take_samples(0, "h1", frame(10, {DB: {"m": 7.0, "m2": None}}))
    assert lines(10) == ['m{host="h1",id="/docker/db",name="db"} 7']
    head.take_samples(0, "h1", frame(20, {DB: {"m": 7.0, "m3": 8.0}}))
    assert [line[:2] for line in lines(20)] == ["m{", "m3"]
    assert lines(321) == []  # silent
    head.take_samples(0, "h1", frame(330, {}, ended=(DB,)))
    assert lines(330) == []


def test_a_series_given_by_two_sources_stands_once(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {DB: {"m": 1.0}}))
    head.take_samples(0, "h1", frame(0, {DB: {"m": 2.0}}, source="other"))
    assert expose(head).count("m{") == 1


def test_tenants_see_their_own_series_only(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {DB: {"m": 1.0}}, tenant="blue"))
    assert "m{" not in expose(head)
    assert "m{" in expose(head, tenant="blue")


def own_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("deckwatch_test_things_total", "Things.", ["kind"], registry=registry).labels('a"b').inc(3)
    Gauge("deckwatch_test_level_bytes", "Level.", registry=registry).set(math.inf)
    Histogram("deckwatch_test_wait_seconds", "Wait.", buckets=(0.1, 1), registry=registry).observe(0.5)
    Info("deckwatch_test_build", "Build.", registry=registry).info({"version": "1"})
    return registry


@pytest.mark.parametrize("form", list(TextFormat))
def test_registries_and_samples_read_back(head: Head, form: TextFormat) -> None:
    head.take_samples(
        0,
        "h1",
        frame(0, {DB: {"container_memory_failcnt": 2.0, "container_cpu_usage_seconds_total": 0.25, "strange": 1e300}}),
    )
    text = Exposition(head, [own_registry()], catalogue=SMALL).render("default", T0_NS, form).decode()
    parse = parse_openmetrics if form is TextFormat.OPENMETRICS else parse_text
    samples = {sample.name: sample.value for family in parse(text) for sample in family.samples}
    assert 'container_memory_failcnt{host="h1",id="/docker/db",name="db"} 2\n' in text
    assert samples["container_cpu_usage_seconds_total"] == 0.25
    assert samples["strange"] == 1e300
    assert samples["deckwatch_test_things_total"] == 3
    assert samples["deckwatch_test_wait_seconds_sum"] == 0.5
    assert samples["deckwatch_test_build_info"] == 1
    assert samples["deckwatch_test_level_bytes"] == math.inf


def test_families_of_one_name_are_contiguous(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {DB: {"deckwatch_test_things_total": 1.0}}))
    exposition = Exposition(head, [own_registry()], catalogue=SMALL)
    exposition.add_source(
        lambda tenant, at_ns: [
            Family.of("ALERTS", MetricInfo(MetricType.GAUGE, "", "Alerts."), [((("alertname", "A"),), 1.0)]),
        ]
    )
    text = exposition.render("default", T0_NS).decode()
    assert text.count("# TYPE deckwatch_test_things_total") == 1
    assert 'ALERTS{alertname="A"} 1' in text


def test_promtool_passes_it(head: Head) -> None:
    head.take_samples(
        0, "h1", frame(0, {WEB: {"container_cpu_usage_seconds_total": 1.5, "container_memory_usage_bytes": 3e9}})
    )
    text = Exposition(head, [own_registry()], catalogue=SMALL).render("default", T0_NS)
    assert check_metrics(text) == []


def test_promtool_reads_every_metric_of_the_catalogue(head: Head) -> None:
    """It passes what cAdvisor and node_exporter pass: complaints are only about names and types that are theirs."""
    head.take_samples(0, "h1", frame(0, {DB: dict.fromkeys(CATALOGUE, 1.0)}))
    complaints = check_metrics(Exposition(head, ()).render("default", T0_NS))
    assert unexpected(complaints) == []
    assert ALLOWED - set(complaints) == set()  # nothing is allowed that isn't there


def test_promtool_does_find_faults() -> None:
    assert check_metrics(b"# TYPE a gauge\na 1\na 1\n") != []


def described(tmp_path: Path, *about: Description) -> Metadata:
    metadata = Metadata(tmp_path / "metadata.json")
    metadata.take_samples(0, "h1", Samples("s", T0_NS, "default", (), (), about=about))
    return metadata


@pytest.mark.parametrize("form", list(TextFormat))
def test_what_applications_say_of_their_metrics(head: Head, tmp_path: Path, form: TextFormat) -> None:
    metadata = described(
        tmp_path,
        Description("took_seconds", "histogram", "How long it took."),
        Description("size_bytes", "summary", "How large it is."),
        Description("orders_total", "counter", "Orders."),
        Description("build_info", "info", "Build."),
        Description("other", "unknown", ""),
        Description("container_memory_usage_bytes", "counter", "Ours is right."),
    )
    values = {
        "took_seconds_bucket{le=0.1}": 1.0,
        "took_seconds_bucket{le=+Inf}": 2.0,
        "took_seconds_sum": 0.7,
        "took_seconds_count": 2.0,
        "size_bytes{quantile=0.5}": 9.0,
        "size_bytes_sum": 18.0,
        "size_bytes_count": 2.0,
        "orders_total": 3.0,
        "build_info{version=1}": 1.0,
        "other": 4.0,
        "container_memory_usage_bytes": 5.0,
    }
    head.take_samples(0, "h1", frame(0, {"job=j": values}))
    text = Exposition(head, (), catalogue=SMALL, metadata=metadata).render("default", T0_NS, form).decode()
    parse = parse_openmetrics if form is TextFormat.OPENMETRICS else parse_text
    found = {family.name: (family.type, family.documentation, len(family.samples)) for family in parse(text)}
    assert {name: told for name, told in found.items() if not name.startswith("deckwatch_")} == {
        "took_seconds": ("histogram", "How long it took.", 4),
        "size_bytes": ("summary", "How large it is.", 3),
        "orders": ("counter", "Orders.", 1),
        "build_info": ("gauge", "Build.", 1),
        "other": ("unknown", "Nothing is said of it.", 1),
        "container_memory_usage_bytes": ("gauge", "Memory in use.", 1),
    }
    if form is TextFormat.PROMETHEUS:
        assert check_metrics(text.encode()) == []


def test_a_description_that_comes_later_counts(head: Head, tmp_path: Path) -> None:
    metadata = described(tmp_path)
    head.take_samples(0, "h1", frame(0, {"job=j": {"m": 1.0}}))
    exposition = Exposition(head, (), catalogue=SMALL, metadata=metadata)
    assert "# TYPE m untyped\n" in exposition.render("default", T0_NS).decode()
    about = (Description("m", "gauge", "It is."),)
    metadata.take_samples(0, "h1", Samples("s", T0_NS, "default", (), (), about=about))
    assert "# HELP m It is.\n# TYPE m gauge\n" in exposition.render("default", T0_NS).decode()


def test_a_nan_that_was_measured_is_shown(head: Head) -> None:
    bits = struct.pack("<3Q", MEASURED_NAN_BITS, 0x7FF8000000000000, 0x3FF0000000000000)
    columns = (Column("quantile"), Column("absent"), Column("one"))
    target = Target((("job", "j"),), 0, bits)
    head.take_samples(0, "h1", Samples("s", T0_NS, "default", (columns,), (target,)))
    text = expose(head)
    assert 'quantile{host="h1",job="j"} NaN\n' in text
    assert "absent" not in text
    assert 'one{host="h1",job="j"} 1\n' in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (1e15, "1000000000000000.0"),
        (123456789012345.0, "123456789012345"),
        (1e300, "1e+300"),
        (0.1 + 0.2, "0.30000000000000004"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_five_thousand_series_take_less_than_20_ms(head: Head) -> None:
    values = {f"container_metric_{number}_bytes": number * 1.25 for number in range(50)}
    targets = {f"id=/docker/{place:064x},name=c{place},image=busybox": values for place in range(100)}
    head.take_samples(0, "h1", frame(0, targets))
    exposition = Exposition(head, (), catalogue=SMALL)
    assert exposition.render("default", T0_NS).count(b"\ncontainer_metric") == 5000
    took_s = []
    for second in range(10, 60, 10):
        head.take_samples(0, "h1", frame(second, targets))
        start = time.process_time()
        exposition.render("default", T0_NS)
        took_s.append(time.process_time() - start)
    print(f"5,000 series: {1000 * sorted(took_s)[2]:.1f} ms of CPU (median of 5)")
    assert min(took_s) < 0.020
