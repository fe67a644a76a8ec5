"""Temperatures, fans, power, CPU clocks: /sys under node_exporter's names (hwmon, thermal_zone, cpufreq, cpu).

A sensor may sit behind a slow bus and take long to answer, or not answer now: it is missing then, the others come.
"""

from __future__ import annotations

import re

from agent.sample.host_files import Series, column
from agent.sample.sysfs import SmallFiles

_HWMON = "/sys/class/hwmon"
_ZONES = "/sys/class/thermal"
_CPUS = "/sys/devices/system/cpu"
_NOT_IN_CHIPS = re.compile(r"[^a-z0-9:_]")
_SENSOR = re.compile(r"^((temp|fan|in|curr|power)\d+)_(input|average|max|crit|min|alarm|label)$")

_VALUES = {
    # (kind, file) -> name, divisor; Documentation/hwmon/sysfs-interface.rst has the units
    ("temp", "input"): ("node_hwmon_temp_celsius", 1000),
    ("temp", "max"): ("node_hwmon_temp_max_celsius", 1000),
    ("temp", "crit"): ("node_hwmon_temp_crit_celsius", 1000),
    ("temp", "alarm"): ("node_hwmon_temp_alarm", 1),
    ("fan", "input"): ("node_hwmon_fan_rpm", 1),
    ("fan", "min"): ("node_hwmon_fan_min_rpm", 1),
    ("fan", "alarm"): ("node_hwmon_fan_alarm", 1),
    ("in", "input"): ("node_hwmon_in_volts", 1000),
    ("curr", "input"): ("node_hwmon_curr_amps", 1000),
    ("power", "input"): ("node_hwmon_power_watt", 1_000_000),
    ("power", "average"): ("node_hwmon_power_average_watt", 1_000_000),
}


def hwmon(files: SmallFiles) -> Series:
    for entry in files.names(_HWMON):
        folder = f"{_HWMON}/{entry}"
        chip = chip_name(files, folder)
        if name := files.text(f"{folder}/name"):
            yield column("node_hwmon_chip_names", (("chip", chip), ("chip_name", name))), 1
        for found in filter(None, map(_SENSOR.match, files.names(folder))):
            yield from _sensor(files, folder, chip, found)


def _sensor(files: SmallFiles, folder: str, chip: str, found: re.Match[str]) -> Series:
    sensor, kind, file = found.groups()
    labels = (("chip", chip), ("sensor", sensor))
    if file == "label":
        if text := files.text(f"{folder}/{found[0]}"):
            yield column("node_hwmon_sensor_label", (("chip", chip), ("label", text), ("sensor", sensor))), 1
        return
    if (made := _VALUES.get((kind, file))) is None:
        return
    if (value := files.number(f"{folder}/{found[0]}")) is not None:
        yield column(made[0], labels), value / made[1]


def chip_name(files: SmallFiles, folder: str) -> str:
    """Stable over reboots, unlike hwmon's number: the bus and address of the chip's device, as node_exporter joins
    them (`platform_coretemp_0`); of a chip without a device its name."""
    if files.there(f"{folder}/device"):
        bus, _, device = files.target(f"{folder}/device").rpartition("/")
        kind, name = _clean(bus.rpartition("/")[2]), _clean(device)
        return f"{kind}_{name}" if kind and name else name or kind
    return _clean(files.text(f"{folder}/name") or folder.rpartition("/")[2])


def _clean(name: str) -> str:
    return _NOT_IN_CHIPS.sub("_", name.lower()).strip("_")


def thermal_zones(files: SmallFiles) -> Series:
    for entry in files.names(_ZONES):
        zone = entry.removeprefix("thermal_zone")
        if zone == entry:
            continue  # a cooling device
        milli = files.number(f"{_ZONES}/{entry}/temp")
        if milli is not None:
            kind = files.text(f"{_ZONES}/{entry}/type") or ""
            yield column("node_thermal_zone_temp", (("type", kind), ("zone", zone))), milli / 1000


def cpu_clocks(files: SmallFiles) -> Series:
    """Of each CPU that the kernel clocks: now, and the bounds that its governor keeps to. kHz in /sys."""
    for cpu, folder in cpu_folders(files):
        for file, name in (
            ("scaling_cur_freq", "node_cpu_scaling_frequency_hertz"),
            ("scaling_min_freq", "node_cpu_scaling_frequency_min_hertz"),
            ("scaling_max_freq", "node_cpu_scaling_frequency_max_hertz"),
        ):
            if (khz := files.number(f"{folder}/cpufreq/{file}")) is not None:
                yield column(name, (("cpu", cpu),)), khz * 1000


def throttles(files: SmallFiles) -> Series:
    """Times that heat slowed a core or a package down; siblings of a core tell the same, so each counts once."""
    series = {}
    for _, folder in cpu_folders(files):
        package = files.text(f"{folder}/topology/physical_package_id") or ""
        core = files.text(f"{folder}/topology/core_id") or ""
        for file, name, labels in (
            ("core_throttle_count", "node_cpu_core_throttles_total", (("core", core), ("package", package))),
            ("package_throttle_count", "node_cpu_package_throttles_total", (("package", package),)),
        ):
            if (count := files.number(f"{folder}/thermal_throttle/{file}")) is not None:
                series[column(name, labels)] = count
    yield from series.items()


def cpu_folders(files: SmallFiles) -> list[tuple[str, str]]:
    """(number, folder) of each CPU that is there."""
    names = [name for name in files.names(_CPUS) if re.fullmatch(r"cpu\d+", name)]
    return [(name[3:], f"{_CPUS}/{name}") for name in names]
