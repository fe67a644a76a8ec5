"""When a container or a host is sick, in PromQL.

A symptom has a *degree*: what was measured, over the threshold from which it is one. 1 and more is sick, 2 is twice
as bad, 0.5 is half way there; so symptoms of all kinds stand in one table, the worst on top, and in one graph against
one line. Each is looked at over fixed windows: what is sick doesn't depend on the range that a dashboard shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

DISKS = 'fstype!~"tmpfs|ramfs"'
SCOPE, SCOPE_OF_DISKS = "{{scope}}", f"{{{{scope}}, {DISKS}}}"


class Symptom(msgspec.Struct, frozen=True):
    name: str
    measure: str  # PromQL with {scope} where the matchers go
    threshold: float
    about: str

    def degree(self, scope: str) -> str:
        measured = self.measure.replace("{scope}", scope).replace("{logs}", _of_logs(scope))
        over = measured if self.threshold == 1 else f"({measured}) / {self.threshold:g}"
        return f'label_replace({over}, "symptom", "{self.name}", "", "")'


def _of_logs(scope: str) -> str:
    """Series of logs name their container `container`."""
    return scope.replace("name=", "container=").replace("name!=", "container!=")


def degrees(symptoms: Sequence[Symptom], scope: str) -> str:
    return " or ".join(symptom.degree(scope) for symptom in symptoms)


def sick(symptoms: Sequence[Symptom], scope: str) -> str:
    """Only those from 1 on, as the table shows them."""
    return " or ".join(f"{symptom.degree(scope)} >= 1" for symptom in symptoms)


def number_sick(symptoms: Sequence[Symptom], scope: str, by: str) -> str:
    return f"count(count by ({by}) ({sick(symptoms, scope)})) or vector(0)"


def legend(symptoms: Sequence[Symptom]) -> str:
    """For descriptions."""
    return "\n".join(f"- **{symptom.name}**: {symptom.about}" for symptom in symptoms)


def _rate(metric: str, by: str, window: str = "5m") -> str:
    return f"max by ({by}) (rate({metric}{SCOPE}[{window}]))"


def _events(metric: str, by: str, window: str = "15m") -> str:
    return f"round(sum by ({by}) (increase({metric}{SCOPE}[{window}])))"


_C = "host, name"
CONTAINER = (
    Symptom(
        "memory near its limit",
        "max by (host, name) (container_memory_working_set_bytes{{scope}}"
        " / (container_spec_memory_limit_bytes{{scope}} > 0))",
        0.9,
        "the working set is 90 % of the memory limit or more; at 100 % the kernel kills.",
    ),
    Symptom(
        "OOM-killed", _events("container_oom_kills_total", _C), 1, "the kernel killed a process for memory (15 m)."
    ),
    Symptom(
        "throttled",
        "max by (host, name) (rate(container_cpu_cfs_throttled_periods_total{{scope}}[5m])"
        " / (rate(container_cpu_cfs_periods_total{{scope}}[5m]) > 0))",
        0.25,
        "its CPU quota ran out in a quarter of the periods or more.",
    ),
    Symptom(
        "restarted", _events("container_restarts_total", _C), 1, "its restart policy had to start it again (15 m)."
    ),
    Symptom(
        "unhealthy",
        "max by (host, name) (1 - (max_over_time(container_health_state{{scope}}[2m]) >= 0))",
        1,
        "its health check has not passed for two minutes.",
    ),
    Symptom(
        "ended with a failure",
        "max by (host, name) (((container_exit_code{{scope}} != 143) != bool 0)"
        " unless (container_exit_code{{scope}} offset 1h))",
        1,
        "it ended within the hour with an exit code other than 0 (or 143, being asked to stop).",
    ),
    Symptom(
        "waits for memory",
        _rate("container_pressure_memory_waiting_seconds_total", _C),
        0.1,
        "some task waited for memory a tenth of the time or more (PSI).",
    ),
    Symptom(
        "stalled by I/O",
        _rate("container_pressure_io_stalled_seconds_total", _C),
        0.2,
        "all its tasks waited for I/O a fifth of the time or more (PSI).",
    ),
    Symptom(
        "waits for a CPU",
        _rate("container_pressure_cpu_waiting_seconds_total", _C),
        0.5,
        "some task was ready and got no CPU half of the time or more (PSI).",
    ),
    Symptom(
        "tasks near their limit",
        "max by (host, name) (container_threads{{scope}} / (container_threads_max{{scope}} > 0))",
        0.9,
        "90 % of the processes and threads that it may have; beyond the limit fork fails.",
    ),
    Symptom(
        "lost log lines",
        "max by (host, name) (label_replace(deckwatch_log_gap_age_seconds{{logs}} < bool 3600,"
        ' "name", "$1", "container", "(.*)"))',
        1,
        "a gap in its log was declared within the hour.",
    ),
)
"""By (host, name)."""


HOST = (
    Symptom("agent silent", "max by (host) (1 - deckwatch_agent_up{{scope}})", 1, "its agent sends nothing."),
    Symptom(
        "CPU busy",
        'max by (host) (1 - avg by (host) (rate(node_cpu_seconds_total{{scope}, mode="idle"}[5m])))',
        0.95,
        "95 % of all CPU time or more is used.",
    ),
    Symptom(
        "CPU stolen",
        'avg by (host) (rate(node_cpu_seconds_total{{scope}, mode="steal"}[5m]))',
        0.1,
        "the hypervisor gave a tenth of its CPU time or more to others.",
    ),
    Symptom(
        "memory nearly used up",
        "max by (host) (1 - node_memory_MemAvailable_bytes{{scope}} / node_memory_MemTotal_bytes{{scope}})",
        0.9,
        "less than a tenth of the memory is available.",
    ),
    Symptom(
        "stalled by memory",
        _rate("node_pressure_memory_stalled_seconds_total", "host"),
        0.1,
        "all tasks waited for memory a tenth of the time or more (PSI).",
    ),
    Symptom(
        "stalled by I/O",
        _rate("node_pressure_io_stalled_seconds_total", "host"),
        0.3,
        "all tasks waited for I/O 30 % of the time or more (PSI).",
    ),
    Symptom("OOM kills", _events("node_vmstat_oom_kill", "host"), 1, "the kernel killed for want of memory (15 m)."),
    Symptom(
        "disk nearly full",
        f"max by (host) (1 - node_filesystem_avail_bytes{SCOPE_OF_DISKS}"
        f" / (node_filesystem_size_bytes{SCOPE_OF_DISKS} > 0))",
        0.9,
        "a file system has less than a tenth left.",
    ),
    Symptom(
        "inodes nearly used up",
        f"max by (host) (1 - node_filesystem_files_free{SCOPE_OF_DISKS} / (node_filesystem_files{SCOPE_OF_DISKS} > 0))",
        0.9,
        "a file system can take few further files, however much room it has.",
    ),
    Symptom(
        "turned read-only",
        f"max by (host) (node_filesystem_readonly{SCOPE_OF_DISKS}"
        f" - min_over_time(node_filesystem_readonly{SCOPE_OF_DISKS}[1h]))",
        1,
        "a file system was mounted read-only within the hour: the kernel does so on errors of the disk.",
    ),
    Symptom(
        "file system doesn't answer",
        "max by (host) (node_filesystem_device_error{{scope}})",
        1,
        "a mount hangs or answers with an error (a dead NFS server).",
    ),
    Symptom(
        "network errors",
        "sum by (host) (rate(node_network_receive_errs_total{{scope}}[5m])"
        " + rate(node_network_transmit_errs_total{{scope}}[5m]))",
        1,
        "an error a second or more.",
    ),
    Symptom(
        "connections near their limit",
        "max by (host) (node_nf_conntrack_entries{{scope}} / (node_nf_conntrack_entries_limit{{scope}} > 0))",
        0.9,
        "the table of tracked connections is 90 % full; beyond it new ones are dropped.",
    ),
    Symptom(
        "engine doesn't answer",
        "max by (host) (max_over_time(deckwatch_discover_engine_up{{scope}}[1d])"
        " - max_over_time(deckwatch_discover_engine_up{{scope}}[2m]))",
        1,
        "the container engine's API answered within a day and doesn't any more.",
    ),
    Symptom(
        "log lines wait",
        "max by (host) (deckwatch_agent_lag_bytes{{scope}})",
        float(64 << 20),
        "64 MiB of log lines or more are not at the collector yet.",
    ),
)
"""By (host)."""
