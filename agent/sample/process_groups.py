"""Processes by name: counters that go on when a process ends, and which names are worth showing. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agent.sample.process_stat import Io, ProcessStat

KEEP_LOOKS = 10
"""How long a name stays shown after it was last among the first: series that come and go every look serve nobody."""


class Seen(msgspec.Struct, frozen=True):
    """A process, the name that it counts under, and its I/O where we may see it."""

    stat: ProcessStat
    name: str
    io: Io | None = None


class Group:
    """What processes of one name have used since the agent began to look."""

    __slots__ = (
        *("user_ticks", "system_ticks", "major_faults", "read_bytes", "write_bytes", "io_known"),
        *("processes", "threads", "resident_bytes", "oldest_start_ticks", "spent_ticks", "first_at"),
    )

    def __init__(self) -> None:
        self.user_ticks = self.system_ticks = self.major_faults = self.read_bytes = self.write_bytes = 0
        self.io_known = False
        self.first_at = -KEEP_LOOKS
        """The look at which it was last among the first."""
        self.begin()

    def begin(self) -> None:
        """A new look: gauges anew, counters go on."""
        self.processes = self.threads = self.resident_bytes = self.spent_ticks = 0
        self.oldest_start_ticks = 0

    def take(self, seen: Seen, before: Seen | None, *, counted: bool) -> None:
        """`before`: the same process at the last look. `counted`: what it used before that counts as well, since it
        was not there."""
        now = seen.stat
        self.processes += 1
        self.threads += now.threads
        self.resident_bytes += now.resident_bytes
        self.oldest_start_ticks = min(self.oldest_start_ticks or now.start_ticks, now.start_ticks)
        self.io_known |= seen.io is not None
        if before is None and not counted:
            return
        last = before.stat if before is not None else None
        user, system = (last.user_ticks, last.system_ticks) if last else (0, 0)
        spent_user, spent_system = max(0, now.user_ticks - user), max(0, now.system_ticks - system)
        self.user_ticks += spent_user
        self.system_ticks += spent_system
        self.spent_ticks += spent_user + spent_system
        self.major_faults += max(0, now.major_faults - (last.major_faults if last else 0))
        self._take_io(seen.io, before.io if before is not None else None)

    def _take_io(self, io: Io | None, before: Io | None) -> None:
        if io is not None:
            self.read_bytes += max(0, io.read_bytes - (before.read_bytes if before else 0))
            self.write_bytes += max(0, io.write_bytes - (before.write_bytes if before else 0))


class ProcessGroups:
    """All names with a living process, and those that were shown lately."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._known: dict[tuple[int, int], Seen] = {}
        self._look = -1
        self.groups: dict[str, Group] = {}

    def take(self, processes: Iterable[Seen]) -> None:
        """One look at all processes. Those of the very first look count from there on; of later ones those that are
        new count from their start."""
        self._look += 1
        for group in self.groups.values():
            group.begin()
        known: dict[tuple[int, int], Seen] = {}
        for seen in processes:
            group = self.groups.setdefault(seen.name, Group())
            before = self._known.get(seen.stat.key)
            group.take(seen, before, counted=self._look > 0)
            known[seen.stat.key] = seen
        self._known = known
        self._forget()

    def shown(self) -> dict[str, Group]:
        """The first by CPU time since the last look and by memory, and those that were among them lately; four times
        `top` at most, in the order of names."""
        if not self._top:
            return {}
        busy = [name for name, group in self.groups.items() if group.spent_ticks]
        by_cpu = sorted(busy, key=lambda name: (-self.groups[name].spent_ticks, name))
        by_memory = sorted(self.groups, key=lambda name: (-self.groups[name].resident_bytes, name))
        for name in {*by_cpu[: self._top], *by_memory[: self._top]}:
            if self.groups[name].processes:
                self.groups[name].first_at = self._look
        lately = [name for name in self.groups if self._look - self.groups[name].first_at < KEEP_LOOKS]
        lately.sort(key=lambda name: (-self.groups[name].first_at, name))
        return {name: self.groups[name] for name in sorted(lately[: 4 * self._top])}

    def _forget(self) -> None:
        """Names without a process that are not shown any more: anybody can make names up."""
        for name in [name for name, group in self.groups.items() if not group.processes]:
            if self._look - self.groups[name].first_at >= KEEP_LOOKS:
                del self.groups[name]
