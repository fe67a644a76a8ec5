"""Each symptom: series of somebody sick and of somebody well, and what the fleet's table makes of them."""

from __future__ import annotations

import pytest

from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.memory import MemorySource
from dashboards.grafana import symptoms
from dashboards.grafana.symptoms import Symptom

STEP_S = 15
LONG_S = 2 * 3600
NOW_S = 10_000 * STEP_S
MIB = 1 << 20

Numbers = dict[str, tuple[float, float]]
"""metric or metric{a=b} -> (value at the beginning, growth a second)"""

WEB = {"host": "h", "name": "web"}
CONTAINER: dict[str, tuple[Numbers, Numbers]] = {  # symptom -> (sick, well)
    "memory near its limit": (
        {"container_memory_working_set_bytes": (95 * MIB, 0), "container_spec_memory_limit_bytes": (100 * MIB, 0)},
        {"container_memory_working_set_bytes": (50 * MIB, 0), "container_spec_memory_limit_bytes": (100 * MIB, 0)},
    ),
    "OOM-killed": ({"container_oom_kills_total": (3, 1 / 300)}, {"container_oom_kills_total": (3, 0)}),
    "throttled": (
        {"container_cpu_cfs_periods_total": (0, 10), "container_cpu_cfs_throttled_periods_total": (0, 4)},
        {"container_cpu_cfs_periods_total": (0, 10), "container_cpu_cfs_throttled_periods_total": (0, 1)},
    ),
    "restarted": ({"container_restarts_total": (0, 1 / 300)}, {"container_restarts_total": (70, 0)}),
    "unhealthy": ({"container_health_state": (0, 0)}, {"container_health_state": (1, 0)}),
    "ended with a failure": ({}, {"container_exit_code": (0, 0)}),  # see its own test
    "waits for memory": (
        {"container_pressure_memory_waiting_seconds_total": (0, 0.2)},
        {"container_pressure_memory_waiting_seconds_total": (0, 0.01)},
    ),
    "stalled by I/O": (
        {"container_pressure_io_stalled_seconds_total": (0, 0.3)},
        {"container_pressure_io_stalled_seconds_total": (0, 0.1)},
    ),
    "waits for a CPU": (
        {"container_pressure_cpu_waiting_seconds_total": (0, 0.6)},
        {"container_pressure_cpu_waiting_seconds_total": (0, 0.4)},
    ),
    "tasks near their limit": (
        {"container_threads": (95, 0), "container_threads_max": (100, 0)},
        {"container_threads": (5, 0), "container_threads_max": (100, 0)},
    ),
    "lost log lines": (
        {"deckwatch_log_gap_age_seconds{container=web}": (60, 0)},
        {"deckwatch_log_gap_age_seconds{container=web}": (7200, 0)},
    ),
}
HOST: dict[str, tuple[Numbers, Numbers]] = {
    "agent silent": ({"deckwatch_agent_up": (0, 0)}, {"deckwatch_agent_up": (1, 0)}),
    "CPU busy": (
        {"node_cpu_seconds_total{mode=idle}": (0, 0.02)},
        {"node_cpu_seconds_total{mode=idle}": (0, 0.5)},
    ),
    "CPU stolen": (
        {"node_cpu_seconds_total{mode=steal}": (0, 0.2)},
        {"node_cpu_seconds_total{mode=steal}": (0, 0.05)},
    ),
    "memory nearly used up": (
        {"node_memory_MemAvailable_bytes": (5, 0), "node_memory_MemTotal_bytes": (100, 0)},
        {"node_memory_MemAvailable_bytes": (50, 0), "node_memory_MemTotal_bytes": (100, 0)},
    ),
    "stalled by memory": (
        {"node_pressure_memory_stalled_seconds_total": (0, 0.2)},
        {"node_pressure_memory_stalled_seconds_total": (0, 0.05)},
    ),
    "stalled by I/O": (
        {"node_pressure_io_stalled_seconds_total": (0, 0.4)},
        {"node_pressure_io_stalled_seconds_total": (0, 0.2)},
    ),
    "OOM kills": ({"node_vmstat_oom_kill": (0, 1 / 300)}, {"node_vmstat_oom_kill": (9, 0)}),
    "disk nearly full": (
        {"node_filesystem_avail_bytes{fstype=ext4}": (5, 0), "node_filesystem_size_bytes{fstype=ext4}": (100, 0)},
        {"node_filesystem_avail_bytes{fstype=tmpfs}": (0, 0), "node_filesystem_size_bytes{fstype=tmpfs}": (100, 0)},
    ),
    "inodes nearly used up": (
        {"node_filesystem_files_free{fstype=ext4}": (5, 0), "node_filesystem_files{fstype=ext4}": (100, 0)},
        {"node_filesystem_files_free{fstype=ext4}": (0, 0), "node_filesystem_files{fstype=ext4}": (0, 0)},  # btrfs
    ),
    "turned read-only": (
        {"node_filesystem_readonly{fstype=ext4}": (0, 1)},  # not 1, but it has grown within the hour
        {"node_filesystem_readonly{fstype=ext4}": (1, 0)},
    ),
    "file system doesn't answer": (
        {"node_filesystem_device_error": (1, 0)},
        {"node_filesystem_device_error": (0, 0)},
    ),
    "network errors": (
        {"node_network_receive_errs_total": (0, 2), "node_network_transmit_errs_total": (0, 0)},
        {"node_network_receive_errs_total": (0, 0.1), "node_network_transmit_errs_total": (0, 0)},
    ),
    "connections near their limit": (
        {"node_nf_conntrack_entries": (99, 0), "node_nf_conntrack_entries_limit": (100, 0)},
        {"node_nf_conntrack_entries": (9, 0), "node_nf_conntrack_entries_limit": (100, 0)},
    ),
    "engine doesn't answer": (  # its own test has one that stopped
        {},
        {"deckwatch_discover_engine_up": (1, 0)},
    ),
    "log lines wait": ({"deckwatch_agent_lag_bytes": (80 * MIB, 0)}, {"deckwatch_agent_lag_bytes": (MIB, 0)}),
}


