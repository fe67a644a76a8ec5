from __future__ import annotations

import math
from typing import TypeVar

import msgspec
import pytest

from agent.sample.network import InterfaceCounters
from agent.sample.reading import (
    CgroupReading,
    CpuReading,
    DeviceIo,
    Limits,
    MemoryReading,
    PressureReading,
    TaskReading,
)
from agent.sample.series import Rows, Schema, Times
from deckwatch.wire.metrics_catalogue import CATALOGUE
from tests.agent.sample.trees import Series

NOW = Times(1_700_000_000)
ETH0 = InterfaceCounters("eth0", 1, 2, 3, 4, 5, 6, 7, 8)


def reading(
    cpu: CpuReading | None = None,
    memory: MemoryReading | None = None,
    io: tuple[DeviceIo, ...] = (),
    limits: Limits | None = None,
) -> CgroupReading:
    return CgroupReading(
        cpu=cpu or CpuReading(usage_ns=1),
        memory=memory or MemoryReading(),
        io=io,
        pressure=PressureReading(),
        tasks=TaskReading(),
        limits=limits or Limits(),
    )


def present(schema: Schema, values: bytes) -> Series:
    unpacked = zip(schema.columns, schema.pack.unpack(values), strict=True)
    return {(column.name, column.labels): value for column, value in unpacked if not math.isnan(value)}


def test_units_and_absence() -> None:
    rows = Rows({})
    series = present(*rows.row(reading(CpuReading(usage_ns=35169555, user_ns=20_000_000)), NOW, ()))
    assert series == {
        ("container_cpu_usage_seconds_total", (("cpu", "total"),)): 0.035169555,
        ("container_cpu_user_seconds_total", ()): 0.02,
        ("container_last_seen", ()): 1_700_000_000,
    }


def test_one_schema_for_all_and_nan_for_who_lacks_a_figure() -> None:
    rows = Rows({})
    limited = reading(limits=Limits(memory_bytes=8 << 20), memory=MemoryReading(usage_bytes=1))
    first, _ = rows.row(limited, NOW, (ETH0,))
    again, values = rows.row(reading(memory=MemoryReading(usage_bytes=2)), NOW, (ETH0,))
    assert first is again
    assert ("container_spec_memory_limit_bytes", ()) not in present(again, values)
    assert present(again, values)["container_memory_usage_bytes", ()] == 2
    other, _ = rows.row(reading(), NOW, ())
    assert other is not first


def test_a_figure_that_comes_later_gets_its_column() -> None:
    rows = Rows({})
    before, _ = rows.row(reading(), NOW, ())
    after, values = rows.row(reading(memory=MemoryReading(oom_kill=3)), NOW, ())
    assert "container_oom_events_total" not in {column.name for column in before.columns}
    assert present(after, values)["container_oom_events_total", ()] == 3


@pytest.mark.parametrize(
    ("device", "want"),
    [
        (
            DeviceIo(device="254:0", read_bytes=1, write_bytes=2, reads=3, writes=4, discard_bytes=5, discards=6),
            {"container_fs_reads_bytes_total": 1, "container_fs_writes_total": 4, "Read": 1, "Write": 2},
        ),
        (
            DeviceIo(device="254:0", read_bytes=1, write_bytes=2, sync_bytes=0, async_bytes=3, total_bytes=3),
            {"container_fs_reads_bytes_total": 1, "Async": 3, "Sync": 0, "Total": 3},
        ),
        (
            DeviceIo(device="254:0", cost_usage_us=1_500_000),
            {"container_fs_io_cost_usage_seconds_total": 1.5},
        ),
        (DeviceIo(device="254:0", read_bytes=0, write_bytes=0, total_bytes=0, counted=False), {}),
    ],
)
def test_devices(device: DeviceIo, want: dict[str, float]) -> None:
    rows = Rows({"254:0": "/dev/vda"})
    series = present(*rows.row(reading(io=(device,)), NOW, ()))
    got = {dict(labels).get("operation", name): value for (name, labels), value in series.items() if labels}
    del got["container_cpu_usage_seconds_total"]
    assert got.items() >= want.items()
    assert bool(got) == bool(want)
    for _, labels in series:
        assert list(labels) == sorted(labels)
        assert dict(labels).get("device", "/dev/vda") == "/dev/vda"


def test_a_device_without_a_name_keeps_its_number() -> None:
    series = present(*Rows({}).row(reading(io=(DeviceIo(device="8:0", reads=1),)), NOW, ()))
    assert ("container_fs_reads_total", (("device", "8:0"),)) in series


def test_cpus_stand_in_place_of_their_sum() -> None:
    series = present(*Rows({}).row(reading(CpuReading(usage_ns=3, per_cpu_ns=(3, 0))), NOW, ()))
    usage = {labels: value for (name, labels), value in series.items() if name == "container_cpu_usage_seconds_total"}
    assert usage == {(("cpu", "cpu00"),): 3e-9, (("cpu", "cpu01"),): 0}


def test_network_columns() -> None:
    series = present(*Rows({}).row(reading(), NOW, (ETH0,)))
    eth0 = {name: value for (name, labels), value in series.items() if labels == (("interface", "eth0"),)}
    assert eth0 == {
        "container_network_receive_bytes_total": 1,
        "container_network_receive_packets_total": 2,
        "container_network_receive_errors_total": 3,
        "container_network_receive_packets_dropped_total": 4,
        "container_network_transmit_bytes_total": 5,
        "container_network_transmit_packets_total": 6,
        "container_network_transmit_errors_total": 7,
        "container_network_transmit_packets_dropped_total": 8,
    }


def test_every_name_is_in_the_catalogue() -> None:
    full = CgroupReading(
        cpu=filled(CpuReading),
        memory=filled(MemoryReading),
        io=(filled(DeviceIo),),
        pressure=filled(PressureReading),
        tasks=filled(TaskReading),
        limits=filled(Limits),
    )
    schema, _ = Rows({}).row(full, Times(1, 2.0, 3.0), (ETH0,))
    names = {column.name for column in schema.columns}
    assert names <= set(CATALOGUE)
    cgroup_names = {name for name in CATALOGUE if name.startswith("container_")}
    elsewhere = (  # of the engine, and of the disk
        *("container_state", "container_health_", "container_restarts_total", "container_exit_code", "container_info"),
        *("container_oom_kill", "container_finish_", "container_last_run_", "container_namespaces_info"),
        *("container_image", "container_volume", "container_build_cache_"),
        *("container_fs_usage_bytes", "container_fs_limit_bytes", "container_fs_inodes_total"),
    )
    assert [name for name in sorted(cgroup_names - names) if not name.startswith(elsewhere)] == []


S = TypeVar("S", bound=msgspec.Struct)


def filled(struct: type[S]) -> S:
    """1 in every field that may be absent."""
    names = [field.name for field in msgspec.structs.fields(struct) if field.default is None]
    return msgspec.convert({"device": "8:0"} | dict.fromkeys(names, 1), struct)
