"""The source `filesystem`: sizes and free space of the mounted file systems.

statvfs(2) on a network mount whose server is gone does not come back. So the calls are made on a thread that can be
left behind: a mount that does not answer in its time is reported by node_filesystem_device_error and left alone
until its call returns, and another thread goes on with the others.
"""

from __future__ import annotations

import os
import re
import struct
import threading
import time
from queue import Empty, SimpleQueue

import msgspec

from agent.sample.cgroup_reader import Faults
from agent.sample.kept import read_once
from agent.sample.settings import SampleSettings
from deckwatch.wire.model import Column, Labels, Samples, Target

_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(msgspec.Struct, frozen=True):
    device: str
    point: str
    type: str
    readonly: bool

    def labels(self) -> Labels:
        return (("device", self.device), ("fstype", self.type), ("mountpoint", self.point))


def parse_mounts(text: bytes, types_exclude: re.Pattern[str], points_exclude: re.Pattern[str]) -> list[Mount]:
    """/proc/<pid>/mountinfo (proc_pid_mountinfo(5)); what is mounted over (the same point again) counts once, the last.

    The options before ` - ` are the mount's own, those at the end the file system's; either may make it read-only.
    """
    mounts: dict[str, Mount] = {}
    for line in text.decode(errors="surrogateescape").splitlines():
        mount, _, filesystem = line.partition(" - ")
        point, options = mount.split(" ")[4:6]
        kind, device, super_options = (*filesystem.split(" "), "", "")[:3]
        point = _OCTAL.sub(lambda code: chr(int(code.group(1), 8)), point)
        if types_exclude.search(kind) or points_exclude.search(point):
            continue
        readonly = "ro" in options.split(",") or "ro" in super_options.split(",")
        mounts[point] = Mount(device, point, kind, readonly)
    return list(mounts.values())


class Prober:
    """Asks mounts for their figures on a thread of its own; one that hangs is left behind with its mount."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self.stuck: set[str] = set()
        self._orders, self._answers = self._new_thread()

    def ask(self, path: str) -> os.statvfs_result | OSError | None:
        """None: no answer in time, or still none to the call before. What it raised is given as a value."""
        with self._lock:
            if path in self.stuck:
                return None
        self._orders.put(path)
        deadline = time.monotonic() + self._timeout_s
        try:
            return self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            with self._lock:
                self.stuck.add(path)
            self._orders.put(None)  # the thread ends, should the call ever return
            self._orders, self._answers = self._new_thread()
            return None

    def close(self) -> None:
        self._orders.put(None)

    def _new_thread(self) -> tuple[SimpleQueue[str | None], SimpleQueue[os.statvfs_result | OSError]]:
        orders: SimpleQueue[str | None] = SimpleQueue()
        answers: SimpleQueue[os.statvfs_result | OSError] = SimpleQueue()
        threading.Thread(target=self._work, args=(orders, answers), name="sample-statvfs", daemon=True).start()
        return orders, answers

    def _work(self, orders: SimpleQueue[str | None], answers: SimpleQueue[os.statvfs_result | OSError]) -> None:
        while (path := orders.get()) is not None:
            try:
                answer: os.statvfs_result | OSError = os.statvfs(path)
            except OSError as error:
                answer = error
            with self._lock:
                self.stuck.discard(path)
            answers.put(answer)


class FilesystemSource:
    name = "filesystem"

    def __init__(self, settings: SampleSettings, host_root: str, faults: Faults) -> None:
        self._tenant = settings.tenant
        self._root = host_root.rstrip("/")
        self._types_exclude = re.compile(settings.filesystem_types_exclude)
        self._points_exclude = re.compile(settings.mount_points_exclude)
        self._prober = Prober(settings.mount_timeout_s)
        self._faults = faults

    def look(self, now_ns: int) -> Samples:
        text = read_once(self._root + "/proc/1/mountinfo") or read_once(self._root + "/proc/self/mountinfo") or b""
        series: dict[Column, float] = {}
        for mount in parse_mounts(text, self._types_exclude, self._points_exclude):
            series |= self._series(mount)
        target = Target((), 0, struct.pack(f"<{len(series)}d", *series.values()))
        return Samples(self.name, now_ns, self._tenant, (tuple(series),), (target,))

    def close(self) -> None:
        self._prober.close()

    def _series(self, mount: Mount) -> dict[Column, float]:
        labels = mount.labels()
        answer = self._prober.ask(self._root + mount.point)
        if not isinstance(answer, os.statvfs_result):
            if answer is not None:
                self._faults.note(f"file system at {mount.point}", answer)
            return {Column("node_filesystem_device_error", labels): 1}
        return {
            Column("node_filesystem_size_bytes", labels): answer.f_blocks * answer.f_frsize,
            Column("node_filesystem_free_bytes", labels): answer.f_bfree * answer.f_frsize,
            Column("node_filesystem_avail_bytes", labels): answer.f_bavail * answer.f_frsize,
            Column("node_filesystem_files", labels): answer.f_files,
            Column("node_filesystem_files_free", labels): answer.f_ffree,
            Column("node_filesystem_readonly", labels): float(mount.readonly),
            Column("node_filesystem_device_error", labels): 0,
        }
