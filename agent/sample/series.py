"""From a reading to columns and values: which field makes which series. The names are in the metrics catalogue.

Every container of a frame that has the same devices and interfaces shares one schema, made once and kept. A field
that no container has had yet on this host (another kernel's) makes no column; a field that only this one lacks (no
quota, no limit) is NaN, which is absent.
"""

from __future__ import annotations

import struct
from math import nan

import msgspec
from msgspec.structs import astuple, fields

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
from deckwatch.wire.model import Column, Labels

_NS, _US = 1e9, 1e6


class _Field(msgspec.Struct, frozen=True):
    """One series made of one field: value / divisor. Dividing exact integers once gives the nearest double, so the
    figures equal those of any other reader that does likewise."""

    name: str
    divisor: float = 1.0
    labels: Labels = ()


def _faults(kind: str, scope: str) -> _Field:
    return _Field("container_memory_failures_total", labels=(("failure_type", kind), ("scope", scope)))


_CPU = {
    "usage_ns": _Field("container_cpu_usage_seconds_total", _NS, (("cpu", "total"),)),
    "user_ns": _Field("container_cpu_user_seconds_total", _NS),
    "system_ns": _Field("container_cpu_system_seconds_total", _NS),
    "periods": _Field("container_cpu_cfs_periods_total"),
    "throttled_periods": _Field("container_cpu_cfs_throttled_periods_total"),
    "throttled_ns": _Field("container_cpu_cfs_throttled_seconds_total", _NS),
    "burst_periods": _Field("container_cpu_cfs_burst_periods_total"),
    "burst_ns": _Field("container_cpu_cfs_burst_seconds_total", _NS),
}
_MEMORY = {
    "usage_bytes": _Field("container_memory_usage_bytes"),
    "working_set_bytes": _Field("container_memory_working_set_bytes"),
    "anon_bytes": _Field("container_memory_rss"),
    "file_bytes": _Field("container_memory_cache"),
    "shmem_bytes": _Field("container_memory_shmem_bytes"),
    "mapped_file_bytes": _Field("container_memory_mapped_file"),
    "active_file_bytes": _Field("container_memory_total_active_file_bytes"),
    "inactive_file_bytes": _Field("container_memory_total_inactive_file_bytes"),
    "dirty_bytes": _Field("container_memory_file_dirty_bytes"),
    "writeback_bytes": _Field("container_memory_file_writeback_bytes"),
    "kernel_bytes": _Field("container_memory_kernel_usage"),
    "swap_bytes": _Field("container_memory_swap"),
    "max_usage_bytes": _Field("container_memory_max_usage_bytes"),
    "failcnt": _Field("container_memory_failcnt"),
    "pgfault": _faults("pgfault", "container"),
    "pgmajfault": _faults("pgmajfault", "container"),
    "tree_pgfault": _faults("pgfault", "hierarchy"),
    "tree_pgmajfault": _faults("pgmajfault", "hierarchy"),
    "pgscan": _Field("container_memory_pgscan_total"),
    "pgsteal": _Field("container_memory_pgsteal_total"),
    "refault_anon": _Field("container_memory_workingset_refault_anon_total"),
    "refault_file": _Field("container_memory_workingset_refault_file_total"),
    "events_high": _Field("container_memory_events_high_total"),
    "events_max": _Field("container_memory_events_max_total"),
    "oom_kill": _Field("container_oom_events_total"),
    "oom_group_kill": _Field("container_oom_group_kills_total"),
}
_PRESSURE = {
    "cpu_some_us": _Field("container_pressure_cpu_waiting_seconds_total", _US),
    "cpu_full_us": _Field("container_pressure_cpu_stalled_seconds_total", _US),
    "memory_some_us": _Field("container_pressure_memory_waiting_seconds_total", _US),
    "memory_full_us": _Field("container_pressure_memory_stalled_seconds_total", _US),
    "io_some_us": _Field("container_pressure_io_waiting_seconds_total", _US),
    "io_full_us": _Field("container_pressure_io_stalled_seconds_total", _US),
}
_TASKS = {
    "processes": _Field("container_processes"),
    "threads": _Field("container_threads"),
    "threads_limit_hits": _Field("container_threads_limit_hits_total"),
}
_LIMITS = {
    "cpu_period_us": _Field("container_spec_cpu_period"),
    "cpu_quota_us": _Field("container_spec_cpu_quota"),
    "cpu_shares": _Field("container_spec_cpu_shares"),
    "memory_bytes": _Field("container_spec_memory_limit_bytes"),
    "memory_swap_bytes": _Field("container_spec_memory_swap_limit_bytes"),
    "memory_reservation_bytes": _Field("container_spec_memory_reservation_limit_bytes"),
    "threads": _Field("container_threads_max"),
    "frozen": _Field("container_frozen"),
}
_DEVICE = {
    "read_bytes": _Field("container_fs_reads_bytes_total"),
    "write_bytes": _Field("container_fs_writes_bytes_total"),
    "reads": _Field("container_fs_reads_total"),
    "writes": _Field("container_fs_writes_total"),
    "cost_usage_us": _Field("container_fs_io_cost_usage_seconds_total", _US),
    "cost_wait_us": _Field("container_fs_io_cost_wait_seconds_total", _US),
    "cost_indebt_us": _Field("container_fs_io_cost_indebt_seconds_total", _US),
    "cost_indelay_us": _Field("container_fs_io_cost_indelay_seconds_total", _US),
}
_OPERATIONS = {
    "read_bytes": "Read",
    "write_bytes": "Write",
    "sync_bytes": "Sync",
    "async_bytes": "Async",
    "discard_bytes": "Discard",
    "total_bytes": "Total",
}
_V2_OPERATIONS = ("read_bytes", "write_bytes")
"""cAdvisor gives no more of them on v2, whose total anybody can add up."""
INTERFACE_NAMES = (
    "container_network_receive_bytes_total",
    "container_network_receive_packets_total",
    "container_network_receive_errors_total",
    "container_network_receive_packets_dropped_total",
    "container_network_transmit_bytes_total",
    "container_network_transmit_packets_total",
    "container_network_transmit_errors_total",
    "container_network_transmit_packets_dropped_total",
)
"""In the order of InterfaceCounters."""

