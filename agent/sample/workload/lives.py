"""The lives of containers: starts, restarts, exits and OOM kills, each counted once. A state machine without I/O.

Three tell of them, and each may miss something: the engine's events (all, unless the stream breaks for long or the
agent is down), its descriptions (how often the restart policy acted, how the last run ended), the cgroup (how many were
killed, until it goes). Each figure is the greatest that any of them gives, so what two tell counts once.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.model import ContainerState, FoundContainer
from agent.sample.workload.key import WorkloadKey, key_of
from agent.sample.workload.residual import EndedRun
from agent.sample.workload.totals import ExitReason, Totals, exit_reason
from deckwatch.wire.model import Container, Event

_LIVE = (ContainerState.RUNNING, ContainerState.PAUSED)
_ENDED = (ContainerState.EXITED, ContainerState.DEAD)
DOUBTS = 2
"""Looks at which a description says something else than the events, until it is believed: news of an event may be on
its way (after a start of the agent those of the time before), and a description may be older than the last event."""


class Life(msgspec.Struct, kw_only=True):
    id: str
    key: WorkloadKey
    slot: str = ""  # pod and container in it: Kubernetes restarts by another container in the same place
    ever_started: bool = False
    running: bool = False
    started_ns: int = 0  # of the present run, or the last; 0: unknown
    ended_ns: int = 0  # of the last run
    restarts_heard: int = 0
    restarts_told: int = 0  # by the restart policy's own counter, which a start by hand sets back
    restarts_counted: int = 0
    policy_restarts: int = 0  # that counter as last told
    oom_before: int = 0  # kills in earlier runs
    oom_read: int = 0  # kills in this run, as its cgroup counts them
    oom_heard: int = 0  # kills in this run, by events
    oom_inode: int = 0  # the cgroup of this run
    oom_over: int = 0  # the cgroup of the run before
    oom_counted: int = 0
    gone: bool = False
    doubts: int = 0

    @property
    def oom_kills(self) -> int:
        return self.oom_before + max(self.oom_read, self.oom_heard)


class Lives:
    """`totals` gives the counters of a workload; `ended` collects the runs whose CPU time is still to be looked for."""

    def __init__(self, lives: dict[str, Life], ended: list[EndedRun], totals: Callable[[WorkloadKey], Totals]) -> None:
        self.known = lives
        self.ended = ended
        self._totals = totals
        self._described: dict[str, FoundContainer] = {}
        self._strangers: dict[str, int] = {}  # looks at which a description alone told of them
        self._slots = {(life.key, life.slot): life.id for life in lives.values() if life.slot}

    # Events -------------------------------------------------------------------------------------------------------

    def hear(self, event: Event, read_ns: int) -> None:
        """`read_ns`: when its cgroup was read last; 0: never."""
        if event.container is None or event.kind != "container":
            return
        life = self.known.get(event.container.id)
        if life is None:
            if event.action == "destroy":
                return  # it was removed long after its end, and counted then
            life = self._new(event.container)
        elif event.container.workload is not None:
            life.key = key_of(event.container)
        if event.action == "start":
            self._start(life, event.ts_ns)
        elif event.action == "die":
            self._die(life, event, read_ns)
        elif event.action == "oom":
            life.oom_heard += 1
            self._count_oom(life)
        elif event.action == "destroy":
            life.gone = True

    def _start(self, life: Life, at_ns: int) -> None:
        if life.running:
            self._exit(life, ExitReason.UNKNOWN, 0)
        if life.ever_started:
            life.restarts_heard += 1
            self._count_restarts(life)
        else:
            self._first_start(life)
        life.running, life.started_ns, life.gone, life.doubts = True, at_ns, False, 0

    def _die(self, life: Life, event: Event, read_ns: int) -> None:
        told = dict(event.attributes)
        if not life.ever_started:
            self._first_start(life)
        code = told.get("exitCode", "")
        reason = exit_reason(int(code) if code.isdigit() else None, out_of_memory=life.oom_read + life.oom_heard > 0)
        ran_ns = max(0, event.ts_ns - life.started_ns) if life.running and life.started_ns else 0
        unseen_ns = max(0, event.ts_ns - max(event.ts_ns - ran_ns, read_ns))
        self.ended.append(EndedRun(life.id, life.key, "", event.ts_ns, unseen_ns))
        self._exit(life, reason, ran_ns)
        life.ended_ns, life.doubts = event.ts_ns, 0

    # Descriptions -------------------------------------------------------------------------------------------------

    def describe(self, containers: dict[str, FoundContainer]) -> None:
        """The engine's list, once a look."""
        strangers, self._strangers = self._strangers, {}
        for ident, found in containers.items():
            life = self.known.get(ident)
            if life is None:
                looks = self._strangers[ident] = strangers.get(ident, 0) + 1
                if looks >= DOUBTS:
                    self._begin(found)
            elif found is not self._described.get(ident) or life.doubts:
                self._compare(life, found)
        self._described = containers

    def _begin(self, found: FoundContainer) -> None:
        """Nobody told of it yet: what it has done so far was done without our seeing."""
        life = self._new(found.container)
        if found.started_ns is not None or found.state in _LIVE:
            self._first_start(life)
            self._told_restarts(life, found)
        if found.state in _LIVE:
            life.running, life.started_ns = True, found.started_ns or 0
        elif found.state in _ENDED and life.ever_started:
            self._exit_as_told(life, found)

    def _compare(self, life: Life, found: FoundContainer) -> None:
        life.key = key_of(found.container)
        self._told_restarts(life, found)
        has_ended = _has_ended(life, found)
        if not has_ended and not _runs_anew(life, found):
            life.doubts = 0
            return
        life.doubts += 1
        if life.doubts < DOUBTS:
            return
        life.doubts = 0
        if has_ended:
            self._exit_as_told(life, found)
        else:
            self._start(life, found.started_ns or 0)

    def _told_restarts(self, life: Life, found: FoundContainer) -> None:
        count = found.restart_count
        if count is None:
            return
        life.restarts_told += count - life.policy_restarts if count >= life.policy_restarts else count
        life.policy_restarts = count
        self._count_restarts(life)

    def _exit_as_told(self, life: Life, found: FoundContainer) -> None:
        if found.oom_killed:
            life.oom_heard = max(1, life.oom_heard)
            self._count_oom(life)
        started_ns, ended_ns = found.started_ns or life.started_ns, found.finished_ns or 0
        reason = exit_reason(found.exit_code, out_of_memory=bool(found.oom_killed))
        self._exit(life, reason, max(0, ended_ns - started_ns) if started_ns else 0)
        life.ended_ns = ended_ns

    # The cgroup ---------------------------------------------------------------------------------------------------

    def read_oom(self, life: Life, inode: int, kills: int) -> None:
        if inode == life.oom_over:
            return  # it was read before its end, and that is known already
        if inode != life.oom_inode:
            if life.oom_inode:
                self._close_oom(life)
            life.oom_inode = inode
        life.oom_read = kills
        self._count_oom(life)

    # Counting -----------------------------------------------------------------------------------------------------

    def _new(self, container: Container) -> Life:
        life = Life(id=container.id, key=key_of(container), slot=_slot(container))
        self.known[container.id] = life
        return life

    def _first_start(self, life: Life) -> None:
        life.ever_started = True
        totals = self._totals(life.key)
        totals.starts += 1
        if life.slot:
            before = self._slots.get((life.key, life.slot), life.id)
            totals.restarts += before != life.id
            self._slots[life.key, life.slot] = life.id

    def _count_restarts(self, life: Life) -> None:
        more = max(life.restarts_heard, life.restarts_told) - life.restarts_counted
        if more > 0:
            life.restarts_counted += more
            totals = self._totals(life.key)
            totals.restarts += more
            totals.starts += more

    def _exit(self, life: Life, reason: ExitReason, ran_ns: int) -> None:
        totals = self._totals(life.key)
        totals.exits[reason] = totals.exits.get(reason, 0) + 1
        totals.run_ns += ran_ns
        life.running = False
        self._close_oom(life)

    def forget(self, ident: str) -> None:
        life = self.known.pop(ident)
        if self._slots.get((life.key, life.slot)) == ident:
            del self._slots[life.key, life.slot]

    def _close_oom(self, life: Life) -> None:
        life.oom_before = life.oom_kills
        life.oom_read = life.oom_heard = 0
        life.oom_over, life.oom_inode = life.oom_inode or life.oom_over, 0

    def _count_oom(self, life: Life) -> None:
        more = life.oom_kills - life.oom_counted
        if more > 0:
            life.oom_counted += more
            self._totals(life.key).oom_kills += more


def _runs_anew(life: Life, found: FoundContainer) -> bool:
    """A run that no event told of. Where the engine tells no times, any run after an end is another."""
    if found.state not in _LIVE:
        return False
    started_ns = found.started_ns or 0
    if life.running:
        return started_ns > life.started_ns > 0
    return not started_ns or started_ns > life.ended_ns


def _has_ended(life: Life, found: FoundContainer) -> bool:
    return found.state in _ENDED and life.running and (not found.finished_ns or found.finished_ns > life.started_ns)


def _slot(container: Container) -> str:
    workload = container.workload
    if workload is None or workload.orchestrator != "kubernetes":
        return ""
    return f"{workload.instance}/{workload.component}"
