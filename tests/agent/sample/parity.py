"""Our figures beside cAdvisor 0.60.5's, which was scraped while the recorded cgroups stood frozen.

`compare` says of each of its series whether ours is equal, digit for digit, or why it differs on purpose; whatever has
no reason in the tables below is a fault. `python -m tests.agent.sample.parity` writes the outcome into docs/metrics.md.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.sample.settings import SampleSettings
from tests.agent.sample.trees import Series, StaticInventory, inspected, sampler, series_of
from tests.recordings.unpack import unpack

NO_SOURCE = "cAdvisor gives 0 where this kernel's cgroups have no such figure; we leave it absent"
NOT_READ = "cAdvisor gives 0 since it doesn't read the file; we give what the kernel says"
DISK = "cAdvisor gives the whole disk's figure (/proc/diskstats) as the container's; the disk's is in `node_disk_*`"
INODES_FREE = "cAdvisor gives 0 for containers; the file system's is `node_filesystem_files_free`"
LAYER = "ours comes from the source `layer`, which walks the disk itself: the recordings have none"
CLOCK = "the clock at the scrape"
NO_LIMIT = "cAdvisor gives 0 for no limit; we leave it absent, so that ratios to it are"
HOST_NETWORK = "of a container in the host's network cAdvisor gives the host's counters, ours are in `node_network_*`"
NETLINK = "needs cAdvisor's load reader, which is off by default: always 0; `container_pressure_cpu_*` tells more"
MACHINE_LABELS = (
    "the same figure; boot_id, machine_id and system_uuid stand on `machine_info` alone, so that a boot begins no "
    "new series"
)
S390 = "cAdvisor gives 0 on other machines than s390x; we leave it absent"
NVM = "persistent memory's modules, by a vendor's library; always 0 without it"
ITSELF = "of cAdvisor itself; ours are `deckwatch_agent_sample_*` and `node_os_info`, `node_uname_info`"
START = "cAdvisor takes the directory's time without Docker; we the engine's word, or else the first process's start"

NEVER_OURS: dict[str, str] = {
    "container_cpu_load_average_10s": NETLINK,
    "container_cpu_load_d_average_10s": NETLINK,
    "container_tasks_state": NETLINK,
    "container_fs_inodes_free": INODES_FREE,
    "container_fs_io_current": DISK,
    "container_fs_io_time_seconds_total": DISK,
    "container_fs_io_time_weighted_seconds_total": DISK,
    "container_fs_read_seconds_total": DISK,
    "container_fs_reads_merged_total": DISK,
    "container_fs_sector_reads_total": DISK,
    "container_fs_sector_writes_total": DISK,
    "container_fs_write_seconds_total": DISK,
    "container_fs_writes_merged_total": DISK,
    "container_fs_inodes_total": LAYER,
    "container_fs_limit_bytes": LAYER,
    "container_fs_usage_bytes": LAYER,
    "container_scrape_error": ITSELF,
    "machine_scrape_error": ITSELF,
    "cadvisor_version_info": ITSELF,
    "machine_cpu_books": S390,
    "machine_cpu_drawers": S390,
    "machine_nvm_avg_power_budget_watts": NVM,
    "machine_nvm_capacity": NVM,
}
OTHER_VALUE: dict[str, str] = {
    "container_last_seen": CLOCK,
    "container_start_time_seconds": START,
    "container_creation_time_seconds": START,
}
NO_SYS = "the recordings have no /sys; ours is compared on this machine"
NOT_RECORDED: dict[str, str] = {"machine_cpu_physical_cores": NO_SYS, "machine_cpu_sockets": NO_SYS}
V1: dict[str, str] = {
    "container_memory_events_high_total": NO_SOURCE,
    "container_memory_events_max_total": NO_SOURCE,
    "container_memory_pgscan_total": NO_SOURCE,
    "container_memory_pgsteal_total": NO_SOURCE,
    "container_memory_file_dirty_bytes": NOT_READ,
    "container_memory_file_writeback_bytes": NOT_READ,
    "container_cpu_cfs_burst_periods_total": NOT_READ,
    "container_cpu_cfs_burst_seconds_total": NOT_READ,
    "container_pressure_cpu_stalled_seconds_total": NOT_READ,
    "container_pressure_cpu_waiting_seconds_total": NOT_READ,
    "container_pressure_io_stalled_seconds_total": NOT_READ,
    "container_pressure_io_waiting_seconds_total": NOT_READ,
    "container_pressure_memory_stalled_seconds_total": NOT_READ,
    "container_pressure_memory_waiting_seconds_total": NOT_READ,
    "container_spec_memory_limit_bytes": NO_LIMIT,
    "container_spec_memory_swap_limit_bytes": NO_LIMIT,
    "container_spec_memory_reservation_limit_bytes": NO_LIMIT,
    "container_fs_reads_total": DISK,
    "container_fs_writes_total": DISK,
}
V2: dict[str, str] = {
    "container_memory_failcnt": NO_SOURCE,
    "container_memory_kernel_usage": NOT_READ,
    "container_spec_memory_limit_bytes": NO_LIMIT,
    "container_spec_memory_swap_limit_bytes": NO_LIMIT,
    "container_spec_memory_reservation_limit_bytes": NO_LIMIT,
    "container_health_state": "no engine was there to tell it; cAdvisor gives -1 all the same",
}
OOM = (
    "cAdvisor counts lines of the kernel's log while it runs, and forgets with the container; ours is the cgroup's own "
    "count"
)
PER_CPU = 'cAdvisor gives one series a CPU on cgroup v1; ours is one, cpu="total", unless agent.sample.per_cpu is set'
ALWAYS: dict[str, str] = {"container_oom_events_total": OOM}
"""Told in the table though the recorded figures are equal."""
BASE = {"id", "name", "image", "container_label_app", "container_label_tier"}
MACHINE = {"boot_id", "machine_id", "system_uuid"}

LINE = re.compile(r"^((?:container|machine|cadvisor)_\w+)(?:\{(.*)\})? (\S+)(?: \d+)?$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Recording(msgspec.Struct, frozen=True):
    name: str
    scrape: str
    reasons: dict[str, str]
    title: str


RECORDINGS = (
    Recording("cadvisor-parity-cgroup1", "cadvisor-0.60.5-docker-only.prom", V1, "cgroup v1"),
    Recording("cadvisor-parity-cgroup1", "cadvisor-0.60.5-default.prom", V1, "cgroup v1, default labels"),
    Recording("cadvisor-parity-cgroup2", "cadvisor-0.60.5-raw.prom", V2, "cgroup v2"),
)


class Verdict(msgspec.Struct, frozen=True):
    """One series of cAdvisor's. `reason` empty: ours is equal; None: it is not, and nobody says why."""

    target: str  # its id; empty: the machine
    name: str
    reason: str | None
    told: str = ""


