"""What the machine is: topology, memory modules, firmware, system, clock source, disks. It hardly ever changes.

Names and labels are cAdvisor's (`machine_*`) and node_exporter's.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter

from agent.sample.host_files import Series, column
from agent.sample.sensors import cpu_folders
from agent.sample.sysfs import SmallFiles
from deckwatch.wire.model import Labels

_CLOCKS = "/sys/devices/system/clocksource"
_MEMORY_CONTROLLERS = "/sys/devices/system/edac/mc"
_DMI = "/sys/class/dmi/id"
_DMI_NAMES = (
    *("bios_date", "bios_release", "bios_vendor", "bios_version", "board_name", "board_vendor", "board_version"),
    *("chassis_vendor", "chassis_version", "product_family", "product_name", "product_sku", "product_version"),
)
"""Without serial numbers and asset tags: they say which machine it is, not what it is, and only root may read them."""
_OS_NAMES = (
    *("build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant", "variant_id"),
    *("version", "version_codename", "version_id"),
)
_VERSION = re.compile(r"\d+(?:\.\d+)?")
_UDEV = {"ID_MODEL": "model", "ID_PATH": "path", "ID_REVISION": "revision", "ID_WWN": "wwn"}
_UDEV_SERIAL = ("SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT")


def labels_of(facts: dict[str, str]) -> Labels:
    """An empty label is the same as none."""
    return tuple(sorted((name, value) for name, value in facts.items() if value))


def topology(files: SmallFiles) -> Series:
    """Cores and sockets that are there, threads of one core counted once; s390's books and drawers where they are."""
    seen: dict[str, set[tuple[str, ...]]] = {name: set() for name in ("cores", "sockets", "books", "drawers")}
    for _, folder in cpu_folders(files):
        package = files.text(f"{folder}/topology/physical_package_id")
        core = files.text(f"{folder}/topology/core_id")
        if package is None or core is None:
            continue  # offline
        seen["sockets"].add((package,))
        seen["cores"].add((package, core))
        for kind in ("book", "drawer"):
            if number := files.text(f"{folder}/topology/{kind}_id"):
                seen[f"{kind}s"].add((number,))
    for kind, name in (
        ("cores", "machine_cpu_physical_cores"),
        ("sockets", "machine_cpu_sockets"),
        ("books", "machine_cpu_books"),
        ("drawers", "machine_cpu_drawers"),
    ):
        if seen[kind]:
            yield column(name), len(seen[kind])


def memory_modules(files: SmallFiles) -> Series:
    """By type, as the kernel's EDAC drivers know them (`size` in MiB)."""
    count: Counter[str] = Counter()
    size_bytes: Counter[str] = Counter()
    for controller in files.names(_MEMORY_CONTROLLERS):
        for dimm in files.names(f"{_MEMORY_CONTROLLERS}/{controller}"):
            folder = f"{_MEMORY_CONTROLLERS}/{controller}/{dimm}"
            kind = files.text(f"{folder}/dimm_mem_type") if dimm.startswith(("dimm", "rank")) else None
            if kind is not None:
                count[kind] += 1
                size_bytes[kind] += (files.number(f"{folder}/size") or 0) << 20
    for kind in count:
        yield column("machine_dimm_count", (("type", kind),)), count[kind]
        yield column("machine_dimm_capacity_bytes", (("type", kind),)), size_bytes[kind]


def identity(files: SmallFiles) -> Series:
    """Which machine it is. cAdvisor has these as labels of all `machine_*`, whose series so begin anew at each boot."""
    facts = {
        "boot_id": files.text("/proc/sys/kernel/random/boot_id") or "",
        "machine_id": files.text("/etc/machine-id") or files.text("/var/lib/dbus/machine-id") or "",
        "system_uuid": files.text(f"{_DMI}/product_uuid") or "",
    }
    if any(facts.values()):
        yield column("machine_info", labels_of(facts)), 1


def firmware(files: SmallFiles) -> Series:
    facts = {name: files.text(f"{_DMI}/{name}") or "" for name in _DMI_NAMES}
    facts["system_vendor"] = files.text(f"{_DMI}/sys_vendor") or ""
    if any(facts.values()):
        yield column("node_dmi_info", labels_of(facts)), 1


def operating_system(files: SmallFiles) -> Series:
    """os-release(5)."""
    text = files.text("/etc/os-release") or files.text("/usr/lib/os-release")
    if not text:
        return
    facts = os_release(text)
    known = {name: facts.get(name.upper(), "") for name in _OS_NAMES}
    yield column("node_os_info", labels_of(known)), 1
    if version := _VERSION.match(known["version_id"]):
        labels = labels_of({name: known[name] for name in ("id", "id_like", "name")})
        yield column("node_os_version", labels), float(version[0])


def os_release(text: str) -> dict[str, str]:
    """`NAME="Debian GNU/Linux"` lines, quoted as a shell quotes."""
    facts = {}
    for line in text.splitlines():
        name, found, value = line.partition("=")
        if found and not line.startswith("#"):
            try:
                facts[name.strip()] = "".join(shlex.split(value))
            except ValueError:
                facts[name.strip()] = value  # an open quote: the text as it stands
    return facts


def clock_sources(files: SmallFiles) -> Series:
    for folder in files.names(_CLOCKS):
        device = folder.removeprefix("clocksource")
        if device == folder:
            continue
        for which in ("available", "current"):
            for source in (files.text(f"{_CLOCKS}/{folder}/{which}_clocksource") or "").split():
                labels = (("clocksource", source), ("device", device))
                yield column(f"node_time_clocksource_{which}_info", labels), 1


def selinux(files: SmallFiles) -> Series:
    """Its file system is there only where the kernel runs it; `enforce` says in which mode."""
    mode = files.number("/sys/fs/selinux/enforce")
    yield column("node_selinux_enabled"), float(mode is not None)
    if mode is not None:
        yield column("node_selinux_current_mode"), mode


def disks(files: SmallFiles, exclude: re.Pattern[str]) -> Series:
    """What udev knows of each disk (/run/udev/data)."""
    for device in files.names("/sys/block"):
        number = files.text(f"/sys/block/{device}/dev")
        if number is None or exclude.search(device):
            continue
        major, _, minor = number.partition(":")
        facts = {"device": device, "major": major, "minor": minor}
        yield column("node_disk_info", labels_of(facts | udev(files.text(f"/run/udev/data/b{number}") or ""))), 1


def udev(text: str) -> dict[str, str]:
    """`E:ID_MODEL=Samsung_SSD` lines of udev's database."""
    told = dict(line[2:].partition("=")[::2] for line in text.splitlines() if line.startswith("E:"))
    facts = {label: told[name] for name, label in _UDEV.items() if name in told}
    serial = next((told[name] for name in _UDEV_SERIAL if name in told), "")
    return facts | ({"serial": serial} if serial else {})
