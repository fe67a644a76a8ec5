"""The counters of workloads as a frame of samples. Pure."""

from __future__ import annotations

import struct
from collections import Counter as Tally
from collections.abc import Iterable
from math import nan

from agent.model import ContainerState
from agent.sample.workload.key import WorkloadKey
from agent.sample.workload.totals import ExitReason, Totals
from deckwatch.wire.model import Column, Labels, Samples, Target

SOURCE = "workload"

COLUMNS: tuple[Column, ...] = (
    Column("workload_cpu_usage_seconds_total"),
    Column("workload_network_receive_bytes_total"),
    Column("workload_network_transmit_bytes_total"),
    Column("workload_fs_reads_bytes_total"),
    Column("workload_fs_writes_bytes_total"),
    Column("workload_oom_kills_total"),
    Column("workload_starts_total"),
    Column("workload_restarts_total"),
    *(Column("workload_exits_total", (("reason", reason.value),)) for reason in ExitReason),
    Column("workload_run_seconds_total"),
    Column("workload_memory_working_set_bytes"),
    *(Column("workload_containers", (("state", state.value),)) for state in ContainerState),
)
_PACK = struct.Struct(f"<{len(COLUMNS)}d")


def row(totals: Totals, working_set_bytes: int | None, states: Tally[ContainerState] | None) -> bytes:
    """`states`: None: not known at this time."""
    return _PACK.pack(
        nan if totals.cpu_ns is None else totals.cpu_ns / 1e9,
        _known(totals.received_bytes),
        _known(totals.sent_bytes),
        _known(totals.read_bytes),
        _known(totals.written_bytes),
        totals.oom_kills,
        totals.starts,
        totals.restarts,
        *(totals.exits.get(reason, 0) for reason in ExitReason),
        totals.run_ns / 1e9,
        _known(working_set_bytes),
        *(nan if states is None else states[state] for state in ContainerState),
    )


def frame(
    ts_ns: int,
    tenant: str,
    totals: Iterable[Totals],
    working_sets: dict[WorkloadKey, int],
    states: dict[WorkloadKey, Tally[ContainerState]] | None,
    ended: Iterable[Labels],
) -> Samples:
    targets = []
    for one in totals:
        counted = None if states is None else states.get(one.key, Tally())
        targets.append(Target(one.key.labels(), 0, row(one, working_sets.get(one.key), counted)))
    return Samples(SOURCE, ts_ns, tenant, (COLUMNS,), tuple(targets), tuple(ended))


def _known(value: int | None) -> float:
    return nan if value is None else value
