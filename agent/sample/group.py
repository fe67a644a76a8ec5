"""One container's cgroup as the sampler follows it from its first look to its end."""

from __future__ import annotations

import itertools

from agent.model import FoundContainer
from agent.sample.cgroup_reader import CgroupReader
from agent.sample.labels import is_sandbox, target_labels
from agent.sample.network import Claim, network_namespace
from agent.sample.process import start_time_s
from agent.sample.reading import CgroupReading
from agent.sample.series import Times
from deckwatch.wire.model import Labels

_numbers = itertools.count()


class Group:
    """Knows its labels, its process for what only /proc tells, and when it began."""

    def __init__(self, path: str, ident: str, reader: CgroupReader, proc: str) -> None:
        self.path = path
        self.id = ident
        self.number = next(_numbers)
        """Spreads the slow readings of many groups over the sweeps."""
        self.found: FoundContainer | None = None
        self.labels: Labels = target_labels(path, None)
        self.sent: Labels = ()
        """The labels under which it was last sent; they must be ended when they change or it goes."""
        self.pid = 0
        self.claim: Claim | None = None
        self._reader = reader
        self._proc = proc
        self._times: tuple[float | None, float | None] | None = None

    def describe(self, found: FoundContainer | None) -> list[Labels]:
        """Take what the inventory newly tells; returns the labels that have ended by that."""
        self.found = found
        self.labels = target_labels(self.path, found)
        self._times = None
        self.pid = 0  # looked up anew, so that its network is claimed under what is known now
        if self.sent and self.sent != self.labels:
            ended, self.sent = self.sent, ()
            return [ended]
        return []

    def read(self, *, limits: bool) -> CgroupReading | None:
        reading = self._reader.read(limits=limits)
        if reading is not None:
            self._follow_process(reading.pids)
        return reading

    def close(self) -> None:
        self._reader.close()

    def times(self, now_ns: int, boot_s: float | None) -> Times:
        if self._times is None:
            self._times = self._begin(boot_s)
        return Times(now_ns // 1_000_000_000, *self._times)

    def _begin(self, boot_s: float | None) -> tuple[float | None, float | None]:
        """(start, creation) as the engine tells them; else the start of its first process. The directory's own
        times are no help: kernfs makes them up whenever the kernel has dropped its inode."""
        started_ns = created_ns = None
        if self.found is not None:
            started_ns, created_ns = self.found.started_ns, self.found.created_ns
        if started_ns is not None:
            start_s: float | None = started_ns / 1e9
        else:
            start_s = start_time_s(self._proc, self.pid, boot_s) if self.pid and boot_s is not None else None
        return start_s, None if created_ns is None else created_ns / 1e9

    def _follow_process(self, pids: tuple[int, ...]) -> None:
        """Keep to one process while it lives; with another one the namespace is looked up again."""
        told = self.found.pid if self.found is not None and self.found.pid else 0
        candidates = pids or ((told,) if told else ())
        if self.pid in candidates and self.pid:
            return
        self.pid = told if told in candidates else (candidates[0] if candidates else 0)
        self._times = None
        if not self.pid:
            self.claim = None
            return
        self.claim = Claim(
            self.path,
            network_namespace(self._proc, self.pid),
            self.found.network_mode if self.found is not None else "",
            self.found is not None and is_sandbox(self.found.container),
        )