_GROUPS: tuple[tuple[type[msgspec.Struct], dict[str, _Field]], ...] = (
    (CpuReading, _CPU),
    (MemoryReading, _MEMORY),
    (PressureReading, _PRESSURE),
    (TaskReading, _TASKS),
    (Limits, _LIMITS),
)


class Times(msgspec.Struct, frozen=True):
    """Unix seconds."""

    last_seen_s: int
    start_s: float | None = None
    creation_s: float | None = None


_MOST_SCHEMAS = 1024
"""Interfaces and devices come and go under new names; what is no longer used must not stay for ever."""

_TIME_NAMES = ("container_last_seen", "container_start_time_seconds", "container_creation_time_seconds")


class Schema(msgspec.Struct, frozen=True):
    columns: tuple[Column, ...]
    pack: struct.Struct


class Rows:
    """Makes a target's schema and values. The caller keeps `device_names` (major:minor -> name) current."""

    def __init__(self, device_names: dict[str, str]) -> None:
        self._device_names = device_names
        self._waiting: list[tuple[int, _Field]] = []
        self._active: list[tuple[int, _Field]] = []
        self._plan: list[tuple[int, float]] = []
        self._schemas: dict[tuple[object, ...], Schema] = {}
        at = 0
        for group, series in _GROUPS:
            for field in fields(group):
                if field.name in series:
                    self._waiting.append((at, series[field.name]))
                at += 1

    def row(self, reading: CgroupReading, times: Times, network: tuple[InterfaceCounters, ...]) -> tuple[Schema, bytes]:
        raw: tuple[int | None, ...] = (
            *astuple(reading.cpu),
            *astuple(reading.memory),
            *astuple(reading.pressure),
            *astuple(reading.tasks),
            *astuple(reading.limits),
        )
        self._activate(raw)
        values = [nan if (value := raw[at]) is None else value / divisor for at, divisor in self._plan]
        values += (
            times.last_seen_s,
            nan if times.start_s is None else times.start_s,
            nan if times.creation_s is None else times.creation_s,
        )
        per_cpu = reading.cpu.per_cpu_ns
        if per_cpu:
            values[0] = nan  # the CPUs' series stand in place of their sum
            values += [value / _NS for value in per_cpu]
        devices = tuple(device for device in reading.io if device.counted) if reading.io else ()
        key: list[object] = [len(self._plan), len(per_cpu)]
        for device in devices:
            shape, more = _device_values(device)
            key.append((self._device_names.get(device.device, device.device), device.device, shape))
            values += more
        for interface in network:
            key.append(interface.interface)
            values += astuple(interface)[1:]
        schema = self._schema(tuple(key), per_cpu, devices, network)
        return schema, schema.pack.pack(*values)

    def _activate(self, raw: tuple[int | None, ...]) -> None:
        """Fields that a container has for the first time on this host get their column."""
        new = [item for item in self._waiting if raw[item[0]] is not None]
        if new:
            self._waiting = [item for item in self._waiting if item not in new]
            self._active = sorted([*self._active, *new], key=lambda item: item[0])
            self._plan = [(at, field.divisor) for at, field in self._active]
            self._schemas.clear()

    def _schema(
        self,
        key: tuple[object, ...],
        per_cpu: tuple[int, ...],
        devices: tuple[DeviceIo, ...],
        network: tuple[InterfaceCounters, ...],
    ) -> Schema:
        schema = self._schemas.get(key)
        if schema is None:
            if len(self._schemas) >= _MOST_SCHEMAS:
                self._schemas.clear()
            columns = [Column(field.name, field.labels) for _, field in self._active]
            columns += [Column(name) for name in _TIME_NAMES]
            columns += [
                Column("container_cpu_usage_seconds_total", (("cpu", f"cpu{cpu:02}"),)) for cpu in range(len(per_cpu))
            ]
            for device in devices:
                columns += _device_columns(device, self._device_names.get(device.device, device.device))
            for interface in network:
                columns += [Column(name, (("interface", interface.interface),)) for name in INTERFACE_NAMES]
            schema = Schema(tuple(columns), struct.Struct(f"<{len(columns)}d"))
            self._schemas[key] = schema
        return schema


def _device_parts(device: DeviceIo) -> list[tuple[str, _Field | str]]:
    """The device's series in order: (field, what it makes), only for figures that the kernel gives."""
    parts: list[tuple[str, _Field | str]] = [
        (name, made) for name, made in _DEVICE.items() if getattr(device, name) is not None
    ]
    operations = _OPERATIONS if device.total_bytes is not None else _V2_OPERATIONS
    parts += [(name, _OPERATIONS[name]) for name in operations if getattr(device, name) is not None]
    return parts


def _device_values(device: DeviceIo) -> tuple[tuple[str, ...], list[float]]:
    parts = _device_parts(device)
    values = [getattr(device, name) / (made.divisor if isinstance(made, _Field) else 1.0) for name, made in parts]
    return tuple(name for name, _ in parts), values


def _device_columns(device: DeviceIo, name: str) -> list[Column]:
    major, _, minor = device.device.partition(":")
    whole = (("device", name), ("major", major), ("minor", minor))
    return [
        Column(made.name, (("device", name),))
        if isinstance(made, _Field)
        else Column("container_blkio_device_usage_total", (*whole, ("operation", made)))
        for _, made in _device_parts(device)
    ]