def test_every_symptom_has_its_case() -> None:
    assert [symptom.name for symptom in symptoms.CONTAINER] == list(CONTAINER)
    assert [symptom.name for symptom in symptoms.HOST] == list(HOST)


def source(numbers: Numbers, labels: dict[str, str], since_s: int = LONG_S) -> MemorySource:
    made = MemorySource()
    times = range(NOW_S - since_s, NOW_S + STEP_S, STEP_S)
    for series, (first, growth) in numbers.items():
        metric, _, more = series.partition("{")
        extra = [more.rstrip("}").split("=", 1)] if more else []
        own = {**labels, "__name__": metric, **dict(extra)}
        made.add(own.items(), [at * 1000 for at in times], [first + growth * (at - times[0]) for at in times])
    return made


def told(expr: str, samples: MemorySource) -> list[dict[str, str]]:
    return [dict(labels) for labels in evaluate(expr, NOW_S * 1000, NOW_S * 1000, 0, samples).labels]


def cases(known: tuple[Symptom, ...], table: dict[str, tuple[Numbers, Numbers]]) -> list[tuple[str, Numbers, Numbers]]:
    return [(symptom.name, *table[symptom.name]) for symptom in known if table[symptom.name][0]]


@pytest.mark.parametrize(("name", "sick", "well"), cases(symptoms.CONTAINER, CONTAINER))
def test_container(name: str, sick: Numbers, well: Numbers) -> None:
    expr = symptoms.sick(symptoms.CONTAINER, 'host=~"h", name=~"web", name!=""')
    assert told(expr, source(sick, WEB)) == [{**WEB, "symptom": name}]
    assert told(expr, source(well, WEB)) == []
    assert told(expr, source(sick, {"host": "h", "name": "other"})) == (
        [] if "deckwatch" not in next(iter(sick)) else told(expr, source(sick, WEB))
    )


@pytest.mark.parametrize(("name", "sick", "well"), cases(symptoms.HOST, HOST))
def test_host(name: str, sick: Numbers, well: Numbers) -> None:
    expr = symptoms.sick(symptoms.HOST, 'host=~"h"')
    assert told(expr, source(sick, {"host": "h"})) == [{"host": "h", "symptom": name}]
    assert told(expr, source(well, {"host": "h"})) == []
    assert told(expr, source(sick, {"host": "other"})) == []


@pytest.mark.parametrize(
    ("code", "since_s", "is_sick"),
    [(1, 600, True), (137, 600, True), (0, 600, False), (143, 600, False), (1, 5400, False)],
)
def test_ended_with_a_failure(code: int, since_s: int, is_sick: bool) -> None:
    """Within the hour; whoever was asked to stop (SIGTERM) and did hasn't failed."""
    expr = symptoms.sick(symptoms.CONTAINER, 'host=~"h", name!=""')
    found = told(expr, source({"container_exit_code": (code, 0)}, WEB, since_s))
    assert found == ([{**WEB, "symptom": "ended with a failure"}] if is_sick else [])


@pytest.mark.parametrize(("up_until_s", "is_sick"), [(600, True), (LONG_S, False), (0, False)])
def test_an_engine_that_stopped_answering(up_until_s: int, is_sick: bool) -> None:
    """A host that never had one is not sick for it."""
    made = MemorySource()
    times = range(0, LONG_S, STEP_S)
    values = [float(at < up_until_s) for at in times]
    series = {"__name__": "deckwatch_discover_engine_up", "host": "h"}
    made.add(series.items(), [(NOW_S - LONG_S + at) * 1000 for at in times], values)
    found = told(symptoms.sick(symptoms.HOST, 'host="h"'), made)
    assert found == ([{"host": "h", "symptom": "engine doesn't answer"}] if is_sick else [])


def test_a_container_without_health_check_is_not_unhealthy() -> None:
    expr = symptoms.sick(symptoms.CONTAINER, 'name!=""')
    assert told(expr, source({"container_health_state": (-1, 0)}, WEB)) == []


def test_the_sick_are_counted_once_each() -> None:
    samples = source({"container_health_state": (0, 0), "container_restarts_total": (0, 0.01)}, WEB)
    count = symptoms.number_sick(symptoms.CONTAINER, 'name!=""', "host, name")
    assert evaluate(count, NOW_S * 1000, NOW_S * 1000, 0, samples).values.tolist() == [[1.0]]
    assert evaluate(count, NOW_S * 1000, NOW_S * 1000, 0, MemorySource()).values.tolist() == [[0.0]]


def test_the_degree_is_in_thresholds() -> None:
    samples = source(CONTAINER["memory near its limit"][0], WEB)
    expr = symptoms.degrees(symptoms.CONTAINER[:1], 'name!=""')
    ((value,),) = evaluate(expr, NOW_S * 1000, NOW_S * 1000, 0, samples).values.tolist()
    assert value == pytest.approx(0.95 / 0.9)