def scraped(path: Path) -> dict[str, Series]:
    """cAdvisor's series by container (its id label; the machine's under ""), without the labels that say which."""
    targets: dict[str, Series] = {}
    for line in path.read_text().splitlines():
        if found := LINE.match(line):
            name, text, value = found.groups()
            labels = dict(LABEL.findall(text or ""))
            own = tuple(sorted(item for item in labels.items() if item[0] not in BASE | MACHINE))
            targets.setdefault(labels.get("id", ""), {})[name, own] = float(value)
    return targets


def inventory(root: Path) -> StaticInventory:
    inspect = root / "inspect.json"
    return StaticInventory(*(inspected(inspect) if inspect.exists() else []))


def ours(root: Path, found: StaticInventory, *sources: str, per_cpu: bool = True) -> dict[str, Series]:
    """By id, all sources' series together."""
    one = sampler(root, found, msgspec.convert({"sources": sources, "per_cpu": per_cpu}, SampleSettings))
    targets: dict[str, Series] = {}
    try:
        for frame in one.sweep():
            for labels, series in series_of(frame).items():
                targets.setdefault(dict(labels).get("id", ""), {}).update(series)
    finally:
        one.close()
    return targets


def compare(root: Path, recording: Recording) -> list[Verdict]:
    """Of the recorded containers and the machine. The root group's figures are the host's, ours `node_*`."""
    known = inventory(root)
    host_network = {f"/docker/{one.container.id}" for one in known.containers.values() if one.network_mode == "host"}
    mine = ours(root, known, "cgroup", "state", "host")
    theirs = {
        ident: series for ident, series in scraped(root / recording.scrape).items() if len(ident) > 60 or not ident
    }
    if set(mine) != set(theirs):
        raise AssertionError(f"{recording.name}: containers differ: {set(mine) ^ set(theirs)}")
    return [
        _verdict(ident, key[0], value, mine[ident].get(key), recording.reasons, host_network)
        for ident, series in theirs.items()
        for key, value in series.items()
    ]


