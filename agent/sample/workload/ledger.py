"""From looks and events to the counters of workloads. A state machine without I/O; its state is what is kept on disk.

A cgroup's counter is credited by what it grew since the last look, a new cgroup's from 0: so a container's restart, or
its replacement by another, never sets a workload back. Which cgroup it is tells the inode of its directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from agent.sample.workload.key import OTHER, WorkloadKey, group_key
from agent.sample.workload.lives import Life, Lives
from agent.sample.workload.look import GroupLook, Look
from agent.sample.workload.residual import EndedRun, Node, settle
from agent.sample.workload.settings import WorkloadSettings
from agent.sample.workload.totals import COUNTED, Totals, grow
from deckwatch.wire.model import Event

PATIENCE = 3
"""Looks at which a cgroup may be without a name before it is counted under its parent's."""


class Mark(msgspec.Struct, array_like=True):
    """How far a cgroup's counters were taken."""

    inode: int
    id: str
    ts_ns: int = 0
    taken: dict[str, int] = {}
    waiting: dict[str, int] = {}  # taken, and nobody's yet: it has no name
    looks: int = 0


class NetworkMark(msgspec.Struct, array_like=True):
    inodes: frozenset[int]  # the cgroups that lived in it: a namespace's number is soon given to another
    received_bytes: int = 0
    sent_bytes: int = 0


class State(msgspec.Struct, kw_only=True):
    """All that is kept over a restart of the agent."""

    heard_ns: int = 0  # time of the last event that is counted
    boot: str = ""  # inodes and counters of cgroups are those of one boot
    totals: list[Totals] = []
    lives: dict[str, Life] = {}
    marks: dict[str, Mark] = {}  # by path
    networks: dict[str, NetworkMark] = {}
    nodes: dict[str, Node] = {}
    ended: list[EndedRun] = []  # whose CPU time is still to be looked for


