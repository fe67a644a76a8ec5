"""The source `unit`: what each systemd slice and service uses, by its cgroup; and other groups at the tree's top.

A slice's figures include those of all below it, containers too, so units stand under names of their own: a sum over
containers must not count them again.
"""

from __future__ import annotations

import os
import re
import struct
from math import nan

import msgspec

from agent.sample.attribution import GroupKind, identify, unescape
from agent.sample.cgroup_reader import CgroupReader
from agent.sample.kept import GONE
from agent.sample.labels import printable
from agent.sample.metrics import Faults, LeftOut
from agent.sample.readers import CgroupReaders
from agent.sample.reading import CgroupReading
from agent.sample.settings import SampleSettings
from deckwatch.wire.model import Column, Labels, Samples, Target

_DEPTH = 5
_POD = re.compile(r"pod[0-9a-f]{8}")
_NAMES = (
    "systemd_unit_cpu_usage_seconds_total",
    "systemd_unit_cpu_cfs_throttled_seconds_total",
    "systemd_unit_memory_usage_bytes",
    "systemd_unit_memory_working_set_bytes",
    "systemd_unit_memory_rss_bytes",
    "systemd_unit_memory_swap_bytes",
    "systemd_unit_oom_events_total",
    "systemd_unit_fs_reads_bytes_total",
    "systemd_unit_fs_writes_bytes_total",
    "systemd_unit_threads",
    "systemd_unit_pressure_cpu_waiting_seconds_total",
    "systemd_unit_pressure_memory_waiting_seconds_total",
    "systemd_unit_pressure_io_waiting_seconds_total",
)
COLUMNS = tuple(Column(name) for name in _NAMES)
_PACK = struct.Struct(f"<{len(COLUMNS)}d")


class Unit(msgspec.Struct, frozen=True):
    path: str
    name: str
    type: str  # slice, service, scope; `cgroup`: nothing of systemd's

    def labels(self) -> Labels:
        return (("id", printable(self.path)), ("type", self.type), ("unit", printable(self.name)))


def unit_of(path: str) -> Unit | None:
    """Slices, services that stand in a slice (those of a user's own systemd do not), and what stands at the top; no
    container, no pod, no session. Pure."""
    parts = path.split("/")[1:]
    name = parts[-1]
    stem, _, suffix = name.rpartition(".")
    if _POD.search(name):
        return None
    identity = identify(path)
    if identity is not None and identity.kind is not GroupKind.UNIT:
        return None
    if suffix == "slice" or (suffix == "service" and all(part.endswith(".slice") for part in parts[:-1])):
        return Unit(path, unescape(name), suffix)
    if len(parts) > 1:
        return None
    return Unit(path, unescape(name), "scope" if suffix == "scope" and stem else "cgroup")


def find_units(root: str, faults: Faults) -> list[Unit]:
    """Those nearest to the top first; only slices are looked into."""
    found: list[Unit] = []
    waiting = [""]
    for _ in range(_DEPTH):
        below: list[str] = []
        for path in waiting:
            children = [unit for name in _directories(root + path, faults) if (unit := unit_of(f"{path}/{name}"))]
            found += children
            below += [unit.path for unit in children if unit.type == "slice"]
        waiting = below
    return found


def _directories(full: str, faults: Faults) -> list[str]:
    try:
        with os.scandir(full) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        if error.errno not in GONE:
            faults.note(full, error)
        return []


def row(reading: CgroupReading) -> bytes:
    """In the order of COLUMNS; what the kernel doesn't tell is absent. Pure."""
    cpu, memory, pressure = reading.cpu, reading.memory, reading.pressure
    disks = [device for device in reading.io if device.counted]
    return _PACK.pack(
        _scaled(cpu.usage_ns, 1e9),
        _scaled(cpu.throttled_ns, 1e9),
        _scaled(memory.usage_bytes),
        _scaled(memory.working_set_bytes),
        _scaled(memory.anon_bytes),
        _scaled(memory.swap_bytes),
        _scaled(memory.oom_kill),
        sum(device.read_bytes or 0 for device in disks) if disks else nan,
        sum(device.write_bytes or 0 for device in disks) if disks else nan,
        _scaled(reading.tasks.threads),
        _scaled(pressure.cpu_some_us, 1e6),
        _scaled(pressure.memory_some_us, 1e6),
        _scaled(pressure.io_some_us, 1e6),
    )


def _scaled(value: int | None, divisor: float = 1.0) -> float:
    return nan if value is None else value / divisor


class UnitSource:
    """Looks at `unit_interval_s`, for at most `max_units`: those nearest to the top of the tree."""

    name = "unit"

    def __init__(self, settings: SampleSettings, readers: CgroupReaders, faults: Faults, left_out: LeftOut) -> None:
        self._settings = settings
        self._readers = readers
        self._faults = faults
        self._left_out = left_out
        self._every = settings.every(settings.unit_interval_s)
        self._units: dict[str, tuple[Unit, CgroupReader]] = {}
        self._look = -1

    def look(self, now_ns: int) -> Samples | None:
        self._look += 1
        if self._look % self._every:
            return None
        limits = self._look // self._every % self._settings.slow_every == 0
        ended = self._find()
        targets: list[Target] = []
        for unit, reader in list(self._units.values()):
            reading = reader.read(limits=limits, processes=False)
            if reading is None:
                ended += self._drop(unit.path)
            else:
                targets.append(Target(unit.labels(), 0, row(reading)))
        return Samples(self.name, now_ns, self._settings.tenant, (COLUMNS,), tuple(targets), tuple(ended))

    def close(self) -> None:
        for _, reader in self._units.values():
            reader.close()
        self._units.clear()

    def _find(self) -> list[Labels]:
        found = find_units(self._readers.root, self._faults)
        self._left_out(self.name, max(0, len(found) - self._settings.max_units))
        wanted = {unit.path: unit for unit in found[: self._settings.max_units]}
        ended: list[Labels] = []
        for path in [path for path in self._units if path not in wanted]:
            ended += self._drop(path)
        for path, unit in wanted.items():
            if path not in self._units:
                self._units[path] = (unit, self._readers.open(path))
        return ended

    def _drop(self, path: str) -> list[Labels]:
        unit, reader = self._units.pop(path)
        reader.close()
        return [unit.labels()]