def _verdict(
    ident: str, name: str, value: float, got: float | None, reasons: dict[str, str], host_network: set[str]
) -> Verdict:
    if name in NEVER_OURS:
        return Verdict(ident, name, NEVER_OURS[name] if got is None else None, "is ours after all")
    if name in OTHER_VALUE or name in NOT_RECORDED:
        return Verdict(ident, name, OTHER_VALUE.get(name) or NOT_RECORDED[name])
    if got == value:
        return Verdict(ident, name, "")
    if ident in host_network and name.startswith("container_network_") and got is None:
        return Verdict(ident, name, HOST_NETWORK)
    reason = reasons.get(name)
    if reason is not None and (value == 0 or reason is DISK or name == "container_health_state"):
        return Verdict(ident, name, reason)
    return Verdict(ident, name, None, f"{got} is not {value}")


def table(verdicts: dict[str, list[Verdict]]) -> Iterator[str]:
    """Markdown: a line for each of cAdvisor's metrics. `verdicts` by title of the recording."""
    yield "| metric of cAdvisor | " + " | ".join(verdicts) + " | where ours differs, and why |"
    yield "|---|" + "---:|" * len(verdicts) + "---|"
    names = sorted({one.name for found in verdicts.values() for one in found})
    for name in names:
        cells, reasons = [], dict.fromkeys([ALWAYS[name]] if name in ALWAYS else [])
        for title, found in verdicts.items():
            mine = [one for one in found if one.name == name]
            equal = sum(one.reason == "" for one in mine)
            cells.append(f"{equal} of {len(mine)}" if mine else "")
            for reason, count in Counter(one.reason for one in mine if one.reason).items():
                whole = count == len(mine) == sum(len([o for o in f if o.name == name]) for f in verdicts.values())
                reasons.setdefault(str(reason) if whole else f"{title}: {reason}")
        if name == "container_cpu_usage_seconds_total":
            reasons.setdefault(PER_CPU)
        if name.startswith("machine_") and not reasons:
            reasons.setdefault(MACHINE_LABELS)
        yield f"| `{name}` | " + " | ".join(cells) + " | " + "; ".join(_merged(list(reasons))) + " |"


def _merged(reasons: list[str]) -> list[str]:
    """The same reason in all recordings is told once."""
    bare = Counter(reason.partition(": ")[2] or reason for reason in reasons)
    told: dict[str, None] = {}
    for reason in reasons:
        _, found, text = reason.partition(": ")
        told.setdefault(text if found and bare[text] > 1 else reason)
    return list(told)


def document(unpacked: dict[str, Path]) -> str:
    """The chapter of docs/metrics.md that stands between the markers."""
    shown = [recording for recording in RECORDINGS if "default" not in recording.title]
    verdicts = {recording.title: compare(unpacked[recording.name], recording) for recording in shown}
    lines = list(table(verdicts))
    for title, found in verdicts.items():
        equal = sum(one.reason == "" for one in found)
        lines.append(f"\n{title}: {equal} figures equal, {len(found) - equal} differ on purpose, none otherwise.")
    return "\n".join(lines) + "\n"


DOCUMENT = Path(__file__).parents[3] / "docs/metrics.md"
BEGIN = "<!-- parity: written by `python -m tests.agent.sample.parity` -->\n"
END = "<!-- parity ends -->\n"


def chapter(text: str) -> str:
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def with_chapter(text: str, chapter: str) -> str:
    return text[: text.index(BEGIN) + len(BEGIN)] + chapter + text[text.index(END) :]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        names = {recording.name for recording in RECORDINGS}
        unpacked = {name: unpack(name, Path(scratch) / name) for name in names}
        DOCUMENT.write_text(with_chapter(DOCUMENT.read_text(), document(unpacked)))


if __name__ == "__main__":
    main()
