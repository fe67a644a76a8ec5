"""The source `process`: the busiest processes by name under process-exporter's names, and how many there are.

By the executable's name: a command line may hold passwords, so it takes a setting to have it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from math import nan

from agent.sample.kept import read_once
from agent.sample.metrics import Faults
from agent.sample.process import boot_time_s
from agent.sample.process_details import UNKNOWN, Descriptors, Details, ProcessKey
from agent.sample.process_groups import Group, ProcessGroups, Seen
from agent.sample.process_stat import Io, ProcessStat, read_command, read_io, read_processes, seconds
from agent.sample.settings import SampleSettings
from deckwatch.wire.model import Column, Samples, Target

_GROUP = "namedprocess_namegroup_"
COLUMNS = (
    Column(_GROUP + "num_procs"),
    Column(_GROUP + "num_threads"),
    Column(_GROUP + "cpu_seconds_total", (("mode", "user"),)),
    Column(_GROUP + "cpu_seconds_total", (("mode", "system"),)),
    Column(_GROUP + "memory_bytes", (("memtype", "resident"),)),
    Column(_GROUP + "major_page_faults_total"),
    Column(_GROUP + "read_bytes_total"),
    Column(_GROUP + "write_bytes_total"),
    Column(_GROUP + "oldest_start_time_seconds"),
    Column(_GROUP + "open_filedesc"),
    Column(_GROUP + "worst_fd_ratio"),
)
_PACK = struct.Struct(f"<{len(COLUMNS)}d")
_LIMITS = {
    "/sys/kernel/pid_max": "node_processes_max_processes",
    "/sys/kernel/threads-max": "node_processes_max_threads",
}


def row(group: Group, boot_s: float | None, files: Descriptors = UNKNOWN) -> bytes:
    """In the order of COLUMNS."""
    oldest_s = nan if boot_s is None or not group.processes else boot_s + seconds(group.oldest_start_ticks)
    return _PACK.pack(
        group.processes,
        group.threads,
        seconds(group.user_ticks),
        seconds(group.system_ticks),
        group.resident_bytes,
        group.major_faults,
        group.read_bytes if group.io_known else nan,
        group.write_bytes if group.io_known else nan,
        oldest_s,
        files.open,
        files.worst_ratio,
    )


class ProcessSource:
    """Looks at every `process_interval_s`. The first look only learns what is there."""

    name = "process"

    def __init__(self, settings: SampleSettings, host_root: str, faults: Faults) -> None:
        self._settings = settings
        self._proc = host_root.rstrip("/") + "/proc"
        self._faults = faults
        self._every = settings.every(settings.process_interval_s)
        self._groups = ProcessGroups(settings.top_processes)
        self._commands: dict[tuple[int, int], tuple[str, str]] = {}
        self._details = Details(self._proc)
        self._sent: set[str] = set()
        self._look = -1

    def look(self, now_ns: int) -> Samples | None:
        self._look += 1
        if self._look % self._every:
            return None
        stats = list(read_processes(self._proc))
        sees_io = self._sees_io()
        seen = [Seen(stat, self._name(stat), self._io(stat) if sees_io else None) for stat in stats]
        self._groups.take(seen)
        if self._settings.process_names == "command":
            living = {stat.key for stat in stats}
            self._commands = {key: told for key, told in self._commands.items() if key in living}
        shown = self._groups.shown()
        boot_s = boot_time_s(self._proc)
        host = self._counts(stats)
        targets = [Target((), 0, struct.pack(f"<{len(host)}d", *host.values()))]
        files = self._files(seen, shown)
        targets += [Target((("groupname", name),), 1, row(group, boot_s, files[name])) for name, group in shown.items()]
        ended = tuple((("groupname", name),) for name in sorted(self._sent - set(shown)))
        self._sent = set(shown)
        return Samples(self.name, now_ns, self._settings.tenant, (tuple(host), COLUMNS), tuple(targets), ended)

    def close(self) -> None:
        """Nothing is held."""

    def _name(self, stat: ProcessStat) -> str:
        if self._settings.process_names == "name" or stat.kernel:
            return stat.name
        told = self._commands.get(stat.key)
        if told is None or told[0] != stat.name:  # new, or it runs another program now
            told = self._commands[stat.key] = (stat.name, read_command(self._proc, stat.pid) or stat.name)
        return told[1]

    def _files(self, seen: Iterable[Seen], shown: Iterable[str]) -> dict[str, Descriptors]:
        """The kernel's own threads have none."""
        keys: dict[str, list[ProcessKey]] = {name: [] for name in shown}
        for one in seen:
            if one.name in keys and not one.stat.kernel:
                keys[one.name].append(one.stat.key)
        return self._details.descriptors(keys)

    def _sees_io(self) -> bool:
        """Only root sees other users' I/O. The figures of some processes alone would be wrong for their name."""
        try:
            return read_io(self._proc, 1) is not None
        except (OSError, ValueError, KeyError):
            return False

    def _io(self, stat: ProcessStat) -> Io | None:
        if stat.kernel:
            return None
        try:
            return read_io(self._proc, stat.pid)
        except (OSError, ValueError, KeyError) as error:
            self._faults.note(f"{self._proc}/<pid>/io", error)
            return None

    def _counts(self, stats: list[ProcessStat]) -> dict[Column, float]:
        """node_exporter's collector `processes`."""
        states = Counter(stat.state for stat in stats)
        host = {Column("node_processes_state", (("state", state),)): float(states[state]) for state in sorted(states)}
        host[Column("node_processes_pids")] = len(stats)
        host[Column("node_processes_threads")] = sum(stat.threads for stat in stats)
        for path, name in _LIMITS.items():
            text = read_once(self._proc + path)
            if text is not None:
                host[Column(name)] = int(text)
        return host