class Ledger:
    def __init__(self, settings: WorkloadSettings, state: State, boot: str) -> None:
        self._settings = settings
        self._first = not state.nodes or state.boot != boot
        if state.boot != boot:
            state = State(heard_ns=state.heard_ns, boot=boot, totals=state.totals, lives=state.lives)
        self.state = state
        self._by_key = {totals.key: totals for totals in state.totals}
        self.lives = Lives(state.lives, state.ended, self.totals)
        self._now_ns = 0
        self._cpus = os.cpu_count() or 1
        self._absent: dict[str, int] = {}

    def totals(self, key: WorkloadKey) -> Totals:
        known = self._by_key.get(key)
        if known is None:
            full = len(self._by_key) >= self._settings.most and not self._make_room()
            if full and key != OTHER:
                return self.totals(OTHER)
            known = self._add(key)
        known.active_ns = self._now_ns
        return known

    def take(self, look: Look, events: Iterable[Event]) -> list[WorkloadKey]:
        """One look, with the events since the last one. Returns the workloads that were forgotten."""
        self._now_ns = look.ts_ns
        self.hear(events)
        self.lives.describe(look.containers)
        ended = self._ended(look)
        grown_ns = {group.path: self._take_group(group) for group in look.groups}
        for share in settle(self.state.nodes, look, grown_ns, ended, cpus=self._cpus, first=self._first):
            grow(self.totals(share.key or group_key(share.path)), "cpu_ns", share.cpu_ns)
        self._first = False
        self._note_homes(look)
        self._take_networks(look)
        self._prune_lives(look)
        return self._forget()

    def hear(self, events: Iterable[Event]) -> None:
        for event in events:
            self.lives.hear(event, self._read_ns(event))
            self.state.heard_ns = max(self.state.heard_ns, event.ts_ns)

    # Groups -------------------------------------------------------------------------------------------------------

    def _take_group(self, group: GroupLook) -> int:
        """Credits what a container's cgroup counted since; returns the CPU time of it in nanoseconds."""
        if not group.inode:
            return 0
        mark = self.state.marks.get(group.path)
        if mark is None:  # or it was made anew: `_ended` let go of the one before
            mark = self.state.marks[group.path] = Mark(group.inode, group.id)
        mark.ts_ns = self._now_ns
        mark.looks += 1
        grown_ns = 0
        for field in COUNTED:
            value: int | None = getattr(group, field)
            if value is None:
                continue
            more = max(0, value - mark.taken.get(field, 0))
            mark.taken[field] = value
            mark.waiting[field] = mark.waiting.get(field, 0) + more
            if field == "cpu_ns":
                grown_ns = more
        life = self.lives.known.get(group.id)
        if life is not None or mark.looks > PATIENCE:
            self._credit(mark, self.key(group.id, group.path))
        if life is not None and group.oom_kills is not None:
            self.lives.read_oom(life, group.inode, group.oom_kills)
        return grown_ns

    def _credit(self, mark: Mark, key: WorkloadKey) -> None:
        totals = self.totals(key)
        for field, more in mark.waiting.items():
            grow(totals, field, more)
        mark.waiting.clear()

    def key(self, ident: str, path: str) -> WorkloadKey:
        life = self.lives.known.get(ident)
        return life.key if life is not None else group_key(path.rpartition("/")[0])

    def _ended(self, look: Look) -> list[EndedRun]:
        """Runs whose last CPU time nobody read: those that the engine says have ended, and cgroups that went without
        its word. What is still there at this look, or ended behind it, goes with the next."""
        live = {group.path: group.inode for group in look.groups}
        there = {group.id for group in look.groups}
        told = list(self.state.ended)
        self.state.ended[:] = [run for run in told if run.ended_ns > look.ts_ns]
        runs = [run for run in told if run.ended_ns <= look.ts_ns and not self._lingers(run, there)]
        paths = {mark.id: path for path, mark in self.state.marks.items()}
        runs = [msgspec.structs.replace(run, path=paths.get(run.id, "")) for run in runs]
        known = {run.id for run in told}
        for path, mark in list(self.state.marks.items()):
            if live.get(path, -1) in (mark.inode, 0):
                continue
            key = self.key(mark.id, path)
            if mark.id not in known:
                runs.append(EndedRun(mark.id, key, path, self._now_ns, self._now_ns - mark.ts_ns))
            self._credit(mark, key)
            del self.state.marks[path]
        return runs

    def _note_homes(self, look: Look) -> None:
        """Another engine on this host has groups of its own, of whose containers nobody tells us."""
        for group in look.groups:
            if group.id in look.containers:
                parts = group.path.split("/")
                for end in range(2, len(parts)):
                    if node := self.state.nodes.get("/".join(parts[:end])):
                        node.home = True

    def _lingers(self, run: EndedRun, there: set[str]) -> bool:
        """Its cgroup is still there; one that runs again has another."""
        life = self.lives.known.get(run.id)
        return run.id in there and (life is None or not life.running)

    # Networks -----------------------------------------------------------------------------------------------------

    def _take_networks(self, look: Look) -> None:
        """A network namespace's counters go on under whoever speaks for it. Its number alone doesn't tell it: it is
        the same one if somebody who lives in it did so before."""
        inodes: dict[str, set[int]] = {}
        for group in look.groups:
            if group.network and group.inode:
                inodes.setdefault(group.network, set()).add(group.inode)
        for group in look.groups:
            if group.inode and group.received_bytes is not None and group.sent_bytes is not None:
                self._take_network(group, frozenset(inodes[group.network]))
        for name, there in inodes.items():
            if name in self.state.networks:
                self.state.networks[name].inodes = frozenset(there)
        for name in [name for name in self.state.networks if name not in inodes]:
            del self.state.networks[name]

    def _take_network(self, group: GroupLook, inodes: frozenset[int]) -> None:
        mark = self.state.networks.get(group.network)
        if mark is None or not mark.inodes & inodes:
            mark = self.state.networks[group.network] = NetworkMark(inodes)
        totals = self.totals(self.key(group.id, group.path))
        for field in ("received_bytes", "sent_bytes"):
            value: int = getattr(group, field)
            grow(totals, field, max(0, value - getattr(mark, field)))
            setattr(mark, field, value)

    # Forgetting ---------------------------------------------------------------------------------------------------

    def _read_ns(self, event: Event) -> int:
        ident = event.container.id if event.container is not None and event.action == "die" else ""
        return max((mark.ts_ns for mark in self.state.marks.values() if mark.id == ident), default=0) if ident else 0

    def _prune_lives(self, look: Look) -> None:
        """Of containers that are neither listed nor have a cgroup: at once where the engine said that it removed them,
        else a little later (an event may be ahead of the list)."""
        there = look.containers.keys() | {group.id for group in look.groups}
        self._absent = {ident: self._absent.get(ident, 0) + 1 for ident in self.lives.known if ident not in there}
        for ident, looks in self._absent.items():
            if self.lives.known[ident].gone or looks > PATIENCE:
                self.lives.forget(ident)
        for life in self.lives.known.values():
            if totals := self._by_key.get(life.key):
                totals.active_ns = self._now_ns

    def _forget(self) -> list[WorkloadKey]:
        oldest_ns = self._now_ns - int(self._settings.forget_after_s * 1e9)
        gone = [key for key, totals in self._by_key.items() if totals.active_ns < oldest_ns]
        for key in gone:
            self._drop(key)
        return gone

    def _make_room(self) -> bool:
        used = {life.key for life in self.lives.known.values()}
        idle = [totals for key, totals in self._by_key.items() if key not in used and totals.active_ns < self._now_ns]
        if not idle:
            return False
        self._drop(min(idle, key=lambda totals: totals.active_ns).key)
        return True

    def _add(self, key: WorkloadKey) -> Totals:
        totals = self._by_key[key] = Totals(key=key, active_ns=self._now_ns)
        self.state.totals.append(totals)
        return totals

    def _drop(self, key: WorkloadKey) -> None:
        self.state.totals.remove(self._by_key.pop(key))
