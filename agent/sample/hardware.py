"""The source `hardware`: interfaces, sensors, clocks and what the machine is, as /sys tells it.

Apart from the source `host`, whose files the kernel has at hand: a driver may take seconds to answer, or for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agent.sample import machine, netclass, sensors
from agent.sample.host_files import Series
from agent.sample.metrics import Faults
from agent.sample.settings import SampleSettings, pattern
from agent.sample.sysfs import SmallFiles
from agent.series_frame import series_frame
from deckwatch.wire.model import Column, Samples


class HardwareSource:
    """Each part fails alone: its series are absent, the others come. Most is read only every `slow_every` looks."""

    name = "hardware"

    def __init__(self, settings: SampleSettings, host_root: str, faults: Faults) -> None:
        self._settings = settings
        self._faults = faults
        self._files = files = SmallFiles(host_root, faults)
        self._interfaces_exclude = pattern(settings, "interfaces_exclude")
        self._disks_exclude = pattern(settings, "disks_exclude")
        self._parts: tuple[Callable[[], Series], ...] = (
            self._interfaces,
            partial(netclass.bonding, files),
            partial(sensors.hwmon, files),
            partial(sensors.thermal_zones, files),
            partial(sensors.cpu_clocks, files),
            partial(sensors.throttles, files),
            partial(machine.topology, files),
            partial(machine.memory_modules, files),
            partial(machine.identity, files),
            partial(machine.firmware, files),
            partial(machine.operating_system, files),
            partial(machine.clock_sources, files),
            partial(machine.selinux, files),
            partial(machine.disks, files, self._disks_exclude),
        )
        self._devices: list[str] = []
        self._slow: dict[Column, float] = {}
        self._look = -1

    def look(self, now_ns: int) -> Samples:
        self._look += 1
        if self._look % self._settings.slow_every == 0:
            self._devices = netclass.devices(self._files, self._interfaces_exclude)
            self._slow = {}
            for part in self._parts:
                self._take(self._slow, part)
        series: dict[Column, float] = {}
        for device in self._devices:
            self._take(series, partial(netclass.changing, self._files, device))
        return series_frame(self.name, now_ns, self._settings.tenant, (), self._slow | series)

    def close(self) -> None:
        """Nothing is held."""

    def _interfaces(self) -> Series:
        for device in self._devices:
            yield from netclass.lasting(self._files, device)

    def _take(self, series: dict[Column, float], part: Callable[[], Series]) -> None:
        try:
            series.update(part())
        except (OSError, ValueError, IndexError) as error:
            self._faults.note(f"hardware ({getattr(part, 'func', part).__name__})", error)
