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
from collections.abc import Callable
from queue import Empty, SimpleQueue

import msgspec

from agent.sample.kept import read_once
from agent.sample.labels import printable
from agent.sample.metrics import Faults
from agent.sample.settings import SampleSettings, pattern
from deckwatch.wire.model import Column, Labels, Samples, Target

_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(msgspec.Struct, frozen=True):
    device: str
    point: str
    type: str
    readonly: bool
    number: str = ""
    """`major:minor` of the file system's device."""

    def labels(self) -> Labels:
        return (("device", printable(self.device)), ("fstype", self.type), ("mountpoint", printable(self.point)))


def parse_mounts(text: bytes, types_exclude: re.Pattern[str], points_exclude: re.Pattern[str]) -> list[Mount]:
    """/proc/<pid>/mountinfo (proc_pid_mountinfo(5)); what is mounted over (the same point again) counts once, the last.

    The options before ` - ` are the mount's own, those at the end the file system's; either may make it read-only.
    """
    mounts: dict[str, Mount] = {}
    for line in text.decode(errors="surrogateescape").split("\n"):
        mount, found, filesystem = line.partition(" - ")
        if not found:
            continue
        number, _, point, options = mount.split(" ")[2:6]
        kind, device, super_options = (*filesystem.split(" "), "", "")[:3]
        point = _OCTAL.sub(lambda code: chr(int(code.group(1), 8)), point)
        if types_exclude.search(kind) or points_exclude.search(point):
            continue
        readonly = "ro" in options.split(",") or "ro" in super_options.split(",")
        mounts[point] = Mount(device, point, kind, readonly, number)
    return list(mounts.values())


class Facts(msgspec.Struct, frozen=True):
    """What a file system answers."""

    number: str  # major:minor of the device that really is at the path
    size_bytes: int
    free_bytes: int
    avail_bytes: int
    files: int
    files_free: int


def ask_kernel(path: str) -> Facts:
    device = os.stat(path).st_dev  # noqa: PTH116 - the path is the kernel's own text, never to be normalised
    facts = os.statvfs(path)
    return Facts(
        f"{os.major(device)}:{os.minor(device)}",
        facts.f_blocks * facts.f_frsize,
        facts.f_bfree * facts.f_frsize,
        facts.f_bavail * facts.f_frsize,
        facts.f_files,
        facts.f_ffree,
    )


class Prober:
    """Asks mounts for their figures on a thread of its own; one that hangs is left behind with its mount."""

    def __init__(self, timeout_s: float, ask: Callable[[str], Facts] = ask_kernel) -> None:
        """`ask` may take for ever, and may raise OSError."""
        self._timeout_s = timeout_s
        self._ask = ask
        self._lock = threading.Lock()
        self.stuck: set[str] = set()
        self._orders, self._answers = self._new_thread()

    def ask(self, path: str) -> Facts | OSError | None:
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

    def _new_thread(self) -> tuple[SimpleQueue[str | None], SimpleQueue[Facts | OSError]]:
        orders: SimpleQueue[str | None] = SimpleQueue()
        answers: SimpleQueue[Facts | OSError] = SimpleQueue()
        threading.Thread(target=self._work, args=(orders, answers), name="sample-statvfs", daemon=True).start()
        return orders, answers

    def _work(self, orders: SimpleQueue[str | None], answers: SimpleQueue[Facts | OSError]) -> None:
        while (path := orders.get()) is not None:
            try:
                answer: Facts | OSError = self._ask(path)
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
        self._types_exclude = pattern(settings, "filesystem_types_exclude")
        self._points_exclude = pattern(settings, "mount_points_exclude")
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
        if not isinstance(answer, Facts):
            if answer is not None:
                self._faults.note(f"file system at {mount.point}", answer)
            return {Column("node_filesystem_device_error", labels): 1}
        if not self._is_that_mount(mount, answer):
            hint = OSError(f"not to be seen below {self._root}; mount the host's root there with all below it (rslave)")
            self._faults.note(f"file system at {mount.point}", hint)
            return {}
        return {
            Column("node_filesystem_size_bytes", labels): answer.size_bytes,
            Column("node_filesystem_free_bytes", labels): answer.free_bytes,
            Column("node_filesystem_avail_bytes", labels): answer.avail_bytes,
            Column("node_filesystem_files", labels): answer.files,
            Column("node_filesystem_files_free", labels): answer.files_free,
            Column("node_filesystem_readonly", labels): float(mount.readonly),
            Column("node_filesystem_device_error", labels): 0,
        }

    def _is_that_mount(self, mount: Mount, facts: Facts) -> bool:
        """Below another root the mount may be missing, and the directory under it would answer in its place. btrfs
        gives each subvolume a number of its own."""
        return not self._root or mount.type == "btrfs" or facts.number == mount.number
